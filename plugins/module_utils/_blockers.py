# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rules of others would drop or reject what a lab sends through the host, and whose they are. Pure.

A packet has to be let pass by every base chain of the forward hook, so that an accept of ours helps nothing against a drop in
another's chain.

Source: Documentation/networking/bridge.rst (br_netfilter); the names as Docker, firewalld, ufw, libvirt and netavark give them.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ._filtering import Flow, Stop, stops
from ._ruleset import Table
from ._world import BRIDGE_NETFILTER, ForeignTable, NamespaceState

NFTABLES, IPTABLES_NFT, IPTABLES_LEGACY = "nftables", "iptables-nft", "iptables-legacy"
DOCKER, FIREWALLD, UFW = "docker", "firewalld", "ufw"
# By how a table or a chain is called; the first in whose chain a rule stands, else the first who has a chain in the table.
_CHAIN_MANAGERS = (
    ("DOCKER", DOCKER),
    ("ufw-", UFW),
    ("ufw6-", UFW),
    ("LIBVIRT_", "libvirt"),
    ("NETAVARK_", "netavark"),
)
_TABLE_MANAGERS = {
    "firewalld": FIREWALLD,
    "docker-bridges": DOCKER,
    "libvirt_network": "libvirt",
    "netavark": "netavark",
}


@dataclasses.dataclass(frozen=True)
class Blocker:
    """A policy or rule that stops flows.

    ``why`` is ``policy drop`` or the text of the rule; ``action`` is ``drop``, ``reject``, or the word of a verdict of which
    nobody knows what it does. ``certain``: all of the flow ends here, save parts that are let pass or stopped by name. Otherwise it
    might: some of it does, or it depends on what can't be told.
    """

    family: str
    table: str
    chain: str
    backend: str
    manager: str | None
    why: str
    action: str
    certain: bool
    flows: tuple[Flow, ...]


def blockers(tables: t.Iterable[ForeignTable], flows: t.Iterable[Flow]) -> list[Blocker]:
    """All that stops one of the flows, in the order of the tables and of the rules in them."""
    wanted = tuple(flows)
    found: dict[Blocker, list[Flow]] = {}
    for foreign in tables:
        for flow in wanted:
            for stop in stops(foreign.table, flow):
                blocker = _blocker(foreign, stop)
                found.setdefault(blocker, []).append(flow)
    return [dataclasses.replace(blocker, flows=tuple(concerned)) for blocker, concerned in found.items()]


def fate(tables: t.Iterable[ForeignTable], flow: Flow) -> str:
    """``accept``, ``drop`` or ``reject`` where that is certain, else ``maybe-drop``."""
    found = [stop for foreign in tables for stop in stops(foreign.table, flow)]
    certain = [stop.action for stop in found if stop.certain]
    return certain[0] if certain else "maybe-drop" if found else "accept"


def sees_bridged(state: NamespaceState, version: int) -> bool:
    """Whether what a bridge passes from port to port goes through the forward chains of IP as well (br_netfilter)."""
    return state.sysctls.get(BRIDGE_NETFILTER[version]) == "1"


def _blocker(foreign: ForeignTable, stop: Stop) -> Blocker:
    table = foreign.table
    backend = IPTABLES_LEGACY if foreign.legacy else IPTABLES_NFT if _is_of_iptables(table) else NFTABLES
    manager = _manager(table, stop.chain)
    why, action = stop.why, stop.action
    return Blocker(table.family, table.name, stop.chain, backend, manager, why, action, stop.certain, ())


def _is_of_iptables(table: Table) -> bool:
    """iptables-nft makes this table with these chains, and refuses to work on any other of the name."""
    hooked = {chain.name for chain in table.chains if chain.hook is not None}
    return table.family in ("ip", "ip6") and table.name == "filter" and hooked == {"FORWARD"}


def _manager(table: Table, chain: str) -> str | None:
    if table.name in _TABLE_MANAGERS:
        return _TABLE_MANAGERS[table.name]
    for names in ([chain], [each.name for each in table.chains]):
        for prefix, manager in _CHAIN_MANAGERS:
            if any(name.startswith(prefix) for name in names):
                return manager
    return None
