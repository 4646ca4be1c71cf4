# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in a lab's way on its host: objects that are there and not its own, and networks that others use."""

from __future__ import annotations

import dataclasses
import ipaddress
import typing as t

from .._lab import Fault, Lab
from .._lab_addresses import claims
from .._values import HOST, IPNetwork
from .._world import Need, NeedLinks, World
from ._addresses import Addresses
from ._binding import name_ref
from ._lab_ledger import Entries, Key, Ledger
from ._lab_links import Place, places_of, record, reference
from ._lab_parts import Part, has_files, route_key
from ._nat_rules import holders, overlap
from ._place import place
from ._resolv import ResolverFiles


@dataclasses.dataclass(frozen=True)
class Conflicts:
    """``recorded`` is what the ledger says; with ``adopt`` what is there already is taken as it is, and never removed."""

    lab: Lab
    ledger: Ledger
    recorded: Entries
    adopt: bool

    def needs(self, world: World) -> t.Iterable[Need]:
        return (NeedLinks(HOST),)

    def faults(self, world: World) -> list[Fault]:
        found = [] if self.adopt else [self._exists(path, what) for path, what, _key in self._foreign(world)]
        return [*found, *self._taken_networks(world)]

    def _exists(self, path: str, what: str) -> Fault:
        advice = "choose another name, remove it, or set adopt: true to take it as it is"
        return Fault(path, f"{what} exists and was not made by lab {self.lab.name}: {advice}")

    def _foreign(self, world: World) -> t.Iterator[tuple[str, str, Key]]:
        """What of the lab exists without being in the ledger: path, description, and the key that it would have."""
        for each in self.lab.namespaces:
            if world.names[each.name].state == "namespace" and ("namespace", each.name) not in self.recorded:
                yield each.path, f"namespace {each.name}", ("namespace", each.name)
        for bridge in self.lab.bridges:
            key = ("bridge", str(bridge.bridge.where), bridge.bridge.name)
            if key not in self.recorded and world.link(bridge.bridge.where, bridge.bridge.name) is not None:
                yield bridge.path, f"link {bridge.bridge}", key
        own = self._recorded_places()
        for link in self.lab.links:
            for end, where in zip(link.ends, places_of(link)):
                if where not in own and world.link(end.end.where, end.end.name) is not None:
                    yield end.path, f"link {end.end}", record(link).key
        for nat in self.lab.nat:
            key = ("rules", str(nat.nat.where), nat.nat.name)
            state = world.at(nat.nat.where)
            there = () if state is None else holders(state.table).values()
            if key not in self.recorded and nat.nat.name in there:
                yield nat.path, f"rule set {nat.nat.name} {place(nat.nat.where)}", key
        for each in self.lab.namespaces:
            if has_files(self.lab, each) and ("files", each.name) not in self.recorded:
                for path in ResolverFiles(each.name).paths:
                    if world.files.get(path) is not None:
                        yield f"{each.path}.resolv", f"file {path}", ("files", each.name)

    def _recorded_places(self) -> set[Place]:
        return {pair for key in self.recorded if key[0] == "veth" for pair in ((key[1], key[2]), (key[3], key[4]))}

    # Networks

    def _taken_networks(self, world: World) -> list[Fault]:
        """Networks of other labs, and those that the host reaches by links that are not the lab's."""
        wanted = claims(self.lab)
        if not wanted:
            return []
        others = [
            (ipaddress.ip_network(text), f"lab {name} has {text}")
            for name, networks in self.ledger.networks_of_others(world).items()
            for text in networks
        ]
        others += self._of_the_host(world)
        return [
            Fault(path, f"network {network} is in use: {who}: choose another one")
            for network, path in wanted.items()
            for who in [who for other, who in others if overlap(network, other)][:1]
        ]

    def _of_the_host(self, world: World) -> list[tuple[IPNetwork, str]]:
        state = world.state(HOST)
        own = {name for where, name in self._recorded_places() if where == str(HOST)}
        own |= {key[2] for key in self.recorded if key[0] == "bridge" and key[1] == str(HOST)}
        own |= {bridge.bridge.name for bridge in self.lab.bridges if bridge.bridge.where == HOST}
        own |= {end.end.name for link in self.lab.links for end in link.ends if end.end.where == HOST}
        found = [
            (address.ip.network, f"{address.ip} of link {link.name} is in it")
            for link in state.links.values()
            if link.name not in own
            for address in link.addresses
            if not address.ip.ip.is_link_local and not address.ip.ip.is_loopback
        ]
        return found + [
            (route.dst, f"the host has a route to {route.dst} by {', '.join(route.devs)}")
            for route in state.routes
            if route.kind == "unicast" and route.via is None and route.dst.prefixlen and route.devs
            if not own.intersection(route.devs) and not route.dst.is_link_local and not route.dst.is_multicast
        ]

    # What is taken as it is

    def owned(self, world: World, wanted: Entries) -> Entries:
        """Of what the ledger is to hold, what this lab makes, or has made."""
        adopted = {key for _path, _what, key in self._foreign(world)}
        kept = {key: value for key, value in wanted.items() if key not in adopted}
        for namespace in self.lab.namespaces:
            state = world.at(name_ref(namespace.name))
            for route in namespace.routes:
                key = route_key(route.route)
                if state is not None and key not in self.recorded and route.route.find(state) is not None:
                    del kept[key]
        for key in [key for key in kept if key[0] == "port" and key not in self.recorded]:
            port = world.link(reference(key[1]), key[3])
            if port is not None and port.master == key[2]:
                del kept[key]
        for key in [key for key in kept if key[0] == "addresses"]:
            link = world.link(reference(key[1]), key[2])
            before = {str(address.ip) for address in (() if link is None else link.addresses)}
            before -= set(self.recorded.get(key, "").split())
            made = [address for address in kept[key].split() if address not in before]
            if made and before.intersection(kept[key].split()):
                kept[key] = " ".join(made)
            elif not made:
                del kept[key]
        return kept

    def considerate(self, world: World, parts: t.Sequence[Part]) -> t.Sequence[Part]:
        """The parts, of which those that touch adopted links leave addresses that are not declared."""
        adopted = {key for _path, _what, key in self._foreign(world)}
        places = {(key[n], key[n + 1]) for key in adopted for n in range(1, len(key) - 1, 2)}
        if not places:
            return parts
        return [
            (path, dataclasses.replace(part, purge=False))
            if isinstance(part, Addresses) and (str(part.where), part.link) in places
            else (path, part)
            for path, part in parts
        ]
