# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of a table as the text that a person would give to `nft -f`, one command on a line."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Optional

from ._ruleset import (
    AddressIn,
    ConntrackState,
    Data,
    DestinationIsLocal,
    DestinationNat,
    DestinationNatMap,
    DestinationPort,
    DestinationWasTranslated,
    Element,
    Endpoint,
    Expression,
    Hook,
    Interface,
    InterfaceIn,
    InterfacePrefix,
    InterfaceVerdict,
    Key,
    Map,
    Masquerade,
    Network,
    NetworkProtocol,
    ProtocolPort,
    Reject,
    Rule,
    SourceNat,
    TransportProtocol,
    Unknown,
    Verdict,
)
from ._ruleset_changes import (
    AddChain,
    AddElements,
    AddRule,
    AddSet,
    AddTable,
    Change,
    DeleteElements,
    DeleteSet,
    DeleteTable,
    FlushChain,
)

_IP = {4: "ip", 6: "ip6"}
_STATES = ("invalid", "established", "related", "new", "untracked")
# nft has no quoted identifiers and no way to write these characters inside quotes ('*' would be a wildcard).
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9/_.]*\Z")
_UNQUOTABLE = re.compile(r'["\n\\*]')


def script(changes: Iterable[Change]) -> str:
    """The text for `nft -f -`, which applies it as one transaction, as the kernel room does.

    Raises ValueError for what has no text: an Unknown, or a name outside nft's grammar.
    """
    return "".join(command(change) + "\n" for change in changes)


def shown(changes: Iterable[Change]) -> str:
    """As `script`, for people to read: what has no text is told as a comment."""
    lines = []
    for change in changes:
        try:
            lines.append(command(change))
        except ValueError as error:
            lines.append(f"# {type(change).__name__}: {error}")
    return "".join(f"{line}\n" for line in lines)


def command(change: Change) -> str:
    """One change as one line, without the line break."""
    table = f"{change.table.family} {_identifier(change.table.name)}"
    if isinstance(change, AddTable):
        options = ["flags dormant;"] if change.dormant else []
        options += [f"comment {_quoted(change.comment)};"] if change.comment else []
        return f"add table {table}" + (f" {{ {' '.join(options)} }}" if options else "")
    if isinstance(change, DeleteTable):
        return f"delete table {table}"
    if isinstance(change, (AddSet, DeleteSet)):
        verb = "add" if isinstance(change, AddSet) else "delete"
        kind = "map" if isinstance(change.set, Map) else "set"
        where = f"{verb} {kind} {table} {_identifier(change.set.name)}"
        if isinstance(change, DeleteSet):
            return where
        if isinstance(change.set, Map):
            return f"{where} {{ type {_known(change.set.key)} : {_known(change.set.data)}; }}"
        return f"{where} {{ type {_known(change.set.key)}; }}"
    if isinstance(change, AddElements):
        elements = ", ".join(element_text(element) for element in change.elements)
        return f"add element {table} {_identifier(change.set)} {{ {elements} }}"
    if isinstance(change, DeleteElements):
        keys = ", ".join(_key(element.key) for element in change.elements)
        return f"delete element {table} {_identifier(change.set)} {{ {keys} }}"
    where = f"{table} {_identifier(change.chain)}"
    if isinstance(change, AddChain):
        return f"add chain {where}" + (f" {{ {_hook(change.hook)} }}" if change.hook else "")
    if isinstance(change, FlushChain):
        return f"flush chain {where}"
    if isinstance(change, AddRule):
        return f"add rule {where} {rule_text(change.rule)}"
    return f"delete chain {where}"


def rule_text(rule: Rule) -> str:
    """A rule as `nft list` shows it: protocol tests that the next word implies are left out."""
    words: list[str] = []
    for position, expression in enumerate(rule.expressions):
        following = rule.expressions[position + 1] if position + 1 < len(rule.expressions) else None
        if not _implied(expression, following):
            words.append(_expression(expression))
    if rule.comment:
        words.append(f"comment {_quoted(rule.comment)}")
    return " ".join(words)


