# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is in namespaces, without anything being wanted of it: the resource of a module that only looks.

What can't be read is None, and a warning says why; a namespace is often on its way while others are looked at.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._engine import Declaration, Draft
from .._errors import Problem
from .._values import ETC_NETNS, HOST, NETNS_DIR, NamespaceRef, parse_namespace
from .._world import (
    PROTO_BOOT,
    PROTO_KERNEL,
    PROTO_RA,
    PROTO_STATIC,
    FileState,
    Link,
    NamespaceState,
    Need,
    NeedDirectory,
    NeedFile,
    NeedForwardingLinks,
    NeedIfReadable,
    NeedLinks,
    NeedNamespace,
    NeedNeighbours,
    NeedPeer,
    NeedProcesses,
    NeedTable,
    Route,
    World,
)
from ._bridge import report_bridge
from ._lab_ledger import labs, ledger_needs, places
from ._link import report_link
from ._resolv import parse_hosts, parse_resolv_conf
from ._route import report_route

GLOBAL_SWITCHES = ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding")
PROTOCOL_NAMES = {PROTO_KERNEL: "kernel", PROTO_BOOT: "boot", PROTO_STATIC: "static", PROTO_RA: "ra", 16: "dhcp"}
MOST_NAMES = 3  # in a warning
# The facets of a namespace, each with what it is read from.
FACETS: t.Mapping[str, t.Callable[[NamespaceRef], Need]] = {
    "links": NeedLinks,
    "neighbours": NeedNeighbours,
    "sysctls": NeedForwardingLinks,
    "nat": NeedTable,
    "pids": NeedProcesses,
}


References = t.Mapping[str, NamespaceRef]


@dataclasses.dataclass(frozen=True)
class Sight:
    """The namespaces that are looked at: those ``chosen``, those of a lab and the host, or all that have a name and the host."""

    chosen: tuple[NamespaceRef, ...] | None = None
    lab: str | None = None

    def refs(self, world: World) -> list[NamespaceRef]:
        if self.chosen is not None:
            return list(self.chosen)
        if self.lab is not None:
            names: t.Iterable[str] = places(labs(world).get(self.lab, {}))
        else:
            folder = world.directories.get(NETNS_DIR)
            names = () if folder is None else folder.names
        return [HOST, *(_by_name(name) for name in sorted(names) if self.lab is None or name != str(HOST))]

    def needs(self, world: World) -> t.Iterable[Need]:
        first = [NeedDirectory(NETNS_DIR), NeedDirectory(ETC_NETNS), *ledger_needs(world)]
        if not world.seen.issuperset(first):
            return first
        found: list[Need] = []
        for ref in self.refs(world):
            found.append(NeedNamespace(ref))
            if ref not in world.keys or world.keys[ref] is not None:
                found += [NeedIfReadable(facet(ref)) for facet in FACETS.values()]
                found += [NeedIfReadable(NeedFile(path)) for path in _resolver_paths(world, ref)]
                found += _peers(world, ref)
        return found

    def plan(self, draft: Draft) -> None:
        """There is nothing to be done; what could not be read is told."""
        world = draft.world
        if self.lab is not None and self.lab not in labs(world):
            known = ", ".join(sorted(labs(world)))
            raise Problem(
                f"there is no lab {self.lab} on the host",
                f"labs there: {known}" if known else "no lab is there; make it with nslab.linux.lab",
            )
        unread: dict[tuple[str, str], list[str]] = {}
        for ref in self.refs(world):
            if world.at(ref) is None:
                draft.warn(f"namespace {ref} can't be read: {world.faults[ref]}")
            for what, need in FACETS.items():
                if need(ref) in world.unread:
                    unread.setdefault((what, world.unread[need(ref)]), []).append(str(ref))
            for path in _resolver_paths(world, ref):
                if NeedFile(path) in world.unread:
                    draft.warn(f"{path} can't be read: {world.unread[NeedFile(path)]}")
        for (what, why), names in unread.items():
            more = f" and {len(names) - MOST_NAMES} others" if len(names) > MOST_NAMES else ""
            draft.warn(f"{what} of {', '.join(names[:MOST_NAMES])}{more} can't be read: {why}")


def _by_name(name: str) -> NamespaceRef:
    """One that stands under /run/netns; those whose names nobody could write as one go by their path."""
    try:
        return parse_namespace(f"{NETNS_DIR}/{name}")
    except Problem:
        return NamespaceRef("path", f"{NETNS_DIR}/{name}")


def _resolver_paths(world: World, ref: NamespaceRef) -> tuple[str, ...]:
    """resolv.conf and hosts."""
    folders = world.directories.get(ETC_NETNS)
    if ref == HOST:
        return ("/etc/resolv.conf", "/etc/hosts")
    if ref.kind != "name" or folders is None or ref.value not in folders.names:
        return ()
    return (f"{ETC_NETNS}/{ref.value}/resolv.conf", f"{ETC_NETNS}/{ref.value}/hosts")


