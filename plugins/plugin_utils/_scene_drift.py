# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How what was seen differs from a lab: what is missing, there besides, or otherwise. What is not declared is not compared.

As the module lab would see it: a run of it finds nothing to do where there is no mark, but for what is there besides, which it
leaves alone.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import typing as t

from ansible_collections.nslab.linux.plugins.module_utils._lab import Lab, LabBridge, LabLink
from ansible_collections.nslab.linux.plugins.module_utils._resources._nat_plan import Nat
from ansible_collections.nslab.linux.plugins.module_utils._resources._veth import VethEnd
from ansible_collections.nslab.linux.plugins.module_utils._values import IPInterface
from ansible_collections.nslab.linux.plugins.plugin_utils._picture import CHANGED, DOWN, EXTRA, MISSING, MTU
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_drift_inside import (
    compare_inside,
    compare_nat,
    everybody_in,
)
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_marks import Cable, Marks
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_sight import SeenLink, Sight
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_words import HOST_KEY, Place, at, bridge_key

_DYNAMIC = ("ra", "dhcp")


@dataclasses.dataclass(frozen=True)
class Drift:
    """What is declared and not there, and the cables that are of the lab, in its order."""

    namespaces: tuple[str, ...] = ()
    bridges: tuple[LabBridge, ...] = ()
    links: tuple[LabLink, ...] = ()
    cables: tuple[Cable, ...] = ()


def places_of(link: LabLink) -> tuple[Place, Place]:
    return place_of(link.ends[0].end), place_of(link.ends[1].end)


def place_of(end: VethEnd) -> Place:
    return (str(end.where), end.name)


def compare(lab: Lab, sight: Sight, marks: Marks) -> Drift:
    """What differs is laid into ``marks``."""
    return _Comparison(lab, sight, marks).drift()


