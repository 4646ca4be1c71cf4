# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""NAT rule sets: the options of ns_nat, and what is returned of a rule set. How one is planned stands in _nat_plan.py."""

from __future__ import annotations

import typing as t

from .._engine import Declaration, Resource
from .._errors import Problem
from .._ruleset import Table
from .._ruleset_changes import difference
from .._ruleset_text import element_text, rule_text, shown
from .._values import (
    IPAddress,
    IPNetwork,
    parse_interface,
    parse_ip,
    parse_namespace,
    parse_network,
    parse_rule_set_name,
)
from .._world import World
from . import _forwarding, _nat_blockers
from ._nat_plan import ANY, AUTO, VERSIONS, Nat
from ._nat_rules import RuleSet, holders, owner
from ._place import place
from ._publish import MAP, may_be_held, parse_publishes


def parse_nat(params: t.Mapping[str, t.Any]) -> Nat:
    """:raises Problem: an option is out of its range, or the options do not fit together."""
    name, inside_names = parse_rule_set_name(params["name"]), params.get("inside")
    sources = tuple(dict.fromkeys(_source(text) for text in params.get("sources") or ()))
    present = params["state"] == "present"
    if present and not sources and not inside_names:
        raise Problem(f"rule set {name} has neither sources nor inside", "give one of the two")
    mode = params.get("mode") or "masquerade"
    return Nat(
        where=parse_namespace(params.get("netns")),
        name=name,
        present=present,
        sources=sources,
        inside=tuple(dict.fromkeys(map(_inside, inside_names))) if inside_names else None,
        uplink=_uplink(params.get("uplink") or [AUTO]),
        mode=mode,
        to_source=_to_source(params.get("to_source") or (), mode, sources) if present else (),
        established_only=params.get("inbound") != "any",
        publish=None if params.get("publish") is None else parse_publishes(params["publish"]),
        ip_forward=params.get("ip_forward") or "interface",
        firewall=params.get("firewall") or AUTO,
    )


def declare(params: t.Mapping[str, t.Any]) -> Declaration:
    """One rule set, by name."""
    nat = parse_nat(params)
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
    if network.prefixlen == 0:
        raise Problem(f"source network {network} is everything", "name the networks of the lab, or inside alone")
    if network.is_link_local or network.is_multicast or network.is_loopback:
        raise Problem(f"source network {network} is never forwarded", "name the networks of the lab")
    return network


def _inside(text: str) -> str:
    if text == "lo":
        raise Problem("lo can't be an inside link", "name the link towards the lab")
    return parse_interface(text)


def _uplink(names: t.Sequence[str]) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(parse_interface(name) for name in names))
    if "lo" in found:
        raise Problem("lo can't be an uplink", "name the link towards the outside")
    if ANY in found and len(found) > 1:
        raise Problem("uplink any goes with no other name", "name the uplinks, or any alone")
    return found


def _to_source(texts: t.Iterable[str], mode: str, sources: t.Sequence[IPNetwork]) -> tuple[IPAddress, ...]:
    found = tuple(dict.fromkeys(parse_ip(text, "to_source") for text in texts))
    if mode != "snat":
        if found:
            raise Problem(f"to_source {found[0]} is of no use with mode {mode}", "use mode snat, or leave it out")
        return ()
    if not found:
        raise Problem("mode snat has no to_source", "give the address that packets get, or use mode masquerade")
    for version in VERSIONS:
        own = [address for address in found if address.version == version]
        if len(own) > 1:
            raise Problem(f"to_source has {len(own)} IPv{version} addresses", "give at most one of a family")
        without = [network for network in sources if network.version == version and not own]
        if without:
            raise Problem(
                f"to_source has no IPv{version} address for {without[0]}", "give one of each family in sources"
            )
    for address in found:
        if not may_be_held(address) or address.is_loopback or address.is_link_local:
            raise Problem(f"to_source {address} can't stand outside", "give an address that is routed to the router")
    return found


def _report(world: World, nat: Nat) -> dict[str, object] | None:
    state = world.at(nat.where)
    if state is None or state.table is None:
        return None
    rules = rules_of(state.table, nat.name)
    # In check mode it may have rules, and its inside links be yet to come.
    if not rules and nat.name not in holders(state.table).values():
        return None
    spoken = nat.versions(state)
    rule_set = RuleSet(nat.name, nat.inside_of(state), (), nat.established_only, nat.published(state))
    wanted = nat.switches(world, state)
    return {
        "uplink": {
            f"ipv{version}": list(nat.uplinks(state, version) or ()) if version in spoken else []
            for version in VERSIONS
        },
        "rules": rules,
        "sysctls": {path: _forwarding.value(state, path) for path in wanted.values},
        "blockers": _nat_blockers.shown(_nat_blockers.find(state, nat.flows(state, rule_set))),
    }


def rules_of(table: Table, name: str) -> list[str]:
    """The rule set's own, and the elements of the maps of published ports, as nft writes them."""
    own = [chain for chain in table.chains if chain.name in (f"post_{name}", f"in_{name}", f"pub_{name}")]
    elements = [each for named in table.maps if named.name in MAP.values() for each in named.elements]
    return [
        *(rule_text(rule) for chain in own for rule in chain.rules),
        *(element_text(element) for element in elements if owner(element.comment) == name),
    ]
