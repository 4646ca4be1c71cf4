# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links that are there, of any kind: where one shall be, under which name, and that it is given back.

Source: ip-link(8), net/core/dev.c (__dev_change_net_namespace: what a move takes from a link, and what it refuses).
"""

from __future__ import annotations

import dataclasses
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
from .._world import (
    PROTO_KERNEL,
    Link,
    NamespaceState,
    Need,
    NeedLinks,
    NeedLinkSysctls,
    NeedNamespace,
    NeedPeer,
    World,
)
from ._addresses import Addresses
from ._link import Attributes, Up, bring, governed_link, report_link
from ._place import COMING, described_kind, namespace_at, place
from ._routing import route_words

UNSET = "-1"  # what the kernel itself sets switches to that mean nothing to a link, as on a tun
# Of older kernels, which do not tell it of a link, it is known.
IMMUTABLE_KINDS = frozenset({"loopback", "bridge", "bond", "team", "vrf", "hsr", "batadv"})


@dataclasses.dataclass(frozen=True)
class Spot:
    """A name in a namespace, at which a link may be."""

    where: NamespaceRef
    name: str

    def __str__(self) -> str:
        return f"{self.name} {place(self.where)}"

    def link(self, world: World) -> Link | None:
        return world.link(self.where, self.name)

    def is_the_same(self, other: Spot, world: World) -> bool:
        return self.name == other.name and world.keys[self.where] == world.keys[other.where]


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What else is declared of the link; None is not managed, and the ``master`` "" is none."""

    addresses: tuple[IPInterface, ...] | None = None
    mac: str | None = None
    master: str | None = None
    up: bool | None = None


