# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that is only imagined: what the planner asks of the kernel is answered from a World built by hand.

It tells no more than was asked for, as the kernel rooms do, so that a need which was forgotten shows. Every plan that
is made here is looked at twice more: on its own result nothing may be left to do, and each step's inverse has to lead
back to what was before the step.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import itertools

from ansible_collections.nslab.linux.plugins.module_utils import _world as w
from ansible_collections.nslab.linux.plugins.module_utils._engine import Plan, make_plan, observe
from ansible_collections.nslab.linux.plugins.module_utils._resources import (
    _bridge,
    _lab,
    _namespace,
    _nat,
    _ns_link,
    _resolv,
    _route,
    _veth,
)
from ansible_collections.nslab.linux.plugins.module_utils._resources._binding import RebindNamespace
from ansible_collections.nslab.linux.plugins.module_utils._values import HOST, NamespaceRef
from ansible_collections.nslab.linux.plugins.module_utils._world import Address, End, Link, NamespaceState, Route, World

DECLARE = {
    "netns": _namespace.declare,
    "veth": _veth.declare,
    "bridge": _bridge.declare,
    "ns_route": _route.declare,
    "ns_nat": _nat.declare,
    "ns_resolv": _resolv.declare,
    "ns_link": _ns_link.declare,
    "lab": _lab.declare,
}
DEFAULTS = {"netns": {"loopback": True, "processes": "fail"}, "bridge": {"purge_addresses": True}}
MANY = 50  # steps, of which not each is worth a copy of the world
_indexes = itertools.count(2)


# A host, built by hand


def ref(name: str) -> NamespaceRef:
    return HOST if name == "host" else NamespaceRef("name", name)


def key(name: str) -> str:
    """By what the namespace of that name is known in a World."""
    return f"4:{name}"


def link(name: str, kind: str | None = "dummy", *addresses: Address, up: bool = True, **fields) -> Link:
    """A link; with kind None it is a physical one."""
    fields.setdefault("mac", "02:00:00:00:00:01")
    return Link(name, kind, next(_indexes), up=up, addresses=addresses, **fields)


def veth(name: str, other: str, *addresses: Address, **fields) -> Link:
    """One end of a pair; ``other`` is the other end, as ``red:eth0``."""
    where, _colon, peer = other.partition(":")
    return link(name, "veth", *addresses, peer=End(key(where), peer), **fields)


def bridge(name: str, *addresses: Address, **fields) -> Link:
    options = fields.pop("options", w.BridgeOptions())
    return link(name, "bridge", *addresses, bridge=options, **fields)


def address(text: str, **fields) -> Address:
    return Address(ipaddress.ip_interface(text), **fields)


def secondary(text: str) -> Address:
    return address(text, flags=Address.PERMANENT | Address.SECONDARY)


def route(dst: str, via: str | None = None, dev: str | None = None, **fields) -> Route:
    """A route as iproute2 would have set it."""
    network = ipaddress.ip_network("0.0.0.0/0" if dst == "default" else dst)
    fields.setdefault("metric", 0 if network.version == 4 else w.IPV6_DEFAULT_METRIC)
    direct = via is None and "nexthops" not in fields and fields.get("kind", "unicast") == "unicast"
    fields.setdefault("scope", w.SCOPE_LINK if direct and network.version == 4 else w.SCOPE_GLOBAL)
    return Route(network, via=None if via is None else ipaddress.ip_address(via), dev=dev, **fields)


def connected(dst: str, dev: str) -> Route:
    """The route that the kernel makes for an address."""
    metric = 256 if ":" in dst else 0
    return route(dst, None, dev, protocol=w.PROTO_KERNEL, metric=metric)


def namespace(
    *links: Link, routes=(), sysctls=None, pids=(), table=None, firewall=(), loopback: bool = True
) -> NamespaceState:
    lo = Link("lo", "loopback", 1, "00:00:00:00:00:00", 65536, up=loopback)
    there = {each.name: each for each in (lo, *links)}
    return NamespaceState("", None, there, list(routes), dict(sysctls or {}), tuple(pids), table, tuple(firewall))


