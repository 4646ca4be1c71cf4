# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nftables room against the kernel; `nft` is the witness, never our own reader alone."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from support.sandbox import call, sandbox, why_impossible

from ansible_collections.nslab.linux.plugins.module_utils._kernel import _nft_expressions as expressions_module
from ansible_collections.nslab.linux.plugins.module_utils._kernel import _nftables as room
from ansible_collections.nslab.linux.plugins.module_utils._kernel._nft_codec import encode_step
from ansible_collections.nslab.linux.plugins.module_utils._kernel._refusal import KernelRefused
from ansible_collections.nslab.linux.plugins.module_utils._ruleset import (
    ACCEPT,
    DROP,
    IFNAME,
    IPV4_AND_PORT,
    IPV6_AND_PORT,
    PROTOCOL_AND_PORT,
    RETURN,
    VERDICT,
    AddressIn,
    Chain,
    ConntrackState,
    DestinationIsLocal,
    DestinationNat,
    DestinationNatMap,
    DestinationPort,
    DestinationWasTranslated,
    Element,
    Endpoint,
    Hook,
    Interface,
    InterfaceIn,
    InterfaceVerdict,
    Map,
    Masquerade,
    NetworkProtocol,
    ProtocolPort,
    Reject,
    Rule,
    Set,
    SourceNat,
    Table,
    TransportProtocol,
    Unknown,
    jump,
)
from ansible_collections.nslab.linux.plugins.module_utils._ruleset_changes import AddRule, difference
from ansible_collections.nslab.linux.plugins.module_utils._ruleset_text import script

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000

FORWARD = Hook("filter", "forward", -1)
PREROUTING = Hook("nat", "prerouting", -100)
POSTROUTING = Hook("nat", "postrouting", 100)

# Everything that the vocabulary has: rules of a filter chain, of each kind of nat chain, and what they refer to.
MATCHES = (
    (Interface("iifname", "v1"), Interface("oifname", "v2", equal=False)),
    (InterfaceIn("iifname", "inside"), InterfaceIn("oifname", "inside", inside=False)),
    (NetworkProtocol(4),),
    (NetworkProtocol(6),),
    (AddressIn("saddr", ip_network("10.0.0.0/16")), AddressIn("daddr", ip_network("10.0.0.0/20"), equal=False)),
    (AddressIn("saddr", ip_network("10.0.0.1")), AddressIn("daddr", ip_network("10.0.0.2"))),
    (AddressIn("saddr", ip_network("fd00::/64")), AddressIn("daddr", ip_network("fd00::/60"), equal=False)),
    (AddressIn("saddr", ip_network("fd00::1")), AddressIn("daddr", ip_network("fd00::2"))),
    (TransportProtocol("tcp"),),
    (DestinationPort("tcp", 80, 80),),
    (DestinationPort("udp", 5000, 5010),),
    (ConntrackState(frozenset({"established", "related"})),),
    (ConntrackState(frozenset({"new", "invalid", "untracked"})),),
    (DestinationWasTranslated(),),
    (DestinationIsLocal(),),
)
SOURCE_NAT = (
    (Interface("oifname", "v1", equal=False), Masquerade()),
    (SourceNat(ip_address("192.0.2.1")),),
    (SourceNat(ip_address("2001:db8::1")),),
)
DESTINATION_NAT = (
    (DestinationNat(ip_address("10.0.0.2")),),
    (DestinationPort("tcp", 80, 80), DestinationNat(ip_address("10.0.0.2"), (8080, 8080))),
    (TransportProtocol("udp"), DestinationNat(ip_address("fd00::2"), (5000, 5010))),
    (DestinationNatMap(4, "publish4"),),
    (DestinationNatMap(6, "publish6"),),
)
INSIDE = Set("inside", IFNAME, (Element("v1", comment="nslab:lab:inside"), Element("v2")))
FORWARD_IIF = Map(
    "fwd_iif",
    IFNAME,
    VERDICT,
    (Element("v1", jump("lab"), "nslab:lab:forward"), Element("v2", ACCEPT), Element("v3", DROP)),
)
PUBLISH4 = Map(
    "publish4",
    PROTOCOL_AND_PORT,
    IPV4_AND_PORT,
    (
        Element(ProtocolPort("tcp", 80), Endpoint(ip_address("10.0.0.2"), 8080), "nslab:lab:publish"),
        Element(ProtocolPort("udp", 53), Endpoint(ip_address("10.0.0.3"), 53)),
    ),
)
PUBLISH6 = Map(
    "publish6",
    PROTOCOL_AND_PORT,
    IPV6_AND_PORT,
    (Element(ProtocolPort("tcp", 80), Endpoint(ip_address("fd00::2"), 80)),),
)
EVERYTHING = Table(
    "inet",
    "nslab",
    (
        Chain("lab", (Rule((Reject(),), "nslab:lab:reject"),)),
        Chain(
            "forward",
            (
                Rule((InterfaceVerdict("iifname", "fwd_iif"),), "nslab::dispatch"),
                Rule((InterfaceVerdict("oifname", "fwd_iif"),)),
                *(Rule((*matches, ACCEPT), "nslab:lab:match") for matches in MATCHES),
                *(Rule((word,)) for word in (jump("lab"), RETURN, DROP)),
            ),
            replace(FORWARD, policy="drop"),
        ),
        Chain("prerouting", tuple(map(Rule, DESTINATION_NAT)), PREROUTING),
        Chain("postrouting", tuple(map(Rule, SOURCE_NAT)), POSTROUTING),
    ),
    (FORWARD_IIF, PUBLISH4, PUBLISH6),
    (INSIDE,),
    comment="nslab.linux",
)
SMALL = Table(
    "inet",
    "nslab",
    (
        Chain("forward", (Rule((Interface("iifname", "v1"), DROP), "nslab:lab:drop"), Rule((ACCEPT,))), FORWARD),
        Chain("lab"),
    ),
    (Map("fwd_iif", IFNAME, VERDICT, (Element("v1", jump("lab"), "nslab:lab:forward"),)),),
)