@dataclasses.dataclass(frozen=True)
class Placed:
    """That a link is ``there``; or, ``present`` false, that it is given back to its ``home``.

    ``from_home`` says that the task names its home, and so does not mean a link that bears the name in the namespace of ``there``.
    """

    there: Spot
    home: Spot
    from_home: bool = False
    wanted: Wanted = Wanted()
    force: bool = False
    present: bool = True

    def needs(self, world: World) -> t.Iterable[Need]:
        found = self.find(world)
        needed: list[Need] = [NeedLinks(self.there.where), NeedLinks(self.home.where), NeedNamespace(HOST)]
        link = None if found is None else found.link(world)
        if found is None or link is None:
            return needed
        if link.kind == "veth":
            needed.append(NeedPeer(found.where, found.name, self.home.where))
        if (found == self.there) != self.present:  # what a move takes along, to be given back should the task fail
            needed.append(NeedLinkSysctls(found.where, found.name))
        return needed

    def find(self, world: World) -> Spot | None:
        """Where the link is now."""
        spots = [self.there, self.home]
        if self.present and not self.from_home:
            spots.append(Spot(self.there.where, self.home.name))
        return next((spot for spot in spots if spot.link(world) is not None), None)

    def plan(self, draft: Draft) -> None:
        for ref in (self.there.where, self.home.where):
            if ref.kind in ("path", "pid"):
                namespace_at(draft, ref)
        if self.present:
            self._plan_present(draft)
        else:
            self._plan_absent(draft)

    def _plan_present(self, draft: Draft) -> None:
        namespace_at(draft, self.there.where)
        self._refuse_two(draft.world)
        found = self.find(draft.world) or self._assume(draft)
        link = t.cast(Link, found.link(draft.world))
        if self.wanted.master and link.kind in ("bridge", "loopback"):
            raise Problem(
                f"link {found} is of kind {link.kind}, and can't be a port of bridge {self.wanted.master}",
                "join two bridges by a veth pair",
            )
        if self.wanted.mac is not None and link.mac is None and link.kind != COMING:
            raise Problem(f"link {found} has no MAC address, and can't be given one", "leave mac out")
        self._guard(draft.world, found, link, [*self._journey(draft.world, found, self.there), *self._risks(link)])
        if not found.is_the_same(self.there, draft.world):
            self._refuse_immutable(draft.world, found, link, self.there)
            self._warn_of_losses(draft, found, link)
            bring(draft, found.where, found.name, self.there.where, self.there.name)

    def _plan_absent(self, draft: Draft) -> None:
        link = self.there.link(draft.world)
        if link is None or self.there.is_the_same(self.home, draft.world):
            return
        namespace_at(draft, self.home.where)
        if self.home.link(draft.world) is not None:
            raise Problem(
                f"link {self.there} can't be given back: {self.home} is there already", "remove or rename that one"
            )
        self._refuse_immutable(draft.world, self.there, link, self.home)
        self._guard(draft.world, self.there, link, self._journey(draft.world, self.there, self.home))
        bring(draft, self.there.where, self.there.name, self.home.where, self.home.name)

    def _refuse_two(self, world: World) -> None:
        """Where links stand at two of the places that are looked at, only the task can say which is meant."""
        there, home = self.there.link(world), self.home.link(world)
        if there is not None:
            in_place = not self.from_home and self.there.name == self.home.name
            if home is not None and not in_place and not self.there.is_the_same(self.home, world):
                raise Problem(
                    f"link {self.there} is taken: {self.home}, which shall become it, is there as well",
                    "remove or rename one of the two",
                )
            return
        renamed_only = Spot(self.there.where, self.home.name)
        twice = home is not None and not renamed_only.is_the_same(self.home, world)
        if twice and not self.from_home and renamed_only.link(world) is not None:
            raise Problem(
                f"link {self.there} could be {self.home} or {renamed_only}",
                f"say which: from: {self.home.where} to move the one, from: {self.there.where} to rename the other",
            )

    def _assume(self, draft: Draft) -> Spot:
        """The link is nowhere: an error, or in check mode one that is coming, at home."""
        state = namespace_at(draft, self.home.where)
        known = next((link.name for link in state.links.values() if self.home.name in link.altnames), None)
        if known is not None:
            raise Problem(f"{self.home} is an alternative name of link {known}", f"call it {known}")
        beside = "" if self.there.is_the_same(self.home, draft.world) else f", nor does {self.there}"
        advice = "create it first, or check the name with 'ip link'"
        draft.expect(f"link {self.home}", advice, f"does not exist{beside}")
        state.links[self.home.name] = Link(self.home.name, COMING, mtu=None)
        return self.home

    @staticmethod
    def _journey(world: World, source: Spot, target: Spot) -> list[str]:
        if world.keys[source.where] != world.keys[target.where]:
            return [f"move it to {target.where}"]
        return [] if source.name == target.name else [f"rename it to {target.name}"]

    def _risks(self, link: Link) -> list[str]:
        """What may cut off who speaks by the link, apart from its place; addresses are looked after elsewhere."""
        wanted, found = self.wanted, []
        if wanted.mac is not None and wanted.mac != link.mac:
            found.append("give it another MAC address")
        if wanted.master is not None and wanted.master != (link.master or ""):
            found.append(f"make it a port of {wanted.master}" if wanted.master else f"take it out of {link.master}")
        return found + (["take it down"] if wanted.up is False and link.up else [])

    def _guard(self, world: World, spot: Spot, link: Link, risks: t.Sequence[str]) -> None:
        state = world.state(spot.where)
        if self.force or not risks or world.keys.get(HOST) != state.key:
            return
        carrier = _carrier(state, link)
        if carrier is not None:
            role = "carries" if carrier == link.name else f"is a port of {carrier}, which carries"
            raise Problem(
                f"link {link.name} {role} the host's default route, and the task would {' and '.join(risks)}",
                "choose another link, or set force: true",
            )

    @staticmethod
    def _refuse_immutable(world: World, source: Spot, link: Link, target: Spot) -> None:
        known = link.netns_immutable
        if world.keys[source.where] == world.keys[target.where] or not (
            link.kind in IMMUTABLE_KINDS if known is None else known
        ):
            return
        advice = f"make one {place(target.where)} instead"
        if link.kind is None:
            advice = "a wireless interface moves with its phy: 'iw phy NAME set netns'"
        raise Problem(
            f"link {source} is {described_kind(link)} that the kernel does not move to another namespace", advice
        )

    def _warn_of_losses(self, draft: Draft, spot: Spot, link: Link) -> None:
        """A link comes to another namespace down, without addresses, routes and master, and with switches as new ones have."""
        state, wanted = draft.world.state(spot.where), self.wanted
        if state.key == draft.world.keys[self.there.where]:
            return
        kept = wanted.addresses or ()
        lost = [str(address.ip) for address in link.addresses if address.static and address.ip not in kept]
        lost += [f"bridge {link.master}"] if link.master is not None and wanted.master is None else []
        own = [route for route in state.routes if route.protocol != PROTO_KERNEL and link.name in route.devs]
        lost += [f"route {' '.join(map(str, route_words(route)))}" for route in own]
        lost += [f"sysctl {path}={value}" for path, value in link.sysctls if value != UNSET]
        lost += ["up"] if link.up and wanted.up is None else []
        if lost:
            draft.warn(
                f"link {spot} is moved to {self.there.where}, which takes from it what the task does not declare:"
                f" {', '.join(lost)}"
            )


