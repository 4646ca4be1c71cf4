# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rule sets in the definition of a lab: the options of ns_nat, with the name and the inside links derived."""

from __future__ import annotations

import dataclasses
import typing as t

from ._addressing import rule_set_name
from ._lab import Lab, LabBridge, LabLink, LabNamespace, LabNat
from ._lab_endpoints import Place
from ._lab_options import Kind, Options, Reading, below, listed, one_of, text, text_or_texts, texts
from ._resources._nat import parse_nat
from ._resources._nat_plan import AUTO, Nat
from ._resources._publish import parse_publish
from ._values import HOST, IPNetwork, NamespaceRef

_NAT: dict[str, Kind] = {
    "netns": text,
    "sources": texts,
    "inside": texts,
    "uplink": texts,
    "mode": one_of("masquerade", "snat", "none"),
    "to_source": text_or_texts,
    "inbound": one_of("established", "any"),
    "publish": listed,
    "ip_forward": one_of("interface", "global", "keep"),
    "firewall": one_of("auto", "ignore", "fail"),
}
_PUBLISH: dict[str, Kind] = {
    "protocol": one_of("tcp", "udp"),
    "port": text,
    "address": text,
    "to": text,
    "to_port": text,
}
_HINTS = {
    "name": "it is derived from that of the lab: leave it out",
    "state": "a rule set is there for as long as it stands here: leave it out",
}


def read_nat(
    reading: Reading, path: str, given: t.Sequence[object], lab: Lab, places: t.Mapping[str, Place | None]
) -> tuple[LabNat, ...]:
    """The rule sets, each named by the lab and by the how-manieth of its namespace it is; ``lab`` has all the rest."""
    found: list[LabNat] = []
    numbers: dict[str | None, int] = {}
    for index, one in enumerate(given):
        at = below(path, index)
        options = reading.options(at, one, _NAT, _HINTS)
        node = options.pop("netns", "host")
        place = places.get(node)
        if node not in places or (place is not None and place.bridge is not None):
            spaces = [name for name, known in places.items() if known is None or known.bridge is None]
            reading.fault(below(at, "netns"), f"no namespace is called {node!r}", reading.nearest(node, spaces))
        netns = None if place is None else place.netns
        numbers[netns] = numbers.get(netns, 0) + 1
        # A lab's name has no slash: so it is not the first rule set of another lab.
        name = lab.name if numbers[netns] == 1 else f"{lab.name}/{numbers[netns]}"
        options["name"], options["state"] = rule_set_name("lab", name), "present"
        if options.get("publish"):
            options["publish"] = _publishes(reading, below(at, "publish"), options["publish"])
        if netns is not None:
            options["netns"] = netns
        nat = _rule_set(reading, at, options, lab)
        if nat is not None and place is not None:
            found.append(LabNat(at, nat))
    return tuple(found)


def _rule_set(reading: Reading, path: str, options: Options, lab: Lab) -> Nat | None:
    derived = not options.get("sources") and not options.get("inside")
    options = {**options, "inside": ["x0"]} if derived else options
    nat = reading.whole(path, options, parse_nat, _nat_of, lambda key: path if key == "netns" else below(path, key))
    if nat is None or not derived:
        return nat
    inside = inside_of(lab, nat.where, nat.uplink)
    if not inside:
        where = "the host" if nat.where == HOST else str(nat.where)
        reading.fault(path, f"no interface of the lab in {where} leads to it", "give sources or inside")
        return None
    return dataclasses.replace(nat, inside=inside)


def _nat_of(one: Options) -> Options:
    """A rule set that is right but for this option, if that is wrong by itself."""
    base: Options = {"name": "x", "state": "present", "inside": ["x0"]}
    if "mode" in one:  # its choices are checked, and what goes with it is not here
        return base
    return {**base, "mode": "snat", **one} if "to_source" in one else {**base, **one}


def _publishes(reading: Reading, path: str, given: t.Sequence[object]) -> list[Options]:
    found: list[Options] = []
    for index, one in enumerate(given):
        at = below(path, index)
        before = reading.count
        options = reading.options(at, one, _PUBLISH)
        missing = [key for key in ("port", "to") if key not in options]
        if missing and reading.count == before:
            reading.fault(at, f"it has no {' and no '.join(missing)}", "write port: 8080, to: 10.0.0.2")
        made = reading.whole(at, options, lambda one: parse_publish(_publish_of(one)), _publish_of)
        if made is not None and reading.count == before:
            found.append(options)
    return found


def _publish_of(one: Options) -> Options:
    six = ":" in one.get("address", "")
    port = one.get("to_port", "1")
    return {"port": port, "to": "2001:db8::1" if six else "192.0.2.1", **one}


def inside_of(lab: Lab, where: NamespaceRef, uplink: t.Sequence[str]) -> tuple[str, ...]:
    """The links of the lab in this namespace that lead to the lab.

    Not those towards the outside: the uplinks by name, what leads to the host, and that of the namespace's own default
    route.
    """
    outward = set(uplink) - {AUTO}
    namespace = next((each for each in lab.namespaces if each.where == where), None)
    found = [each.bridge.name for each in lab.bridges if each.bridge.where == where]
    for link in lab.links:
        for end, other in (link.ends, link.ends[::-1]):
            if end.end.where != where or end.end.master is not None:
                continue
            if where != HOST and other.end.where == HOST and other.end.master is None:
                continue
            if namespace is not None and _has_default(namespace, end.end.name, _networks(lab, link, end.end.addresses)):
                continue
            found.append(end.end.name)
    return tuple(name for name in found if name not in outward)


def _has_default(namespace: LabNamespace, name: str, networks: t.Sequence[IPNetwork]) -> bool:
    for each in namespace.routes:
        if each.route.dst.prefixlen == 0:
            for hop in each.route.gateways:
                if hop.dev == name or (hop.dev is None and any(hop.via in network for network in networks if hop.via)):
                    return True
    return False


def _networks(lab: Lab, link: LabLink, addresses: t.Iterable[t.Any] | None) -> list[IPNetwork]:
    """What is on-link there: declared, or to be given out of a subnet."""
    masters = {(end.end.where, end.end.master) for end in link.ends}
    bridges: list[LabBridge] = [each for each in lab.bridges if (each.bridge.where, each.bridge.name) in masters]
    found = [address.network for address in addresses or ()] + list(link.subnets)
    return found + [subnet for each in bridges for subnet in each.subnets]
