# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a lab is made of: the resources of the modules, in the order in which they build on each other.

What the lab has in its ledger and no longer declares goes first, links before what they lead to; only whole namespaces go
last, since the end of a process can't be undone.
"""

from __future__ import annotations

import dataclasses
import functools
import ipaddress
import typing as t

from .._addressing import bridge_mac
from .._engine import Draft, Resource
from .._errors import Problem
from .._lab import Endpoint, Lab, LabLink, LabNamespace
from .._lab_addresses import host_entries
from .._operation import ip
from .._values import IPInterface
from .._world import Need, NeedLinks, World
from ._address import DropAddress
from ._binding import name_ref
from ._bridge import WantedBridge
from ._lab_ledger import Entries, Key
from ._lab_links import LinkGone, Place, RecordedLink, places_of, record, reference
from ._link import Up
from ._linking import SetLink
from ._namespace import Ended, Namespace
from ._nat_plan import Nat
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


def needed_parts(lab: Lab, machine: str) -> tuple[list[Part], list[Part]]:
    """The parts that make what is declared: the namespaces, and all that goes into them, between which links are moved.

    ``machine`` tells this host from others.
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
    rest += [(link.path, _pair(link)) for link in lab.links]
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


@dataclasses.dataclass(frozen=True)
class Surplus:
    """What is in the ledger and no longer declared.

    ``links`` are those of it, ``taken`` the places that links and bridges of the lab are to have, ``left`` those that links
    are moved away from.
    """

    entries: Entries
    links: tuple[RecordedLink, ...]
    taken: frozenset[Place]
    left: frozenset[Place]

    def early_parts(self) -> list[Part]:
        """What goes before anything is made."""
        found: list[Part] = []
        going = {place for link in self.links for place in link.places} | self.left
        going |= {(key[1], key[2]) for key in self.entries if key[0] == "bridge"}
        for key in self.entries:
            if key[0] == "rules":
                found.append(("", Nat(reference(key[1]), key[2], present=False)))
            elif key[0] == "route" and key[1] not in self.namespaces:
                found.append(("", RouteSet(_route(key), present=False)))
            elif key[0] == "addresses" and (key[1], key[2]) not in going and key[1] not in self.namespaces:
                addresses = tuple(ipaddress.ip_interface(text) for text in self.entries[key].split())
                found.append(("", AddressesGone(key[1], key[2], addresses)))
            elif key[0] == "files":
                found.append(("", ResolverFiles(key[1], present=False)))
            elif key[0] == "port":
                found.append(("", Unplugged(key[1], frozenset([key[2]]), key[3])))
        return [*found, *(("", LinkGone(link.places, self.taken)) for link in self.links if not self._vanishes(link))]

    def late_parts(self, processes: str) -> list[Part]:
        """What others were moved out of before."""
        bridges = [key for key in self.entries if key[0] == "bridge" and key[1] not in self.namespaces]
        found: list[Part] = [("", self._bridge_gone(key[1], key[2])) for key in bridges]
        if not self.namespaces:
            return found
        places = [(place, other) for link in self.links for place, other in (link.places, link.places[::-1])]
        likely = {place: reference(other[0]) for place, other in places}
        ended = Ended(tuple(self.namespaces), processes, likely)
        return [*found, ("", NamespacesGone(ended, tuple(link for link in self.links if self._vanishes(link))))]

    def _bridge_gone(self, where: str, name: str) -> BridgeGone:
        """Whose ports may be any links of the lab, and no others."""
        ports = tuple(link for each in self.links for place, link in each.places if place == where)
        return BridgeGone(WantedBridge(reference(where), name, ports=ports))

    @functools.cached_property
    def namespaces(self) -> t.Mapping[str, None]:
        """Their names, in order."""
        return {key[1]: None for key in self.entries if key[0] == "namespace"}

    def _vanishes(self, link: RecordedLink) -> bool:
        """Whether it goes along with a namespace, and nothing is to take its place before that."""
        return any(place[0] in self.namespaces for place in link.places) and not self.taken.intersection(link.places)


