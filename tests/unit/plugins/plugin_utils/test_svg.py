# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written as SVG: that it can be read, stands in any page, and says nothing by colour alone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from ansible_collections.nslab.linux.plugins.filter.lab_svg import lab_svg
from ansible_collections.nslab.linux.plugins.plugin_utils._drawing import STYLES
from ansible_collections.nslab.linux.plugins.plugin_utils._picture import DOWN, End, Mark, Nat, Node, Picture, Wire
from ansible_collections.nslab.linux.plugins.plugin_utils._svg import draw_svg
from ansible_collections.nslab.linux.plugins.plugin_utils._svg_style import COLOURS, MARKS, STYLE
from ansible_collections.nslab.linux.tests.unit.plugins.plugin_utils.pictured import SHAPES, marked, namespace, wire

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = ["<script>x</script>", '"&amp;"', "a & b", "]]>", "</text>", "{x}", "été", "名前", "-->", "'"]
# What XML can't hold, what turns the text around, and bytes that are no letters.
UNFIT = ["a\x00b", "a\x1bb", "a\nb", "a\u202eb", "a\udcffb", "a\uffffb"]


def parsed(picture, **options):
    return ElementTree.fromstring(draw_svg(picture, **options))


def texts_of(svg):
    return {"".join(text.itertext()) for text in svg.iter(f"{SVG}text")}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_node_and_wire_has_its_place_under_its_prefix(shape):
    picture = marked(SHAPES[shape](40))
    svg = parsed(picture, prefix="web1-")
    idents = [element.get("id") for element in svg.iter() if element.get("id")]
    assert len(set(idents)) == len(idents)
    wanted = {f"node-{n}" for n in range(len(picture.nodes))} | {f"wire-{n}" for n in range(len(picture.wires))}
    assert set(idents) == {f"web1-{ident}" for ident in wanted | {"title", "desc"}}


def test_what_a_reader_of_the_screen_is_told():
    svg = parsed(marked(SHAPES["star"](5)), prefix="p-")
    assert svg.get("role") == "img"
    assert svg.get("aria-labelledby") == "p-title p-desc"
    assert svg.find(f"{SVG}title").text == "star"
    told = svg.find(f"{SVG}desc").text
    assert told.startswith("4 namespaces, 1 bridge, 4 links. ")
    assert "eth0 is down" in told and "mtu 1400 here, 1500 there" in told and "extra rule set web" in told
    assert parsed(SHAPES["star"](5)).find(f"{SVG}desc").text == "4 namespaces, 1 bridge, 4 links. Nothing stands out."


def test_the_size_is_that_of_what_is_drawn():
    svg = parsed(SHAPES["star"](40))
    assert svg.get("viewBox") == f"0 0 {svg.get('width')} {svg.get('height')}"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_shown_as_it_is(name):
    mark = Mark(DOWN, f"down: {name}")
    nodes = (
        namespace("a", lines=(name,), details=(name,), nat=(Nat(name, (name,)),), marks=(mark,)),
        Node(name, name, "bridge", marks=(mark,)),
    )
    wires = (Wire((End("a", name, (name,)), End(name, name)), marks=(mark,)),)
    svg = parsed(Picture(name, nodes, wires, marks=(mark,), notes=(name,)), prefix=name)
    assert svg.find(f"{SVG}title").text == name
    assert {name, f"{name}\N{NO-BREAK SPACE}\N{NO-BREAK SPACE}{name}"} <= texts_of(svg)
    assert {element.tag for element in svg.iter()} <= {
        SVG + tag for tag in ("svg", "title", "desc", "style", "g", "rect", "path", "circle", "text", "tspan")
    }


@pytest.mark.parametrize("name", UNFIT)
def test_what_can_not_be_shown_is_replaced_and_cuts_nothing_off(name):
    picture = Picture(
        name, (namespace("a", lines=(name,), details=(name,)), namespace(name)), (wire("a", "a", up=None),)
    )
    svg = parsed(picture)
    assert "a\N{REPLACEMENT CHARACTER}b" in texts_of(svg)
    draw_svg(picture).encode()


def test_what_is_too_long_is_cut_and_told_on_request():
    name = "n" * 255
    svg = parsed(Picture("p", (namespace(name),)))
    assert [text for text in texts_of(svg) if text.startswith("nnn")] == ["n" * 28 + "…"]
    assert any(name in (title.text or "") for title in svg.iter(f"{SVG}title"))
    assert float(svg.get("width")) < 600


def test_the_nat_of_a_router_stands_at_it():
    nodes = (
        namespace("r", nat=(Nat("10.0.0.0/8 as wan", tuple(f"tcp {port} to 10.0.0.2" for port in range(9))),)),
        namespace("n"),
    )
    svg = parsed(Picture("p", nodes, (wire("r eth0", "n eth0"),)))
    (router,) = [group for group in svg.iter(f"{SVG}g") if group.get("id") == "node-0"]
    assert {"NAT", "10.0.0.0/8 as wan", "tcp 5 to 10.0.0.2", "and 3 more ports"} <= texts_of(router)
    assert "tcp 8 to 10.0.0.2" in router.find(f"{SVG}title").text


