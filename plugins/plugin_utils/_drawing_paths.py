# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways that wires take between columns, and what is placed as a whole."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.nslab.linux.plugins.plugin_utils._drawing import Box, Group, Line, Sign
from ansible_collections.nslab.linux.plugins.plugin_utils._drawing_block import Anchor, WireEnd

TRACK = 9.0
LEAD = 10.0
SIGNED = 26.0


@dataclasses.dataclass(frozen=True)
class Placed:
    """A component; nothing of it is left of or above the origin."""

    width: float
    height: float
    boxes: tuple[Group, ...]
    lines: tuple[Group, ...]


def span(anchors: t.Mapping[WireEnd, Anchor], wire: int) -> tuple[float, float]:
    ends = sorted((anchors[wire, 0].y, anchors[wire, 1].y))
    return ends[0], ends[1]


def tracks_of(spans: t.Mapping[int, tuple[float, float]]) -> dict[int, int]:
    """A number for each, so that those that share any height have different ones: the shortest the lowest."""
    taken: list[list[tuple[float, float]]] = []
    found = {}
    for wire, (low, high) in sorted(spans.items(), key=lambda item: (item[1][1] - item[1][0], item[0])):
        free = (n for n, others in enumerate(taken) if not any(low < end and start < high for start, end in others))
        track = next(free, len(taken))
        if track == len(taken):
            taken.append([])
        # The corners are round, and would touch.
        taken[track].append((low - TRACK, high + TRACK))
        found[wire] = track
    return found


def around(anchors: t.Mapping[WireEnd, Anchor], wire: int, x: float) -> tuple[tuple[float, float], ...]:
    one, other = anchors[wire, 0], anchors[wire, 1]
    return (one.x, one.y), (x, one.y), (x, other.y), (other.x, other.y)


def across(
    anchors: t.Mapping[WireEnd, Anchor], edges: t.Mapping[WireEnd, float], wire: int, signed: bool
) -> tuple[tuple[float, float], ...]:
    lead = SIGNED if signed else LEAD
    ends = [anchors[wire, end] for end in (0, 1)]
    bends = [(edges[wire, end] + (lead if ends[end].at_right else -lead), ends[end].y) for end in (0, 1)]
    return (ends[0].x, ends[0].y), bends[0], bends[1], (ends[1].x, ends[1].y)


def extent(groups: t.Iterable[Group]) -> tuple[float, float, float, float]:
    xs, ys = [0.0][:0], [0.0][:0]
    for group in groups:
        for item in group.items:
            if isinstance(item, Line):
                xs += [x for x, _y in item.points]
                ys += [y for _x, y in item.points]
            elif isinstance(item, Sign):
                xs += [item.x - 7, item.x + 7]
                ys += [item.y - 7, item.y + 7]
            elif isinstance(item, Box):
                xs += [item.x, item.x + item.width]
                ys += [item.y, item.y + item.height]
    return min(xs), min(ys), max(xs), max(ys)


def to_origin(boxes: list[Group], lines: list[Group]) -> Placed:
    left, top, right, bottom = extent([*boxes, *lines])
    return Placed(
        right - left,
        bottom - top,
        tuple(group.moved(-left, -top) for group in boxes),
        tuple(group.moved(-left, -top) for group in lines),
    )
