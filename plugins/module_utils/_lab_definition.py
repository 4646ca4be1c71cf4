# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab as a user writes it, in one value, read into what the resources take: all that can be read, and every fault."""

from __future__ import annotations

import dataclasses
import typing as t

from ._errors import Problem
from ._lab import HOST_NODE, Fault, Lab, LabLink, LabNamespace
from ._lab_bridges import plug_in, read_bridges
from ._lab_endpoints import LinkReader, Place, places_of, read_link_defaults
from ._lab_namespaces import NAMESPACE, NamespaceOptions, read_namespace
from ._lab_nat import read_nat
from ._lab_options import (
    Kind,
    Options,
    Reading,
    below,
    flag,
    listed,
    mapping,
    number,
    text,
)
from ._resources._bridge import MAX_PORTS
from ._values import NamespaceRef, parse_interface, parse_namespace_name

NAME_LIMIT = 64  # the ledger's file has the name in its own
COUNT_LIMIT = 65535

_LAB: dict[str, Kind] = {
    "name": text,
    "prefix": text,
    "namespaces": mapping,
    "bridges": mapping,
    "links": listed,
    "nat": listed,
    "nodes": lambda value: listed(value) if isinstance(value, (list, tuple)) else [mapping(value)],
    "defaults": mapping,
    "hosts": flag,
    "overlap": flag,
}
_NODES: dict[str, Kind] = {"count": number, "prefix": text, "bridge": text, "interface": text, **NAMESPACE}
_DEFAULTS: dict[str, Kind] = {"namespaces": mapping, "bridges": mapping, "links": mapping}


def read_lab(name: str, given: t.Mapping[str, t.Any]) -> tuple[Lab, tuple[Fault, ...]]:
    """The lab that this defines, as far as it can be read, and all that is wrong with it; what is wrong is left out.

    Values may be as YAML and Jinja left them. ``given`` may have the lab's name in it too; ``name`` may then be empty.
    """
    reader = _Reader()
    return reader.lab(name, given), reader.reading.faults


def parse_lab_name(name: str) -> str:
    if not name:
        raise Problem("the lab has no name", "give it one: what it makes is remembered under it")
    if len(name) > NAME_LIMIT:
        raise Problem(f"the name {name[:20]!r}... has {len(name)} characters", f"at most {NAME_LIMIT} are allowed")
    return parse_namespace_name(name)


@dataclasses.dataclass(frozen=True)
class _Plugged:
    """Namespaces of ``nodes`` that are to be plugged into a bridge."""

    path: str
    nodes: tuple[str, ...]
    interface: str
    bridge: str


