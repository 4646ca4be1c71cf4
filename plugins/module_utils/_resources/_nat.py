# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""NAT rule sets: which interfaces are inside, which lead out, and what that comes to in rules and forwarding switches.

Source: nft(8), Documentation/networking/ip-sysctl.rst.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._engine import Declaration, Draft, Resource
from .._errors import Problem
from .._operation import Call, Operation, here_document, inside
from .._ruleset import Table
from .._ruleset_changes import Change, difference
from .._ruleset_text import rule_text, script, shown
from .._values import IPNetwork, NamespaceRef, parse_interface, parse_namespace, parse_network, parse_rule_set_name
from .._world import TABLE_MAIN, NamespaceState, Need, NeedLinks, NeedTable, World
from . import _forwarding
from ._nat_rules import RuleSet, holders, laid, overlap, translated
from ._place import link_at, namespace_at, place

if t.TYPE_CHECKING:
    from .._kernel._kernel import Kernel

AUTO, ANY = "auto", "any"


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


@dataclasses.dataclass(frozen=True)
class Nat:
    """One rule set in one namespace; ``inside`` None is derived from ``sources``."""

    where: NamespaceRef
    name: str
    present: bool = True
    sources: tuple[IPNetwork, ...] = ()
    inside: tuple[str, ...] | None = None
    uplink: tuple[str, ...] = (AUTO,)
    masquerade: bool = True
    established_only: bool = True
    ip_forward: str = "interface"

    def needs(self, world: World) -> t.Iterable[Need]:
        return (NeedLinks(self.where), NeedTable(self.where), *_forwarding.needs(self.where))

    def plan(self, draft: Draft) -> None:
        if not self.present:
            self._plan_absent(draft)
            return
        state = namespace_at(draft, self.where)
        rule_set = self._rule_set(draft, state)
        switches = _forwarding.switching(draft.world, self.where, self.name, self.switches(state, rule_set))
        switches.write_ahead(draft)
        self._change_table(draft, laid(state.table, self.name, rule_set, switches.guarded))
        switches.turn(draft)
        switches.settle(draft)

    def _plan_absent(self, draft: Draft) -> None:
        """The switches go first: nothing is to pass without the rules."""
        if self.where.kind in ("path", "pid"):
            namespace_at(draft, self.where)
        state = draft.world.at(self.where)
        switches = _forwarding.switching(draft.world, self.where, self.name, ())
        if state is not None:
            switches.turn(draft)
            self._change_table(draft, laid(state.table, self.name, None, switches.guarded))
        switches.settle(draft)

    def _change_table(self, draft: Draft, wanted: Table | None) -> None:
        state = draft.world.state(self.where)
        if difference(state.table, wanted):
            draft.do(ChangeTable(self.where, state.table, wanted))

    def _rule_set(self, draft: Draft, state: NamespaceState) -> RuleSet:
        uplinks = self.uplinks(state)
        for name in self.uplink:
            if name not in (AUTO, ANY):
                link_at(draft, self.where, name, "uplink")
        if uplinks == ():
            draft.expect(
                f"default route {place(self.where)}, which would tell the uplink of {self.name},",
                "name the uplink: uplink: [eth0]",
            )
        inside = self.inside_of(state)
        for name in self.inside or ():
            link_at(draft, self.where, name, "inside link")
        if not inside:
            networks = ", ".join(map(str, self.sources))
            draft.expect(f"link {place(self.where)} that holds or leads to {networks}", "name it: inside: [br0]")
        for name in inside:
            if name in (uplinks or ()):
                raise Problem(f"{name} can't be both inside and uplink of {self.name}", "name two different links")
            holder = holders(state.table).get(name, self.name)
            if holder != self.name:
                raise Problem(
                    f"inside link {name} belongs to the rule set {holder} already",
                    f"add what {self.name} needs to {holder}, or remove one of the two",
                )
        for holder, network in translated(state.table):
            if holder != self.name and any(overlap(network, source) for source in self.sources):
                raise Problem(
                    f"the sources of {self.name} overlap {network} of the rule set {holder}",
                    "give each lab a network of its own",
                )
        return RuleSet(self.name, inside, uplinks, self.sources, self.masquerade, self.established_only)

    def uplinks(self, state: NamespaceState) -> tuple[str, ...] | None:
        """The names of the uplinks; None for any, empty where none could be found."""
        if ANY in self.uplink:
            return None
        found: list[str] = []
        for name in self.uplink:
            route = state.default_route(4) if name == AUTO else None
            found += [name] if name != AUTO else list(route.devs if route is not None else ())
        return tuple(dict.fromkeys(found))

    def inside_of(self, state: NamespaceState) -> tuple[str, ...]:
        """The declared links, or those that hold an address in the sources or lead to them."""
        if self.inside is not None:
            return self.inside
        found = [
            link.name
            for link in state.links.values()
            for address in link.addresses
            if any(overlap(address.ip.network, source) for source in self.sources)
        ]
        found += [
            dev
            for route in state.routes
            if route.kind == "unicast" and route.table == TABLE_MAIN and route.dst.prefixlen
            if any(overlap(route.dst, source) for source in self.sources)
            for dev in route.devs
        ]
        taken = set(self.uplinks(state) or ())
        return tuple(dict.fromkeys(name for name in found if name != "lo" and name not in taken))

    def switches(self, state: NamespaceState, rule_set: RuleSet) -> list[str]:
        """The sysctls that have to be on."""
        if self.ip_forward == "keep":
            return []
        if self.ip_forward == "global":
            return [_forwarding.IP_FORWARD]
        outward = rule_set.uplinks
        if outward is None:
            routed = {dev for route in state.routes if route.kind == "unicast" for dev in route.devs}
            outward = tuple(sorted(routed - {"lo", *rule_set.inside}))
        return [_forwarding.forwarding_path(name) for name in dict.fromkeys((*rule_set.inside, *outward))]


