# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nftables room at work, and `nft` as the witness of it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from ansible_collections.nslab.linux.plugins.module_utils._kernel import _nftables as room
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
    jump,
)
from ansible_collections.nslab.linux.plugins.module_utils._ruleset_changes import difference
from support.sandbox import call, sandbox, why_impossible

CLONE_NEWNET = 0x40000000

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


@contextlib.contextmanager
def a_namespace() -> Iterator[None]:
    if reason := why_impossible():
        pytest.skip(reason)
    with sandbox():
        yield


def nft(*words: str, text: str | None = None) -> str:
    done = subprocess.run(["nft", *words], input=text, capture_output=True, text=True, check=False)
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


def many_elements(count: int) -> Iterator[Element]:
    """With names and comments as long as ours get."""
    for number in range(count):
        yield Element(f"lab{number:012}", jump("lab"), f"nslab:name_of_24_characters_{number:04}:forward")
