# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel says of links, addresses, routes and neighbours, from bytes to the types of the world.

Only the attributes that the world holds are taken out. pyroute2 decodes all of a message, which for a namespace with a
veth costs ten milliseconds; a second run consists of little else.

Source: rtnetlink(7), linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h, linux/neighbour.h, linux/netconf.h.
"""

from __future__ import annotations

import functools
import ipaddress
import struct
import typing as t

from .._values import IPAddress, IPInterface, IPNetwork
from .._world import (
    PROTO_KERNEL,
    ROUTE_METRICS,
    TABLE_LOCAL,
    Address,
    BridgeOptions,
    Link,
    Neighbour,
    Nexthop,
    Route,
    any_network,
)

NLMSG_HEADER = 16
IFF_UP, IFF_LOOPBACK, IFF_PROMISC = 0x1, 0x8, 0x100
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER = 1, 3, 4, 5, 10
IFLA_OPERSTATE, IFLA_LINKINFO, IFLA_LINK_NETNSID = 16, 18, 37
IFLA_PROP_LIST, IFLA_ALT_IFNAME, IFLA_NETNS_IMMUTABLE = 52, 53, 67
IFLA_INFO_KIND, IFLA_INFO_DATA = 1, 2
IFLA_BR_FORWARD_DELAY, IFLA_BR_AGEING_TIME, IFLA_BR_STP_STATE, IFLA_BR_MCAST_SNOOPING = 1, 4, 5, 23
OPERSTATES = ("unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up")
IFA_ADDRESS, IFA_LOCAL, IFA_LABEL, IFA_BROADCAST, IFA_CACHEINFO, IFA_FLAGS = 1, 2, 3, 4, 6, 8
FOREVER = 0xFFFFFFFF  # INFINITY_LIFE_TIME
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_PREFSRC = 1, 4, 5, 6, 7
RTA_METRICS, RTA_MULTIPATH, RTA_TABLE, RTA_VIA = 8, 9, 15, 18
RTM_F_CLONED, RTNH_F_ONLINK = 0x200, 0x4
ROUTE_KINDS = (
    *("unspec", "unicast", "local", "broadcast", "anycast", "multicast"),
    *("blackhole", "unreachable", "prohibit", "throw", "nat"),
)
LEADING_NOWHERE = ("blackhole", "unreachable", "prohibit", "throw")
NETNSA_NSID = 1
NDA_DST, NDA_LLADDR = 1, 2
# NUD_*; of those without a word here, such as that of addresses which need no asking, ip-neighbour(8) does not speak.
NEIGHBOUR_STATES = {
    1: "incomplete",
    2: "reachable",
    4: "stale",
    8: "delay",
    16: "probe",
    32: "failed",
    128: "permanent",
}
NETCONFA_IFINDEX, NETCONFA_FORWARDING = 1, 2
NETCONFA_IFINDEX_ALL = -1

_AF_INET, _AF_INET6 = 2, 10
_ATTRIBUTE = struct.Struct("=HH")
_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=BBBBBBBBI")
_NEXTHOP = struct.Struct("=HBBi")
_CACHEINFO = struct.Struct("=IIII")
_NEIGHBOUR = struct.Struct("=BxxxiHBB")
_SIGNED = struct.Struct("=i")

Attributes = dict[int, bytes]


def read_attributes(data: bytes, offset: int = 0) -> Attributes:
    """Attributes by type, nested and byte order flags cut off; of several of one type the last."""
    found: Attributes = {}
    end = len(data)
    while offset + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < 4:
            break
        found[kind & 0x3FFF] = data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


def _number(attributes: Attributes, kind: int) -> int | None:
    data = attributes.get(kind)
    return None if data is None else int(struct.unpack_from("=I", data)[0])


def _text(data: bytes | None) -> str | None:
    return None if data is None else data.rstrip(b"\0").decode(errors="surrogateescape")


def _address(data: bytes | None) -> IPAddress | None:
    return None if not data else ipaddress.ip_address(data)


# The same few in many namespaces (a loopback's, fe80::/64), and all of them once more when a run is verified.
@functools.lru_cache(1 << 16)
def _interface(data: bytes, prefix: int) -> IPInterface:
    return ipaddress.IPv4Interface((data, prefix)) if len(data) == 4 else ipaddress.IPv6Interface((data, prefix))


@functools.lru_cache(1 << 16)
def _network(data: bytes, prefix: int) -> IPNetwork:
    return ipaddress.IPv4Network((data, prefix)) if len(data) == 4 else ipaddress.IPv6Network((data, prefix))


def decode_links(dump: t.Iterable[bytes], addresses: t.Mapping[int, t.Sequence[Address]]) -> list[Link]:
    """Links of one namespace, with their addresses by index; masters by name."""
    found = []
    for data in dump:
        family, _type, index, flags, _change = _LINK.unpack_from(data, NLMSG_HEADER)
        if family == 0:  # AF_BRIDGE repeats the ports
            found.append((index, flags, read_attributes(data, NLMSG_HEADER + _LINK.size)))
    names = {index: _text(attributes[IFLA_IFNAME]) for index, _flags, attributes in found}
    return [_link(index, flags, attributes, names, addresses.get(index, ())) for index, flags, attributes in found]


def _link(
    index: int,
    flags: int,
    attributes: Attributes,
    names: t.Mapping[int, str | None],
    addresses: t.Sequence[Address],
) -> Link:
    info = read_attributes(attributes.get(IFLA_LINKINFO, b""))
    kind = _text(info.get(IFLA_INFO_KIND))
    if kind is None and flags & IFF_LOOPBACK:
        kind = "loopback"
    mac = attributes.get(IFLA_ADDRESS)
    immutable = attributes.get(IFLA_NETNS_IMMUTABLE)
    veth = kind == "veth"
    return Link(
        name=names[index] or "",
        kind=kind,
        index=index,
        mac=None if mac is None else mac.hex(":"),
        mtu=_number(attributes, IFLA_MTU),
        up=bool(flags & IFF_UP),
        promisc=bool(flags & IFF_PROMISC),
        state=OPERSTATES[attributes.get(IFLA_OPERSTATE, b"\0")[0]],
        master=names.get(_number(attributes, IFLA_MASTER) or 0),
        addresses=tuple(addresses),
        bridge=_bridge(read_attributes(info.get(IFLA_INFO_DATA, b""))) if kind == "bridge" else None,
        peer_index=_number(attributes, IFLA_LINK) if veth else None,
        peer_nsid=_nsid(attributes, IFLA_LINK_NETNSID) if veth else None,
        altnames=_altnames(attributes.get(IFLA_PROP_LIST)),
        netns_immutable=None if immutable is None else immutable[0] != 0,
    )


def _altnames(properties: bytes | None) -> tuple[str, ...]:
    found, offset = [], 0
    while properties is not None and offset + 4 <= len(properties):
        length, kind = _ATTRIBUTE.unpack_from(properties, offset)
        if kind & 0x3FFF == IFLA_ALT_IFNAME:
            found.append(_text(properties[offset + 4 : offset + length]) or "")
        offset += (max(length, 4) + 3) & ~3
    return tuple(found)


def _bridge(data: Attributes) -> BridgeOptions:
    return BridgeOptions(
        stp=bool(_number(data, IFLA_BR_STP_STATE)),
        forward_delay=_number(data, IFLA_BR_FORWARD_DELAY) or 0,
        ageing_time=_number(data, IFLA_BR_AGEING_TIME) or 0,
        multicast_snooping=bool(data.get(IFLA_BR_MCAST_SNOOPING, b"\0")[0]),
    )


def decode_addresses(dump: t.Iterable[bytes]) -> dict[int, list[Address]]:
    """Addresses by the index of their link, in the kernel's order."""
    found: dict[int, list[Address]] = {}
    for data in dump:
        family, prefix, flags, scope, index = _ADDRESS.unpack_from(data, NLMSG_HEADER)
        if family not in (_AF_INET, _AF_INET6):
            continue
        attributes = read_attributes(data, NLMSG_HEADER + _ADDRESS.size)
        remote = attributes[IFA_ADDRESS]
        local = attributes.get(IFA_LOCAL, remote)
        wide = _number(attributes, IFA_FLAGS)
        broadcast = _address(attributes.get(IFA_BROADCAST))
        address = Address(
            ip=_interface(local, prefix),
            scope=scope,
            flags=flags if wide is None else wide,
            label=_text(attributes.get(IFA_LABEL)),
            broadcast=None if broadcast is None else str(broadcast),
            peer=None if remote == local else _address(remote),
            lifetime=_lifetime(attributes.get(IFA_CACHEINFO)),
        )
        found.setdefault(index, []).append(address)
    return found


