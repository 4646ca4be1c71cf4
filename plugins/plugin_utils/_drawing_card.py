# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One node as a card: its name, what is said of it, and a row for each interface, at whose side its wire ends."""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ansible_collections.nslab.linux.plugins.plugin_utils._drawing import (
    STYLES,
    Box,
    Item,
    Piece,
    Sign,
    Text,
    pieces_width,
)
from ansible_collections.nslab.linux.plugins.plugin_utils._drawing_text import fold, said, shorten, unique
from ansible_collections.nslab.linux.plugins.plugin_utils._picture import (
    BRIDGE,
    DOWN,
    EXTRA,
    HOST,
    MISSING,
    NAMESPACE,
    OUTSIDE,
    End,
    Mark,
    Node,
    Picture,
    Wire,
)

PAD = 12.0
BETWEEN = 26.0  # between the interfaces at the left and those at the right
HEAD = 28.0
ROW = 17.0
SIGN = 16.0  # what a sign takes of a row
BADGE = 34.0
CONTINUED = "continued"  # no sign, and the room for one
FOOT = 5.0
_ADDRESSES = 4
_PUBLISHED = 6
_LONGEST = 44
_MARK_WIDTH = 200.0
_MARK_LINES = 3
_LONGEST_NAME = 30


@dataclasses.dataclass(frozen=True)
class Row:
    pieces: tuple[Piece, ...] = ()
    sign: str = ""
    badge: bool = False

    @property
    def width(self) -> float:
        return pieces_width(self.pieces) + (SIGN if self.sign else 0) + (BADGE if self.badge else 0)


@dataclasses.dataclass(frozen=True)
class Port:
    """One end of a wire, at the side of a card. The wire ends at the height of the first of its rows."""

    wire: int
    end: int
    rows: tuple[Row, ...]
    state: str

    @property
    def height(self) -> float:
        return ROW * len(self.rows)


def state_of(wire: Wire, end: End) -> str:
    """``off``, ``up``, or ``plain`` where nothing is known, or there is nothing to be up."""
    if end.up is False or any(mark.kind == DOWN for mark in end.marks):
        return "off"
    return "up" if end.up and wire.cable else "plain"


def marks_of(wire: Wire, end: End) -> tuple[Mark, ...]:
    """The marks of one end, and that it is down, if nothing at the wire says so."""
    marks = end.marks
    told = (*wire.marks, *wire.ends[0].marks, *wire.ends[1].marks)
    if end.up is False and not any(mark.kind == DOWN for mark in told):
        marks += (Mark(DOWN, ""),)
    return unique(marks)


def kinds_of(wire: Wire) -> tuple[str, ...]:
    marks = (*wire.marks, *marks_of(wire, wire.ends[0]), *marks_of(wire, wire.ends[1]))
    return tuple(dict.fromkeys(mark.kind for mark in marks))


def line_kinds(wire: Wire) -> tuple[str, ...]:
    """Those of the line between: an address that is missing at an end is no link that is missing."""
    own = {mark.kind for mark in wire.marks}
    return tuple(kind for kind in kinds_of(wire) if kind in own or kind not in (MISSING, EXTRA))


def speaker_of(wire: Wire, kinds: t.Mapping[str, str]) -> int:
    """The end at which the marks of the wire are written: a bridge has many ports, and little room."""
    return 1 if kinds.get(wire.ends[0].node) == BRIDGE and kinds.get(wire.ends[1].node) != BRIDGE else 0


def mark_rows(marks: t.Iterable[Mark], where: str = "") -> list[Row]:
    """Each in as many rows as it takes, but for what is too long to be told here."""
    rows = []
    for mark in unique(marks):
        text = said(mark)
        if where and where not in text:
            text = f"{where}: {text}"
        lines = fold(text, _MARK_WIDTH, STYLES["mark"].size)
        if len(lines) > _MARK_LINES:
            lines = [*lines[: _MARK_LINES - 1], f"{lines[_MARK_LINES - 1]} …"]
        for number, line in enumerate(lines):
            rows.append(Row((Piece(line, "mark"),), sign=CONTINUED if number else mark.kind))
    return rows


def port(index: int, end: int, wire: Wire, marks: t.Sequence[Row], prefix: str = "", mirrored: bool = False) -> Port:
    """``mirrored`` for one at the right of its card: there the interface stands last, next to the wire."""
    this = wire.ends[end]
    interface = [Piece(shorten(prefix + this.interface, 24), "interface")] if this.interface or prefix else []
    addresses = [Piece(shorten(address, _LONGEST), "address") for address in this.addresses[:_ADDRESSES]]
    rest = len(this.addresses) - _ADDRESSES
    if rest > 0:
        addresses.append(Piece(f"and {rest} more", "word"))
    first = interface + addresses[:1]
    if len(first) == 2:
        first = (
            [first[1], Piece("  ", "address"), first[0]] if mirrored else [first[0], Piece("  ", "address"), first[1]]
        )
    rows = [Row(tuple(first)), *(Row((address,)) for address in addresses[1:]), *marks]
    return Port(index, end, tuple(rows), state_of(wire, this))


