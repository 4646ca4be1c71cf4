# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task declares of a link that is there, and the shape in which links are returned."""

from __future__ import annotations

import dataclasses
import typing as t

from .._engine import Draft
from .._errors import Problem
from .._operation import ip
from .._values import HOST, NamespaceRef
from .._world import Link, Need, NeedLinks, World
from ._addresses import dynamic_addresses, shown_addresses
from ._linking import IPV6_MIN_MTU, MAX_MTU, MoveLink, SetLink, bring_back, renamed
from ._place import link_at, place


@dataclasses.dataclass(frozen=True)
class Attributes:
    """Attributes of a link; None is not managed.

    ``mtu_from`` takes over the MTU of an interface of the host; the ``master`` "" is none.
    """

    where: NamespaceRef
    link: str
    mac: str | None = None
    mtu: int | None = None
    mtu_from: str | None = None
    master: str | None = None
    promisc: bool | None = None

    def needs(self, world: World) -> t.Iterable[Need]:
        return (NeedLinks(self.where), *((NeedLinks(HOST),) if self.mtu_from else ()))

    def plan(self, draft: Draft) -> None:
        link = link_at(draft, self.where, self.link)
        if self.mac is not None and link.mac != self.mac:
            draft.do(SetLink(self.where, self.link, "mac", self.mac))
        mtu = self.mtu if self.mtu_from is None else mtu_of(draft, self.mtu_from)
        if mtu is not None and link.mtu != mtu:
            if mtu < IPV6_MIN_MTU and any(a.static and a.ip.version == 6 for a in link.addresses):
                raise Problem(
                    f"MTU {mtu} of link {self.link} {place(self.where)} is below {IPV6_MIN_MTU}, and the link has IPv6"
                    " addresses, which the kernel would take off it",
                    "choose a larger MTU, or remove the addresses first",
                )
            draft.do(SetLink(self.where, self.link, "mtu", mtu))
        if self.promisc is not None and link.promisc != self.promisc:
            draft.do(SetLink(self.where, self.link, "promisc", self.promisc))
        if self.master is not None and (link.master or "") != self.master:
            if self.master:
                link_at(draft, self.where, self.master, "master", "bridge")
            draft.do(SetLink(self.where, self.link, "master", self.master or None))


@dataclasses.dataclass(frozen=True)
class Up:
    """Whether a link is up; None is not managed."""

    where: NamespaceRef
    link: str
    up: bool | None = True

    def needs(self, world: World) -> t.Iterable[Need]:
        return (NeedLinks(self.where),)

    def plan(self, draft: Draft) -> None:
        if self.up is not None and link_at(draft, self.where, self.link).up != self.up:
            draft.do(SetLink(self.where, self.link, "up", self.up))


def mtu_of(draft: Draft, name: str) -> int | None:
    """The MTU of an interface of the host; ``auto`` is the link of its default route, None where it has none."""
    state = draft.world.state(HOST)
    if name != "auto":
        return _veth_mtu(link_at(draft, HOST, name, "link"))
    for version in (4, 6):
        route = state.default_route(version)
        if route is not None:
            return _veth_mtu(state.links[route.devs[0]])
    return None


def _veth_mtu(link: Link) -> int | None:
    """The MTU of a link, as far as a veth or a bridge can take it: a loopback has one byte more."""
    return None if link.mtu is None else min(link.mtu, MAX_MTU)


def rename(draft: Draft, ref: NamespaceRef, old: str, new: str) -> None:
    """Rename a link where it is; before Linux 6.2 it has to be down for that, and gets back what it loses by it."""
    link = link_at(draft, ref, old)
    if not link.up or draft.world.live_rename:
        draft.do(SetLink(ref, old, "name", new))
        return
    before = draft.world.copy()
    draft.do(SetLink(ref, old, "up", False), SetLink(ref, old, "name", new))
    state = before.state(ref)
    renamed(before, state, state.links[old], new)
    draft.do(*bring_back(before, draft.world, ref, new))


def bring(draft: Draft, source: NamespaceRef, old: str, target: NamespaceRef, new: str) -> None:
    """Put a link where it is declared: into another namespace, or renamed where it is.

    The kernel moves a link first and renames it then, and leaves it moved where it refuses the name: hence two steps, of
    which each can be undone. In one it takes both only where the old name is another's there.
    """
    there = draft.world.state(target).links.values()
    links = [draft.world.the_link(source, old), *there]
    holder = next((link.name for link in links if new in link.altnames), None)
    if holder is not None:
        raise Problem(
            f"link {old} {place(source)} can't be called {new} {place(target)}: that is an alternative name of {holder}",
            f"choose another name, or take it away: {ip(target, 'link', 'property', 'del', 'dev', holder, 'altname', new)}",
        )
    if draft.world.keys[source] == draft.world.keys[target]:
        rename(draft, target, old, new)
    elif old == new or any(old in (link.name, *link.altnames) for link in there):
        draft.do(MoveLink(source, old, target, new))
    else:
        draft.do(MoveLink(source, old, target, old), SetLink(target, old, "name", new))


def report_link(
    world: World, ref: NamespaceRef, name: str, known: t.Mapping[str, NamespaceRef] | None = None
) -> dict[str, object] | None:
    """The shape in which every module returns a link; None where there is none.

    ``known`` is what World.references says, for those who report thousands.
    """
    link = world.link(ref, name)
    if link is None:
        return None
    peer = None
    if link.peer is not None:
        home = link.peer.namespace
        peer = {"name": link.peer.name, "netns": str(world.reference(home) if known is None else known[home])}
    return {
        "name": link.name,
        "netns": str(ref),
        "kind": link.kind,
        "index": link.index,
        "mac": link.mac,
        "mtu": link.mtu,
        "up": link.up,
        "state": link.state,
        "master": link.master,
        "addresses": shown_addresses(link),
        "peer": peer,
    }


def governed_link(world: World, ref: NamespaceRef, shown: dict[str, object] | None) -> dict[str, object] | None:
    """A link for a diff: as returned, and which of its addresses have a lifetime, which a task may take from them."""
    link = None if shown is None else world.link(ref, str(shown["name"]))
    dynamic = [] if link is None else dynamic_addresses(link)
    return {**shown, "dynamic": dynamic} if shown is not None and dynamic else shown
