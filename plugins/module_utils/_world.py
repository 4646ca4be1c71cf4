# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The observed state, as plain data: what the kernel rooms read and the planner works on.

A World holds only what somebody asked for (see the needs below). The planner never changes the World that was
observed: it works on a copy, in which each planned operation is simulated, so that the next one is planned on what will be.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import typing as t

from ._values import HOST, IPAddress, IPInterface, IPNetwork, NamespaceRef

if t.TYPE_CHECKING:
    from ._ruleset import Table

SCOPE_GLOBAL, SCOPE_LINK, SCOPE_HOST, SCOPE_NOWHERE = 0, 253, 254, 255
NAT_TABLE = ("inet", "nslab")  # the nftables table that all rule sets share: family and name
TABLE_DEFAULT, TABLE_MAIN, TABLE_LOCAL = 253, 254, 255
PROTO_KERNEL, PROTO_BOOT, PROTO_STATIC, PROTO_RA = 2, 3, 4, 9
# Whether frames that a bridge forwards pass the forward chains of IP, by version; not there without br_netfilter.
BRIDGE_NETFILTER = {4: "net/bridge/bridge-nf-call-iptables", 6: "net/bridge/bridge-nf-call-ip6tables"}
# RTAX_* of linux/rtnetlink.h, by number, in the words of ip-route(8); `lock` says which of the others are locked.
ROUTE_METRICS = (
    *("", "lock", "mtu", "window", "rtt", "rttvar", "ssthresh", "cwnd", "advmss", "reordering", "hoplimit"),
    *("initcwnd", "features", "rto_min", "initrwnd", "quickack"),
)
IPV6_DEFAULT_METRIC = 1024  # IP6_RT_PRIO_USER in include/uapi/linux/ipv6_route.h


@dataclasses.dataclass(frozen=True)
class Address:
    """An address of a link. ``flags`` are IFA_F_* of linux/if_addr.h, of which the planner reads those below.

    ``lifetime`` is that of a dynamic one: the seconds for which it is preferred, and valid.
    """

    ip: IPInterface
    scope: int = SCOPE_GLOBAL
    flags: int = 0x80
    label: str | None = None
    broadcast: str | None = None
    peer: IPAddress | None = None
    lifetime: tuple[int, int] | None = None

    PERMANENT: t.ClassVar[int] = 0x80
    SECONDARY: t.ClassVar[int] = 0x01  # for IPv6 the same bit says "temporary"
    NODAD: t.ClassVar[int] = 0x02
    NOPREFIXROUTE: t.ClassVar[int] = 0x200

    @property
    def static(self) -> bool:
        """Permanent and of global scope: the only addresses that modules compare, add and remove."""
        return bool(self.flags & self.PERMANENT) and self.scope == SCOPE_GLOBAL and not self.ip.ip.is_link_local

    @property
    def secondary(self) -> bool:
        return self.ip.version == 4 and bool(self.flags & self.SECONDARY)


@dataclasses.dataclass(frozen=True)
class End:
    """One end of a link: the key of its namespace and its name there."""

    namespace: str
    name: str


@dataclasses.dataclass(frozen=True)
class BridgeOptions:
    """Times in hundredths of a second, as the kernel keeps them."""

    stp: bool = False
    forward_delay: int = 1500
    ageing_time: int = 30000
    multicast_snooping: bool = True


@dataclasses.dataclass(frozen=True)
class Link:
    """An interface. ``kind`` is the kernel's (veth, bridge, ...), None for a physical one, ``loopback`` for lo.

    ``peer`` is known once its namespace has been observed; until then ``peer_index`` and ``peer_nsid`` (None: the same
    namespace) tell the kernel rooms where to look. ``index``, ``mac``, ``mtu`` and ``state`` are None where the kernel has
    yet to choose. ``sysctls`` are its switches, by path, that differ from what new links get; they are observed only where
    the link may be lost. ``altnames`` are the other names that it goes by. ``netns_immutable`` says that the kernel never
    moves it to another namespace; None where it does not tell (before Linux 6.15).
    """

    name: str
    kind: str | None
    index: int | None = None
    mac: str | None = None
    mtu: int | None = 1500
    up: bool = False
    promisc: bool = False
    state: str | None = None
    master: str | None = None
    addresses: tuple[Address, ...] = ()
    bridge: BridgeOptions | None = None
    peer: End | None = None
    peer_index: int | None = None
    peer_nsid: int | None = None
    promote_secondaries: bool = False
    altnames: tuple[str, ...] = ()
    netns_immutable: bool | None = None
    sysctls: tuple[tuple[str, str], ...] = ()


@dataclasses.dataclass(frozen=True)
class Nexthop:
    via: IPAddress | None = None
    dev: str | None = None
    weight: int = 1
    onlink: bool = False


