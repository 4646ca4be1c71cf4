# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nodes of a picture of what was seen: the host, namespaces and bridges, with what is to be read in and of each."""

from __future__ import annotations

import typing as t

from ansible_collections.nslab.linux.plugins.plugin_utils._picture import (
    BRIDGE,
    DOWN,
    HOST,
    MTU,
    NAMESPACE,
    UNREAD,
    Mark,
    Node,
)
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_defined import FORWARDING
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_scope import Scope
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_sight import Given, SeenLink, SeenNamespace
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_wires import port_mtus
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_words import (
    HOST_KEY,
    Place,
    bridge_key,
    route_text,
    seen_nat,
)

# What the kernel makes of addresses, and what others made for themselves, is not told.
_TOLD_PROTOCOLS = ("boot", "static", "dhcp", "ra")


class Nodes:
    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.sight = scope.sight
        self.marks = scope.marks

    def namespace(self, where: str, *, whole: bool = True) -> Node:
        """A namespace, or the host; not ``whole`` is one that something of the picture leads to, and that is not of it."""
        kind = HOST if where == HOST_KEY else NAMESPACE
        marks = self.marks.of_node(where)
        if where not in self.sight.namespaces:
            return Node(where, where, kind, details=("it was not looked at",), marks=marks)
        namespace = self.sight.namespaces[where]
        if namespace is None:
            return Node(where, where, kind, marks=(*marks, Mark(UNREAD, f"namespace {where} could not be read")))
        unread = [Mark(UNREAD, f"{', '.join(namespace.unread)} of {where} could not be read")]
        marks = (*(unread if namespace.unread else ()), *marks)
        nat = tuple(seen_nat(each) for each in self.scope.rule_sets(where).values()) if whole else ()
        if where == HOST_KEY or not whole:
            return Node(where, where, kind, nat=nat, marks=marks)
        lines = (*_defaults(namespace), *_forwards(namespace), *self._links(where))
        marks = (*self._down(where), *marks)
        return Node(where, where, kind, None, lines, tuple(_details(namespace)), nat, marks)

    def bridge(self, place: Place) -> Node:
        bridge = self.sight.bridge(place)
        key, (where, name) = bridge_key(*place), place
        if bridge is None:
            return Node(key, name, BRIDGE, None if where == HOST_KEY else where, marks=self.marks.of_node(key))
        ports = [self.sight.link((where, port)) for port in bridge.ports or ()]
        lines = [*bridge.addresses, *(_line(port) for port in ports if port is not None and _is_other(port))]
        marks = [] if bridge.up or place in self.scope.down else [Mark(DOWN, f"{name} is down")]
        mtus = port_mtus(self.scope, bridge)
        if mtus and bridge.mtu not in mtus:
            have = " and ".join(map(str, sorted(mtus)))
            marks.append(Mark(MTU, f"{name} has mtu {bridge.mtu}, its ports have {have}"))
        return Node(
            key,
            name,
            BRIDGE,
            None if where == HOST_KEY else where,
            tuple(lines),
            tuple(_bridge_details(bridge)),
            marks=(*marks, *self.marks.of_node(key)),
        )

    def _links(self, where: str) -> t.Iterator[str]:
        """Those that no wire shows: tunnels, and veths that lead where nobody can look."""
        for link in self.scope.links(where):
            if _is_other(link) and self.sight.outlet(link.place) is None:
                yield _line(link)

    def _down(self, where: str) -> t.Iterator[Mark]:
        for link in self.scope.links(where):
            if _is_other(link) and not link.up:
                yield Mark(DOWN, f"{link.name} is down")


def _is_other(link: SeenLink) -> bool:
    """Whether no wire and no box shows it."""
    return link.peer is None and link.ports is None and link.kind is not None and not link.from_kernel


def _line(link: SeenLink) -> str:
    if link.kind == "veth":
        return f"{link.name} leads where nobody can look"
    return " ".join((f"{link.name}, {link.kind}", *link.addresses))


def _forwards(namespace: SeenNamespace) -> tuple[str, ...]:
    switches = namespace.sysctls or {}
    found = [name for name, paths in FORWARDING.items() if any(switches.get(path) == "1" for path in paths)]
    return (f"forwards {', '.join(found)}",) if found else ()


def _routes(namespace: SeenNamespace) -> t.Iterator[Given]:
    return (each for each in namespace.routes or () if each["protocol"] in _TOLD_PROTOCOLS)


def _defaults(namespace: SeenNamespace) -> tuple[str, ...]:
    return tuple(_route(each) for each in _routes(namespace) if each["dst"] == "default" and each["table"] == "main")


def _route(given: Given) -> str:
    hops = [(hop["via"], hop["dev"]) for hop in given["nexthops"]] or [(given["via"], given["dev"])]
    return route_text(given["dst"], given["type"], hops, given["metric"], given["table"])


def _details(namespace: SeenNamespace) -> t.Iterator[str]:
    """Not what changes while nobody changes it, such as processes and neighbours: a picture of the same lab is the same."""
    if namespace.lab is not None:
        yield f"made by lab {namespace.lab}"
    for each in _routes(namespace):
        if each["dst"] != "default" or each["table"] != "main":
            yield _route(each)
    for link in (namespace.links or {}).values():
        if not link.from_kernel:
            yield f"{link.name} mtu {link.mtu}{f' mac {link.mac}' if link.mac else ''}"
    servers = (namespace.resolv or {}).get("nameservers")
    if servers:
        yield f"nameserver {', '.join(servers)}"


def _bridge_details(bridge: SeenLink) -> t.Iterator[str]:
    yield f"mtu {bridge.mtu}"
    yield f"{len(bridge.ports or ())} ports"
    if bridge.options.get("stp"):
        yield "speaks the spanning tree protocol"
    yield f"mac {bridge.mac}"
