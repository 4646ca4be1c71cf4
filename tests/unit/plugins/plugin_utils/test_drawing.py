# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things are in a drawing: whatever the lab, nothing lies over anything else, and all is told that there is.

The widths of texts are those that the drawing reckons with; that no browser makes them wider is what ./dev look shows.
"""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ansible_collections.nslab.linux.plugins.plugin_utils._drawing import Box, Line, Sign, Text
from ansible_collections.nslab.linux.plugins.plugin_utils._drawing_graph import graph_of
from ansible_collections.nslab.linux.plugins.plugin_utils._drawing_layout import drawing_of
from ansible_collections.nslab.linux.plugins.plugin_utils._drawing_order import layered
from ansible_collections.nslab.linux.plugins.plugin_utils._picture import (
    BRIDGE,
    HOST,
    NAMESPACE,
    OUTSIDE,
    End,
    Mark,
    Nat,
    Node,
    Picture,
    Wire,
)
from ansible_collections.nslab.linux.tests.unit.plugins.plugin_utils.pictured import SHAPES, marked, namespace, wire

# The same on every run. A picture that fails is not made smaller: that takes minutes.
by_lot = settings(max_examples=40, deadline=None, derandomize=True, phases=[Phase.generate])


def bounds(item):
    if isinstance(item, Box):
        return item.x, item.y, item.x + item.width, item.y + item.height
    if isinstance(item, Text):
        return item.box
    if isinstance(item, Line):
        xs, ys = zip(*item.points)
        return min(xs), min(ys), max(xs), max(ys)
    return item.x - 6, item.y - 6, item.x + 6, item.y + 6


def apart(one, other):
    return one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


def within(inner, outer):
    slack = 0.01
    return (
        outer[0] - slack <= inner[0]
        and outer[1] - slack <= inner[1]
        and inner[2] <= outer[2] + slack
        and inner[3] <= outer[3] + slack
    )


def pairs_that_meet(bounded):
    """Of (bounds, anything), by a sweep from above: the pairs that overlap."""
    active = []
    for one in sorted(bounded, key=lambda pair: pair[0][1]):
        active = [other for other in active if other[0][3] > one[0][1]]
        yield from ((other, one) for other in active if not apart(one[0], other[0]))
        active.append(one)


def stretches(line):
    """The parts of a line as boxes around them; a curve as the box in which it bends."""
    if line.curve:
        return [bounds(dataclasses.replace(line, points=two)) for two in itertools.pairwise(line.points)]
    return [bounds(dataclasses.replace(line, points=two)) for two in zip(line.points, line.points[1:])]


def assert_well_drawn(picture):
    drawing = drawing_of(picture)
    graph = graph_of(picture)
    nodes = graph.picture.nodes
    inside = {f"node-{inner}": f"node-{cluster.top}" for cluster in graph.clusters for inner in cluster.nested}
    whole = (0, 0, drawing.width, drawing.height)
    boxes = {}
    for group in drawing.groups:
        for item in group.items:
            assert within(bounds(item), whole), (item, whole)
            if isinstance(item, Box) and item.role != "badge":
                assert group.ident not in boxes, "drawn twice"
                boxes[group.ident] = bounds(item)
    assert boxes.keys() == {f"node-{number}" for number in range(len(nodes))}
    for (one, name), (other, other_name) in pairs_that_meet([(box, ident) for ident, box in boxes.items()]):
        outer, inner = (one, other) if inside.get(other_name) == name else (other, one)
        assert inside.get(other_name) == name or inside.get(name) == other_name, (name, other_name)
        assert within(inner, outer)
    texts = [(item.box, group.ident) for group in drawing.groups for item in group.items if isinstance(item, Text)]
    texts = [(box, ident) for box, ident in texts if box[2] > box[0]]
    assert not list(pairs_that_meet(texts)), "one text over another"
    for text, ident in texts:
        own = {ident, inside.get(ident)}
        for name, box in boxes.items():
            assert apart(text, box) or (name in own and within(text, box)), (ident, name)
    for group in drawing.groups:
        for line in (item for item in group.items if isinstance(item, Line) and group.ident):
            number = int(group.ident.partition("-")[2])
            own = {f"node-{end}" for end in graph.ends[number]}
            own |= {inside.get(name) for name in own}
            for stretch in stretches(line):
                met = {name for name, box in boxes.items() if not apart(stretch, box)}
                # A level line has no height, and so meets a box only if it lies strictly between its edges.
                assert met <= own, (group.ident, met - own)
                assert not any(not apart(stretch, text) for text, _ident in texts), group.ident
    drawn = {group.ident for group in drawing.groups if group.ident.startswith("wire-")}
    assert drawn == {f"wire-{number}" for number in range(len(picture.wires)) if number not in graph.absorbed}
    return drawing


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [5, 40])
def test_nothing_lies_over_anything_else(shape, size):
    for picture in (SHAPES[shape](size), marked(SHAPES[shape](size))):
        assert_well_drawn(picture)


@pytest.mark.parametrize("shape", ["star", "clos"])
def test_three_hundred_nodes_fit_in_a_few_screens(shape):
    drawing = assert_well_drawn(SHAPES[shape](300))
    assert drawing.width < 5000 and drawing.height < 5000


texts = st.text(st.characters(codec="utf-8"), max_size=40) | st.sampled_from(
    ["W" * 80, "10.0.0.1/24", "宽" * 20, "eth0"]
)
marks = st.lists(
    st.builds(Mark, st.sampled_from(["down", "mtu", "missing", "extra", "changed", "unread"]), texts), max_size=2
)
some = st.lists(texts, max_size=3).map(tuple)


@st.composite
def pictures(draw):
    count = draw(st.integers(0, 14))
    nodes = []
    for number in range(count):
        outer = [node.key for node in nodes if node.kind == NAMESPACE and node.inside is None]
        kind = draw(st.sampled_from([NAMESPACE, NAMESPACE, BRIDGE, HOST, OUTSIDE]))
        inside = draw(st.sampled_from([None, *outer])) if kind == BRIDGE else None
        nat = draw(st.lists(st.builds(Nat, texts, some), max_size=1)) if kind == NAMESPACE else []
        node = Node(f"k{number}", draw(texts), kind, inside, draw(some), nat=tuple(nat), marks=tuple(draw(marks)))
        nodes.append(node)
    ends = st.builds(
        End,
        st.integers(0, max(count - 1, 0)).map(lambda number: f"k{number}"),
        texts,
        some,
        up=st.sampled_from([True, False, None]),
        marks=marks.map(tuple),
    )
    wires = st.builds(Wire, st.tuples(ends, ends), st.booleans(), marks.map(tuple))
    found = draw(st.lists(wires, max_size=22 if count else 0))
    # Most of what hangs somewhere hangs on one thing.
    if nodes and draw(st.booleans()):
        found += [wire(f"k{draw(st.integers(0, 1)) % count} p{n}", f"k{n} e") for n in range(2, count)]
    return Picture(draw(texts), tuple(nodes), tuple(found), tuple(draw(marks)), draw(some))


@by_lot
@given(pictures())
def test_nothing_lies_over_anything_else_in_a_picture_by_lot(picture):
    assert_well_drawn(picture)


def figures_of(drawing, ident):
    items = [item for group in drawing.groups if group.ident == ident for item in group.items]
    return {item.figure for item in items if isinstance(item, Sign)}


def words_of(drawing):
    return {"".join(piece.text for piece in item.pieces) for item in drawing.items() if isinstance(item, Text)}


@pytest.mark.parametrize("kind", ["down", "mtu", "missing", "extra", "changed", "unread"])
@pytest.mark.parametrize("hub", [BRIDGE, NAMESPACE])
def test_a_mark_has_its_sign_and_its_words_wherever_it_is(kind, hub):
    """At either end, at the wire, at a node, and at the whole, of a link that hangs and of one that does not."""
    mark = Mark(kind, "x of it")
    one, other = End("a", "eth0"), End("hub", "port0")
    plain = wire("b eth0", "hub port1")
    places = {
        "end": Wire((dataclasses.replace(one, marks=(mark,)), other)),
        "far end": Wire((one, dataclasses.replace(other, marks=(mark,)))),
        "wire": Wire((one, other), marks=(mark,)),
    }
    nodes = (namespace("a"), Node("hub", "hub", hub), namespace("b"))
    for place, marked_wire in places.items():
        drawing = drawing_of(Picture("p", nodes, (marked_wire, plain)))
        assert kind in figures_of(drawing, "wire-0"), place
        assert kind not in figures_of(drawing, "wire-1"), place
        assert any(f"{kind}: x of it" in words for words in words_of(drawing)), place
        (line,) = [item for g in drawing.groups if g.ident == "wire-0" for item in g.items if isinstance(item, Line)]
        # A link is there though an address at its end is not.
        assert line.marks == (() if "end" in place and kind in ("missing", "extra") else (kind,))
    on_node = drawing_of(Picture("p", (dataclasses.replace(nodes[0], marks=(mark,)), *nodes[1:]), (plain,)))
    assert kind in figures_of(on_node, "node-0") and f"{kind}: x of it" in words_of(on_node)
    on_all = drawing_of(Picture("p", nodes, (plain,), marks=(mark,), notes=("a note",)))
    assert kind in figures_of(on_all, "") and {f"{kind}: x of it", "a note"} <= words_of(on_all)


def test_an_end_that_is_down_is_marked_without_being_told():
    drawing = drawing_of(Picture("p", (namespace("a"), namespace("b")), (wire("a eth0", "b eth0", up=False),)))
    assert figures_of(drawing, "wire-0") == {"down", "off"}
    assert "down" in words_of(drawing)
    # Where one end tells it, the other does not repeat it.
    told = Wire((End("a", "eth0", up=False, marks=(Mark("down", "eth0 is down"),)), End("b", "eth0", up=False)))
    drawing = drawing_of(Picture("p", (namespace("a"), namespace("b")), (told,)))
    told_twice = [item for group in drawing.groups if group.ident for item in group.items if isinstance(item, Text)]
    assert ["".join(piece.text for piece in item.pieces) for item in told_twice if "down" in item.pieces[0].text] == [
        "eth0 is down"
    ]


def test_the_legend_tells_what_occurs_and_nothing_else():
    def legend(picture):
        return {
            word for word in words_of(drawing_of(picture)) if word.partition(":")[0] in (*kinds, "up", "another MTU")
        }

    kinds = ("down", "missing", "extra", "changed", "unread")
    assert legend(SHAPES["ring"](5)) == {"up"}
    assert {word.partition(":")[0] for word in legend(marked(SHAPES["star"](40)))} == {"up", "another MTU", *kinds}


def test_two_links_between_the_same_two_are_two_lines():
    drawing = drawing_of(Picture("p", (namespace("a"), namespace("b")), (wire("a x", "b x"), wire("a y", "b y"))))
    lines = [item for group in drawing.groups for item in group.items if isinstance(item, Line) and group.ident]
    assert len({line.points for line in lines}) == 2
    assert {point[1] for point in lines[0].points}.isdisjoint(point[1] for point in lines[1].points)


def test_a_bridge_stands_inside_of_its_namespace_and_one_on_the_host_in_the_host():
    for shape, inner, outer in (("clos", "leaf0/br0", "leaf0"), ("docker", "host/nslab0", "host")):
        picture = SHAPES[shape](40)
        keys = [node.key for node in picture.nodes]
        idents = [f"node-{keys.index(key)}" for key in (inner, outer)]
        groups = {group.ident: group for group in drawing_of(picture).groups}
        assert within(*(bounds(groups[ident].items[0]) for ident in idents))


def test_the_columns_are_those_a_person_would_choose():
    def columns(count, edges, first=()):
        return [set(layer) for layer in layered(count, edges, first)]

    chain = [(n, n + 1) for n in range(4)]
    assert columns(5, chain) == [{0}, {1}, {2}, {3}, {4}]
    assert columns(5, chain, [2]) == [{2}, {1, 3}, {0, 4}]
    assert columns(6, [(n, (n + 1) % 6) for n in range(6)]) == [{0}, {1, 5}, {2, 4}, {3}]
    clos = [(spine, leaf) for spine in (0, 1) for leaf in range(2, 8)]
    assert {frozenset(layer) for layer in columns(8, clos)} == {frozenset({0, 1}), frozenset(range(2, 8))}
    star = [(0, n) for n in range(1, 6)]
    assert columns(6, star) == [{0}, {1, 2, 3, 4, 5}]


def test_a_column_is_ordered_after_its_neighbours():
    edges = [(0, 3), (0, 5), (1, 4), (2, 3)]
    first, second = layered(6, edges, [0, 1, 2])
    lines = [(first.index(one), second.index(other)) for one, other in edges]
    crossing = [
        pair for pair in itertools.combinations(lines, 2) if (pair[0][0] - pair[1][0]) * (pair[0][1] - pair[1][1]) < 0
    ]
    assert not crossing


def test_a_bridge_that_is_wider_with_its_wires_at_the_other_side_is_passed_at_a_distance():
    """In a band that is read from the right."""
    wide = "宽" * 20
    nodes = (
        Node("k0", wide, BRIDGE, lines=(wide, "b")),
        Node("k1", "k1", BRIDGE),
        Node("k2", "k2", HOST),
        Node("k3", "k3", BRIDGE),
    )
    wires = (
        Wire((End("k2"), End("k0", wide))),
        Wire((End("k2", "eeee", (wide,)), End("k1", up=False))),
        Wire((End("k1"), End("k3"))),
    )
    assert_well_drawn(Picture("p", nodes, wires))


def test_lines_of_a_grid_do_not_cross():
    """Columns from one corner, and within them the order that a person would choose."""
    picture = SHAPES["mesh"](25)
    graph = graph_of(picture)
    layers = layered(25, graph.ends, [])
    place = {one: (column, row) for column, layer in enumerate(layers) for row, one in enumerate(layer)}
    lines = [sorted((place[one], place[other])) for one, other in graph.ends]
    crossing = [
        (one, other)
        for one, other in itertools.combinations(lines, 2)
        if one[0][0] == other[0][0] and (one[0][1] - other[0][1]) * (one[1][1] - other[1][1]) < 0
    ]
    assert not crossing
