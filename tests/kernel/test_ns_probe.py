# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ns_probe: pings and connections, met and not met, beside what ping and curl say."""

from __future__ import annotations

import pytest
from support.host import Host
from support.probes import Pair

pytestmark = pytest.mark.once


@pytest.fixture
def pair(host: Host) -> Pair:
    return Pair(host)


# ping


@pytest.mark.parametrize("address", ["10.0.0.2", "fd00::2", "127.0.0.1", "::1", "10.0.0.1"])
def test_a_ping_that_is_answered(pair: Pair, address: str) -> None:
    assert pair.host.ping(address, "red")
    report = pair.meets(**{"from": "red", "ping": address})
    assert report["result"] == address
    assert report["error"] is None
    assert 0 < report["rtt_ms"] < 2000


def test_a_ping_to_a_link_local_address(pair: Pair) -> None:
    seen = pair.host.ip("-6 addr show dev eth0 scope link", "blue")
    (local,) = [entry["local"] for link in seen for entry in link.get("addr_info", []) if "local" in entry]
    address = f"{local}%eth0"
    pair.until(f"ip netns exec red ping -n -q -c 1 -W 1 {address}")
    assert pair.meets(**{"from": "red", "ping": address})["result"] == address


@pytest.mark.parametrize(
    ("address", "error"),
    [
        ("10.0.0.7", "no answer within 1 s"),
        ("fd00::7", "no answer within 1 s"),
        ("10.9.0.1", "network unreachable, there is no route"),
        ("fd09::1", "network unreachable, there is no route"),
        ("10.0.0.255", "prohibited by a route, or it is a broadcast address"),
    ],
)
def test_a_ping_that_nobody_answers(pair: Pair, address: str, error: str) -> None:
    pair.deaf("10.0.0.7", "fd00::7")
    assert pair.host.no_ping(address, "red")
    report = pair.fails(**{"from": "red", "ping": address})
    assert report["error"] == error
    assert (report["result"], report["rtt_ms"]) == (None, None)


def test_a_ping_to_a_neighbour_that_is_not_there(pair: Pair) -> None:
    pair.host.sh("ip netns exec red sysctl -q -w net.ipv4.neigh.eth0.mcast_solicit=1")
    pair.host.sh("ip netns exec red sysctl -q -w net.ipv6.neigh.eth0.mcast_solicit=1")
    assert pair.fails(**{"from": "red", "ping": "10.0.0.9"}, timeout=20)["error"] == "host unreachable, says 10.0.0.1"
    assert pair.fails(**{"from": "red", "ping": "fd00::9"}, timeout=20)["error"] == "address unreachable, says fd00::1"


@pytest.mark.parametrize(
    ("route", "ping4", "ping6"),
    [
        ("unreachable", "host unreachable", "host unreachable"),
        ("prohibit", "prohibited by a route, or it is a broadcast address", None),
        ("blackhole", "invalid argument, the answer of a blackhole route", None),
    ],
)
def test_a_ping_against_a_route_that_refuses(pair: Pair, route: str, ping4: str, ping6: str | None) -> None:
    pair.host.sh(f"ip -n red route add {route} 10.8.0.0/24; ip -n red route add {route} fd08::/64")
    assert pair.fails(**{"from": "red", "ping": "10.8.0.1"})["error"] == ping4
    assert pair.fails(**{"from": "red", "ping": "fd08::1"})["error"] == (ping6 or ping4)


@pytest.mark.parametrize(
    ("reject", "address", "error"),
    [
        ("icmp type net-unreachable", "10.0.0.2", "network unreachable, says 10.0.0.2"),
        ("icmp type host-unreachable", "10.0.0.2", "host unreachable, says 10.0.0.2"),
        ("icmp type prot-unreachable", "10.0.0.2", "protocol unreachable, says 10.0.0.2"),
        ("icmp type port-unreachable", "10.0.0.2", "port unreachable, says 10.0.0.2"),
        ("icmp type net-prohibited", "10.0.0.2", "network administratively prohibited, says 10.0.0.2"),
        ("icmp type host-prohibited", "10.0.0.2", "host administratively prohibited, says 10.0.0.2"),
        ("icmp type admin-prohibited", "10.0.0.2", "administratively prohibited, says 10.0.0.2"),
        ("icmpv6 type no-route", "fd00::2", "no route, says fd00::2"),
        ("icmpv6 type admin-prohibited", "fd00::2", "administratively prohibited, says fd00::2"),
        ("icmpv6 type addr-unreachable", "fd00::2", "address unreachable, says fd00::2"),
        ("icmpv6 type port-unreachable", "fd00::2", "port unreachable, says fd00::2"),
        ("icmpv6 type reject-route", "fd00::2", "rejected by a route, says fd00::2"),
    ],
)
def test_an_icmp_error_is_told_by_its_name(pair: Pair, reject: str, address: str, error: str) -> None:
    pair.host.sh(f"""
        ip netns exec blue nft add table inet wall
        ip netns exec blue nft add chain inet wall in '{{ type filter hook input priority 0; }}'
        ip netns exec blue nft add rule inet wall in icmp type echo-request reject with {reject} ||
        ip netns exec blue nft add rule inet wall in icmpv6 type echo-request reject with {reject}
    """)
    assert pair.host.no_ping(address, "red")
    assert pair.fails(**{"from": "red", "ping": address}, timeout=20)["error"] == error


