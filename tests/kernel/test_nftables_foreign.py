# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others wrote into our table is seen for what it is."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

import pytest
from support.nftables import (
    EVERYTHING,
    FORWARD,
    POSTROUTING,
    SMALL,
    a_namespace,
    another_namespace,
    listing,
    make,
    nft,
    read,
    repair,
    rules_of,
    rules_read,
    shown,
    with_rules,
)

from ansible_collections.nslab.linux.plugins.module_utils._kernel import _nft_expressions as expressions_module
from ansible_collections.nslab.linux.plugins.module_utils._kernel import _nftables as room
from ansible_collections.nslab.linux.plugins.module_utils._kernel._nft_codec import encode_step
from ansible_collections.nslab.linux.plugins.module_utils._ruleset import (
    ACCEPT,
    DROP,
    IFNAME,
    AddressIn,
    Chain,
    DestinationPort,
    Hook,
    Interface,
    Rule,
    Table,
    Unknown,
)
from ansible_collections.nslab.linux.plugins.module_utils._ruleset_changes import difference


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    with a_namespace():
        yield


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


@pytest.mark.parametrize("option", ["counter", "size 100", "timeout 1h", "flags interval"])
def test_a_map_that_does_more_than_ours_is_made_anew(option):
    make(EVERYTHING)
    ours = listing()
    nft("flush chain inet nslab forward; flush chain inet nslab lab; delete map inet nslab fwd_iif")
    nft(f"add map inet nslab fwd_iif {{ type ifname : verdict; {option}; }}")
    nft('add element inet nslab fwd_iif { "v2" : accept }')
    repair(EVERYTHING)
    assert sorted(listing().splitlines()) == sorted(ours.splitlines())


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
