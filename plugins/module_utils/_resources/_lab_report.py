# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab as it is returned, and as it is shown in a diff: by namespace."""

from __future__ import annotations

from .._lab import Lab
from .._values import HOST
from .._world import World
from ._binding import name_ref
from ._bridge import report_bridge
from ._lab_ledger import Entries
from ._lab_links import reference
from ._link import report_link
from ._nat import rules_of
from ._resolv import ResolverFiles
from ._routing import route_words


def report_lab(world: World, lab: Lab) -> dict[str, object]:
    """The lab with its namespaces and bridges by name, and its links by each of their ends."""
    ends = {
        f"{end.node}:{end.end.name}": report_link(world, end.end.where, end.end.name)
        for link in lab.links
        for end in link.ends
    }
    inside: dict[str, dict[str, object]] = {each.node: {} for each in lab.namespaces}
    for link in lab.links:
        for end in link.ends:
            if end.node in inside:
                inside[end.node][end.end.name] = ends[f"{end.node}:{end.end.name}"]
    namespaces = {}
    for each in lab.namespaces:
        state = world.at(each.where)
        namespaces[each.node] = {
            "name": each.name,
            "path": each.where.path,
            "inode": None if state is None else state.inode,
            "links": inside[each.node],
        }
    bridges = {
        bridge.bridge.name: report_bridge(world, bridge.bridge.where, bridge.bridge.name) for bridge in lab.bridges
    }
    return {"name": lab.name, "namespaces": namespaces, "bridges": bridges, "links": ends}


def governed_lab(world: World, lab: Lab, entries: Entries) -> dict[str, object]:
    """What the lab may change, so far as it is there: by namespace, the host last."""
    shown = _Shown(world)
    for kind, *identity in entries:
        shown.lay_out(kind, identity)
    for each in lab.namespaces:
        state = world.at(each.where)
        for path, _value in each.sysctls:
            if state is not None and state.sysctls.get(path) is not None:
                shown.lay(each.name, "sysctl", path, state.sysctls[path])
    return dict(sorted(shown.found.items(), key=lambda item: (item[0] == str(HOST), item[0])))


class _Shown:
    """By namespace, by kind, by name."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.found: dict[str, dict[str, dict[str, object]]] = {}

    def lay(self, where: str, kind: str, name: str, what: object) -> None:
        self.found.setdefault(where, {}).setdefault(kind, {})[name] = what

    def lay_out(self, kind: str, identity: list[str]) -> None:
        """What an entry of the ledger stands for."""
        where = identity[0]
        if kind == "namespace":
            lo = self.world.link(name_ref(where), "lo")
            if lo is not None:
                self.lay(where, "links", "lo", {"up": lo.up})
        elif kind == "bridge":
            self._link(where, identity[1], report_bridge(self.world, reference(where), identity[1]))
        elif kind == "veth":
            for place, name in (identity[:2], identity[2:]):
                self._link(place, name, report_link(self.world, reference(place), name))
        elif kind == "route":
            self._routes(where, identity[1:])
        elif kind == "rules":
            self._rules(where, identity[1])
        elif kind == "files":
            for path in ResolverFiles(where).paths:
                file = self.world.files.get(path)
                if file is not None:
                    self.lay(where, "files", path, file.content)

    def _link(self, where: str, name: str, shown: dict[str, object] | None) -> None:
        if shown is not None:
            told = {key: value for key, value in shown.items() if key not in ("name", "netns")}
            self.lay(where, "links", name, {key: value for key, value in told.items() if value not in (None, [])})

    def _routes(self, where: str, identity: list[str]) -> None:
        state = self.world.at(reference(where))
        for route in () if state is None else state.routes:
            if [str(route.dst), str(route.table), str(route.metric)] == identity:
                words = [str(word) for word in route_words(route)]
                self.lay(where, "routes", words[0], " ".join(words[1:]))

    def _rules(self, where: str, name: str) -> None:
        state = self.world.at(reference(where))
        rules = [] if state is None or state.table is None else rules_of(state.table, name)
        if rules:
            self.lay(where, "nat", name, rules)
