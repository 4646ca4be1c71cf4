# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one table that all rule sets share, as a value: where a rule set stands in it, and how one is laid in or taken out.

Interfaces lead by verdict maps to the chains of their rule set, so that a packet's way does not grow with the number of
rule sets. Every rule and element bears `nslab:<name>:<role>`, which is how a rule set is found again.

    prerouting    jump pub_<name>            published ranges and chosen addresses
    output        dnat @publish4, @publish6  single ports published at any address of the router
    postrouting   iifname vmap @post_iif     ->  post_<name>   what leaves the lab gets the router's address
    forward       established, related pass
                  iifname @guarded oifname != @inside drop     a router for the lab is none for the neighbours
                  oifname vmap @fwd_oif      ->  in_<name>     what wants into the lab

The first two are there while something is published. `guarded` is for IPv4, `guarded6` for IPv6.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import typing as t

from .._ruleset import (
    DROP,
    IFNAME,
    IPV4_AND_PORT,
    IPV6_AND_PORT,
    PROTOCOL_AND_PORT,
    RETURN,
    VERDICT,
    AddressIn,
    Chain,
    ConntrackState,
    DestinationIsLocal,
    DestinationNatMap,
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
    SourceNat,
    Table,
    Verdict,
    jump,
)
from .._values import IPAddress, IPNetwork
from .._world import NAT_TABLE
from ._publish import MAP, Publish

TRANSLATION_PRIORITY, POSTROUTING_PRIORITY, FORWARD_PRIORITY = -100, 100, -1
ACCEPT = Verdict("accept")
GUARDED = {4: "guarded", 6: "guarded6"}


@dataclasses.dataclass(frozen=True)
class Outward:
    """The way out for one family. ``uplinks`` None is every interface that is not inside; no ``sources`` is any.

    ``address`` is the one that packets get; None is that of the uplink.
    """

    version: int
    uplinks: tuple[str, ...] | None
    sources: tuple[IPNetwork, ...] = ()
    address: IPAddress | None = None

    def rules(self, comment: str) -> list[Rule]:
        matches: list[Expression] = [AddressIn("saddr", network) for network in self.sources]
        action = Masquerade() if self.address is None else SourceNat(self.address)
        rules = []
        for source in matches or [NetworkProtocol(self.version)]:
            for uplink in self.uplinks if self.uplinks is not None else (None,):
                out = () if uplink is None else (Interface("oifname", uplink),)
                rules.append(Rule((source, *out, action), comment))
        return rules


@dataclasses.dataclass(frozen=True)
class RuleSet:
    """What one rule set comes to; ``translated`` are the ways out on which packets get another address."""

    name: str
    inside: tuple[str, ...]
    translated: tuple[Outward, ...] = ()
    established_only: bool = True
    publish: tuple[Publish, ...] = ()

    def _comment(self, role: str) -> str:
        return f"nslab:{self.name}:{role}"

    def chains(self) -> list[Chain]:
        found = []
        if self._changes_sources:
            found.append(Chain(f"post_{self.name}", (*self._hairpin(), *self._between("oifname"), *self._outward())))
        if self.established_only:
            translated = Rule((DestinationWasTranslated(), RETURN), self._comment("published"))
            refused = Rule((Reject(),), self._comment("inbound"))
            found.append(Chain(f"in_{self.name}", (*self._between("iifname"), translated, refused)))
        published = [rule for each in self.publish for rule in each.rules(self._comment("publish"))]
        if published:
            found.append(Chain(f"pub_{self.name}", tuple(published)))
        return found

    @property
    def _changes_sources(self) -> bool:
        return bool(self.translated or self.publish)

    def _hairpin(self) -> list[Rule]:
        """A neighbour of a published service would get its answer directly, from an address that he did not ask."""
        if not self.publish:
            return []
        return [
            Rule(
                (Interface("iifname", name), Interface("oifname", name), DestinationWasTranslated(), Masquerade()),
                self._comment("hairpin"),
            )
            for name in self.inside
        ]

    def _between(self, direction: str) -> list[Rule]:
        """What stays between the inside interfaces is left alone, also where a bridge sends its frames through here."""
        return [Rule((Interface(direction, name), RETURN), self._comment("between")) for name in self.inside]

    def _outward(self) -> list[Rule]:
        return [
            rule
            for each in self.translated
            for rule in each.rules(self._comment("masquerade" if each.address is None else "snat"))
        ]

    def elements(self) -> dict[str, list[Element]]:
        """By the set or map in which they stand."""
        found = {"inside": [Element(name, None, self._comment("inside")) for name in self.inside]}
        if self._changes_sources:
            data = jump(f"post_{self.name}")
            found["post_iif"] = [Element(name, data, self._comment("post")) for name in self.inside]
        if self.established_only:
            data = jump(f"in_{self.name}")
            found["fwd_oif"] = [Element(name, data, self._comment("inbound")) for name in self.inside]
        for each in self.publish:
            found.setdefault(MAP[each.ports.version], []).extend(each.elements(self._comment("publish")))
        return found


