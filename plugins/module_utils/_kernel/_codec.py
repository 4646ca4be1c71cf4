# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""rtnetlink messages to and from bytes, by pyroute2's message classes.

Encoding resolves nothing: placeholders are gone when a message comes here. Decoding gives the types of the world.
Source: rtnetlink(7), linux/rtnetlink.h, linux/if_link.h, linux/fib_rules.h.
"""

from __future__ import annotations

import ipaddress
import sys
import typing as t

from .._values import IPAddress
from .._world import Address, BridgeOptions, Link, Nexthop, Route, any_network

TYPES = {
    "RTM_NEWLINK": 16,
    "RTM_DELLINK": 17,
    "RTM_GETLINK": 18,
    "RTM_NEWADDR": 20,
    "RTM_DELADDR": 21,
    "RTM_GETADDR": 22,
    "RTM_NEWROUTE": 24,
    "RTM_DELROUTE": 25,
    "RTM_GETROUTE": 26,
    "RTM_NEWNSID": 88,
    "RTM_GETNSID": 90,
}
FLAGS = {"REPLACE": 0x100, "EXCL": 0x200, "CREATE": 0x400, "APPEND": 0x800}
NLM_F_DUMP = 0x300

IFF_UP, IFF_LOOPBACK, IFF_PROMISC = 0x1, 0x8, 0x100
RTM_F_CLONED = 0x200
RTNH_F_ONLINK = 4
FOREVER = 0xFFFFFFFF  # INFINITY_LIFE_TIME
RTEXT_FILTER_SKIP_STATS = 8
ROUTE_KINDS = {
    1: "unicast",
    2: "local",
    3: "broadcast",
    4: "anycast",
    5: "multicast",
    6: "blackhole",
    7: "unreachable",
    8: "prohibit",
    9: "throw",
    10: "nat",
}
LEADING_NOWHERE = ("blackhole", "unreachable", "prohibit", "throw")
_FAMILY = {2: 4, 10: 6}


def _message_class(number: int) -> t.Any:
    from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
    from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
    from pyroute2.netlink.rtnl.nsidmsg import nsidmsg
    from pyroute2.netlink.rtnl.rtmsg import rtmsg

    return {16: ifinfmsg, 20: ifaddrmsg, 24: rtmsg, 88: nsidmsg}[number & ~3]


def encode(kind: str, flags: t.Iterable[str], fields: t.Mapping[str, object], attributes: t.Sequence[object]) -> bytes:
    """A message of type ``kind`` with NLM_F_<flags>, ready to be numbered and sent."""
    number = TYPES[kind]
    message = _message_class(number)()
    for name, value in fields.items():
        message[name] = value
    message["attrs"] = attributes
    message["header"]["type"] = number
    message["header"]["flags"] = sum(FLAGS[flag] for flag in flags)
    message.encode()
    return bytes(message.data)


def _decode(data: bytes) -> t.Any:
    message = _message_class(int.from_bytes(data[4:6], sys.byteorder))(data)
    message.decode()
    return message


def decode_links(dump: t.Iterable[bytes]) -> list[Link]:
    """Links of one namespace, without their addresses; masters by name."""
    messages = [_decode(data) for data in dump]
    names = {message["index"]: message.get_attr("IFLA_IFNAME") for message in messages}
    return [_link(message, names) for message in messages if message["family"] != 7]  # AF_BRIDGE repeats the ports


def _link(message: t.Any, names: t.Mapping[int, str]) -> Link:
    info = message.get_attr("IFLA_LINKINFO")
    kind = info.get_attr("IFLA_INFO_KIND") if info is not None else None
    if kind is None and message["flags"] & IFF_LOOPBACK:
        kind = "loopback"
    peer = kind == "veth"
    return Link(
        name=message.get_attr("IFLA_IFNAME"),
        kind=kind,
        index=message["index"],
        mac=message.get_attr("IFLA_ADDRESS"),
        mtu=message.get_attr("IFLA_MTU"),
        up=bool(message["flags"] & IFF_UP),
        promisc=bool(message.get_attr("IFLA_PROMISCUITY")) and bool(message["flags"] & IFF_PROMISC),
        state=str(message.get_attr("IFLA_OPERSTATE") or "UNKNOWN").lower(),
        master=names.get(message.get_attr("IFLA_MASTER")),
        bridge=_bridge(info.get_attr("IFLA_INFO_DATA")) if kind == "bridge" else None,
        peer_index=message.get_attr("IFLA_LINK") if peer else None,
        peer_nsid=message.get_attr("IFLA_LINK_NETNSID") if peer else None,
    )


def _bridge(data: t.Any) -> BridgeOptions:
    return BridgeOptions(
        stp=bool(data.get_attr("IFLA_BR_STP_STATE")),
        forward_delay=data.get_attr("IFLA_BR_FORWARD_DELAY"),
        ageing_time=data.get_attr("IFLA_BR_AGEING_TIME"),
        multicast_snooping=bool(data.get_attr("IFLA_BR_MCAST_SNOOPING")),
    )


def decode_addresses(dump: t.Iterable[bytes]) -> dict[int, list[Address]]:
    """Addresses by the index of their link, in the kernel's order."""
    found: dict[int, list[Address]] = {}
    for data in dump:
        message = _decode(data)
        if message["family"] not in _FAMILY:
            continue
        remote = message.get_attr("IFA_ADDRESS")
        local = message.get_attr("IFA_LOCAL") or remote
        flags = message.get_attr("IFA_FLAGS")
        address = Address(
            ip=ipaddress.ip_interface(f"{local}/{message['prefixlen']}"),
            scope=message["scope"],
            flags=message["flags"] if flags is None else flags,
            label=message.get_attr("IFA_LABEL"),
            broadcast=message.get_attr("IFA_BROADCAST"),
            peer=None if remote == local else ipaddress.ip_address(remote),
            lifetime=_lifetime(message.get_attr("IFA_CACHEINFO")),
        )
        found.setdefault(message["index"], []).append(address)
    return found


