# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of a lab: given out of its subnets, and who has which. What is wrong with them stands in _lab_overlaps.py."""

from __future__ import annotations

import bisect
import dataclasses
import ipaddress
import typing as t

from ._addressing import room
from ._lab import HOST_NODE, Endpoint, Fault, Lab, LabBridge, LabLink, changed
from ._lab_overlaps import judge
from ._lab_segments import Key, holders, key_of, outlet, segments
from ._values import IPAddress, IPInterface, IPNetwork

__all__ = ["addressed", "claims", "host_entries", "judge"]

Remembered = t.Mapping[Key, t.Sequence[IPInterface]]


def addressed(lab: Lab, remembered: Remembered) -> tuple[Lab, tuple[Fault, ...]]:
    """The lab with the addresses that its subnets give, and the subnets that have no room.

    Of a bridge's subnet the bridge has the first address, then the far ends of its links have one each, in the order of the
    definition. Of a link's subnet its ends have the first and the second. Who declares addresses of a subnet's family (a
    bridge: of the subnet itself), or an empty list, keeps to these; and what somebody declares is not given out.

    ``remembered``: by place and name of an interface what it had before. It keeps that if it is of the subnet, with its
    prefix length, and nobody else's; so a node that comes or goes changes nobody's address.

    A bridge behind another bridge is one segment with it, but what is plugged in there has no address of the first one's
    subnet: it has those of its own bridge's, or what it declares.
    """
    if not any(_subnets(lab)):
        return lab, ()
    dealer = _Dealer(lab, remembered)
    for bridge, far in _far_ends(lab):
        dealer.deal(f"{bridge.path}.subnet", bridge.subnets, [key_of(bridge.bridge), *far])
    for link in lab.links:
        if link.subnets:
            dealer.deal(f"{link.path}.subnet", link.subnets, [key_of(end.end) for end in link.ends])
    bridges = tuple(dealer.bridge(each) for each in lab.bridges)
    links = tuple(dealer.link(each) for each in lab.links)
    return dataclasses.replace(lab, bridges=bridges, links=links), tuple(dealer.faults)


def _far_ends(lab: Lab) -> t.Iterator[tuple[LabBridge, list[Key]]]:
    """The bridges with a subnet, and what is plugged into each."""
    found: dict[Key, list[Key]] = {key_of(each.bridge): [] for each in lab.bridges if each.subnets}
    for link in lab.links:
        for end, far in (link.ends, link.ends[::-1]):
            if end.end.master is not None and far.end.master is None and outlet(end.end) in found:
                found[outlet(end.end)].append(key_of(far.end))
    for each in lab.bridges:
        if each.subnets:
            yield each, found[key_of(each.bridge)]


