# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab as a user writes it, in one value, read into what the modules take; each refusal names the path in it."""

from __future__ import annotations

import collections.abc
import contextlib
import dataclasses
import typing as t

from ansible_collections.nslab.linux.plugins.module_utils._addressing import host_end_name
from ansible_collections.nslab.linux.plugins.module_utils._errors import Problem
from ansible_collections.nslab.linux.plugins.module_utils._values import (
    parse_addresses,
    parse_interface,
    parse_mac,
    parse_mtu,
    parse_namespace_name,
    parse_sysctl,
    parse_sysctl_value,
)

HOST_NODE = "host"

Options = dict[str, t.Any]

_LAB = ("name", "namespaces", "bridges", "links")
# Of the grammar of a lab, and not built yet: who writes one of them is told so, not that it is unknown.
_LATER = ("nat", "hosts", "nodes", "defaults")
_LATER_OF_A_NETWORK = ("subnet",)  # of a bridge, and of a link
_NAMESPACE = ("loopback", "sysctl", "routes", "resolv")
_BRIDGE = (
    *("netns", "addresses", "mac", "mtu", "up", "stp", "forward_delay", "ageing_time", "multicast_snooping"),
    *("purge_addresses",),
)
_ROUTE = ("dst", "via", "dev", "src", "metric", "table", "scope", "type", "onlink", "mtu", "nexthops")
_RESOLV = ("nameservers", "search", "options", "hosts")
_LINK = ("endpoints", "mtu")
_END = ("node", "interface", "addresses", "mac", "mtu", "up")


@dataclasses.dataclass(frozen=True)
class Bridge:
    """A bridge; ``netns`` is the namespace it is in, by the name that it has on the host, None for the host."""

    name: str
    netns: str | None
    options: Options

    @property
    def place(self) -> Options:
        return {} if self.netns is None else {"netns": self.netns}


