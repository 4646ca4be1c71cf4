# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of many hosts, and the filters that draw: what is escaped, folded, counted and refused.

Such a page is read with a real lab behind it in tests/playbooks.
"""

from __future__ import annotations

import re

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.nslab.linux.plugins.filter.lab_mermaid import lab_mermaid
from ansible_collections.nslab.linux.plugins.filter.lab_page import lab_page
from ansible_collections.nslab.linux.plugins.filter.lab_svg import lab_svg
from ansible_collections.nslab.linux.plugins.plugin_utils._page import draw_page, findings
from ansible_collections.nslab.linux.plugins.plugin_utils._picture import (
    CHANGED,
    DOWN,
    MISSING,
    NAMESPACE,
    End,
    Mark,
    Node,
    Picture,
    Wire,
)

LAB = {"name": "x", "namespaces": {"web": {}}}
ODD = "</svg><script>alert(1)</script>\x1b"


def seen(**namespaces):
    """What lab_info returned of a host with namespaces that have nothing in them; None is one that could not be read."""
    empty = {
        "inode": None,
        "lab": None,
        "lab_addresses": {},
        "links": {},
        "routes": [],
        "nat": {},
        "resolv": None,
        "sysctls": {},
    }
    return {
        "changed": False,
        "namespaces": {name: one if one is None else dict(empty) for name, one in namespaces.items()},
    }


def host(web=True):
    return {"seen": seen(host=1, **({"web": 1} if web else {})), "definitions": [LAB]}


def table(page):
    """The cells of each row of the overview, as a reader sees them."""
    rows = re.findall(r"<tr><th scope.*?</tr>", page)
    return [[re.sub(r"<[^>]+>", " ", cell).split() for cell in re.split(r"</t[hd]>", row)[:-1]] for row in rows]


def test_everything_is_fine_is_said_so_and_what_is_not_is_counted():
    assert "Everything is fine: nothing stands out." in draw_page({"web1": host(), "web2": host()})
    page = draw_page({"web1": host(), "web2": host(web=False)})
    assert "1 thing stands out on 1 host." in page
    assert "2 hosts, 1 namespace, 0 links." in page
    assert [" ".join(row[-1]) for row in table(page)] == ["✓ as declared", "lab x is missing"]
    assert "No host was looked at." in draw_page({})


def test_a_host_that_could_not_be_looked_at_or_compared_is_there_with_the_reason():
    lost = {"seen": {"unreachable": True, "msg": "ssh:\n <no route>"}}
    failed = {"seen": {"failed": True, "msg": "no CAP_NET_ADMIN"}, "definitions": [LAB]}
    wrong = {"seen": seen(host=1, web=1), "definitions": [{"name": "y", "links": [{}]}, LAB]}
    page = draw_page({"a": lost, "b": failed, "c": wrong})
    rows = table(page)
    assert [" ".join(row[-1]) for row in rows[:2]] == [
        "a is unreachable: ssh: &lt;no route&gt;",
        "b could not be looked at: no CAP_NET_ADMIN",
    ]
    assert [row[2] for row in rows] == [["-"], ["-"], ["1"]]
    assert " ".join(rows[2][-1]).startswith("lab y can&#x27;t be so: links[0]")
    assert rows[2][1] == ["x"]
    assert "3 things stand out on 3 hosts, and 3 hosts could not be drawn whole." in page


def test_why_something_could_not_be_read_stands_below_its_picture():
    told = {**seen(host=1, web=1), "warnings": ["nat of web can't be read: that takes pyroute2", "something else"]}
    page = draw_page({"a": {"seen": told}})
    assert "nat of web can&#x27;t be read: that takes pyroute2" in page
    assert "something else" not in page


def test_a_page_of_one_host_says_once_what_stands_out_and_all_of_it():
    lab = {"name": "x", "nodes": {"count": 9, "bridge": "b"}, "bridges": {"b": {}}, "namespaces": {"web": {}}}
    one = {"seen": seen(host=1, web=1), "definitions": [lab]}
    page = draw_page({"a": one})
    assert len(re.findall('<li class="mark', page)) == 19
    assert "more</a>" not in page
    both = draw_page({"a": one, "b": host()})
    assert len(re.findall('<li class="mark', both)) == 5 + 19
    assert "and 14 more</a>" in both


def test_of_many_hosts_those_are_folded_where_nothing_stands_out():
    few = draw_page({f"web{number}": host() for number in range(8)})
    assert len(re.findall(r'<details class="host" id="host-\d+" open>', few)) == 8
    many = draw_page({f"web{number}": host(web=number != 3) for number in range(9)})
    assert re.findall(r'<details class="host" id="(host-\d+)" open>', many) == ["host-3"]


def test_whatever_a_host_says_is_text():
    page = draw_page({ODD: {"seen": seen(**{ODD: 1, "b": None})}, "c": {"seen": {"failed": True, "msg": ODD}}}, ODD)
    assert "<script" not in page
    assert page.count("</svg>") == page.count("<svg ") == 1
    assert "\x1b" not in page
    assert "\N{REPLACEMENT CHARACTER}" in page


@pytest.mark.parametrize(
    "odd",
    [
        {"routes": [{}]},
        {"nat": {"<b>": 1}},
        {"lab_addresses": {"eth0": ["<b>"]}},
        {"sysctls": 5},
        {"resolv": {"hosts": 5}},
    ],
    ids=lambda odd: next(iter(odd)),
)
def test_a_host_that_answers_nonsense_does_not_keep_the_others_from_the_page(odd):
    lying = seen(host=1, web=1)
    lying["namespaces"]["web"].update(odd)
    page = draw_page({"web1": host(), "web2": {"seen": lying, "definitions": [{**LAB, "hosts": True}]}})
    rows = table(page)
    assert " ".join(rows[0][-1]) == "✓ as declared"
    assert " ".join(rows[1][-1]).startswith("this is not what nslab.linux.lab_info returns (")
    assert "<b>" not in page


def test_findings_name_their_place_and_a_lab_that_is_not_there_is_one():
    nodes = (
        Node("host", "host", "host"),
        Node("web", "web", NAMESPACE, marks=(Mark(CHANGED, "route default via 10.1.0.1 is missing"),)),
        Node(
            "host/br0",
            "br0",
            "bridge",
            marks=(Mark(DOWN, "br0 is down"), Mark(CHANGED, "stp 0, declared 1")),
        ),
    )
    ends = (
        End("web", "eth0", marks=(Mark(DOWN, "eth0 is down"), Mark(MISSING, "10.1.0.2/24 is missing on eth0"))),
        End("host/br0"),
    )
    picture = Picture("x", nodes, (Wire(ends, marks=(Mark(DOWN, "no carrier"),)),), observed=True)
    assert [(each.anchor, each.text) for each in findings(picture, "h-")] == [
        ("h-node-1", "web: route default via 10.1.0.1 is missing"),
        ("h-node-2", "host/br0: br0 is down"),
        ("h-node-2", "host/br0: stp 0, declared 1"),
        ("h-wire-0", "no carrier"),
        ("h-wire-0", "web: eth0 is down"),
        ("h-wire-0", "web: 10.1.0.2/24 is missing on eth0"),
    ]
    gone = tuple(Node(name, name, NAMESPACE, marks=(Mark(MISSING, f"namespace {name} is missing"),)) for name in "ab")
    assert [each.text for each in findings(Picture("x", gone, observed=True))] == ["lab x is missing"]


def test_nothing_may_be_loaded():
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', draw_page({"web1": host()}))
    assert policy
    assert policy[1].startswith("default-src 'none'; style-src 'unsafe-inline'; ")


@pytest.mark.parametrize(
    ("draw", "wrong", "match"),
    [
        (lab_svg, {"name": "x", "links": [{}]}, r"lab_svg: lab x can't be so: links\[0\]"),
        (lab_mermaid, {"namespaces": {"a": {}}}, "lab_mermaid: lab .*has no name"),
        (lab_svg, "text", "lab_svg: a definition is a dict"),
        (lab_page, [], "lab_page takes a dict"),
        (lab_page, {"web1": {"definitions": []}}, "lab_page: of host web1 nothing is said"),
    ],
    ids=["fault", "no-name", "text", "list", "nothing-seen"],
)
def test_a_filter_refuses_in_one_line(draw, wrong, match):
    with pytest.raises(AnsibleFilterError, match=match) as refused:
        draw(wrong)
    assert "\n" not in str(refused.value)


def test_filters_take_a_title_a_prefix_and_what_to_compare_with():
    drawn = lab_svg(seen(host=1), definition=LAB, title="Of <today>", prefix="p-")
    assert "Of &lt;today&gt;" in drawn
    assert 'id="p-node-0"' in drawn
    assert "namespace web is missing" in drawn
    assert "namespace web is missing" not in lab_svg(LAB)
    assert "web" in lab_mermaid(LAB, title="T")
