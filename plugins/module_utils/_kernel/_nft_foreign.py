# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of others that filter what is forwarded: those with a base chain on that hook, and of these what it leads to.

Works in the network namespace in which the calling thread is; only reads.
"""

from __future__ import annotations

import dataclasses
import errno
import ipaddress
import itertools
import typing as t
from contextlib import closing

from .._ruleset import Chain, Hook, Network, Rule, Table
from . import _nft_codec as codec
from ._netlink import Netlink
from ._nft_presence import FAMILIES, NO_NF_TABLES
from ._nft_steps import RawRule, raw_rule
from ._nft_words import rules, spanned
from ._nftables import (
    DORMANT,
    NLM_F_DUMP,
    READ_TRIES,
    VERSIONS,
    Nfnetlink,
    read_hook,
)
from ._refusal import KernelRefused

_ANONYMOUS, _CONSTANT, _INTERVAL, _MAP = 1, 2, 4, 8
_VERDICT_TYPE = 0xFFFFFF00
_ADDRESS_TYPES = {4: (7, 4), 6: (8, 16)}
_INTERVAL_END = 1
_MOST_ELEMENTS = 256  # of a set; what holds more, such as a list of countries, is left as something unknown


def read_forwarding(own_family: str, own_name: str) -> tuple[Table, ...]:
    """Of each such table but our own, its forward chains and all that these jump to, their rules as _nft_words.py has them.

    :raises KernelRefused: they can't be read, or kept changing.
    """
    try:
        kernel = Nfnetlink()
    except KernelRefused:  # a kernel without netfilter's netlink has no such tables
        return ()
    with closing(kernel):
        for _attempt in range(READ_TRIES):
            survey = _Survey(kernel)
            try:
                found = survey.tables(own_family, own_name)
            except KernelRefused as refused:
                if refused.errno in NO_NF_TABLES:
                    return ()
                if refused.errno != errno.ENOENT:  # a table that was there a moment ago
                    raise
                continue
            if len(survey.generations) <= 1:
                return found
    raise KernelRefused(errno.EAGAIN, "the rules of the firewall kept changing while they were read")


class _Survey:
    """One reading; more than one generation seen means that something changed in between."""

    def __init__(self, kernel: Netlink) -> None:
        self.generations: set[int] = set()
        self._kernel = kernel

    def tables(self, own_family: str, own_name: str) -> tuple[Table, ...]:
        found = []
        for family in FAMILIES:
            chains: dict[str, list[Chain]] = {}
            for shown in self.dump(family, codec.CHAIN, "chain"):
                chains.setdefault(shown["table"], []).append(Chain(shown["name"], (), read_hook(shown)))
            for name, its_chains in chains.items():
                if (family, name) != (own_family, own_name) and any(_filters(chain) for chain in its_chains):
                    found.append(self._table(family, name, its_chains))
        return tuple(found)

    def _table(self, family: str, name: str, chains: t.Sequence[Chain]) -> Table:
        dormant = any(
            shown["name"] == name and shown.get("flags", 0) & DORMANT
            for shown in self.dump(family, codec.TABLE, "table")
        )
        sets = _Sets(self, family, name)
        raw = self._rules(family, name)
        reached: dict[str, Chain] = {}
        waiting = [chain for chain in chains if _filters(chain)]
        others = {chain.name: chain for chain in chains}
        while waiting:
            chain = waiting.pop()
            if chain.name not in reached:
                version = VERSIONS.get(family)
                words = [each for one in raw.get(chain.name, ()) for each in rules(one.expressions, version, sets)]
                reached[chain.name] = dataclasses.replace(chain, rules=tuple(map(Rule, words)))
                targets = {getattr(word, "chain", "") for rule in words for word in rule}
                waiting += [others[target] for target in targets if target in others]
        return Table(family, name, tuple(reached.values()), dormant=dormant)

    def _rules(self, family: str, table: str) -> dict[str, list[RawRule]]:
        found: dict[str, list[RawRule]] = {}
        request = codec.encode(codec.RULE + codec.DUMP, FAMILIES[family], 0, "rule", (("table", table),))
        for message in self._kernel.dump(request, NLM_F_DUMP):
            rule = raw_rule(message)
            self.generations.add(rule.generation)
            if rule.table == table:
                found.setdefault(rule.chain, []).append(rule)
        return found

    def dump(self, family: str, kind: int, layout: str, **named: str) -> list[dict[str, t.Any]]:
        request = codec.encode(kind + codec.DUMP, FAMILIES[family], 0, layout, tuple(named.items()))
        messages = [codec.decode(layout, data) for data in self._kernel.dump(request, NLM_F_DUMP)]
        self.generations.update(message.generation for message in messages)
        return [message.attributes for message in messages]


def _filters(chain: Chain) -> bool:
    hook: t.Optional[Hook] = chain.hook
    return hook is not None and hook.hook == "forward" and hook.type == "filter"


class _Sets:
    """The sets and maps of one table, each read when a rule asks for it."""

    def __init__(self, survey: _Survey, family: str, table: str) -> None:
        self._survey, self._family, self._table = survey, family, table
        self._kinds: t.Optional[dict[str, dict[str, t.Any]]] = None
        self._read: dict[str, t.Optional[list[dict[str, t.Any]]]] = {}

    def members(self, name: str, length: int) -> t.Optional[list[bytes]]:
        elements = self._elements(name, flags=0)
        if elements is None or self._kind(name)["key_len"] != length:
            return None
        return [t.cast(bytes, codec.unpack_data(each["key"])) for each in elements]

    def verdicts(self, name: str, length: int) -> t.Optional[list[tuple[bytes, codec.VerdictData]]]:
        elements, kind = self._elements(name, flags=_MAP), self._kind(name)
        if elements is None or (kind["key_len"], kind.get("data_type")) != (length, _VERDICT_TYPE):
            return None
        found: list[t.Any] = [(codec.unpack_data(each["key"]), codec.unpack_data(each["data"])) for each in elements]
        return found

    def networks(self, name: str, version: int) -> t.Optional[list[Network]]:
        kind = self._kind(name)
        if (kind.get("key_type"), kind.get("key_len")) != _ADDRESS_TYPES[version]:
            return None
        interval = kind.get("flags", 0) & _INTERVAL
        elements = self._elements(name, flags=_INTERVAL if interval else 0)
        if elements is None:
            return None
        bounds = [(int.from_bytes(t.cast(bytes, codec.unpack_data(each["key"])), "big"), each) for each in elements]
        if interval:
            ranges = _ranges([(number, bool(each.get("flags", 0) & _INTERVAL_END)) for number, each in bounds], version)
        else:
            ranges = [(number, number) for number, _each in bounds]
        every = itertools.chain(*(spanned(first, last, version) for first, last in ranges))
        return list(ipaddress.collapse_addresses(t.cast(t.Any, every)))

    def _kind(self, name: str) -> dict[str, t.Any]:
        if self._kinds is None:
            shown = self._survey.dump(self._family, codec.SET, "set", table=self._table)
            self._kinds = {each["name"]: each for each in shown if each["table"] == self._table}
        return self._kinds.get(name, {})

    def _elements(self, name: str, flags: int) -> t.Optional[list[dict[str, t.Any]]]:
        """None of a set that has options of its own, such as a time-out, or is too large."""
        kind = self._kind(name)
        if not kind or kind.get("flags", 0) & ~(_ANONYMOUS | _CONSTANT) != flags or kind.get("timeout"):
            return None
        if name not in self._read:
            found: list[dict[str, t.Any]] = []
            names = {"table": self._table, "set": name}
            for shown in self._survey.dump(self._family, codec.ELEMENTS, "elements", **names):
                found += [codec.decode_element(each) for each in codec.decode_list(shown.get("elements", b""))]
            self._read[name] = found if len(found) <= _MOST_ELEMENTS else None
        return self._read[name]


def _ranges(bounds: t.Iterable[tuple[int, bool]], version: int) -> list[tuple[int, int]]:
    """First and last of each interval, from where intervals begin (and the first behind them)."""
    found: list[tuple[int, int]] = []
    begun: t.Optional[int] = None
    for number, is_end in sorted(bounds, key=lambda bound: (bound[0], not bound[1])):
        if begun is not None:
            found.append((begun, number - 1))
        begun = None if is_end else number
    if begun is not None:  # the last one reaches to the end of all addresses
        found.append((begun, 2 ** {4: 32, 6: 128}[version] - 1))
    return found
