# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a host belongs into its picture: all that was seen, or a lab and what it is plugged to."""

from __future__ import annotations

import typing as t

from ansible_collections.nslab.linux.plugins.module_utils._lab import Lab
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_drift import place_of
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_marks import Cable, Marks
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_sight import Given, SeenLink, Sight
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_words import HOST_KEY, Place, natural


class Scope:
    """``lab`` None is all that there is. ``own`` are the namespaces that are shown whole, in the order of the picture."""

    def __init__(self, sight: Sight, marks: Marks, lab: Lab | None = None) -> None:
        self.sight = sight
        self.marks = marks
        self.lab = lab
        self.own = sorted((each for each in sight.namespaces if each != HOST_KEY), key=natural)
        self.bridges: frozenset[Place] = frozenset()
        self.down: frozenset[Place] = frozenset()
        self._ends: frozenset[Place] = frozenset()
        self._rule_sets: frozenset[Place] = frozenset()
        if lab is not None:
            self._narrow(lab)

    def _narrow(self, lab: Lab) -> None:
        ends = [end.end for link in lab.links for end in link.ends]
        bridges = [each.bridge for each in lab.bridges]
        self.bridges = frozenset((str(each.where), each.name) for each in bridges)
        self._ends = frozenset(map(place_of, ends))
        down = [place_of(each) for each in ends if each.up is False]
        down += [(str(each.where), each.name) for each in bridges if each.up is False]
        self.down = frozenset(down)
        self._rule_sets = frozenset((str(each.nat.where), each.nat.name) for each in lab.nat)
        declared = [each.name for each in lab.namespaces]
        self.own = [*declared, *(each for each in self.own if each not in declared and self._maker(each) == lab.name)]

    def _maker(self, where: str) -> str | None:
        namespace = self.sight.namespaces[where]
        return None if namespace is None else namespace.lab

    def links(self, where: str) -> t.Iterable[SeenLink]:
        namespace = self.sight.namespaces.get(where)
        return () if namespace is None or namespace.links is None else namespace.links.values()

    def cables(self, first: t.Iterable[Cable]) -> list[Cable]:
        """The veth pairs, those that are given before the others."""
        found: dict[Cable, None] = dict.fromkeys(first)
        mine = frozenset(self.own)
        for where in (*self.own, *(each for each in self.sight.namespaces if each not in mine)):
            for link in self.links(where):
                if link.peer is not None and self._has(mine, link.place, link.peer):
                    found.setdefault(frozenset((link.place, link.peer)))
        return list(found)

    def _has(self, mine: t.Container[str], *places: Place) -> bool:
        outlets = [each.place for each in map(self.sight.outlet, places) if each is not None]
        if self.lab is None:
            # What leads from the host to itself is shown where it joins bridges.
            return bool(outlets) or not all(where == HOST_KEY for where, _name in places)
        declared = any(place[0] in mine or place in self._ends for place in places)
        return declared or not self.bridges.isdisjoint(outlets)

    def rule_sets(self, where: str) -> dict[str, Given]:
        """Those of a namespace; of the host, with a lab, those of the lab."""
        namespace = self.sight.namespaces.get(where)
        found = {} if namespace is None else namespace.nat or {}
        every = self.lab is None or where != HOST_KEY
        return {name: each for name, each in found.items() if every or (where, name) in self._rule_sets}

    def bridges_with_nat(self) -> set[Place]:
        """Those on the host that rule sets have inside."""
        names = {name for each in self.rule_sets(HOST_KEY).values() for name in each["inside"]}
        return {(HOST_KEY, name) for name in names if self.sight.bridge((HOST_KEY, name)) is not None}

    def bridges_shown(self, cables: t.Iterable[Cable]) -> list[Place]:
        """Those of the namespaces that are shown whole, of the host those that something leads to."""
        outlets = (self.sight.outlet(place) for cable in cables for place in cable)
        found = {outlet.place for outlet in outlets if outlet is not None}
        found |= {link.place for where in self.own for link in self.links(where) if link.ports is not None}
        found |= {place for place in self.bridges if self.sight.bridge(place) is not None}
        return sorted(found | self.bridges_with_nat(), key=lambda place: (natural(place[0]), natural(place[1])))