# from the options of the module


def declare(params: t.Mapping[str, t.Any]) -> Declaration:
    """One rule set, by name."""
    inside_names = params.get("inside")
    sources = tuple(dict.fromkeys(_source(text) for text in params.get("sources") or ()))
    if params["state"] == "present" and not sources and not inside_names:
        raise Problem(f"rule set {params['name']} has neither sources nor inside", "give one of the two")
    nat = Nat(
        where=parse_namespace(params.get("netns")),
        name=parse_rule_set_name(params["name"]),
        present=params["state"] == "present",
        sources=sources,
        inside=tuple(dict.fromkeys(map(_inside, inside_names))) if inside_names else None,
        uplink=_uplink(params.get("uplink") or [AUTO]),
        masquerade=params.get("mode") != "none",
        established_only=params.get("inbound") != "any",
        ip_forward=params.get("ip_forward") or "interface",
    )
    resources: list[Resource] = [nat]

    def report(world: World) -> dict[str, object]:
        return {"nat": _report(world, nat)}

    def governed(world: World) -> object:
        state = world.at(nat.where)
        table = None if state is None or state.table is None else shown(difference(None, state.table))
        return {**report(world), "table": table, "record": _forwarding.shown_record(world)}

    return Declaration(resources, report, f"NAT {nat.name} {place(nat.where)}", governed)


def _source(text: str) -> IPNetwork:
    network = parse_network(text, "source network")
    if network.version == 6:
        raise Problem(f"source network {network} is IPv6, which ns_nat does not translate", "name IPv4 networks")
    if network.prefixlen == 0:
        raise Problem(f"source network {network} is everything", "name the networks of the lab, or inside alone")
    return network


def _inside(text: str) -> str:
    if text == "lo":
        raise Problem("lo can't be an inside link", "name the link towards the lab")
    return parse_interface(text)


def _uplink(names: t.Sequence[str]) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(parse_interface(name) for name in names))
    if ANY in found and len(found) > 1:
        raise Problem("uplink any goes with no other name", "name the uplinks, or any alone")
    return found


def _report(world: World, nat: Nat) -> dict[str, object] | None:
    state = world.at(nat.where)
    if state is None or state.table is None or nat.name not in holders(state.table).values():
        return None
    own = [chain for chain in state.table.chains if chain.name in (f"post_{nat.name}", f"in_{nat.name}")]
    inside = tuple(name for name, holder in holders(state.table).items() if holder == nat.name)
    switches = nat.switches(state, RuleSet(nat.name, inside, nat.uplinks(state)))
    return {
        "uplink": {"ipv4": list(nat.uplinks(state) or ()), "ipv6": []},
        "rules": [rule_text(rule) for chain in own for rule in chain.rules],
        "sysctls": {path: _forwarding.value(state, path) for path in switches},
    }
