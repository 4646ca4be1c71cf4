# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The colours of a picture, in light and in dark, and what is drawn in which.

Whatever has text in it is held against what is behind it at 4.5 to 1 or more. No colour says anything alone.
"""

from __future__ import annotations

# Variables, for a page around a picture; the picture itself names colours, since not all that shows SVG knows variables.
COLOURS = {
    "background": ("#f7f9fc", "#0d1420"),
    "surface": ("#ffffff", "#18222f"),
    "ink": ("#16202e", "#e6edf5"),
    "muted": ("#4a5a6e", "#a9b8c9"),
    "line": ("#64758b", "#8ea1b8"),
    "border": ("#a9b7c8", "#46566b"),
    "bridge": ("#e3eefd", "#1a3454"),
    "trunk": ("#4b87d8", "#5b9bea"),
    "host": ("#edf1f6", "#202c3c"),
    "good": ("#157f4b", "#46cf86"),
    "bad": ("#bb1e2d", "#ff9a9a"),
    "warn": ("#8a4b00", "#f7bd4f"),
    "gone": ("#9c1f6b", "#f6a3d0"),
    "new": ("#5b32b4", "#c7b1fb"),
    "other": ("#0b6b70", "#62d6d6"),
}

MARKS = {"down": "bad", "mtu": "warn", "missing": "gone", "extra": "new", "changed": "other", "unread": "muted"}

_RULES = (
    (".back", "fill:{background}"),
    ("text", "fill:{ink}"),
    (".kind,.word,.address", "fill:{muted}"),
    (".port", "fill:{muted}"),
    (".box", "fill:{surface};stroke:{border}"),
    (".box.bridge", "fill:{bridge};stroke:{trunk}"),
    (".box.host", "fill:{host};stroke:{line}"),
    (".box.outside", "fill:{background};stroke:{line}"),
    (".badge-box", "fill:{ink}"),
    (".badge", "fill:{surface}"),
    (".line", "stroke:{line}"),
    (".line.trunk", "stroke:{trunk}"),
    (".icon", "stroke:{muted}"),
    (".icon.bridge", "stroke:{trunk}"),
    (".dot.up", "fill:{good};stroke:{surface}"),
    (".dot.plain", "fill:{surface};stroke:{line}"),
    (".disc.off", "fill:{surface}"),
    (".glyph.off", "stroke:{bad}"),
    (".glyph", "stroke:{surface}"),
    *((f".line.{mark},.box.{mark}", f"stroke:{{{colour}}}") for mark, colour in MARKS.items()),
    *((f".disc.{mark}", f"fill:{{{colour}}}") for mark, colour in MARKS.items()),
    *((f"text.{mark}", f"fill:{{{colour}}}") for mark, colour in MARKS.items()),
    ("g:target .box,g:target .line", "stroke:{ink}"),
)

_SHAPES = """
.nslab-picture text{font-family:sans-serif;font-size:11.5px}
.nslab-picture .title{font-size:17px;font-weight:600}
.nslab-picture .name{font-size:13.5px;font-weight:600}
.nslab-picture .kind{font-size:10.5px}
.nslab-picture .interface,.nslab-picture .address{font-family:monospace;font-size:11.5px}
.nslab-picture .port{font-family:monospace;font-size:10px}
.nslab-picture .badge{font-size:9.5px;font-weight:700}
.nslab-picture .end{text-anchor:end}
.nslab-picture .box{stroke-width:1.2}
.nslab-picture .box.missing{stroke-dasharray:.1 4.5;stroke-linecap:round;stroke-width:2}
.nslab-picture .box.extra,.nslab-picture .box.changed,.nslab-picture .box.unread{stroke-width:1.8}
.nslab-picture .line{fill:none;stroke-width:1.6}
.nslab-picture .line.loose{stroke-width:1.2}
.nslab-picture .line.trunk{stroke-width:5;stroke-linecap:round}
.nslab-picture .line.harness{stroke-width:2.5;stroke-linecap:round}
.nslab-picture .line.down{stroke-dasharray:7 4;stroke-width:2}
.nslab-picture .line.missing{stroke-dasharray:.1 5;stroke-linecap:round;stroke-width:2.4}
.nslab-picture .line.extra,.nslab-picture .line.changed,.nslab-picture .line.mtu{stroke-width:2}
.nslab-picture .dot{stroke-width:1.4}
.nslab-picture .icon,.nslab-picture .glyph{fill:none;stroke-width:1.5;stroke-linecap:round;stroke-linejoin:round}
.nslab-picture g:target .box,.nslab-picture g:target .line{stroke-width:3.5}
"""


def _coloured(scheme: int) -> str:
    names = {name: colours[scheme] for name, colours in COLOURS.items()}
    variables = ";".join(f"--nslab-{name}:{colour}" for name, colour in names.items())
    rules = [f".nslab-picture{{{variables}}}"]
    for selectors, rule in _RULES:
        scoped = ",".join(f".nslab-picture {selector}" for selector in selectors.split(","))
        rules.append(f"{scoped}{{{rule.format(**names)}}}")
    return "\n".join(rules)


STYLE = f"{_SHAPES}{_coloured(0)}\n@media (prefers-color-scheme:dark){{\n{_coloured(1)}\n}}\n"
