# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What chains of others do with a flow, without a kernel; tests/kernel/test_blockers.py has packets for judges."""

from __future__ import annotations

import itertools
import random
from ipaddress import ip_network

import pytest

from ansible_collections.nslab.linux.plugins.module_utils._blockers import blockers, fate, sees_bridged
from ansible_collections.nslab.linux.plugins.module_utils._filtering import ESTABLISHED, Flow
from ansible_collections.nslab.linux.plugins.module_utils._ruleset import (
    ACCEPT,
    DROP,
    IFNAME,
    RETURN,
    VERDICT,
    AddressIn,
    Chain,
    ConntrackState,
    DestinationIsLocal,
    DestinationPort,
    DestinationWasTranslated,
    Element,
    Hook,
    Interface,
    InterfaceIn,
    InterfacePrefix,
    InterfaceVerdict,
    Map,
    NetworkProtocol,
    Reject,
    Rule,
    Set,
    Table,
    TransportProtocol,
    Unknown,
    Verdict,
    jump,
)
from ansible_collections.nslab.linux.plugins.module_utils._world import ForeignTable, NamespaceState

OUT = Flow(4, "br0", "eth0", source=ip_network("10.1.0.0/24"))
LOCAL = Flow(4, "br0", "br0", source=ip_network("10.1.0.0/24"), destination=ip_network("10.1.0.0/24"))
MARK, PORT = Unknown("meta", b""), Unknown("port", b"")
TCP = TransportProtocol("tcp")


def words(*parts):
    """A rule; of a bare string the name of the chain that it jumps to."""
    return Rule(tuple(jump(part) if isinstance(part, str) else part for part in parts))


def table(*rules, policy="accept", family="inet", name="theirs", priority=0, **others):
    chains = [Chain(each, tuple(its)) for each, its in others.items()]
    return Table(family, name, (Chain("forward", tuple(rules), Hook("filter", "forward", priority, policy)), *chains))


def foreign(*tables):
    return [ForeignTable(each) for each in tables]


# What a test comes to, told by the fate of a flow where what passes it is dropped: by all drop, by none accept, by a part
# that the lab would miss, or nobody knows how many, maybe-drop, by a part that is meant, accept.
TESTS = [
    (Interface("iifname", "br0"), "drop"),
    (Interface("iifname", "br1"), "accept"),
    (Interface("oifname", "eth0", False), "accept"),
    (Interface("oifname", "eth1", False), "drop"),
    (InterfacePrefix("iifname", "br"), "drop"),
    (InterfacePrefix("oifname", "br"), "accept"),
    (InterfacePrefix("oifname", "br", False), "drop"),
    (InterfaceIn("iifname", "mine"), "drop"),
    (InterfaceIn("oifname", "mine"), "accept"),
    (InterfaceIn("oifname", "mine", False), "drop"),
    (InterfaceIn("iifname", "nowhere"), "maybe-drop"),
    (NetworkProtocol(4), "drop"),
    (NetworkProtocol(6), "accept"),
    (AddressIn("saddr", ip_network("10.0.0.0/8")), "drop"),
    (AddressIn("saddr", ip_network("10.1.0.0/24")), "drop"),
    (AddressIn("saddr", ip_network("10.1.0.0/25")), "maybe-drop"),
    (AddressIn("saddr", ip_network("10.2.0.0/24")), "accept"),
    (AddressIn("saddr", ip_network("10.2.0.0/24"), False), "drop"),
    (AddressIn("saddr", ip_network("10.0.0.0/8"), False), "accept"),
    (AddressIn("saddr", ip_network("10.1.0.0/25"), False), "maybe-drop"),
    (AddressIn("saddr", ip_network("fd00::/8")), "accept"),
    (AddressIn("daddr", ip_network("192.0.2.0/24")), "accept"),
    (AddressIn("daddr", ip_network("192.0.2.0/24"), False), "maybe-drop"),
    (ConntrackState(frozenset({"new", "invalid"})), "drop"),
    (ConntrackState(frozenset({"established", "related"})), "accept"),
    (DestinationWasTranslated(), "accept"),
    (DestinationIsLocal(), "accept"),
    (TCP, "maybe-drop"),
    (TransportProtocol("icmp"), "accept"),
    (DestinationPort("tcp", 25, 25), "accept"),
    (PORT, "accept"),
    (MARK, "maybe-drop"),
]


