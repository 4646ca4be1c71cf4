# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The links in the definition of a lab, in our notation and in that of containerlab.

Source for the latter: its links of type veth, brief and long (https://containerlab.dev/manual/topo-def-file).
"""

from __future__ import annotations

import collections.abc
import dataclasses
import typing as t

from ._addressing import host_end_name, parse_subnets
from ._lab import HOST_NODE, Endpoint, LabLink
from ._lab_options import (
    Kind,
    Options,
    Reading,
    anything,
    below,
    flag,
    listed,
    number,
    one_mtu,
    over,
    shown,
    stand_in,
    text,
    text_or_texts,
    texts,
)
from ._resources._veth import VethEnd, parse_end
from ._values import IPNetwork, parse_mtu, parse_mtu_from

# containerlab has labels and vars for templates: they are taken, and mean nothing.
_LINK: dict[str, Kind] = {
    "endpoints": listed,
    "mtu": number,
    "mtu_from": text,
    "subnet": text_or_texts,
    "type": text,
    "labels": anything,
    "vars": anything,
}
_END: dict[str, Kind] = {
    "node": text,
    "interface": text,
    "addresses": texts,
    "purge_addresses": flag,
    "mac": text,
    "mtu": number,
    "mtu_from": text,
    "up": flag,
}
LINK_DEFAULTS: dict[str, Kind] = {"mtu": number, "mtu_from": text}
_CHECKED: dict[str, Kind] = {"mtu": lambda mtu: parse_mtu(mtu, "the link"), "mtu_from": parse_mtu_from}
# Where containerlab writes one of these for a node, the link is no veth pair.
_OTHER_TYPES = ("mgmt-net", "macvlan", "vxlan", "vxlan-stitch", "dummy")


@dataclasses.dataclass(frozen=True)
class Place:
    """Where the ends of a node are: the namespace, by its name on the host, and the bridge that they are ports of."""

    netns: str | None
    bridge: str | None = None

    @property
    def needs_name(self) -> bool:
        """In a namespace an interface is what its inhabitants see: its name is the user's to choose."""
        return self.netns is not None and self.bridge is None

    def __str__(self) -> str:
        return "on the host" if self.netns is None else f"in {self.netns}"


@dataclasses.dataclass(frozen=True)
class _Half:
    path: str
    node: str
    interface: str
    place: Place
    options: Options
    long: bool = False

    def at(self, key: str) -> str:
        if key == "name":
            return below(self.path, "interface") if self.long and self.interface else self.path
        return below(self.path, key) if key in self.options else self.path


class LinkReader:
    """Reads links. ``places`` has all nodes, with None for one that could not be read: its links are passed over.

    ``unread`` are the nodes that have a link which could not be read; ``lost`` is set where it can't be told which have.
    """

    def __init__(self, reading: Reading, lab: str, places: t.Mapping[str, Place | None], defaults: Options) -> None:
        self.reading = reading
        self.lab = lab
        self.places = places
        self.defaults = defaults
        self.taken: dict[tuple[str | None, str], tuple[str, bool]] = {}
        self.unread: set[str] = {node for node, place in places.items() if place is None}
        self.lost = False

    def take(self, path: str, place: Place, interface: str, named: bool = True) -> bool:
        """Whether the name is free in its namespace; each is given once."""
        key = (place.netns, interface)
        other = self.taken.get(key)
        if other is None:
            self.taken[key] = (path, named)
            return True
        if named or other[1]:
            self.reading.fault(path, f"interface {interface} {place} is that of {other[0]} too", "name each once")
        else:
            self.reading.fault(path, f"{other[0]} joins the same two, and names the interface neither", "name it")
        return False

    def link(self, path: str, given: object) -> LabLink | None:
        kind = given.get("type") if isinstance(given, collections.abc.Mapping) else None
        options: Options = {}
        if kind in (None, "veth"):
            options = one_mtu(self.reading, path, self.reading.options(path, given, _LINK))
            if not options.get("endpoints") and isinstance(given, collections.abc.Mapping):
                self.reading.fault(path, "it has no endpoints", 'write two, as in endpoints: ["web:eth0", "br0"]')
        else:
            self.reading.fault(below(path, "type"), f"links of type {kind} are not made", "a link is a veth pair")
        common = over(self._checked(path, options), self.defaults)
        subnets = read_subnets(self.reading, path, options)
        ends = options.get("endpoints") or ()
        if len(ends) not in (0, 2):
            self.reading.fault(below(path, "endpoints"), f"there are {len(ends)}", "a link has two")
        at = f"{path}.endpoints["
        halves = [self._half(f"{at}{place}]", end) for place, end in enumerate(ends)]
        if len(halves) != 2:
            self.lost = True
            return None
        first, second = halves
        if first is None or second is None:
            for half in halves:
                if half is not None:
                    self._end(half, None, common)
                    self.unread.add(half.node)
            return None
        bridge = first.place.bridge or second.place.bridge
        if subnets and bridge is not None:
            self.reading.fault(below(path, "subnet"), "a port of a bridge has no addresses", f"give it to {bridge}")
            subnets = ()
        return self._join(path, first, second, common, subnets)

    def plugged(self, path: str, node: str, interface: str, bridge: str) -> LabLink | None:
        """A link of a namespace to a bridge, both of which are known."""
        places = (self.places[node], self.places[bridge])
        if places[0] is None or places[1] is None:
            return None
        first, second = _Half(path, node, interface, places[0], {}), _Half(path, bridge, "", places[1], {})
        return self._join(path, first, second, self.defaults, ())

    def _checked(self, path: str, options: Options) -> Options:
        """What a link says of both its ends, checked here so that it is told once."""
        found: Options = {}
        for key, parse in _CHECKED.items():
            if key in options and self.reading.take(below(path, key), parse, options[key]) is not None:
                found[key] = options[key]
        return found

    def _half(self, path: str, given: t.Any) -> _Half | None:
        options: Options = {}
        node = interface = ""
        if isinstance(given, str):
            node, _colon, interface = given.partition(":")
        elif isinstance(given, collections.abc.Mapping):
            options = one_mtu(self.reading, path, self.reading.options(path, given, _END))
            node, interface = options.pop("node", ""), options.pop("interface", "")
            if not given.get("node"):
                self.reading.fault(path, "it has no node", "name a namespace, a bridge or host")
        else:
            self.reading.fault(path, f"{shown(given)} is no endpoint", 'write it in quotes, as in "web:eth0"')
        place = self._place(path, node) if node else None
        if place is None:
            self.lost = self.lost or node not in self.places
            return None
        if not interface and place.needs_name:
            if isinstance(given, str) or not given.get("interface"):
                self.reading.fault(path, f"the interface in {node} has no name", f"write {node}:eth0")
            self.unread.add(node)
            return None
        if place.bridge is not None and options.get("addresses"):
            advice = f"give them to the bridge {node}"
            self.reading.fault(below(path, "addresses"), "a port of a bridge has none", advice)
            del options["addresses"]
        return _Half(path, node, interface, place, options, not isinstance(given, str))

    def _place(self, path: str, node: str) -> Place | None:
        if node in self.places:
            return self.places[node]
        if node in _OTHER_TYPES:
            self.reading.fault(path, f"links of type {node} are not made", "a link is a veth pair")
        else:
            said = f"no namespace or bridge is called {node!r}"
            self.reading.fault(path, said, self.reading.nearest(node, self.places))
        return None

    def _join(
        self, path: str, first: _Half, second: _Half, common: Options, subnets: tuple[IPNetwork, ...]
    ) -> LabLink | None:
        if first.node == second.node and first.place.bridge is not None:
            said = f"both ends are ports of {first.node}, which would send round and round what it is sent"
            self.reading.fault(path, said, "join two nodes")
            return None
        # Both are read before either is refused, so that all faults are told.
        ends = (self._end(first, second, common), self._end(second, first, common))
        if ends[0] is None or ends[1] is None:
            self.unread.update((first.node, second.node))
            return None
        return LabLink(path, (ends[0], ends[1]), subnets)

    def _end(self, half: _Half, other: _Half | None, common: Options) -> Endpoint | None:
        """One end; ``other`` None is one that could not be read."""
        name = half.interface
        if not name:  # named by the end that has a name, so that links can be put in another order, and others added
            name = "x0" if other is None else host_end_name(self.lab, other.node, other.interface or half.node)
        place = half.place
        options = {**over(half.options, common), "name": name}
        if place.netns is not None:
            options["netns"] = place.netns
        if place.bridge is not None:
            options["master"] = place.bridge
        end = self.reading.whole(half.path, options, _parse_end, stand_in(name), half.at)
        if end is None or (other is None and not half.interface):
            return None
        if not self.take(half.path, place, name, bool(half.interface)):
            return None
        return Endpoint(half.path, half.node, half.interface, end)


def _parse_end(options: Options) -> VethEnd:
    return parse_end(options, "end")


def read_link_defaults(reading: Reading, path: str, given: object) -> Options:
    options = one_mtu(reading, path, reading.options(path, given, LINK_DEFAULTS))
    return {
        key: value for key, value in options.items() if reading.take(below(path, key), _CHECKED[key], value) is not None
    }


def read_subnets(reading: Reading, path: str, options: Options) -> tuple[IPNetwork, ...]:
    """Those under ``subnet``."""
    given = options.get("subnet")
    found = None if given is None else reading.take(below(path, "subnet"), parse_subnets, given)
    return found or ()


def places_of(namespaces: t.Mapping[str, str | None]) -> dict[str, Place | None]:
    """The places of namespaces, by node; ``host`` among them."""
    places: dict[str, Place | None] = {HOST_NODE: Place(None)}
    places.update({node: None if name is None else Place(name) for node, name in namespaces.items()})
    return places
