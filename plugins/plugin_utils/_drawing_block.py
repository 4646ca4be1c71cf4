# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster as a block: its cards at their places, and where the wires that lead out of it end."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.nslab.linux.plugins.plugin_utils._drawing import Group, Line
from ansible_collections.nslab.linux.plugins.plugin_utils._drawing_card import (
    Card,
    Port,
    Row,
    head_of,
    mark_rows,
    marks_of,
    port,
    speaker_of,
    title_of_node,
)
from ansible_collections.nslab.linux.plugins.plugin_utils._drawing_graph import Cluster, Graph
from ansible_collections.nslab.linux.plugins.plugin_utils._drawing_grid import DROP, Grid, grid_of
from ansible_collections.nslab.linux.plugins.plugin_utils._picture import BRIDGE

INSET = 8.0  # around a bridge inside of its namespace
_APART = 24.0

# A wire and which of its ends, 0 or 1.
WireEnd = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Anchor:
    """Where a wire ends at a block."""

    x: float
    y: float
    at_right: bool
    state: str


@dataclasses.dataclass(frozen=True)
class Block:
    """``boxes`` are drawn before ``lines``, which end on them."""

    width: float
    height: float
    boxes: tuple[Group, ...]
    lines: tuple[Group, ...]
    anchors: t.Mapping[WireEnd, Anchor]


@dataclasses.dataclass(frozen=True)
class Sides:
    """The ends of wires that leave a cluster at the left and at the right, from above."""

    left: tuple[WireEnd, ...] = ()
    right: tuple[WireEnd, ...] = ()