def test_an_icmp_error_on_the_way_names_the_router_that_sent_it(pair: Pair) -> None:
    pair.host.sh("""
        ip -n red route add default via 10.0.0.2
        ip -n red route add default via fd00::2
        ip netns exec blue sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    """)
    assert (
        pair.fails(**{"from": "red", "ping": "10.9.0.1"}, timeout=20)["error"] == "network unreachable, says 10.0.0.2"
    )
    assert pair.fails(**{"from": "red", "ping": "fd09::1"}, timeout=20)["error"] == "no route, says fd00::2"


def test_a_firewall_of_the_namespace_itself(pair: Pair) -> None:
    pair.count("red", "ip daddr 10.0.0.2", "drop")
    assert pair.host.no_ping("10.0.0.2", "red")
    assert pair.fails(**{"from": "red", "ping": "10.0.0.2"})["error"] == "dropped by a firewall on its way out"


def test_a_ping_is_not_answered_by_the_echo_of_another(pair: Pair) -> None:
    """Echo replies come in from the very address all the time, none of them to our request."""
    pair.host.sh("""
        ip netns exec blue nft add table inet wall
        ip netns exec blue nft add chain inet wall in '{ type filter hook input priority 0; }'
        ip netns exec blue nft add rule inet wall in icmp type echo-request meta length 44 drop
    """)
    pair.host.process_in("red", "echo; exec ping -n -q -i 0.01 10.0.0.2 >/dev/null")
    assert pair.host.ping("10.0.0.2", "red")
    assert pair.fails(**{"from": "red", "ping": "10.0.0.2"})["error"] == "no answer within 1 s"


def test_an_icmp_error_about_the_echo_of_another_is_not_ours(pair: Pair) -> None:
    pair.host.sh("""
        ip netns exec blue sysctl -q -w net.ipv4.icmp_ratelimit=0
        ip netns exec blue nft add table inet wall
        ip netns exec blue nft add chain inet wall in '{ type filter hook input priority 0; }'
        ip netns exec blue nft add rule inet wall in icmp type echo-request meta length 44 drop
        ip netns exec blue nft add rule inet wall in icmp type echo-request reject with icmp type host-prohibited
    """)
    pair.host.process_in("red", "echo; exec ping -n -q -i 0.01 10.0.0.2 >/dev/null")
    assert "Host Prohibited" in pair.host.sh("ip netns exec red ping -n -c 1 -W 1 10.0.0.2 || true")
    assert pair.fails(**{"from": "red", "ping": "10.0.0.2"})["error"] == "no answer within 1 s"


# tcp


@pytest.mark.parametrize("target", ["10.0.0.2:8080", "[fd00::2]:8080"])
def test_a_port_that_accepts(pair: Pair, target: str) -> None:
    pair.web("blue")
    assert pair.host.fetch(f"http://{target}/", "red")
    report = pair.meets(**{"from": "red", "tcp": target})
    assert report["result"] == target
    assert 0 < report["rtt_ms"] < 2000


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("10.0.0.2:81", "connection refused"),
        ("[fd00::2]:81", "connection refused"),
        ("127.0.0.1:81", "connection refused"),
        ("10.0.0.7:80", "no answer within 1 s"),
        ("[fd00::7]:80", "no answer within 1 s"),
        ("10.9.0.1:80", "network unreachable, there is no route"),
        ("[fd09::1]:80", "network unreachable, there is no route"),
    ],
)
def test_a_port_that_does_not_accept(pair: Pair, target: str, error: str) -> None:
    pair.deaf("10.0.0.7", "fd00::7")
    assert pair.host.fetch(f"http://{target}/", "red") is None
    assert pair.fails(**{"from": "red", "tcp": target})["error"] == error


