# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture of a lab's definition: what the module lab would make of it, with the addresses that its subnets give."""

from __future__ import annotations

import typing as t

from ansible_collections.nslab.linux.plugins.module_utils._errors import Problem
from ansible_collections.nslab.linux.plugins.module_utils._lab import (
    Endpoint,
    Lab,
    LabBridge,
    LabLink,
    LabNamespace,
    LabNat,
)
from ansible_collections.nslab.linux.plugins.module_utils._lab_addresses import addressed, judge
from ansible_collections.nslab.linux.plugins.module_utils._lab_definition import read_lab
from ansible_collections.nslab.linux.plugins.module_utils._resources._lab import Faults
from ansible_collections.nslab.linux.plugins.module_utils._resources._nat_plan import ANY, AUTO
from ansible_collections.nslab.linux.plugins.module_utils._resources._publish import Publish, shown_range
from ansible_collections.nslab.linux.plugins.module_utils._resources._routing import TABLE_NAMES
from ansible_collections.nslab.linux.plugins.module_utils._resources._wanted_route import WantedRoute
from ansible_collections.nslab.linux.plugins.module_utils._values import IPInterface
from ansible_collections.nslab.linux.plugins.plugin_utils._picture import (
    BRIDGE,
    HOST,
    NAMESPACE,
    End,
    Nat,
    Node,
    Picture,
    Wire,
)
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_words import (
    HOST_KEY,
    OUTSIDE_KEY,
    OUTSIDE_NODE,
    bridge_key,
    nat_text,
    publish_text,
    route_text,
)

FORWARDING = {
    "IPv4": ("net/ipv4/ip_forward", "net/ipv4/conf/all/forwarding"),
    "IPv6": ("net/ipv6/conf/all/forwarding",),
}


def picture_of_definition(definition: object) -> Picture:
    """What the module lab would make on a host that knows nothing of this lab. Raises Problem with all that is wrong with it."""
    lab = lab_of(definition)
    scene = DefinedScene(lab)
    bridges: dict[str, list[Node]] = {}
    for each in lab.bridges:
        bridges.setdefault(str(each.bridge.where), []).append(scene.bridge(each))
    wires = (*(scene.wire(link) for link in lab.links), *scene.stands(), *scene.uplinks())
    leads = {end.node for wire in wires for end in wire.ends}
    nodes = [scene.host()] if HOST_KEY in leads or HOST_KEY in scene.routers else []
    nodes += [OUTSIDE_NODE] if OUTSIDE_KEY in leads else []
    nodes += bridges.pop(HOST_KEY, [])
    for namespace in lab.namespaces:
        nodes += [scene.namespace(namespace), *bridges.get(namespace.name, [])]
    return Picture(lab.name, tuple(nodes), wires)


def lab_of(definition: object, remembered: t.Mapping[tuple[str, str], t.Sequence[IPInterface]] | None = None) -> Lab:
    """The lab with its addresses; ``remembered`` are those that it has given already. Raises Problem with all that is wrong."""
    if not isinstance(definition, t.Mapping):
        raise Problem("a definition is a dict", "give what the module nslab.linux.lab takes as its definition")
    given: t.Mapping[str, t.Any] = definition
    if "plugin" in given and isinstance(given.get("lab"), t.Mapping):
        given = given["lab"]  # a file of the inventory
    lab, faults = read_lab("", given)
    lab, more = addressed(lab, remembered or {})
    faults = (*faults, *more)
    faults = faults or judge(lab)
    if faults:
        raise Faults(lab.name, faults)
    return lab


