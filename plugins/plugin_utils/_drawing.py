# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture with every box, line and word at its place, in pixels, before it is written in any language of pictures."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.nslab.linux.plugins.plugin_utils._drawing_text import width_of

Point = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Piece:
    """Part of a text. ``style`` is one of STYLES."""

    text: str
    style: str


@dataclasses.dataclass(frozen=True)
class Style:
    size: float
    mono: bool = False


STYLES = {
    "title": Style(17),
    "name": Style(13.5),
    "kind": Style(10.5),
    "word": Style(11.5),
    "interface": Style(11.5, mono=True),
    "address": Style(11.5, mono=True),
    "port": Style(10, mono=True),
    "mark": Style(11.5),
    "badge": Style(9.5),
}


def pieces_width(pieces: t.Iterable[Piece]) -> float:
    return sum(width_of(piece.text, STYLES[piece.style].size, STYLES[piece.style].mono) for piece in pieces)


@dataclasses.dataclass(frozen=True)
class Text:
    """One line of text around the height ``y``, which begins at ``x``, or with ``end`` ends there."""

    x: float
    y: float
    pieces: tuple[Piece, ...]
    end: bool = False

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom, as wide as it may get."""
        width, half = pieces_width(self.pieces), max(STYLES[piece.style].size for piece in self.pieces) * 0.62
        left = self.x - width if self.end else self.x
        return left, self.y - half, left + width, self.y + half

    def moved(self, dx: float, dy: float) -> Text:
        return dataclasses.replace(self, x=self.x + dx, y=self.y + dy)


@dataclasses.dataclass(frozen=True)
class Box:
    """``role`` is a kind of node, or ``badge``; ``marks`` are the kinds of marks on it."""

    x: float
    y: float
    width: float
    height: float
    role: str
    marks: tuple[str, ...] = ()

    def moved(self, dx: float, dy: float) -> Box:
        return dataclasses.replace(self, x=self.x + dx, y=self.y + dy)


@dataclasses.dataclass(frozen=True)
class Line:
    """``points`` are joined by straight lines with round corners; with ``curve`` there are four, and the two in the middle are
    joined by a curve that leaves both level.

    ``role`` is ``wire``, ``loose`` (a wire that is no cable), ``trunk`` (a bridge drawn long) or ``harness`` (many wires
    of one namespace, drawn as one).
    """

    points: tuple[Point, ...]
    role: str
    marks: tuple[str, ...] = ()
    curve: bool = False

    def moved(self, dx: float, dy: float) -> Line:
        return dataclasses.replace(self, points=tuple((x + dx, y + dy) for x, y in self.points))


@dataclasses.dataclass(frozen=True)
class Sign:
    """A small figure around a point: a kind of mark, a kind of node, or the state of a port (``up``, ``off``, ``plain``)."""

    x: float
    y: float
    figure: str

    def moved(self, dx: float, dy: float) -> Sign:
        return dataclasses.replace(self, x=self.x + dx, y=self.y + dy)


Item = t.Union[Text, Box, Line, Sign]


@dataclasses.dataclass(frozen=True)
class Group:
    """What belongs to one node or wire. ``ident`` is unique in a drawing; ``title`` is told on request."""

    items: tuple[Item, ...]
    ident: str = ""
    title: str = ""

    def moved(self, dx: float, dy: float) -> Group:
        return dataclasses.replace(self, items=tuple(item.moved(dx, dy) for item in self.items))


@dataclasses.dataclass(frozen=True)
class Drawing:
    """What is behind comes first."""

    width: float
    height: float
    groups: tuple[Group, ...]

    def items(self) -> t.Iterator[Item]:
        for group in self.groups:
            yield from group.items
