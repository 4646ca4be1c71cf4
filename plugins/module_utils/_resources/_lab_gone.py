# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a lab is to go: what its ledger has and its definition no longer.

Most goes first, links before what they lead to; only bridges and whole namespaces go last: others are moved out of them, and the
end of a process can't be undone.
"""

from __future__ import annotations

import dataclasses
import functools
import ipaddress
import typing as t

from .._engine import Draft
from .._errors import Problem
from .._operation import ip
from .._values import IPInterface
from .._world import Need, NeedLinks, World
from ._address import DropAddress
from ._binding import name_ref
from ._bridge import WantedBridge
from ._lab_ledger import Entries, Key
from ._lab_links import LinkGone, Place, RecordedLink, Unplugged, reference
from ._lab_parts import Part
from ._namespace import Ended
from ._nat_plan import Nat
from ._resolv import ResolverFiles
from ._route import RouteSet
from ._wanted_route import WantedRoute


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
                found.append(("", Unplugged(((key[1], key[3]),), frozenset([(key[1], key[2])]))))
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