def a_host(*links: Link, routes=(), **facets) -> NamespaceState:
    """A host with an uplink by which its default route leaves."""
    uplink = link("eth0", None, address("192.0.2.10/24"))
    default = (route("default", "192.0.2.1", "eth0"), connected("192.0.2.0/24", "eth0"))
    return namespace(uplink, *links, routes=(*default, *routes), **facets)


def world(
    host: NamespaceState | None = None,
    *,
    attached=(),
    stale=(),
    files=None,
    directories=None,
    live_rename=True,
    **named,
) -> World:
    """A host with namespaces by name; ``attached`` are those bound by attaching, ``stale`` are files that are none."""
    made = World(live_rename=live_rename, files=dict(files or {}), directories=dict(directories or {}))
    for name, state in {"host": host or namespace(), **named}.items():
        made.keys[ref(name)] = key(name)
        made.namespaces[key(name)] = dataclasses.replace(state, key=key(name), inode=4026531840 + len(made.keys))
        made.names[name] = w.NameEntry("namespace", name in attached)
    made.names.update({name: w.NameEntry("stale") for name in stale})
    return made


class Imagined:
    """Stands for the kernel rooms: looks at the World that is true."""

    def __init__(self, truth: World) -> None:
        self.truth = truth

    def observe(self, seen: World, needs) -> None:
        seen.live_rename = self.truth.live_rename
        for need in sorted(needs, key=lambda need: (isinstance(need, w.NeedPeer), repr(need))):
            if isinstance(need, w.NeedFile):
                seen.files[need.path] = self.truth.files.get(need.path)
            elif isinstance(need, w.NeedDirectory):
                seen.directories[need.path] = self.truth.directories.get(need.path)
            else:
                self._look_into(seen, need)

    def _look_into(self, seen: World, need) -> None:
        true, state = self._namespace(seen, need.ref)
        if state is None or isinstance(need, w.NeedNamespace):
            return
        if isinstance(need, w.NeedSysctl):
            state.sysctls[need.path] = true.sysctls.get(need.path)
        elif isinstance(need, w.NeedForwarding):
            kind = f"net/ipv{need.version}/"
            switches = ("/forwarding", "/force_forwarding", "/accept_ra")
            found = {p: v for p, v in true.sysctls.items() if p.startswith(kind) and p.endswith(switches)}
            state.sysctls.update(found)
            if need.version == 4:
                state.sysctls["net/ipv4/ip_forward"] = true.sysctls.get("net/ipv4/ip_forward", "0")
        elif isinstance(need, w.NeedProcesses):
            state.pids, state.mounts = true.pids, true.mounts
        elif isinstance(need, w.NeedTable):
            state.table = true.table
        elif isinstance(need, w.NeedFirewall):
            state.firewall = true.firewall or ()
            state.sysctls.update({p: v for p, v in true.sysctls.items() if p in w.BRIDGE_NETFILTER.values()})
        else:
            self._links(true, state)
            if isinstance(need, w.NeedPeer):
                self._peer(seen, need)
            elif isinstance(need, w.NeedLinkSysctls) and need.link in state.links:
                own = true.links[need.link].sysctls
                state.links[need.link] = dataclasses.replace(state.links[need.link], sysctls=own)

    def _namespace(self, seen: World, where: NamespaceRef):
        if where.kind == "name":
            seen.names[where.value] = self.truth.names.get(where.value, w.NameEntry("missing"))
        found = self.truth.keys.get(where)
        seen.keys.setdefault(where, found)
        if found is None:
            seen.faults[where] = "No such file or directory"
            return None, None
        true = self.truth.namespaces[found]
        return true, seen.namespaces.setdefault(found, NamespaceState(found, true.inode))

    @staticmethod
    def _links(true: NamespaceState, state: NamespaceState) -> None:
        if not state.links:
            state.links = {n: dataclasses.replace(each, peer=None, sysctls=()) for n, each in true.links.items()}
            state.routes = list(true.routes)

    def _peer(self, seen: World, need) -> None:
        here = seen.at(need.ref)
        one = self.truth.at(need.ref).links.get(need.name)
        if one is None or one.peer is None or one.peer.namespace not in self.truth.namespaces:
            return
        there, state = self._namespace(seen, self.truth.reference(one.peer.namespace))
        self._links(there, state)
        back = End(here.key, need.name)
        here.links[need.name] = dataclasses.replace(here.links[need.name], peer=one.peer)
        state.links[one.peer.name] = dataclasses.replace(state.links[one.peer.name], peer=back)