def test_it_stands_in_any_page():
    """No style but one, the same in each picture and below one class; nothing that runs; nothing from elsewhere."""
    one, other = (draw_svg(marked(SHAPES[shape](40)), prefix=shape) for shape in ("office", "clos"))
    assert one.startswith("<svg ") and one.count(STYLE) == other.count(STYLE) == 1
    for text in (one, other):
        assert not re.search(r" (style|on\w+|(xlink:)?href)=|<script|url\(|@import", text)
    selectors = re.findall(r"([^{}]+)\{[^{}]*\}", STYLE.replace("@media (prefers-color-scheme:dark){", ""))
    assert len(selectors) > 40
    for selector in ",".join(selectors).split(","):
        assert selector.strip().startswith(".nslab-picture"), selector


def test_the_same_picture_is_the_same_text_whatever_the_order_of_sets():
    program = (
        "from ansible_collections.nslab.linux.tests.unit.plugins.plugin_utils.pictured import SHAPES, marked\n"
        "from ansible_collections.nslab.linux.plugins.plugin_utils._svg import draw_svg\n"
        "for make in SHAPES.values(): print(draw_svg(marked(make(20))))"
    )
    # The same modules as here, wherever they were found.
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    said = [
        subprocess.run(
            [sys.executable, "-c", program], env={**env, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    ]
    assert said[0] == said[1] and said[0].count(b"</svg>") == len(SHAPES)


def luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(part * weight for part, weight in zip(linear, (0.2126, 0.7152, 0.0722)))


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_what_is_to_be_read_stands_out_in_both_schemes(scheme):
    colour = {name: both[scheme] for name, both in COLOURS.items()}
    for behind in ("background", "surface", "bridge", "host"):
        for text in ("ink", "muted"):
            assert contrast(colour[text], colour[behind]) >= 4.5, (text, behind)
        for line in ("line", *MARKS.values()):
            assert contrast(colour[line], colour[behind]) >= 3, (line, behind)
    for behind in ("ink", *MARKS.values()):
        assert contrast(colour["surface"], colour[behind]) >= 4.5, behind
    assert contrast(colour["trunk"], colour["background"]) >= 3


def rule(selector):
    return "".join(
        re.findall(
            rf"^\.nslab-picture {re.escape(selector)}{{(.*)}}", STYLE.split("@media", maxsplit=1)[0], re.MULTILINE
        )
    )


def test_no_mark_is_told_by_colour_alone():
    dashes = [re.search(r"stroke-dasharray:([^;}]*)", rule(f".line.{kind}")) for kind in ("down", "missing")]
    assert None not in dashes and dashes[0].group(1) != dashes[1].group(1)
    assert "stroke-dasharray" in rule(".box.missing")
    glyphs = {}
    for kind in MARKS:
        svg = parsed(Picture("p", (namespace("a", marks=(Mark(kind, ""),)),)))
        (glyph,) = [
            path.get("d")
            for path in svg.iter(f"{SVG}path")
            if "glyph" in path.get("class") and "node" in found_in(svg, path)
        ]
        glyphs[kind] = glyph
        assert kind in texts_of(svg)
    assert len(set(glyphs.values())) == len(MARKS)
    states = {}
    for up in (True, None, False):
        svg = parsed(Picture("p", (namespace("a"), namespace("b")), (wire("a", "b", up=up),)))
        (group,) = [group for group in svg.iter(f"{SVG}g") if group.get("id") == "wire-0"]
        states[up] = [element.tag for element in group.iter()]
    # A port that is down is a cross, and one that is up is a dot; of the third kind only the middle is other.
    assert states[True] != states[False]
    assert COLOURS["good"][0] in rule(".dot.up") and COLOURS["surface"][0] in rule(".dot.plain")


def found_in(svg, wanted):
    """The id of the outermost group that something is in."""
    return next(group.get("id") or "" for group in svg.findall(f"{SVG}g") if any(one is wanted for one in group.iter()))


def test_letters_have_the_size_that_they_are_measured_at():
    for name, style in STYLES.items():
        sizes = re.findall(r"font-size:([0-9.]+)px", rule(f".{name}") + rule(f".interface,.nslab-picture .{name}"))
        sizes = sizes or re.findall(r"font-size:([0-9.]+)px", rule("text"))
        assert [float(size) for size in sizes] == [style.size], name
        assert style.size >= 9


def test_the_picture_beside_the_example_is_what_the_filter_draws():
    """The README shows it. After a change of either: ./dev look --example"""
    example = Path(__file__).parents[4] / "examples" / "office"
    lab = yaml.safe_load((example / "office.nslab.yml").read_text(encoding="utf-8"))["lab"]
    assert (example / "office.svg").read_text(encoding="utf-8") == lab_svg(lab)
