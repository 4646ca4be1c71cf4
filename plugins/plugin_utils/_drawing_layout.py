# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole of a drawing: what hangs together side by side, above it the name, below it what the signs mean."""

from __future__ import annotations

import typing as t

from ansible_collections.nslab.linux.plugins.plugin_utils._drawing import (
    STYLES,
    Drawing,
    Group,
    Item,
    Line,
    Piece,
    Sign,
    Text,
    pieces_width,
)
from ansible_collections.nslab.linux.plugins.plugin_utils._drawing_bands import arranged, score
from ansible_collections.nslab.linux.plugins.plugin_utils._drawing_card import Card, head_of, title_of_node
from ansible_collections.nslab.linux.plugins.plugin_utils._drawing_graph import Graph, graph_of
from ansible_collections.nslab.linux.plugins.plugin_utils._drawing_order import components, layered
from ansible_collections.nslab.linux.plugins.plugin_utils._drawing_paths import Placed
from ansible_collections.nslab.linux.plugins.plugin_utils._drawing_text import fold, said, shorten
from ansible_collections.nslab.linux.plugins.plugin_utils._picture import BRIDGE, HOST, NAMESPACE, OUTSIDE, Picture

MARGIN = 24.0
_LEAST = 440.0  # the width that title and legend need
_APART = 48.0
_LINE = 18.0
_BESIDE = 14.0

# The legend: what is drawn, in this order, and what it means.
_LEGEND = (
    ("up", "up"),
    ("down", "down"),
    ("mtu", "another MTU"),
    ("missing", "missing: declared, not there"),
    ("extra", "extra: there, not declared"),
    ("changed", "changed: not as declared"),
    ("unread", "unread: can't be looked into"),
)


def drawing_of(picture: Picture) -> Drawing:
    graph = graph_of(picture)
    body = _body(graph)
    width = max(body.width, _LEAST)
    above = _heading(picture, width)
    width = max([width, *(item.box[2] for group in above for item in group.items if isinstance(item, Text))])
    top = MARGIN + _height(above)
    groups = [group.moved(MARGIN, MARGIN) for group in above]
    left = MARGIN + (width - body.width) / 2
    groups += [group.moved(left, top) for group in (*body.boxes, *body.lines)]
    below = _footing(picture, groups, width)
    bottom = top + body.height + (MARGIN if below else 0)
    groups += [group.moved(MARGIN, bottom) for group in below]
    return Drawing(width + 2 * MARGIN, bottom + _height(below) + MARGIN, tuple(groups))


def _height(groups: t.Sequence[Group]) -> float:
    return max((item.y + _LINE for group in groups for item in group.items if isinstance(item, Text)), default=0)


def _body(graph: Graph) -> Placed:
    edges, wires = [], []
    for number, (one, other) in enumerate(graph.ends):
        ends = graph.cluster_of[one], graph.cluster_of[other]
        hangs = any(
            node in hung
            for node in (one, other)
            for hung in [*graph.clusters[ends[0]].hung.values(), graph.clusters[ends[0]].shared]
        )
        if number not in graph.absorbed and not (ends[0] == ends[1] and hangs):
            edges.append(ends)
            wires.append(number)
    parts, alone = [], []
    for members in components(len(graph.clusters), edges):
        if (
            len(members) == 1
            and graph.clusters[members[0]].nodes == [graph.clusters[members[0]].top]
            and not any(edge[0] == members[0] for edge in edges)
        ):
            alone.append(members[0])
            continue
        place = {one: number for number, one in enumerate(members)}
        inner = [(place[one], place[other]) for one, other in edges if one in place]
        own = [wire for wire, (one, _other) in zip(wires, edges) if one in place]
        first = [place[one] for one in _first(graph, members)]
        layers = [[members[one] for one in layer] for layer in layered(len(members), inner, first)]
        parts.append(arranged(graph, layers, own, may_open=not first))
    whole = _packed(parts)
    if not alone:
        return whole
    lonely = _alone(graph, alone, whole.width)
    down = whole.height + _APART if parts else 0
    boxes = (*whole.boxes, *(group.moved(0, down) for group in lonely.boxes))
    return Placed(max(whole.width, lonely.width), down + lonely.height, boxes, whole.lines)


def _first(graph: Graph, members: t.Sequence[int]) -> list[int]:
    """A picture is read from the outside inwards."""
    for kind in (OUTSIDE, HOST):
        found = [one for one in members if graph.picture.nodes[graph.clusters[one].top].kind == kind]
        if found:
            return found
    return []


