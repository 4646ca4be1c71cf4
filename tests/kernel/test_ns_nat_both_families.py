# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ns_nat on a dual stack bridge: both families get out, services behind the router are reached from everywhere."""

from __future__ import annotations

import socket
import sys
from typing import Any

import pytest
from support.host import Host, Make, Outside, inside
from support.sandbox import entered

RED, BLUE = "10.0.0.2", "10.0.0.3"
RED6, BLUE6 = "fd00:1::2", "fd00:1::3"
ROUTER, ROUTER6 = "10.0.0.1", "fd00:1::1"
SOURCES = ["10.0.0.0/24", "fd00:1::/64"]

# Answers each datagram with its own name.
ECHO = """
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("0.0.0.0", 7000))
print("listening", flush=True)
while True:
    sock.sendto(sys.argv[1].encode(), sock.recvfrom(64)[1])
"""

# A router advertisement to all nodes, RFC 4861: a default router for half an hour.
ADVERTISE = """
import socket, struct
sock = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
link = socket.if_nametoindex("eth0")
sock.sendto(struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0), ("ff02::1", 0, 0, link))
"""


@pytest.fixture
def lab(host: Host, make_outside: Make) -> Host:
    """A host with the outside behind `uplink`, and red and blue on the bridge br0, of both families."""
    # While a link checks that its link-local address is its own alone, it asks for nobody to whom it forwards.
    host.sh("echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad")
    make_outside(ipv6=True)
    # What is bridged is to be seen by the bridge alone, whatever the machine has loaded.
    host.sh("for switch in /proc/sys/net/bridge/bridge-nf-call-*; do [ ! -e $switch ] || echo 0 > $switch; done")
    host.sh(f"ip link add br0 type bridge; ip addr add {ROUTER}/24 dev br0; ip addr add {ROUTER6}/64 dev br0 nodad")
    for name, v4, v6 in (("red", RED, RED6), ("blue", BLUE, BLUE6)):
        host.sh(
            f"ip netns add {name}; ip link add to-{name} up master br0 type veth peer name eth0 netns {name}\n"
            f"ip -n {name} addr add {v4}/24 dev eth0; ip -n {name} addr add {v6}/64 dev eth0 nodad\n"
            f"ip -n {name} link set dev lo up; ip -n {name} link set dev eth0 up\n"
            f"ip -n {name} route add default via {ROUTER}; ip -n {name} route add default via {ROUTER6}"
        )
    host.sh("ip link set dev br0 up")
    return host


def fetched(host: Host, url: str) -> dict[str, str | None]:
    """As which client each namespace is seen by the server; None where it gets no page."""
    return {netns: host.fetch(url, netns, patience=5) for netns in ("outside", "host", "blue", "red")}


def datagram(netns: str, port: int, source_port: int = 0) -> str | None:
    """What comes back from a port of the router, asked from a namespace; None for nothing."""
    with entered(f"/run/netns/{netns}"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("0.0.0.0", source_port))
        sock.settimeout(1)
        sock.connect((Outside.HOST4, port))
        try:
            sock.send(b"?")
            return sock.recv(64).decode()
        except OSError:
            return None


def echo(host: Host, netns: str) -> None:
    host.process_in(netns, f"exec '{sys.executable}' -c '{ECHO}' {netns}", ready="listening")


def map_elements(host: Host, name: str) -> list[Any]:
    found = [entry["map"] for entry in host.ruleset() if entry.get("map", {}).get("name") == name]
    return found[0].get("elem", []) if found else []


PUBLISH: list[dict[str, str]] = [
    {"port": "8080", "to": RED, "to_port": "80"},
    {"port": "8080", "to": RED6, "to_port": "80"},
    {"port": "79-81", "to": RED, "address": Outside.HOST4},
    {"port": "9000-9001", "to": RED, "to_port": "80"},
    {"port": "7000-7010", "protocol": "udp", "to": RED},
]


