# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ns_probe: datagrams to servers that are there, and servers that tell whom they see, beside what nft counts and curl says."""

from __future__ import annotations

import shlex
import sys

import pytest
from support.host import Host
from support.probes import Pair

pytestmark = pytest.mark.once

MUTE = """
import socket
silent, curt = (socket.create_server(("10.0.0.2", port)) for port in (9, 10))
print(flush=True)
while True:
    curt.accept()[0].close()
"""


@pytest.fixture
def pair(host: Host) -> Pair:
    return Pair(host)


# udp


@pytest.mark.parametrize("target", ["10.0.0.2:53", "[fd00::2]:53"])
def test_a_dns_server_answers(pair: Pair, target: str) -> None:
    pair.names()
    pair.count("red", "udp dport 53")
    report = pair.meets(**{"from": "red", "udp": target})
    assert (report["result"], report["error"], report["seen"]) == (target, None, None)
    assert 0 < report["rtt_ms"] < 2000
    assert pair.counted("red") == 1


@pytest.mark.parametrize("answer", ["said", "b'x'", "b''", "b'x' * 9000"])
def test_whatever_comes_back_is_an_answer(pair: Pair, answer: str) -> None:
    pair.echo("blue", 7, answer)
    for target in ("10.0.0.2:7", "[fd00::2]:7"):
        assert pair.meets(**{"from": "red", "udp": target})["result"] == target


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("10.0.0.2:54", "port unreachable, says 10.0.0.2"),
        ("[fd00::2]:54", "port unreachable, says fd00::2"),
        ("127.0.0.1:54", "port unreachable, says 127.0.0.1"),
        ("10.0.0.7:53", "no answer within 1 s"),
        ("[fd00::7]:53", "no answer within 1 s"),
        ("10.9.0.1:53", "network unreachable, there is no route"),
        ("[fd09::1]:53", "network unreachable, there is no route"),
        ("10.0.0.255:53", "prohibited by a route, or it is a broadcast address"),
    ],
)
def test_nobody_answers(pair: Pair, target: str, error: str) -> None:
    pair.deaf("10.0.0.7", "fd00::7")
    report = pair.fails(**{"from": "red", "udp": target})
    assert report["error"] == error
    assert (report["result"], report["rtt_ms"], report["seen"]) == (None, None, None)
    # What is told at once is not waited for.
    if "within" not in error:
        assert pair.meets(**{"from": "red", "udp": target}, expect="failure", timeout=300)["error"] == error


@pytest.mark.parametrize("address", ["127.0.0.1", "[::1]"])
def test_a_probe_does_not_answer_itself(pair: Pair, address: str) -> None:
    """The kernel gives it the very port that it is to reach, as there is no other."""
    pair.host.sh("ip netns exec red sysctl -q -w net.ipv4.ip_local_port_range='40000 40000'")
    assert pair.fails(**{"from": "red", "udp": f"{address}:40000"})["error"] == "port unreachable"
    assert pair.fails(**{"from": "red", "tcp": f"{address}:40000"})["error"] == "connection refused"


def test_a_firewall_in_the_way_of_a_datagram(pair: Pair) -> None:
    pair.echo("blue", 7)
    pair.host.sh("""
        ip netns exec blue nft add table inet wall
        ip netns exec blue nft add chain inet wall in '{ type filter hook input priority 0; }'
        ip netns exec blue nft add rule inet wall in udp dport 7 reject with icmpx type admin-prohibited
    """)
    for target, sender in (("10.0.0.2:7", "10.0.0.2"), ("[fd00::2]:7", "fd00::2")):
        report = pair.fails(**{"from": "red", "udp": target}, timeout=20)
        assert report["error"] == f"administratively prohibited, says {sender}"
    pair.shut("red", "out", "udp dport 7")
    assert pair.fails(**{"from": "red", "udp": "10.0.0.2:7"})["error"] == "dropped by a firewall on its way out"


def test_a_datagram_to_a_name_goes_to_each_address_until_one_answers(pair: Pair) -> None:
    pair.echo("blue", 7)
    pair.deaf("10.0.0.7")
    pair.files("red", resolv_conf="", hosts="10.0.0.7 echo.test\n10.0.0.2 echo.test\nfd00::2 six.test")
    assert pair.meets(**{"from": "red", "udp": "echo.test:7"})["result"] == "10.0.0.2:7"
    assert pair.meets(**{"from": "red", "udp": "six.test:7"}, source="fd00::1")["result"] == "[fd00::2]:7"
    errors = pair.fails(**{"from": "red", "udp": "echo.test:8"})["error"].split("; ")
    assert sorted(errors) == ["10.0.0.2: port unreachable, says 10.0.0.2", "10.0.0.7: no answer within 1 s"]
    report = pair.fails(**{"from": "red", "udp": "six.test:7"}, source="10.0.0.1")
    assert report["error"] == "six.test has no address of the family of 10.0.0.1"