class _Comparison:
    def __init__(self, lab: Lab, sight: Sight, marks: Marks) -> None:
        self.lab = lab
        self.sight = sight
        self.marks = marks
        self.own = {each.name for each in lab.namespaces}
        # A namespace that was not looked at may be there all the same; who looks at the host looks at all.
        self.whole = HOST_KEY in sight.namespaces

    def drift(self) -> Drift:
        gone = tuple(self._namespaces())
        bridges = tuple(each for each in self.lab.bridges if not self._bridge(each))
        links, cables = self._links()
        self._besides(cables)
        wishes: dict[str, list[Nat]] = {}
        for each in self.lab.nat:
            wishes.setdefault(str(each.nat.where), []).append(each.nat)
        for name in (HOST_KEY, *(each.name for each in self.lab.namespaces)):
            seen = self.sight.namespaces.get(name)
            if seen is not None:
                compare_nat(wishes.get(name, ()), seen, name, name != HOST_KEY, self.marks)
        return Drift(gone, bridges, tuple(links), tuple(cables))

    def is_known(self, where: str) -> bool:
        """Whether it can be said what there is in a namespace; in one that is gone there is nothing."""
        if where not in self.sight.namespaces:
            return self.whole
        seen = self.sight.namespaces[where]
        return seen is not None and seen.links is not None

    def _namespaces(self) -> t.Iterator[str]:
        everybody = everybody_in(self.lab)
        for each in self.lab.namespaces:
            seen = self.sight.namespaces.get(each.name)
            if each.name not in self.sight.namespaces and self.whole:
                self.marks.node(each.name, MISSING, f"namespace {each.name} is missing")
                yield each.name
            elif seen is not None:
                lo = self.sight.link((each.name, "lo"))
                if lo is not None and each.loopback is not None and lo.up != each.loopback:
                    self.marks.node(
                        each.name,
                        DOWN if each.loopback else CHANGED,
                        f"lo is {'up, declared down' if lo.up else 'down'}",
                    )
                compare_inside(everybody, each, seen, self.marks)
        for name, other in self.sight.namespaces.items():
            if other is not None and other.lab == self.lab.name and name not in self.own:
                self.marks.node(name, EXTRA, f"namespace {name} is of lab {other.lab}, and not declared")

    # bridges

    def _bridge(self, each: LabBridge) -> bool:
        """Whether it is there, or nobody knows."""
        wanted = each.bridge
        place = (str(wanted.where), wanted.name)
        key = bridge_key(*place)
        if not self.is_known(place[0]):
            return True
        found = self.sight.bridge(place)
        if found is None:
            other = self.sight.link(place)
            what = "" if other is None else f": {wanted.name} is a {other.kind or 'physical link'}"
            self.marks.node(key, MISSING, f"bridge {wanted.name} is missing{what}")
            return False
        for kind, text in self._differences(found, wanted.addresses, wanted.purge, wanted.mtu, wanted.mac):
            self.marks.node(key, CHANGED if kind in (MISSING, EXTRA) else kind, text)  # the bridge is there
        if wanted.up is False and found.up:
            self.marks.node(key, CHANGED, f"{wanted.name} is up, declared down")
        for name, value in wanted.options:
            so = found.options[name]
            # With the spanning tree the kernel has limits of its own for the delay.
            if name == "forward_delay" and found.options["stp"]:
                continue
            if round(so * 100) != value if isinstance(so, float) else int(so) != value:
                declared = value / 100 if isinstance(so, float) else value
                self.marks.node(key, CHANGED, f"{name} {_plain(so)}, declared {_plain(declared)}")
        for port in wanted.ports or ():
            if port not in (found.ports or ()):
                self.marks.node(key, CHANGED, f"port {port} is not plugged in")
        return True

    def _differences(
        self,
        found: SeenLink,
        addresses: t.Sequence[IPInterface] | None,
        purge: bool,
        mtu: int | None,
        mac: str | None,
    ) -> t.Iterator[tuple[str, str]]:
        name = found.name
        if mtu is not None and found.mtu != mtu:
            yield MTU, f"{name} has mtu {found.mtu}, declared {mtu}"
        if mac is not None and found.mac != mac:
            yield CHANGED, f"{name} has mac {found.mac}, declared {mac}"
        if addresses is None:
            return
        here = [ipaddress.ip_interface(each) for each in found.addresses]
        missing = [each for each in addresses if each not in here]
        surplus = [each for each in here if each not in addresses and purge and not self._is_dynamic(found, each)]
        for version in (4, 6):
            lost = ", ".join(str(each) for each in missing if each.version == version)
            more = ", ".join(str(each) for each in surplus if each.version == version)
            if lost and more:
                yield CHANGED, f"{name} has {more}, declared {lost}"
            elif lost:
                yield MISSING, f"{lost} is missing on {name}"
            elif more:
                yield EXTRA, f"{more} on {name} is not declared"

    def _is_dynamic(self, found: SeenLink, address: IPInterface) -> bool:
        """Whether it came by itself, by router advertisements or DHCP, as routes by the same link did."""
        seen = self.sight.namespaces[found.place[0]]
        family = f"ipv{address.version}"
        return any(
            (each["family"], each["dev"]) == (family, found.name) and each["protocol"] in _DYNAMIC
            for each in (seen.routes if seen is not None else None) or ()
        )

    # links

    def _links(self) -> tuple[list[LabLink], list[Cable]]:
        """Those that are missing, and the cables that are declared."""
        cables = {frozenset((link.place, link.peer)) for link in self.sight.links() if link.peer is not None}
        ends = {place: cable for cable in cables for place in cable}
        declared = {frozenset(places_of(link)) for link in self.lab.links}
        missing: list[LabLink] = []
        found: list[Cable] = []
        for link in self.lab.links:
            places = places_of(link)
            exact = frozenset(places)
            # Of an end that was renamed or moved tells the other.
            kept = [place for place in places if place in ends and ends[place] not in declared]
            if exact in cables:
                found.append(exact)
            elif kept:
                cable = ends[kept[0]]
                found.append(cable)
                (now,) = cable - {kept[0]} or {kept[0]}
                wanted = places[1 - places.index(kept[0])]
                if self.is_known(wanted[0]):
                    self.marks.cable(cable, CHANGED, f"link {at(kept[0])} leads to {at(now)}, declared {at(wanted)}")
            elif all(self.is_known(where) for where, _name in places):
                self.marks.cable(exact, MISSING, f"link {at(places[0])} - {at(places[1])} is missing")
                missing.append(link)
            for each in link.ends:
                self._end(each.end)
        return missing, list(dict.fromkeys(found))

    def _end(self, wanted: VethEnd) -> None:
        place = place_of(wanted)
        found = self.sight.link(place)
        if found is None:
            return
        for kind, text in self._differences(found, wanted.addresses, wanted.purge, wanted.mtu, wanted.mac):
            self.marks.end(place, kind, text)
        if wanted.up is False and found.up:
            self.marks.end(place, CHANGED, f"{found.name} is up, declared down")
        if wanted.master is not None and found.master != wanted.master:
            now = "in no bridge" if found.master is None else f"a port of {found.master}"
            self.marks.end(place, CHANGED, f"{found.name} is {now}, declared in {wanted.master}")

    # what is there besides

    def _besides(self, declared: t.Container[Cable]) -> None:
        bridges = {(str(each.bridge.where), each.bridge.name): each.bridge for each in self.lab.bridges}
        ends = {place_of(end.end) for each in self.lab.links for end in each.ends}
        for link in self.sight.links():
            where, name = link.place
            own = where in self.own
            master = bridges.get((where, link.master or ""))
            if link.from_kernel or not (own or master) or (master is not None and name in (master.ports or ())):
                continue
            if link.peer is not None:
                cable = frozenset((link.place, link.peer))
                if cable not in declared:
                    one, other = sorted(cable, key=lambda place: (place[0] == HOST_KEY, place))
                    self.marks.cable(cable, EXTRA, f"link {at(one)} - {at(other)} is not declared")
            elif link.ports is not None and own:
                if link.place not in bridges:
                    self.marks.node(bridge_key(where, name), EXTRA, f"bridge {name} is not declared")
            elif link.place not in ends:
                key = where if master is None else bridge_key(where, master.name)
                self.marks.node(key, CHANGED, f"{name} ({link.kind or 'physical'}) is not declared")


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(int(value) if isinstance(value, bool) else value)