def test_a_published_service_is_reached_from_everywhere_and_from_nowhere_when_it_is_not(lab: Host) -> None:
    lab.web_server("red")
    echo(lab, "red")
    options = {"name": "lab", "sources": SOURCES}
    lab.changed("ns_nat", **options, publish=PUBLISH)
    # Who comes from outside is seen as he is, a neighbour as the router.
    urls = (f"http://{Outside.HOST4}:8080/", f"http://{Outside.HOST4}:80/", f"http://{Outside.HOST4}:9000/")
    for url in urls:
        seen = {"outside": Outside.OUTSIDE4, "host": Outside.HOST4, "blue": ROUTER, "red": ROUTER}
        assert fetched(lab, url) == seen, url
    seen = {"outside": Outside.OUTSIDE6, "host": Outside.HOST6, "blue": ROUTER6, "red": ROUTER6}
    assert fetched(lab, f"http://[{Outside.HOST6}]:8080/") == seen
    assert [datagram(netns, 7000) for netns in ("outside", "blue")] == ["red", "red"]
    # The chosen address alone, and nothing else of the lab.
    assert lab.fetch(f"http://{ROUTER}:8080/", "blue") == ROUTER
    assert lab.fetch(f"http://{ROUTER}:80/", "blue", patience=1) is None
    lab.sh(f"ip -n outside route add 10.0.0.0/24 via {Outside.HOST4}")
    assert lab.fetch(f"http://{RED}/", "outside", patience=1) is None

    lab.changed("ns_nat", **options, publish=PUBLISH[:1])
    assert [lab.fetch(url, "outside", patience=1) for url in urls] == [Outside.OUTSIDE4, None, None]
    lab.sh("nft delete element inet nslab publish4 '{ tcp . 8080 }'")
    lab.changed("ns_nat", **options, publish=PUBLISH[:1])
    assert lab.fetch(urls[0], "outside") == Outside.OUTSIDE4
    lab.unchanged("ns_nat", **options)
    lab.changed("ns_nat", **options, publish=[])
    assert [lab.fetch(url, "outside", patience=1) for url in urls] == [None, None, None]


def test_a_flow_follows_the_port_to_its_new_target_at_once(lab: Host) -> None:
    """As long as datagrams keep coming the kernel would go on sending them to the old one."""
    for netns in ("red", "blue"):
        echo(lab, netns)
    options = {"name": "lab", "sources": SOURCES[:1]}
    lab.apply("ns_nat", **options, publish=[{"port": "53", "protocol": "udp", "to": RED, "to_port": "7000"}])
    assert datagram("outside", 53, 4000) == "red"
    lab.changed("ns_nat", **options, publish=[{"port": "53", "protocol": "udp", "to": BLUE, "to_port": "7000"}])
    assert datagram("outside", 53, 4000) == "blue"


def test_both_families_get_out_and_nothing_gets_in(lab: Host) -> None:
    before = lab.snapshot()
    result = lab.changed("ns_nat", name="lab", sources=SOURCES)
    assert result["nat"]["uplink"] == {"ipv4": ["uplink"], "ipv6": ["uplink"]}
    assert (lab.fetch(Outside.WEB, "red"), lab.fetch(Outside.WEB6, "red")) == (Outside.HOST4, Outside.HOST6)
    lab.sh(f"ip -n outside route add fd00::/16 via {Outside.HOST6}")
    assert lab.no_ping(RED6, "outside")
    # Neither is the host a router for its neighbours: what comes from the uplink goes to the inside or nowhere.
    lab.sh("ip netns add other; ip link add to-other up type veth peer name eth0 netns other")
    lab.sh("ip addr add fd00:2::1/64 dev to-other nodad; ip -n other addr add fd00:2::2/64 dev eth0 nodad")
    lab.sh("ip -n other link set dev eth0 up; ip -n other route add default via fd00:2::1")
    assert lab.ping("fd00:2::2")
    lab.sh("echo 1 > /proc/sys/net/ipv6/conf/to-other/force_forwarding")
    assert lab.no_ping("fd00:2::2", "outside")
    lab.sh("ip link del dev to-other; ip netns del other")
    lab.sh("ip -n outside route del fd00::/16")
    lab.changed("ns_nat", name="lab", sources=SOURCES, inbound="any", mode="none")
    lab.changed("ns_nat", name="lab", state="absent")
    assert before.differences(lab.snapshot()) == []


