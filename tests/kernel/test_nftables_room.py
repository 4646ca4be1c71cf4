# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nftables room against the kernel; `nft` is the witness, never our own reader alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network

import pytest
from support.nftables import (
    EVERYTHING,
    FORWARD,
    SMALL,
    a_namespace,
    another_namespace,
    listing,
    make,
    many_elements,
    nft,
    read,
    repair,
    rules_of,
    shown,
    with_rules,
)

from ansible_collections.nslab.linux.plugins.module_utils._kernel import _nftables as room
from ansible_collections.nslab.linux.plugins.module_utils._ruleset import (
    ACCEPT,
    DROP,
    AddressIn,
    Chain,
    Element,
    Rule,
    Table,
    jump,
)
from ansible_collections.nslab.linux.plugins.module_utils._ruleset_changes import difference
from ansible_collections.nslab.linux.plugins.module_utils._ruleset_text import script


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    with a_namespace():
        yield


# What is written


def test_nft_sees_all_that_is_written():
    make(EVERYTHING)
    chains = {chain["name"]: chain for chain in shown("chain")}
    assert {name: chain.get("hook") for name, chain in chains.items()} == {
        "lab": None,
        "forward": "forward",
        "prerouting": "prerouting",
        "postrouting": "postrouting",
    }
    assert (chains["forward"]["type"], chains["forward"]["prio"], chains["forward"]["policy"]) == ("filter", -1, "drop")
    assert (chains["postrouting"]["type"], chains["postrouting"]["prio"]) == ("nat", 100)
    assert [rule.get("comment") for rule in rules_of("forward")][:3] == ["nslab::dispatch", None, "nslab:lab:match"]
    assert rules_of("lab")[0]["expr"] == [{"reject": {"type": "icmpx", "expr": "admin-prohibited"}}]
    (fwd_iif,) = [each for each in shown("map") if each["name"] == "fwd_iif"]
    assert fwd_iif["elem"] == [
        [{"elem": {"val": "v1", "comment": "nslab:lab:forward"}}, {"jump": {"target": "lab"}}],
        ["v2", {"accept": None}],
        ["v3", {"drop": None}],
    ]
    (publish4,) = [each for each in shown("map") if each["name"] == "publish4"]
    assert [
        {"elem": {"val": {"concat": ["tcp", 80]}, "comment": "nslab:lab:publish"}},
        {"concat": ["10.0.0.2", 8080]},
    ] in publish4["elem"]
    assert 'comment "nslab.linux"' in listing()


def test_the_script_run_by_nft_makes_the_same_table():
    make(EVERYTHING)
    ours, ours_compiled, ours_read = listing(), compiled(), read()
    with another_namespace():
        nft("-f", "-", text=script(difference(None, EVERYTHING)))
        assert listing() == ours
        assert compiled() == ours_compiled
        assert read() == EVERYTHING
    assert ours_read == EVERYTHING
    assert read().comment == "nslab.linux"


def compiled() -> list[str]:
    """The kernel's expressions of all rules, as nft shows them."""
    return [line for line in nft("--debug=netlink", "list", "table", "inet", "nslab").splitlines() if "  [ " in line]


def test_each_rule_is_listed_by_nft_in_the_words_of_the_script():
    make(EVERYTHING)
    listed = [line.strip() for line in listing().splitlines()]
    written = [
        line.split(" ", 5)[5] for line in script(difference(None, EVERYTHING)).splitlines() if "add rule" in line
    ]
    assert [line for line in listed if line in written] == sorted(written, key=listed.index)
    assert len(written) == sum(len(chain.rules) for chain in EVERYTHING.chains)


def test_a_table_of_one_ip_version_tests_no_protocol():
    lab = Rule((AddressIn("saddr", ip_network("10.0.0.0/20")), ACCEPT))
    table = Table("ip", "nslab", (Chain("forward", (lab,), FORWARD),))
    make(table)
    ours = nft("--debug=netlink", "list", "table", "ip", "nslab")
    assert "nfproto" not in ours
    assert room.read_table("ip", "nslab") == table
    assert room.read_table("inet", "nslab") is None
    nft("delete", "table", "ip", "nslab")
    nft("-f", "-", text=script(difference(None, table)))
    assert nft("--debug=netlink", "list", "table", "ip", "nslab") == ours
    assert room.read_table("ip", "nslab") == table


