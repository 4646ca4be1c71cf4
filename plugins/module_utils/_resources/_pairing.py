# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operation that makes a veth pair. Source: veth(4), ip-link(8), drivers/net/veth.c, net/core/rtnetlink.c."""

from __future__ import annotations

import dataclasses

from .._message import Index, Message, NamespaceFd
from .._operation import Operation, Request, handle, ip
from .._values import NamespaceRef
from .._world import End, Link, World
from ._linking import DropLink, follow_mtu, keep_mac
from ._place import place

DEFAULT_MTU = 1500


@dataclasses.dataclass(frozen=True)
class NewEnd:
    """One end of a pair in the making; None leaves the choice to the kernel."""

    name: str
    mac: str | None = None
    mtu: int | None = None
    index: int | None = None

    def words(self) -> list[object]:
        found: list[object] = ["name", self.name]
        for word, value in (("index", self.index), ("mtu", self.mtu), ("address", self.mac)):
            found += [] if value is None else [word, value]
        return found

    def attributes(self) -> list[tuple[str, object]]:
        found: list[tuple[str, object]] = [("IFLA_IFNAME", self.name)]
        found += [] if self.mtu is None else [("IFLA_MTU", self.mtu)]
        return found + ([] if self.mac is None else [("IFLA_ADDRESS", self.mac)])

    def link(self, peer: End) -> Link:
        return Link(self.name, "veth", self.index, self.mac, self.mtu or DEFAULT_MTU, peer=peer)


@dataclasses.dataclass(frozen=True)
class AddVeth(Request):
    """Create a pair in one message, its peer named and placed: neither end ever stands in a wrong place.

    The kernel takes a master for the first end only; that of the peer needs a message of its own.
    """

    first: NewEnd
    peer_where: NamespaceRef
    peer: NewEnd
    master: str | None = None

    @property
    def command(self) -> str:
        master = [] if self.master is None else ["master", self.master]
        add = ip(self.where, "link", "add", *self.first.words(), *master, "type", "veth", "peer", *self.peer.words())
        return add if self.peer_where == self.where else f"{add} netns {handle(self.peer_where)}"

    @property
    def purpose(self) -> str:
        return (
            f"create the veth pair {self.first.name} {place(self.where)} and {self.peer.name} {place(self.peer_where)}"
        )

    def message(self) -> Message:
        peer: dict[str, object] = {"attrs": self.peer.attributes()}
        if self.peer.index is not None:
            peer["index"] = self.peer.index
        if self.peer_where != self.where:
            peer["attrs"] = [*self.peer.attributes(), ("IFLA_NET_NS_FD", NamespaceFd(self.peer_where))]
        info = {"attrs": [("VETH_INFO_PEER", peer)]}
        attributes: list[tuple[str, object]] = self.first.attributes()
        if self.master is not None:
            attributes.append(("IFLA_MASTER", Index(self.master)))
        attributes.append(("IFLA_LINKINFO", {"attrs": [("IFLA_INFO_KIND", "veth"), ("IFLA_INFO_DATA", info)]}))
        fields = {} if self.first.index is None else {"index": self.first.index}
        return Message("RTM_NEWLINK", ("CREATE", "EXCL"), fields, attributes, (self.first.name, self.peer.name))

    def simulate(self, world: World) -> None:
        here, there = world.state(self.where), world.state(self.peer_where)
        first = self.first.link(End(there.key, self.peer.name))
        here.links[self.first.name] = first = dataclasses.replace(first, master=self.master)
        if self.master is not None:
            follow_mtu(here, self.master, first)
        there.links[self.peer.name] = self.peer.link(End(here.key, self.first.name))

    def invert(self, world: World) -> tuple[Operation, ...]:
        state = world.state(self.where)
        bridge = None if self.master is None else state.links[self.master]
        kept = () if bridge is None else keep_mac(state, self.where, bridge, self.first.name)
        return (DropLink(self.where, self.first.name, None), *kept)


def drop_veth(world: World, where: NamespaceRef, link: Link) -> DropLink:
    """The removal of a pair by one of its ends, which makes it anew when it is undone, if the other end is within reach."""
    far = world.far_end(link)
    if far is None or link.peer is None:
        return DropLink(where, link.name, None)
    again = AddVeth(
        where,
        NewEnd(link.name, link.mac, link.mtu, link.index),
        where if link.peer.namespace == world.keys[where] else world.reference(link.peer.namespace),
        NewEnd(far.name, far.mac, far.mtu, far.index),
        link.master,
    )
    return DropLink(where, link.name, again)
