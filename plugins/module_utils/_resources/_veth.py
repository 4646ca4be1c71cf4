# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""veth pairs: which two links are the declared pair, and how it comes to be where it is declared.

Source: veth(4), ip-link(8), drivers/net/veth.c.
"""

from __future__ import annotations

import dataclasses
import shlex
import typing as t

from .._engine import Declaration, Draft, Resource
from .._errors import Problem
from .._values import (
    HOST,
    IPInterface,
    NamespaceRef,
    parse_addresses,
    parse_interface,
    parse_mac,
    parse_mtu,
    parse_mtu_from,
    parse_namespace,
)
from .._world import End, Link, Need, NeedLinks, NeedLinkSysctls, NeedNamespace, NeedPeer, World
from ._addresses import Addresses
from ._link import Attributes, Up, bring, governed_link, mtu_of, report_link
from ._pairing import AddVeth, NewEnd, drop_veth
from ._place import described_kind, link_at, namespace_at, place


@dataclasses.dataclass(frozen=True)
class VethEnd:
    """One end as a user declares it; None is not managed."""

    where: NamespaceRef
    name: str
    mac: str | None = None
    mtu: int | None = None
    mtu_from: str | None = None
    addresses: tuple[IPInterface, ...] | None = None
    purge: bool = True
    up: bool | None = True
    master: str | None = None
    force: bool = False

    def __str__(self) -> str:
        return f"{self.name} {place(self.where)}"

    def new(self, draft: Draft) -> NewEnd:
        mtu = self.mtu if self.mtu_from is None else mtu_of(draft, self.mtu_from)
        return NewEnd(self.name, self.mac, mtu)

    def resources(self) -> list[Resource]:
        found: list[Resource] = [Attributes(self.where, self.name, self.mac, self.mtu, self.mtu_from, self.master)]
        if self.up is False:  # before the addresses: a link that goes down loses those of IPv6
            found.append(self.up_resource())
        if self.addresses is not None:
            found.append(Addresses(self.where, self.name, self.addresses, self.purge, self.force))
        return found

    def up_resource(self) -> Resource:
        return Up(self.where, self.name, self.up)


@dataclasses.dataclass(frozen=True)
class VethPair:
    """That the pair exists, each end under its name in its namespace, which takes a peer; or, ``present`` false, that it does not."""

    first: VethEnd
    peer: VethEnd | None
    present: bool = True

    def needs(self, world: World) -> t.Iterable[Need]:
        first, peer = self.first, self.peer
        ends = [first] if peer is None or not self.present else [first, peer]
        found: list[Need] = [NeedLinks(end.where) for end in ends]
        if self.present and any(end.mtu_from for end in ends):
            found.append(NeedLinks(HOST))
        if peer is not None and not self.present:
            found.append(NeedNamespace(peer.where))
        likely = first.where if peer is None else peer.where
        if world.link(first.where, first.name) is not None:
            found.append(NeedPeer(first.where, first.name, likely))
        elif self.present and peer is not None and world.link(peer.where, peer.name) is not None:
            found.append(NeedPeer(peer.where, peer.name, first.where))
        return found + self._of_what_goes(world)

    def _of_what_goes(self, world: World) -> list[Need]:
        """What ends lose that are removed or moved, to be given back should the task fail."""
        found: list[Need] = []
        for end in (self.first, self.peer):
            link = None if end is None else world.link(end.where, end.name)
            far = None if link is None else world.far_end(link)
            if end is None or link is None or link.peer is None or far is None:
                continue
            if not self.present:
                found.append(NeedLinkSysctls(end.where, end.name))
            if not self.present or not self._is_placed(world, link.peer):
                found.append(NeedLinkSysctls(world.reference(link.peer.namespace), far.name))
        return found

    def _is_placed(self, world: World, place: End) -> bool:
        ends = [end for end in (self.first, self.peer) if end is not None]
        return any(place == End(world.keys.get(end.where) or "", end.name) for end in ends)

    def plan(self, draft: Draft) -> None:
        if self.present:
            self._plan_present(draft, t.cast(VethEnd, self.peer))
        else:
            self._plan_absent(draft)

    def _plan_present(self, draft: Draft, other: VethEnd) -> None:
        namespace_at(draft, self.first.where)
        namespace_at(draft, other.where)
        first, peer = self._link(draft, self.first), self._link(draft, other)
        if first is not None:
            self._place(draft, self.first, first, other, peer)
        elif peer is not None:
            if peer.peer is None or peer.peer.name != self.first.name:
                raise Problem(
                    f"link {other} is taken: it is the end of another pair,"
                    f" whose other end is {_shown(draft.world, peer)}, not {self.first.name}",
                    "remove that pair, or choose another name for the peer",
                )
            self._place(draft, other, peer, self.first, None)
        else:
            self._create(draft, other)

    def _link(self, draft: Draft, end: VethEnd) -> Link | None:
        link = draft.world.link(end.where, end.name)
        if link is not None and link.kind != "veth":
            raise Problem(
                f"link {end} is taken: it is no veth, but {described_kind(link)}", "remove it, or choose another name"
            )
        return link

    def _place(self, draft: Draft, known: VethEnd, link: Link, other: VethEnd, occupant: Link | None) -> None:
        """``link`` is the end ``known`` of the pair: bring its far end to where ``other`` is declared."""
        world = draft.world
        if link.peer is None or world.far_end(link) is None:
            raise Problem(
                f"the other end of veth {known} is in a namespace that can't be found",
                "remove the veth, or name the namespace that holds its other end",
            )
        if link.peer == End(world.keys[other.where] or "", other.name):
            return
        if occupant is not None:
            raise Problem(
                f"link {other} is taken: it is not the other end of {known}, which is {_shown(world, link)}",
                "remove one of the two pairs, or choose another name",
            )
        bring(draft, world.reference(link.peer.namespace), link.peer.name, other.where, other.name)

    def _create(self, draft: Draft, peer: VethEnd) -> None:
        if self.first.master is not None:
            link_at(draft, self.first.where, self.first.master, "master", "bridge")
        same = draft.world.keys[self.first.where] == draft.world.keys[peer.where]
        peer_where = self.first.where if same else peer.where
        draft.do(AddVeth(self.first.where, self.first.new(draft), peer_where, peer.new(draft), self.first.master))

    def _plan_absent(self, draft: Draft) -> None:
        world, end = draft.world, self.first
        if end.where.kind in ("path", "pid") and world.at(end.where) is None:
            namespace_at(draft, end.where)
        link = self._link(draft, end)
        if link is None:
            return
        draft.do(drop_veth(world, end.where, link))


def _shown(world: World, link: Link) -> str:
    if link.peer is None:
        return "in a namespace that can't be found"
    return f"{link.peer.name} {place(world.reference(link.peer.namespace))}"


# from the options of the module


def parse_end(options: t.Mapping[str, t.Any], what: str, force: bool = False) -> VethEnd:
    """One end; ``what`` says which in a refusal.

    :raises Problem: it has no name, or an option is out of its range.
    """
    if not options.get("name"):
        raise Problem(f"the {what} of a veth pair has no name", "give it one")
    name = parse_interface(options["name"])
    if name == "lo":
        raise Problem("a veth can't be named lo", "every namespace has its loopback under that name")
    addresses = options.get("addresses")
    purge = options.get("purge_addresses")
    return VethEnd(
        where=parse_namespace(options.get("netns")),
        name=name,
        mac=None if options.get("mac") is None else parse_mac(options["mac"]),
        mtu=None if options.get("mtu") is None else parse_mtu(options["mtu"], name),
        mtu_from=parse_mtu_from(options.get("mtu_from")),
        addresses=None if addresses is None else parse_addresses(addresses),
        purge=True if purge is None else purge,
        up=True if options.get("up") is None else options["up"],
        master=None if options.get("master") is None else parse_interface(options["master"]),
        force=force,
    )


def _pair(options: t.Mapping[str, t.Any], present: bool, force: bool) -> VethPair:
    first = parse_end(options, "first end", force)
    if present and not options.get("peer"):
        raise Problem(f"veth {first} has no peer", "declare peer: with at least its name")
    given = options.get("peer") or {}
    peer = parse_end(given, f"peer of {first.name}", force) if present or given.get("name") else None
    return VethPair(first, peer, present)


def _refuse_doubles(pairs: t.Iterable[VethPair]) -> None:
    taken: set[tuple[NamespaceRef, str]] = set()
    for pair in pairs:
        for end in (pair.first, pair.peer):
            if end is None:
                continue
            if (end.where, end.name) in taken:
                raise Problem(f"link {end} is declared twice", "each end has a name of its own in its namespace")
            taken.add((end.where, end.name))


def declare(params: t.Mapping[str, t.Any]) -> Declaration:
    """The pairs of a task: all are made first, then what is inside, and the first ends come up last."""
    present = params["state"] == "present"
    options = params["pairs"] if params.get("pairs") is not None else [params]
    pairs = [_pair(each, present, bool(params.get("force"))) for each in options]
    _refuse_doubles(pairs)
    resources: list[Resource] = list(pairs)
    if present:
        ends = [(pair.first, pair.peer) for pair in pairs if pair.peer is not None]
        resources += [resource for first, _peer in ends for resource in first.resources()]
        for _first, peer in ends:
            resources += [*peer.resources(), peer.up_resource()]
        resources += [first.up_resource() for first, _peer in ends]

    def report(world: World) -> dict[str, object]:
        found = [
            [report_link(world, end.where, end.name) for end in (pair.first, pair.peer) if end is not None]
            for pair in pairs
        ]
        return {"pairs": [links for links in found if any(links)]}

    def governed(world: World) -> object:
        ends = [
            (end, report_link(world, end.where, end.name)) for pair in pairs for end in (pair.first, pair.peer) if end
        ]
        return {str(end): governed_link(world, end.where, shown) for end, shown in ends}

    names = ", ".join(shlex.quote(pair.first.name) for pair in pairs[:3]) + (", ..." if len(pairs) > 3 else "")
    return Declaration(resources, report, f"veth {names}", governed)
