# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The routes of a task: that they are there, that they are not, and that there are no others."""

from __future__ import annotations

import dataclasses
import typing as t

from .._engine import Declaration, Draft, Resource
from .._errors import Problem
from .._values import IPAddress, NamespaceRef, parse_namespace
from .._world import (
    PROTO_BOOT,
    PROTO_STATIC,
    TABLE_MAIN,
    NamespaceState,
    Need,
    NeedLinks,
    Nexthop,
    Route,
    World,
)
from ._place import link_at, namespace_at, place
from ._routing import SCOPE_NAMES, TABLE_NAMES, DropRoute, PutRoute, reaches, route_words
from ._wanted_route import WantedRoute, parse_route


@dataclasses.dataclass(frozen=True)
class RouteSet:
    """That a route is there, or, ``present`` false, is not."""

    wanted: WantedRoute
    present: bool = True

    def needs(self, world: World) -> t.Iterable[Need]:
        return (NeedLinks(self.wanted.where),)

    def plan(self, draft: Draft) -> None:
        wanted = self.wanted
        if not self.present:
            self._plan_absent(draft)
            return
        state = namespace_at(draft, wanted.where)
        if (wanted.kind or "unicast") == "unicast":
            wanted = self._with_devs(draft, state)
        former = wanted.find(state)
        if former is None or not (wanted.leads_as(former) and wanted.says_as(former)):
            draft.do(PutRoute(wanted.where, wanted.made(former, wanted.dev), former))

    def _plan_absent(self, draft: Draft) -> None:
        where = self.wanted.where
        if where.kind in ("path", "pid"):
            namespace_at(draft, where)
        state = draft.world.at(where)
        for route in [] if state is None else list(state.routes):
            if self.wanted.matches(route):
                draft.do(DropRoute(where, route))

    def _with_devs(self, draft: Draft, state: NamespaceState) -> WantedRoute:
        """The route with the link that each gateway is behind, after making sure that the kernel can take it."""
        wanted = self.wanted
        for hop in wanted.gateways:
            self._check(draft, state, hop)
        if wanted.src is not None and not _has_address(state, wanted.src):
            draft.expect(
                f"address {wanted.src}, which {wanted} prefers as source,", "give it to a link of the namespace first"
            )
        hops = tuple(dataclasses.replace(hop, dev=hop.dev or _dev_towards(state, hop.via)) for hop in wanted.gateways)
        if wanted.nexthops:
            return dataclasses.replace(wanted, nexthops=hops)
        former = wanted.find(state)
        keeps = wanted.dev is None and former is not None and wanted.leads_as(former)
        return dataclasses.replace(wanted, dev=former.dev if keeps and former is not None else hops[0].dev)

    def _check(self, draft: Draft, state: NamespaceState, hop: Nexthop) -> None:
        wanted = self.wanted
        if hop.dev is not None:
            link = link_at(draft, wanted.where, hop.dev, "dev")
            if not link.up:
                draft.expect(
                    f"link {hop.dev} {place(wanted.where)}, by which {wanted} leaves,", "set it up first", "is not up"
                )
        if hop.via is None:
            return
        if any(address.ip.ip == hop.via for link in state.links.values() for address in link.addresses):
            raise Problem(
                f"gateway {hop.via} of {wanted} is an address of the namespace itself",
                "name the address of the neighbour that forwards",
            )
        if not (wanted.onlink or reaches(state, hop.via, hop.dev)):
            behind = "" if hop.dev is None else f" behind {hop.dev}"
            draft.expect(
                f"gateway {hop.via} of {wanted}",
                "give a link an address of the gateway's subnet first"
                + ("" if wanted.nexthops else ", or set onlink: true with a dev"),
                f"can't be reached{behind}: no address or direct route of the namespace covers it",
            )


def _has_address(state: NamespaceState, ip: IPAddress) -> bool:
    return any(address.ip.ip == ip for link in state.links.values() for address in link.addresses)


def _dev_towards(state: NamespaceState, via: IPAddress | None) -> str | None:
    """The link whose subnet holds the gateway, the narrowest one; None where the kernel has to find it."""
    if via is None:
        return None
    found = [
        (address.ip.network.prefixlen, link.name)
        for link in state.links.values()
        for address in link.addresses
        if address.ip.version == via.version and (via in address.ip.network or address.peer == via)
    ]
    found += [
        (route.dst.prefixlen, route.dev)
        for route in state.routes
        if route.via is None and route.dev and route.kind == "unicast" and route.dst.prefixlen and via in route.dst
    ]
    return max(found, default=(0, None))[1]


