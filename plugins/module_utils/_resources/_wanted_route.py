# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A route as declared: read from the options, which observed route is meant, what of it is managed, what it shall be."""

from __future__ import annotations

import dataclasses
import typing as t

from .._errors import Problem
from .._values import IPAddress, IPNetwork, NamespaceRef, parse_interface, parse_ip, parse_namespace, parse_network
from .._world import (
    IPV6_DEFAULT_METRIC,
    PROTO_BOOT,
    PROTO_KERNEL,
    SCOPE_GLOBAL,
    SCOPE_HOST,
    SCOPE_LINK,
    SCOPE_NOWHERE,
    NamespaceState,
    Nexthop,
    Route,
    any_network,
)
from ._place import place
from ._routing import SCOPE_NAMES, TABLE_NAMES, usual_scope

_TABLES = {name: number for number, name in TABLE_NAMES.items()}
_SCOPES = {name: number for number, name in SCOPE_NAMES.items()}
MAX_MTU = 65520  # the kernel makes this of more, ip_metrics_convert in net/ipv4/metrics.c
TOO_NARROW = (SCOPE_LINK, SCOPE_HOST, SCOPE_NOWHERE)  # scopes in which the kernel takes no gateway


@dataclasses.dataclass(frozen=True)
class WantedRoute:
    """A route as declared; None is not managed. ``kind``, ``via``, ``dev`` and ``nexthops`` are managed as one."""

    where: NamespaceRef
    dst: IPNetwork
    table: int
    metric: int
    kind: str | None = None
    via: IPAddress | None = None
    dev: str | None = None
    nexthops: tuple[Nexthop, ...] = ()
    src: IPAddress | None = None
    scope: int | None = None
    onlink: bool | None = None
    mtu: int | None = None

    def __str__(self) -> str:
        dst = ("default" if self.dst.version == 4 else "::/0") if self.dst.prefixlen == 0 else str(self.dst)
        return f"route {dst} {place(self.where)}"

    @property
    def gateways(self) -> tuple[Nexthop, ...]:
        return self.nexthops or (Nexthop(self.via, self.dev, 1, bool(self.onlink)),)

    def find(self, state: NamespaceState) -> Route | None:
        """The observed route of this identity; of several (IPv6 takes one for each link) the one that fits best."""
        found = [route for route in state.routes if route.identity == (self.dst, self.table, self.metric, 0)]
        found.sort(key=lambda route: (not self.leads_as(route), route.protocol == PROTO_KERNEL))
        return found[0] if found else None

    def leads_as(self, route: Route) -> bool:
        """Whether the managed unit is so."""
        if route.kind != (self.kind or "unicast"):
            return False
        if route.kind != "unicast":
            return True
        if self.nexthops or route.nexthops:
            return _same_hops(self.nexthops, route.nexthops)
        return route.via == self.via and self.dev in (None, route.dev)

    def says_as(self, route: Route) -> bool:
        """Whether the other fields that are declared are so."""
        return (
            self.src in (None, route.src)
            and self.scope in (None, route.scope)
            and self.onlink in (None, route.onlink)
            and self.mtu in (None, dict(route.metrics).get("mtu"))
        )

    def matches(self, route: Route) -> bool:
        """For removal: the identity, and each field given."""
        return (
            route.identity == (self.dst, self.table, self.metric, 0)
            and self.kind in (None, route.kind)
            and self.via in (None, route.via)
            and self.dev in (None, route.dev)
            and (not self.nexthops or _same_hops(self.nexthops, route.nexthops))
            and self.says_as(route)
        )

    def made(self, former: Route | None, dev: str | None) -> Route:
        """The route to be set: what is declared, over what was observed, over what ip-route(8) would choose."""
        base = former or Route(self.dst)
        metrics = dict(base.metrics)
        if self.mtu is not None:
            metrics["mtu"] = self.mtu
        unicast = (self.kind or "unicast") == "unicast"
        route = Route(
            dst=self.dst,
            table=self.table,
            metric=self.metric,
            kind=self.kind or "unicast",
            protocol=PROTO_BOOT if base.protocol == PROTO_KERNEL else base.protocol,
            via=self.via,
            dev=None if self.nexthops else dev,
            src=self.src or (base.src if unicast else None),
            onlink=bool(self.onlink if self.onlink is not None else base.onlink) and unicast,
            nexthops=self.nexthops,
            metrics=tuple(sorted(metrics.items())) if unicast else (),
        )
        if self.scope is not None:
            return dataclasses.replace(route, scope=self.scope)
        chosen = former is not None and former.scope != usual_scope(former) and self.dst.version == 4
        fits = base.scope not in TOO_NARROW or not any(hop.via for hop in self.gateways)
        return dataclasses.replace(route, scope=base.scope if chosen and fits else usual_scope(route))


def _same_hops(wanted: t.Sequence[Nexthop], observed: t.Sequence[Nexthop]) -> bool:
    """Whether each wanted hop is one of those observed, and there are no others; a link that is left out may be any."""
    left = list(observed)
    for hop in sorted(wanted, key=lambda hop: hop.dev is None):
        match = [o for o in left if (o.via, o.weight) == (hop.via, hop.weight) and hop.dev in (None, o.dev)]
        if not match:
            return False
        left.remove(match[0])
    return not left