def _implied(expression: Expression, following: Optional[Expression]) -> bool:
    """A Rule never has an address or a port behind the test of another protocol."""
    return (isinstance(expression, NetworkProtocol) and isinstance(following, AddressIn)) or (
        isinstance(expression, TransportProtocol) and isinstance(following, DestinationPort)
    )


def _expression(expression: Expression) -> str:
    if isinstance(expression, Interface):
        return f"{expression.direction} {'' if expression.equal else '!= '}{_quoted(expression.name)}"
    if isinstance(expression, InterfacePrefix):
        return f'{expression.direction} {"" if expression.equal else "!= "}{_quoted(expression.prefix)[:-1]}*"'
    if isinstance(expression, InterfaceIn):
        return f"{expression.direction} {'' if expression.inside else '!= '}@{_identifier(expression.set)}"
    if isinstance(expression, InterfaceVerdict):
        return f"{expression.direction} vmap @{_identifier(expression.map)}"
    if isinstance(expression, NetworkProtocol):
        return f"meta nfproto ipv{expression.version}"
    if isinstance(expression, AddressIn):
        network = expression.network
        return f"{_IP[network.version]} {expression.side} {'' if expression.equal else '!= '}{_network(network)}"
    if isinstance(expression, TransportProtocol):
        return f"meta l4proto {expression.name}"
    if isinstance(expression, DestinationPort):
        return f"{expression.protocol} dport {_ports((expression.first, expression.last))}"
    if isinstance(expression, ConntrackState):
        return "ct state " + ",".join(state for state in _STATES if state in expression.states)
    if isinstance(expression, DestinationWasTranslated):
        return "ct status dnat"
    if isinstance(expression, DestinationIsLocal):
        return "fib daddr type local"
    if isinstance(expression, Verdict):
        return _verdict(expression)
    if isinstance(expression, Reject):
        return "reject with icmpx admin-prohibited"
    if isinstance(expression, Masquerade):
        return "masquerade"
    if isinstance(expression, SourceNat):
        return f"snat {_IP[expression.address.version]} to {expression.address}"
    if isinstance(expression, DestinationNat):
        return f"dnat {_IP[expression.address.version]} to {_destination(expression)}"
    if isinstance(expression, DestinationNatMap):
        return f"dnat {_IP[expression.version]} to meta l4proto . th dport map @{_identifier(expression.map)}"
    raise _no_text(expression)


def _destination(nat: DestinationNat) -> str:
    if nat.ports is None:
        return str(nat.address)
    address = f"[{nat.address}]" if nat.address.version == 6 else str(nat.address)
    return f"{address}:{_ports(nat.ports)}"


def _ports(ports: tuple[int, int]) -> str:
    first, last = ports
    return str(first) if first == last else f"{first}-{last}"


def _network(network: Network) -> str:
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)


def _hook(hook: Hook) -> str:
    return f"type {hook.type} hook {hook.hook} priority {hook.priority}; policy {hook.policy};"


def element_text(element: Element) -> str:
    """An element of a set or map as `nft list` shows it."""
    text = _key(element.key)
    if element.comment:
        text += f" comment {_quoted(element.comment)}"
    return text if element.data is None else f"{text} : {_data(element.data)}"


def _key(key: Key) -> str:
    if isinstance(key, Unknown):
        raise _no_text(key)
    if isinstance(key, ProtocolPort):
        return f"{key.protocol} . {key.port}"
    return _quoted(key)


def _data(data: Data) -> str:
    if isinstance(data, Endpoint):
        return f"{data.address} . {data.port}"
    return _verdict(data)


def _verdict(verdict: Verdict) -> str:
    return f"{verdict.word} {_identifier(verdict.chain)}" if verdict.chain else verdict.word


def _identifier(name: str) -> str:
    if not _IDENTIFIER.match(name):
        raise ValueError(f"nft has no way to write the name '{name}'")
    return name


def _quoted(text: str) -> str:
    if _UNQUOTABLE.search(text):
        raise ValueError(f"nft has no way to write '{text}' in quotes")
    return f'"{text}"'


def _known(type_name: str) -> str:
    if type_name.startswith("unknown"):
        raise ValueError(f"nft has no name for the type '{type_name}'")
    return type_name


def _no_text(unknown: Unknown) -> ValueError:
    return ValueError(f"no text for '{unknown.kind}'")