def _route(key: Key) -> WantedRoute:
    return WantedRoute(reference(key[1]), ipaddress.ip_network(key[2]), int(key[3]), int(key[4]))


@dataclasses.dataclass(frozen=True)
class AddressesGone:
    """That a link has these addresses no longer, if it is there."""

    where: str
    link: str
    addresses: tuple[IPInterface, ...]

    def needs(self, world: World) -> t.Iterable[Need]:
        return (NeedLinks(reference(self.where)),)

    def plan(self, draft: Draft) -> None:
        for address in self.addresses:
            link = draft.world.link(reference(self.where), self.link)
            found = [each for each in (() if link is None else link.addresses) if each.ip == address and each.static]
            for each in found:
                draft.do(DropAddress(reference(self.where), self.link, each))


def unplugged_ends(lab: Lab, recorded: Entries) -> list[Part]:
    """The ends that are ports of none of the lab's bridges, and might have been."""
    bridges: dict[str, set[str]] = {}
    for key in (*recorded, *wanted_entries(lab, ())):
        if key[0] == "bridge":
            bridges.setdefault(key[1], set()).add(key[2])
    ends = [end for link in lab.links for end in link.ends if end.end.master is None and str(end.end.where) in bridges]
    return [
        (end.path, Unplugged(str(end.end.where), frozenset(bridges[str(end.end.where)]), end.end.name)) for end in ends
    ]


@dataclasses.dataclass(frozen=True)
class BridgeGone:
    """That a bridge of the lab, whose ports are all its own, is gone."""

    bridge: WantedBridge

    def needs(self, world: World) -> t.Iterable[Need]:
        return self.bridge.bare(present=False).needs(world)

    def plan(self, draft: Draft) -> None:
        state = draft.world.at(self.bridge.where)
        ports = () if state is None else state.ports(self.bridge.name)
        foreign = [port for port in ports if port not in (self.bridge.ports or ())]
        if foreign:
            raise Problem(
                f"bridge {self.bridge} has ports that are not of the lab: {', '.join(foreign)}",
                f"take them out: {ip(self.bridge.where, 'link', 'set', 'dev', foreign[0], 'nomaster')}",
            )
        self.bridge.bare(present=False).plan(draft)


@dataclasses.dataclass(frozen=True)
class Unplugged:
    """That a link, if it is there, is a port of none of these bridges."""

    where: str
    bridges: frozenset[str]
    link: str

    def needs(self, world: World) -> t.Iterable[Need]:
        return (NeedLinks(reference(self.where)),)

    def plan(self, draft: Draft) -> None:
        link = draft.world.link(reference(self.where), self.link)
        if link is not None and link.master in self.bridges:
            draft.do(SetLink(reference(self.where), self.link, "master", None))


@dataclasses.dataclass(frozen=True)
class NamespacesGone:
    """That namespaces of the lab have ended, and their links with them.

    The kernel takes the links of all of them apart in one sweep, which is twenty times as fast as one by one. Where
    something else keeps a namespace alive, its links are removed one by one.
    """

    ended: Ended
    links: tuple[RecordedLink, ...]

    @functools.cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(self.ended.names)

    def needs(self, world: World) -> t.Iterable[Need]:
        found = list(self.ended.needs(world))
        for link in self.links:
            if not self._goes_along(world, link):
                found += LinkGone(link.places).needs(world)
        return found

    def plan(self, draft: Draft) -> None:
        for link in self.links:
            if not self._goes_along(draft.world, link):
                LinkGone(link.places).plan(draft)
        self.ended.plan(draft)

    def _goes_along(self, world: World, link: RecordedLink) -> bool:
        return any(
            where in self._names and world.at(name_ref(where)) is not None and self.ended.ends(world, where)
            for where, _name in link.places
        )