def test_a_datagram_has_its_source(pair: Pair) -> None:
    pair.host.sh("ip -n red addr add 10.0.0.3/24 dev eth0; ip -n red addr add fd00::3/64 dev eth0 nodad")
    pair.echo("blue", 7, "client")
    for target, usual, source in (("10.0.0.2:7", "10.0.0.1", "10.0.0.3"), ("[fd00::2]:7", None, "fd00::3")):
        if usual:
            pair.meets(**{"from": "red", "udp": target}, seen_as=usual)
        assert pair.meets(**{"from": "red", "udp": target}, source=source, seen_as=source)["seen"] == source
    report = pair.fails(**{"from": "red", "udp": "10.0.0.2:7"}, source="10.0.0.7", expect="failure")
    assert report["error"] == "source 10.0.0.7 is no address of this namespace"


def test_what_answers_late_is_waited_for(pair: Pair) -> None:
    """The datagram has 45 bytes: the first is below the quota, the second is not."""
    pair.echo("blue", 7)
    for retries, met in ((0, False), (1, True)):
        pair.count("red", "ip daddr 10.0.0.2 udp dport 7", "quota until 60 bytes drop")
        assert pair.run({"from": "red", "udp": "10.0.0.2:7", "timeout": 0.3, "retries": retries}).failed != met
        assert pair.counted("red") == retries + 1
        pair.host.sh("ip netns exec red nft delete table inet witness")


# Servers that tell whom they see


def test_a_web_server_tells_whom_it_sees(pair: Pair) -> None:
    pair.host.web_server("blue")
    pair.host.sh("ip -n red addr add 10.0.0.3/24 dev eth0")
    pair.files("red", resolv_conf="", hosts="10.0.0.2 web.test")
    for target, address in (("10.0.0.2:80", "10.0.0.1"), ("[fd00::2]:80", "fd00::1"), ("web.test:80", "10.0.0.1")):
        assert pair.host.fetch(f"http://{target}/".replace("web.test", "10.0.0.2"), "red") == address
        assert pair.meets(**{"from": "red", "tcp": target}, seen_as=address)["seen"] == address
    assert pair.meets(**{"from": "red", "tcp": "10.0.0.2:80"}, source="10.0.0.3", seen_as="10.0.0.3")["seen"]
    report = pair.fails(**{"from": "red", "tcp": "10.0.0.2:80"}, seen_as="198.51.100.2")
    assert report["error"] == "the far end saw 10.0.0.1, not 198.51.100.2"
    assert (report["result"], report["seen"]) == ("10.0.0.2:80", "10.0.0.1")
    # Without the question it is not asked.
    assert pair.meets(**{"from": "red", "tcp": "10.0.0.2:80"})["seen"] is None


def test_a_udp_server_tells_whom_it_sees(pair: Pair) -> None:
    pair.echo("blue", 7, "client + b' is you'")
    for target, address, other in (("10.0.0.2:7", "10.0.0.1", "10.0.0.9"), ("[fd00::2]:7", "fd00::1", "fd00::9")):
        assert pair.meets(**{"from": "red", "udp": target}, seen_as=address)["seen"] == address
        error = pair.fails(**{"from": "red", "udp": target}, seen_as=other)["error"]
        assert error == f"the far end saw {address}, not {other}"


def test_servers_that_do_not_tell_whom_they_see(pair: Pair) -> None:
    pair.web("blue")
    pair.echo("blue", 7, "b'welcome'")
    pair.host.process_in("blue", f"exec {sys.executable} -S -c {shlex.quote(MUTE)}")
    for probe, error in (
        ({"tcp": "10.0.0.2:8080"}, "10.0.0.2:8080 does not tell whom it sees, its answer is 'HTTP/1.0 200 OK"),
        ({"udp": "10.0.0.2:7"}, "10.0.0.2:7 does not tell whom it sees, its answer is 'welcome'"),
        ({"tcp": "10.0.0.2:9"}, "10.0.0.2:9 accepted, but said nothing within 1 s"),
        ({"tcp": "10.0.0.2:10"}, "10.0.0.2:10 accepted, but hung up"),
        ({"tcp": "10.0.0.2:81"}, "connection refused"),
        ({"udp": "10.0.0.2:81"}, "port unreachable, says 10.0.0.2"),
    ):
        assert pair.fails(**{"from": "red", **probe}, seen_as="10.0.0.1")["error"].startswith(error)
