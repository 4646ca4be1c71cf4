# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written as Mermaid. No parser of it is at hand here: so it keeps to a small part of the language, told below."""

from __future__ import annotations

import html
import re

import pytest

from ansible_collections.nslab.linux.plugins.plugin_utils._mermaid import draw_mermaid
from ansible_collections.nslab.linux.plugins.plugin_utils._picture import BRIDGE, End, Mark, Nat, Node, Picture, Wire
from ansible_collections.nslab.linux.tests.unit.plugins.plugin_utils.pictured import SHAPES, marked, namespace, wire

# Letters, digits, a little else, and what else there is by its number; lines are parted by <br/>.
LABEL = r'"(?:[^\W_]|[ .,:/()…✕≠−+Δ?-]|\#[0-9]+;|<br/>)*"'  # noqa: RUF001
GRAMMAR = re.compile(
    rf"""---|title:\ ".*"|flowchart\ LR
    |\ +n\d+(?:\[{LABEL}\]|\(\[{LABEL}\]\)|\[\[{LABEL}\]\]|\(\({LABEL}\)\))(?::::[a-z]+)?
    |\ \ n\d+\ (?:---|-\.-)(?:\|{LABEL}\|)?\ n\d+
    |\ \ subgraph\ g\d+\[{LABEL}\]|\ \ end
    |\ \ linkStyle\ \d+(?:,\d+)*\ [^"]+|\ \ classDef\ [a-z]+\ [^"]+|\ \ remarks>{LABEL}\]""",
    re.VERBOSE,
)
HOSTILE = [
    "end",
    "a;b",
    'a"b',
    "<b>",
    "`x`",
    "#35;",
    "a|b",
    "[x]",
    "-->",
    "%%",
    "subgraph",
    "&amp;",
    "_x_",
    "*x*",
    "名",
    "\\n",
]


def shown(text):
    """The labels as a reader sees them, line by line."""
    labels = re.findall(r'"([^"]*)"', "\n".join(line for line in text.splitlines() if not line.startswith("title:")))
    return [html.unescape(line.replace("#", "&#")) for label in labels for line in label.split("<br/>")]


@pytest.mark.parametrize("shape", SHAPES)
def test_each_line_is_of_the_language(shape):
    for picture in (SHAPES[shape](40), marked(SHAPES[shape](40))):
        text = draw_mermaid(picture)
        assert text == draw_mermaid(picture)
        for line in text.splitlines():
            assert GRAMMAR.fullmatch(line), line
        assert len(re.findall(r"^ +n\d+[\[(]", text, re.MULTILINE)) == len(picture.nodes)
        assert len(re.findall(r"^  n\d+ -", text, re.MULTILINE)) == len(picture.wires)
        assert text.count("  end") == text.count("subgraph")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_shown_as_it_is(name):
    nodes = (namespace("a", lines=(name,), nat=(Nat(name, (name,)),)), Node(name, name, BRIDGE, inside="a"))
    picture = Picture(name, nodes, (Wire((End("a", name), End(name))),), marks=(Mark("extra", name),), notes=(name,))
    text = draw_mermaid(picture)
    for line in text.splitlines():
        assert GRAMMAR.fullmatch(line), line
    # In quotes, too, a backslash and an n are a new line.
    wanted = name.replace("\\", "\N{REVERSE SOLIDUS OPERATOR}")
    assert [line for line in shown(text) if line == wanted] == [wanted] * 5
    assert f"NAT {wanted}" in shown(text) and f"+ extra: {wanted}" in shown(text)


def test_what_stands_out_has_a_sign_a_word_and_its_own_line():
    kinds = {"down": "✕", "mtu": "≠", "missing": "−", "extra": "+", "changed": "Δ", "unread": "?"}  # noqa: RUF001
    nodes = tuple(namespace(kind, marks=(Mark(kind, "of a node"),)) for kind in kinds)
    wires = tuple(Wire((End("down", "eth0"), End(kind)), marks=(Mark(kind, "of a link"),)) for kind in kinds)
    text = draw_mermaid(Picture("p", nodes, (wire("down", "mtu"), *wires)))
    for number, (kind, sign) in enumerate(kinds.items()):
        assert f'n{number}["{kind}<br/>{sign} {kind}: of a node"]:::{kind}' in text
        assert f"{sign} {kind}: of a link" in shown(text)
        assert re.search(rf"^  linkStyle {number + 1} stroke:#", text, re.MULTILINE)
        assert re.search(rf"^  classDef {kind} stroke:#", text, re.MULTILINE)
    broken = re.findall(r"^  n0 (\S+)\|.* n(\d+)$", text, re.MULTILINE)
    assert broken == [("-.-", "0"), ("---", "1"), ("-.-", "2"), ("---", "3"), ("---", "4"), ("---", "5")]
    # They go with light and dark pages.
    assert "fill" not in text and "color:" not in text.replace("stroke", "")


def test_a_bridge_stands_with_its_namespace():
    text = draw_mermaid(SHAPES["clos"](5))
    assert '  subgraph g2["leaf0"]\n    n2["leaf0"]\n    n3(["br0<br/>10.0.0.1/24"])\n  end\n' in text
    assert '  n3 -.-|"br0 10.0.0.1/24"| n2\n' in text


def test_a_link_that_is_down_says_so_without_a_mark():
    text = draw_mermaid(
        Picture("", (namespace("a"), namespace("b")), (wire("a eth0 10.0.0.1/24", "b eth0", up=False),))
    )
    assert text.splitlines()[0] == "flowchart LR"
    assert '  n0 -.-|"eth0 10.0.0.1/24<br/>eth0<br/>✕ down"| n1' in text
