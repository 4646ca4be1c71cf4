# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Operations on links of any kind: an attribute, a move to another namespace, a removal, and what brings a link back.

Source: ip-link(8), rtnetlink(7), net/core/rtnetlink.c, net/core/dev.c.
"""

from __future__ import annotations

import dataclasses
import errno
import ipaddress
import typing as t

from .._message import Index, Message, NamespaceFd
from .._operation import Operation, Request, handle, ip
from .._values import HOST, NamespaceRef
from .._world import SCOPE_HOST, Address, End, Link, NamespaceState, World
from ._address import AddAddress, DropAddress
from ._place import place
from ._routing import forget_routes, put_back, rename_in_routes
from ._sysctl import SetSysctl, forget_sysctls

IFF_UP, IFF_PROMISC = 0x1, 0x100
LOCALHOST = Address(ipaddress.ip_interface("127.0.0.1/8"), scope=SCOPE_HOST)
MAX_MTU = 65535
IPV6_MIN_MTU = 1280  # below it the kernel takes IPv6 off the link


@dataclasses.dataclass(frozen=True)
class SetLink(Request):
    """Change one attribute: up, promisc (bool), mtu (int), mac, name (str), master (str, None for no master).

    One operation each, because the kernel applies several in turn and leaves the first ones when a later one fails.
    """

    link: str
    attribute: str
    value: object

    @property
    def command(self) -> str:
        return ip(self.where, "link", "set", "dev", self.link, *self._words())

    def _words(self) -> tuple[object, ...]:
        if self.attribute == "up":
            return ("up",) if self.value else ("down",)
        if self.attribute == "promisc":
            return ("promisc", "on" if self.value else "off")
        if self.attribute == "master":
            return ("nomaster",) if self.value is None else ("master", self.value)
        return ({"mac": "address"}.get(self.attribute, self.attribute), self.value)

    @property
    def purpose(self) -> str:
        return f"set link {self.link} {place(self.where)} {' '.join(map(str, self._words()))}"

    def advice(self, number: int | None) -> str:
        if self.attribute == "mac" and number == errno.EBUSY:
            return "its driver takes a new one only while the link is down; have it down first (up: false)"
        if self.attribute == "mac" and number == errno.EOPNOTSUPP:
            return "its driver takes no other; leave mac out"
        return super().advice(number)

    def message(self) -> Message:
        fields: dict[str, object] = {"index": Index(self.link)}
        attributes: list[tuple[str, object]] = []
        if self.attribute in ("up", "promisc"):
            flag = IFF_UP if self.attribute == "up" else IFF_PROMISC
            fields.update(flags=flag if self.value else 0, change=flag)
        elif self.attribute == "master":
            attributes.append(("IFLA_MASTER", 0 if self.value is None else Index(str(self.value))))
        else:
            names = {"mtu": "IFLA_MTU", "mac": "IFLA_ADDRESS", "name": "IFLA_IFNAME"}
            attributes.append((names[self.attribute], self.value))
        changed_names = (self.link, str(self.value)) if self.attribute == "name" else ()
        return Message("RTM_NEWLINK", (), fields, attributes, changed_names)

    def simulate(self, world: World) -> None:
        state, link = world.state(self.where), world.the_link(self.where, self.link)
        changed = dataclasses.replace(link, **{self.attribute: self.value})  # type: ignore[arg-type]
        if self.attribute == "up":
            changed = dataclasses.replace(changed, state=None)
        if self.attribute == "name":
            renamed(world, state, link, str(self.value))
            return
        state.links[link.name] = changed
        if self.attribute == "up" and self.value and link.kind == "loopback":
            _gain_localhost(state, changed)
        elif self.attribute == "up" and not self.value:
            forget_routes(state, link.name)
            _lose_ipv6(state, link.name)
        elif self.attribute == "mtu" and t.cast(int, self.value) < IPV6_MIN_MTU:
            forget_routes(state, link.name, 6)
            _lose_ipv6(state, link.name)
        elif self.attribute == "master":
            for bridge in (link.master, self.value):
                if bridge is not None:
                    _follow_port(state, str(bridge), changed)

    def invert(self, world: World) -> tuple[Operation, ...]:
        link = world.the_link(self.where, self.link)
        if self.attribute == "name":
            return (SetLink(self.where, str(self.value), "name", self.link),)
        former = getattr(link, self.attribute)
        if former is None and self.attribute != "master":
            return ()  # a MAC address that the kernel has yet to choose
        state = world.state(self.where)
        back = SetLink(self.where, self.link, self.attribute, former)
        after = world.excerpt(state.key)
        self.simulate(after)
        back.simulate(after)
        left = state.links.get(str(self.value)) if self.attribute == "master" else None
        bridge = () if left is None else keep_mac(state, self.where, left, self.link)
        return (back, *bring_back(world, after, self.where, self.link), *bridge)


def renamed(world: World, state: NamespaceState, link: Link, new: str) -> None:
    del state.links[link.name]
    state.links[new] = dataclasses.replace(link, name=new)
    rename_in_routes(state, link.name, new)
    forget_sysctls(state, link.name, new)
    for other in list(state.links.values()):
        if other.master == link.name:
            state.links[other.name] = dataclasses.replace(other, master=new)
    _tell_peer(world, link, End(state.key, new))


def _tell_peer(world: World, link: Link, end: End | None) -> None:
    """Let the far end know where this one is now."""
    far = world.far_end(link)
    if far is not None and link.peer is not None:
        world.namespaces[link.peer.namespace].links[far.name] = dataclasses.replace(far, peer=end)


def _lose_ipv6(state: NamespaceState, name: str) -> None:
    link = state.links[name]
    state.links[name] = dataclasses.replace(
        link, addresses=tuple(address for address in link.addresses if address.ip.version == 4)
    )


def _gain_localhost(state: NamespaceState, lo: Link) -> None:
    """The kernel gives a loopback its IPv4 address when it first comes up, and leaves it there."""
    if not any(address.ip == LOCALHOST.ip for address in lo.addresses):
        state.links[lo.name] = dataclasses.replace(lo, addresses=(*lo.addresses, LOCALHOST))


def keep_mac(state: NamespaceState, where: NamespaceRef, bridge: Link, port: str) -> tuple[SetLink, ...]:
    """A bridge that loses its last port loses its MAC too: give it back when ``port`` is taken out again."""
    others = [name for name in state.ports(bridge.name) if name != port]
    return () if others or bridge.mac is None else (SetLink(where, bridge.name, "mac", bridge.mac),)


def _follow_port(state: NamespaceState, master: str, port: Link) -> None:
    """A bridge goes by the MTU and MAC of its ports, unless they were set by hand; ``port`` has joined it, or left it.

    What was set by hand can't be seen of a bridge that is there. It stays, whichever it was, where the ports leave it as it is.
    """
    bridge = state.links[master]
    if bridge.index is None:
        follow_mtu(state, master, port)
        return
    others = [state.links[name] for name in state.ports(master) if name != port.name]
    mac, mtu = bridge.mac or "", bridge.mtu
    if port.master == master:
        follow_mtu(state, master, port)
        by_hand = bool(others) and mac not in [other.mac for other in others]
        stays = by_hand or (bool(others) and port.mac is not None and mac < port.mac)
    else:
        stays = mac != port.mac
        if mtu not in [other.mtu for other in others]:
            state.links[master] = dataclasses.replace(bridge, mtu=None)
    if not stays:
        state.links[master] = dataclasses.replace(state.links[master], mac=None)


def follow_mtu(state: NamespaceState, master: str, port: Link) -> None:
    """The MTU of a bridge that gains a port: the smallest of its ports, whatever it was without one."""
    bridge = state.links[master]
    alone = not any(other.master == master and other.name != port.name for other in state.links.values())
    smallest = port.mtu if alone or bridge.mtu is None or port.mtu is None else min(bridge.mtu, port.mtu)
    if smallest != bridge.mtu:
        mtu = smallest if bridge.index is None and bridge.mtu is not None else None
        state.links[master] = dataclasses.replace(bridge, mtu=mtu)


@dataclasses.dataclass(frozen=True)
class MoveLink(Request):
    """Put a link into another namespace; under another name, where its own is taken there: one message, so that none collides."""

    link: str
    to: NamespaceRef
    name: str

    @property
    def command(self) -> str:
        renamed = ("name", self.name) if self.name != self.link else ()
        head, tail = ip(self.where, "link", "set", "dev", self.link, "netns"), ip(HOST, *renamed)[len("ip") :]
        return f"{head} {handle(self.to)}{tail}"

    @property
    def purpose(self) -> str:
        return f"move link {self.link} {place(self.where)} to {self.to} as {self.name}"

    def message(self) -> Message:
        attributes = [("IFLA_NET_NS_FD", NamespaceFd(self.to)), ("IFLA_IFNAME", self.name)]
        # The name in the other namespace too, which may be the same one, reached by another path.
        return Message("RTM_NEWLINK", (), {"index": Index(self.link)}, attributes, (self.link, self.name))

    def simulate(self, world: World) -> None:
        source, target = world.state(self.where), world.state(self.to)
        link = source.links.pop(self.link)
        forget_routes(source, self.link)
        moved = dataclasses.replace(
            link, name=self.name, index=None, up=False, state=None, master=None, addresses=(), sysctls=()
        )
        target.links[self.name] = moved
        forget_sysctls(target, self.name)
        _tell_peer(world, link, End(target.key, self.name))

    def invert(self, world: World) -> tuple[Operation, ...]:
        source, target = world.state(self.where), world.state(self.to)
        after = world.excerpt(source.key, target.key)
        self.simulate(after)
        MoveLink(self.to, self.name, self.where, self.link).simulate(after)
        return (
            MoveLink(self.to, self.name, self.where, self.link),
            *bring_back(world, after, self.where, self.link),
        )


@dataclasses.dataclass(frozen=True)
class DropLink(Request):
    """Remove a link; ``again`` makes it anew, None where that is not possible (the far end of a veth is out of reach)."""

    link: str
    again: Operation | None

    @property
    def command(self) -> str:
        return ip(self.where, "link", "del", "dev", self.link)

    @property
    def purpose(self) -> str:
        return f"remove link {self.link} {place(self.where)}"

    gone = frozenset({errno.ENODEV})

    def message(self) -> Message:
        return Message("RTM_DELLINK", (), {"index": Index(self.link)})

    def simulate(self, world: World) -> None:
        state = world.state(self.where)
        link = state.links[self.link]
        if link.kind == "veth" and link.peer is not None and world.far_end(link) is not None:
            remove_link(world.namespaces[link.peer.namespace], link.peer.name)
        remove_link(state, self.link)

    def invert(self, world: World) -> tuple[Operation, ...]:
        """The link again, and all that went with it: at both ends of a veth, at the ports of a bridge."""
        state = world.state(self.where)
        if self.again is None:
            return ()
        link = state.links[self.link]
        ends = [(self.where, self.link)]
        if link.peer is not None and world.far_end(link) is not None:
            ends.append((world.reference(link.peer.namespace), link.peer.name))
        after = world.excerpt(*{state.key, *(world.keys[ref] or "" for ref, _name in ends)})
        self.simulate(after)
        self.again.simulate(after)
        ports = [SetLink(self.where, port, "master", self.link) for port in state.ports(self.link)]
        rest = [operation for ref, name in ends for operation in _give_back(world, after, ref, name)]
        homes = {world.keys[ref]: ref for ref, _name in ends}.values()  # one, where both ends of a veth are in it
        routes = [operation for ref in homes for operation in put_back(ref, world.state(ref), after.state(ref))]
        return (self.again, *ports, *rest, *routes)


def remove_link(state: NamespaceState, name: str) -> None:
    """The link, and what the kernel drops along with it."""
    state.links.pop(name, None)
    forget_routes(state, name)
    for other in list(state.links.values()):
        if other.master == name:
            state.links[other.name] = dataclasses.replace(other, master=None)


def bring_back(before: World, after: World, ref: NamespaceRef, name: str) -> list[Operation]:
    """The operations that make a link in ``after`` what it was in ``before``, and bring back the routes of its namespace.

    What the kernel makes itself (link-local addresses, connected routes) comes back by itself.
    """
    return [*_give_back(before, after, ref, name), *put_back(ref, before.state(ref), after.state(ref))]


def _give_back(before: World, after: World, ref: NamespaceRef, name: str) -> list[Operation]:
    """What the link itself lacks in ``after``."""
    was, now = before.the_link(ref, name), after.the_link(ref, name)
    operations: list[Operation] = []
    if was.sysctls != now.sysctls:
        operations += [SetSysctl(ref, path, value) for path, value in was.sysctls]
    for attribute in ("mac", "mtu", "promisc", "master"):
        if getattr(was, attribute) != getattr(now, attribute) and getattr(was, attribute) is not None:
            operations.append(SetLink(ref, name, attribute, getattr(was, attribute)))
    present = {address.ip for address in now.addresses}
    lost = [address for address in was.addresses if address.ip not in present and _is_ours_to_restore(address)]
    operations += [AddAddress(ref, name, address) for address in lost]
    if was.up and not now.up:
        operations.append(SetLink(ref, name, "up", True))
    known = {address.ip for address in was.addresses}
    gained = [address for address in now.addresses if address.ip not in known]
    operations += [DropAddress(ref, name, address) for address in gained]
    return operations


def _is_ours_to_restore(address: Address) -> bool:
    """Not what the kernel gives a link by itself when it comes up: link-local addresses, and ::1 on the loopback."""
    own = address.ip.version == 6 and (address.ip.ip.is_link_local or address.ip.ip.is_loopback)
    return bool(address.flags & Address.PERMANENT) and not own
