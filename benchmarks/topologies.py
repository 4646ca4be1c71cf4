# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The labs that are built, as plain data: each way makes the same facts of it.

A namespace has its ``lo`` up, static routes and perhaps ``ip_forward``; a link has an address at each end that is in a
namespace; a bridge has an address, and stands on the host.
"""

from __future__ import annotations

import ipaddress
import json
from collections import defaultdict
from dataclasses import asdict, dataclass, replace

HOST = ""
# A Linux bridge takes 1023; a round number is easier to read.
MOST_PORTS = 1000
BRIDGED = ipaddress.IPv4Network("10.208.0.0/12")
ROUTED = ipaddress.IPv4Address("10.0.0.0")
# Where a lab is given one more namespace: a subnet that no lab has.
GROWN = ("10.255.0.1/30", "10.255.0.2/30")
# A packet, and so the answer to a ping, leaves for at most 64 routers.
FARTHEST = 60


@dataclass(frozen=True)
class Route:
    dst: str
    via: str


@dataclass(frozen=True)
class Namespace:
    name: str
    routes: tuple[Route, ...] = ()
    forwards: bool = False


@dataclass(frozen=True)
class Bridge:
    name: str
    address: str


@dataclass(frozen=True)
class End:
    """One end of a link. A port of a bridge stands on the host and has no address."""

    netns: str
    name: str
    address: str = ""
    master: str = ""


@dataclass(frozen=True)
class Link:
    """The second end is in a namespace; the first is a port of a bridge, or in another namespace."""

    first: End
    second: End


@dataclass(frozen=True)
class Ping:
    """From a namespace to an address, which shows that the lab carries packets."""

    netns: str
    address: str


@dataclass(frozen=True)
class Lab:
    kind: str
    title: str
    namespaces: tuple[Namespace, ...]
    bridges: tuple[Bridge, ...]
    links: tuple[Link, ...]
    pings: tuple[Ping, ...]

    @property
    def size(self) -> int:
        return len(self.namespaces)

    def ends_in(self, netns: str) -> list[End]:
        return [end for link in self.links for end in (link.first, link.second) if end.netns == netns]

    def to_json(self) -> str:
        """For the ways that are programs of their own."""
        return json.dumps(asdict(self))


def plain(address: str) -> str:
    """The address of an interface without its prefix length."""
    return address.partition("/")[0]


def bridged(size: int) -> Lab:
    """Namespaces on one bridge, like containers on docker0; on as many bridges as their ports ask for."""
    namespaces, bridges, links, pings = [], [], [], []
    for number, first in enumerate(range(0, size, MOST_PORTS)):
        subnet = list(BRIDGED.subnets(new_prefix=16))[number]
        bridge = Bridge(f"br{number}", f"{subnet[1]}/16")
        bridges.append(bridge)
        members = range(first, min(first + MOST_PORTS, size))
        for place, index in enumerate(members):
            name, address = f"n{index + 1}", f"{subnet[place + 2]}/16"
            namespaces.append(Namespace(name, (Route("default", plain(bridge.address)),)))
            port = End(HOST, f"v{index + 1}", master=bridge.name)
            links.append(Link(port, End(name, "eth0", address)))
        # Across the bridge, and to the bridge itself.
        pings.append(Ping(f"n{first + 1}", str(subnet[len(members) + 1])))
        pings.append(Ping(f"n{members[-1] + 1}", plain(bridge.address)))
    on = "one bridge" if len(bridges) == 1 else f"{len(bridges)} bridges"
    return Lab("bridge", f"{size} on {on}", tuple(namespaces), tuple(bridges), tuple(links), tuple(pings))


def chained(size: int) -> Lab:
    """Routers in a row: each sends what it does not know to the right, and what is for the first link to the left."""
    wires = [(index, index + 1) for index in range(size - 1)]
    ahead = {index: index + 1 for index in range(size - 1)} | {size - 1: size - 2}
    back = {index: index - 1 for index in range(2, size - 1)}
    last = min(size - 1, FARTHEST)
    return _routed("chain", f"a chain of {size}", size, wires, ahead, back, (last - 1, last))


def gridded(side: int) -> Lab:
    """Routers in a square: packets for elsewhere go right and then down, those for the first link up and then left."""

    def at(row: int, column: int) -> int:
        return row * side + column

    wires = [(0, 1)]
    ahead, back = {}, {}
    for row in range(side):
        for column in range(side):
            here = at(row, column)
            right, down = at(row, column + 1), at(row + 1, column)
            if column + 1 < side and (here, right) != (0, 1):
                wires.append((here, right))
            if row + 1 < side:
                wires.append((here, down))
            ahead[here] = right if column + 1 < side else down
            if here > 1:
                back[here] = at(row - 1, column) if row else here - 1
    corner = side * side - 1
    ahead[corner] = back[corner]
    del back[corner]
    return _routed(
        "grid", f"a grid of {side} x {side}", side * side, wires, ahead, back, (at(side - 2, side - 1), corner)
    )


def _routed(
    kind: str,
    title: str,
    size: int,
    wires: list[tuple[int, int]],
    ahead: dict[int, int],
    back: dict[int, int],
    pinged: tuple[int, int],
) -> Lab:
    """``ahead`` and ``back`` say by which neighbour a router reaches the rest, and the first of the wires: only where that
    is another way."""
    ends: dict[tuple[int, int], End] = {}
    used: dict[int, int] = defaultdict(int)
    links = []
    for number, (left, right) in enumerate(wires):
        for place, (here, there) in enumerate([(left, right), (right, left)]):
            address = f"{ROUTED + 4 * number + 1 + place}/30"
            ends[here, there] = End(f"n{here + 1}", f"eth{used[here]}", address)
            used[here] += 1
        links.append(Link(ends[left, right], ends[right, left]))
    namespaces = []
    for here in range(size):
        routes = [Route("default", plain(ends[ahead[here], here].address))]
        if here in back:
            routes.append(Route(f"{ROUTED}/30", plain(ends[back[here], here].address)))
        namespaces.append(Namespace(f"n{here + 1}", tuple(routes), forwards=True))
    nearer, target = pinged
    ping = Ping("n1", plain(ends[target, nearer].address))
    return Lab(kind, title, tuple(namespaces), (), tuple(links), (ping,))


@dataclass(frozen=True)
class Growth:
    """One namespace more, with its link: the change that is made to a running lab."""

    namespace: Namespace
    link: Link
    ping: Ping


def growth(lab: Lab) -> Growth:
    if lab.bridges:
        bridge = lab.bridges[-1]
        network = ipaddress.IPv4Interface(bridge.address).network
        ports = sum(link.first.master == bridge.name for link in lab.links)
        port, gateway = End(HOST, "vmore", master=bridge.name), plain(bridge.address)
        more = End("more", "eth0", f"{network[ports + 2]}/{network.prefixlen}")
    else:
        tail = lab.namespaces[-1].name
        port = End(tail, f"eth{len(lab.ends_in(tail))}", GROWN[0])
        gateway, more = plain(GROWN[0]), End("more", "eth0", GROWN[1])
    namespace = Namespace("more", (Route("default", gateway),))
    return Growth(namespace, Link(port, more), Ping("more", gateway))


def grown(lab: Lab) -> Lab:
    more = growth(lab)
    return replace(
        lab,
        namespaces=(*lab.namespaces, more.namespace),
        links=(*lab.links, more.link),
        pings=(*lab.pings, more.ping),
    )


def part(lab: Lab, more: Growth) -> Lab:
    """Only what is new, in the form of a lab, for the ways that add without looking at the rest."""
    return replace(lab, namespaces=(more.namespace,), bridges=(), links=(more.link,), pings=(more.ping,))


def lab_of(kind: str, size: int) -> Lab:
    """:raises ValueError: no such kind, or a size that it can't have."""
    if kind == "grid":
        side = round(size**0.5)
        if side < 3 or side * side != size:
            raise ValueError(f"grid:{size}: the number of namespaces of a grid is a square, and at least 9")
        return gridded(side)
    if kind == "bridge" and 1 <= size <= 16 * MOST_PORTS:
        return bridged(size)
    if kind == "chain" and size >= 3:
        return chained(size)
    raise ValueError(f"{kind}:{size}: there are bridge, chain (of 3 and more) and grid")
