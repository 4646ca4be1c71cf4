# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The switches of forwarding: which ones rule sets turn on, and how the last user puts them back."""

from __future__ import annotations

import json

import pytest

from ansible_collections.nslab.linux.plugins.module_utils._errors import Problem
from ansible_collections.nslab.linux.plugins.module_utils._world import FileState
from ansible_collections.nslab.linux.tests.unit.plugins.module_utils.imagined import (
    a_host,
    address,
    bridge,
    connected,
    key,
    plan,
    world,
)

RECORD = "/run/nslab/sysctls.json"
GLOBAL = "net/ipv4/ip_forward"
FLUSH = "for"  # the first word of the command that flushes tracked connections


def switch(name: str) -> str:
    return f"net/ipv4/conf/{name}/forwarding"


def switches(value: str = "0", **others: str) -> dict:
    """The switches of a host with eth0, br0 and br1."""
    names = ("all", "default", "lo", "eth0", "br0", "br1")
    found = {GLOBAL: value, **{switch(name): value for name in names}}
    return {**found, **{switch(name): given for name, given in others.items()}}


def router(values: dict | None = None, **facets):
    bridges = [bridge(f"br{n}", address(f"10.{n}.0.1/24")) for n in (0, 1)]
    routes = [connected(f"10.{n}.0.0/24", f"br{n}") for n in (0, 1)]
    return world(a_host(*bridges, routes=routes, sysctls=switches() if values is None else values), **facets)


def let_out(imagined, number: int = 0, **options):
    return plan("ns_nat", imagined, name=f"lab{number}", sources=[f"10.{number}.0.0/24"], **options)


def remove(imagined, number: int = 0):
    return plan("ns_nat", imagined, name=f"lab{number}", state="absent")


def values_after(made) -> dict:
    return made.after.namespaces[key("host")].sysctls


def record(made) -> dict:
    state = made.after.files.get(RECORD)
    return {} if state is None else json.loads(state.content)["host"]


def guarded(made) -> list:
    table = made.after.namespaces[key("host")].table
    return [element.key for each in table.sets if each.name == "guarded" for element in each.elements]


def test_the_record_comes_before_the_rules_and_these_before_the_switches():
    made = let_out(router())
    kinds = [words.split()[0] for words in made.operations]
    assert kinds == ["install", "nft", "sysctl", "sysctl", FLUSH]
    assert made.operations[2:-1] == [f"sysctl -w {switch('br0')}=1", f"sysctl -w {switch('eth0')}=1"]
    assert made.report["nat"]["sysctls"] == {switch("br0"): "1", switch("eth0"): "1"}


def test_the_record_says_what_was_before_and_who_uses_it():
    entry = {"former": "0", "written": "1", "users": ["lab0"]}
    assert record(let_out(router())) == {switch("br0"): entry, switch("eth0"): entry}


def test_the_uplink_that_we_turned_on_is_guarded():
    assert guarded(let_out(router())) == ["eth0"]


def test_what_is_on_already_is_neither_recorded_nor_guarded():
    made = let_out(router(switches("1")))
    assert [words.split()[0] for words in made.operations] == ["nft", FLUSH]
    assert (record(made), guarded(made)) == ({}, [])


def test_a_host_that_forwards_anyway_is_not_guarded():
    """The global switch is on, and somebody has turned that of the uplink off."""
    made = let_out(router(switches("1", eth0="0")))
    assert set(record(made)) == {switch("eth0")} and guarded(made) == []


def test_removal_puts_the_switches_back_before_the_rules_go():
    made = remove(let_out(router()).after)
    assert [words.split()[0] for words in made.operations] == ["sysctl", "sysctl", "nft", "rm", FLUSH]
    assert values_after(made) == switches()


