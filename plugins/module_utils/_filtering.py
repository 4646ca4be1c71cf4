# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a table does with a flow through the forward hook. Pure.

A chain is walked as the kernel walks it, for a whole flow at once: a test is passed by all its packets, by none, by a part of
them, or nobody knows, since it is of something that a flow does not tell.

Source: nft(8), iptables(8).
"""

from __future__ import annotations

import dataclasses
import enum
import typing as t

from ._ruleset import (
    PARTIAL,
    AddressIn,
    Chain,
    ConntrackState,
    DestinationIsLocal,
    DestinationPort,
    DestinationWasTranslated,
    Expression,
    Interface,
    InterfaceIn,
    InterfacePrefix,
    InterfaceVerdict,
    NetworkProtocol,
    Reject,
    Rule,
    Table,
    TransportProtocol,
    Unknown,
    Verdict,
)
from ._ruleset_text import rule_text
from ._values import IPNetwork

NEW, ESTABLISHED = "new", "established"


@dataclasses.dataclass(frozen=True)
class Flow:
    """Packets that are to pass: of one IP version, in by one interface and out by another (None: any).

    ``source`` and ``destination`` None are any address; ``state`` is NEW or ESTABLISHED; ``dnat`` says that the destination
    was translated, as it is of what comes in to a published port.
    """

    version: int
    iifname: str | None
    oifname: str | None
    source: IPNetwork | None = None
    destination: IPNetwork | None = None
    state: str = NEW
    dnat: bool = False

    def __str__(self) -> str:
        kind = "answers" if self.state == ESTABLISHED else "published" if self.dnat else ""
        notes = ", ".join(filter(None, (f"ipv{self.version}", kind)))
        return f"{self.iifname or 'any'} -> {self.oifname or 'any'} ({notes})"


class _Match(enum.Enum):
    """SOME: what is tested tells single services or far ends, whose owner means just these; a stop of them is no blocker.

    PART: a part of the flow that a lab would miss, all of tcp or some of its own addresses.
    """

    NONE, SOME, PART, UNKNOWN, ALL = range(5)


@dataclasses.dataclass(frozen=True)
class Stop:
    """Where packets end. ``certain``: all of the flow that comes here, and some of it surely does."""

    chain: str
    why: str
    action: str
    certain: bool


@dataclasses.dataclass(frozen=True)
class _End:
    """How a walk through a chain ends: what stops packets in it; whether any come out at its end, and whether surely.

    ``accepts``: nobody knows how many of the packets were let pass for good, which may be all.
    """

    stops: tuple[Stop, ...]
    passes: bool
    sure: bool
    accepts: bool


def stops(table: Table, flow: Flow) -> tuple[Stop, ...]:
    """All that stops packets of the flow in this table, in the order in which they meet it."""
    if table.dormant or (table.family != "inet" and table.family != {4: "ip", 6: "ip6"}[flow.version]):
        return ()
    walk = _Walk(table, flow)
    found: list[Stop] = []
    for chain in sorted(table.chains, key=lambda each: each.hook.priority if each.hook else 0):
        if chain.hook is not None and (chain.hook.hook, chain.hook.type) == ("forward", "filter"):
            end = walk.through(chain.name, True)
            found += end.stops
            if end.passes and chain.hook.policy == "drop":
                found.append(Stop(chain.name, "policy drop", "drop", end.sure))
    return tuple(dict.fromkeys(found))


class _Walk:
    """Of one flow through the chains of one table; each chain is walked once for each way of coming in."""

    def __init__(self, table: Table, flow: Flow) -> None:
        self._flow = flow
        self._chains = {chain.name: chain for chain in table.chains}
        self._sets = {each.name: {str(element.key) for element in each.elements} for each in table.sets}
        self._maps = {each.name: {str(e.key): e.data for e in each.elements} for each in table.maps}
        self._known: dict[tuple[str, bool], _End] = {}

    def through(self, name: str, sure: bool) -> _End:
        """``sure``: packets of the flow certainly come to this chain."""
        key = (name, sure)
        if key not in self._known:
            chain = self._chains.get(name)
            self._known[key] = _End((), True, False, True) if chain is None else self._walk(chain, sure)
        return self._known[key]

    def _walk(self, chain: Chain, sure: bool) -> _End:
        stops: list[Stop] = []
        returned = accepts = False  # whether some went back to where they came from; whether some were let pass
        for rule in chain.rules:
            match, verdict = self._reads(rule)
            if verdict is None or match is _Match.NONE:
                continue
            every, unknown, missed = match is _Match.ALL, match is _Match.UNKNOWN, match is not _Match.SOME
            if verdict in ("drop", "reject"):
                stops += [Stop(chain.name, told(rule), verdict, sure and every)] if missed else []
                if every:
                    return _End(tuple(stops), returned, False, accepts)
                # What an unknown test may stop altogether does not surely come to the next rule, and is told of there.
            elif verdict == "accept":
                if every:
                    return _End(tuple(stops), returned, False, True)
                accepts, sure = accepts or unknown, sure and not unknown
            elif verdict == "return":
                if every:
                    return _End(tuple(stops), True, sure, accepts)
                returned, sure = True, sure and not unknown
            elif isinstance(verdict, Verdict) and verdict.chain:
                end = self.through(verdict.chain, sure and every)
                stops += end.stops if missed else ()
                accepts = accepts or (end.accepts and (every or unknown))
                if verdict.word == "goto":
                    if every:
                        return _End(tuple(stops), returned or end.passes, end.sure, accepts)
                    returned, sure = returned or end.passes, sure and not unknown
                elif every and not end.passes:
                    return _End(tuple(stops), returned, False, accepts)
                elif every:
                    sure = end.sure
                elif unknown:
                    sure = sure and not end.accepts
            else:
                word = verdict.word if isinstance(verdict, Verdict) else verdict
                stops += [Stop(chain.name, told(rule), word, False)] if missed else []
                accepts, sure = accepts or every or unknown, sure and not (every or unknown)
        return _End(tuple(stops), True, sure, accepts)

    def _reads(self, rule: Rule) -> tuple[_Match, str | Verdict | None]:
        """How much of the flow passes the tests of a rule, and what then becomes of it; None: it goes on."""
        match, verdict = _Match.ALL, None
        for expression in rule.expressions:
            if isinstance(expression, InterfaceVerdict):
                own = self._from_map(expression)
                if own is not None:
                    return (match if own.word != "?" else _least(match, _Match.UNKNOWN)), _plain(own)
                continue
            if isinstance(expression, Verdict):
                verdict = _plain(expression)
            elif isinstance(expression, Reject):
                verdict = "reject"
            else:
                match = _least(match, self._test(expression))
                if match is _Match.NONE:
                    return match, None
        return match, verdict

    def _from_map(self, expression: InterfaceVerdict) -> Verdict | None:
        mine = self._name(expression.direction)
        data = self._maps.get(expression.map, {})
        if mine is None or expression.map not in self._maps:
            return Verdict("?")
        found = data.get(mine)
        return found if isinstance(found, Verdict) else None

    def _name(self, direction: str) -> str | None:
        return self._flow.iifname if direction == "iifname" else self._flow.oifname

    def _test(self, expression: Expression) -> _Match:
        flow = self._flow
        if isinstance(expression, (Interface, InterfacePrefix, InterfaceIn)):
            return self._interface(expression)
        if isinstance(expression, NetworkProtocol):
            return _all_or_none(expression.version == flow.version)
        if isinstance(expression, AddressIn):
            return _address(expression, flow.source if expression.side == "saddr" else flow.destination)
        if isinstance(expression, ConntrackState):
            return _all_or_none(flow.state in expression.states)
        if isinstance(expression, DestinationWasTranslated):
            return _all_or_none(flow.dnat)
        if isinstance(expression, DestinationIsLocal):
            return _Match.NONE  # what is forwarded is not for the host itself
        if isinstance(expression, TransportProtocol):
            return _Match.PART if expression.name in ("tcp", "udp") else _Match.SOME
        if isinstance(expression, DestinationPort):
            return _Match.SOME
        if isinstance(expression, Unknown):
            return _Match.SOME if expression.kind in PARTIAL else _Match.UNKNOWN
        return _Match.ALL  # translations, which end no way in a filter chain

    def _interface(self, test: Interface | InterfacePrefix | InterfaceIn) -> _Match:
        mine = self._name(test.direction)
        if mine is None:
            return _Match.UNKNOWN
        if isinstance(test, Interface):
            return _all_or_none((mine == test.name) == test.equal)
        if isinstance(test, InterfacePrefix):
            return _all_or_none(mine.startswith(test.prefix) == test.equal)
        if test.set not in self._sets:
            return _Match.UNKNOWN
        return _all_or_none((mine in self._sets[test.set]) == test.inside)


def _plain(verdict: Verdict) -> str | Verdict:
    return verdict.word if verdict.word in ("accept", "drop", "return") else verdict


def _all_or_none(holds: bool) -> _Match:
    return _Match.ALL if holds else _Match.NONE


def _least(first: _Match, second: _Match) -> _Match:
    """Of both tests together: a part of what nobody knows is a part for sure."""
    return min(first, second, key=lambda match: match.value)


def _address(test: AddressIn, network: IPNetwork | None) -> _Match:
    # All but some addresses may be nearly all of a flow, or nothing of what there really is.
    if network is None:
        return _Match.SOME if test.equal else _Match.UNKNOWN
    if network.version != test.network.version:
        return _Match.NONE
    if not network.overlaps(t.cast(t.Any, test.network)):
        return _all_or_none(not test.equal)
    if network.subnet_of(t.cast(t.Any, test.network)):
        return _all_or_none(test.equal)
    return _Match.PART if test.equal else _Match.UNKNOWN


# For people


def told(rule: Rule) -> str:
    """A rule in the words of nft; what it tests that there is no word for stands in brackets."""
    words = []
    for position, expression in enumerate(rule.expressions):
        following = rule.expressions[position + 1 : position + 2]
        if isinstance(expression, Unknown):
            words.append(f"({expression.kind})")
        elif isinstance(expression, Reject):
            words.append("reject")
        elif isinstance(expression, Verdict):
            words.append(f"{expression.word} {expression.chain}".strip())
        elif not (isinstance(expression, NetworkProtocol) and following and isinstance(following[0], AddressIn)):
            words.append(_text(expression))
    return " ".join(dict.fromkeys(words))


def _text(expression: Expression) -> str:
    try:
        return rule_text(Rule((expression,)))
    except ValueError:  # a name that nft could not write
        return f"({type(expression).__name__})"
