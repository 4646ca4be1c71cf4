# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The labs of the benchmark: as large as they are said to be, without a clash, and their pings find there and back."""

from __future__ import annotations

import ipaddress
from collections import Counter

import pytest

from ansible_collections.nslab.linux.benchmarks.topologies import HOST, Lab, grown, growth, lab_of, part, plain

LABS = [("bridge", 1), ("bridge", 10), ("bridge", 1000), ("bridge", 2500), ("chain", 3), ("chain", 1000)]
LABS += [("grid", 9), ("grid", 400)]


@pytest.fixture(params=LABS, ids=lambda lab: f"{lab[0]}-{lab[1]}")
def lab(request: pytest.FixtureRequest) -> Lab:
    return lab_of(*request.param)


@pytest.fixture(params=["as made", "grown"])
def either(request: pytest.FixtureRequest, lab: Lab) -> Lab:
    return grown(lab) if request.param == "grown" else lab


class Walk:
    """A lab as packets see it: who has an address, what is on link, who forwards and by which routes."""

    def __init__(self, lab: Lab) -> None:
        self.owner = {plain(bridge.address): HOST for bridge in lab.bridges}
        self.on_link = {HOST: [ipaddress.IPv4Interface(bridge.address).network for bridge in lab.bridges]}
        self.address: dict[str, str] = {}
        for end in [end for link in lab.links for end in (link.first, link.second) if end.address]:
            self.owner[plain(end.address)] = end.netns
            self.on_link.setdefault(end.netns, []).append(ipaddress.IPv4Interface(end.address).network)
            self.address.setdefault(end.netns, plain(end.address))
        self.routes = {
            one.name: {
                ipaddress.IPv4Network(route.dst.replace("default", "0.0.0.0/0")): route.via for route in one.routes
            }
            for one in lab.namespaces
        }
        self.forwards = {one.name for one in lab.namespaces if one.forwards}

    def reaches(self, here: str, address: str) -> bool:
        return any(ipaddress.IPv4Address(address) in network for network in self.on_link[here])

    def hops(self, here: str, target: str) -> int:
        """How many places a packet crosses until it is where the address is."""
        count = 0
        while here != self.owner[target]:
            assert count == 0 or here in self.forwards, f"{here} does not forward"
            gateway = target
            if not self.reaches(here, target):
                fitting = [one for one in self.routes[here] if ipaddress.IPv4Address(target) in one]
                gateway = self.routes[here][max(fitting, key=lambda network: network.prefixlen)]
                assert self.reaches(here, gateway), f"no link of {here} reaches {gateway}"
            here = self.owner[gateway]
            count += 1
            assert count < 64, "a packet goes no farther"
        return count


def test_it_has_the_size_that_was_asked_for(lab: Lab):
    assert lab.size == int(lab.title.split()[0]) if lab.kind == "bridge" else lab.size in (3, 9, 400, 1000)
    assert grown(lab).size == lab.size + 1


def test_nothing_occurs_twice(either: Lab):
    names = [namespace.name for namespace in either.namespaces]
    ends = [(end.netns, end.name) for link in either.links for end in (link.first, link.second)]
    addresses = [end.address for link in either.links for end in (link.first, link.second) if end.address]
    addresses += [bridge.address for bridge in either.bridges]
    for what in (names, ends, [plain(address) for address in addresses]):
        assert [one for one, count in Counter(what).items() if count > 1] == []
    assert {netns for netns, _name in ends} - {HOST} == set(names)


def test_addresses_are_those_of_hosts_and_names_fit(either: Lab):
    for link in either.links:
        for end in (link.first, link.second):
            assert len(end.name) <= 15
            if end.address:
                interface = ipaddress.IPv4Interface(end.address)
                assert interface.ip not in (interface.network.network_address, interface.network.broadcast_address)


def test_no_bridge_has_more_ports_than_it_can(either: Lab):
    ports = Counter(link.first.master for link in either.links if link.first.master)
    assert set(ports) == {bridge.name for bridge in either.bridges}
    assert all(count <= 1023 for count in ports.values())


def test_pings_find_there_and_back(either: Lab):
    walk = Walk(either)
    assert either.pings
    for ping in either.pings:
        there = walk.hops(ping.netns, ping.address)
        far = walk.owner[ping.address]
        assert far == HOST or walk.hops(far, walk.address[ping.netns]) == there


@pytest.mark.parametrize(("kind", "size", "far"), [("chain", 50, 49), ("chain", 1000, 60), ("grid", 400, 38)])
def test_a_ping_crosses_the_lab_as_far_as_packets_go(kind: str, size: int, far: int):
    lab = lab_of(kind, size)
    assert Walk(lab).hops(lab.pings[0].netns, lab.pings[0].address) == far


def test_what_is_added_is_what_the_grown_lab_has_more(lab: Lab):
    more, larger = growth(lab), grown(lab)
    assert set(larger.namespaces) - set(lab.namespaces) == {more.namespace}
    assert set(larger.links) - set(lab.links) == {more.link}
    added = part(lab, more)
    assert (added.namespaces, added.bridges, added.links) == ((more.namespace,), (), (more.link,))


@pytest.mark.parametrize(("kind", "size"), [("grid", 10), ("grid", 4), ("chain", 2), ("bridge", 0), ("ring", 10)])
def test_what_can_not_be_built_is_refused(kind: str, size: int):
    with pytest.raises(ValueError, match=f"{kind}:{size}"):
        lab_of(kind, size)