def _lifetime(cache: bytes | None) -> tuple[int, int] | None:
    if cache is None:
        return None
    preferred, valid, _created, _updated = _CACHEINFO.unpack_from(cache)
    return None if valid == FOREVER else (preferred, valid)


def decode_routes(dump: t.Iterable[bytes], names: t.Mapping[int, str]) -> list[Route]:
    """Routes, links by name; without cached ones, and without those by which the kernel finds its own addresses."""
    routes = []
    for data in dump:
        family, prefix, _src, tos, table, protocol, scope, kind, flags = _ROUTE.unpack_from(data, NLMSG_HEADER)
        own = table == TABLE_LOCAL and protocol == PROTO_KERNEL
        if family not in (_AF_INET, _AF_INET6) or own or flags & RTM_F_CLONED:
            continue
        attributes = read_attributes(data, NLMSG_HEADER + _ROUTE.size)
        dst = attributes.get(RTA_DST)
        name = ROUTE_KINDS[kind] if kind < len(ROUTE_KINDS) else str(kind)
        route = Route(
            dst=any_network(4 if family == _AF_INET else 6) if dst is None else _network(dst, prefix),
            table=_number(attributes, RTA_TABLE) or table,
            metric=_number(attributes, RTA_PRIORITY) or 0,
            tos=tos,
            kind=name,
            scope=scope,
            protocol=protocol,
            via=_gateway(attributes),
            dev=None if name in LEADING_NOWHERE else names.get(_number(attributes, RTA_OIF) or 0),  # IPv6 says lo
            src=_address(attributes.get(RTA_PREFSRC)),
            onlink=bool(flags & RTNH_F_ONLINK),
            nexthops=tuple(_nexthops(attributes.get(RTA_MULTIPATH, b""), names)),
            metrics=_metrics(attributes.get(RTA_METRICS)),
        )
        routes.append(route)
    return routes


