# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tracked connections are forgotten by network and by published port; `conntrack -L` is the witness."""

from __future__ import annotations

import re
import socket
from contextlib import closing
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from support.host import MODULE, Host, Make
from support.sandbox import entered

from ansible_collections.nslab.linux.plugins.module_utils._kernel import _conntrack as room
from ansible_collections.nslab.linux.plugins.module_utils._kernel._kernel import Kernel
from ansible_collections.nslab.linux.plugins.module_utils._resources._conntrack import (
    FlushConntrack,
    PublishedPort,
    local_addresses,
)
from ansible_collections.nslab.linux.plugins.module_utils._values import HOST, IPNetwork, NamespaceRef
from ansible_collections.nslab.linux.plugins.module_utils._world import NeedLinks, World

pytestmark = pytest.mark.no_rules

RED, BLUE = (
    (ip_network("10.1.0.0/24"), ip_network("fd00:1::/64")),
    (ip_network("10.2.0.0/24"), ip_network("fd00:2::/64")),
)
RULES = """
table inet test {
  chain zones { type filter hook prerouting priority -300; ip saddr 10.1.0.2 udp dport 999 ct zone set 5; }
  chain published { type nat hook prerouting priority -100; tcp dport 8080 dnat ip to 10.1.0.2:80; }
  chain left { type nat hook postrouting priority 100; oifname uplink masquerade; }
}
"""


