# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operations that add an address to a link and remove one.

Source: ip-address(8), rtnetlink(7), net/ipv4/devinet.c (secondaries), net/ipv4/fib_frontend.c (routes that go along).
"""

from __future__ import annotations

import dataclasses
import errno
import typing as t

from .._message import Index, Message
from .._operation import Operation, Request, ip
from .._world import (
    PROTO_KERNEL,
    SCOPE_GLOBAL,
    SCOPE_HOST,
    SCOPE_LINK,
    Address,
    Link,
    NamespaceState,
    World,
)
from ._place import place
from ._routing import forget_routes, forget_source, put_back

IFA_F_MANAGETEMPADDR = 0x100
KEPT_FLAGS = Address.NODAD | IFA_F_MANAGETEMPADDR | Address.NOPREFIXROUTE  # the others are the kernel's own marks


def _words(address: Address, link: str) -> list[object]:
    found: list[object] = [address.ip if address.peer is None else address.ip.ip]
    if address.peer is not None:
        found += ["peer", f"{address.peer}/{address.ip.network.prefixlen}"]
    found += ["dev", link]
    if address.broadcast is not None:
        found += ["broadcast", address.broadcast]
    if address.scope != SCOPE_GLOBAL:
        found += ["scope", {SCOPE_LINK: "link", SCOPE_HOST: "host"}.get(address.scope, address.scope)]
    if address.label not in (None, link):
        found += ["label", address.label]
    for flag, word in ((Address.NODAD, "nodad"), (Address.NOPREFIXROUTE, "noprefixroute")):
        if address.ip.version == 6 and address.flags & flag:
            found.append(word)
    if address.lifetime is not None:
        found += ["preferred_lft", address.lifetime[0], "valid_lft", address.lifetime[1]]
    return found


def _message(kind: str, flags: tuple[str, ...], address: Address, link: str) -> Message:
    attributes: list[tuple[str, object]] = [
        ("IFA_LOCAL", str(address.ip.ip)),
        ("IFA_ADDRESS", str(address.peer or address.ip.ip)),
    ]
    if address.broadcast is not None:
        attributes.append(("IFA_BROADCAST", address.broadcast))
    if address.label not in (None, link):
        attributes.append(("IFA_LABEL", address.label))
    if address.lifetime is not None:
        preferred, valid = address.lifetime
        attributes.append(("IFA_CACHEINFO", {"ifa_preferred": preferred, "ifa_valid": valid, "cstamp": 0, "tstamp": 0}))
    if address.flags & KEPT_FLAGS:
        attributes.append(("IFA_FLAGS", address.flags & KEPT_FLAGS))
    fields = {
        "family": 2 if address.ip.version == 4 else 10,
        "prefixlen": address.ip.network.prefixlen,
        "scope": address.scope,
        "index": Index(link),
    }
    return Message(kind, flags, fields, attributes)


def siblings(address: Address, others: t.Iterable[Address]) -> list[Address]:
    """The IPv4 addresses of one subnet, of which the first is the primary and the others are secondaries."""
    if address.ip.version == 6 or address.peer is not None:
        return []
    return [
        other
        for other in others
        if other is not address and other.peer is None and other.ip.network == address.ip.network
    ]


@dataclasses.dataclass(frozen=True)
class AddAddress(Request):
    """Add an address; or, where ``former`` is there with a lifetime, make it last as declared."""

    link: str
    address: Address
    former: Address | None = None

    @property
    def command(self) -> str:
        return ip(self.where, "addr", "replace" if self.former else "add", *_words(self.address, self.link))

    @property
    def purpose(self) -> str:
        return f"add address {self.address.ip} to link {self.link} {place(self.where)}"

    def message(self) -> Message:
        flags = ("CREATE", "REPLACE" if self.former else "EXCL")
        return _message("RTM_NEWADDR", flags, self.address, self.link)

    def simulate(self, world: World) -> None:
        link = world.the_link(self.where, self.link)
        others = tuple(address for address in link.addresses if address != self.former)
        secondary = Address.SECONDARY if siblings(self.address, others) else 0
        lasting = Address.PERMANENT if self.address.lifetime is None else 0
        flags = (self.address.flags & KEPT_FLAGS) | lasting | secondary
        new = dataclasses.replace(self.address, flags=flags)
        world.put(self.where, dataclasses.replace(link, addresses=(*others, new)))

    def invert(self, world: World) -> tuple[Operation, ...]:
        if self.former is not None:
            return (AddAddress(self.where, self.link, self.former, self.address),)
        return _there_and_back(world, self, [DropAddress(self.where, self.link, self.address)])


@dataclasses.dataclass(frozen=True)
class DropAddress(Request):
    link: str
    address: Address

    @property
    def command(self) -> str:
        plain = dataclasses.replace(
            self.address, flags=0, label=None, broadcast=None, scope=SCOPE_GLOBAL, lifetime=None
        )
        return ip(self.where, "addr", "del", *_words(plain, self.link))

    @property
    def purpose(self) -> str:
        return f"remove address {self.address.ip} from link {self.link} {place(self.where)}"

    gone = frozenset({errno.EADDRNOTAVAIL, errno.ENODEV})

    def message(self) -> Message:
        plain = dataclasses.replace(self.address, label=None, lifetime=None)
        return _message("RTM_DELADDR", (), plain, self.link)

    def simulate(self, world: World) -> None:
        state, link = world.state(self.where), world.the_link(self.where, self.link)
        gone = next((address for address in link.addresses if address.ip == self.address.ip), None)
        if gone is None:
            return
        left = [address for address in link.addresses if address is not gone]
        secondaries = [] if gone.secondary else siblings(gone, left)
        if secondaries and link.promote_secondaries:
            promoted = secondaries[0]
            left[left.index(promoted)] = dataclasses.replace(promoted, flags=promoted.flags & ~Address.SECONDARY)
        elif secondaries:
            left = [address for address in left if address not in secondaries]
        world.put(self.where, dataclasses.replace(link, addresses=tuple(left)))
        _forget_routes_of(state, link, gone, left)

    def invert(self, world: World) -> tuple[Operation, ...]:
        """The address, the secondaries that go with it, in their order, and the routes that go with all of them."""
        link = world.the_link(self.where, self.link)
        after = world.excerpt(world.state(self.where).key)
        self.simulate(after)
        left = after.the_link(self.where, self.link)
        own = next((address for address in link.addresses if address.ip == self.address.ip), self.address)
        group = [own, *([] if own.secondary else siblings(own, link.addresses))]
        remaining = {address.ip for address in left.addresses}
        reordered = [address for address in group if address.ip in remaining]
        drops = [DropAddress(self.where, self.link, address) for address in reordered]
        return _there_and_back(
            world, self, [*drops, *(AddAddress(self.where, self.link, address) for address in group)]
        )


def _there_and_back(
    world: World, change: AddAddress | DropAddress, back: t.Sequence[AddAddress | DropAddress]
) -> tuple[Operation, ...]:
    """``back``, and the routes that go on the way there and back: a link loses its own with its last IPv4 address."""
    state = world.state(change.where)
    after = world.excerpt(state.key)
    for operation in (change, *back):
        operation.simulate(after)
    return (*back, *put_back(change.where, state, after.state(change.where)))


def _forget_routes_of(state: NamespaceState, link: Link, gone: Address, left: t.Sequence[Address]) -> None:
    """What the kernel does to routes when ``gone`` is taken from ``link``."""
    version = gone.ip.version
    if not any(other.ip.network == gone.ip.network for other in left):
        state.routes = [
            route
            for route in state.routes
            if not (route.protocol == PROTO_KERNEL and route.dev == link.name and route.dst == gone.ip.network)
        ]
    forget_source(state, gone.ip.ip)
    if version == 4 and not any(other.ip.version == 4 for other in left):
        forget_routes(state, link.name, 4)  # fib_disable_ip: the last address takes IPv4 off the link
