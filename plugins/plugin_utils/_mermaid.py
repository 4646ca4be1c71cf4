# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture as a flowchart in the language of Mermaid, which many web pages for text draw by themselves.

What stands out has a sign and a word in its label. Colours are of lines alone, so that they go with light and dark pages.
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.nslab.linux.plugins.plugin_utils._drawing_card import line_kinds, marks_of
from ansible_collections.nslab.linux.plugins.plugin_utils._drawing_graph import complete
from ansible_collections.nslab.linux.plugins.plugin_utils._drawing_text import clean, said, shorten, unique
from ansible_collections.nslab.linux.plugins.plugin_utils._picture import (
    BRIDGE,
    CHANGED,
    DOWN,
    EXTRA,
    HOST,
    MISSING,
    MTU,
    OUTSIDE,
    UNREAD,
    Mark,
    Node,
    Picture,
    Wire,
)

_SIGNS = {DOWN: "✕", MTU: "≠", MISSING: "−", EXTRA: "+", CHANGED: "Δ", UNREAD: "?"}  # noqa: RUF001
_STYLES = {
    DOWN: "stroke:#d1242f,stroke-width:2px,stroke-dasharray:7 4",
    MTU: "stroke:#bf8700,stroke-width:2px",
    MISSING: "stroke:#bf3989,stroke-width:2px,stroke-dasharray:1 4",
    EXTRA: "stroke:#8250df,stroke-width:2px",
    CHANGED: "stroke:#1b7c83,stroke-width:2px",
    UNREAD: "stroke:#6e7781,stroke-width:2px",
}
_SHAPES = {BRIDGE: ("([", "])"), HOST: ("[[", "]]"), OUTSIDE: ("((", "))")}
_LONGEST = 60


def draw_mermaid(picture: Picture) -> str:
    """A flowchart. In a page of Markdown it stands between ```` ```mermaid ```` and ```` ``` ````."""
    picture = complete(picture)
    index = {node.key: number for number, node in enumerate(picture.nodes)}
    lines = ["flowchart LR"]
    if picture.name:
        # The name may hold anything; JSON is YAML.
        lines[:0] = ["---", f"title: {json.dumps(clean(picture.name))}", "---"]
    inside: dict[str, list[Node]] = {}
    for node in picture.nodes:
        if node.inside in index and node.inside != node.key:
            inside.setdefault(str(node.inside), []).append(node)
    nested = {node.key for nodes in inside.values() for node in nodes}
    for node in picture.nodes:
        if node.key in inside and node.key not in nested:
            lines.append(f"  subgraph g{index[node.key]}[{_quoted([node.name])}]")
            lines += [f"    {_node(one, index[one.key])}" for one in (node, *inside[node.key])]
            lines.append("  end")
        elif node.key not in nested or node.inside in nested:
            lines.append(f"  {_node(node, index[node.key])}")
    styles: dict[str, list[int]] = {}
    for number, wire in enumerate(picture.wires):
        lines.append(f"  {_link(wire, index)}")
        for kind in [kind for kind in line_kinds(wire) if kind in _STYLES][:1]:
            styles.setdefault(kind, []).append(number)
    lines += [f"  linkStyle {','.join(map(str, numbers))} {_STYLES[kind]}" for kind, numbers in styles.items()]
    lines += _remarks(picture)
    used = dict.fromkeys(mark.kind for node in picture.nodes for mark in node.marks[:1] if mark.kind in _STYLES)
    lines += [f"  classDef {kind} {_STYLES[kind]}" for kind in used]
    return "\n".join(lines) + "\n"


def _remarks(picture: Picture) -> list[str]:
    """What belongs to no node and no wire."""
    said_of_all = [*_told(picture.marks), *map(clean, picture.notes)]
    return [f"  remarks>{_quoted(said_of_all, longest=200)}]"] if said_of_all else []


def _node(node: Node, number: int) -> str:
    lines = [node.name, *node.lines]
    for nat in node.nat:
        lines += [f"NAT {nat.text}", *nat.publish]
    opening, closing = _SHAPES.get(node.kind, ("[", "]"))
    marked = next((f":::{mark.kind}" for mark in node.marks[:1] if mark.kind in _STYLES), "")
    return f"n{number}{opening}{_quoted([*lines, *_told(node.marks)])}{closing}{marked}"


def _link(wire: Wire, index: t.Mapping[str, int]) -> str:
    ends = [" ".join([end.interface, *end.addresses]).strip() for end in wire.ends]
    marks = unique((*wire.marks, *marks_of(wire, wire.ends[0]), *marks_of(wire, wire.ends[1])))
    lines = [line for line in (*ends, *_told(marks)) if line]
    broken = any(kind in (DOWN, MISSING) for kind in line_kinds(wire))
    line = "-.-" if broken or not wire.cable else "---"
    label = f"|{_quoted(lines)}|" if lines else ""
    return f"n{index[wire.ends[0].node]} {line}{label} n{index[wire.ends[1].node]}"


def _told(marks: t.Iterable[Mark]) -> list[str]:
    return [f"{_SIGNS.get(mark.kind, '!')} {said(mark)}" for mark in unique(marks)]


def _quoted(lines: t.Iterable[str], longest: int = _LONGEST) -> str:
    return '"' + "<br/>".join(_escaped(shorten(line, longest)) for line in lines if line) + '"'


def _escaped(text: str) -> str:
    """By numbers, since what stands in quotes is read as HTML, as Markdown, and for a few words as Mermaid.

    A backslash would, with the letter behind it, become a new line even so.
    """
    text = text.replace("\\", "\N{REVERSE SOLIDUS OPERATOR}")
    return "".join(letter if letter.isalnum() or letter in " .,:/-()…✕≠−+Δ?" else f"#{ord(letter)};" for letter in text)  # noqa: RUF001