class _Reader:
    def __init__(self) -> None:
        self.reading = Reading()
        self.prefix = ""

    def lab(self, name: str, given: t.Mapping[str, t.Any]) -> Lab:
        reading = self.reading
        options = reading.options("", given, _LAB)
        name = self._name(name, options)
        self.prefix = self._prefix(options)
        defaults = reading.options("defaults", options.get("defaults"), _DEFAULTS)
        link_defaults = read_link_defaults(reading, "defaults.links", defaults.get("links"))
        namespaces, plugged = self._namespaces(options, defaults.get("namespaces"))
        names = {each.node: each.name for each in namespaces.values() if each is not None}
        places = places_of({node: names.get(node) for node in namespaces})
        bridges = read_bridges(reading, options.get("bridges") or {}, defaults.get("bridges"), places)
        links = LinkReader(reading, name, places, link_defaults)
        for bridge in bridges:
            place = places[bridge.bridge.name]
            if place is not None:
                links.take(bridge.path, Place(place.netns), bridge.bridge.name)
        made = [link for each in plugged for link in self._plug(each, links)]
        for index, one in enumerate(options.get("links") or ()):
            link = links.link(f"links[{index}]", one)
            if link is not None:
                made.append(link)
        lab = Lab(
            name,
            tuple(each for each in namespaces.values() if each is not None),
            *plug_in(reading, bridges, made),
            hosts=options.get("hosts", False),
            overlap=options.get("overlap", False),
            unread=frozenset(places if links.lost else links.unread),
        )
        self._check_devices(lab)
        return dataclasses.replace(lab, nat=read_nat(reading, "nat", options.get("nat") or (), lab, places))

    def _name(self, name: str, options: Options) -> str:
        within = options.get("name")
        if name and within is not None and within != name:
            self.reading.fault("name", f"the definition is that of {within}, and the task's lab is {name}", "say one")
        return self.reading.take("name", parse_lab_name, name or str(within or "")) or "lab"

    def _prefix(self, options: Options) -> str:
        prefix = str(options.get("prefix", ""))
        return prefix if prefix and self.reading.take("prefix", parse_namespace_name, f"{prefix}0") else ""

    # namespaces

    def _namespaces(
        self, options: Options, defaults: object
    ) -> tuple[dict[str, LabNamespace | None], tuple[_Plugged, ...]]:
        """By node: those of ``nodes``, then those that are named alone. None is one whose name is refused."""
        reading = self.reading
        at = "defaults.namespaces"
        base = read_namespace(reading, at, reading.options(at, defaults, NAMESPACE), None)
        said: dict[str, tuple[str, NamespaceOptions]] = {}
        plugged: list[_Plugged] = []
        many = options.get("nodes") or ()
        for index, one in enumerate(many):
            path = f"nodes[{index}]" if len(many) > 1 else "nodes"
            nodes, each, plug = self._nodes(path, one)
            each = each.over(base)
            for numbered in nodes:
                other = said.setdefault(numbered, (path, each))
                if other[0] != path:
                    advice = "give each a prefix of its own"
                    reading.fault(path, f"namespace {numbered} is that of {other[0]} too", advice)
                    break
            plugged += [] if plug is None else [plug]
        for key, value in (options.get("namespaces") or {}).items():
            path = f"namespaces.{key}"
            node = reading.take(path, text, key)
            if node is None:
                continue
            if node == HOST_NODE:
                reading.fault(path, "as a node, host is the host itself", "choose another name")
                continue
            own = reading.options(path, value, NAMESPACE)
            mine = read_namespace(reading, path, own, f"{self.prefix}{node}") if own else NamespaceOptions()
            said[node] = (path, mine.over(said[node][1] if node in said else base))
        return {node: self._made(path, node, own) for node, (path, own) in said.items()}, tuple(plugged)

    def _made(self, path: str, node: str, options: NamespaceOptions) -> LabNamespace | None:
        name = self.reading.take(path, parse_namespace_name, f"{self.prefix}{node}")
        return None if name is None else options.made(path, node, name)

    def _nodes(self, path: str, given: object) -> tuple[tuple[str, ...], NamespaceOptions, _Plugged | None]:
        reading = self.reading
        before = reading.count
        options = reading.options(path, given, _NODES)
        own = read_namespace(reading, path, options, None)
        count, prefix = options.get("count", 0), options.get("prefix", "ns")
        if "count" not in options:
            if reading.count == before:
                reading.fault(path, "it has no count", "say how many there shall be")
        elif not 0 <= count <= COUNT_LIMIT:
            reading.fault(below(path, "count"), f"{count} is out of range", f"use 0 to {COUNT_LIMIT}")
            count = 0
        if reading.take(below(path, "prefix"), parse_namespace_name, f"{self.prefix}{prefix}{count}") is None:
            count = 0
        nodes = tuple(f"{prefix}{number}" for number in range(1, count + 1))
        interface = reading.take(below(path, "interface"), _plain_interface, options.get("interface", "eth0"))
        bridge = options.get("bridge")
        if bridge is None and interface is not None and "interface" in options:
            reading.fault(below(path, "interface"), "there is nothing that it leads to", "name a bridge")
        if bridge is None or interface is None:
            return nodes, own, None
        if count > MAX_PORTS:
            said = f"bridge {bridge} would have {count} ports, and the kernel takes at most {MAX_PORTS}"
            reading.fault(path, said, "use a second bridge, and a list of nodes")
            return nodes, own, None
        return nodes, own, _Plugged(path, nodes, interface, bridge)

    def _plug(self, plugged: _Plugged, links: LinkReader) -> t.Iterator[LabLink]:
        bridges = [node for node, place in links.places.items() if place is not None and place.bridge is not None]
        if plugged.bridge not in bridges:
            if plugged.bridge not in links.places or links.places[plugged.bridge] is not None:
                said = f"no bridge is called {plugged.bridge!r}"
                self.reading.fault(below(plugged.path, "bridge"), said, self.reading.nearest(plugged.bridge, bridges))
            links.unread.update(plugged.nodes)
            return
        for node in plugged.nodes:
            link = links.plugged(plugged.path, node, plugged.interface, plugged.bridge)
            if link is not None:
                yield link

    # what needs all of them

    def _check_devices(self, lab: Lab) -> None:
        """That routes lead through links of their namespace."""
        routes = [
            (namespace, each, index, hop.dev)
            for namespace in lab.namespaces
            if namespace.node not in lab.unread
            for each in namespace.routes
            for index, hop in enumerate(each.route.gateways)
            if hop.dev not in (None, "lo")
        ]
        if not routes:
            return
        links: dict[NamespaceRef, set[str]] = {}
        for bridge in lab.bridges:
            links.setdefault(bridge.bridge.where, set()).add(bridge.bridge.name)
        for link in lab.links:
            for end in link.ends:
                links.setdefault(end.end.where, set()).add(end.end.name)
        told: set[str] = set()
        for namespace, each, index, dev in routes:
            names = links.get(namespace.where, set())
            path = below(each.path, f"nexthops[{index}].dev" if each.route.nexthops else "dev")
            if dev is not None and dev not in names and path not in told:
                told.add(path)  # the route of a thousand nodes is written once
                advice = self.reading.nearest(dev, [*sorted(names), "lo"])
                self.reading.fault(path, f"no link of {namespace.node} is called {dev!r}", advice)


def _plain_interface(name: str) -> str:
    if name == "lo":
        raise Problem("a veth can't be named lo", "every namespace has its loopback under that name")
    return parse_interface(name)
