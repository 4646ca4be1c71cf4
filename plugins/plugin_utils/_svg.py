# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture as SVG: one element that stands alone or in a page, beside as many others as one likes."""

from __future__ import annotations

import typing as t
from xml.sax.saxutils import escape, quoteattr

from ansible_collections.nslab.linux.plugins.plugin_utils._drawing import (
    STYLES,
    Box,
    Drawing,
    Group,
    Item,
    Line,
    Point,
    Sign,
    Text,
)
from ansible_collections.nslab.linux.plugins.plugin_utils._drawing_layout import drawing_of, summary
from ansible_collections.nslab.linux.plugins.plugin_utils._drawing_text import clean, said
from ansible_collections.nslab.linux.plugins.plugin_utils._picture import Picture
from ansible_collections.nslab.linux.plugins.plugin_utils._svg_style import STYLE

_ROUND = {"namespace": 7, "bridge": 7, "host": 3, "outside": 14, "badge": 4}
_CORNER = 7.0

# Around the origin, about 12 pixels high.
_ICONS = {
    "bridge": "M-6-2.5H5M2.5-5 5-2.5 2.5 0M6 2.5H-5M-2.5 0-5 2.5-2.5 5",
    "host": "M-6-5H6V-.8H-6ZM-6 .8H6V5H-6ZM-3.5-2.9H-2.5M-3.5 2.9H-2.5",
    "outside": "M0-6A6 6 0 0 1 0 6A6 6 0 0 1 0-6M0-6C4-2 4 2 0 6C-4 2-4-2 0-6M-6 0H6",
}
_GLYPHS = {
    "off": "M-2.4-2.4 2.4 2.4M2.4-2.4-2.4 2.4",
    "down": "M-2.4-2.4 2.4 2.4M2.4-2.4-2.4 2.4",
    "mtu": "M-3-1.4H3M-3 1.4H3M1.7-3.4-1.7 3.4",
    "missing": "M-3 0H3",
    "extra": "M-3.2 0H3.2M0-3.2V3.2",
    "changed": "M0-3.2 3.2 2.5H-3.2Z",
    "unread": "M-1.8-1.8C-1.8-4 1.8-4 1.8-1.8C1.8-.6 0-.4 0 1M0 3.2V3.3",
}


def draw_svg(picture: Picture, *, prefix: str = "") -> str:
    """An ``<svg>`` element. All its ids begin with ``prefix``: ``node-N`` and ``wire-N`` are the Nth of the picture."""
    drawing = drawing_of(picture)
    name = clean(picture.name) or "network namespaces"
    marks = [said(mark) for mark in _all_marks(picture)]
    told = f"{summary(picture)}. {'; '.join(marks) + '.' if marks else 'Nothing stands out.'}"
    size = f"{_number(drawing.width)} {_number(drawing.height)}"
    width, height = size.split()
    ids = quoteattr(f"{prefix}title {prefix}desc")
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="nslab-picture" role="img" aria-labelledby={ids}'
        f' viewBox="0 0 {size}" width="{width}" height="{height}">',
        f"<title id={quoteattr(prefix + 'title')}>{escape(name)}</title>",
        f"<desc id={quoteattr(prefix + 'desc')}>{escape(clean(told))}</desc>",
        f"<style>{STYLE}</style>",
        f'<rect class="back" width="{width}" height="{height}" rx="10"/>',
    ]
    lines += [_group(group, prefix) for group in drawing.groups]
    lines += _rest(drawing, picture, prefix)
    lines.append("</svg>")
    return "\n".join(lines) + "\n"


def _all_marks(picture: Picture) -> t.Iterator[t.Any]:
    yield from picture.marks
    for node in picture.nodes:
        yield from node.marks
    for wire in picture.wires:
        for holder in (wire, *wire.ends):
            yield from holder.marks


def _rest(drawing: Drawing, picture: Picture, prefix: str) -> list[str]:
    """What has no line of its own, as from a bridge to the namespace it is drawn in, can be linked to nonetheless."""
    drawn = {group.ident for group in drawing.groups}
    idents = [f"wire-{number}" for number in range(len(picture.wires)) if f"wire-{number}" not in drawn]
    return [f"<g id={quoteattr(prefix + ident)}/>" for ident in idents]