def test_a_switch_that_another_rule_set_uses_stays_on_until_that_one_goes():
    both = let_out(let_out(router()).after, 1)
    assert record(both)[switch("eth0")]["users"] == ["lab0", "lab1"]
    one = remove(both.after, 0)
    assert values_after(one)[switch("eth0")] == "1" and values_after(one)[switch("br0")] == "0"
    assert values_after(remove(one.after, 1)) == switches()


def test_a_switch_that_was_changed_since_is_not_put_back():
    done = let_out(router())
    values_after(done)[switch("eth0")] = "2"  # which is on, too
    made = remove(done.after)
    assert values_after(made) == switches("0", eth0="2")
    assert made.operations[0] == f"sysctl -w {switch('br0')}=0"


def test_a_switch_that_drifted_is_turned_on_again():
    done = let_out(router())
    values_after(done)[switch("eth0")] = "0"
    made = let_out(done.after)
    assert made.operations == [f"sysctl -w {switch('eth0')}=1"]


def test_keep_turns_nothing_on_and_gives_up_what_was_used():
    assert [words.split()[0] for words in let_out(router(), ip_forward="keep").operations] == ["nft", FLUSH]
    made = let_out(let_out(router()).after, ip_forward="keep")
    assert values_after(made) == switches() and record(made) == {}


# The global switch


def test_global_turns_on_all_at_once_and_guards_nothing():
    made = let_out(router(), ip_forward="global")
    assert made.operations[-2] == f"sysctl -w {GLOBAL}=1"
    assert values_after(made) == switches("1")
    assert guarded(made) == []


def test_global_and_back_restores_what_the_kernel_set_along():
    """Somebody had one link forward before; the kernel resets it when the global switch goes back."""
    odd = switches("0", br1="1")
    made = remove(let_out(router(odd), ip_forward="global").after)
    assert values_after(made) == odd


@pytest.mark.parametrize(
    "ways", [("interface", "global"), ("global", "interface"), ("interface", "global", "interface")]
)
@pytest.mark.parametrize("before", [switches(), switches("0", br1="1"), switches("1"), switches("1", br1="0")], ids=str)
def test_whatever_the_way_was_changed_to_the_host_is_left_as_it_was(ways, before):
    imagined = router(before)
    for way in ways:
        imagined = let_out(imagined, ip_forward=way).after
    made = remove(imagined)
    assert values_after(made) == before
    assert record(made) == {}


@pytest.mark.parametrize("first", ["interface", "global"])
@pytest.mark.parametrize("second", ["interface", "global"])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_rule_sets_go_in_any_order_and_leave_the_host_as_it_was(first: str, second: str, order):
    before = switches("0", lo="1")
    imagined = let_out(let_out(router(before), 0, ip_forward=first).after, 1, ip_forward=second).after
    for number in order:
        made = remove(imagined, number)
        imagined = made.after
    assert values_after(made) == before
    assert made.after.files[RECORD] is None


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_while_a_rule_set_needs_a_switch_the_going_of_another_leaves_it_on(order):
    imagined, ways = router(), ("interface", "global")
    for number in order:
        imagined = let_out(imagined, number, ip_forward=ways[number]).after
    made = remove(imagined, 1)
    assert values_after(made) == switches("0", eth0="1", br0="1")
    assert guarded(made) == ["eth0"]
    assert let_out(made.after, 0).operations == []


# The record


def test_a_record_that_can_not_be_read_is_not_overwritten():
    broken = router(files={RECORD: FileState("{")})
    with pytest.raises(Problem, match=r"the record /run/nslab/sysctls\.json can't be read: restore it, or remove it"):
        let_out(broken)
    with pytest.raises(Problem, match="can't be read"):
        remove(broken)


def test_what_the_record_says_of_other_namespaces_is_kept():
    others = {"red": {switch("x"): {"former": "0", "written": "1", "users": ["other"]}}}
    made = let_out(router(files={RECORD: FileState(json.dumps(others))}))
    assert json.loads(made.after.files[RECORD].content)["red"] == others["red"]
    gone = remove(made.after)
    assert json.loads(gone.after.files[RECORD].content) == others