def test_where_there_is_no_table_none_is_read():
    assert room.read_table("inet", "nslab") is None
    nft("add", "table", "inet", "other")
    assert room.read_table("inet", "nslab") is None


def test_the_room_works_in_the_namespace_of_the_calling_thread():
    make(SMALL)
    with another_namespace():
        assert room.read_table("inet", "nslab") is None
        assert shown("table") == []
        make(replace(SMALL, name="other"))
    assert [table["name"] for table in shown("table")] == ["nslab"]


def test_a_table_goes_whole_and_leaves_others():
    make(EVERYTHING)
    nft("add", "table", "inet", "other")
    room.apply_changes(difference(read(), None))
    assert [table["name"] for table in shown("table")] == ["other"]


# What changes


@pytest.mark.parametrize("by_script", [False, True], ids=["room", "script"])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (EVERYTHING, SMALL),
        (SMALL, EVERYTHING),
        (Table("inet", "nslab"), EVERYTHING),
        (EVERYTHING, Table("inet", "nslab")),
    ],
)
def test_any_table_becomes_any_other_and_back(before, after, by_script):
    make(before)
    original = listing()
    for wanted in (after, before):
        changes = difference(read(), wanted)
        if by_script:
            nft("-f", "-", text=script(changes))
        else:
            room.apply_changes(changes)
        assert read() == wanted
    assert sorted(listing().splitlines()) == sorted(original.splitlines())


def test_a_chain_that_does_not_differ_is_not_touched():
    make(SMALL)
    handles = [rule["handle"] for rule in rules_of("forward")]
    repair(with_rules(SMALL, "lab", Rule((DROP,))))
    assert [rule["handle"] for rule in rules_of("forward")] == handles
    assert [rule["expr"] for rule in rules_of("lab")] == [[{"drop": None}]]


def test_a_policy_changes_without_a_touch_to_the_rules():
    make(SMALL)
    handles = [rule["handle"] for rule in rules_of("forward")]
    nft("chain inet nslab forward { policy drop; }")
    assert read() != SMALL
    repair(SMALL)
    assert [chain["policy"] for chain in shown("chain") if "policy" in chain] == ["accept"]
    assert [rule["handle"] for rule in rules_of("forward")] == handles


def test_a_table_that_was_put_to_sleep_is_woken():
    make(SMALL)
    nft("add table inet nslab { flags dormant; }")
    assert "dormant" in listing()
    asleep = read()
    assert asleep == replace(SMALL, dormant=True)
    repair(SMALL)
    assert "dormant" not in listing()
    room.apply_changes(difference(read(), asleep))
    assert "dormant" in listing()


@pytest.mark.parametrize(
    "element", [Element("v1", ACCEPT, "nslab:lab:forward"), Element("v1", jump("lab"), "nslab:other:forward")]
)
def test_an_element_that_differs_is_replaced(element):
    make(SMALL)
    wanted = replace(SMALL, maps=(replace(SMALL.maps[0], elements=(element,)),))
    repair(wanted)
    ours = listing()
    with another_namespace():
        nft("-f", "-", text=script(difference(None, wanted)))
        assert listing() == ours


def test_a_thousand_elements_with_comments_come_and_go():
    many = tuple(many_elements(1000))
    table = replace(SMALL, maps=(replace(SMALL.maps[0], elements=many),))
    make(table)
    assert elements_shown() == {(element.key, element.comment) for element in many}
    assert read() == table

    fewer = replace(table, maps=(replace(table.maps[0], elements=many[1:]),))
    assert len(script(difference(read(), fewer)).splitlines()) == 1
    repair(fewer)
    assert elements_shown() == {(element.key, element.comment) for element in many[1:]}
    repair(SMALL)
    assert elements_shown() == {("v1", "nslab:lab:forward")}


def elements_shown() -> set[tuple[str, str]]:
    (only,) = shown("map")
    return {(key["elem"]["val"], key["elem"]["comment"]) for key, _verdict in only["elem"]}