@dataclasses.dataclass(frozen=True)
class NoOtherRoutes:
    """That the tables hold no routes of protocols boot and static other than the wanted ones."""

    where: NamespaceRef
    tables: tuple[int, ...]
    wanted: tuple[WantedRoute, ...]

    def needs(self, world: World) -> t.Iterable[Need]:
        return (NeedLinks(self.where),)

    def plan(self, draft: Draft) -> None:
        for route in self._surplus(namespace_at(draft, self.where)):
            draft.do(DropRoute(self.where, route))

    def _surplus(self, state: NamespaceState) -> list[Route]:
        kept = {wanted.find(state) for wanted in self.wanted}
        return [
            route
            for route in state.routes
            if route.protocol in (PROTO_BOOT, PROTO_STATIC) and route.table in self.tables and route not in kept
        ]

    def surplus(self, world: World) -> list[str]:
        """The routes that are to go, as ip-route(8) writes them."""
        state = world.at(self.where)
        return [] if state is None else [" ".join(map(str, route_words(route))) for route in self._surplus(state)]


# from the options of the module


def declare(params: t.Mapping[str, t.Any]) -> Declaration:
    """Routes of one or several namespaces; direct ones first, since the others may lead through them."""
    present = params["state"] == "present"
    wanted = [parse_route(options, params.get("netns"), present) for options in params["routes"]]
    _refuse_doubles(wanted)
    order = sorted(wanted, key=lambda route: any(hop.via is not None for hop in route.gateways))
    resources: list[Resource] = [RouteSet(route, present) for route in order]
    if present and params.get("purge_routes"):
        places = dict.fromkeys([route.where for route in wanted] or [parse_namespace(params.get("netns"))])
        for where in places:
            here = tuple(route for route in wanted if route.where == where)
            tables = tuple(sorted({route.table for route in here})) or (TABLE_MAIN,)
            resources.append(NoOtherRoutes(where, tables, here))

    def report(world: World) -> dict[str, object]:
        found = [_report(world, route) for route in wanted]
        return {"routes": [shown for shown in found if shown is not None]}

    def governed(world: World) -> object:
        others = [resource for resource in resources if isinstance(resource, NoOtherRoutes)]
        purged = {str(each.where): each.surplus(world) for each in others}
        return {**report(world), **({"others": purged} if others else {})}

    shown = ", ".join(dict.fromkeys(place(route.where) for route in wanted)) or place(
        parse_namespace(params.get("netns"))
    )
    return Declaration(resources, report, f"routes {shown}", governed)


def _refuse_doubles(wanted: t.Iterable[WantedRoute]) -> None:
    seen: set[tuple[object, ...]] = set()
    for route in wanted:
        identity = (route.where, route.dst, route.table, route.metric)
        if identity in seen:
            raise Problem(f"{route} is declared twice", "give the two different metrics or tables, or use nexthops")
        seen.add(identity)


def _report(world: World, wanted: WantedRoute) -> dict[str, object] | None:
    state = world.at(wanted.where)
    route = None if state is None else wanted.find(state)
    return None if route is None else report_route(wanted.where, route)


def report_route(where: NamespaceRef, route: Route) -> dict[str, object]:
    """The shape in which routes are returned."""
    return {
        "netns": str(where),
        "dst": "default" if route.dst.prefixlen == 0 else str(route.dst),
        "via": _text(route.via),
        "dev": route.dev,
        "src": _text(route.src),
        "metric": route.metric,
        "table": TABLE_NAMES.get(route.table, str(route.table)),
        "scope": SCOPE_NAMES.get(route.scope, str(route.scope)),
        "type": route.kind,
        "onlink": route.onlink,
        "mtu": dict(route.metrics).get("mtu"),
        "nexthops": [{"via": _text(hop.via), "dev": hop.dev, "weight": hop.weight} for hop in route.nexthops],
    }


def _text(address: IPAddress | None) -> str | None:
    return None if address is None else str(address)