# from the options of the module


def _number(text: str, known: t.Mapping[str, int], what: str, least: int, most: int) -> int:
    if text in known:
        return known[text]
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        raise Problem(
            f"{what} {text!r} is not known", f"use a number, {least} to {most}, or {', '.join(sorted(known))}"
        )
    return int(text)


def _destination(options: t.Mapping[str, t.Any], gateways: t.Sequence[IPAddress]) -> IPNetwork:
    text = options["dst"]
    if text == "default":
        return any_network(gateways[0].version if gateways else 4)
    return parse_network(text, "destination")


def parse_route(options: t.Mapping[str, t.Any], default_netns: str | None, present: bool) -> WantedRoute:
    """:raises Problem: the fields do not fit together."""
    via = None if options.get("via") is None else parse_ip(options["via"], "gateway")
    src = None if options.get("src") is None else parse_ip(options["src"], "source address")
    dev = None if options.get("dev") is None else parse_interface(options["dev"])
    hops = tuple(_nexthop(hop) for hop in options.get("nexthops") or ())
    if len(hops) == 1:  # to the kernel that is a route like any other
        via, dev, hops = hops[0].via, hops[0].dev, ()
    gateways = [address for address in (via, *(hop.via for hop in hops), src) if address is not None]
    dst = _destination(options, gateways)
    where = parse_namespace(options.get("netns") or default_netns)
    metric = options.get("metric")
    if metric is not None and not 0 <= metric < 2**32:
        raise Problem(f"metric {metric} of the route to {dst} is out of range", "use 0 to 4294967295")
    wanted = WantedRoute(
        where=where,
        dst=dst,
        table=_number(options.get("table") or "main", _TABLES, "routing table", 1, 2**32 - 1),
        metric=(metric or IPV6_DEFAULT_METRIC) if dst.version == 6 else metric or 0,
        kind=options.get("type"),
        via=via,
        dev=dev,
        nexthops=hops,
        src=src,
        scope=None if options.get("scope") is None else _number(options["scope"], _SCOPES, "scope", 0, 255),
        onlink=options.get("onlink"),
        mtu=options.get("mtu"),
    )
    for address in gateways:
        if address.version != dst.version:
            raise Problem(f"{wanted} mixes families: {address} is IPv{address.version}", "use addresses of one family")
    if present:
        _check_fields(wanted)
    return wanted


def _check_fields(wanted: WantedRoute) -> None:
    leads = wanted.via is not None or wanted.dev is not None or bool(wanted.nexthops)
    unicast = (wanted.kind or "unicast") == "unicast"
    if unicast and not leads:
        raise Problem(f"{wanted} leads nowhere", "give via, dev or nexthops")
    if not unicast and (leads or wanted.onlink or wanted.mtu is not None):
        raise Problem(f"{wanted} of type {wanted.kind} can't have via, dev, nexthops, onlink or mtu", "leave them out")
    if wanted.onlink and wanted.dev is None:
        raise Problem(f"{wanted} has onlink without dev", "name the link behind which the gateway is")
    if wanted.mtu is not None and not 68 <= wanted.mtu <= MAX_MTU:
        raise Problem(f"{wanted} has MTU {wanted.mtu}, which is out of range", f"use 68 to {MAX_MTU} bytes")
    _check_scope(wanted, unicast)
    for hop in wanted.gateways if unicast else ():
        _check_hop(wanted, hop)


def _check_scope(wanted: WantedRoute, unicast: bool) -> None:
    if wanted.scope is None:
        return
    if wanted.dst.version == 6 and wanted.scope != SCOPE_GLOBAL:
        raise Problem(f"{wanted} has a scope, which IPv6 routes have not", "leave scope out")
    if unicast and wanted.scope == SCOPE_NOWHERE:
        raise Problem(f"{wanted} leads somewhere, and can't have scope nowhere", "use link, host or global")
    if wanted.scope in TOO_NARROW and any(hop.via for hop in wanted.gateways):
        name = SCOPE_NAMES[wanted.scope]
        raise Problem(f"{wanted} has a gateway, and can't have scope {name}", "use global, or leave scope out")


def _check_hop(wanted: WantedRoute, hop: Nexthop) -> None:
    if hop.via is None:
        if wanted.nexthops and wanted.dst.version == 6:
            raise Problem(f"{wanted} has a next hop without a gateway", "give each next hop of an IPv6 route its via")
        return
    if hop.via.is_multicast or hop.via.is_unspecified:
        raise Problem(f"{hop.via} can't be the gateway of {wanted}", "give the address of one neighbour")
    if hop.via.version == 6 and hop.via.is_link_local and hop.dev is None:
        raise Problem(f"{wanted} has a link-local gateway without dev", "name the link behind which the gateway is")


def _nexthop(options: t.Mapping[str, t.Any]) -> Nexthop:
    weight = 1 if options.get("weight") is None else options["weight"]
    if not 1 <= weight <= 256:
        raise Problem(f"weight {weight} of a nexthop is out of range", "use 1 to 256")
    return Nexthop(
        via=None if options.get("via") is None else parse_ip(options["via"], "gateway"),
        dev=None if options.get("dev") is None else parse_interface(options["dev"]),
        weight=weight,
    )
