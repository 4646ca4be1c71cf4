# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a lab is made of: the resources of the modules, in the order in which they build on each other."""

from __future__ import annotations

import typing as t

from .._addressing import bridge_mac
from .._engine import Resource
from .._lab import Endpoint, Lab, LabLink, LabNamespace
from .._lab_addresses import host_entries
from ._bridge import WantedBridge
from ._lab_ledger import Entries, Key
from ._lab_links import LabPair, places_of, record
from ._link import Up
from ._namespace import Namespace
from ._resolv import ResolvConf, ResolverFiles, hosts_text
from ._route import RouteSet
from ._sysctl import Sysctls, of_a_link
from ._veth import VethEnd, VethPair
from ._wanted_route import WantedRoute

Part = tuple[str, Resource]  # with its place in the definition, for refusals


def wanted_entries(lab: Lab, networks: t.Iterable[object]) -> Entries:
    """What the lab is to have in its ledger, if nothing of it was there before."""
    found: Entries = {}
    for each in lab.namespaces:
        found[("namespace", each.name)] = ""
        for route in each.routes:
            found[route_key(route.route)] = ""
    own = {place for link in lab.links for place in places_of(link)}
    for bridge in lab.bridges:
        found[("bridge", str(bridge.bridge.where), bridge.bridge.name)] = ""
        where = str(bridge.bridge.where)
        ports = [port for port in bridge.bridge.ports or () if (where, port) not in own]
        found.update({("port", where, bridge.bridge.name, port): "" for port in ports})
    for link in lab.links:
        recorded = record(link)
        found[recorded.key] = " ".join(recorded.nodes)
    wishes: list[WantedBridge | VethEnd] = [bridge.bridge for bridge in lab.bridges]
    wishes += [end.end for link in lab.links for end in link.ends]
    for wish in wishes:
        if wish.addresses:
            found[("addresses", str(wish.where), wish.name)] = " ".join(map(str, wish.addresses))
    for nat in lab.nat:
        found[("rules", str(nat.nat.where), nat.nat.name)] = ""
    for each in lab.namespaces:
        if has_files(lab, each):
            found[("files", each.name)] = ""
    found.update({("network", str(network)): "" for network in networks})
    return found


def route_key(route: WantedRoute) -> Key:
    return ("route", str(route.where), str(route.dst), str(route.table), str(route.metric))


def has_files(lab: Lab, namespace: LabNamespace) -> bool:
    return lab.hosts or namespace.resolv is not None or namespace.hosts is not None


def needed_parts(lab: Lab, recorded: Entries, machine: str) -> tuple[list[Part], list[Part]]:
    """The parts that make what is declared: the namespaces, and all that goes into them, between which links are moved.

    ``recorded`` is what the ledger says, ``machine`` tells this host from others.
    """
    first: list[Part] = []
    for each in lab.namespaces:
        first.append((each.path, Namespace(each.name)))
        general = {path: value for path, value in each.sysctls if of_a_link(path) is None}
        if general:
            first.append((f"{each.path}.sysctl", Sysctls(each.where, general)))
    rest: list[Part] = []
    for bridge in lab.bridges:
        mac = bridge_mac(machine, lab.name, str(bridge.bridge.where), bridge.bridge.name)
        rest.append((bridge.path, bridge.bridge.bare(first_mac=mac)))
    rest += [(link.path, LabPair(_pair(link), record(link).key in recorded)) for link in lab.links]
    ends: dict[str, list[Endpoint]] = {}
    for link in lab.links:
        for end in link.ends:
            ends.setdefault(str(end.end.where), []).append(end)
    for each in lab.namespaces:
        rest += _inside(each, ends.pop(each.name, []))
    for others in ends.values():
        rest += [(end.path, part) for end in others for part in end.end.resources()]
        rest += [(end.path, end.end.up_resource()) for end in others]
    rest += [(bridge.path, part) for bridge in lab.bridges for part in bridge.bridge.resources()]
    routes = [each for namespace in lab.namespaces for each in namespace.routes]
    routes.sort(key=lambda each: any(hop.via is not None for hop in each.route.gateways))
    rest += [(each.path, RouteSet(each.route)) for each in routes]
    rest += [(each.path, each.nat) for each in lab.nat]
    return first, [*rest, *_files(lab)]


def _pair(link: LabLink) -> VethPair:
    """The end that is a port comes first: its bridge can be named in the message that makes the pair."""
    first, second = (end.end for end in link.ends)
    return VethPair(second, first) if first.master is None and second.master is not None else VethPair(first, second)


def _inside(namespace: LabNamespace, ends: list[Endpoint]) -> list[Part]:
    found: list[Part] = []
    own = {path: value for path, value in namespace.sysctls if of_a_link(path) is not None}
    if own:
        found.append((f"{namespace.path}.sysctl", Sysctls(namespace.where, own)))
    if namespace.loopback is not None:
        found.append((f"{namespace.path}.loopback", Up(namespace.where, "lo", namespace.loopback)))
    found += [(end.path, part) for end in ends for part in end.end.resources()]
    return [*found, *((end.path, end.end.up_resource()) for end in ends)]


def _files(lab: Lab) -> list[Part]:
    found: list[Part] = []
    everybody = host_entries(lab) if lab.hosts else {}
    common = hosts_text(everybody) if lab.hosts else None
    for each in lab.namespaces:
        if has_files(lab, each):
            hosts = common
            if each.hosts is not None:
                hosts = hosts_text({**everybody, **dict(each.hosts)})
            path = f"{each.path}.resolv" if each.resolv is not None else each.path
            found.append((path, ResolverFiles(each.name, each.resolv or ResolvConf(), hosts)))
    return found