def test_what_leaves_gets_the_chosen_address_of_its_family(lab: Host) -> None:
    lab.sh("ip addr add 198.51.100.77/24 dev uplink; ip addr add 2001:db8:51::77/64 dev uplink nodad preferred_lft 0")
    addresses = ["198.51.100.77", "2001:db8:51::77"]
    lab.apply("ns_nat", name="lab", inside=["br0"])
    assert (lab.fetch(Outside.WEB, "red"), lab.fetch(Outside.WEB6, "red")) == (Outside.HOST4, Outside.HOST6)
    lab.changed("ns_nat", name="lab", sources=SOURCES, mode="snat", to_source=addresses)
    assert [lab.fetch(url, "red") for url in (Outside.WEB, Outside.WEB6)] == addresses
    lab.sh("nft flush chain inet nslab post_lab")
    lab.changed("ns_nat", name="lab", sources=SOURCES, mode="snat", to_source=[Outside.HOST4, addresses[1]])
    assert [lab.fetch(url, "red") for url in (Outside.WEB, Outside.WEB6)] == [Outside.HOST4, addresses[1]]


def test_a_host_that_lives_by_router_advertisements_keeps_its_route(lab: Host) -> None:
    lab.sh("ip -6 route del default; ip -n outside addr add fe80::1/64 dev eth0 nodad")
    host_has = f"{inside('host')} ip -6 route show default proto ra".strip()

    def advertised() -> bool:
        lab.sh(f"{inside('outside')} '{sys.executable}' -c '{ADVERTISE}'")
        return bool(lab.sh(host_has))

    lab.wait_for(advertised)
    # The kernel turns this off along with the switch of all links.
    lab.sh("echo 1 > /proc/sys/net/ipv6/conf/to-red/force_forwarding")
    options = {"name": "lab", "sources": SOURCES, "ip_forward": "global"}
    assert any("accept_ra is set to 2" in warning for warning in lab.check("ns_nat", **options).warnings)
    lab.changed("ns_nat", **options)
    assert lab.sh(host_has)
    assert lab.sysctl("net/ipv6/conf/all/forwarding") == "1"
    lab.changed("ns_nat", name="lab", state="absent")
    assert lab.sh(host_has)
    assert lab.sysctl("net/ipv6/conf/all/forwarding") == "0"
    assert lab.sysctl("net/ipv6/conf/uplink/accept_ra") == "1"
    assert lab.sysctl("net/ipv6/conf/to-red/force_forwarding") == "1"


@pytest.mark.once
def test_what_can_t_be_published_is_refused(lab: Host) -> None:
    one = {"name": "lab", "sources": SOURCES}
    lab.refuse("ns_nat", "in none of the sources", **one, publish=[{"port": "80", "to": "10.9.0.2"}])
    lab.refuse("ns_nat", "no port and no range", **one, publish=[{"port": "80-", "to": RED}])
    lab.apply("ns_nat", **one, publish=[{"port": "80", "to": RED}])
    second = {"name": "second", "inside": ["to-blue"], "uplink": ["any"]}
    lab.refuse("ns_nat", "published by the rule set lab", **second, publish=[{"port": "70-90", "to": "10.9.0.2"}])


DROPPING = {
    "iptables-nft": "iptables-nft -P FORWARD DROP",
    "iptables-legacy": "iptables-legacy -P FORWARD DROP",
    "docker": "iptables-nft -P FORWARD DROP; iptables-nft -N DOCKER-USER; iptables-nft -I FORWARD -j DOCKER-USER",
    "nftables": "nft add table inet mine; nft add chain inet mine f '{ type filter hook forward priority 10; policy drop; }'",
}


@pytest.mark.once
@pytest.mark.parametrize("owner", DROPPING)
def test_what_a_warning_advises_lets_the_lab_pass_the_firewall_of_another(lab: Host, owner: str) -> None:
    lab.sh(DROPPING[owner])
    options = {"name": "lab", "sources": SOURCES[:1]}
    lab.refuse("ns_nat", "would drop what the rule set lab is to let pass", firewall="fail", **options)
    result = lab.changed("ns_nat", **options)
    (blocker,) = result["nat"]["blockers"]
    assert (blocker["why"], blocker["certain"]) == ("policy drop", True)
    assert lab.fetch(Outside.WEB, "red", patience=0.5) is None
    (warning,) = lab.check("ns_nat", **options).warnings
    assert owner in warning
    lab.sh(warning.rpartition("let it pass there: ")[2])
    assert lab.fetch(Outside.WEB, "red") == Outside.HOST4
    again = lab.check("ns_nat", firewall="fail", **options)
    assert (again.warnings, again["nat"]["blockers"], again.changed) == ([], [], False)
