# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A route as declared: which observed route is meant, what of it is managed, and what it shall be."""

from __future__ import annotations

import dataclasses
import typing as t

from .._values import IPAddress, IPNetwork, NamespaceRef
from .._world import PROTO_BOOT, PROTO_KERNEL, NamespaceState, Nexthop, Route
from ._place import place
from ._routing import usual_scope


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
        return dataclasses.replace(route, scope=base.scope if chosen else usual_scope(route))


def _same_hops(wanted: t.Sequence[Nexthop], observed: t.Sequence[Nexthop]) -> bool:
    """Whether each wanted hop is one of those observed, and there are no others; a link that is left out may be any."""
    left = list(observed)
    for hop in sorted(wanted, key=lambda hop: hop.dev is None):
        match = [o for o in left if (o.via, o.weight) == (hop.via, hop.weight) and hop.dev in (None, o.dev)]
        if not match:
            return False
        left.remove(match[0])
    return not left