class _Dealer:
    def __init__(self, lab: Lab, remembered: Remembered) -> None:
        self.remembered = remembered
        self.faults: list[Fault] = []
        self.given: dict[Key, list[IPInterface]] = {}
        self.declared = {each.key: each.addresses for each in holders(lab)}
        self.bridges = {key_of(each.bridge) for each in lab.bridges}
        # With overlap, what is declared in another segment is no obstacle.
        self.segments = segments(lab) if lab.overlap else {}
        self.spoken = self._spoken_for()

    def _spoken_for(self) -> dict[tuple[Key | None, int], list[int]]:
        """What is declared, by segment and version, sorted: how much of a subnet that is, is looked up quickly."""
        found: dict[tuple[Key | None, int], set[int]] = {}
        for key, addresses in self.declared.items():
            for one in addresses or ():
                found.setdefault((self.segments.get(key), one.version), set()).add(int(one))
        return {where: sorted(numbers) for where, numbers in found.items()}

    def deal(self, path: str, subnets: t.Iterable[IPNetwork], keys: t.Sequence[Key]) -> None:
        for subnet in subnets:
            wanting = [key for key in keys if self._wants(key, subnet)]
            spoken = self.spoken.get((self.segments.get(keys[0]), subnet.version), [])
            size = room(subnet)
            first = int(subnet.network_address) + (0 if subnet.prefixlen >= subnet.max_prefixlen - 1 else 1)
            last = first + size - 1
            spoken = spoken[bisect.bisect_left(spoken, first) : bisect.bisect_right(spoken, last)]
            if len(wanting) > size - len(spoken):
                other = f", {len(spoken)} of which are declared" if spoken else ""
                text = f"{subnet} has room for {size} addresses{other}, and {len(wanting)} interfaces want one"
                self.faults.append(Fault(path, f"{text}: choose a larger subnet"))
                continue
            for key, number in _dealt(wanting, self._kept(wanting, subnet, spoken, first, last), spoken, first):
                self.given.setdefault(key, []).append(_interface(number, subnet))

    def _wants(self, key: Key, subnet: IPNetwork) -> bool:
        declared = self.declared.get(key)
        if not declared:
            return declared is None
        if key in self.bridges:
            return not any(one.ip in subnet for one in declared)
        return not any(one.version == subnet.version for one in declared)

    def _kept(
        self, wanting: t.Sequence[Key], subnet: IPNetwork, spoken: t.Sequence[int], first: int, last: int
    ) -> dict[Key, int]:
        """Who keeps which. A bridge that had none goes before the others: it may be what they have as their gateway."""
        if not self.remembered:
            return {}
        kept: dict[Key, int] = {}
        used = set(spoken)
        length, version = subnet.prefixlen, subnet.version
        for key in wanting:
            for one in self.remembered.get(key, ()):
                number = int(one)
                if one.version != version or one.network.prefixlen != length or not first <= number <= last:
                    continue
                if number not in used:
                    used.add(number)
                    kept[key] = number
                    break
            else:
                if key in self.bridges:
                    kept[key] = next(number for number in range(first, last + 1) if number not in used)
                    used.add(kept[key])
        return kept

    def bridge(self, bridge: LabBridge) -> LabBridge:
        given = self.given.get(key_of(bridge.bridge))
        if given is None:
            return bridge
        wanted = dataclasses.replace(bridge.bridge, addresses=(*given, *(bridge.bridge.addresses or ())))
        return dataclasses.replace(bridge, bridge=wanted)

    def link(self, link: LabLink) -> LabLink:
        ends = [self._end(end) for end in link.ends]
        if ends[0] is link.ends[0] and ends[1] is link.ends[1]:
            return link
        return LabLink(link.path, (ends[0], ends[1]), link.subnets)

    def _end(self, end: Endpoint) -> Endpoint:
        given = None if end.end.master is not None else self.given.get(key_of(end.end))
        if given is None:
            return end
        wanted = changed(end.end, addresses=(*given, *(end.end.addresses or ())))
        return Endpoint(end.path, end.node, end.interface, wanted)


def _dealt(
    wanting: t.Sequence[Key], kept: t.Mapping[Key, int], spoken: t.Sequence[int], first: int
) -> t.Iterator[tuple[Key, int]]:
    """An address for each, the lowest that are free to those who keep none."""
    used = {*kept.values(), *spoken}
    number = first
    for key in wanting:
        if key in kept:
            yield key, kept[key]
            continue
        while number in used:
            number += 1
        yield key, number
        number += 1


def _interface(number: int, subnet: IPNetwork) -> IPInterface:
    """By numbers: from a text it takes four times as long."""
    if subnet.version == 4:
        return ipaddress.IPv4Interface((number, subnet.prefixlen))
    return ipaddress.IPv6Interface((number, subnet.prefixlen))


def _subnets(lab: Lab) -> t.Iterator[tuple[str, IPNetwork]]:
    for bridge in lab.bridges:
        yield from ((f"{bridge.path}.subnet", subnet) for subnet in bridge.subnets)
    for link in lab.links:
        yield from ((f"{link.path}.subnet", subnet) for subnet in link.subnets)


def claims(lab: Lab) -> dict[IPNetwork, str]:
    """What the lab takes of the networks of its host, with the path of each: its subnets, and what its addresses there are in."""
    found: dict[IPNetwork, str] = {}
    for path, subnet in _subnets(lab):
        found.setdefault(subnet, path)
    for holder in holders(lab):
        if holder.key[0] == HOST_NODE:
            for address in holder.addresses or ():
                if address.network.prefixlen < address.max_prefixlen:
                    found.setdefault(address.network, holder.path)
    return found


def host_entries(lab: Lab) -> dict[str, tuple[IPAddress, ...]]:
    """The addresses of each namespace, by node: those of its links in the order of the definition, then its bridges', IPv4 first."""
    found: dict[str, tuple[list[IPAddress], list[IPAddress]]] = {each.node: ([], []) for each in lab.namespaces}
    every = list(holders(lab))
    for holder in (*every[len(lab.bridges) :], *every[: len(lab.bridges)]):
        if holder.node in found:
            for address in holder.addresses or ():
                found[holder.node][address.version == 6].append(address.ip)
    return {node: (*four, *six) for node, (four, six) in found.items()}
