# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hangs on one node: cards in columns, each with a trunk at its side that the wires come from.

The trunk of a bridge is the bridge itself, drawn long, with its ports on it. That of a namespace is a harness: many wires
that go the same way, each with its own interface.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.nslab.linux.plugins.plugin_utils._drawing import (
    Group,
    Item,
    Line,
    Piece,
    Sign,
    Text,
    pieces_width,
)
from ansible_collections.nslab.linux.plugins.plugin_utils._drawing_card import (
    Card,
    Port,
    head_of,
    kinds_of,
    line_kinds,
    mark_rows,
    marks_of,
    port,
    state_of,
    title_of_node,
    title_of_wire,
)
from ansible_collections.nslab.linux.plugins.plugin_utils._drawing_graph import Graph
from ansible_collections.nslab.linux.plugins.plugin_utils._drawing_text import shorten

DROP = 16.0  # from the edge of a node to what hangs on it
_TRUNK = 10.0  # from the side of a column to its trunk
_BARE = 26.0  # a wire without any word
_AROUND = 11.0  # before and behind the word at a wire
_SIGN = 18.0
_BELOW = 12.0
_BESIDE = 20.0


@dataclasses.dataclass(frozen=True)
class Trunk:
    """``x`` within its grid; ``first`` and ``last`` are the heights of its wires; ``of_second`` where it comes from below."""

    hub: int
    x: float
    first: float
    last: float
    of_second: bool = False


@dataclasses.dataclass(frozen=True)
class Grid:
    width: float
    height: float
    boxes: tuple[Group, ...]
    lines: tuple[Group, ...]
    trunks: tuple[Trunk, ...]


@dataclasses.dataclass(frozen=True)
class _Stubs:
    """The wires between the hanging cards and one hub: their labels, and how long they are."""

    hub: int
    labels: t.Mapping[int, tuple[Piece, ...]]
    length: float


def grid_of(
    graph: Graph, hub: int, hanging: tuple[int, ...], rows: int, second: int | None = None, drawn: bool = True
) -> Grid:
    """``second`` is another hub, which all that hangs here is linked to as well: its trunks are at the right."""
    left, right, cards = _measured(graph, hub, hanging, second)
    columns = -(-len(cards) // rows)
    rows = -(-len(cards) // columns)  # as even as can be
    card_width = max(card.width for card in cards)
    card_x = _TRUNK + left.length
    pitch = card_x + card_width + (right.length + _TRUNK if right else 0) + _BESIDE
    heights = [max(card.height for card in cards[row::rows]) for row in range(rows)]
    tops = [sum(heights[:row]) + _BELOW * row for row in range(rows)]
    width, height = pitch * columns - _BESIDE, tops[-1] + heights[-1]
    if not drawn:
        return Grid(width, height, (), (), ())
    boxes: list[Group] = []
    lines: list[Group] = []
    trunks = []
    for column in range(columns):
        x = pitch * column
        on_left: list[float] = []
        on_right: list[float] = []
        for top, card in zip(tops, cards[rows * column : rows * (column + 1)]):
            group = Group(tuple(card.drawn(card_width)), f"node-{card.index}", title_of_node(card.node))
            boxes.append(group.moved(x + card_x, top))
            for one, at_right, y in card.ports():
                if at_right and right:
                    ends = (x + pitch - _BESIDE - _TRUNK, x + card_x + card_width)
                    lines.append(_stub(graph, one, right, ends, top + y))
                    on_right.append(top + y)
                else:
                    lines.append(_stub(graph, one, left, (x + _TRUNK, x + card_x), top + y))
                    on_left.append(top + y)
        trunks.append(Trunk(hub, x + _TRUNK, on_left[0], on_left[-1]))
        if second is not None:
            trunks.append(Trunk(second, x + pitch - _BESIDE - _TRUNK, on_right[0], on_right[-1], True))
    return Grid(width, height, tuple(boxes), tuple(lines), tuple(trunks))


def _measured(
    graph: Graph, hub: int, hanging: tuple[int, ...], second: int | None
) -> tuple[_Stubs, _Stubs | None, list[Card]]:
    """All that does not depend on how many stand below each other."""
    found = graph.memory.get((hub, hanging, second))
    if found is None:
        right = _stubs(graph, second, hanging) if second is not None else None
        found = _stubs(graph, hub, hanging), right, [_card(graph, one, hub, second) for one in hanging]
        graph.memory[hub, hanging, second] = found
    left, right, cards = found
    return left, right, cards


def _stubs(graph: Graph, hub: int, hanging: t.Sequence[int]) -> _Stubs:
    labels = {}
    signs = False
    for one in hanging:
        for number in graph.wires_between(hub, one):
            wire = graph.picture.wires[number]
            end = wire.ends[_end_at(graph, number, hub)]
            words = [shorten(word, 44) for word in (end.interface, *end.addresses[:1]) if word]
            labels[number] = (Piece(" ".join(words), "port"),) if words else ()
            signs = signs or bool(kinds_of(wire))
    longest = max((pieces_width(label) for label in labels.values()), default=0)
    length = (longest + 2 * _AROUND if longest else _BARE) + (_SIGN if signs else 0)
    return _Stubs(hub, labels, length)


def _end_at(graph: Graph, wire: int, node: int) -> int:
    return 0 if graph.ends[wire][0] == node else 1


def _card(graph: Graph, number: int, hub: int, second: int | None) -> Card:
    node = graph.picture.nodes[number]
    left = tuple(_port(graph, wire, number, False) for wire in graph.wires_between(hub, number))
    right = () if second is None else graph.wires_between(second, number)
    return Card(number, node, head_of(node), left, tuple(_port(graph, wire, number, True) for wire in right))


def _port(graph: Graph, number: int, node: int, at_right: bool) -> Port:
    """The marks of the hub's end are written here, too: there is no room for them at a trunk."""
    wire = graph.picture.wires[number]
    here = _end_at(graph, number, node)
    there = wire.ends[1 - here]
    own = marks_of(wire, wire.ends[here])
    own += tuple(mark for mark in wire.marks if mark not in own)
    rows = mark_rows(own) + mark_rows([mark for mark in marks_of(wire, there) if mark not in own], there.interface)
    return port(number, here, wire, rows, mirrored=at_right)


def _stub(graph: Graph, one: Port, stubs: _Stubs, ends: tuple[float, float], y: float) -> Group:
    """From the trunk at the first of the ends to the card at the second."""
    wire = graph.picture.wires[one.wire]
    kinds = kinds_of(wire)
    trunk, card = ends
    inward = 1 if card > trunk else -1
    role = "wire" if wire.cable else "loose"
    items: list[Item] = [Line(((trunk, y), (card, y)), role, line_kinds(wire))]
    items.append(Sign(trunk, y, state_of(wire, wire.ends[1 - one.end])))
    items.append(Sign(card, y, one.state))
    if kinds:
        items.append(Sign(card - 14 * inward, y, kinds[0]))
    label = stubs.labels[one.wire]
    if label:
        items.append(Text(trunk + _AROUND * inward, y - 8, label, end=inward < 0))
    return Group(tuple(items), f"wire-{one.wire}", title_of_wire(graph.picture, wire))
