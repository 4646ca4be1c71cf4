# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The static addresses of a link as declared, and the list of those that it has."""

from __future__ import annotations

import dataclasses
import typing as t

from .._engine import Draft
from .._errors import Problem
from .._values import HOST, IPInterface, NamespaceRef
from .._world import Address, Link, NamespaceState, Need, NeedLinks, World
from ._address import AddAddress, DropAddress, siblings
from ._linking import IPV6_MIN_MTU
from ._place import link_at, place
from ._routing import PutRoute, put_back, reaches, route_words


@dataclasses.dataclass(frozen=True)
class Addresses:
    """The static addresses of a link: the declared ones, and with ``purge`` no others.

    ``own`` says that the subnet is ours alone, so that no duplicate address detection delays an IPv6 address; None: that
    it is so on a veth, and not on a link that may lead into a network of others.
    """

    where: NamespaceRef
    link: str
    wanted: tuple[IPInterface, ...]
    purge: bool
    force: bool = False
    own: bool | None = True

    def needs(self, world: World) -> t.Iterable[Need]:
        return (NeedLinks(self.where),)

    def plan(self, draft: Draft) -> None:
        link = link_at(draft, self.where, self.link)
        state = draft.world.state(self.where)
        before = state.copy()
        static = [address for address in link.addresses if address.static]
        wanted_ips = {wanted.ip for wanted in self.wanted}
        dropped = [
            address
            for address in static
            if address.ip not in self.wanted and (self.purge or address.ip.ip in wanted_ips)
        ]
        added = [self._new(wanted, link) for wanted in self.wanted if wanted not in {each.ip for each in static}]
        self._guard(draft, state, dropped)
        self._check_mtu(link, added)
        kept = [address for address in link.addresses if address not in dropped]
        first = [address for address in dropped if _in_the_way(address, added, link)]
        for address in first:
            self._drop(draft, address)
        for address in added:
            former = next((other for other in link.addresses if other.ip == address.ip and other not in dropped), None)
            draft.do(AddAddress(self.where, self.link, address, former))
        for address in dropped:
            self._drop(draft, address)
        for address in (*kept, *added):
            if not self._has(draft, address):
                draft.do(AddAddress(self.where, self.link, address))
        if dropped:
            self._put_routes_back(draft, before)

    def _new(self, wanted: IPInterface, link: Link) -> Address:
        own = link.kind == "veth" if self.own is None else self.own
        nodad = Address.NODAD if own and wanted.version == 6 else 0
        return Address(wanted, flags=Address.PERMANENT | nodad)

    def _check_mtu(self, link: Link, added: t.Iterable[Address]) -> None:
        six = next((address.ip for address in added if address.ip.version == 6), None)
        if six is not None and link.mtu is not None and link.mtu < IPV6_MIN_MTU:
            raise Problem(
                f"link {self.link} {place(self.where)} has MTU {link.mtu}, and can't have address {six}",
                f"IPv6 needs an MTU of {IPV6_MIN_MTU} or more",
            )

    def _guard(self, draft: Draft, state: NamespaceState, dropped: t.Sequence[Address]) -> None:
        on_host = draft.world.keys.get(HOST) == draft.world.keys[self.where]
        if dropped and on_host and state.carries_default_route(self.link) and not self.force:
            gone = ", ".join(str(address.ip) for address in dropped)
            raise Problem(
                f"link {self.link} carries the host's default route, and the task would take {gone} off it",
                "declare the address too, set purge_addresses: false, or force: true",
            )

    def _drop(self, draft: Draft, address: Address) -> None:
        if self._has(draft, address):
            draft.do(DropAddress(self.where, self.link, address))

    def _has(self, draft: Draft, address: Address) -> bool:
        link = draft.world.link(self.where, self.link)
        return link is not None and any(other.ip == address.ip for other in link.addresses)

    def _put_routes_back(self, draft: Draft, before: NamespaceState) -> None:
        """Routes that the task does not name outlive a change of addresses, where their gateway is still a neighbour."""
        state = draft.world.state(self.where)
        sources = {address.ip.ip for link in state.links.values() for address in link.addresses}
        for operation in put_back(self.where, before, state):
            route = t.cast(PutRoute, operation).route
            gateways = [hop.via for hop in route.nexthops] or [route.via]
            lives = all(via is None or route.onlink or reaches(state, via, route.dev) for via in gateways)
            if lives and (route.src is None or route.src in sources):
                draft.do(operation)
            else:
                left = t.cast(PutRoute, operation).former is not None
                what = "loses its source or a gateway" if left else "goes"
                words = " ".join(map(str, route_words(route)))
                draft.warn(f"the route {words} {place(self.where)} {what} with the last address that it needs")


def _in_the_way(address: Address, added: t.Iterable[Address], link: Link) -> bool:
    """Whether an address has to go before the new ones come.

    IPv6 takes an address once, whatever its prefix; an IPv4 primary would take new addresses of its subnet along.
    """
    if address.ip.version == 6:
        return any(new.ip.ip == address.ip.ip for new in added)
    return not address.secondary and not link.promote_secondaries and bool(siblings(address, added))


def shown_addresses(link: Link) -> list[str]:
    """The addresses of a link for a report: by subnet, a primary before its secondaries.

    Link-local ones, which the kernel makes itself, are left out.
    """
    return [str(address.ip) for address in _by_subnet(link)]


def dynamic_addresses(link: Link) -> list[str]:
    """Those of them that are not there to stay."""
    return [str(address.ip) for address in _by_subnet(link) if not address.flags & Address.PERMANENT]


def _by_subnet(link: Link) -> list[Address]:
    shown = [address for address in link.addresses if not address.ip.ip.is_link_local]
    return sorted(shown, key=lambda address: (address.ip.version, address.ip.network))
