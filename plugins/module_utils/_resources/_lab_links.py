# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which link of a lab is which of those that it has already, so that one that changes its place is moved and not made anew."""

from __future__ import annotations

import dataclasses
import typing as t

from .._engine import Draft
from .._lab import LabLink
from .._values import HOST, NamespaceRef
from .._world import End, Link, Need, NeedLinks, NeedLinkSysctls, NeedPeer, World
from ._lab_ledger import Entries, Key
from ._link import bring
from ._linking import DropLink, SetLink
from ._pairing import drop_veth
from ._veth import VethPair

Place = tuple[str, str]  # a namespace as the ledger writes it, and an interface in it


def reference(where: str) -> NamespaceRef:
    """The namespace that the ledger means."""
    return HOST if where == str(HOST) else NamespaceRef("name", where)


@dataclasses.dataclass(frozen=True)
class RecordedLink:
    """A link in the ledger; ``nodes`` are what its ends belong to."""

    places: tuple[Place, Place]
    nodes: tuple[str, str]

    @property
    def key(self) -> Key:
        return ("veth", *self.places[0], *self.places[1])

    def turned(self) -> RecordedLink:
        return RecordedLink((self.places[1], self.places[0]), (self.nodes[1], self.nodes[0]))


def recorded_links(entries: Entries) -> list[RecordedLink]:
    found = []
    for key, value in entries.items():
        if key[0] == "veth":
            first, _space, second = value.partition(" ")
            found.append(RecordedLink(((key[1], key[2]), (key[3], key[4])), (first, second)))
    return found


def record(link: LabLink) -> RecordedLink:
    """As it goes into the ledger: the same, whichever end is written first."""
    first, second = ((str(end.end.where), end.end.name) for end in link.ends)
    found = RecordedLink((first, second), (link.ends[0].node, link.ends[1].node))
    return found if first <= second else found.turned()


def places_of(link: LabLink) -> tuple[Place, Place]:
    first, second = link.ends
    return ((str(first.end.where), first.end.name), (str(second.end.where), second.end.name))


@dataclasses.dataclass(frozen=True)
class Carried:
    """That the ends of a link of the lab, which were at the places ``old``, are at the places ``new``.

    An end whose place is taken stays where it is: then the link is made anew.
    """

    old: tuple[Place, Place]
    new: tuple[Place, Place]

    def needs(self, world: World) -> t.Iterable[Need]:
        found: list[Need] = [NeedLinks(reference(where)) for where, _name in (*self.old, *self.new)]
        for (where, name), (other, _name) in zip(self.old, reversed(self.old)):
            ref = reference(where)
            if world.link(ref, name) is not None:
                found += [NeedPeer(ref, name, reference(other)), NeedLinkSysctls(ref, name)]
        return found

    def plan(self, draft: Draft) -> None:
        world = draft.world
        taken = [new for old, new in zip(self.old, self.new) if old != new and _link(world, new) is not None]
        if taken:
            LinkGone(self.old).plan(draft)
            return
        for old, new in zip(self.old, self.new):
            if old != new and _link(world, old) is not None:
                bring(draft, reference(old[0]), old[1], reference(new[0]), new[1])


@dataclasses.dataclass(frozen=True)
class Unplugged:
    """That links which were ports of the lab's ``bridges``, and are no longer declared so, are none."""

    links: tuple[Place, ...]
    bridges: frozenset[Place]

    def needs(self, world: World) -> t.Iterable[Need]:
        return [NeedLinks(reference(where)) for where in dict.fromkeys(where for where, _name in self.links)]

    def plan(self, draft: Draft) -> None:
        for place in self.links:
            link = _link(draft.world, place)
            if link is not None and link.master is not None and (place[0], link.master) in self.bridges:
                draft.do(SetLink(reference(place[0]), link.name, "master", None))


@dataclasses.dataclass(frozen=True)
class LinkGone:
    """That a link of the lab is at neither of its places; at those that are ``taken`` may be another link of the lab."""

    places: tuple[Place, Place]
    taken: frozenset[Place] = frozenset()

    def needs(self, world: World) -> t.Iterable[Need]:
        return Carried(self.places, self.places).needs(world)

    def plan(self, draft: Draft) -> None:
        for place, other in (self.places, self.places[::-1]):
            link = _link(draft.world, place)
            if link is None or link.kind != "veth":
                continue
            far = End(draft.world.keys.get(reference(other[0])) or "", other[1])
            if place not in self.taken or link.peer == far:
                draft.do(drop_veth(draft.world, reference(place[0]), link))


def _link(world: World, place: Place) -> Link | None:
    return world.link(reference(place[0]), place[1])


def match(links: t.Sequence[LabLink], recorded: t.Sequence[RecordedLink]) -> tuple[list[Carried], list[RecordedLink]]:
    """Which recorded links change their places to become which of ``links``, and which are none of them any more.

    A link is known by both its places, else by one of them, else by the nodes that it joins.
    """
    left = {frozenset(each.places): each for each in recorded}
    fresh = [link for link in links if left.pop(frozenset(places_of(link)), None) is None]
    carried = []
    for nearness in (_share_a_place, _join_the_same):
        index: dict[object, list[RecordedLink]] = {}
        for each in left.values():
            for handle in nearness(each.places, each.nodes):
                index.setdefault(handle, []).append(each)
        remaining = []
        for link in fresh:
            new, nodes = places_of(link), (link.ends[0].node, link.ends[1].node)
            found = next(
                (
                    each
                    for handle in nearness(new, nodes)
                    for each in index.get(handle, ())
                    if frozenset(each.places) in left
                ),
                None,
            )
            if found is None:
                remaining.append(link)
                continue
            del left[frozenset(found.places)]
            carried.append(Carried(_oriented(found, new, nodes), new))
        fresh = remaining
    return carried, list(left.values())


def _share_a_place(places: tuple[Place, Place], nodes: tuple[str, str]) -> t.Iterable[object]:
    return places


def _join_the_same(places: tuple[Place, Place], nodes: tuple[str, str]) -> t.Iterable[object]:
    return (frozenset(nodes),)


def _oriented(found: RecordedLink, new: tuple[Place, Place], nodes: tuple[str, str]) -> tuple[Place, Place]:
    """The recorded places in the order of the new ones."""
    straight = sum(old == wanted for old, wanted in zip(found.places, new))
    turned = sum(old == wanted for old, wanted in zip(reversed(found.places), new))
    if straight == turned:
        straight = int(found.nodes == nodes)
        turned = 1 - straight
    return found.places if straight > turned else found.turned().places


@dataclasses.dataclass(frozen=True)
class LabPair:
    """That a link of the lab is there, of which the ledger may say that it was.

    Then it is known by either of its ends, wherever the other one was put by hand; and where that is nowhere to be found, in a
    namespace that has lost its name or is ending, the link is made anew.
    """

    pair: VethPair
    recorded: bool

    def needs(self, world: World) -> t.Iterable[Need]:
        return self._by_the_end_there(world).needs(world)

    def plan(self, draft: Draft) -> None:
        pair = self._by_the_end_there(draft.world)
        link = draft.world.link(pair.first.where, pair.first.name)
        if self.recorded and link is not None and link.kind == "veth" and draft.world.far_end(link) is None:
            draft.do(DropLink(pair.first.where, pair.first.name, None))
        pair.plan(draft)

    def _by_the_end_there(self, world: World) -> VethPair:
        first, peer = self.pair.first, self.pair.peer
        if not self.recorded or peer is None or world.link(first.where, first.name) is not None:
            return self.pair
        return self.pair if world.link(peer.where, peer.name) is None else VethPair(peer, first)