def furnish(host: Host, make_outside: Make) -> None:
    """Two labs behind the host, each with flows of every protocol to the outside, NATed, and some of the host's own."""
    make_outside(ipv6=True)
    host.sh("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
    for number, name in ((1, "red"), (2, "blue")):
        host.sh(
            f"ip netns add {name}; ip link add name to-{name} type veth peer name eth0 netns {name};"
            f" ip addr add 10.{number}.0.1/24 dev to-{name}; ip addr add fd00:{number}::1/64 dev to-{name} nodad;"
            f" ip link set dev to-{name} up; ip -n {name} addr add 10.{number}.0.2/24 dev eth0;"
            f" ip -n {name} addr add fd00:{number}::2/64 dev eth0 nodad; ip -n {name} link set dev eth0 up;"
            f" ip -n {name} route add default via 10.{number}.0.1; ip -n {name} route add default via fd00:{number}::1"
        )
    host.sh(f"nft -f - <<'EOF'\n{RULES}EOF")
    host.web_server("red")
    for netns in ("red", "blue", "host"):
        assert host.ping("198.51.100.1", netns)
        assert host.ping("2001:db8:51::1", netns)
        assert host.fetch("http://198.51.100.1/", netns) == "198.51.100.2"
        assert host.fetch("http://[2001:db8:51::1]/", netns) == "2001:db8:51::2"
        send(netns, [("198.51.100.1", 777), ("198.51.100.1", 999), ("2001:db8:51::1", 777)])
    assert host.fetch("http://198.51.100.2:8080/", "outside") == "198.51.100.1"


def send(netns: str, targets: list[tuple[str, int]]) -> None:
    """Datagrams that nobody waits for, so that no answer matters."""
    with entered("" if netns == "host" else f"/run/netns/{netns}"):
        for family in (socket.AF_INET, socket.AF_INET6):
            with closing(socket.socket(family, socket.SOCK_DGRAM)) as plug:
                for address, port in targets:
                    if (":" in address) == (family == socket.AF_INET6):
                        plug.sendto(b"x", (address, port))


def flows(host: Host, netns: str = "host") -> list[tuple[str, ...]]:
    """Protocol, the four addresses, and the original ports of each tracked connection."""
    prefix = "" if netns == "host" else f"ip netns exec {netns} "
    lines = host.sh("".join(f"{prefix}conntrack -L -f {family} 2>/dev/null;" for family in ("ipv4", "ipv6")))
    found = set()
    for line in lines.splitlines():
        addresses = re.findall(r"\b(?:src|dst)=(\S+)", line)
        found.add((line.split()[0], *addresses, *re.findall(r"dport=(\d+)", line)[:1]))
    return sorted(found)


def flush(host: Host, where: NamespaceRef, networks: tuple[IPNetwork, ...], *published: PublishedPort) -> None:
    operation = FlushConntrack(where, networks, published)
    if host.way != MODULE:
        host.sh(operation.command)
        return
    with closing(Kernel()) as kernel:
        operation.run(kernel)


def test_the_flows_of_a_network_are_forgotten_and_no_others(host: Host, make_outside: Make) -> None:
    furnish(host, make_outside)
    before = flows(host)
    # The witness: by the text of the addresses, before and after translation.
    red = [flow for flow in before if any(each.startswith(("10.1.0.", "fd00:1::")) for each in flow[1:5])]
    translated = [flow for flow in red if not flow[1].startswith(("10.1.", "fd00:1:"))]
    assert translated == [("tcp", "198.51.100.1", "198.51.100.2", "10.1.0.2", "198.51.100.1", "8080")]
    assert {(flow[0], ":" in flow[1]) for flow in red} == {
        *(("icmp", False), ("icmpv6", True), ("tcp", False), ("tcp", True), ("udp", False), ("udp", True)),
    }
    assert len(before) > 2 * len(red)
    port = PublishedPort("tcp", 8080, 8080, ip_address("198.51.100.2"))
    published = () if host.way == MODULE else (port,)  # the kernel room needs no port to find the translated flow
    flush(host, HOST, RED, *published)
    assert flows(host) == [flow for flow in before if flow not in red]
    flush(host, HOST, RED, port)  # nothing is left to match


def test_flows_to_a_port_that_is_published_now_are_forgotten_where_the_port_is_the_routers(
    host: Host, make_outside: Make
) -> None:
    """They would go on to a socket of the host. One to the same port elsewhere is somebody else's."""
    furnish(host, make_outside)
    host.sh("nft delete chain inet test published")
    own = [("198.51.100.2", 7), ("198.51.100.2", 8), ("198.51.100.2", 9), ("2001:db8:51::2", 8)]
    send("outside", own)
    send("blue", [("198.51.100.1", 8)])
    before = flows(host)
    with closing(Kernel()) as kernel:
        world = World()
        kernel.observe(world, [NeedLinks(HOST)])
        addresses = local_addresses(world.state(HOST))
    assert [str(each) for each in addresses] == [
        *("10.1.0.1", "10.2.0.1", "198.51.100.2", "2001:db8:51::2", "fd00:1::1", "fd00:2::1"),
    ]
    flush(host, HOST, (), *(PublishedPort("udp", 7, 8, each) for each in addresses))
    gone = [flow for flow in before if flow[0] == "udp" and flow[5] in ("7", "8") and flow[1] != "10.2.0.2"]
    assert len(gone) == 3
    assert flows(host) == [flow for flow in before if flow not in gone]


def test_a_table_of_thousands_is_flushed_in_another_namespace(host: Host) -> None:
    host.sh(
        "ip netns add red; ip -n red link set dev lo up; ip -n red addr add 10.1.0.1/24 dev lo;"
        " ip -n red addr add 10.2.0.1/24 dev lo; ip netns exec red nft add table ip test;"
        " ip netns exec red nft add chain ip test out '{ type filter hook output priority 0; }';"
        " ip netns exec red nft add rule ip test out ct state new accept"
    )
    send("red", [("10.1.0.1", 10000 + number) for number in range(2000)])
    send("red", [("10.2.0.1", 10000)])
    assert len([flow for flow in flows(host, "red") if flow[2] == "10.1.0.1"]) == 2000
    flush(host, NamespaceRef("name", "red"), RED)
    assert {flow[2] for flow in flows(host, "red") if flow[0] == "udp"} == {"10.2.0.1"}


@pytest.mark.once
def test_an_entry_that_goes_by_itself_meanwhile_is_no_error(
    host: Host, make_outside: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    furnish(host, make_outside)
    original = room.Netlink.dump

    def expiring(*arguments: Any) -> list[bytes]:
        found = original(*arguments)
        host.sh("conntrack -D -f ipv4 -s 10.1.0.2 -p udp --dport 777; conntrack -D -f ipv6 -s fd00:1::2 -p icmpv6")
        monkeypatch.undo()
        return found

    expected = len([flow for flow in flows(host) if any(each.startswith("10.1.0.") for each in flow[1:5])])
    monkeypatch.setattr(room.Netlink, "dump", expiring)
    assert room.flush(RED[:1]) == expected - 1
    assert not [flow for flow in flows(host) if "10.1.0.2" in flow]
    assert room.flush(RED) > 0  # those of IPv6, which nobody had asked for
    assert room.flush([*RED, *BLUE[:0]]) == 0