@pytest.mark.parametrize(("test", "expected"), TESTS)
def test_who_passes_a_test(test, expected):
    others = Set("mine", IFNAME, (Element("br0"), Element("br7")))
    for words_of_drop in ((DROP,), ("sub",)):
        made = table(words(test, *words_of_drop), words(ACCEPT), policy="drop", sub=[words(DROP)])
        made = Table("inet", "theirs", made.chains, sets=(others,))
        assert fate(foreign(made), OUT) == expected


def test_what_the_flow_is_decides():
    established = Flow(4, "eth0", "br0", state=ESTABLISHED)
    rules = table(
        words(ConntrackState(frozenset({"established"})), ACCEPT),
        words(DestinationWasTranslated(), ACCEPT),
        policy="drop",
    )
    assert fate(foreign(rules), established) == "accept"
    assert fate(foreign(rules), Flow(4, "eth0", "br0", dnat=True)) == "accept"
    assert fate(foreign(rules), Flow(4, "eth0", "br0")) == "drop"
    for_one = table(words(Interface("oifname", "eth0"), ACCEPT), policy="drop")
    assert fate(foreign(for_one), Flow(4, "br0", None)) == "maybe-drop"


@pytest.mark.parametrize(
    ("rules", "policy", "others", "expected"),
    [
        ([], "accept", {}, "accept"),
        ([], "drop", {}, "drop"),
        ([words(Reject())], "accept", {}, "reject"),
        ([words(Reject()), words(DROP)], "drop", {}, "reject"),
        ([words(ACCEPT), words(DROP)], "drop", {}, "accept"),
        ([words(RETURN), words(ACCEPT)], "drop", {}, "drop"),
        ([words(MARK)], "accept", {}, "accept"),
        ([words(MARK, ACCEPT)], "drop", {}, "maybe-drop"),
        ([words(MARK, DROP)], "drop", {}, "drop"),
        ([words(MARK, ACCEPT), words(ACCEPT)], "drop", {}, "accept"),
        ([words(MARK, RETURN), words(ACCEPT)], "drop", {}, "maybe-drop"),
        # a part that is let pass leaves the rest as certain as it was, and all of tcp and a mark are no more than a part
        ([words(PORT, ACCEPT)], "drop", {}, "drop"),
        ([words(TCP, MARK, ACCEPT)], "drop", {}, "drop"),
        ([words(TCP, MARK, DROP)], "accept", {}, "maybe-drop"),
        ([words(PORT, MARK, DROP)], "accept", {}, "accept"),
        ([words(TCP, RETURN), words(DROP)], "accept", {}, "drop"),
        ([words(TCP, RETURN), words(ACCEPT)], "drop", {}, "maybe-drop"),
        # jumps
        ([words("a")], "drop", {"a": [words(ACCEPT)]}, "accept"),
        ([words("a"), words(ACCEPT)], "drop", {"a": [words(RETURN), words(DROP)]}, "accept"),
        ([words("a"), words(ACCEPT)], "drop", {"a": [words(DROP)]}, "drop"),
        ([words("a")], "drop", {"a": [words(MARK, ACCEPT)]}, "maybe-drop"),
        ([words(MARK, "a")], "drop", {"a": [words(ACCEPT)]}, "maybe-drop"),
        ([words(MARK, "a")], "accept", {"a": [words(DROP)]}, "maybe-drop"),
        ([words(MARK, "a")], "drop", {"a": [words(DROP)]}, "drop"),
        ([words(TCP, "a")], "drop", {"a": [words(ACCEPT)]}, "drop"),
        ([words(MARK, "a")], "drop", {"a": [words(TCP, "b")], "b": [words(ACCEPT)]}, "drop"),
        ([words(MARK, "a")], "drop", {"a": [words(Verdict("queue"))]}, "maybe-drop"),
        ([words(TCP, "a")], "accept", {"a": [words(DROP)]}, "maybe-drop"),
        ([words(PORT, "a")], "accept", {"a": [words(DROP)]}, "accept"),
        ([words("a"), words("b")], "drop", {"a": [words("b")], "b": [words(TCP, RETURN)]}, "drop"),
        ([words("nowhere")], "drop", {}, "maybe-drop"),
        # goto never comes back to the rule behind it
        ([words(Verdict("goto", "a")), words(ACCEPT)], "drop", {"a": []}, "drop"),
        ([words(Verdict("goto", "a")), words(DROP)], "accept", {"a": []}, "accept"),
        ([words("a"), words(ACCEPT)], "drop", {"a": [words(Verdict("goto", "b")), words(DROP)], "b": []}, "accept"),
        ([words(MARK, Verdict("goto", "a")), words(ACCEPT)], "drop", {"a": []}, "maybe-drop"),
        ([words(TCP, Verdict("goto", "a"))], "drop", {"a": [words(ACCEPT)]}, "drop"),
        # what nobody knows to end
        ([words(Verdict("queue"))], "accept", {}, "maybe-drop"),
        ([words(Verdict("queue"))], "drop", {}, "maybe-drop"),
        ([words(PORT, Verdict("queue"))], "drop", {}, "drop"),
        ([words(Interface("iifname", "br9"), Verdict("queue"))], "accept", {}, "accept"),
    ],
)  # fmt: skip
def test_the_way_through_chains(rules, policy, others, expected):
    assert fate(foreign(table(*rules, policy=policy, **others)), OUT) == expected


