# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which interfaces of a lab hear each other: a segment is all that links and bridges join, up to where packets are routed."""

from __future__ import annotations

import dataclasses
import typing as t

from ._lab import HOST_NODE, Lab, LabBridge
from ._resources._bridge import WantedBridge
from ._resources._veth import VethEnd
from ._values import IPInterface, NamespaceRef

Key = tuple[str, str]  # where an interface is, as the text of its NamespaceRef, and its name


def place_of(where: NamespaceRef) -> str:
    """The same as its text, without the detour: those of a lab are names, or the host."""
    return where.value or HOST_NODE


def key_of(wish: VethEnd | WantedBridge) -> Key:
    return (wish.where.value or HOST_NODE, wish.name)


def outlet(end: VethEnd) -> Key:
    """What has the addresses there: the end, or the bridge that it is a port of."""
    return (end.where.value or HOST_NODE, end.master or end.name)


def segments(lab: Lab) -> dict[Key, Key]:
    """By bridge and by end that is no port: one of its segment, the same for all of them."""
    above: dict[Key, Key] = {key: key for key in (key_of(each.bridge) for each in lab.bridges)}

    def top(key: Key) -> Key:
        first = above.setdefault(key, key)
        while first != above[first]:
            above[first] = above[above[first]]
            first = above[first]
        above[key] = first
        return first

    for link in lab.links:
        one, other = top(outlet(link.ends[0].end)), top(outlet(link.ends[1].end))
        if one != other:
            above[other] = one
    return {key: top(key) for key in above}


@dataclasses.dataclass(frozen=True)
class Holder:
    """An interface that may have addresses, None where they are not managed; ``node`` is what the definition calls its place."""

    path: str
    key: Key
    node: str
    addresses: tuple[IPInterface, ...] | None

    def __str__(self) -> str:
        return f"{self.key[1]} {'on the host' if self.key[0] == HOST_NODE else f'in {self.key[0]}'} ({self.path})"


def holders(lab: Lab) -> t.Iterator[Holder]:
    """The bridges, then the ends that are no ports, in the order of the definition."""
    nodes = {each.name: each.node for each in lab.namespaces}
    for each in lab.bridges:
        yield Holder(each.path, key_of(each.bridge), _node(nodes, each), each.bridge.addresses)
    for link in lab.links:
        for end in link.ends:
            if end.end.master is None:
                yield Holder(end.path, key_of(end.end), end.node, end.end.addresses)


def _node(nodes: t.Mapping[str, str], bridge: LabBridge) -> str:
    return nodes.get(bridge.bridge.where.value, HOST_NODE)