@dataclasses.dataclass(frozen=True)
class _End:
    """An endpoint as written; ``interface`` is empty where it is to be named for the user."""

    path: str
    node: str
    interface: str
    given: t.Mapping[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Lab:
    """What the definition comes to; nodes are namespaces and bridges, and ``namespaces`` says what each is called."""

    namespaces: dict[str, str]
    loopback_and_sysctl: dict[str, Options]
    bridges: tuple[Bridge, ...]
    pairs: tuple[Options, ...]
    ports: dict[str, tuple[str, ...]]
    routes: tuple[Options, ...]
    resolv: dict[str, Options]


def read_lab(
    definition: t.Mapping[str, t.Any], nodes: t.Sequence[str] = (), prefix: str = "", what: str = "definition"
) -> Lab:
    """The lab that this defines.

    ``nodes`` are namespaces beside those that the definition names, ``prefix`` stands before the names that all have on
    the host, and ``what`` is what the definition is called in a refusal. Raises Problem.
    """
    return _Reader(what, prefix).lab(_known(what, definition, _LAB, _LATER), nodes)


class _Reader:
    def __init__(self, what: str, prefix: str) -> None:
        self.what = what
        self.prefix = prefix
        self.name = ""
        self.namespaces: dict[str, str] = {}
        self.bridges: dict[str, Bridge] = {}
        self.ports: dict[str, list[str]] = {}
        self.taken: dict[tuple[str | None, str], str] = {}

    def lab(self, given: t.Mapping[str, t.Any], nodes: t.Sequence[str]) -> Lab:
        self.name = f"{self.prefix}{given.get('name') or ''}"
        inside: dict[str, Options] = {str(node): {} for node in nodes}
        inside.update(self._named(given, "namespaces", _NAMESPACE))
        for node in inside:
            with _at(f"{self.what}.namespaces.{node}"):
                self.namespaces[node] = parse_namespace_name(f"{self.prefix}{node}")
        for node, options in self._named(given, "bridges", _BRIDGE, _LATER_OF_A_NETWORK).items():
            self.bridges[node] = self._bridge(f"{self.what}.bridges.{node}", node, options)
        if not self.namespaces and not self.bridges:
            raise Problem(f"{self.what}: it has no namespaces", "name some under namespaces, or as platforms")
        links = _listed(f"{self.what}.links", given.get("links"))
        pairs = tuple(self._link(f"{self.what}.links[{number}]", link) for number, link in enumerate(links))
        switches: dict[str, Options] = {}
        routes: list[Options] = []
        resolv: dict[str, Options] = {}
        for node, options in inside.items():
            path, name = f"{self.what}.namespaces.{node}", self.namespaces[node]
            switches[name] = _loopback_and_sysctl(path, options)
            for number, route in enumerate(_listed(f"{path}.routes", options.get("routes"))):
                routes.append({"netns": name, **_route(f"{path}.routes[{number}]", route)})
            if options.get("resolv"):
                resolv[name] = dict(_known(f"{path}.resolv", options["resolv"], _RESOLV))
        return Lab(
            namespaces=self.namespaces,
            loopback_and_sysctl=switches,
            bridges=tuple(self.bridges.values()),
            pairs=pairs,
            ports={node: tuple(ports) for node, ports in self.ports.items()},
            routes=tuple(routes),
            resolv=resolv,
        )

    def _named(
        self, given: t.Mapping[str, t.Any], kind: str, keys: t.Sequence[str], later: t.Sequence[str] = ()
    ) -> dict[str, Options]:
        path = f"{self.what}.{kind}"
        things = given.get(kind) or {}
        if not isinstance(things, collections.abc.Mapping):
            raise Problem(f"{path}: {things!r} is no dict", "write NAME: {...} for each")
        return {str(name): dict(_known(f"{path}.{name}", value or {}, keys, later)) for name, value in things.items()}

    def _bridge(self, path: str, name: str, options: Options) -> Bridge:
        if name == HOST_NODE:
            raise Problem(f"{path}: as a node, {name} is the host itself", "choose another name")
        if name in self.namespaces:
            raise Problem(f"{path}: a namespace is called {name!r} too", "a node is named once")
        with _at(path):
            parse_interface(name)
        netns = options.pop("netns", None)
        if netns == HOST_NODE:
            netns = None
        if netns is not None and netns not in self.namespaces:
            raise Problem(f"{path}.netns: no namespace is called {netns!r}", self._those_there())
        bridge = Bridge(
            name, None if netns is None else self.namespaces[netns], {**options, **_attributes(path, options)}
        )
        self._take(path, bridge.netns, name)
        return bridge

    def _link(self, path: str, link: object) -> Options:
        given = _known(path, link, _LINK, _LATER_OF_A_NETWORK)
        ends = _listed(f"{path}.endpoints", given.get("endpoints"))
        if len(ends) != 2:
            raise Problem(f"{path}.endpoints: there are {len(ends)}", "a link has two")
        common = _attributes(path, {key: given[key] for key in ("mtu",) if given.get(key) is not None})
        first, second = (self._end(f"{path}.endpoints[{number}]", end) for number, end in enumerate(ends))
        return {**self._made(first, second, common), "peer": self._made(second, first, common)}

    def _end(self, path: str, end: object) -> _End:
        given: t.Mapping[str, t.Any]
        if isinstance(end, str):
            node, _colon, interface = end.partition(":")
            given = {"node": node, "interface": interface}
        else:
            given = _known(path, end, _END)
        node, interface = str(given.get("node") or ""), str(given.get("interface") or "")
        if node not in (*self.namespaces, *self.bridges, HOST_NODE):
            raise Problem(f"{path}: no namespace or bridge is called {node!r}", self._those_there())
        if not interface and node in self.namespaces:
            raise Problem(f"{path}: the interface in {node} has no name", f"write {node}:eth0")
        if node in self.bridges and given.get("addresses"):
            raise Problem(f"{path}.addresses: a port of a bridge has none", f"give them to the bridge {node}")
        return _End(path, node, interface, given)

    def _made(self, end: _End, other: _End, common: Options) -> Options:
        with _at(end.path):
            # By the end that has a name, so that the links can be put in another order.
            name = parse_interface(end.interface or host_end_name(self.name, other.node, other.interface or end.path))
        made = {**common, "name": name, **_attributes(end.path, end.given)}
        if end.given.get("up") is not None:
            made["up"] = end.given["up"]
        if end.node in self.bridges:
            self.ports.setdefault(end.node, []).append(name)
            netns = self.bridges[end.node].netns
        else:
            netns = self.namespaces.get(end.node)
        self._take(end.path, netns, name)
        return made if netns is None else {"netns": netns, **made}

    def _take(self, path: str, netns: str | None, interface: str) -> None:
        other = self.taken.setdefault((netns, interface), path)
        if other != path:
            where = "on the host" if netns is None else f"in {netns}"
            raise Problem(f"{path}: interface {interface} {where} is that of {other} too", "name each once")

    def _those_there(self) -> str:
        return f"there are {', '.join([*self.namespaces, *self.bridges, HOST_NODE])}"


@contextlib.contextmanager
def _at(path: str) -> t.Iterator[None]:
    """A refusal from within says where in the definition it arose."""
    try:
        yield
    except Problem as problem:
        raise Problem(f"{path}: {problem}") from None


def _known(path: str, value: object, keys: t.Sequence[str], later: t.Sequence[str] = ()) -> t.Mapping[str, t.Any]:
    if not isinstance(value, collections.abc.Mapping):
        raise Problem(f"{path}: {value!r} is no dict", f"its keys are {', '.join(keys)}")
    for key in value:
        if key in later and value[key]:
            raise Problem(f"{path}.{key}: this comes later", "leave it out")
        if key not in keys and key not in later:
            raise Problem(f"{path}.{key}: this is not known", f"known are {', '.join(keys)}")
    return value


def _listed(path: str, value: object) -> t.Sequence[t.Any]:
    if value is None:
        return ()
    if isinstance(value, str) or not isinstance(value, collections.abc.Sequence):
        raise Problem(f"{path}: {value!r} is no list")
    return value


def _attributes(path: str, given: t.Mapping[str, t.Any]) -> Options:
    """Those options of a link that are given, read."""
    read: Options = {}
    if given.get("addresses") is not None:
        with _at(f"{path}.addresses"):
            read["addresses"] = [
                str(one) for one in parse_addresses(str(text) for text in _listed("addresses", given["addresses"]))
            ]
    if given.get("mac") is not None:
        with _at(f"{path}.mac"):
            read["mac"] = parse_mac(str(given["mac"]))
    if given.get("mtu") is not None:
        with _at(f"{path}.mtu"):
            read["mtu"] = parse_mtu(_whole(given["mtu"]), "the link")
    return read


def _whole(value: object) -> int:
    try:
        if isinstance(value, (bool, float)):
            raise ValueError
        return int(t.cast(t.Any, value))
    except (TypeError, ValueError):
        raise Problem(f"{value!r} is no whole number") from None


def _loopback_and_sysctl(path: str, options: Options) -> Options:
    made: Options = {} if options.get("loopback") is None else {"loopback": options["loopback"]}
    sysctl = options.get("sysctl") or {}
    if not isinstance(sysctl, collections.abc.Mapping):
        raise Problem(f"{path}.sysctl: {sysctl!r} is no dict", "write net.ipv4.ip_forward: 1")
    for key, value in sysctl.items():
        with _at(f"{path}.sysctl"):
            parse_sysctl(str(key))
            made.setdefault("sysctl", {})[str(key)] = parse_sysctl_value(str(key), value)
    return made


def _route(path: str, route: object) -> Options:
    given = {key: value for key, value in _known(path, route, _ROUTE).items() if value is not None}
    if "dst" not in given:
        raise Problem(f"{path}: it has no dst", "write dst: default, or a network as CIDR")
    return given