@dataclasses.dataclass(frozen=True)
class Route:
    """A route, by its identity (dst with its family, table, metric, tos) and what it says.

    ``metrics`` are RTA_METRICS by the names of ip-route(8) (``mtu`` among them), sorted.
    """

    dst: IPNetwork
    table: int = TABLE_MAIN
    metric: int = 0
    tos: int = 0
    kind: str = "unicast"
    scope: int = SCOPE_GLOBAL
    protocol: int = PROTO_BOOT
    via: IPAddress | None = None
    dev: str | None = None
    src: IPAddress | None = None
    onlink: bool = False
    nexthops: tuple[Nexthop, ...] = ()
    metrics: tuple[tuple[str, int], ...] = ()

    @property
    def identity(self) -> tuple[IPNetwork, int, int, int]:
        return (self.dst, self.table, self.metric, self.tos)

    @property
    def devs(self) -> tuple[str, ...]:
        """Every link that the route leaves by."""
        if self.nexthops:
            return tuple(hop.dev for hop in self.nexthops if hop.dev)
        return (self.dev,) if self.dev else ()

    @property
    def is_default(self) -> bool:
        return self.dst.prefixlen == 0 and self.kind == "unicast"


@dataclasses.dataclass(frozen=True)
class Neighbour:
    """Who has an address behind a link; ``mac`` is None while nobody has answered, ``state`` a word of ip-neighbour(8)."""

    dst: IPAddress
    dev: str
    mac: str | None
    state: str


@dataclasses.dataclass(frozen=True)
class ForeignTable:
    """A table of somebody else's that filters what is forwarded; ``legacy``: one of iptables-legacy, which no `nft` shows."""

    table: Table
    legacy: bool = False


