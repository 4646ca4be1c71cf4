# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bridges in the definition of a lab, and what is plugged into them."""

from __future__ import annotations

import dataclasses
import typing as t

from ._lab import HOST_NODE, LabBridge, LabLink
from ._lab_endpoints import Place, read_subnets
from ._lab_options import (
    Kind,
    Options,
    Reading,
    below,
    flag,
    number,
    one_mtu,
    over,
    seconds,
    stand_in,
    text,
    text_or_texts,
    texts,
)
from ._resources._bridge import MAX_PORTS, parse_bridge
from ._values import NamespaceRef

_SHARED: dict[str, Kind] = {
    "netns": text,
    "purge_addresses": flag,
    "mtu": number,
    "mtu_from": text,
    "up": flag,
    "stp": flag,
    "forward_delay": seconds,
    "ageing_time": seconds,
    "multicast_snooping": flag,
    "purge_ports": flag,
    "force": flag,
}
_BRIDGE: dict[str, Kind] = {"addresses": texts, "mac": text, "ports": texts, "subnet": text_or_texts, **_SHARED}


def read_bridges(
    reading: Reading, given: t.Mapping[t.Any, t.Any], defaults: object, places: dict[str, Place | None]
) -> list[LabBridge]:
    """The bridges; they are laid into ``places``, with None for one whose place or name is refused."""
    base = _defaults(reading, "defaults.bridges", defaults)
    found: list[LabBridge] = []
    spaces = dict(places)
    for key, value in given.items():
        path = f"bridges.{key}"
        options = over(one_mtu(reading, path, reading.options(path, value, _BRIDGE)), base)
        node = reading.take(path, text, key)
        if node == HOST_NODE:
            reading.fault(path, "as a node, host is the host itself", "choose another name")
        elif node in spaces:
            reading.fault(path, f"a namespace is called {node} too", "a node is named once")
        place = _place(reading, path, node or "x0", options.pop("netns", HOST_NODE), spaces)
        subnets = read_subnets(reading, path, options)
        options.pop("subnet", None)
        options.update({"name": node or "x0", "netns": None if place is None else place.netns})
        bridge = reading.whole(path, options, parse_bridge, stand_in(options["name"]), _paths(path), "name")
        if node is None or node in spaces:
            continue
        places[node] = None if bridge is None else place
        if bridge is not None and place is not None:
            found.append(LabBridge(path, bridge, subnets))
    return found


def _defaults(reading: Reading, path: str, given: object) -> Options:
    """Those that a bridge takes."""
    options = one_mtu(reading, path, reading.options(path, given, _SHARED))
    return {
        key: value
        for key, value in options.items()
        if key == "netns" or reading.take(below(path, key), parse_bridge, {"name": "bridges", key: value}) is not None
    }


def _paths(path: str) -> t.Callable[[str], str]:
    return lambda key: path if key in ("name", "netns") else below(path, key)


def _place(reading: Reading, path: str, name: str, netns: str, spaces: t.Mapping[str, Place | None]) -> Place | None:
    if netns not in spaces:
        reading.fault(below(path, "netns"), f"no namespace is called {netns!r}", reading.nearest(netns, spaces))
        return None
    space = spaces[netns]
    return None if space is None else Place(space.netns, name)


def plug_in(
    reading: Reading, bridges: t.Sequence[LabBridge], links: t.Sequence[LabLink]
) -> tuple[tuple[LabBridge, ...], tuple[LabLink, ...]]:
    """The bridges and links, knowing of each other.

    An end of a link that a bridge has under ``ports`` gets that bridge as its master. And a bridge that is to be purged of
    other ports has those that links plug in among its own.
    """
    owners = {(each.bridge.where, port): each for each in bridges for port in each.bridge.ports or ()}
    if owners:
        links = [_plugged_by_name(reading, link, owners) for link in links]
    ends: dict[tuple[NamespaceRef, str], list[str]] = {}
    for link in links:
        for end in link.ends:
            if end.end.master is not None:
                ends.setdefault((end.end.where, end.end.master), []).append(end.end.name)
    found: list[LabBridge] = []
    for each in bridges:
        bridge = each.bridge
        ports = tuple(dict.fromkeys([*(bridge.ports or ()), *ends.get((bridge.where, bridge.name), ())]))
        if len(ports) > MAX_PORTS:
            said = f"it would have {len(ports)} ports, and the kernel takes at most {MAX_PORTS}"
            reading.fault(each.path, said, "use a second bridge")
        if bridge.ports is not None and bridge.purge_ports and ports != bridge.ports:
            bridge = dataclasses.replace(bridge, ports=ports)
        found.append(dataclasses.replace(each, bridge=bridge))
    return tuple(found), tuple(links)


def _plugged_by_name(
    reading: Reading, link: LabLink, owners: t.Mapping[tuple[NamespaceRef, str], LabBridge]
) -> LabLink:
    ends = list(link.ends)
    for index, each in enumerate(ends):
        owner = owners.get((each.end.where, each.end.name))
        if owner is None or each.end.master == owner.bridge.name:
            continue
        if each.end.master is not None:
            said = f"it has {each.end.name}, which {each.path} plugs into {each.end.master}"
            reading.fault(below(owner.path, "ports"), said, "a port has one bridge")
            continue
        said = f"{owner.path}.ports makes {each.end.name} a port, which has no addresses"
        if each.end.addresses:
            reading.fault(below(each.path, "addresses"), said, f"give them to the bridge {owner.bridge.name}")
        if link.subnets:
            reading.fault(below(link.path, "subnet"), said, f"give it to the bridge {owner.bridge.name}")
        plugged = dataclasses.replace(each.end, master=owner.bridge.name, addresses=None)
        ends[index] = dataclasses.replace(each, end=plugged)
    return dataclasses.replace(link, ends=(ends[0], ends[1]))