def passes(rules, chains, answers):
    """Whether a packet gets through, by walking as the kernel does; `answers` are those to tests. None: it comes out behind."""
    for rule in rules:
        verdict = rule.expressions[-1]
        if not all(answers[test] for test in rule.expressions[:-1]):
            continue
        if verdict in (ACCEPT, DROP):
            return verdict == ACCEPT
        if verdict == RETURN:
            return None
        inner = passes(chains[verdict.chain], chains, answers)
        if inner is not None or verdict.word == "goto":
            return inner
    return None


@pytest.mark.parametrize("seed", range(20))
def test_what_is_certain_holds_for_every_packet_that_is_not_meant_by_name(seed):
    """Chains drawn by lot; what nobody knows is tried in every way."""
    draw = random.Random(seed)
    unknown = [Unknown("meta", b"1"), Unknown("meta", b"2")]
    seen = set()
    for _number in range(150):
        chains = {}
        for name in "cba":
            verdicts = [ACCEPT, DROP, RETURN, *(Verdict(word, each) for each in chains for word in ("jump", "goto"))]
            tests = [[], [PORT], [TCP], [unknown[0]], [unknown[1]], [TCP, unknown[0]]]
            chains[name] = [Rule((*draw.choice(tests), draw.choice(verdicts))) for _rule in range(draw.randint(0, 3))]
        policy = draw.choice(["accept", "drop"])
        foretold = fate(foreign(table(*chains["a"], policy=policy, **{each: chains[each] for each in "bc"})), OUT)
        seen.add(foretold)
        for first, second, tcp in itertools.product([True, False], repeat=3):
            answers = {unknown[0]: first, unknown[1]: second, TCP: tcp, PORT: False}
            passed = passes(chains["a"], chains, answers)
            passed = policy == "accept" if passed is None else passed
            if foretold == "accept" or (foretold == "drop" and not tcp):
                assert passed == (foretold == "accept"), (chains, policy, answers)
    assert seen == {"accept", "drop", "maybe-drop"}


def test_maps_of_interfaces_lead():
    ways = Map("ways", IFNAME, VERDICT, (Element("br0", jump("a")), Element("br1", DROP)))
    made = table(words(InterfaceVerdict("iifname", "ways")), policy="drop", a=[words(ACCEPT)])
    made = Table("inet", "theirs", made.chains, (ways,))
    assert fate(foreign(made), OUT) == "accept"
    assert [each.why for each in blockers(foreign(made), [Flow(4, "br1", "eth0")])] == ["iifname vmap @ways"]
    assert fate(foreign(made), Flow(4, "br2", "eth0")) == "drop"


