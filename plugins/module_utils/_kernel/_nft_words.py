# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of others as the words that tell what they let pass.

Other than _nft_recognise.py, which takes a rule for ours only if it does neither more nor less, this looks away from
what never matters to that (counters, logs, comments), takes spellings of other tools for the same word, and writes sets
out: `ct state vmap { established : accept, invalid : drop }` comes to two rules.
"""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import socket
import sys
import typing as t

from .._ruleset import (
    PORT,
    PROTOCOL,
    AddressIn,
    ConntrackState,
    Expression,
    Interface,
    InterfacePrefix,
    Network,
    NetworkProtocol,
    Reject,
    TransportProtocol,
    Unknown,
    Verdict,
)
from ._nft_codec import Step, step
from ._nft_expressions import (
    ADDRESS_OFFSETS,
    CT_STATE,
    EQ,
    GTE,
    LTE,
    META,
    NEQ,
    NETWORK_HEADER,
    PROTOCOLS,
    STATES,
    TRANSPORT_HEADER,
)
from ._nft_recognise import recognise
from ._nft_steps import fast_step
from ._xt_words import match_words, target_words

Word = tuple[Expression, ...]
_IGNORED = frozenset(("counter", "log", "last", "notrack", "flow_offload"))
_LOADS = frozenset(
    ("meta", "payload", "ct", "fib", "socket", "rt", "exthdr", "numgen", "hash", "osf", "tunnel", "xfrm")
)
_TESTS = frozenset(("bitwise", "byteorder", "cmp", "range", "lookup"))
_INDEXES = {4: "iifname", 5: "oifname"}  # `iif` and `oif`, which compare the number of the link
_NAMES = {number: word for word, number in META.items() if word.endswith("name")}
_PROTOCOL_OFFSETS = {4: 9, 6: 6}
PROTOCOL_NAMES = {**{number: name for name, number in PROTOCOLS.items()}, 1: "icmp", 58: "ipv6-icmp"}
_VERDICTS = {0: "drop", 1: "accept", 3: "queue", -3: "jump", -4: "goto", -5: "return"}
_ALL_CLEAR = step("cmp", sreg=1, op=EQ, data=bytes(4))
_MOST_RULES = 1024  # that a rule may come to when its sets are written out


class Sets(t.Protocol):
    """What a rule may look up."""

    def members(self, name: str, length: int) -> t.Optional[list[bytes]]:
        """What a set of single values of so many bytes holds; None of any other."""

    def networks(self, name: str, version: int) -> t.Optional[list[Network]]:
        """What a set of addresses holds, None of any other."""

    def verdicts(self, name: str, length: int) -> t.Optional[list[tuple[bytes, tuple[int, str]]]]:
        """The verdict for each single value, of so many bytes, of a map of verdicts; None of any other."""


def rules(raw: t.Sequence[bytes], version: t.Optional[int], sets: Sets) -> list[Word]:
    """What a rule in a table of the IP `version`, or of both, comes to."""
    steps = [fast_step(one) for one in raw]
    alternatives: list[list[Word]] = []
    position, network = 0, version
    while position < len(steps):
        found, length = _words(steps[position:], raw[position:], network, sets)
        tested = [each.version for each in found[0] if isinstance(each, NetworkProtocol)] if found else []
        network = tested[-1] if tested else network
        alternatives.append(found)
        position += length
    count = 1
    for found in alternatives:
        count *= len(found)
    if count > _MOST_RULES:
        alternatives = [
            found if len(found) == 1 else [(Unknown("set", b""), *_verdict_of(found))] for found in alternatives
        ]
    return [tuple(itertools.chain(*chosen)) for chosen in itertools.product(*alternatives)]


def _verdict_of(found: t.Sequence[Word]) -> Word:
    return (Verdict("vmap"),) if any(isinstance(word, Verdict) for words in found for word in words) else ()


def _words(
    steps: t.Sequence[Step], raw: t.Sequence[bytes], network: t.Optional[int], sets: Sets
) -> tuple[list[Word], int]:
    """The word that begins here, in its alternatives, and how many steps it takes."""
    name, fields = steps[0].name, dict(steps[0].fields)
    if name in _IGNORED:
        return [()], 1
    if name == "match":
        return [match_words(str(fields["name"]), t.cast(int, fields["revision"]), t.cast(bytes, fields["info"]))], 1
    if name == "target":
        return [target_words(str(fields["name"]))], 1
    if name == "reject":
        return [(Reject(),)], 1
    if name == "queue":
        return [(Verdict(name),)], 1
    if name == "immediate" and fields.get("dreg") == 0:
        return [_verdict(*t.cast("tuple[int, str]", fields["data"]))], 1
    if name == "immediate":
        return [(Unknown(name, raw[0]),)], 1
    if not any(one.name == "lookup" for one in steps[1:2]):  # sets are written out
        expression, length = recognise(steps, network, None)
        if expression is not None:
            return [(expression,)], length
    length = 1 + len(list(itertools.takewhile(lambda one: one.name in _TESTS, steps[1:])))
    if name not in _LOADS:
        return [(Unknown(name, raw[0]),)], 1
    with contextlib.suppress(LookupError, ValueError, TypeError):
        found = _loaded(steps[0], steps[1:length], network, sets)
        if found is not None:
            return found, length
    return [_unknown(steps[0], steps[1:length], b"".join(raw[:length]))], length


def _verdict(code: int, chain: str) -> Word:
    return () if code == -1 else (Verdict(_VERDICTS.get(code, f"verdict {code}"), chain),)  # -1 is `continue`


def _unknown(load: Step, tests: t.Sequence[Step], raw: bytes) -> Word:
    fields = dict(load.fields)
    kind = load.name
    if load.name == "payload" and fields.get("base") == TRANSPORT_HEADER:
        kind = PORT
    elif load.name == "meta" and fields.get("key") == META["l4proto"]:
        kind = PROTOCOL
    decides = any(one.name == "lookup" and dict(one.fields).get("dreg") == 0 for one in tests)
    return (Unknown(kind, raw), Verdict("vmap")) if decides else (Unknown(kind, raw),)


def _loaded(load: Step, tests: t.Sequence[Step], network: t.Optional[int], sets: Sets) -> t.Optional[list[Word]]:
    """What is tested of something that a register holds. Raises LookupError, ValueError or TypeError, too, where unknown."""
    fields, first = dict(load.fields), dict(tests[0].fields)
    if tests[-1].name == "lookup" and len(tests) > 1:
        return None
    if load.name == "payload" and fields["base"] == NETWORK_HEADER and network is not None:
        if fields["offset"] == _PROTOCOL_OFFSETS[network] and fields["len"] == 1:
            return _one(_protocol(tests, t.cast(bytes, first["data"])))
        return _address_lookup(fields, tests, first, network, sets)
    if load.name == "ct" and fields["key"] == CT_STATE:
        if len(tests) == 2 and tests[0].name == "bitwise" and tests[1] == _ALL_CLEAR:
            return [(_other_states(_states(t.cast(bytes, first["mask"]))),)]
        return _valued(tests, first, sets, 4, _states, _other_states)
    if load.name != "meta":
        return None
    key = fields["key"]
    if key == META["l4proto"]:
        return _one(_protocol(tests, t.cast(bytes, first["data"])))
    if key in _NAMES:
        return _valued(tests, first, sets, 16, lambda data: _interface(_NAMES[key], data), _negated)
    if key in _INDEXES:
        return _valued(tests, first, sets, 4, lambda data: _indexed(_INDEXES[key], data), _negated)
    return None


def _one(expression: t.Optional[Expression]) -> t.Optional[list[Word]]:
    return None if expression is None else [(expression,)]


def _valued(
    tests: t.Sequence[Step],
    first: t.Mapping[str, t.Any],
    sets: Sets,
    length: int,
    word: t.Callable[[bytes], t.Any],
    negated: t.Callable[[t.Any], t.Any],
) -> t.Optional[list[Word]]:
    """A comparison with one value, or a look into a set or a map of single values."""
    if len(tests) != 1:
        return None
    if tests[0].name == "cmp" and first["op"] in (EQ, NEQ):
        positive = word(first["data"])
        return [(positive if first["op"] == EQ else negated(positive),)]
    if tests[0].name != "lookup":
        return None
    if first.get("dreg") == 0:
        mapped = sets.verdicts(first["set"], length)
        return None if mapped is None else [(word(data), *_verdict(*verdict)) for data, verdict in mapped]
    members = sets.members(first["set"], length)
    if members is None:
        return None
    if first.get("flags"):  # outside of all of them
        return [tuple(negated(word(data)) for data in members)]
    return [(word(data),) for data in members]


def _negated(test: t.Union[Interface, InterfacePrefix]) -> t.Union[Interface, InterfacePrefix]:
    if isinstance(test, InterfacePrefix):
        return InterfacePrefix(test.direction, test.prefix, False)
    return Interface(test.direction, test.name, False)


def _interface(direction: str, data: bytes) -> t.Union[Interface, InterfacePrefix]:
    """What ends in a NUL is a whole name, else the beginning of one."""
    name = data.rstrip(b"\0").decode()
    return Interface(direction, name) if data.endswith(b"\0") or len(data) == 16 else InterfacePrefix(direction, name)


def _indexed(direction: str, data: bytes) -> Interface:
    index = int.from_bytes(data, sys.byteorder)
    try:
        return Interface(direction, socket.if_indextoname(index))
    except OSError:
        return Interface(direction, f"index {index}")  # the link has gone; no name has a blank


def _states(data: bytes) -> ConntrackState:
    mask = int.from_bytes(data, sys.byteorder)
    return ConntrackState(frozenset(state for state, bit in STATES.items() if mask & bit))


def _other_states(test: ConntrackState) -> ConntrackState:
    return ConntrackState(frozenset(STATES) - test.states)


def _protocol(tests: t.Sequence[Step], data: bytes) -> t.Optional[Expression]:
    if len(tests) == 1 and tests[0].name == "cmp" and dict(tests[0].fields)["op"] == EQ:
        return TransportProtocol(PROTOCOL_NAMES.get(data[0], str(data[0])))
    return Unknown(PROTOCOL, data)


def _address_lookup(
    load: t.Mapping[str, t.Any], tests: t.Sequence[Step], first: t.Mapping[str, t.Any], version: int, sets: Sets
) -> t.Optional[list[Word]]:
    sides = {offset: side for (of, side), offset in ADDRESS_OFFSETS.items() if of == version}
    side, length = sides[load["offset"]], {4: 4, 6: 16}[version]
    if (
        side == "saddr"
        and load["len"] == 2 * length
        and [(one.name, first.get("op")) for one in tests] == [("cmp", EQ)]
    ):
        # Of two whole addresses that stand one behind the other nft makes one comparison.
        source, destination = (ipaddress.ip_network(first["data"][each : each + length]) for each in (0, length))
        return [(_address("saddr", source, True), _address("daddr", destination, True))]
    bounds = _range(tests)
    if load["len"] != length or (bounds is None and (len(tests) != 1 or tests[0].name != "lookup" or "dreg" in first)):
        return None
    networks = spanned(*bounds, version) if bounds is not None else sets.networks(first["set"], version)
    if networks is None:
        return None
    if first.get("flags"):
        return [tuple(_address(side, network, False) for network in networks)]
    return [(_address(side, network, True),) for network in networks]


def _range(tests: t.Sequence[Step]) -> t.Optional[tuple[int, int]]:
    """`10.0.0.1-10.0.0.9`, in either spelling."""
    fields = [dict(one.fields) for one in tests]
    if [one.name for one in tests] == ["range"] and fields[0]["op"] == EQ:
        bounds = fields[0]["from"], fields[0]["to"]
    elif [(one.name, each.get("op")) for one, each in zip(tests, fields)] == [("cmp", GTE), ("cmp", LTE)]:
        bounds = fields[0]["data"], fields[1]["data"]
    else:
        return None
    return int.from_bytes(t.cast(bytes, bounds[0]), "big"), int.from_bytes(t.cast(bytes, bounds[1]), "big")


def spanned(first: int, last: int, version: int) -> list[Network]:
    """The networks that hold just these addresses."""
    address = ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address
    return list(ipaddress.summarize_address_range(address(first), address(last)))


def _address(side: str, network: Network, equal: bool) -> Expression:
    if network.prefixlen == 0 and equal:
        return NetworkProtocol(network.version)
    return AddressIn(side, network, equal)
