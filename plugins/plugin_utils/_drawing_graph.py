# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a picture hangs together so closely that it is placed as one: a bridge with the namespaces on it, above all."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.nslab.linux.plugins.plugin_utils._picture import (
    BRIDGE,
    HOST,
    NAMESPACE,
    OUTSIDE,
    Node,
    Picture,
)

# A bridge is drawn with its namespaces below it from so many on. Links between namespaces are links of their own, and
# are drawn together only where that many would make a tower.
_HUNG_ON_BRIDGE = 2
_HUNG_ON_OTHER = 7
_SHARED_BY_BRIDGES = 4
_SHARED_BY_OTHERS = 7
_IN_HOST = 3


@dataclasses.dataclass(frozen=True)
class Cluster:
    """Nodes (by their index) that are placed as one.

    ``nested`` are the bridges inside of ``top``, ``hung`` what has links to nothing but one of these. ``bottom`` is a
    second one, and ``shared`` what is on both and nowhere else.
    """

    top: int
    nested: tuple[int, ...] = ()
    bottom: int | None = None
    hung: t.Mapping[int, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    shared: tuple[int, ...] = ()

    @property
    def nodes(self) -> list[int]:
        found = [self.top, *self.nested, *self.shared, *(one for hung in self.hung.values() for one in hung)]
        return found if self.bottom is None else [*found, self.bottom]


@dataclasses.dataclass(frozen=True)
class Graph:
    """``picture`` has a node for every end. ``absorbed`` are the wires that are told by a bridge being inside of its namespace."""

    picture: Picture
    kinds: t.Mapping[str, str]
    ends: tuple[tuple[int, int], ...]
    absorbed: frozenset[int]
    clusters: tuple[Cluster, ...]
    cluster_of: tuple[int, ...]
    between: t.Mapping[tuple[int, int], tuple[int, ...]]
    # What has been measured already: many ways of placing are tried.
    memory: dict[t.Hashable, t.Any] = dataclasses.field(default_factory=dict)

    def wires_between(self, one: int, other: int) -> tuple[int, ...]:
        return self.between.get((min(one, other), max(one, other)), ())


def complete(picture: Picture) -> Picture:
    """With a node for every end of a wire, and no key twice."""
    nodes: dict[str, Node] = {}
    for node in picture.nodes:
        nodes.setdefault(node.key, node)
    for wire in picture.wires:
        for end in wire.ends:
            nodes.setdefault(end.node, Node(end.node, end.node, NAMESPACE))
    return dataclasses.replace(picture, nodes=tuple(nodes.values()))


def graph_of(picture: Picture) -> Graph:
    picture = complete(picture)
    index = {node.key: number for number, node in enumerate(picture.nodes)}
    ends = tuple((index[wire.ends[0].node], index[wire.ends[1].node]) for wire in picture.wires)
    owner = _owners(picture, index, ends)
    absorbed = frozenset(
        number
        for number, (one, other) in enumerate(ends)
        if not picture.wires[number].cable and (owner.get(one) == other or owner.get(other) == one)
    )
    neighbours: list[set[int]] = [set() for _node in picture.nodes]
    for number, (one, other) in enumerate(ends):
        if number not in absorbed:
            neighbours[one].add(other)
            neighbours[other].add(one)
    free = {
        number
        for number, node in enumerate(picture.nodes)
        if number not in owner and number not in owner.values() and node.kind not in (HOST, OUTSIDE)
    }
    bridges = {number for number, node in enumerate(picture.nodes) if node.kind == BRIDGE}
    hung = _hung(neighbours, free, bridges)
    taken = {leaf for leaves in hung.values() for leaf in leaves}
    shared = _shared(neighbours, free - taken, bridges)
    taken |= {leaf for leaves in shared.values() for leaf in leaves} | {bottom for _top, bottom in shared} | set(owner)
    bottoms = {top: (bottom, leaves) for (top, bottom), leaves in shared.items()}
    clusters = []
    for number in range(len(picture.nodes)):
        if number in taken:
            continue
        nested = tuple(sorted(inner for inner, outer in owner.items() if outer == number))
        bottom, both = bottoms.get(number, (None, ()))
        hubs = [number, *nested] if bottom is None else [number, bottom]
        clusters.append(Cluster(number, nested, bottom, {hub: hung[hub] for hub in hubs if hub in hung}, both))
    cluster_of = [0] * len(picture.nodes)
    for place, cluster in enumerate(clusters):
        for one in cluster.nodes:
            cluster_of[one] = place
    between: dict[tuple[int, int], tuple[int, ...]] = {}
    for number, (one, other) in enumerate(ends):
        if number not in absorbed:
            pair = (min(one, other), max(one, other))
            between[pair] = (*between.get(pair, ()), number)
    kinds = {node.key: node.kind for node in picture.nodes}
    return Graph(picture, kinds, ends, absorbed, tuple(clusters), tuple(cluster_of), between)


def _owners(picture: Picture, index: t.Mapping[str, int], ends: t.Sequence[tuple[int, int]]) -> dict[int, int]:
    """Each bridge that is drawn inside of another node, with that: its namespace, or the host if few are on it."""
    owner = {}
    for number, node in enumerate(picture.nodes):
        outer = index.get(node.inside) if node.inside is not None else None
        if outer is not None and outer != number and picture.nodes[outer].inside is None:
            owner[number] = outer
    on_host: dict[int, list[int]] = {}
    for wire, pair in zip(picture.wires, ends):
        for inner, outer in (pair, pair[::-1]):
            inside = picture.nodes[inner].kind == BRIDGE and picture.nodes[inner].inside is None
            if not wire.cable and inside and picture.nodes[outer].kind == HOST and inner not in on_host.get(outer, []):
                on_host.setdefault(outer, []).append(inner)
    for outer, inners in on_host.items():
        if len(inners) <= _IN_HOST:
            owner.update({inner: outer for inner in inners if inner not in owner.values()})
    return owner


def _hung(neighbours: t.Sequence[set[int]], free: set[int], bridges: set[int]) -> dict[int, tuple[int, ...]]:
    found: dict[int, list[int]] = {}
    for leaf in sorted(free):
        if len(neighbours[leaf]) == 1:
            (hub,) = neighbours[leaf]
            # Of a pair that has nothing else neither hangs on the other.
            if hub != leaf and (len(neighbours[hub]) > 1 or hub not in free):
                found.setdefault(hub, []).append(leaf)
    least = {hub: _HUNG_ON_BRIDGE if hub in bridges else _HUNG_ON_OTHER for hub in found}
    return {hub: tuple(leaves) for hub, leaves in found.items() if len(leaves) >= least[hub]}


def _shared(
    neighbours: t.Sequence[set[int]], free: set[int], bridges: set[int]
) -> dict[tuple[int, int], tuple[int, ...]]:
    """For pairs of hubs what is linked to both, and to nothing else. No hub is in two pairs."""
    found: dict[tuple[int, int], list[int]] = {}
    for one in sorted(free - bridges):
        if len(neighbours[one]) == 2 and neighbours[one] <= free:
            top, bottom = sorted(neighbours[one])
            found.setdefault((top, bottom), []).append(one)
    chosen: dict[tuple[int, int], tuple[int, ...]] = {}
    for pair, members in sorted(found.items(), key=lambda item: (-len(item[1]), item[0])):
        least = _SHARED_BY_BRIDGES if set(pair) <= bridges else _SHARED_BY_OTHERS
        if len(members) >= least and not any(set(pair) & set(other) for other in chosen):
            chosen[pair] = tuple(members)
    return chosen
