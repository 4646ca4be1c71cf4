# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes: the operations that set and remove one, and which ones the kernel drops along with other things.

Source: ip-route(8), rtnetlink(7), net/ipv4/fib_semantics.c, net/ipv6/route.c.
"""

from __future__ import annotations

import dataclasses
import errno

from .._message import Index, Message
from .._operation import Operation, Request, ip
from .._values import IPAddress, NamespaceRef
from .._world import (
    IPV6_DEFAULT_METRIC,
    PROTO_BOOT,
    PROTO_KERNEL,
    PROTO_RA,
    ROUTE_METRICS,
    SCOPE_GLOBAL,
    SCOPE_HOST,
    SCOPE_LINK,
    SCOPE_NOWHERE,
    TABLE_DEFAULT,
    TABLE_LOCAL,
    TABLE_MAIN,
    NamespaceState,
    Nexthop,
    Route,
    World,
)
from ._place import place

TABLE_NAMES = {TABLE_DEFAULT: "default", TABLE_MAIN: "main", TABLE_LOCAL: "local"}
SCOPE_NAMES = {SCOPE_GLOBAL: "global", SCOPE_LINK: "link", SCOPE_HOST: "host", SCOPE_NOWHERE: "nowhere"}
TYPE_NUMBERS = {"unicast": 1, "local": 2, "broadcast": 3, "anycast": 4, "multicast": 5, "blackhole": 6}
TYPE_NUMBERS.update({"unreachable": 7, "prohibit": 8, "throw": 9, "nat": 10})
RTNH_F_ONLINK = 4


def usual_scope(route: Route) -> int:
    """The scope that ip-route(8) gives when none is named; IPv6 knows none."""
    if route.dst.version == 6:
        return SCOPE_GLOBAL
    if route.kind in ("local", "nat"):
        return SCOPE_HOST
    direct = route.via is None and not route.nexthops
    return SCOPE_LINK if route.kind in ("broadcast", "multicast", "anycast", "unicast") and direct else SCOPE_GLOBAL


def route_words(route: Route) -> list[object]:
    """The route as the arguments of ``ip route``."""
    found: list[object] = [] if route.kind == "unicast" else [route.kind]
    found.append("default" if route.dst.prefixlen == 0 else route.dst)
    if route.tos:
        found += ["tos", f"0x{route.tos:02x}"]
    found += _hop_words(route.via, route.dev, route.onlink)
    if route.table != TABLE_MAIN:
        found += ["table", TABLE_NAMES.get(route.table, route.table)]
    if route.protocol != PROTO_BOOT:
        found += ["proto", route.protocol]
    if route.scope != usual_scope(route):
        found += ["scope", SCOPE_NAMES.get(route.scope, route.scope)]
    if route.metric != (0 if route.dst.version == 4 else IPV6_DEFAULT_METRIC):
        found += ["metric", route.metric]
    if route.src is not None:
        found += ["src", route.src]
    metrics = dict(route.metrics)
    locked = metrics.pop("lock", 0)
    for name, value in metrics.items():
        lock = ["lock"] if locked & 1 << ROUTE_METRICS.index(name) else []
        found += [name, *lock, value]
    for hop in route.nexthops:
        found += ["nexthop", *_hop_words(hop.via, hop.dev, False), "weight", hop.weight]
        found += ["onlink"] if hop.onlink else []
    return found


def _hop_words(via: IPAddress | None, dev: str | None, onlink: bool) -> list[object]:
    found: list[object] = [] if via is None else ["via", via]
    found += [] if dev is None else ["dev", dev]
    return found + (["onlink"] if onlink else [])


def _ip_route(where: NamespaceRef, verb: str, route: Route) -> str:
    family = ["-6"] if route.dst.version == 6 else []
    return ip(where, *family, "route", verb, *route_words(route))


def route_message(kind: str, flags: tuple[str, ...], route: Route) -> Message:
    version = route.dst.version
    attributes: list[tuple[str, object]] = [("RTA_TABLE", route.table)]
    if route.dst.prefixlen:
        attributes.append(("RTA_DST", str(route.dst.network_address)))
    if route.metric:
        attributes.append(("RTA_PRIORITY", route.metric))
    attributes += _hop_attributes(version, route.via)
    if route.dev is not None:
        attributes.append(("RTA_OIF", Index(route.dev)))
    if route.src is not None:
        attributes.append(("RTA_PREFSRC", str(route.src)))
    if route.metrics:
        nested = [(f"RTAX_{name.upper()}", value) for name, value in route.metrics]
        attributes.append(("RTA_METRICS", {"attrs": nested}))
    if route.nexthops:
        attributes.append(("RTA_MULTIPATH", [_multipath_hop(version, hop) for hop in route.nexthops]))
    fields = {
        "family": 2 if version == 4 else 10,
        "dst_len": route.dst.prefixlen,
        "tos": route.tos,
        "table": route.table if route.table < 256 else 0,
        "proto": route.protocol,
        "scope": route.scope,
        "type": TYPE_NUMBERS[route.kind],
        "flags": RTNH_F_ONLINK if route.onlink else 0,
    }
    return Message(kind, flags, fields, attributes)


def _hop_attributes(version: int, via: IPAddress | None) -> list[tuple[str, object]]:
    if via is None:
        return []
    if via.version == version:
        return [("RTA_GATEWAY", str(via))]
    return [("RTA_VIA", {"family": 10, "addr": str(via)})]


def _multipath_hop(version: int, hop: Nexthop) -> dict[str, object]:
    return {
        "hops": hop.weight - 1,
        "oif": Index(hop.dev) if hop.dev else 0,
        "flags": RTNH_F_ONLINK if hop.onlink else 0,
        "attrs": _hop_attributes(version, hop.via),
    }


@dataclasses.dataclass(frozen=True)
class PutRoute(Request):
    """Add a route, or put it in the place of ``former``, the one of its identity, without a gap.

    ``beside`` adds it to another of its identity, which IPv6 has where the two leave by different links.
    """

    route: Route
    former: Route | None = None
    beside: bool = False

    @property
    def _verb(self) -> str:
        return "replace" if self.former else "append" if self.beside else "add"

    @property
    def command(self) -> str:
        return _ip_route(self.where, self._verb, self.route)

    @property
    def purpose(self) -> str:
        return f"{self._verb} route {' '.join(map(str, route_words(self.route)))} {place(self.where)}"

    def message(self) -> Message:
        flag = {"replace": "REPLACE", "append": "APPEND", "add": "EXCL"}[self._verb]
        return route_message("RTM_NEWROUTE", ("CREATE", flag), self.route)

    def simulate(self, world: World) -> None:
        state = world.state(self.where)
        state.routes = [route for route in state.routes if route != self.former] + [self.route]

    def invert(self, world: World) -> tuple[Operation, ...]:
        if self.former is None:
            return (DropRoute(self.where, self.route),)
        if self.route in world.state(self.where).routes:
            return ()  # it was to be mended after a step that was refused, and so was never lost
        return (PutRoute(self.where, self.former, self.route),)


@dataclasses.dataclass(frozen=True)
class DropRoute(Request):
    route: Route

    @property
    def command(self) -> str:
        return _ip_route(self.where, "del", self.route)

    @property
    def purpose(self) -> str:
        return f"remove route {' '.join(map(str, route_words(self.route)))} {place(self.where)}"

    gone = frozenset({errno.ESRCH, errno.ENODEV})

    def message(self) -> Message:
        return route_message("RTM_DELROUTE", (), self.route)

    def simulate(self, world: World) -> None:
        state = world.state(self.where)
        state.routes = [route for route in state.routes if route != self.route]

    def invert(self, world: World) -> tuple[Operation, ...]:
        others = [] if self.route.dst.version == 4 else world.state(self.where).routes
        beside = any(other.identity == self.route.identity and other != self.route for other in others)
        return (PutRoute(self.where, self.route, beside=beside),)


# what the kernel does to routes when links and addresses change


def forget_routes(state: NamespaceState, dev: str, version: int | None = None) -> None:
    """Drop the routes that leave by a link that is no longer usable."""
    state.routes = [
        route
        for route in state.routes
        if not (dev in route.devs and (version is None or route.dst.version == version) and set(route.devs) <= {dev})
    ]


def forget_source(state: NamespaceState, source: IPAddress) -> None:
    """A source address went: IPv4 routes that prefer it go with it, IPv6 routes lose the preference."""
    kept = [route for route in state.routes if route.src != source or route.dst.version == 6]
    state.routes = [dataclasses.replace(route, src=None) if route.src == source else route for route in kept]


def rename_in_routes(state: NamespaceState, old: str, new: str) -> None:
    state.routes = [
        dataclasses.replace(
            route,
            dev=new if route.dev == old else route.dev,
            nexthops=tuple(dataclasses.replace(hop, dev=new) if hop.dev == old else hop for hop in route.nexthops),
        )
        for route in state.routes
    ]


def reaches(state: NamespaceState, gateway: IPAddress, dev: str | None) -> bool:
    """Whether a gateway is a neighbour: in the subnet of an address, or of a route without a gateway of its own."""
    for link in state.links.values():
        if dev is not None and link.name != dev:
            continue
        if gateway.is_link_local and dev is not None:
            return True
        for address in link.addresses:
            subnet = address.ip.network if address.peer is None else None
            if address.peer == gateway or (subnet is not None and gateway in subnet and gateway != address.ip.ip):
                return True
    return any(
        route.via is None
        and not route.nexthops
        and route.kind == "unicast"
        and route.dst.prefixlen > 0
        and gateway in route.dst
        and (dev is None or route.dev == dev)
        for route in state.routes
    )


def put_back(where: NamespaceRef, before: NamespaceState, after: NamespaceState) -> list[Operation]:
    """The operations that give ``after`` the routes of ``before`` that it has lost, those that others build on first."""
    present = set(after.routes)
    lost = [route for route in before.routes if route not in present and route.protocol not in (PROTO_KERNEL, PROTO_RA)]
    lost.sort(key=lambda route: (route.via is not None or bool(route.nexthops), -route.dst.prefixlen))
    return [PutRoute(where, route, _what_is_left(route, after)) for route in lost]


def _what_is_left(lost: Route, after: NamespaceState) -> Route | None:
    """What the kernel left of a route, which is in the way: some of its next hops, or all but the preferred source."""
    for route in after.routes:
        bare = lost.src is not None and route == dataclasses.replace(lost, src=None)
        if bare or (route.nexthops and route.identity == lost.identity):
            return route
    return None
