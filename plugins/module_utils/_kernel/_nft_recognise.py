# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's expressions as the words of a rule.

A word is guessed from the first expression or two, written again in each spelling that some version of nft uses, and
taken only if the kernel shows just that: its own additions are let pass, anything else makes it Unknown. So a rule is
never taken for one of ours that does more, or less.
"""

from __future__ import annotations

import ipaddress
import sys
import typing as t

from .._ruleset import (
    AddressIn,
    ConntrackState,
    DestinationIsLocal,
    DestinationNat,
    DestinationNatMap,
    DestinationPort,
    DestinationWasTranslated,
    Expression,
    Interface,
    InterfaceIn,
    InterfaceVerdict,
    Masquerade,
    NetworkProtocol,
    Reject,
    SourceNat,
    TransportProtocol,
    Unknown,
    Verdict,
)
from ._nft_codec import Step, Value, decode_step
from ._nft_expressions import (
    ADDRESS_OFFSETS,
    CT_STATE,
    EQ,
    GTE,
    META,
    NFPROTO,
    PROTOCOLS,
    RANGE_PROTO_SPECIFIED,
    SNAT,
    STATES,
    TRANSPORT_HEADER,
    VERDICTS,
    spellings,
)

_RANGE_MAP_IPS = 1
_META_WORDS = {number: word for word, number in META.items()}
_VERDICT_WORDS = {number: word for word, number in VERDICTS.items()}
_VERSIONS = {number: version for version, number in NFPROTO.items()}
_PROTOCOL_NAMES = {number: name for name, number in PROTOCOLS.items()}

Fields = t.Mapping[str, t.Any]


def decode_expressions(raw: t.Sequence[bytes], version: t.Optional[int] = None) -> tuple[Expression, ...]:
    """The words of a rule in a table of the IP `version`, or of both."""
    steps = [decode_step(one) for one in raw]
    found: list[Expression] = []
    position = 0
    while position < len(steps):
        expression, length = recognise(steps[position:], _network(found, version), _transport(found))
        found.append(expression or Unknown(steps[position].name, raw[position]))
        position += length
    return tuple(found)


def verdict(code: int, chain: str) -> Verdict:
    """Raises LookupError for one that we never write, such as goto."""
    return Verdict(_VERDICT_WORDS[code], chain)


def _network(found: t.Iterable[Expression], version: t.Optional[int]) -> t.Optional[int]:
    tested = [each.version for each in found if isinstance(each, NetworkProtocol)]
    return tested[-1] if tested else version


def _transport(found: t.Iterable[Expression]) -> t.Optional[str]:
    tested = [each.name for each in found if isinstance(each, TransportProtocol)]
    return tested[-1] if tested else None


def recognise(
    steps: t.Sequence[Step], network: t.Optional[int], transport: t.Optional[str]
) -> tuple[t.Optional[Expression], int]:
    """The word that begins here if it is one of ours, and how many steps it takes."""
    try:
        guess = _guess(steps, network, transport)
    except (LookupError, ValueError, TypeError):
        return None, 1
    for spelling in spellings(guess):
        if len(spelling) <= len(steps) and all(map(_same, steps, spelling)):
            return guess, len(spelling)
    return None, 1


def _same(read: Step, written: Step) -> bool:
    """Whether the kernel shows what we would write, with at most its own additions, which are all zero."""
    if read.name != written.name:
        return False
    shown, wanted = dict(read.fields), dict(written.fields)
    if read.name == "nat":
        _drop_implied(shown, wanted)
    added = {name: value for name, value in shown.items() if name not in wanted}
    return all(shown.get(name) == value for name, value in wanted.items()) and all(
        name != "dreg" and _is_zero(value) for name, value in added.items()
    )


def _is_zero(value: Value) -> bool:
    return not any(value) if isinstance(value, bytes) else value == 0


def _drop_implied(shown: dict[str, Value], wanted: dict[str, Value]) -> None:
    """The kernel repeats the lower bound as the upper one, and sets the flags that follow from the registers."""
    for bound in ("addr", "proto"):
        if shown.get(f"{bound}_max") == wanted.get(f"{bound}_min"):
            shown.pop(f"{bound}_max", None)
    wanted.pop("flags", None)
    flags = shown.get("flags")
    if isinstance(flags, int):
        shown["flags"] = flags & ~(_RANGE_MAP_IPS | RANGE_PROTO_SPECIFIED)


def _guess(steps: t.Sequence[Step], network: t.Optional[int], transport: t.Optional[str]) -> Expression:
    """The word that these steps might begin. Raises LookupError, ValueError or TypeError where there is none."""
    name = steps[0].name
    first = _fields(steps, 0)
    if name == "meta":
        return _guess_meta(first, steps)
    if name == "payload" and first["base"] == TRANSPORT_HEADER:
        return _guess_port(steps, transport)
    if name == "payload":
        return _guess_address(first, steps, network)
    if name == "ct" and first["key"] == CT_STATE:
        mask = int.from_bytes(_fields(steps, 1)["mask"], sys.byteorder)
        return ConntrackState(frozenset(state for state, bit in STATES.items() if mask & bit))
    if name == "ct":
        return DestinationWasTranslated()
    if name == "immediate" and first["dreg"] == 0:
        return verdict(*first["data"])
    if name == "immediate":
        return _guess_nat(steps)
    words: dict[str, Expression] = {"fib": DestinationIsLocal(), "reject": Reject(), "masq": Masquerade()}
    return words[name]


def _fields(steps: t.Sequence[Step], position: int) -> Fields:
    return dict(steps[position].fields)


def _guess_meta(first: Fields, steps: t.Sequence[Step]) -> Expression:
    word = _META_WORDS[first["key"]]
    following, second = steps[1].name, _fields(steps, 1)
    if following == "payload":
        return DestinationNatMap(_VERSIONS[_fields(steps, 3)["family"]], _named(_fields(steps, 2)["set"]))
    if following == "lookup" and "dreg" in second:
        return InterfaceVerdict(word, _named(second["set"]))
    if following == "lookup":
        return InterfaceIn(word, _named(second["set"]), not second.get("flags"))
    if word == "nfproto":
        return NetworkProtocol(_VERSIONS[second["data"][0]])
    if word == "l4proto":
        return TransportProtocol(_PROTOCOL_NAMES[second["data"][0]])
    return Interface(word, second["data"].rstrip(b"\0").decode(), second["op"] == EQ)


def _named(set_name: str) -> str:
    """Refuses the set behind `iifname { a, b }`, which lives and dies with its rule."""
    if set_name.startswith("__"):
        raise ValueError(set_name)
    return set_name


def _guess_port(steps: t.Sequence[Step], transport: t.Optional[str]) -> Expression:
    if transport is None:
        raise ValueError("a port of no protocol")
    bound = _fields(steps, 1)
    if steps[1].name == "range":
        first, last = bound["from"], bound["to"]
    else:
        first = bound["data"]
        last = _fields(steps, 2)["data"] if bound["op"] == GTE else first
    return DestinationPort(transport, int.from_bytes(first, "big"), int.from_bytes(last, "big"))


def _guess_address(load: Fields, steps: t.Sequence[Step], version: t.Optional[int]) -> Expression:
    if version is None:
        raise ValueError("an address of no protocol")
    sides = {offset: side for (of, side), offset in ADDRESS_OFFSETS.items() if of == version}
    prefix, compared = load["len"] * 8, _fields(steps, 1)
    if steps[1].name == "bitwise":
        prefix, compared = bin(int.from_bytes(compared["mask"], "big")).count("1"), _fields(steps, 2)
    packed = compared["data"].ljust(4 if version == 4 else 16, b"\0")
    network = ipaddress.ip_network((ipaddress.ip_address(packed), prefix))
    return AddressIn(sides[load["offset"]], network, compared["op"] == EQ)


def _guess_nat(steps: t.Sequence[Step]) -> Expression:
    values: list[t.Any] = []
    while steps[len(values)].name == "immediate":
        values.append(_fields(steps, len(values))["data"])
    address = ipaddress.ip_address(values[0])
    if _fields(steps, len(values))["type"] == SNAT:
        return SourceNat(address)
    ports = [int.from_bytes(value, "big") for value in values[1:]]
    return DestinationNat(address, (ports[0], ports[-1]) if ports else None)