class Builder:
    """Places a cluster; ``rows`` is how many of the cards that hang on something stand below each other.

    It is made at ``least`` so wide. Where only the size is asked for, nothing is ``drawn``.
    """

    def __init__(
        self, graph: Graph, cluster: Cluster, sides: Sides, rows: int, least: float = 0, drawn: bool = True
    ) -> None:
        self.graph = graph
        self.cluster = cluster
        self.sides = sides
        self.rows = rows
        self.least = least
        self.drawn = drawn
        self.boxes: list[Group] = []
        self.lines: list[Group] = []
        self.anchors: dict[WireEnd, Anchor] = {}

    def block(self) -> Block:
        if self.cluster.nested:
            width, height = self._container()
        else:
            width, height = self._plain()
        return Block(width, height, tuple(self.boxes), tuple(self.lines), self.anchors)

    def _plain(self) -> tuple[float, float]:
        cluster = self.cluster
        card = self._card(cluster.top)
        grids = self._grids(cluster.top)
        if cluster.bottom is None:
            width = max(card.width, _abreast(grids), self.least)
            self._place(card, 0, 0, width)
            return width, card.height + self._hang(grids, 0, card.height, card.height)
        below = self._card(cluster.bottom)
        both = [*grids, grid_of(self.graph, cluster.top, cluster.shared, self.rows, cluster.bottom, self.drawn)]
        under = self._grids(cluster.bottom)
        width = max(card.width, below.width, _abreast([*both, *under]), self.least)
        middle = max(grid.height for grid in [*both, *under]) + 2 * DROP
        self._place(card, 0, 0, width)
        self._place(below, 0, card.height + middle, width)
        self._hang(both, 0, card.height, card.height, card.height + middle)
        self._hang(under, _abreast(both) + _APART, card.height + middle, card.height, None)
        return width, card.height + middle + below.height

    def _container(self) -> tuple[float, float]:
        """Its bridges stand in it: those without anything below them one above the other, then the rest in a row."""
        cluster = self.cluster
        gridded = [one for one in cluster.nested if one in cluster.hung]
        in_row = gridded if len(gridded) > 1 else []
        stacked = [self._card(one) for one in cluster.nested if one not in cluster.hung]
        stacked += [self._card(one) for one in gridded if not in_row]
        # Beside each other they have no side that is free, so their wires end at the namespace.
        card = self._card(cluster.top, also=in_row)
        row = [(self._card(one, ports=False), self._grids(one)) for one in in_row]
        widths = [max(slab.width, _abreast(grids)) for slab, grids in row]
        hung = self._grids(cluster.top)
        below = [self._grids(one) for one in gridded if not in_row]
        row_width = sum(widths) + _APART * max(len(widths) - 1, 0)
        across = [row_width, *(_abreast(grids) for grids in below)]
        if hung:
            across.append(_abreast(hung))
        inner = max([one.width for one in stacked] + [sum(across) + _APART * (sum(map(bool, across)) - 1)])
        width = max(card.width, inner + 2 * INSET, self.least)
        bars = [one.height + INSET for one in stacked]
        row_height = max((slab.height + INSET for slab, _grids in row), default=0)
        height = card.height + sum(bars) + row_height
        self._place(card, 0, 0, width, height)
        y = card.height
        for slab, taken in zip(stacked, bars):
            self._place(slab, INSET, y, width - 2 * INSET)
            y += taken
        x, lowest = INSET, 0.0
        for (slab, grids), bar_width in zip(row, widths):
            self._place(slab, x, y, bar_width)
            lowest = max(lowest, self._hang(grids, x, y + slab.height, height))
            x += bar_width + _APART
        for grids in below:
            lowest = max(lowest, self._hang(grids, x, height - INSET, height))
            x += _abreast(grids) + _APART
        lowest = max(lowest, self._hang(hung, x, height, height))
        return width, height + lowest

    def _grids(self, hub: int) -> list[Grid]:
        leaves = self.cluster.hung.get(hub, ())
        return [grid_of(self.graph, hub, leaves, self.rows, drawn=self.drawn)] if leaves else []

    def _hang(self, grids: list[Grid], x: float, edge: float, y: float, lower: float | None = None) -> float:
        """Below ``y``; the trunks begin at ``edge``, those of the second bridge at ``lower``. Returns the height taken."""
        lowest = 0.0
        for grid in grids:
            top = y + DROP
            self.boxes += [group.moved(x, top) for group in grid.boxes]
            for trunk in grid.trunks:
                start = lower if trunk.of_second and lower is not None else edge
                # From above to the last of its wires, from below to the first.
                last = top + (trunk.last if start <= top else trunk.first)
                role = "trunk" if self._kind(trunk.hub) == BRIDGE else "harness"
                title = title_of_node(self.graph.picture.nodes[trunk.hub])
                line = Line(((x + trunk.x, start), (x + trunk.x, last)), role)
                self.lines.append(Group((line,), title=title))
            self.lines += [group.moved(x, top) for group in grid.lines]
            lowest = max(lowest, grid.height + DROP)
            x += grid.width + _APART
        return lowest

    def _kind(self, number: int) -> str:
        return self.graph.picture.nodes[number].kind

    def _card(self, number: int, also: t.Sequence[int] = (), ports: bool = True) -> Card:
        """``also`` are bridges whose wires end at this card."""
        left = [self._port(one, number, False) for one in self.sides.left if self._is_at(one, number, also)]
        right = [self._port(one, number, True) for one in self.sides.right if self._is_at(one, number, also)]
        told = []
        for wire, pair in enumerate(self.graph.ends):
            if wire in self.graph.absorbed and number in pair and self._kind(number) == BRIDGE:
                marked = self.graph.picture.wires[wire]
                told += mark_rows((*marked.marks, *_of_ends(marked)))
        head = head_of(self.graph.picture.nodes[number], told)
        if not ports:
            left = right = []
        return Card(number, self.graph.picture.nodes[number], head, tuple(left), tuple(right))

    def _is_at(self, end: WireEnd, number: int, also: t.Sequence[int]) -> bool:
        return self.graph.ends[end[0]][end[1]] in (number, *also)

    def _port(self, end: WireEnd, number: int, at_right: bool) -> Port:
        wire = self.graph.picture.wires[end[0]]
        node = self.graph.ends[end[0]][end[1]]
        prefix = "" if node == number else f"{self.graph.picture.nodes[node].name} "
        return port(end[0], end[1], wire, _told_at(self.graph, end), prefix, mirrored=at_right)

    def _place(self, card: Card, x: float, y: float, width: float, height: float | None = None) -> None:
        if self.drawn:
            group = Group(tuple(card.drawn(width, height)), f"node-{card.index}", title_of_node(card.node))
            self.boxes.append(group.moved(x, y))
        for one, at_right, below in card.ports():
            self.anchors[one.wire, one.end] = Anchor(x + width if at_right else x, y + below, at_right, one.state)


def _told_at(graph: Graph, end: WireEnd) -> list[Row]:
    """What is to be read at one end of a wire: the marks of the end, and at one of the two those of the wire."""
    wire = graph.picture.wires[end[0]]
    marks = marks_of(wire, wire.ends[end[1]])
    if speaker_of(wire, graph.kinds) == end[1]:
        marks += tuple(mark for mark in wire.marks if mark not in marks)
    return mark_rows(marks)


def _of_ends(wire: t.Any) -> tuple[t.Any, ...]:
    return (*marks_of(wire, wire.ends[0]), *marks_of(wire, wire.ends[1]))


def _abreast(grids: t.Sequence[Grid]) -> float:
    return sum(grid.width for grid in grids) + _APART * max(len(grids) - 1, 0)
