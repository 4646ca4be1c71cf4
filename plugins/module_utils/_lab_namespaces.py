# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the definition of a lab says of a namespace: under its name, of many at once, or of all as a default."""

from __future__ import annotations

import dataclasses
import typing as t

from ._errors import Problem
from ._lab import LabNamespace, LabRoute, changed
from ._lab_options import (
    Kind,
    Options,
    Reading,
    below,
    flag,
    listed,
    mapping,
    number,
    one_of,
    text,
    text_or_texts,
    texts,
)
from ._resources._namespace import parse_sysctls
from ._resources._resolv import ResolvConf, parse_resolv
from ._resources._wanted_route import WantedRoute, parse_route
from ._values import IPAddress, NamespaceRef, parse_host_name, parse_ip

NAMESPACE: dict[str, Kind] = {"loopback": flag, "sysctl": mapping, "routes": listed, "resolv": mapping}
_ROUTE: dict[str, Kind] = {
    "dst": text,
    "via": text,
    "dev": text,
    "src": text,
    "metric": number,
    "table": text,
    "scope": text,
    "type": one_of("unicast", "blackhole", "unreachable", "prohibit"),
    "onlink": flag,
    "mtu": number,
    "nexthops": listed,
}
_NEXTHOP: dict[str, Kind] = {"via": text, "dev": text, "weight": number}
_RESOLV: dict[str, Kind] = {"nameservers": texts, "search": texts, "options": texts, "hosts": mapping}

Hosts = tuple[tuple[str, tuple[IPAddress, ...]], ...]


@dataclasses.dataclass(frozen=True)
class NamespaceOptions:
    """What is said of a namespace; None where nothing is."""

    loopback: bool | None = None
    sysctls: tuple[tuple[str, str], ...] = ()
    routes: tuple[LabRoute, ...] | None = None
    resolv: tuple[ResolvConf, Hosts | None] | None = None

    def over(self, other: NamespaceOptions) -> NamespaceOptions:
        """This, and where it says nothing the other. Sysctls add up; routes, and resolv, are one thing each."""
        return NamespaceOptions(
            other.loopback if self.loopback is None else self.loopback,
            tuple({**dict(other.sysctls), **dict(self.sysctls)}.items()),
            other.routes if self.routes is None else self.routes,
            other.resolv if self.resolv is None else self.resolv,
        )

    def made(self, path: str, node: str, name: str) -> LabNamespace:
        where = NamespaceRef("name", name)
        routes = tuple(
            each if each.route.where == where else LabRoute(each.path, changed(each.route, where=where))
            for each in self.routes or ()
        )
        resolv, hosts = (ResolvConf(), None) if self.resolv is None else self.resolv
        return LabNamespace(
            path,
            node,
            name,
            True if self.loopback is None else self.loopback,
            self.sysctls,
            routes,
            resolv if resolv.managed else None,
            hosts,
        )


def read_namespace(reading: Reading, path: str, options: Options, netns: str | None) -> NamespaceOptions:
    """``options`` are of the kinds of NAMESPACE; ``netns`` is the name on the host, if they are of one namespace."""
    sysctls = {}
    if options.get("sysctl"):
        sysctls = _sysctls(reading, below(path, "sysctl"), options["sysctl"])
    routes = options.get("routes")
    resolv = options.get("resolv")
    return NamespaceOptions(
        options.get("loopback"),
        tuple(sysctls.items()),
        None if routes is None else _routes(reading, below(path, "routes"), routes, netns),
        None if resolv is None else _resolv(reading, below(path, "resolv"), resolv),
    )


def _sysctls(reading: Reading, path: str, given: t.Mapping[t.Any, t.Any]) -> dict[str, str]:
    named: Options = {}
    for key, value in given.items():
        name = reading.take(below(path, str(key)), text, key)
        if name is not None and value is not None:
            named[name] = value
    return reading.whole(path, named, parse_sysctls, lambda one: one) or {}