def test_every_base_chain_has_to_let_a_flow_pass():
    accepting = table(words(ACCEPT), name="a", policy="drop")
    rejecting = table(words(Reject()), name="b", priority=10)
    assert fate(foreign(accepting), OUT) == "accept"
    assert [each.table for each in blockers(foreign(accepting, rejecting), [OUT])] == ["b"]
    asleep = Table("inet", "c", rejecting.chains, dormant=True)
    other_version = table(policy="drop", family="ip6")
    elsewhere = Table("inet", "d", (Chain("input", (), Hook("filter", "input", 0, "drop")),))
    assert blockers(foreign(accepting, asleep, other_version, elsewhere), [OUT]) == []


@pytest.mark.parametrize(
    ("family", "name", "base", "others", "legacy", "backend", "manager"),
    [
        ("inet", "filter", "forward", (), False, "nftables", None),
        ("inet", "firewalld", "filter_FORWARD", (), False, "nftables", "firewalld"),
        ("ip", "filter", "FORWARD", (), False, "iptables-nft", None),
        ("ip", "filter", "forward", (), False, "nftables", None),
        ("inet", "filter", "FORWARD", (), False, "nftables", None),
        ("ip", "filter", "FORWARD", ("DOCKER-USER", "ufw-before-forward"), False, "iptables-nft", "docker"),
        ("ip6", "filter", "FORWARD", ("ufw6-before-forward",), True, "iptables-legacy", "ufw"),
        ("ip", "docker-bridges", "filter-FORWARD", (), False, "nftables", "docker"),
    ],
)
def test_whose_a_table_is(family, name, base, others, legacy, backend, manager):
    chains = (Chain(base, (), Hook("filter", "forward", 0, "drop")), *map(Chain, others))
    flow = OUT if family != "ip6" else Flow(6, "br0", "eth0")
    (found,) = blockers([ForeignTable(Table(family, name, chains), legacy)], [flow])
    assert (found.backend, found.manager, found.why, found.certain) == (backend, manager, "policy drop", True)


def test_the_owner_of_the_chain_of_a_rule_comes_before_others_in_the_table():
    chains = [Chain("ufw-reject-forward", (words(Reject()),)), Chain("DOCKER-USER")]
    forward = Chain("FORWARD", (words("DOCKER-USER"), words("ufw-reject-forward")), Hook("filter", "forward", 0))
    (found,) = blockers(foreign(Table("ip", "filter", (forward, *chains))), [OUT])
    assert (found.chain, found.manager, found.why) == ("ufw-reject-forward", "ufw", "reject")


def test_a_rule_is_told_in_the_words_of_nft_once_for_all_its_flows():
    rule = words(
        InterfacePrefix("iifname", "br"),
        AddressIn("saddr", ip_network("10.0.0.0/8")),
        TCP,
        MARK,
        Verdict("jump", "DOCKER-X"),
    )
    made = table(
        rule, words(Interface("oifname", "eth0", False), Reject()), **{"DOCKER-X": [words(rule.expressions[2], DROP)]}
    )
    assert [(each.why, each.certain, [str(flow) for flow in each.flows]) for each in blockers(foreign(made), [OUT, LOCAL])] == [
        ("ip saddr 10.0.0.0/8 drop", False, ["br0 -> eth0 (ipv4)", "br0 -> br0 (ipv4)"]),
        ('oifname != "eth0" reject', True, ["br0 -> br0 (ipv4)"]),
    ]  # fmt: skip
    queue = table(words(*rule.expressions[:-1], Verdict("NFQUEUE")))
    (found,) = blockers(foreign(queue), [OUT])
    assert found.why == 'iifname "br*" ip saddr 10.0.0.0/8 meta l4proto tcp (meta) NFQUEUE'
    assert (found.action, found.certain) == ("NFQUEUE", False)


def test_bridged_frames_are_seen_where_the_switch_of_their_version_says_so():
    path = "net/bridge/bridge-nf-call-ip6tables"
    assert [sees_bridged(NamespaceState("a", sysctls={path: value}), 6) for value in ("1", "0", None)] == [
        True,
        False,
        False,
    ]
    assert not sees_bridged(NamespaceState("a", sysctls={path: "1"}), 4)