def _peers(world: World, ref: NamespaceRef) -> list[Need]:
    state = world.at(ref)
    links = () if state is None else state.links.values()
    return [NeedIfReadable(NeedPeer(ref, link.name)) for link in links if link.kind == "veth" and link.peer is None]


# as it is returned


def _report(world: World, sight: Sight) -> dict[str, object]:
    ledgers = labs(world)
    makers = {key[1]: lab for lab, entries in ledgers.items() for key in entries if key[0] == "namespace"}
    given: dict[str, dict[str, list[str]]] = {}
    for entries in ledgers.values():
        for (kind, *identity), value in entries.items():
            if kind == "addresses":
                given.setdefault(identity[0], {})[identity[1]] = value.split()
    known = world.references()
    return {
        "namespaces": {
            str(ref): _namespace(world, ref, makers, given.get(str(ref), {}), known) for ref in sight.refs(world)
        }
    }


def _namespace(
    world: World,
    ref: NamespaceRef,
    makers: t.Mapping[str, str],
    given: t.Mapping[str, list[str]],
    references: References,
) -> dict[str, object] | None:
    state = world.at(ref)
    if state is None:
        return None
    known = {what: need(ref) not in world.unread for what, need in FACETS.items()}
    return {
        "path": None if ref == HOST else ref.path,
        "inode": state.inode,
        "lab": makers.get(ref.value) if ref.kind == "name" else None,
        "lab_addresses": dict(given),
        "links": _links(world, ref, state, references) if known["links"] else None,
        "routes": _routes(ref, state) if known["links"] else None,
        "neighbours": _neighbours(state) if known["neighbours"] else None,
        "nat": _nat(state) if known["nat"] else None,
        "resolv": _resolv(world, ref),
        "sysctls": _switches(state) if known["sysctls"] else None,
        "pids": list(state.pids or ()) if known["pids"] else None,
    }


def _links(world: World, ref: NamespaceRef, state: NamespaceState, references: References) -> dict[str, object]:
    return {
        link.name: report_link(world, ref, link.name, references)
        if link.bridge is None
        else report_bridge(world, ref, link.name)
        for link in sorted(state.links.values(), key=_index)
    }


def _index(link: Link) -> int:
    return link.index or 0


def _routes(ref: NamespaceRef, state: NamespaceState) -> list[dict[str, object]]:
    return [
        {
            **report_route(ref, route),
            "family": f"ipv{route.dst.version}",
            "protocol": PROTOCOL_NAMES.get(route.protocol, str(route.protocol)),
        }
        for route in sorted(state.routes, key=_place_of)
    ]


def _place_of(route: Route) -> tuple[object, ...]:
    """Defaults first, then by address."""
    network = route.dst
    order = (network.version, route.table, network.prefixlen > 0, int(network.network_address), network.prefixlen)
    return (*order, route.metric, route.tos, str(route.via), str(route.dev))


def _neighbours(state: NamespaceState) -> list[dict[str, object]]:
    return [{"dst": str(each.dst), "dev": each.dev, "mac": each.mac, "state": each.state} for each in state.neighbours]


def _nat(state: NamespaceState) -> dict[str, object]:
    if state.table is None:
        return {}
    from ._nat_report import report_rule_sets  # with it come all files of ns_nat, and few namespaces have a table

    return report_rule_sets(state.table)


def _resolv(world: World, ref: NamespaceRef) -> dict[str, object] | None:
    files = [_text(world.files.get(path)) for path in _resolver_paths(world, ref)]
    if not any(text is not None for text in files):
        return None
    resolv, hosts = files
    said = None if resolv is None else parse_resolv_conf(resolv)
    return {
        "nameservers": None if said is None else list(said.nameservers or ()),
        "search": None if said is None else list(said.search or ()),
        "options": None if said is None else list(said.options or ()),
        "hosts": None if hosts is None else parse_hosts(hosts),
    }


def _text(file: FileState | None) -> str | None:
    """None of a symbolic link that leads nowhere, too; what was not UTF-8 can't be shown."""
    if file is None or (file.target is not None and not file.mode):
        return None
    return file.content.encode(errors="surrogateescape").decode(errors="replace")


def _switches(state: NamespaceState) -> dict[str, str | None]:
    """The global ones, and those of links that are on."""
    switches = {path: state.sysctls.get(path) for path in GLOBAL_SWITCHES}
    on = {path: value for path, value in state.sysctls.items() if path not in switches and value not in (None, "0")}
    return {**switches, **dict(sorted(on.items()))}


# from the options of the module


def declare(params: t.Mapping[str, t.Any]) -> Declaration:
    """A look at namespaces."""
    chosen = params.get("netns")
    refs = None if chosen is None else tuple(dict.fromkeys(parse_namespace(text) for text in chosen))
    sight = Sight(refs, params.get("lab"))
    return Declaration([sight], lambda world: _report(world, sight), "namespaces")