def _alone(graph: Graph, members: t.Sequence[int], beside: float) -> Placed:
    """What has no link, in rows, as wide as what has some."""
    nodes = [(graph.clusters[one].top, graph.picture.nodes[graph.clusters[one].top]) for one in members]
    cards = [Card(number, node, head_of(node)) for number, node in nodes]
    width, height = max(card.width for card in cards), max(card.height for card in cards)
    across, down = width + _BESIDE, height + _BESIDE
    counts = range(1, len(cards) + 1)
    best = min(counts, key=lambda count: (score(count * across, -(-len(cards) // count) * down), -count))
    best = min(max(best, int(beside // across)), len(cards))
    boxes = []
    for place, card in enumerate(cards):
        group = Group(tuple(card.drawn(width, height)), f"node-{card.index}", title_of_node(card.node))
        boxes.append(group.moved(place % best * across, place // best * down))
    rows = -(-len(cards) // best)
    return Placed(best * across - _BESIDE, rows * down - _BESIDE, tuple(boxes), ())


def _packed(parts: t.Sequence[Placed]) -> Placed:
    """On shelves, in order, as wide as fits best on a screen."""
    if not parts:
        return Placed(0, 0, (), ())
    best: tuple[float, list[tuple[float, float]], float, float] | None = None
    wide = sorted({part.width for part in parts})
    limits = {max(wide[-1], sum(part.width + _APART for part in parts) / count) for count in range(1, len(parts) + 1)}
    for limit in sorted(limits):
        places, x, y, height, width = [], 0.0, 0.0, 0.0, 0.0
        for part in parts:
            if x and x + part.width > limit + 1:
                x, y, height = 0.0, y + height + _APART, 0.0
            places.append((x, y))
            x, height = x + part.width + _APART, max(height, part.height)
            width = max(width, x - _APART)
        found = (score(width, y + height), places, width, y + height)
        if best is None or found[0] < best[0]:
            best = found
    if best is None:
        return Placed(0, 0, (), ())
    _score, places, width, height = best
    boxes = [group.moved(x, y) for part, (x, y) in zip(parts, places) for group in part.boxes]
    lines = [group.moved(x, y) for part, (x, y) in zip(parts, places) for group in part.lines]
    return Placed(width, height, tuple(boxes), tuple(lines))


def summary(picture: Picture) -> str:
    """``3 namespaces, 1 bridge, 4 links``"""
    words = []
    for kind in (NAMESPACE, BRIDGE):
        count = sum(node.kind == kind for node in picture.nodes)
        if count:
            words.append(f"{count} {kind}{'s' * (count > 1)}")
    links = sum(wire.cable for wire in picture.wires)
    if links:
        words.append(f"{links} link{'s' * (links > 1)}")
    return ", ".join(words) or "nothing"


def _heading(picture: Picture, width: float) -> list[Group]:
    items: list[Item] = []
    y = 0.0
    if picture.name:
        items.append(Text(0, 9, (Piece(shorten(picture.name, 40), "title"),)))
        y = 24.0
    what = f"{summary(picture)}, {'as seen' if picture.observed else 'as declared'}"
    items.append(Text(0, y + 8, (Piece(what, "word"),)))
    y += 12
    for mark in dict.fromkeys(picture.marks):
        for number, line in enumerate(fold(said(mark), width - 20, STYLES["mark"].size)):
            y += _LINE
            if not number:
                items.append(Sign(7, y + 4, mark.kind))
            items.append(Text(20, y + 4, (Piece(line, "mark"),)))
    return [Group(tuple(items)), Group((Text(0, y + 12, (Piece("", "word"),)),))]


def _footing(picture: Picture, drawn: t.Sequence[Group], width: float) -> list[Group]:
    items: list[Item] = []
    y = 4.0
    for note in picture.notes:
        for line in fold(note, width, STYLES["word"].size):
            items.append(Text(0, y, (Piece(line, "word"),)))
            y += _LINE
    figures = {item.figure for group in drawn for item in group.items if isinstance(item, Sign)}
    figures |= {"down"} if "off" in figures else set()
    dashed = {mark for group in drawn for item in group.items if isinstance(item, Line) for mark in item.marks}
    entries = [(figure, (Piece(meaning, "word"),)) for figure, meaning in _LEGEND if figure in figures | dashed]
    wide = max((34 + pieces_width(text) + 14 for _figure, text in entries), default=0)
    x = 0.0
    for figure, text in entries:
        if x and x + wide > width + 14:
            x, y = 0.0, y + _LINE
        marks = () if figure == "up" else (figure,)
        items += [Line(((x, y), (x + 26, y)), "wire", marks), Sign(x + 13, y, figure), Text(x + 34, y, text)]
        x += wide
    return [Group(tuple(items))] if items else []
