# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How what was seen inside a namespace differs from what a lab declares of it: routes, switches, resolver, rule sets.

Whatever it is, the namespace is there and changed.
"""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.nslab.linux.plugins.module_utils._lab import Lab, LabNamespace
from ansible_collections.nslab.linux.plugins.module_utils._lab_addresses import host_entries
from ansible_collections.nslab.linux.plugins.module_utils._resources._nat_plan import ANY, AUTO, Nat
from ansible_collections.nslab.linux.plugins.module_utils._resources._resolv import LOCALHOST
from ansible_collections.nslab.linux.plugins.module_utils._resources._routing import SCOPE_NAMES, TABLE_NAMES
from ansible_collections.nslab.linux.plugins.module_utils._world import NamespaceState, Nexthop, Route
from ansible_collections.nslab.linux.plugins.plugin_utils._picture import CHANGED
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_defined import wanted_publish_text, wanted_route_text
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_marks import Marks
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_sight import Given, SeenNamespace, default_devs
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_words import listed, publish_text, route_text

_TABLES = {name: number for number, name in TABLE_NAMES.items()}
_SCOPES = {name: number for number, name in SCOPE_NAMES.items()}
# The same switch by two names; lab_info tells it by the second.
_SAME = {"net/ipv4/conf/all/forwarding": "net/ipv4/ip_forward"}
# The switches of links that lab_info tells, where they are on; of multicast and broadcast it says nothing.
_OF_LINKS = ("forwarding", "force_forwarding")
_BY_HAND = ("boot", "static")
# Every file of hosts has these.
_LOCALHOST = frozenset(name for line in LOCALHOST for name in line.split()[1:])


Everybody = t.Mapping[str, frozenset[str]]  # by name the addresses


def everybody_in(lab: Lab) -> Everybody | None:
    """Whom every namespace is to know, worked out once for all of them; None where there is nobody whom all know."""
    return {name: frozenset(map(str, each)) for name, each in host_entries(lab).items()} if lab.hosts else None


def compare_inside(everybody: Everybody | None, namespace: LabNamespace, seen: SeenNamespace, marks: Marks) -> None:
    _routes(namespace, seen, marks)
    _sysctls(namespace, seen, marks)
    _resolver(everybody, namespace, seen, marks)


def _routes(namespace: LabNamespace, seen: SeenNamespace, marks: Marks) -> None:
    if seen.routes is None or not namespace.routes:
        return
    state = NamespaceState("", routes=[seen_route(each) for each in seen.routes])
    identities = set()
    for each in namespace.routes:
        wanted = each.route
        found = wanted.find(state)
        identities.add((wanted.dst, wanted.table, wanted.metric, 0))
        if found is None:
            marks.node(namespace.name, CHANGED, f"route {wanted_route_text(wanted)} is missing")
        elif not (wanted.leads_as(found) and wanted.says_as(found)):
            text = f"route {_text(found)}, declared {wanted_route_text(wanted)}"
            same = _text(found) == wanted_route_text(wanted)
            marks.node(namespace.name, CHANGED, f"{text}, with other options" if same else text)
    for given, route in zip(seen.routes, state.routes):
        if given["protocol"] in _BY_HAND and given["table"] == "main" and route.identity not in identities:
            marks.node(namespace.name, CHANGED, f"route {_text(route)} is not declared")


def seen_route(given: Given) -> Route:
    """A route as lab_info returns it, in the type with which declared ones are compared."""
    everything = "0.0.0.0/0" if given["family"] == "ipv4" else "::/0"
    table, scope = given["table"], given["scope"]
    return Route(
        ipaddress.ip_network(everything if given["dst"] == "default" else given["dst"]),
        table=_TABLES[table] if table in _TABLES else int(table),
        metric=int(given["metric"]),
        kind=given["type"],
        scope=_SCOPES[scope] if scope in _SCOPES else int(scope),
        via=_address(given["via"]),
        dev=given["dev"],
        src=_address(given["src"]),
        onlink=bool(given["onlink"]),
        nexthops=tuple(Nexthop(_address(hop["via"]), hop["dev"], int(hop["weight"])) for hop in given["nexthops"]),
        metrics=() if given["mtu"] is None else (("mtu", int(given["mtu"])),),
    )


def _address(text: str | None) -> t.Any:
    return None if text is None else ipaddress.ip_address(text)


def _text(route: Route) -> str:
    hops = route.nexthops or (Nexthop(route.via, route.dev),)
    ways = [(None if hop.via is None else str(hop.via), hop.dev) for hop in hops]
    dst = "default" if route.dst.prefixlen == 0 else str(route.dst)
    return route_text(dst, route.kind, ways, route.metric, TABLE_NAMES.get(route.table, str(route.table)))


def _sysctls(namespace: LabNamespace, seen: SeenNamespace, marks: Marks) -> None:
    """Of forwarding, which is all that is seen; that of a link is seen where it is on."""
    if seen.sysctls is None:
        return
    for path, wanted in namespace.sysctls:
        path = _SAME.get(path, path)
        parts = path.split("/")
        link = parts[3] if len(parts) == 5 and parts[2] == "conf" and parts[4] in _OF_LINKS else None
        if path in seen.sysctls:
            found = seen.sysctls[path]
        elif link is not None and link not in ("all", "default") and link in (seen.links or {}):
            found = "0"
        else:
            continue
        if found is not None and found != wanted:
            marks.node(namespace.name, CHANGED, f"{path} is {found}, declared {wanted}")


def _resolver(everybody: Everybody | None, namespace: LabNamespace, seen: SeenNamespace, marks: Marks) -> None:
    resolv = namespace.resolv
    told: Given = seen.resolv or {}
    if resolv is not None:
        wishes = {"nameservers": resolv.nameservers, "search": resolv.search, "options": resolv.options}
        if told.get("nameservers") is None:
            marks.node(namespace.name, CHANGED, f"/etc/netns/{namespace.name}/resolv.conf is missing")
            wishes = {}
        for what, wanted in wishes.items():
            found = list(told.get(what) or ())
            # Which servers the word host stands for is known on the host alone.
            if wanted is None or ("host" in wanted and found) or found == list(wanted):
                continue
            text = f"{what} {', '.join(found) or 'none'}, declared {', '.join(wanted) or 'none'}"
            marks.node(namespace.name, CHANGED, text)
    if everybody is None and namespace.hosts is None:
        return
    if told.get("hosts") is None:
        marks.node(namespace.name, CHANGED, f"/etc/netns/{namespace.name}/hosts is missing")
        return
    own = {name: frozenset(map(str, each)) for name, each in namespace.hosts or ()}
    known = told["hosts"]
    other = [name for name, each in {**(everybody or {}), **own}.items() if each != set(known.get(name, ()))]
    if other:
        text = f"{listed(other)} in /etc/netns/{namespace.name}/hosts, declared otherwise"
        marks.node(namespace.name, CHANGED, text)
    surplus = [name for name in known if name not in own and name not in (everybody or {}) and name not in _LOCALHOST]
    if surplus:
        marks.node(namespace.name, CHANGED, f"{listed(surplus)} in /etc/netns/{namespace.name}/hosts is not declared")


def compare_nat(wishes: t.Sequence[Nat], seen: SeenNamespace, key: str, own: bool, marks: Marks) -> None:
    """The rule sets of a router; ``own``: it is a namespace of the lab, where there are no others'."""
    if seen.nat is None:
        return
    for wanted in wishes:
        found = seen.nat.get(wanted.name)
        if found is None:
            marks.node(key, CHANGED, f"NAT rule set {wanted.name} is missing")
            continue
        for what, is_so, declared in _differences(wanted, found, seen):
            marks.node(key, CHANGED, f"NAT {what} {is_so or 'none'}, declared {declared or 'none'}")
        _forwarding(wanted, found, seen, key, marks)
    if own:
        for name in seen.nat.keys() - {wanted.name for wanted in wishes}:
            marks.node(key, CHANGED, f"NAT rule set {name} is not declared")


