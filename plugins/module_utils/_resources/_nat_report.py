# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rule sets of a table as their tasks would have declared them, as far as the table tells."""

from __future__ import annotations

from .._ruleset import AddressIn, Expression, Interface, NetworkProtocol, SourceNat, Table
from ._nat import rules_of
from ._nat_plan import ANY, VERSIONS
from ._nat_rules import holders, owner, translated
from ._nat_table import published, published_by
from ._publish import Publish, shown_range


def report_rule_sets(table: Table) -> dict[str, object]:
    """By name."""
    owners = {owner(rule.comment) for chain in table.chains for rule in chain.rules}
    names = {*holders(table).values(), *(name for name, _network in translated(table)), *owners}
    names |= {name for name, _publish in published(table)}
    return {name: _rule_set(table, name) for name in sorted(each for each in names if each is not None)}


def _rule_set(table: Table, name: str) -> dict[str, object]:
    outward = _outward(table, name)
    actions = [each for rule in outward for each in rule if isinstance(each, SourceNat)]
    return {
        "inside": sorted(link for link, holder in holders(table).items() if holder == name),
        "uplink": {f"ipv{version}": _uplinks(outward, version) for version in VERSIONS},
        "sources": sorted({str(network) for holder, network in translated(table) if holder == name}),
        "to_source": sorted({str(action.address) for action in actions}),
        "inbound": "established" if any(chain.name == f"in_{name}" for chain in table.chains) else ANY,
        "publish": [_publish(each) for each in published_by(table, name)],
        "rules": rules_of(table, name),
    }


def _outward(table: Table, name: str) -> list[tuple[Expression, ...]]:
    """The rules that give what leaves another address."""
    roles = (f"nslab:{name}:masquerade", f"nslab:{name}:snat")
    return [rule.expressions for chain in table.chains for rule in chain.rules if rule.comment in roles]


def _uplinks(outward: list[tuple[Expression, ...]], version: int) -> list[str]:
    found = []
    for rule in outward:
        versions: list[int] = [each.network.version for each in rule if isinstance(each, AddressIn)]
        versions += [each.version for each in rule if isinstance(each, NetworkProtocol)]
        names = [each.name for each in rule if isinstance(each, Interface) and each.direction == "oifname"]
        if version in versions:
            found += names or [ANY]
    return list(dict.fromkeys(found))


def _publish(publish: Publish) -> dict[str, object]:
    ports = publish.ports
    return {
        "protocol": ports.protocol,
        "port": shown_range(ports.first, ports.last),
        "address": None if ports.address is None else str(ports.address),
        "to": str(publish.to),
        "to_port": shown_range(publish.to_first, publish.to_first + ports.last - ports.first),
    }