_SETS = (*GUARDED.values(), "inside")
_MAPS = {"fwd_oif": (IFNAME, VERDICT), "post_iif": (IFNAME, VERDICT)}
_PUBLISH_MAPS = {MAP[4]: (PROTOCOL_AND_PORT, IPV4_AND_PORT), MAP[6]: (PROTOCOL_AND_PORT, IPV6_AND_PORT)}
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
            *(
                Rule(
                    (
                        NetworkProtocol(version),
                        InterfaceIn("iifname", guarded),
                        InterfaceIn("oifname", "inside", False),
                        DROP,
                    )
                )
                for version, guarded in GUARDED.items()
            ),
            Rule((InterfaceVerdict("oifname", "fwd_oif"),)),
        ),
        Hook("filter", "forward", FORWARD_PRIORITY),
    ),
)
# The kernel forwards nothing that comes from a loopback address.
_NOT_TO_LOOPBACK = tuple(
    Rule((AddressIn("daddr", ipaddress.ip_network(loopback)), RETURN)) for loopback in ("127.0.0.0/8", "::1/128")
)


def _publishing(chains: t.Sequence[Chain]) -> tuple[Chain, ...]:
    """The base chains that lead to what is published: for packets that come, and for those that the router sends."""
    jumps = [
        Rule((jump(chain.name),), f"nslab:{chain.name[len('pub_') :]}:publish")
        for chain in sorted(chains, key=lambda chain: chain.name)
        if chain.name.startswith("pub_")
    ]
    maps = [
        Rule((NetworkProtocol(version), DestinationIsLocal(), DestinationNatMap(version, name)))
        for version, name in MAP.items()
    ]
    return (
        Chain("prerouting", (*jumps, *maps), Hook("nat", "prerouting", TRANSLATION_PRIORITY)),
        Chain("output", (*_NOT_TO_LOOPBACK, *jumps, *maps), Hook("nat", "output", TRANSLATION_PRIORITY)),
    )


def owner(comment: str) -> str | None:
    """The rule set that a comment names."""
    parts = comment.split(":")
    return parts[1] if len(parts) == 3 and parts[0] == "nslab" else None


def holders(table: Table | None) -> dict[str, str]:
    """Which rule set has which inside interface."""
    found = {} if table is None else {each.name: each for each in table.sets}
    elements = found["inside"].elements if "inside" in found else ()
    owned = ((str(element.key), owner(element.comment)) for element in elements)
    return {link: name for link, name in owned if name is not None}


def translated(table: Table | None) -> list[tuple[str, IPNetwork]]:
    """Which rule set translates which networks."""
    owned = [
        (owner(rule.comment), expression.network)
        for chain in (() if table is None else table.chains)
        if chain.name.startswith("post_")
        for rule in chain.rules
        for expression in rule.expressions
        if isinstance(expression, AddressIn) and expression.side == "saddr"
    ]
    return [(name, network) for name, network in owned if name is not None]


def laid(
    table: Table | None, name: str, rule_set: RuleSet | None, guarded: t.Mapping[int, t.Iterable[str]]
) -> Table | None:
    """The table with the rule set ``name`` being ``rule_set``, or, None, not there; None once nobody uses the table.

    ``guarded`` are, by family, the links that forward because of us; of these, what is not inside of any rule set leads out.
    """
    own_chains = {f"post_{name}", f"in_{name}", f"pub_{name}"}
    base_names = {"prerouting", "output", *(chain.name for chain in _BASE)}
    observed = table or Table(*NAT_TABLE)
    others = [chain for chain in observed.chains if chain.name not in own_chains | base_names]
    own_sets = {*_SETS, *_MAPS, *_PUBLISH_MAPS}
    # In these an element of nobody is drift, as a rule is in our chains.
    elements = {
        each.name: [e for e in each.elements if owner(e.comment) not in (None, name) or each.name not in own_sets]
        for each in observed.named
    }
    if rule_set is not None:
        others += rule_set.chains()
        for where, added in rule_set.elements().items():
            elements[where] = elements.get(where, []) + added
    inside = {str(element.key) for element in elements.get("inside", ())}
    for version, where in GUARDED.items():
        outward = sorted(set(guarded.get(version, ())) - inside)
        elements[where] = [Element(interface, None, "nslab:guard") for interface in outward]
    if not others and not inside:
        return None
    publishes = any(elements.get(each) for each in MAP.values()) or any(c.name.startswith("pub_") for c in others)
    maps = {**_MAPS, **_PUBLISH_MAPS} if publishes else _MAPS
    return dataclasses.replace(
        observed,
        chains=(*_BASE, *(_publishing(others) if publishes else ()), *others),
        sets=(
            *(each for each in observed.sets if each.name not in _SETS),
            *(Set(each, IFNAME, tuple(elements.get(each, ()))) for each in _SETS),
        ),
        maps=(
            *(each for each in observed.maps if each.name not in {**_MAPS, **_PUBLISH_MAPS}),
            *(Map(each, key, data, tuple(elements.get(each, ()))) for each, (key, data) in maps.items()),
        ),
        comment="network namespaces, see nslab.linux.ns_nat",
        dormant=False,
    )


def overlap(first: IPNetwork, second: IPNetwork) -> bool:
    return first.version == second.version and ipaddress.ip_network(first).overlaps(t.cast(t.Any, second))