def _resolv(reading: Reading, path: str, given: Options) -> tuple[ResolvConf, Hosts | None]:
    options = reading.options(path, given, _RESOLV)
    hosts = options.pop("hosts", None)
    resolv = reading.whole(path, options, parse_resolv, lambda one: one) or ResolvConf()
    if hosts is None:
        return (resolv, None)
    found: list[tuple[str, tuple[IPAddress, ...]]] = []
    for key, value in hosts.items():
        at = below(path, f"hosts.{key}")
        name = reading.take(at, _host_name, key)
        addresses = reading.take(at, _host_addresses, name, value) if name is not None else None
        if name is not None and addresses:
            found.append((name, addresses))
    return (resolv, tuple(found))


def _host_name(key: object) -> str:
    return parse_host_name(text(key))


def _host_addresses(name: str, value: object) -> tuple[IPAddress, ...]:
    return tuple(parse_ip(one, f"address of host {name}") for one in text_or_texts(value))


def _routes(reading: Reading, path: str, given: t.Sequence[t.Any], netns: str | None) -> tuple[LabRoute, ...]:
    found: list[LabRoute] = []
    taken: dict[object, str] = {}
    for place, one in enumerate(given):
        at = below(path, place)
        route = _route(reading, at, one, netns)
        if route is None:
            continue
        other = taken.setdefault((route.dst, route.table, route.metric), at)
        if other != at:
            reading.fault(at, f"{other} is to the same destination, table and metric", "the kernel takes one of them")
        else:
            found.append(LabRoute(at, route))
    return tuple(found)


def _route(reading: Reading, path: str, given: object, netns: str | None) -> WantedRoute | None:
    before = reading.count
    options = reading.options(path, given, _ROUTE, {"netns": "the routes are those of this namespace: leave it out"})
    if given is None or (not options.get("dst") and reading.count == before):
        reading.fault(path, "it has no dst", "write dst: default, or a network as CIDR")
    if options.get("nexthops"):
        options["nexthops"] = [
            _nexthop(reading, below(path, f"nexthops[{place}]"), hop) for place, hop in enumerate(options["nexthops"])
        ]
        for other in ("via", "dev", "onlink"):
            if other in options:
                reading.fault(below(path, "nexthops"), f"{other} is given too", "it is said in each of the nexthops")
                del options[other]
    if "dst" not in options:  # that its other options are wrong is told all the same
        reading.whole(
            path, {**options, "dst": "default"}, lambda one: parse_route(one, netns, False), _route_of, required="dst"
        )
        return None
    if reading.count != before and not all(options.get("nexthops") or (True,)):
        return None
    return reading.whole(path, options, lambda one: parse_route(one, netns, True), _route_of, required="dst")


def _route_of(one: Options) -> Options:
    """A route that is right but for this option, if that is wrong by itself."""
    key = next(iter(one))
    if key == "type":  # its choices are checked, and not all go with a link
        return {"dst": "default", "dev": "lo"}
    if key == "scope":
        return {"dst": "0.0.0.0/0", "type": "blackhole", **one}
    if key == "nexthops":
        return {"dst": "default", **one}
    return {"dst": "default", "dev": "lo", **one}


def _nexthop(reading: Reading, path: str, given: object) -> Options:
    """The options of one, which are checked; empty where it is wrong."""
    before = reading.count
    options = reading.options(path, given, _NEXTHOP)
    if reading.count == before and not (options.get("via") or options.get("dev")):
        reading.fault(path, "it leads nowhere", "give via, dev or both")
    if options:
        reading.whole(path, options, _parse_nexthop, lambda one: {"dev": "lo", **one})
    return options if reading.count == before else {}


def _parse_nexthop(options: Options) -> WantedRoute:
    dst = "::/0" if ":" in options.get("via", "") else "default"
    if "via" not in options and "dev" not in options:
        raise Problem("it leads nowhere", "give via, dev or both")
    return parse_route({"dst": dst, "nexthops": [options]}, None, False)