@dataclasses.dataclass(frozen=True)
class Card:
    index: int
    node: Node
    head: tuple[Row, ...]
    left: tuple[Port, ...] = ()
    right: tuple[Port, ...] = ()

    @functools.cached_property
    def width(self) -> float:
        """The least that it needs."""
        head = max(row.width for row in self.head)
        sides = [max((row.width for one in side for row in one.rows), default=0) for side in (self.left, self.right)]
        between = BETWEEN if all(sides) else 0
        icon = 20 if self.node.kind != NAMESPACE else 0
        if self._is_beside:
            below = max((row.width for row in self.head[1:]), default=0)
            sides[0], between = max(sides[0], below), BETWEEN
        return max(head + icon, sum(sides) + between, 56) + 2 * PAD

    @property
    def _is_beside(self) -> bool:
        """Whether the interfaces at the right stand beside what is below the name: a bridge is a bar, and the lower the better."""
        return self.node.kind == BRIDGE and not self.left

    @property
    def _is_bare(self) -> bool:
        """Whether nothing is said of its interfaces, and a side has one at most: they take no room below the name."""
        sides = (self.left, self.right)
        return all(len(side) <= 1 and not any(row.width for one in side for row in one.rows) for side in sides)

    @functools.cached_property
    def height(self) -> float:
        above = ROW * (len(self.head) - 1)
        sides = [sum(one.height for one in side) for side in (self.left, self.right)]
        if self._is_bare:
            rows = above
        else:
            rows = max(above, *sides) if self._is_beside else above + max(sides)
        return HEAD + rows + (FOOT if rows else 2)

    def ports(self) -> t.Iterator[tuple[Port, bool, float]]:
        """Each with whether it is at the right, and its height below the top of the card."""
        above = 0 if self._is_beside else ROW * (len(self.head) - 1)
        for side in (self.left, self.right):
            y = HEAD / 2 + 1 if self._is_bare else HEAD + above + ROW / 2
            for one in side:
                yield one, side is self.right, y
                y += one.height

    def drawn(self, width: float, height: float | None = None) -> list[Item]:
        """At the origin, and larger than it needs to be if so told. The signs of its ports come with the wires."""
        kinds = tuple(mark.kind for mark in self.node.marks)
        items: list[Item] = [Box(0, 0, width, self.height if height is None else height, self.node.kind, kinds)]
        inner = PAD
        if self.node.kind != NAMESPACE:
            items.append(Sign(PAD + 6, HEAD / 2 + 1, self.node.kind))
            inner += 20
        words = self.head[0].pieces
        kind = tuple(piece for piece in words if piece.style == "kind")
        items.append(Text(inner, HEAD / 2 + 1, words[:-2] if kind else words))
        if kind:
            items.append(Text(width - PAD, HEAD / 2 + 1, kind, end=True))
        for number, row in enumerate(self.head[1:]):
            items += _row(row, PAD, HEAD + ROW * (number + 0.5) - 1, end=False)
        for one, at_right, y in self.ports():
            for number, row in enumerate(one.rows):
                items += _row(row, width - PAD if at_right else PAD, y + ROW * number, end=at_right)
        return items


def _row(row: Row, x: float, y: float, end: bool) -> list[Item]:
    items: list[Item] = []
    inward = -1 if end else 1
    if row.sign:
        if row.sign != CONTINUED:
            items.append(Sign(x + 6 * inward, y, row.sign))
        x += SIGN * inward
    if row.badge:
        items += [Box(x, y - 7, BADGE - 6, 14, "badge"), Text(x + 3.5, y, (Piece("NAT", "badge"),))]
        x += BADGE
    if row.pieces:
        items.append(Text(x, y, row.pieces, end=end))
    return items


def head_of(node: Node, told: t.Iterable[Row] = ()) -> tuple[Row, ...]:
    """The rows above the interfaces. The first has the name and, but for a namespace, what it is."""
    name = Piece(shorten(node.name, _LONGEST_NAME), "name")
    first = [name]
    if node.kind in (BRIDGE, HOST, OUTSIDE) and node.kind not in node.name.lower():
        first += [Piece("    ", "name"), Piece(node.kind, "kind")]
    lines = [Piece(shorten(line, _LONGEST), "address") for line in node.lines]
    if node.kind == BRIDGE and len(lines) == 1:
        first[1:1] = [Piece("    ", "address"), *lines]
        lines = []
    rows = [Row(tuple(first)), *(Row((line,)) for line in lines)]
    for nat in node.nat:
        rows.append(Row((Piece(shorten(nat.text, _LONGEST), "word"),), badge=True))
        rows += [Row((Piece(shorten(line, _LONGEST), "address"),)) for line in nat.publish[:_PUBLISHED]]
        if len(nat.publish) > _PUBLISHED:
            rows.append(Row((Piece(f"and {len(nat.publish) - _PUBLISHED} more ports", "word"),)))
    return (*rows, *mark_rows(node.marks), *told)


def title_of_node(node: Node) -> str:
    lines = [f"{node.kind} {node.name}" if node.kind != node.name else node.name, *node.lines, *node.details]
    for nat in node.nat:
        lines += [f"NAT: {nat.text}", *nat.publish]
    return "\n".join([*lines, *(said(mark) for mark in node.marks)])


def title_of_wire(picture: Picture, wire: Wire) -> str:
    names = {node.key: node.name for node in picture.nodes}
    lines = []
    for end in wire.ends:
        words = [names.get(end.node, end.node), end.interface, *end.addresses]
        words.append(f"mtu {end.mtu}" if end.mtu is not None else "")
        words.append({True: "up", False: "down"}.get(end.up, "") if end.up is not None else "")
        lines.append(" ".join(word for word in words if word))
    marks = unique((*wire.marks, *wire.ends[0].marks, *wire.ends[1].marks))
    return "\n".join([*lines, *(said(mark) for mark in marks)])