def _lifetime(cache: t.Any) -> tuple[int, int] | None:
    if cache is None or cache["ifa_valid"] == FOREVER:
        return None
    return cache["ifa_preferred"], cache["ifa_valid"]


def decode_routes(dump: t.Iterable[bytes], names: t.Mapping[int, str]) -> list[Route]:
    """Routes of all tables, cached ones left out; links by name."""
    routes: list[Route] = []
    for data in dump:
        message = _decode(data)
        if message["family"] in _FAMILY and not message["flags"] & RTM_F_CLONED:
            routes.append(_route(message, names))
    return routes


def _route(message: t.Any, names: t.Mapping[int, str]) -> Route:
    version = _FAMILY[message["family"]]
    dst = message.get_attr("RTA_DST")
    hops = message.get_attr("RTA_MULTIPATH") or ()
    kind = ROUTE_KINDS.get(message["type"], str(message["type"]))
    return Route(
        dst=ipaddress.ip_network(f"{dst}/{message['dst_len']}") if dst else any_network(version),
        table=message.get_attr("RTA_TABLE") or message["table"],
        metric=message.get_attr("RTA_PRIORITY") or 0,
        tos=message["tos"],
        kind=kind,
        scope=message["scope"],
        protocol=message["proto"],
        via=_gateway(message),
        dev=None if kind in LEADING_NOWHERE else names.get(message.get_attr("RTA_OIF")),  # IPv6 says lo
        src=_address(message.get_attr("RTA_PREFSRC")),
        onlink=bool(message["flags"] & RTNH_F_ONLINK),
        nexthops=tuple(
            Nexthop(
                via=_gateway(hop),
                dev=names.get(hop["oif"]),
                weight=hop["hops"] + 1,
                onlink=bool(hop["flags"] & RTNH_F_ONLINK),
            )
            for hop in hops
        ),
        metrics=_metrics(message.get_attr("RTA_METRICS")),
    )


def _gateway(message: t.Any) -> IPAddress | None:
    gateway = _address(message.get_attr("RTA_GATEWAY"))
    if gateway is None:
        via = message.get_attr("RTA_VIA")  # an IPv6 gateway of an IPv4 route, RFC 5549
        if via:
            gateway = _address(via.get("addr") if isinstance(via, dict) else None)
    return gateway


def _address(text: str | None) -> IPAddress | None:
    return ipaddress.ip_address(text) if text else None


def _metrics(nested: t.Any) -> tuple[tuple[str, int], ...]:
    if nested is None:
        return ()
    found = [(name[len("RTAX_") :].lower(), value) for name, value in nested["attrs"] if isinstance(value, int)]
    return tuple(sorted(found))


def dump_links() -> tuple[bytes, int]:
    """The request for all links, without their counters, which are most of a message."""
    return encode("RTM_GETLINK", (), {}, [("IFLA_EXT_MASK", RTEXT_FILTER_SKIP_STATS)]), NLM_F_DUMP


def dump_addresses() -> tuple[bytes, int]:
    return encode("RTM_GETADDR", (), {}, []), NLM_F_DUMP


def dump_routes(version: int) -> tuple[bytes, int]:
    return encode("RTM_GETROUTE", (), {"family": 2 if version == 4 else 10}, []), NLM_F_DUMP


def get_nsid(fd: int) -> bytes:
    """The request for the id by which the socket's namespace knows the one behind a descriptor (rtnetlink's nsid)."""
    return encode("RTM_GETNSID", (), {}, [("NETNSA_FD", fd)])


def decode_nsid(data: bytes) -> int | None:
    """None where the one namespace has no id for the other."""
    nsid = _decode(data).get_attr("NETNSA_NSID")
    return None if nsid is None or nsid in (-1, 0xFFFFFFFF) else int(nsid)
