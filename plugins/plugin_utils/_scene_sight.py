# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lab_info returned, as values: the namespaces, each once, with their links."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.nslab.linux.plugins.module_utils._errors import Problem
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_words import Place

# Each namespace has these from the moment that the kernel has loaded what makes them; nobody made them.
_FALLBACKS = frozenset(
    [
        "tunl0",
        "gre0",
        "gretap0",
        "erspan0",
        "ip_vti0",
        "ip6_vti0",
        "sit0",
        "ip6tnl0",
        "ip6gre0",
        "ip6gretap0",
        "ip6erspan0",
    ]
)
_DOWN = ("down", "lowerlayerdown")

Given = t.Mapping[str, t.Any]


@dataclasses.dataclass(frozen=True)
class SeenLink:
    """A link; ``peer`` is the other end of a veth, ``ports`` are those of a bridge, None for what is none."""

    place: Place
    kind: str | None
    mac: str | None
    mtu: int
    up: bool
    state: str
    master: str | None
    addresses: tuple[str, ...]
    peer: Place | None
    ports: tuple[str, ...] | None
    options: Given

    @property
    def name(self) -> str:
        return self.place[1]

    @property
    def no_carrier(self) -> bool:
        return self.up and self.state in _DOWN

    @property
    def from_kernel(self) -> bool:
        """Whether it came by itself: nobody made it."""
        return self.kind == "loopback" or (self.name in _FALLBACKS and not self.up and not self.addresses)


@dataclasses.dataclass(frozen=True)
class SeenNamespace:
    """A namespace; None is a part of it that could not be read. ``given`` are the addresses that labs have given to its links."""

    name: str
    lab: str | None
    links: t.Mapping[str, SeenLink] | None
    routes: t.Sequence[Given] | None
    nat: t.Mapping[str, Given] | None
    resolv: Given | None
    sysctls: t.Mapping[str, str | None] | None
    given: t.Mapping[str, t.Sequence[str]] | None

    @property
    def unread(self) -> tuple[str, ...]:
        parts = {"links": self.links, "NAT rule sets": self.nat, "sysctls": self.sysctls}
        return tuple(what for what, part in parts.items() if part is None)


@dataclasses.dataclass(frozen=True)
class Sight:
    """The namespaces by name, None for one that can't be read. ``others`` are more names of one that is there already."""

    namespaces: t.Mapping[str, SeenNamespace | None]
    others: t.Mapping[str, str]

    def link(self, place: Place) -> SeenLink | None:
        namespace = self.namespaces.get(place[0])
        return None if namespace is None or namespace.links is None else namespace.links.get(place[1])

    def bridge(self, place: Place) -> SeenLink | None:
        link = self.link(place)
        return link if link is not None and link.ports is not None else None

    def outlet(self, place: Place) -> SeenLink | None:
        """The bridge of which the link there is a port."""
        link = self.link(place)
        return None if link is None or link.master is None else self.bridge((place[0], link.master))

    def links(self) -> t.Iterator[SeenLink]:
        for namespace in self.namespaces.values():
            if namespace is not None and namespace.links is not None:
                yield from namespace.links.values()


def is_seen(value: object) -> bool:
    """Whether it is what lab_info returned, or the dict of namespaces in it, and not a definition."""
    if not isinstance(value, t.Mapping):
        return False
    inner = value.get("namespaces")
    if isinstance(inner, t.Mapping) and ("changed" in value or _are_namespaces(inner)):
        return True
    return value.get("failed") is True or _are_namespaces(value)


def _are_namespaces(value: Given) -> bool:
    seen = [one for one in value.values() if one is not None]
    return bool(seen) and all(isinstance(one, t.Mapping) and {"inode", "links"} <= one.keys() for one in seen)


def read_sight(value: object, preferred: t.Container[str] = ()) -> Sight:
    """``preferred`` are the names by which a namespace goes that has several; else it is the first.

    Raises Problem for what can't be that at all, and for what is odd further in whatever Python does.
    """
    if isinstance(value, t.Mapping) and value.get("failed") is True:
        raise Problem(f"nothing was seen, as lab_info failed: {value.get('msg', 'it does not say why')}")
    inner = value.get("namespaces", value) if isinstance(value, t.Mapping) else None
    if not isinstance(inner, t.Mapping):
        raise Problem("what was seen is a dict", "give what nslab.linux.lab_info returned, or namespaces of it")
    return _read(inner, preferred)


def _read(given: Given, preferred: t.Container[str]) -> Sight:
    first: dict[int, str] = {}
    for name, one in given.items():
        if one is not None and one["inode"] is not None and (one["inode"] not in first or name in preferred):
            first[one["inode"]] = str(name)
    others = {str(n): first[one["inode"]] for n, one in given.items() if one is not None and one["inode"] in first}
    others = {name: chosen for name, chosen in others.items() if name != chosen}
    kept = {str(name): one for name, one in given.items() if name not in others}
    return Sight(
        {name: None if one is None else _namespace(name, one, others) for name, one in kept.items()},
        others,
    )


def _namespace(name: str, one: Given, others: t.Mapping[str, str]) -> SeenNamespace:
    links = one["links"]
    return SeenNamespace(
        name,
        one.get("lab"),
        None if links is None else {str(key): _link(name, str(key), link, others) for key, link in links.items()},
        one["routes"],
        one["nat"],
        one["resolv"],
        one["sysctls"],
        one.get("lab_addresses"),
    )


def _link(where: str, name: str, link: Given, others: t.Mapping[str, str]) -> SeenLink:
    peer = link["peer"] if link.get("peer") else None
    ports = link.get("ports")
    return SeenLink(
        (where, name),
        link["kind"],
        link["mac"],
        int(link["mtu"]),
        bool(link["up"]),
        str(link["state"]),
        link["master"],
        tuple(map(str, link["addresses"])),
        None if peer is None else (others.get(peer["netns"], str(peer["netns"])), str(peer["name"])),
        None if ports is None else tuple(map(str, ports)),
        link,
    )


def default_devs(namespace: SeenNamespace, family: str) -> tuple[str, ...]:
    """The links of the default route that the kernel prefers; ``family`` is ipv4 or ipv6."""
    found = [
        route
        for route in namespace.routes or ()
        if (route["dst"], route["family"], route["table"], route["type"]) == ("default", family, "main", "unicast")
    ]
    if not found:
        return ()
    best = min(found, key=lambda route: int(route["metric"]))
    names = [hop["dev"] for hop in best["nexthops"]] if best["nexthops"] else [best["dev"]]
    return tuple(name for name in names if name)


def uplinks_of(namespace: SeenNamespace, rule_set: Given) -> tuple[str, ...]:
    """The links by which a rule set leads out, those of default routes where it is any."""
    found: list[str] = []
    for family in ("ipv4", "ipv6"):
        for name in rule_set["uplink"][family]:
            found += default_devs(namespace, family) if name == "any" else [name]
    return tuple(dict.fromkeys(found))
