# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Blocks in columns, and wires between them. Many columns are folded into bands, as a text is into lines, but that every
other band is read from the right: so a ring or a chain goes on right below where it was.

A wire runs level at its own height out of its column, where nothing else is, and bends only between columns: so it can
pass neither a box nor a word.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.nslab.linux.plugins.plugin_utils._drawing import Group, Item, Line, Sign
from ansible_collections.nslab.linux.plugins.plugin_utils._drawing_block import Anchor, Block, Builder, Sides, WireEnd
from ansible_collections.nslab.linux.plugins.plugin_utils._drawing_card import (
    kinds_of,
    line_kinds,
    marks_of,
    speaker_of,
    title_of_wire,
)
from ansible_collections.nslab.linux.plugins.plugin_utils._drawing_graph import Graph
from ansible_collections.nslab.linux.plugins.plugin_utils._drawing_order import Layers, opened
from ansible_collections.nslab.linux.plugins.plugin_utils._drawing_paths import (
    LEAD,
    SIGNED,
    TRACK,
    Placed,
    across,
    around,
    span,
    to_origin,
    tracks_of,
)

RATIO = 1.25  # of width to height: one scrolls down more readily than aside
_SCREEN = 1000.0
_ROWS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 17, 20, 25, 30, 40)
_GAP = 22.0  # between blocks in a column
_BAND = 44.0
_CHANNEL = (66.0, 300.0)
_PER_WIRE = 5.0
# A block is made as wide as its column if it is about as wide anyway.
_STRETCHED = 0.55
# So many wires at the most between two bands.
_TURNING = 40
_CROWDED = 60.0
_SWEEPS = 6
_FOLDS = 24
_OPENED = 1.25


def score(width: float, height: float) -> float:
    """How large a screen has to be; every screen has some size."""
    return max(width, RATIO * height, _SCREEN)