def _group(group: Group, prefix: str) -> str:
    ident = f" id={quoteattr(prefix + group.ident)}" if group.ident else ""
    title = "\n".join(clean(line) for line in group.title.splitlines())
    told = f"<title>{escape(title)}</title>" if title else ""
    return f"<g{ident}>{told}{''.join(map(_item, group.items))}</g>"


def _item(item: Item) -> str:
    if isinstance(item, Box):
        return _box(item)
    if isinstance(item, Line):
        # The first mark is drawn; a line can't be dashed in two ways.
        classes = " ".join(["line", item.role, *item.marks[:1]])
        return f'<path class="{classes}" d="{_path(item)}"/>'
    if isinstance(item, Sign):
        return _sign(item)
    return _text(item)


def _box(box: Box) -> str:
    classes = "badge-box" if box.role == "badge" else " ".join(["box", box.role, *box.marks[:1]])
    place = f'x="{_number(box.x)}" y="{_number(box.y)}" width="{_number(box.width)}" height="{_number(box.height)}"'
    return f'<rect class="{classes}" {place} rx="{_ROUND[box.role]}"/>'


def _sign(sign: Sign) -> str:
    place = f'transform="translate({_number(sign.x)} {_number(sign.y)})"'
    if sign.figure in ("up", "plain"):
        return f'<circle class="dot {sign.figure}" cx="{_number(sign.x)}" cy="{_number(sign.y)}" r="3.7"/>'
    if sign.figure in _ICONS:
        return f'<path class="icon {sign.figure}" {place} d="{_ICONS[sign.figure]}"/>'
    kind = sign.figure if sign.figure in _GLYPHS else "unread"
    radius = 4.6 if kind == "off" else 6.2
    return f'<g {place}><circle class="disc {kind}" r="{radius}"/><path class="glyph {kind}" d="{_GLYPHS[kind]}"/></g>'


def _text(text: Text) -> str:
    baseline = text.y + max(STYLES[piece.style].size for piece in text.pieces) * 0.36
    end = " end" if text.end else ""
    place = f'x="{_number(text.x)}" y="{_number(baseline)}"'
    if len(text.pieces) == 1:
        piece = text.pieces[0]
        return f'<text class="{piece.style}{end}" {place}>{_escaped(piece.text)}</text>' if piece.text else ""
    spans = "".join(f'<tspan class="{piece.style}">{_escaped(piece.text)}</tspan>' for piece in text.pieces)
    return f'<text class="{end.strip() or "start"}" {place}>{spans}</text>'


def _escaped(text: str) -> str:
    # Spaces beside each other, or at an end, are to stay.
    return escape(text.replace("  ", "\N{NO-BREAK SPACE}" * 2))


def _number(value: float) -> str:
    text = f"{value:.1f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _at(point: Point) -> str:
    return f"{_number(point[0])} {_number(point[1])}"


def _path(line: Line) -> str:
    points = line.points
    if line.curve and len(points) == 4:
        _start, (x, y), (to_x, to_y), _end = points
        middle = (x + to_x) / 2
        curve = f"C{_at((middle, y))} {_at((middle, to_y))} {_at((to_x, to_y))}"
        return f"M{_at(points[0])}L{_at((x, y))}{curve}L{_at(points[3])}"
    path = f"M{_at(points[0])}"
    for before, corner, after in zip(points, points[1:], points[2:]):
        arrive, leave = _near(corner, before), _near(corner, after)
        path += f"L{_at(arrive)}Q{_at(corner)} {_at(leave)}"
    return f"{path}L{_at(points[-1])}"


def _near(corner: Point, other: Point) -> Point:
    """The point of the way to the other at which the corner begins to be round."""
    (x, y), (to_x, to_y) = corner, other
    length = max(abs(to_x - x), abs(to_y - y))
    part = min(_CORNER, length / 2) / length if length else 0
    return x + (to_x - x) * part, y + (to_y - y) * part