@pytest.fixture(autouse=True)
def _a_namespace() -> Iterator[None]:
    if reason := why_impossible():
        pytest.skip(reason)
    with sandbox():
        yield


def nft(*words: str, text: str | None = None) -> str:
    done = subprocess.run(["nft", *words], input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def listing() -> str:
    """The table in nft's own words. It lists the elements of a concatenated type in no order, so they are sorted."""
    return re.sub(r"elements = \{(.*?)\}", in_order, nft("list", "table", "inet", "nslab"), flags=re.DOTALL)


def in_order(elements: re.Match) -> str:
    return f"elements = {sorted(element.strip() for element in elements[1].split(','))}"


def shown(kind: str) -> list[dict]:
    """The things of one kind, as `nft -j` shows them."""
    return [thing[kind] for thing in json.loads(nft("-j", "list", "ruleset"))["nftables"] if kind in thing]


def rules_of(chain: str) -> list[dict]:
    return [rule for rule in shown("rule") if rule["chain"] == chain]


@contextlib.contextmanager
def another_namespace() -> Iterator[None]:
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        call("unshare", CLONE_NEWNET)
        yield
    finally:
        call("setns", home, CLONE_NEWNET)
        os.close(home)


def make(table: Table) -> None:
    room.apply_changes(difference(None, table))


def read() -> Table:
    table = room.read_table("inet", "nslab")
    assert table is not None
    return table


def repair(wanted: Table) -> None:
    room.apply_changes(difference(read(), wanted))


def with_rules(table: Table, name: str, *rules: Rule) -> Table:
    return replace(
        table, chains=tuple(replace(each, rules=rules) if each.name == name else each for each in table.chains)
    )


def rules_read(chain: str) -> tuple[Rule, ...]:
    return next(each.rules for each in read().chains if each.name == chain)


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
    ours, ours_read = listing(), read()
    with another_namespace():
        nft("-f", "-", text=script(difference(None, EVERYTHING)))
        assert listing() == ours
        assert read() == EVERYTHING
    assert ours_read == EVERYTHING
    assert read().comment == "nslab.linux"


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


def many_elements(count: int) -> Iterator[Element]:
    """With names and comments as long as ours get."""
    for number in range(count):
        yield Element(f"lab{number:012}", jump("lab"), f"nslab:name_of_24_characters_{number:04}:forward")


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


# What is refused


def test_a_bad_change_in_the_middle_leaves_everything_as_it_was():
    make(SMALL)
    before = listing()
    good = difference(SMALL, with_rules(SMALL, "lab", Rule((DROP,)), Rule((DROP,))))
    bad = AddRule(SMALL.key, "no_such_chain", Rule((ACCEPT,)))
    with pytest.raises(KernelRefused) as refused:
        room.apply_changes((good[0], bad, good[1]))
    assert (refused.value.errno, refused.value.index) == (errno.ENOENT, 1)
    assert listing() == before


def test_of_more_refusals_than_the_kernel_can_report_the_first_is_told():
    make(SMALL)
    good = AddRule(SMALL.key, "lab", Rule((ACCEPT,)))
    bad = AddRule(SMALL.key, "no_such_chain", Rule((ACCEPT,)))
    with pytest.raises(KernelRefused) as refused:
        room.apply_changes([good, *[bad] * 3000])
    assert (refused.value.errno, refused.value.index) == (errno.ENOENT, 1)
    assert rules_of("lab") == []


def test_a_refusal_is_told_by_the_change_and_not_by_the_message():
    filled = replace(SMALL, maps=(replace(SMALL.maps[0], elements=tuple(many_elements(1000))),))
    bad = AddRule(SMALL.key, "no_such_chain", Rule((ACCEPT,)))
    changes = difference(None, filled)
    with pytest.raises(KernelRefused) as refused:
        room.apply_changes((*changes, bad))
    assert refused.value.index == len(changes)
    assert shown("table") == []


def test_a_chain_that_is_still_used_is_told():
    make(SMALL)
    bare = replace(SMALL, chains=SMALL.chains[:1])
    assert difference(SMALL, bare)[-1].chain == "lab"
    with pytest.raises(KernelRefused, match="still refers to it") as refused:
        room.apply_changes(difference(SMALL, bare))
    assert refused.value.errno == errno.EBUSY


def test_a_table_that_a_process_owns_is_told():
    with subprocess.Popen(["nft", "-i"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as owner:
        assert owner.stdin is not None
        owner.stdin.write("add table inet nslab { flags owner; }\n")
        owner.stdin.flush()
        while not nft("list", "tables"):
            pass
        with pytest.raises(KernelRefused, match="belongs to another process"):
            repair(SMALL)
        owner.stdin.close()


def in_a_user_namespace(work) -> str:
    """What `work` raised as an ordinary user would see it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            call("unshare", CLONE_NEWUSER | CLONE_NEWNET)
            work()
            os.write(writing, b"done")
        except BaseException as error:
            os.write(writing, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return text


def test_a_transaction_that_is_larger_than_an_ordinary_user_may_send_is_told():
    limit = 2 * int(Path("/proc/sys/net/core/wmem_max").read_text())  # the kernel doubles what is asked for
    filled = replace(SMALL, maps=(replace(SMALL.maps[0], elements=tuple(many_elements(1000))),))
    largest = max((message for change in difference(None, filled) for message in room._encode(change, 1)), key=len)

    def send(count: int) -> None:
        with contextlib.closing(room._Nfnetlink()) as kernel:
            kernel.transaction([largest] * count)

    assert in_a_user_namespace(lambda: make(filled)) == "done"
    told = in_a_user_namespace(lambda: send(limit // len(largest) + 1))
    assert re.fullmatch(r"KernelRefused: one transaction of \d+ bytes is more than net.core.wmem_max allows", told)
    assert in_a_user_namespace(lambda: send(limit // len(largest) - 1)) == "KernelRefused: No such file or directory"


def test_without_the_privilege_the_kernel_says_so():
    def as_nobody() -> None:
        os.setuid(65534)
        make(SMALL)

    reading = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            as_nobody()
        except KernelRefused as refused:
            os.write(reading[1], f"{refused.errno} {refused.index}".encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(reading[1])
    with os.fdopen(reading[0]) as answer:
        assert answer.read() == f"{errno.EPERM} None"


# What others wrote


FOREIGN_RULES = (
    "counter accept",
    'iifname "v*" accept',
    'iifname { "v1", "v2" } accept',
    "iif lo accept",
    "ct state != established accept",
    "ct state established ct direction original accept",
    "ct status snat accept",
    "fib saddr type local accept",
    "fib daddr . iif type local accept",
    "ip saddr & 0.255.0.0 == 0.1.0.0 accept",
    "ip saddr > 10.0.0.1 accept",
    "ip ttl 3 accept",
    "@nh,96,32 0x0a000001 accept",
    "@th,16,16 80 accept",
    "tcp sport 80 accept",
    "tcp dport != 80 accept",
    "meta l4proto icmp accept",
    "reject",
    "reject with tcp reset",
    "goto lab",
    "continue",
    'log prefix "x" accept',
    "limit rate 1/second accept",
    "meta mark set 1",
)
FOREIGN_NAT = (
    "masquerade random",
    "meta l4proto tcp masquerade to :1024-2048",
    "snat ip to 192.0.2.1 persistent",
    "snat ip to 192.0.2.1-192.0.2.9",
    "meta l4proto tcp snat ip to 192.0.2.1:1024-2048",
)


def words_read(chain: str) -> list:
    return [word for rule in rules_read(chain) for word in rule.expressions]


@pytest.mark.parametrize("text", [*FOREIGN_RULES, *FOREIGN_NAT])
def test_a_rule_that_says_anything_else_is_not_taken_for_one_of_ours(text):
    hook = POSTROUTING if text in FOREIGN_NAT else FORWARD
    table = Table("inet", "nslab", (Chain("lab"), Chain("base", (Rule((ACCEPT,), "ours"),), hook)))
    make(table)
    nft(f"insert rule inet nslab base {text}")
    assert any(isinstance(word, Unknown) for word in words_read("base")) or text == "meta l4proto tcp"
    before = listing()
    repair(table)
    assert [rule.get("comment") for rule in rules_of("base")] == ["ours"]
    assert listing() != before


@pytest.mark.parametrize("text", [rule for rule in (*FOREIGN_RULES, *FOREIGN_NAT) if "{" not in rule])
def test_a_foreign_rule_can_be_put_back_as_it_was(text):
    hook = POSTROUTING if text in FOREIGN_NAT else FORWARD
    table = Table("inet", "nslab", (Chain("lab"), Chain("base", (Rule((ACCEPT,), "ours"),), hook)))
    make(table)
    nft(f'add rule inet nslab base {text} comment "theirs"')
    before, found = listing(), read()
    repair(table)
    room.apply_changes(difference(read(), found))
    assert listing() == before


def test_a_foreign_rule_among_ours_is_seen_and_taken_out():
    make(EVERYTHING)
    ours = listing()
    nft("insert rule inet nslab forward tcp dport 22 accept")
    nft('add rule inet nslab lab oifname "v9" accept')
    nft('delete element inet nslab fwd_iif { "v2" }')
    nft('add element inet nslab fwd_iif { "v8" : goto lab }')
    assert [type(change).__name__ for change in difference(read(), EVERYTHING)][:2] == ["FlushChain", "FlushChain"]
    repair(EVERYTHING)
    assert listing() == ours


def test_foreign_chains_and_sets_in_our_table_are_seen():
    make(SMALL)
    nft("add chain inet nslab theirs { type filter hook input priority 7; policy drop; }")
    nft("add rule inet nslab theirs iifname lo accept")
    nft("add set inet nslab addresses { type ipv4_addr; flags interval; elements = { 10.0.0.0/8 }; }")
    nft("add map inet nslab marks { type inet_service : mark; elements = { 80 : 1 }; }")
    nft("add set inet nslab with_timeout { type ifname; timeout 1h; elements = { v1 }; }")
    found = read()
    theirs = next(chain for chain in found.chains if chain.name == "theirs")
    assert theirs == Chain("theirs", (Rule((Interface("iifname", "lo"), ACCEPT)),), Hook("filter", "input", 7, "drop"))
    assert {each.name: each.key.split()[0] for each in found.named} == {
        "addresses": "unknown",
        "fwd_iif": IFNAME,
        "marks": "unknown",
        "with_timeout": "unknown",
    }
    assert difference(found, found) == ()
    repair(SMALL)
    assert {chain["name"] for chain in shown("chain")} == {"forward", "lab"}
    assert [each["name"] for each in shown("map")] == ["fwd_iif"]
    assert shown("set") == []


@pytest.mark.parametrize(
    "word",
    [
        AddressIn("saddr", ip_network("10.1.0.0/16")),
        AddressIn("daddr", ip_network("10.1.2.3"), equal=False),
        AddressIn("saddr", ip_network("fd00:1::/64")),
        DestinationPort("tcp", 80, 90),
    ],
)
def test_other_versions_of_nft_write_some_words_otherwise_and_mean_the_same(word):
    wanted = with_rules(SMALL, "lab", Rule((word, ACCEPT)))
    other = [Unknown(one.name, encode_step(one)) for one in expressions_module.spellings(word)[1]]
    protocol_test = Rule((word,)).expressions[0]
    make(with_rules(SMALL, "lab", Rule((protocol_test, *other, ACCEPT))))
    assert read() == wanted
    (listed,) = rules_of("lab")
    with another_namespace():
        make(wanted)
        assert rules_of("lab")[0]["expr"] == listed["expr"]


def test_a_table_that_changes_while_it_is_read_is_read_again(monkeypatch):
    make(SMALL)
    changed = with_rules(SMALL, "lab", Rule((DROP,)))
    original, interrupted = room._Reading._chains, []

    def interrupting(reading, rules):
        if not interrupted:
            interrupted.append(True)
            repair(changed)
        return original(reading, rules)

    monkeypatch.setattr(room._Reading, "_chains", interrupting)
    assert read() == changed


# Any table at all

versions = st.sampled_from((4, 6))
names = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,14}", fullmatch=True)
comments = st.one_of(st.just(""), st.from_regex(r"nslab:[a-z0-9_]{1,24}:[a-z]{1,12}", fullmatch=True))
directions = st.sampled_from(("iifname", "oifname"))
ports = st.tuples(st.integers(1, 65535), st.integers(1, 65535)).map(lambda both: (min(both), max(both)))
protocols = st.sampled_from(("tcp", "udp"))
states = st.sampled_from(("new", "established", "related", "invalid", "untracked"))


@st.composite
def addresses(draw, version):
    return ip_address(draw(st.binary(min_size=4 if version == 4 else 16, max_size=4 if version == 4 else 16)))


@st.composite
def networks(draw, version):
    prefix = draw(st.one_of(st.sampled_from((8, 16, 20, 24, 32)), st.integers(1, 32 if version == 4 else 128)))
    return ip_network((draw(addresses(version)), prefix), strict=False)


@st.composite
def rules(draw, ends):
    """A rule that nft takes: one IP version and one transport protocol in it; `ends` gives the end for a version."""
    version, protocol = draw(versions), draw(protocols)
    word = st.one_of(
        st.builds(Interface, directions, names, st.booleans()),
        st.builds(InterfaceIn, directions, st.just("inside"), st.booleans()),
        st.just(NetworkProtocol(version)),
        st.builds(AddressIn, st.sampled_from(("saddr", "daddr")), networks(version), st.booleans()),
        st.just(TransportProtocol(protocol)),
        ports.map(lambda both: DestinationPort(protocol, *both)),
        st.builds(ConntrackState, st.frozensets(states, min_size=1)),
        st.just(DestinationWasTranslated()),
        st.just(DestinationIsLocal()),
    )
    return Rule((*draw(st.lists(word, max_size=4)), draw(ends(version))), draw(comments))


verdicts = st.sampled_from((ACCEPT, DROP, RETURN))
verdicts_and_jumps = st.one_of(verdicts, st.sampled_from((jump("lab"), jump("lab2"))))


def ends_of_lab2(version):
    return verdicts


def ends_of_lab(version):
    return st.one_of(verdicts, st.just(jump("lab2")))


def ends_of_forward(version):
    dispatch = st.builds(InterfaceVerdict, directions, st.just("fwd_iif"))
    return st.one_of(verdicts_and_jumps, st.just(Reject()), dispatch)


def ends_of_post(version):
    return st.one_of(verdicts_and_jumps, st.just(Masquerade()), st.builds(SourceNat, addresses(version)))


def ends_of_pre(version):
    to_map = DestinationNatMap(version, f"publish{version}")
    return st.one_of(verdicts_and_jumps, st.builds(DestinationNat, addresses(version)), st.just(to_map))


def elements(keys, data):
    return st.lists(st.builds(Element, keys, data, comments), max_size=5, unique_by=lambda one: one.key)


@st.composite
def tables(draw):
    policies = st.sampled_from(("accept", "drop"))
    chains = (
        ("lab2", ends_of_lab2, st.none()),
        ("lab", ends_of_lab, st.none()),
        ("forward", ends_of_forward, policies.map(lambda policy: replace(FORWARD, policy=policy))),
        ("post", ends_of_post, st.sampled_from((POSTROUTING, replace(POSTROUTING, priority=99)))),
        ("pre", ends_of_pre, st.just(PREROUTING)),
    )
    published = st.builds(ProtocolPort, protocols, st.integers(1, 65535))
    return Table(
        "inet",
        "nslab",
        tuple(Chain(name, tuple(draw(st.lists(rules(ends), max_size=4))), draw(hook)) for name, ends, hook in chains),
        (
            Map("fwd_iif", IFNAME, VERDICT, draw(elements(names, verdicts_and_jumps))),
            Map("publish4", PROTOCOL_AND_PORT, IPV4_AND_PORT, draw(elements(published, endpoints(4)))),
            Map("publish6", PROTOCOL_AND_PORT, IPV6_AND_PORT, draw(elements(published, endpoints(6)))),
        ),
        (Set("inside", IFNAME, draw(elements(names, st.none()))),),
    )


def endpoints(version):
    return st.builds(Endpoint, addresses(version), st.integers(1, 65535))


# Without shrinking: a table that fails is small enough to read, and nft is slow enough to make shrinking last minutes.
FEW = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    phases=(Phase.generate,),
)


@FEW
@given(tables())
def test_what_the_room_writes_nft_writes_too(table):
    nft("flush", "ruleset")  # of the example before
    make(table)
    ours, ours_read = listing(), read()
    nft("delete", "table", "inet", "nslab")
    nft("-f", "-", text=script(difference(None, table)))
    assert listing() == ours
    assert ours_read == read() == table


@FEW
@given(tables(), tables(), st.booleans())
def test_the_difference_is_all_there_is_to_do(before, after, by_script):
    nft("flush", "ruleset")
    make(before)
    for wanted in (after, before):
        changes = difference(read(), wanted)
        if by_script:
            nft("-f", "-", text=script(changes))
        else:
            room.apply_changes(changes)
        assert read() == wanted
    room.apply_changes(difference(read(), None))
    assert shown("table") == []