# Plans


@dataclasses.dataclass(frozen=True)
class Planned:
    """A plan, and what the task would return."""

    plan: Plan
    report: dict

    @property
    def operations(self) -> list[str]:
        return self.plan.operations

    @property
    def warnings(self) -> tuple[str, ...]:
        return self.plan.warnings

    @property
    def after(self) -> World:
        return self.plan.after


def plan(module: str, truth: World, check: bool = False, **options) -> Planned:
    """The plan of a task of ``module`` on the imagined host, in check mode or not."""
    declaration = DECLARE[module]({"state": "present", **DEFAULTS.get(module, {}), **options})
    made = make_plan(declaration, observe(declaration, Imagined(truth)), assume=check)
    again = make_plan(declaration, observe(declaration, Imagined(made.after)), assume=check)
    _same(again.operations, [], f"{made.operations} leave something to do")
    assumes = any(text.startswith("check mode") for text in made.warnings)
    if not assumes and len(made.steps) < MANY:
        assert_each_step_leads_back(made)
    return Planned(made, declaration.report(made.after))


def assert_each_step_leads_back(made: Plan) -> None:
    current = made.before.copy()
    for step in made.steps:
        before = current.copy()
        step.operation.simulate(current)
        back = current.copy()
        if not step.inverse or any(isinstance(each, RebindNamespace) for each in step.inverse):
            continue  # can't be undone; or comes back whole, from a descriptor
        for operation in step.inverse:
            operation.simulate(back)
        for name in before.namespaces:
            assert_alike(back.namespaces[name], before.namespaces[name], step.operation.command)
        assert bound(back) == bound(before)
        assert back.files == {**dict.fromkeys(back.files), **before.files}
        assert {path: state and state.mode for path, state in back.directories.items()} == {
            **dict.fromkeys(back.directories),
            **{path: state and state.mode for path, state in before.directories.items()},
        }


def bound(imagined: World) -> set[str]:
    return {name for name, entry in imagined.names.items() if entry.state == "namespace"}


def assert_alike(one: NamespaceState, other: NamespaceState, what: str) -> None:
    """All that is not left to the kernel is the same in both."""
    _same(sorted(one.links), sorted(other.links), what)
    for name, a in one.links.items():
        b = other.links[name]
        _same(shown(a), shown(b), f"{what}: {name}")
        assert a.mac == b.mac or None in (a.mac, b.mac), what
        assert a.mtu == b.mtu or None in (a.mtu, b.mtu), what
    _same(foreign_to_the_kernel(one), foreign_to_the_kernel(other), what)
    _same((one.table, one.pids), (other.table, other.pids), what)
    _same({path: one.sysctls.get(path) for path in other.sysctls}, other.sysctls, what)


def _same(one, other, what: str) -> None:
    assert one == other, f"{what}:\n{one}\nis not\n{other}"


def shown(one: Link) -> tuple:
    """What is not left to the kernel of a link; of its addresses the order, too, is the kernel's."""
    own = [each for each in one.addresses if not each.ip.ip.is_link_local and each.flags & Address.PERMANENT]
    said = sorted(f"{each.ip} {each.flags} {each.label} {each.peer}" for each in own)
    return (one.kind, one.up, one.promisc, one.master, one.bridge, one.peer, said)


def foreign_to_the_kernel(state: NamespaceState) -> list[str]:
    """The routes that somebody has set."""
    return sorted(str(each) for each in state.routes if each.protocol != w.PROTO_KERNEL)