def _gateway(attributes: Attributes) -> IPAddress | None:
    via = attributes.get(RTA_VIA)  # a family, and an address: an IPv6 gateway of an IPv4 route, RFC 5549
    return _address(attributes.get(RTA_GATEWAY)) or (None if via is None else _address(via[2:]))


def _nexthops(data: bytes, names: t.Mapping[int, str]) -> t.Iterator[Nexthop]:
    offset = 0
    while offset + _NEXTHOP.size <= len(data):
        length, flags, hops, index = _NEXTHOP.unpack_from(data, offset)
        if length < _NEXTHOP.size:
            return
        attributes = read_attributes(data[offset + _NEXTHOP.size : offset + length])
        yield Nexthop(_gateway(attributes), names.get(index), hops + 1, bool(flags & RTNH_F_ONLINK))
        offset += (length + 3) & ~3


def _metrics(nested: bytes | None) -> tuple[tuple[str, int], ...]:
    if nested is None:
        return ()
    found = read_attributes(nested)
    known = [(ROUTE_METRICS[kind], kind) for kind in found if 0 < kind < len(ROUTE_METRICS)]
    return tuple(sorted((name, _number(found, kind) or 0) for name, kind in known))


def decode_neighbours(dump: t.Iterable[bytes], names: t.Mapping[int, str]) -> tuple[Neighbour, ...]:
    """Neighbours, links by name, by link and address."""
    found = []
    for data in dump:
        family, index, state, _flags, _kind = _NEIGHBOUR.unpack_from(data, NLMSG_HEADER)
        if family not in (_AF_INET, _AF_INET6) or state not in NEIGHBOUR_STATES or index not in names:
            continue
        attributes = read_attributes(data, NLMSG_HEADER + _NEIGHBOUR.size)
        mac, dst = attributes.get(NDA_LLADDR), attributes[NDA_DST]
        neighbour = Neighbour(
            ipaddress.ip_address(dst), names[index], mac.hex(":") if mac else None, NEIGHBOUR_STATES[state]
        )
        found.append((names[index], family, dst, neighbour))
    return tuple(neighbour for *_order, neighbour in sorted(found, key=lambda each: each[:3]))


def decode_forwarding(dump: t.Iterable[bytes], names: t.Mapping[int, str]) -> dict[str, str]:
    """The switches by which links forward, and the global ones, by their path below /proc/sys."""
    found = {}
    for data in dump:
        version = {_AF_INET: 4, _AF_INET6: 6}.get(data[NLMSG_HEADER])
        attributes = read_attributes(data, NLMSG_HEADER + 4)
        if version is None or NETCONFA_FORWARDING not in attributes:
            continue
        (index,) = _SIGNED.unpack_from(attributes[NETCONFA_IFINDEX])
        (value,) = _SIGNED.unpack_from(attributes[NETCONFA_FORWARDING])
        if index == NETCONFA_IFINDEX_ALL:
            found["net/ipv4/ip_forward" if version == 4 else "net/ipv6/conf/all/forwarding"] = str(value)
        elif index in names:
            found[f"net/ipv{version}/conf/{names[index]}/forwarding"] = str(value)
    return found


def decode_nsid(data: bytes) -> int | None:
    """The answer to RTM_GETNSID; None where the one namespace has no id for the other."""
    return _nsid(read_attributes(data, NLMSG_HEADER + 4), NETNSA_NSID)


def _nsid(attributes: Attributes, kind: int) -> int | None:
    number = _number(attributes, kind)
    return None if number is None or number == 0xFFFFFFFF else number