@dataclasses.dataclass
class NamespaceState:
    """A network namespace. Facets that nobody asked for are None or empty.

    ``pids`` are the processes inside, ``mounts`` the files over which it is bound, ``holders`` the processes outside that
    have it open: either keeps it alive without one inside.
    """

    key: str
    inode: int | None = None
    links: dict[str, Link] = dataclasses.field(default_factory=dict)
    routes: list[Route] = dataclasses.field(default_factory=list)
    sysctls: dict[str, str | None] = dataclasses.field(default_factory=dict)
    pids: tuple[int, ...] | None = None
    table: Table | None = None
    firewall: tuple[ForeignTable, ...] | None = None
    mounts: tuple[str, ...] = ()
    holders: tuple[int, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()

    def copy(self) -> NamespaceState:
        return dataclasses.replace(self, links=dict(self.links), routes=list(self.routes), sysctls=dict(self.sysctls))

    def default_route(self, version: int) -> Route | None:
        """The default route of the main table that the kernel prefers; version is 4 or 6."""
        found = [
            route
            for route in self.routes
            if route.is_default and route.dst.version == version and route.table == TABLE_MAIN and route.devs
        ]
        return min(found, key=lambda route: route.metric, default=None)

    def carries_default_route(self, name: str) -> bool:
        return any(route.is_default and route.table == TABLE_MAIN and name in route.devs for route in self.routes)

    def ports(self, bridge: str) -> tuple[str, ...]:
        return tuple(sorted(link.name for link in self.links.values() if link.master == bridge))


@dataclasses.dataclass(frozen=True)
class NameEntry:
    """What stands under /run/netns/NAME: ``missing``, ``namespace`` or ``stale`` (a file that is no namespace)."""

    state: str
    attached: bool = False  # bound by `attach`, as the record below /run/nslab says


@dataclasses.dataclass(frozen=True)
class FileState:
    """A file; or, where ``target`` says whither, a symbolic link to one, whose content is empty if it leads to none."""

    content: str
    mode: int = 0o644
    target: str | None = None


@dataclasses.dataclass(frozen=True)
class DirectoryState:
    names: tuple[str, ...]
    mode: int = 0o755
    linked: bool = False  # a symbolic link to one


_PREFERENCE = {"host": 0, "name": 1, "path": 2, "pid": 3}


def _preference(ref: NamespaceRef) -> tuple[int, str]:
    return (_PREFERENCE[ref.kind], ref.value)


@dataclasses.dataclass
class World:
    """Everything observed. ``keys`` tells which namespace a reference leads to (None: none, and ``faults`` says why).

    ``unread`` says why what was needed only if it can be read could not be.
    """

    keys: dict[NamespaceRef, str | None] = dataclasses.field(default_factory=dict)
    faults: dict[NamespaceRef, str] = dataclasses.field(default_factory=dict)
    unread: dict[Need, str] = dataclasses.field(default_factory=dict)
    names: dict[str, NameEntry] = dataclasses.field(default_factory=dict)
    namespaces: dict[str, NamespaceState] = dataclasses.field(default_factory=dict)
    files: dict[str, FileState | None] = dataclasses.field(default_factory=dict)
    directories: dict[str, DirectoryState | None] = dataclasses.field(default_factory=dict)
    live_rename: bool = True  # since Linux 6.2 a link keeps running while it is renamed
    seen: set[Need] = dataclasses.field(default_factory=set)

    def copy(self) -> World:
        return dataclasses.replace(
            self,
            keys=dict(self.keys),
            names=dict(self.names),
            namespaces={key: state.copy() for key, state in self.namespaces.items()},
            files=dict(self.files),
            directories=dict(self.directories),
        )

    def excerpt(self, *keys: str) -> World:
        """A copy with only some of the namespaces, to try out on it what an operation does."""
        return dataclasses.replace(self, namespaces={key: self.namespaces[key].copy() for key in keys})

    def at(self, ref: NamespaceRef) -> NamespaceState | None:
        key = self.keys.get(ref)
        return None if key is None else self.namespaces[key]

    def state(self, ref: NamespaceRef) -> NamespaceState:
        """As `at`, of a namespace that is known to be there.

        :raises KeyError: it is not.
        """
        return self.namespaces[self.keys[ref] or ""]

    def the_link(self, ref: NamespaceRef, name: str) -> Link:
        """As `link`, of a link that is known to be there.

        :raises KeyError: it is not.
        """
        return self.state(ref).links[name]

    def link(self, ref: NamespaceRef, name: str) -> Link | None:
        state = self.at(ref)
        return None if state is None else state.links.get(name)

    def put(self, ref: NamespaceRef, link: Link) -> None:
        """Lay ``link`` into the namespace, in place of the one of its name."""
        self.state(ref).links[link.name] = link

    def reference(self, key: str) -> NamespaceRef:
        """How to reach a namespace: by name if it has one, then host, else by path or pid."""
        if self.keys.get(HOST) == key:
            return HOST
        return min((ref for ref, target in self.keys.items() if target == key), key=_preference)

    def references(self) -> dict[str, NamespaceRef]:
        """As `reference`, of all namespaces at once."""
        worst_first = sorted(self.keys, key=_preference, reverse=True)
        return {key: ref for ref in worst_first for key in [self.keys[ref]] if key is not None}

    def far_end(self, link: Link) -> Link | None:
        """The other end of a veth, where its namespace has been observed."""
        if link.peer is None or link.peer.namespace not in self.namespaces:
            return None
        return self.namespaces[link.peer.namespace].links.get(link.peer.name)


@dataclasses.dataclass(frozen=True)
class Need:
    """Something to be observed; the planner says so, the kernel rooms look."""


@dataclasses.dataclass(frozen=True)
class NeedIfReadable(Need):
    """Another need; where it can't be read, World.unread says why, and nothing fails."""

    need: Need


@dataclasses.dataclass(frozen=True)
class NeedNamespace(Need):
    """Where the reference leads, and for a name what stands under /run/netns."""

    ref: NamespaceRef


@dataclasses.dataclass(frozen=True)
class NeedLinks(Need):
    """The links of a namespace with their addresses, and its routes."""

    ref: NamespaceRef


@dataclasses.dataclass(frozen=True)
class NeedPeer(Need):
    """The far end of a veth, wherever it is; the links of its namespace are observed too. Looked for first in ``likely``."""

    ref: NamespaceRef
    name: str
    likely: NamespaceRef = HOST


@dataclasses.dataclass(frozen=True)
class NeedSysctl(Need):
    """One sysctl, by its path below /proc/sys."""

    ref: NamespaceRef
    path: str


@dataclasses.dataclass(frozen=True)
class NeedForwarding(Need):
    """The forwarding switches of all links, which the kernel resets together with the global one.

    For IPv6 also whether each link takes router advertisements, which depends on them.
    """

    ref: NamespaceRef
    version: int


@dataclasses.dataclass(frozen=True)
class NeedForwardingLinks(Need):
    """The forwarding switches of all links and the global ones, of both families, and nothing that hangs on them."""

    ref: NamespaceRef


@dataclasses.dataclass(frozen=True)
class NeedNeighbours(Need):
    """The neighbours of all links, of both families."""

    ref: NamespaceRef


@dataclasses.dataclass(frozen=True)
class NeedLinkSysctls(Need):
    """The switches of one link, which go along with it (Link.sysctls)."""

    ref: NamespaceRef
    link: str


@dataclasses.dataclass(frozen=True)
class NeedProcesses(Need):
    """The pids inside a namespace, and the files over which it is bound."""

    ref: NamespaceRef


@dataclasses.dataclass(frozen=True)
class NeedHolders(Need):
    """The processes outside a namespace that have it open."""

    ref: NamespaceRef


@dataclasses.dataclass(frozen=True)
class NeedTable(Need):
    """The nftables table of this collection."""

    ref: NamespaceRef


@dataclasses.dataclass(frozen=True)
class NeedFirewall(Need):
    """The tables of others that filter what is forwarded, and whether they see what a bridge forwards (BRIDGE_NETFILTER)."""

    ref: NamespaceRef


@dataclasses.dataclass(frozen=True)
class NeedFile(Need):
    path: str


@dataclasses.dataclass(frozen=True)
class NeedDirectory(Need):
    """A directory: what is in it, and its mode."""

    path: str


_ANY = {4: ipaddress.ip_network("0.0.0.0/0"), 6: ipaddress.ip_network("::/0")}


def any_network(version: int) -> IPNetwork:
    return _ANY[version]