class DefinedScene:
    """Nodes and wires of a lab, one by one."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.routers: dict[str, list[LabNat]] = {}
        for nat in lab.nat:
            self.routers.setdefault(str(nat.nat.where), []).append(nat)

    def host(self) -> Node:
        return Node(HOST_KEY, "host", HOST, nat=self.nat(HOST_KEY))

    def namespace(self, namespace: LabNamespace) -> Node:
        routes = [each.route for each in namespace.routes]
        sysctls = dict(namespace.sysctls)
        forwards = [family for family, paths in FORWARDING.items() if any(sysctls.get(path) == "1" for path in paths)]
        lines = [wanted_route_text(route) for route in routes if route.dst.prefixlen == 0]
        lines += [f"forwards {', '.join(forwards)}"] if forwards else []
        details = [] if namespace.node == namespace.name else [f"node {namespace.node} of lab {self.lab.name}"]
        details += [wanted_route_text(route) for route in routes if route.dst.prefixlen]
        details += [f"{path} = {value}" for path, value in namespace.sysctls]
        if namespace.resolv is not None and namespace.resolv.nameservers:
            details.append(f"nameserver {', '.join(namespace.resolv.nameservers)}")
        details += [] if namespace.loopback else ["lo is not set up"]
        nat = self.nat(namespace.name)
        return Node(namespace.name, namespace.name, NAMESPACE, None, tuple(lines), tuple(details), nat)

    def bridge(self, each: LabBridge) -> Node:
        wanted = each.bridge
        where = str(wanted.where)
        details = [f"{name} {value}" for name, value in wanted.options]
        details += [] if wanted.mtu is None else [f"mtu {wanted.mtu}"]
        details += [f"port {port}" for port in wanted.ports or ()]
        return Node(
            bridge_key(where, wanted.name),
            wanted.name,
            BRIDGE,
            None if where == HOST_KEY else where,
            texts(wanted.addresses),
            tuple(details),
        )

    def wire(self, link: LabLink) -> Wire:
        return Wire((_end(link.ends[0]), _end(link.ends[1])))

    def stands(self) -> t.Iterator[Wire]:
        """From each bridge to the namespace in which it stands; to the host only where that has an address there."""
        for each in self.lab.bridges:
            where = str(each.bridge.where)
            inside = {name for nat in self.routers.get(where, ()) for name in nat.nat.inside or ()}
            if where != HOST_KEY or each.bridge.addresses or each.bridge.name in inside:
                end = End(where, each.bridge.name, texts(each.bridge.addresses), each.bridge.mtu)
                yield Wire((End(bridge_key(where, each.bridge.name)), end), cable=False)

    def uplinks(self) -> t.Iterator[Wire]:
        """From routers to the outside, by links that are not of the lab."""
        own = {(str(end.end.where), end.end.name) for link in self.lab.links for end in link.ends}
        own |= {(str(each.bridge.where), each.bridge.name) for each in self.lab.bridges}
        told: set[tuple[str, str]] = set()
        for each in self.lab.nat:
            where = str(each.nat.where)
            for name in each.nat.uplink:
                # Which one that is tells the host; a namespace has only what the lab gives it.
                unnamed = name in (AUTO, ANY)
                way = (where, "" if unnamed else name)
                if way in told or way in own or (unnamed and where != HOST_KEY):
                    continue
                told.add(way)
                yield Wire((End(*way), End(OUTSIDE_KEY)), cable=False)

    def nat(self, where: str) -> tuple[Nat, ...]:
        return tuple(_nat(each) for each in self.routers.get(where, ()))


def _end(each: Endpoint) -> End:
    end = each.end
    where = str(end.where)
    return End(
        where if end.master is None else bridge_key(where, end.master),
        end.name if each.interface else "",
        texts(end.addresses),
        end.mtu,
        False if end.up is False else None,
    )


def _nat(each: LabNat) -> Nat:
    nat = each.nat
    leaves_as: str | None = ", ".join(
        {AUTO: "the uplink", ANY: "any link"}.get(name, name) for name in dict.fromkeys(nat.uplink)
    )
    if nat.mode == "none":
        leaves_as = None
    elif nat.to_source:
        leaves_as = ", ".join(map(str, nat.to_source))
    publish = tuple(map(wanted_publish_text, nat.publish or ()))
    return Nat(nat_text([str(source) for source in nat.sources], nat.inside or (), leaves_as), publish)


def wanted_publish_text(each: Publish) -> str:
    return publish_text(
        each.ports.protocol,
        shown_range(each.ports.first, each.ports.last),
        None if each.ports.address is None else str(each.ports.address),
        str(each.to),
        shown_range(each.to_first, each.to_first + each.ports.last - each.ports.first),
    )


def wanted_route_text(route: WantedRoute) -> str:
    dst = "default" if route.dst.prefixlen == 0 else str(route.dst)
    hops = [(None if hop.via is None else str(hop.via), hop.dev) for hop in route.gateways]
    return route_text(dst, route.kind or "unicast", hops, route.metric, TABLE_NAMES.get(route.table, str(route.table)))


def texts(addresses: t.Iterable[IPInterface] | None) -> tuple[str, ...]:
    return tuple(map(str, addresses or ()))
