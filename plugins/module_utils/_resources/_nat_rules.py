# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one table that all rule sets share, as a value: where a rule set stands in it, and how one is laid in or taken out.

Interfaces lead by verdict maps to the chains of their rule set, so that a packet's way does not grow with the number of
rule sets. Every rule and element bears `nslab:<name>:<role>`, which is how a rule set is found again.

    postrouting   iifname vmap @post_iif     ->  post_<name>   what leaves the lab gets the router's address
    forward       established, related pass
                  iifname @guarded oifname != @inside drop     a router for the lab is none for the neighbours
                  oifname vmap @fwd_oif      ->  in_<name>     what wants into the lab
"""

from __future__ import annotations

import dataclasses
import ipaddress
import typing as t

from .._ruleset import (
    DROP,
    IFNAME,
    RETURN,
    VERDICT,
    AddressIn,
    Chain,
    ConntrackState,
    DestinationWasTranslated,
    Element,
    Expression,
    Hook,
    Interface,
    InterfaceIn,
    InterfaceVerdict,
    Map,
    Masquerade,
    NetworkProtocol,
    Reject,
    Rule,
    Set,
    Table,
    Verdict,
    jump,
)
from .._values import IPNetwork
from .._world import NAT_TABLE

POSTROUTING_PRIORITY, FORWARD_PRIORITY = 100, -1
ACCEPT = Verdict("accept")


@dataclasses.dataclass(frozen=True)
class RuleSet:
    """What one rule set comes to. ``uplinks`` None is every interface that is not inside; no ``sources`` is any."""

    name: str
    inside: tuple[str, ...]
    uplinks: tuple[str, ...] | None
    sources: tuple[IPNetwork, ...] = ()
    masquerade: bool = True
    established_only: bool = True

    def _comment(self, role: str) -> str:
        return f"nslab:{self.name}:{role}"

    def chains(self) -> list[Chain]:
        found = []
        if self.masquerade:
            found.append(Chain(f"post_{self.name}", (*self._between("oifname"), *self._masquerading())))
        if self.established_only:
            translated = Rule((DestinationWasTranslated(), RETURN), self._comment("published"))
            refused = Rule((Reject(),), self._comment("inbound"))
            found.append(Chain(f"in_{self.name}", (*self._between("iifname"), translated, refused)))
        return found

    def _between(self, direction: str) -> list[Rule]:
        """What stays between the inside interfaces is left alone, also where a bridge sends its frames through here."""
        return [Rule((Interface(direction, name), RETURN), self._comment("between")) for name in self.inside]

    def _masquerading(self) -> list[Rule]:
        matches: list[Expression] = [AddressIn("saddr", network) for network in self.sources]
        rules = []
        for source in matches or [NetworkProtocol(4)]:
            for uplink in self.uplinks if self.uplinks is not None else (None,):
                out = () if uplink is None else (Interface("oifname", uplink),)
                rules.append(Rule((source, *out, Masquerade()), self._comment("masquerade")))
        return rules

    def elements(self) -> dict[str, list[Element]]:
        """By the set or map in which they stand."""
        found = {"inside": [Element(name, None, self._comment("inside")) for name in self.inside]}
        if self.masquerade:
            data = jump(f"post_{self.name}")
            found["post_iif"] = [Element(name, data, self._comment("post")) for name in self.inside]
        if self.established_only:
            data = jump(f"in_{self.name}")
            found["fwd_oif"] = [Element(name, data, self._comment("inbound")) for name in self.inside]
        return found


_SETS = ("guarded", "inside")
_MAPS = ("fwd_oif", "post_iif")
_BASE = (
    Chain(
        "postrouting",
        (Rule((InterfaceVerdict("iifname", "post_iif"),)),),
        Hook("nat", "postrouting", POSTROUTING_PRIORITY),
    ),
    Chain(
        "forward",
        (
            Rule((ConntrackState(frozenset({"established", "related"})), ACCEPT)),
            Rule(
                (NetworkProtocol(4), InterfaceIn("iifname", "guarded"), InterfaceIn("oifname", "inside", False), DROP)
            ),
            Rule((InterfaceVerdict("oifname", "fwd_oif"),)),
        ),
        Hook("filter", "forward", FORWARD_PRIORITY),
    ),
)


def owner(comment: str) -> str | None:
    """The rule set that a comment names."""
    parts = comment.split(":")
    return parts[1] if len(parts) == 3 and parts[0] == "nslab" else None


def holders(table: Table | None) -> dict[str, str]:
    """Which rule set has which inside interface."""
    found = {} if table is None else {each.name: each for each in table.sets}
    elements = found["inside"].elements if "inside" in found else ()
    return {str(element.key): owner(element.comment) or "?" for element in elements}


def translated(table: Table | None) -> list[tuple[str, IPNetwork]]:
    """Which rule set translates which networks."""
    return [
        (owner(rule.comment) or "?", expression.network)
        for chain in (() if table is None else table.chains)
        if chain.name.startswith("post_")
        for rule in chain.rules
        for expression in rule.expressions
        if isinstance(expression, AddressIn) and expression.side == "saddr"
    ]


def laid(table: Table | None, name: str, rule_set: RuleSet | None, guarded: t.Iterable[str]) -> Table | None:
    """The table with the rule set ``name`` being ``rule_set``, or, None, not there; None once nobody uses the table.

    ``guarded`` are the links that forward because of us; of these, what is not inside of any rule set leads out.
    """
    own_chains = {f"post_{name}", f"in_{name}"}
    base_names = {chain.name for chain in _BASE}
    observed = table or Table(*NAT_TABLE)
    others = [chain for chain in observed.chains if chain.name not in own_chains | base_names]
    elements = {each.name: [e for e in each.elements if owner(e.comment) != name] for each in observed.named}
    if rule_set is not None:
        others += rule_set.chains()
        for where, added in rule_set.elements().items():
            elements[where] = elements.get(where, []) + added
    outward = set(guarded) - {str(element.key) for element in elements.get("inside", ())}
    elements["guarded"] = [Element(interface, None, "nslab:guard") for interface in sorted(outward)]
    if not others and not elements.get("inside"):
        return None
    return dataclasses.replace(
        observed,
        chains=(*_BASE, *others),
        sets=(
            *(each for each in observed.sets if each.name not in _SETS),
            *(Set(each, IFNAME, tuple(elements.get(each, ()))) for each in _SETS),
        ),
        maps=(
            *(each for each in observed.maps if each.name not in _MAPS),
            *(Map(each, IFNAME, VERDICT, tuple(elements.get(each, ()))) for each in _MAPS),
        ),
        comment="network namespaces, see nslab.linux.ns_nat",
        dormant=False,
    )


def overlap(first: IPNetwork, second: IPNetwork) -> bool:
    return first.version == second.version and ipaddress.ip_network(first).overlaps(t.cast(t.Any, second))
