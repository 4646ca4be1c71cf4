# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel drops along with something else, and what of it stands in the way when it is to be given back.

`changed` makes each run fail at every operation in turn, and looks whether the host is then as before.
"""

from __future__ import annotations

import pytest
from support.host import Host

pytestmark = pytest.mark.no_rules


def test_routes_of_a_link_without_addresses_outlive_the_undoing_of_its_first_one(host: Host) -> None:
    """With its last IPv4 address, which is the first one taken back, a link loses all its IPv4 routes."""
    host.sh("ip link add name br0 up type bridge; ip route add 10.7.0.0/16 dev br0")
    host.changed("bridge", name="br0", addresses=["10.0.0.1/24", "fd00::1/64"])
    assert [route["dst"] for route in host.routes() if route["dev"] == "br0"].count("10.7.0.0/16") == 1


def test_routes_outlive_the_undoing_of_a_removal_for_which_a_promoted_address_makes_room(host: Host) -> None:
    host.sh(
        "ip link add name a type veth peer name b; ip link set dev a up; ip link set dev b up;"
        " sysctl -qw net/ipv4/conf/a/promote_secondaries=1;"
        " ip addr add 10.0.0.1/24 dev a; ip addr add 10.0.0.2/24 dev a; ip route add 10.7.0.0/16 dev a"
    )
    peer = {"name": "b", "addresses": ["10.1.0.1/24"]}
    host.changed("veth", name="a", addresses=["10.0.0.2/24"], peer=peer)
    assert "10.7.0.0/16" in [route["dst"] for route in host.routes()]


def test_an_ipv6_route_keeps_its_source_when_the_prefix_of_that_changes(host: Host) -> None:
    """The kernel leaves the route without its source, so that it has to be replaced, not added."""
    host.sh(
        "ip link add name a type veth peer name b; ip link set dev a up; ip link set dev b up;"
        " ip addr add fd00::1/64 dev a nodad; ip -6 route add fd09::/32 via fd00::9 dev a src fd00::1"
    )
    host.changed("veth", name="a", addresses=["fd00::1/48"], peer={"name": "b", "addresses": ["10.1.0.1/24"]})
    (route,) = [route for route in host.routes(family=6) if route["dst"] == "fd09::/32"]
    assert (route["gateway"], route["prefsrc"]) == ("fd00::9", "fd00::1")


@pytest.mark.parametrize("module", ["bridge", "veth"])
def test_a_link_that_is_taken_down_keeps_the_ipv6_addresses_that_are_declared(host: Host, module: str) -> None:
    host.sh("ip netns add red")
    peer = {"peer": {"name": "eth0", "netns": "red"}} if module == "veth" else {}
    host.changed(module, name="x", addresses=["fd00::1/64"], **peer)
    host.changed(module, name="x", addresses=["fd00::1/64", "fd00::2/64"], up=False, **peer)
    assert not host.is_up("x")
    assert set(host.addresses("x")) == {"fd00::1/64", "fd00::2/64"}


def test_a_pair_within_one_namespace_gets_its_routes_back_once(host: Host) -> None:
    host.sh(
        "for n in 1 2; do ip link add name a$n type veth peer name b$n; ip link set dev a$n up; ip link set dev b$n up;"
        " ip addr add 10.$n.0.1/24 dev a$n; ip addr add 10.$n.1.1/24 dev b$n;"
        " ip route add 10.$n.8.0/24 via 10.$n.0.9; ip route add 10.$n.9.0/24 via 10.$n.1.9; done"
    )
    host.changed("veth", pairs=[{"name": "a1"}, {"name": "a2"}], state="absent")
    assert host.links() == []