class Bands:
    """One way of placing a component: its columns, how many rows hang on a bridge, and which columns begin a band."""

    def __init__(self, graph: Graph, layers: Layers, wires: t.Sequence[int], rows: int) -> None:
        self.graph = graph
        self.layers = [list(layer) for layer in layers]
        self.wires = wires
        self.rows = rows
        self.column = {one: number for number, layer in enumerate(layers) for one in layer}
        self.starts = [0]
        self.ends_at: dict[int, list[WireEnd]] = {one: [] for one in self.column}
        for wire in wires:
            for end in (0, 1):
                self.ends_at[self._cluster((wire, end))].append((wire, end))
        self.blocks = self._blocks(drawn=False)
        self.crossing = [0] * len(layers)  # the wires between a column and the next
        self.staying: list[list[int]] = [[] for _layer in layers]
        for wire in wires:
            one, other = (self.column[self._cluster((wire, end))] for end in (0, 1))
            if one == other:
                self.staying[one].append(wire)
            else:
                self.crossing[min(one, other)] += 1
        self.signed = any(kinds_of(graph.picture.wires[wire]) for wire in wires)
        self.widths = [max(self.blocks[one].width for one in layer) for layer in layers]
        self.heights = [sum(self.blocks[one].height + _GAP for one in layer) - _GAP for layer in layers]
        self.channels = [self._channel(number) for number in range(len(layers))]

    def _cluster(self, end: WireEnd) -> int:
        return self.graph.cluster_of[self.graph.ends[end[0]][end[1]]]

    def _channel(self, column: int) -> float:
        tracks = 2 * TRACK + TRACK * len(self.staying[column]) if self.staying[column] else 0
        if not self.crossing[column]:
            return tracks
        signs = 2 * (SIGNED - LEAD) if self.signed else 0
        bends = min(max(_CHANNEL[0], 40 + _PER_WIRE * self.crossing[column]), _CHANNEL[1])
        return bends + signs + min(tracks, 200)

    def _band_of(self, column: int) -> int:
        return sum(start <= column for start in self.starts) - 1

    def _is_reversed(self, column: int) -> bool:
        return self._band_of(column) % 2 == 1

    def size(self) -> tuple[float, float]:
        """About what it will take."""
        left = self._columns()
        right = max(x + width for x, width in zip(left, self.widths))
        heights = [max(self.heights[n] for n in band) for band in self._ranges()]
        # Turning wires take room, and are not followed as easily.
        turning = sum(TRACK * 2 + _CROWDED * max(self.crossing[start - 1] - 2, 0) for start in self.starts[1:])
        return right - min(left) + turning, sum(heights) + _BAND * (len(heights) - 1) * 2

    def _ranges(self) -> list[range]:
        return [range(start, end) for start, end in zip(self.starts, [*self.starts[1:], len(self.layers)])]

    def fold(self, count: int) -> None:
        """Into about so many bands."""
        whole = sum(self.widths) + sum(self.channels)
        self.starts, taken = [0], 0.0
        for column in range(len(self.layers)):
            width = self.widths[column] + self.channels[column]
            if taken and taken + width > whole / count * 1.02 and self.crossing[column - 1] <= _TURNING:
                self.starts.append(column)
                taken = 0.0
            taken += width

    # The sides of a block, and the order of its wires there.

    def _blocks(self, drawn: bool) -> dict[int, Block]:
        found = {}
        for number, layer in enumerate(self.layers):
            for one in layer:
                wide = self.widths[number] if drawn and self.blocks[one].width > _STRETCHED * self.widths[number] else 0
                builder = Builder(self.graph, self.graph.clusters[one], self._sides(one), self.rows, wide, drawn)
                found[one] = builder.block()
        return found

    def _sides(self, one: int) -> Sides:
        column = self.column[one]
        before: list[tuple[tuple[int, ...], WireEnd]] = []
        after: list[tuple[tuple[int, ...], WireEnd]] = []
        mine = self.layers[column].index(one)
        for end in self.ends_at[one]:
            there = self._cluster((end[0], 1 - end[1]))
            other = self.column[there]
            place = self.layers[other].index(there)
            # A wire that goes on in the next band turns, and the uppermost becomes the lowest.
            turned = -1 if self._band_of(other) != self._band_of(column) else 1
            if other == column:
                # Upwards the nearest comes first, and downwards last: so none has to cross another.
                key: tuple[int, ...] = (0 if place < mine else 2, -place, end[0], end[1])
                (before if column == 0 and len(self.layers) > 1 else after).append((key, end))
            elif other < column:
                before.append(((1, turned * place, turned * end[0]), end))
            else:
                after.append(((1, turned * place, turned * end[0]), end))
        left, right = (tuple(end for _key, end in sorted(side)) for side in (before, after))
        if self._is_reversed(column):
            return Sides(left=right, right=left)
        return Sides(left, right)

    # Places.

    def placed(self) -> Placed:
        for band in self._ranges():
            if self._is_reversed(band[0]):
                for column in band:
                    self.layers[column] = self.layers[column][::-1]
        # At the other side a bridge may be wider.
        self.blocks = self._blocks(drawn=False)
        self.widths = [max(self.blocks[one].width for one in layer) for layer in self.layers]
        self.blocks = self._blocks(drawn=True)
        left = self._columns()
        tops = self._tops()
        boxes: list[Group] = []
        lines: list[Group] = []
        anchors: dict[WireEnd, Anchor] = {}
        for one, block in self.blocks.items():
            column = self.column[one]
            x, y = left[column], tops[one]
            if self._is_reversed(column):
                x += self.widths[column] - block.width
            boxes += [group.moved(x, y) for group in block.boxes]
            lines += [group.moved(x, y) for group in block.lines]
            for end, anchor in block.anchors.items():
                anchors[end] = dataclasses.replace(anchor, x=anchor.x + x, y=anchor.y + y)
        lines += self._wires(left, anchors)
        return to_origin(boxes, lines)

    def _columns(self) -> list[float]:
        left = [0.0] * len(self.layers)
        edge = 0.0  # where the band begins: its left, or, if it is read from the right, its right
        for band in self._ranges():
            x = edge
            for column in band:
                if self._is_reversed(column):
                    left[column] = x - self.widths[column]
                    x = left[column] - self.channels[column]
                else:
                    left[column] = x
                    x += self.widths[column] + self.channels[column]
            last = band[-1]
            edge = left[last] if self._is_reversed(last) else left[last] + self.widths[last]
        return left

    def _tops(self) -> dict[int, float]:
        tops: dict[int, float] = {}
        base = 0.0
        for band in self._ranges():
            for column in band:
                y = 0.0
                for one in self.layers[column]:
                    tops[one] = y
                    y += self.blocks[one].height + _GAP
            for sweep in range(_SWEEPS):
                for column in band[1:] if sweep % 2 == 0 else band[-2::-1] if len(band) > 1 else []:
                    self._level(column, band, tops, sweep)
            members = [one for column in band for one in self.layers[column]]
            shift = base - min(tops[one] for one in members)
            for one in members:
                tops[one] += shift
            base = max(tops[one] + self.blocks[one].height for one in members) + _BAND
        return tops

    def _level(self, column: int, band: range, tops: dict[int, float], sweep: int) -> None:
        """Moves the blocks of a column to where their wires run level, as far as they have room: those that push each other
        move together (pool adjacent violators)."""
        aside = column - 1 if sweep % 2 == 0 else column + 1
        last = sweep >= _SWEEPS - 2
        wishes = []
        for one in self.layers[column]:
            wished = []
            for wire, end in self.ends_at[one]:
                there = self._cluster((wire, 1 - end))
                other = self.column[there]
                if other in band and (other == aside or (last and abs(other - column) == 1)):
                    away = tops[there] + self.blocks[there].anchors[wire, 1 - end].y
                    wished.append(away - self.blocks[one].anchors[wire, end].y)
            wishes.append((sum(wished) / len(wished) if wished else tops[one], len(wished) or 0.1))
        offset = 0.0
        pools: list[tuple[float, float, int]] = []  # where it wishes to be, with which weight, how many
        for one, (wish, weight) in zip(self.layers[column], wishes):
            pool = (wish - offset, weight, 1)
            while pools and pools[-1][0] >= pool[0]:
                earlier = pools.pop()
                heavy = earlier[1] + pool[1]
                pool = ((earlier[0] * earlier[1] + pool[0] * pool[1]) / heavy, heavy, earlier[2] + pool[2])
            pools.append(pool)
            offset += self.blocks[one].height + _GAP
        offset = 0.0
        places = iter([place for place, _weight, count in pools for _member in range(count)])
        for one in self.layers[column]:
            tops[one] = next(places) + offset
            offset += self.blocks[one].height + _GAP

    # Wires.

    def _wires(self, left: t.Sequence[float], anchors: t.Mapping[WireEnd, Anchor]) -> list[Group]:
        edges = {}  # where a wire may bend
        loops: dict[tuple[int, bool], list[int]] = {}
        turns: dict[int, list[int]] = {}
        for wire in self.wires:
            columns = [self.column[self._cluster((wire, end))] for end in (0, 1)]
            for end in (0, 1):
                right = anchors[wire, end].at_right
                edges[wire, end] = left[columns[end]] + (self.widths[columns[end]] if right else 0)
            if columns[0] == columns[1]:
                loops.setdefault((columns[0], anchors[wire, 0].at_right), []).append(wire)
            elif self._band_of(columns[0]) != self._band_of(columns[1]):
                turns.setdefault(min(columns), []).append(wire)
        points = {}
        deepest: dict[tuple[int, bool], int] = {}
        for (column, right), wires in loops.items():
            taken = tracks_of({wire: span(anchors, wire) for wire in wires})
            deepest[column, right] = max(taken.values()) + 1
            for wire, track in taken.items():
                out = SIGNED + TRACK * track
                bend = max(edges[wire, 0], edges[wire, 1]) + out if right else min(edges[wire, 0], edges[wire, 1]) - out
                points[wire] = around(anchors, wire, bend)
        for column, wires in turns.items():
            right = not self._is_reversed(column)
            inner = deepest.get((column, right), 0)
            for wire, track in tracks_of({wire: span(anchors, wire) for wire in wires}).items():
                out = SIGNED + TRACK * 1.5 * (track + inner)
                sides = [edges[one, end] for one in wires for end in (0, 1)]
                points[wire] = around(anchors, wire, max(sides) + out if right else min(sides) - out)
        groups = []
        for wire in self.wires:
            bent = points.get(wire) or across(anchors, edges, wire, bool(kinds_of(self.graph.picture.wires[wire])))
            groups.append(self._wire(wire, anchors, edges, bent, curve=wire not in points))
        return groups

    def _wire(
        self,
        number: int,
        anchors: t.Mapping[WireEnd, Anchor],
        edges: t.Mapping[WireEnd, float],
        points: tuple[tuple[float, float], ...],
        curve: bool,
    ) -> Group:
        wire = self.graph.picture.wires[number]
        level = abs(points[0][1] - points[-1][1]) < 0.5
        if level and curve:
            points, curve = (points[0], points[-1]), False
        role = "wire" if wire.cable else "loose"
        items: list[Item] = [Line(points, role, line_kinds(wire), curve)]
        for end in (0, 1):
            anchor = anchors[number, end]
            items.append(Sign(anchor.x, anchor.y, anchor.state))
            marks = list(marks_of(wire, wire.ends[end]))
            if speaker_of(wire, self.graph.kinds) == end:
                marks += wire.marks
            if marks:
                out = 15 if anchor.at_right else -15
                items.append(Sign(edges[number, end] + out, anchor.y, marks[0].kind))
        return Group(tuple(items), f"wire-{number}", title_of_wire(self.graph.picture, wire))


def arranged(graph: Graph, layers: Layers, wires: t.Sequence[int], may_open: bool) -> Placed:
    """The way that fits best on a screen. What can be read from the left is read so, unless the other way is far better."""
    most = max((len(hung) for one in graph.clusters for hung in [*one.hung.values(), one.shared]), default=1)
    pairs = [(graph.cluster_of[graph.ends[wire][0]], graph.cluster_of[graph.ends[wire][1]]) for wire in wires]
    ways = [layers, opened(layers, pairs)] if may_open else [layers]
    best: tuple[float, int, float, int, int, int] | None = None
    for number, way in enumerate(ways):
        for rows in [rows for rows in _ROWS if rows <= max(most, 1)]:
            bands = Bands(graph, way, wires, rows)
            for count in range(1, min(len(way), _FOLDS) + 1):
                bands.fold(count)
                width, height = bands.size()
                badness = score(width, height) * (_OPENED if number else 1)
                found = (badness, len(bands.starts), width + RATIO * height, number, rows, count)
                best = min(best, found) if best else found
    *_score, number, rows, count = best or (0.0, 1, 0.0, 0, 1, 1)
    bands = Bands(graph, ways[number], wires, rows)
    bands.fold(count)
    return bands.placed()
