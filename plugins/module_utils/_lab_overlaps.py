# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can't be in a lab together: addresses, networks, and gateways that no link reaches."""

from __future__ import annotations

import dataclasses
import typing as t

from ._lab import HOST_NODE, Fault, Lab, LabNamespace
from ._lab_segments import Holder, Key, holders, key_of, outlet, place_of, segments
from ._values import IPAddress, IPNetwork
from ._world import Nexthop


def judge(lab: Lab) -> tuple[Fault, ...]:
    """What is wrong with the addresses of a lab that has been given those of its subnets.

    An address that occurs twice; networks of different segments that overlap, and those of one that overlap without being
    equal; a gateway that no link of its namespace reaches. With ``overlap`` only what collides in one segment or one
    namespace counts. What could not be read is not judged.
    """
    every = list(holders(lab))
    joined = segments(lab)
    return (*_doubles(every, joined, lab.overlap), *_overlaps(lab, every, joined), *_gateways(lab, every))


def _doubles(every: t.Sequence[Holder], joined: t.Mapping[Key, Key], overlap: bool) -> t.Iterator[Fault]:
    taken: dict[tuple[object, int, int], Holder] = {}
    for holder in every:
        scopes: tuple[object, ...] = (joined[holder.key], holder.key[0]) if overlap else (None,)
        for address in holder.addresses or ():
            for scope in scopes:
                other = taken.setdefault((scope, address.version, int(address)), holder)
                if other is not holder:
                    yield Fault(holder.path, f"address {address.ip} is that of {other} too: give each its own")
                    break


@dataclasses.dataclass(frozen=True)
class _Network:
    number: int
    path: str
    network: IPNetwork
    segment: Key


def _overlaps(lab: Lab, every: t.Sequence[Holder], joined: t.Mapping[Key, Key]) -> t.Iterator[Fault]:
    """Of two that overlap one contains the other: sorted, each is compared with the nearest around it."""
    # A bridge with a link that could not be read may be one segment with anything.
    unsure = {joined[key_of(each.bridge)] for each in lab.bridges if each.bridge.name in lab.unread}
    scopes: dict[object, dict[tuple[Key, IPNetwork], _Network]] = {}

    def add(scope: object, path: str, network: IPNetwork, segment: Key) -> None:
        known = scopes.setdefault(scope, {})
        if (segment, network) not in known:
            known[segment, network] = _Network(len(known), path, network, segment)

    for key, path, subnets in _subnets(lab):
        for subnet in subnets:
            add(joined[key] if lab.overlap else None, path, subnet, joined[key])
    for holder in every:
        segment = joined[holder.key]
        for address in holder.addresses or ():
            network = address.network
            if network.prefixlen < network.max_prefixlen:
                for scope in (segment, holder.key[0]) if lab.overlap else (None,):
                    add(scope, holder.path, network, segment)
    told: set[tuple[str, str]] = set()
    for known in scopes.values():
        for inner, outer in _nested(known.values()):
            first, second = sorted((inner, outer), key=lambda each: each.number)
            if unsure & {first.segment, second.segment} or (first.path, second.path) in told:
                continue
            told.add((first.path, second.path))
            said = f"network {second.network} overlaps {first.network} of {first.path}"
            if first.segment == second.segment:
                advice = "in one segment, use one network, with the same prefix length"
            else:
                advice = "use another, or set overlap: true if that is meant"
            yield Fault(second.path, f"{said}: {advice}")


def _subnets(lab: Lab) -> t.Iterator[tuple[Key, str, tuple[IPNetwork, ...]]]:
    for bridge in lab.bridges:
        yield key_of(bridge.bridge), f"{bridge.path}.subnet", bridge.subnets
    for link in lab.links:
        if link.subnets:
            yield outlet(link.ends[0].end), f"{link.path}.subnet", link.subnets


def _nested(networks: t.Iterable[_Network]) -> t.Iterator[tuple[_Network, _Network]]:
    """Each that lies in another, with the smallest such."""
    ordered = [
        (each.network.version, int(each.network.network_address), each.network.prefixlen, each) for each in networks
    ]
    ordered.sort(key=lambda each: each[:3])
    around: list[tuple[int, int, _Network]] = []
    for version, start, length, each in ordered:
        end = start + (1 << (each.network.max_prefixlen - length)) - 1
        while around and (around[-1][0] != version or around[-1][1] < start):
            around.pop()
        if around:
            yield each, around[-1][2]
        around.append((version, end, each))


def _gateways(lab: Lab, every: t.Sequence[Holder]) -> t.Iterator[Fault]:
    links: dict[str, list[Holder]] = {}
    told: set[str] = set()
    for holder in every:
        if holder.key[0] != HOST_NODE:
            links.setdefault(holder.key[0], []).append(holder)
    for namespace in lab.namespaces:
        if namespace.node in lab.unread:
            continue
        own = links.get(place_of(namespace.where), [])
        for each in namespace.routes:
            hops = each.route.gateways
            for index, hop in enumerate(hops):
                path = f"{each.path}.nexthops[{index}].via" if each.route.nexthops else f"{each.path}.via"
                if hop.via is None or path in told or _reaches(namespace, own, hop, hop.via):
                    continue
                told.add(path)  # the route of a thousand nodes is written once
                yield Fault(path, _unreached(namespace, own, hop))


def _reaches(namespace: LabNamespace, links: t.Sequence[Holder], hop: Nexthop, via: IPAddress) -> bool:
    """Whether the kernel would find the gateway behind a link, or what links there are is not ours to know."""
    if hop.onlink or (hop.dev is not None and via.is_link_local):
        return True
    for link in links:
        if hop.dev not in (None, link.key[1]):
            continue
        if link.addresses is None:
            return True
        for address in link.addresses:
            if address.version == via.version and via in address.network and address.ip != via:
                return True
    for each in namespace.routes:
        if each.route.dst.version == via.version and via in each.route.dst:
            for direct in each.route.gateways:
                if direct.via is None and direct.dev is not None and hop.dev in (None, direct.dev):
                    return True
    return hop.dev is not None and hop.dev not in {link.key[1] for link in links}  # that is told already


def _unreached(namespace: LabNamespace, links: t.Sequence[Holder], hop: Nexthop) -> str:
    addresses = [str(address) for link in links if hop.dev in (None, link.key[1]) for address in link.addresses or ()]
    behind = namespace.node if hop.dev is None else f"{hop.dev} in {namespace.node}"
    there = f"it has {', '.join(addresses[:5])}" if addresses else "it has no address"
    return f"no link of {behind} reaches the gateway {hop.via}: {there}"
