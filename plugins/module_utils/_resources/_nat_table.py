# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shared table in a plan: the operation that changes it, who has what in it, and the flows that a change concerns."""

from __future__ import annotations

import dataclasses
import typing as t

from .._engine import Draft
from .._errors import Problem
from .._operation import Call, Operation, here_document, inside
from .._ruleset import AddressIn, DestinationNat, DestinationPort, Endpoint, ProtocolPort, Rule, Table
from .._ruleset_changes import Change, difference
from .._ruleset_text import script
from .._values import IPNetwork, NamespaceRef
from .._world import TABLE_MAIN, NamespaceState, World
from ._conntrack import FlushConntrack, PublishedPort, local_addresses
from ._nat_rules import RuleSet, holders, overlap, owner, translated
from ._place import place
from ._publish import MAP, Ports, Publish

if t.TYPE_CHECKING:
    from .._kernel._kernel import Kernel


@dataclasses.dataclass(frozen=True)
class ChangeTable(Call):
    """Turn the shared table into another, in one transaction."""

    where: NamespaceRef
    before: Table | None
    after: Table | None

    @property
    def changes(self) -> tuple[Change, ...]:
        return difference(self.before, self.after)

    @property
    def command(self) -> str:
        return here_document(inside(self.where, "nft", "-f", "-"), script(self.changes))

    @property
    def purpose(self) -> str:
        return f"change the nftables table inet nslab {place(self.where)}"

    def run(self, kernel: Kernel) -> None:
        kernel.change_table(self.where, self.changes)

    def simulate(self, world: World) -> None:
        state = world.state(self.where)
        state.table = self.after

    def invert(self, world: World) -> tuple[Operation, ...]:
        return (ChangeTable(self.where, self.after, self.before),)


def refuse_clashes(table: Table | None, rule_set: RuleSet, sources: t.Iterable[IPNetwork]) -> None:
    """Two rule sets share no interface, no network and no port.

    :raises Problem: they would; it names the other one.
    """
    name = rule_set.name
    for link in rule_set.inside:
        holder = holders(table).get(link, name)
        if holder != name:
            raise Problem(
                f"inside link {link} belongs to the rule set {holder} already",
                f"add what {name} needs to {holder}, or remove one of the two",
            )
    for holder, network in translated(table):
        if holder != name and any(overlap(network, source) for source in sources):
            raise Problem(
                f"the sources of {name} overlap {network} of the rule set {holder}",
                "give each lab a network of its own",
            )
    for holder, other in published(table):
        for each in rule_set.publish:
            if holder != name and each.ports.meets(other.ports):
                raise Problem(
                    f"{each.ports} is published by the rule set {holder} already, as {other.ports} to {other.to}",
                    "choose another port, or an address of the router for each",
                )


def flush(draft: Draft, where: NamespaceRef, name: str, before: Table | None) -> None:
    """Have the flows that began under the rules of before meet those of now; as the last step, since it can't be undone."""
    state = draft.world.state(where)
    networks = _networks(state, name, before) if _translates(before, name) != _translates(state.table, name) else []
    changed = set(published_by(before, name)) ^ set(published_by(state.table, name))
    ports = [
        PublishedPort(each.ports.protocol, each.ports.first, each.ports.last, address)
        for each in changed
        for address in ([each.ports.address] if each.ports.address is not None else local_addresses(state))
        if address.version == each.ports.version
    ]
    if networks or ports:
        draft.do(FlushConntrack(where, tuple(networks), _joined(ports)))


def _joined(ports: t.Iterable[PublishedPort]) -> tuple[PublishedPort, ...]:
    """Neighbouring ports as one range, in a fixed order."""
    found: list[PublishedPort] = []
    for port in sorted(ports, key=lambda each: (each.address.version, int(each.address), each.protocol, each.first)):
        last = found[-1] if found else port
        if (last.address, last.protocol) == (port.address, port.protocol) and last.first <= port.first <= last.last + 1:
            found[-1:] = [dataclasses.replace(last, last=max(last.last, port.last))]
        else:
            found.append(port)
    return tuple(found)


def _translates(table: Table | None, name: str) -> object:
    """What a rule set does to the flows of its networks, but for those that are published."""
    return [] if table is None else [c for c in table.chains if c.name in (f"post_{name}", f"in_{name}")]


def _networks(state: NamespaceState, name: str, before: Table | None) -> list[IPNetwork]:
    """Those that the rule set had or has, and what else is on its inside links or behind them."""
    tables = (before, state.table)
    named = [network for table in tables for holder, network in translated(table) if holder == name]
    links = {link for table in tables for link, holder in holders(table).items() if holder == name}
    behind = [
        address.ip.network for link in sorted(links & set(state.links)) for address in state.links[link].addresses
    ]
    behind += [
        route.dst
        for route in state.routes
        if route.kind == "unicast" and route.table == TABLE_MAIN and route.dst.prefixlen and links & set(route.devs)
    ]
    found = list(dict.fromkeys(named))
    for network in behind:
        if not network.is_link_local and not any(_covers(each, network) for each in found):
            found.append(network)
    return found


def _covers(wider: IPNetwork, network: IPNetwork) -> bool:
    return overlap(wider, network) and wider.prefixlen <= network.prefixlen


def published_by(table: Table | None, name: str) -> tuple[Publish, ...]:
    """What a rule set has published."""
    return tuple(each for holder, each in published(table) if holder == name)


def published(table: Table | None) -> list[tuple[str, Publish]]:
    """Which rule set has published what."""
    if table is None:
        return []
    found: list[tuple[str | None, Publish]] = []
    for version, name in MAP.items():
        for each in table.maps:
            for element in each.elements if each.name == name else ():
                if isinstance(element.key, ProtocolPort) and isinstance(element.data, Endpoint):
                    ports = Ports(element.key.protocol, element.key.port, element.key.port, version)
                    whole = Publish(ports, element.data.address, element.data.port)
                    found.append((owner(element.comment), whole))
    for chain in table.chains:
        for rule in chain.rules:
            given = _read_publish(rule)
            if given is not None:
                found.append((owner(rule.comment), given))
    return [(name, each) for name, each in found if name is not None]


def _read_publish(rule: Rule) -> Publish | None:
    """What a rule of a rule set's chain publishes."""
    ports = next((each for each in rule.expressions if isinstance(each, DestinationPort)), None)
    target = next((each for each in rule.expressions if isinstance(each, DestinationNat)), None)
    if ports is None or target is None:
        return None
    at = next((each.network for each in rule.expressions if isinstance(each, AddressIn)), None)
    address = None if at is None else at.network_address
    of_router = Ports(ports.protocol, ports.first, ports.last, target.address.version, address)
    return Publish(of_router, target.address, target.ports[0] if target.ports else ports.first)