def _carrier(state: NamespaceState, link: Link) -> str | None:
    """The link that carries the default route and falls with this one: itself, or the bridge of a physical interface."""
    if state.carries_default_route(link.name):
        return link.name
    seen = {link.name}
    above = link.master if link.kind is None else None
    while above is not None and above not in seen:
        if state.carries_default_route(above):
            return above
        seen.add(above)
        above = state.links[above].master
    return None


# from the options of the module


def _spots(params: t.Mapping[str, t.Any]) -> tuple[Spot, Spot]:
    """Where the link shall be, and where it comes from."""
    name = parse_interface(params["name"])
    final = name if params.get("rename") is None else parse_interface(params["rename"])
    if "lo" in (name, final) and name != final:
        raise Problem(f"link {name} can't be renamed to {final}", "every namespace has its loopback under the name lo")
    return Spot(parse_namespace(params.get("netns")), final), Spot(parse_namespace(params.get("from")), name)


def _wanted(params: t.Mapping[str, t.Any]) -> Wanted:
    addresses, mac, master = params.get("addresses"), params.get("mac"), params.get("master")
    return Wanted(
        addresses=None if addresses is None else parse_addresses(addresses),
        mac=None if mac is None else parse_mac(mac),
        master=master if master in (None, "") else parse_interface(master),
        up=params.get("up"),
    )


def declare(params: t.Mapping[str, t.Any]) -> Declaration:
    """One link: first its place, which takes from it what comes after."""
    (there, home), wanted = _spots(params), _wanted(params)
    mtu = None if params.get("mtu") is None else parse_mtu(params["mtu"], home.name)
    mtu_from, promisc = parse_mtu_from(params.get("mtu_from")), params.get("promisc")
    if wanted.master == there.name:
        raise Problem(f"link {there} can't be a port of itself", "name a bridge")
    force, present = bool(params.get("force")), params["state"] == "present"
    placed = Placed(there, home, params.get("from") is not None, wanted, force, present)
    resources: list[Resource] = [placed]
    if present:
        where, name = there.where, there.name
        resources.append(Attributes(where, name, wanted.mac, mtu, mtu_from, wanted.master, promisc))
        up = Up(where, name, wanted.up)
        if up.up is False:  # before the addresses: a link that goes down loses those of IPv6
            resources.append(up)
        if wanted.addresses is not None:
            purge = bool(params.get("purge_addresses"))
            resources.append(Addresses(where, name, wanted.addresses, purge, force, own=None))
        resources.append(up)

    def report(world: World) -> dict[str, object]:
        return {"link": _report(world, placed.find(world))}

    def governed(world: World) -> object:
        found = placed.find(world)
        return {"link": None if found is None else governed_link(world, found.where, _report(world, found))}

    return Declaration(resources, report, f"link {there}", governed)


def _report(world: World, spot: Spot | None) -> dict[str, object] | None:
    """A link, and whether it is promiscuous; the kind of one that is coming can't be known."""
    link = None if spot is None else spot.link(world)
    shown = None if spot is None else report_link(world, spot.where, spot.name)
    if link is None or shown is None:
        return None
    return {**shown, "kind": None if link.kind == COMING else link.kind, "promisc": link.promisc}