@pytest.mark.parametrize(
    ("verdict", "error"),
    [
        ("drop", "no answer within 1 s"),
        ("reject with tcp reset", "connection refused"),
        ("reject with icmpx type port-unreachable", "port unreachable, says {}"),
        ("reject with icmpx type admin-prohibited", "administratively prohibited, says {}"),
    ],
)
def test_a_port_behind_a_firewall(pair: Pair, verdict: str, error: str) -> None:
    pair.web("blue")
    pair.host.sh(f"""
        ip netns exec blue nft add table inet wall
        ip netns exec blue nft add chain inet wall in '{{ type filter hook input priority 0; }}'
        ip netns exec blue nft add rule inet wall in tcp dport 8080 {verdict}
    """)
    # The kernel sends only so many ICMP errors a second; the next SYN gets its answer.
    timeout = 1 if verdict == "drop" else 20
    for target, address in (("10.0.0.2:8080", "10.0.0.2"), ("[fd00::2]:8080", "fd00::2")):
        report = pair.fails(**{"from": "red", "tcp": target}, timeout=timeout)
        assert report["error"] == error.format(address)


def test_a_port_of_a_name_is_that_of_the_first_address_that_accepts(pair: Pair) -> None:
    pair.web("blue")
    pair.deaf("10.0.0.7")
    pair.files("red", resolv_conf="", hosts="10.0.0.7 web.test\n10.0.0.2 web.test\n10.0.0.7 dead.test")
    report = pair.meets(**{"from": "red", "tcp": "web.test:8080"})
    assert report["result"] == "10.0.0.2:8080"
    assert pair.fails(**{"from": "red", "tcp": "dead.test:8080"})["error"] == "10.0.0.7: no answer within 1 s"
    errors = pair.fails(**{"from": "red", "tcp": "web.test:81"})["error"].split("; ")
    assert sorted(errors) == ["10.0.0.2: connection refused", "10.0.0.7: no answer within 1 s"]


# source


def test_the_source_is_what_the_far_end_sees(pair: Pair) -> None:
    pair.host.sh("ip -n red addr add 10.0.0.3/24 dev eth0; ip -n red addr add fd00::3/64 dev eth0 nodad")
    pair.web("blue")
    pair.count("red", "ip saddr 10.0.0.3 ip daddr 10.0.0.2 tcp flags syn")
    pair.meets(**{"from": "red", "tcp": "10.0.0.2:8080"})
    assert pair.counted("red") == 0
    pair.meets(**{"from": "red", "tcp": "10.0.0.2:8080", "source": "10.0.0.3"})
    assert pair.counted("red") > 0


@pytest.mark.parametrize(("source", "address"), [("10.0.0.3", "10.0.0.2"), ("fd00::3", "fd00::2")])
def test_a_ping_has_its_source(pair: Pair, source: str, address: str) -> None:
    pair.host.sh(
        "ip -n red addr add 10.0.0.3/24 dev eth0; ip -n red addr add fd00::3/64 dev eth0 nodad preferred_lft 0"
    )
    family, protocol = ("ip6", "icmpv6") if ":" in source else ("ip", "icmp")
    pair.count("red", f"{family} saddr {source} {family} daddr {address} {protocol} type echo-request")
    pair.meets(**{"from": "red", "ping": address})
    assert pair.counted("red") == 0
    pair.meets(**{"from": "red", "ping": address, "source": source})
    assert pair.counted("red") == 1


def test_a_source_that_is_not_there_is_no_failure_that_anybody_expects(pair: Pair) -> None:
    for probe in ({"ping": "10.0.0.2"}, {"tcp": "10.0.0.2:80"}):
        for expect in ("success", "failure"):
            report = pair.fails(**{"from": "red", **probe}, source="10.0.0.7", expect=expect)
            assert report["error"] == "source 10.0.0.7 is no address of this namespace"


def test_a_source_restricts_a_name_to_its_family(pair: Pair) -> None:
    pair.web("blue")
    pair.files("red", resolv_conf="", hosts="10.0.0.2 web.test\nfd00::2 web.test\nfd00::2 six.test")
    probe = {"from": "red", "tcp": "web.test:8080"}
    assert pair.meets(**probe, source="10.0.0.1")["result"] == "10.0.0.2:8080"
    assert pair.meets(**probe, source="fd00::1")["result"] == "[fd00::2]:8080"
    report = pair.fails(**{"from": "red", "tcp": "six.test:8080"}, source="10.0.0.1")
    assert report["error"] == "six.test has no address of the family of 10.0.0.1"