def _differences(wanted: Nat, found: Given, seen: SeenNamespace) -> t.Iterator[tuple[str, str, str]]:
    """What differs, how it is, and how it was declared."""
    wishes: dict[str, tuple[t.Sequence[str], t.Sequence[str]]] = {
        "to_source": (found["to_source"], [str(each) for each in wanted.to_source]),
    }
    if wanted.mode != "none":
        wishes["sources"] = (found["sources"], [str(each) for each in wanted.sources])
    if wanted.inside is not None:
        wishes["inside"] = (found["inside"], wanted.inside)
    if wanted.publish is not None:
        wishes["publish"] = (
            [
                publish_text(each["protocol"], each["port"], each["address"], each["to"], each["to_port"])
                for each in found["publish"]
            ],
            list(map(wanted_publish_text, wanted.publish)),
        )
    for what, (is_so, declared) in wishes.items():
        if set(is_so) != set(declared):
            yield what, ", ".join(sorted(is_so)), ", ".join(sorted(declared))
    inbound = "established" if wanted.established_only else "any"
    if found["inbound"] != inbound:
        yield "inbound", found["inbound"], inbound
    if wanted.mode == "masquerade":
        yield from _uplinks(wanted, found, seen)


def _uplinks(wanted: Nat, found: Given, seen: SeenNamespace) -> t.Iterator[tuple[str, str, str]]:
    versions = {network.version for network in wanted.sources} or {4}
    for version in sorted(versions):
        family = f"ipv{version}"
        names = set(found["uplink"][family])
        expected = set(wanted.uplink) - {AUTO}
        if ANY in wanted.uplink:
            expected = {ANY}
        elif AUTO in wanted.uplink:
            expected |= set(default_devs(seen, family))
        if expected and names != expected:
            yield "uplink", ", ".join(sorted(names)), ", ".join(sorted(expected))


def _forwarding(wanted: Nat, found: Given, seen: SeenNamespace, key: str, marks: Marks) -> None:
    """That the links pass packets on, of each family that is sure to be meant. Of IPv6 the kernel may have the global switch alone."""
    if wanted.ip_forward == "keep" or seen.sysctls is None:
        return
    on = {path for path, value in seen.sysctls.items() if value not in (None, "0")}
    for version in sorted({network.version for network in wanted.sources} or {4}):
        uplinks = [link for link in found["uplink"][f"ipv{version}"] if link != ANY]
        for link in (*found["inside"], *uplinks):
            switches = {
                4: ("net/ipv4/ip_forward" if wanted.ip_forward == "global" else f"net/ipv4/conf/{link}/forwarding",),
                6: ("net/ipv6/conf/all/forwarding", f"net/ipv6/conf/{link}/force_forwarding"),
            }[version]
            if link in (seen.links or {}) and on.isdisjoint(switches):
                marks.node(key, CHANGED, f"{switches[0]} is 0: NAT lets nothing pass from {link}")
