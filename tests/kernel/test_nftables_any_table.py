# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Any table at all: what the room writes and reads, nft does too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from support.nftables import (
    FORWARD,
    POSTROUTING,
    PREROUTING,
    a_namespace,
    listing,
    make,
    nft,
    read,
    shown,
)

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
from ansible_collections.nslab.linux.plugins.module_utils._ruleset_text import script


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    with a_namespace():
        yield


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
    max_examples=20,
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
