# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""rtnetlink messages to bytes, by tables of what the operations say; anything else is a KeyError.

Ten times as fast as pyroute2's message classes, whose import alone takes a third of a second.

Source: rtnetlink(7), linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h, linux/veth.h.
"""

from __future__ import annotations

import socket
import struct
import typing as t

from .._message import Attributes, Message
from .._world import ROUTE_METRICS

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
    "RTM_GETNEIGH": 30,
    "RTM_GETNETCONF": 82,
    "RTM_GETNSID": 90,
}
FLAGS = {"REPLACE": 0x100, "EXCL": 0x200, "CREATE": 0x400, "APPEND": 0x800}
NLM_F_DUMP = 0x300

RTEXT_FILTER_SKIP_STATS = 8
NETNSA_FD = 3

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")  # by the length modulo 4

Resolve = t.Callable[[t.Any], int]  # the number that a placeholder stands for, at this moment
Encoder = t.Callable[[t.Any, Resolve], bytes]  # the payload of an attribute, from its value
Table = t.Mapping[str, tuple[int, Encoder]]  # attributes of one place: their number, and how each is encoded


class Structure:
    """What stands before the attributes of a message or of a nested thing: numbers, 0 where none is given."""

    def __init__(self, layout: str, names: str) -> None:
        self._struct = struct.Struct(layout)
        self._names = tuple(names.split())
        self._known = frozenset(self._names)

    def pack(self, fields: t.Mapping[str, t.Any], resolve: Resolve) -> bytes:
        if not self._known.issuperset(fields):
            raise KeyError(*(set(fields) - self._known))
        found = [fields.get(name, 0) for name in self._names]
        return self._struct.pack(*[value if isinstance(value, int) else resolve(value) for value in found])


def _number(layout: str) -> Encoder:
    pack = struct.Struct(layout).pack
    return lambda value, resolve: pack(value if isinstance(value, int) else resolve(value))


def _text(value: str, _resolve: Resolve) -> bytes:
    return value.encode(errors="surrogateescape") + b"\0"


def _mac(value: str, _resolve: Resolve) -> bytes:
    return bytes.fromhex(value.replace(":", ""))


def _address(value: str, _resolve: Resolve) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in value else socket.AF_INET, value)


def _via(value: t.Mapping[str, t.Any], resolve: Resolve) -> bytes:
    return struct.pack("=H", value["family"]) + _address(value["addr"], resolve)


def _lifetimes(value: t.Mapping[str, t.Any], resolve: Resolve) -> bytes:
    return _CACHEINFO.pack(value, resolve)


def _nested(table: Table) -> Encoder:
    return lambda value, resolve: _attributes(value["attrs"], table, resolve)


def _peer(value: t.Mapping[str, t.Any], resolve: Resolve) -> bytes:
    """The other end of a veth: a message of its own within the first one's."""
    fields = {name: field for name, field in value.items() if name != "attrs"}
    return _LINK.pack(fields, resolve) + _attributes(value["attrs"], LINK, resolve)


def _nexthops(value: t.Sequence[t.Mapping[str, t.Any]], resolve: Resolve) -> bytes:
    found = []
    for hop in value:
        attributes = _attributes(hop["attrs"], NEXTHOP, resolve)
        fields = {name: field for name, field in hop.items() if name != "attrs"}
        fields["len"] = _NEXTHOP_BYTES + len(attributes)
        found += [_NEXTHOP.pack(fields, resolve), attributes]
    return b"".join(found)


def _attributes(attributes: Attributes, table: Table, resolve: Resolve) -> bytes:
    found = []
    for name, value in attributes:
        number, encoder = table[name]
        data = encoder(value, resolve)
        found += [_ATTRIBUTE.pack(len(data) + _ATTRIBUTE.size, number), data, _PADDING[len(data) & 3]]
    return b"".join(found)


_u8, _u32 = _number("=B"), _number("=I")

_LINK = Structure("=BxHiII", "family ifi_type index flags change")
_ADDRESS = Structure("=BBBBI", "family prefixlen flags scope index")
_ROUTE = Structure("=BBBBBBBBI", "family dst_len src_len tos table proto scope type flags")
_NEXTHOP = Structure("=HBBi", "len flags hops oif")
_NEXTHOP_BYTES = 8
_NEIGHBOUR = Structure("=BxxxiHBB", "family index state flags type")
_NETCONF = Structure("=Bxxx", "family")
_CACHEINFO = Structure("=IIII", "ifa_preferred ifa_valid cstamp tstamp")

GATEWAY: Table = {"RTA_GATEWAY": (5, _address), "RTA_VIA": (18, _via)}
NEXTHOP: Table = GATEWAY
METRICS: Table = {f"RTAX_{name.upper()}": (number, _u32) for number, name in enumerate(ROUTE_METRICS) if name}
ROUTE: Table = {
    "RTA_DST": (1, _address),
    "RTA_OIF": (4, _u32),
    "RTA_PRIORITY": (6, _u32),
    "RTA_PREFSRC": (7, _address),
    "RTA_METRICS": (8, _nested(METRICS)),
    "RTA_MULTIPATH": (9, _nexthops),
    "RTA_TABLE": (15, _u32),
    **GATEWAY,
}
ADDRESS: Table = {
    "IFA_ADDRESS": (1, _address),
    "IFA_LOCAL": (2, _address),
    "IFA_LABEL": (3, _text),
    "IFA_BROADCAST": (4, _address),
    "IFA_CACHEINFO": (6, _lifetimes),
    "IFA_FLAGS": (8, _u32),
}
INFO_DATA: Table = {  # of each kind of link, numbered by itself
    "VETH_INFO_PEER": (1, _peer),
    "IFLA_BR_FORWARD_DELAY": (1, _u32),
    "IFLA_BR_AGEING_TIME": (4, _u32),
    "IFLA_BR_STP_STATE": (5, _u32),
    "IFLA_BR_MCAST_SNOOPING": (23, _u8),
}
INFO: Table = {"IFLA_INFO_KIND": (1, _text), "IFLA_INFO_DATA": (2, _nested(INFO_DATA))}
LINK: Table = {
    "IFLA_ADDRESS": (1, _mac),
    "IFLA_IFNAME": (3, _text),
    "IFLA_MTU": (4, _u32),
    "IFLA_MASTER": (10, _u32),
    "IFLA_LINKINFO": (18, _nested(INFO)),
    "IFLA_NET_NS_FD": (28, _u32),
    "IFLA_EXT_MASK": (29, _u32),
}
# by the type without the two bits that say new, removed or asked for
_NOTHING: Table = {}
_MESSAGES = {
    16: (_LINK, LINK),
    20: (_ADDRESS, ADDRESS),
    24: (_ROUTE, ROUTE),
    28: (_NEIGHBOUR, _NOTHING),
    80: (_NETCONF, _NOTHING),
}


def encode(message: Message, resolve: Resolve) -> bytes:
    """``message``, ready to be numbered and sent; ``resolve`` is asked for each placeholder as it comes.

    :raises KeyError: a field or attribute is in none of the tables.
    """
    number = TYPES[message.type]
    structure, table = _MESSAGES[number & ~3]
    fields = structure.pack(message.fields, resolve)
    attributes = _attributes(message.attributes, table, resolve)
    flags = sum([FLAGS[flag] for flag in message.flags])
    return _HEADER.pack(_HEADER.size + len(fields) + len(attributes), number, flags, 0, 0) + fields + attributes


def _dump(kind: str, attributes: Attributes = ()) -> tuple[bytes, int]:
    return encode(Message(kind, attributes=attributes), int), NLM_F_DUMP


# All links, without their counters, which are most of a message; all else of either version.
DUMP_LINKS = _dump("RTM_GETLINK", [("IFLA_EXT_MASK", RTEXT_FILTER_SKIP_STATS)])
DUMP_ADDRESSES = _dump("RTM_GETADDR")
DUMP_ROUTES = _dump("RTM_GETROUTE")
DUMP_NEIGHBOURS = _dump("RTM_GETNEIGH")
DUMP_SWITCHES = _dump("RTM_GETNETCONF")


def get_nsid(fd: int) -> bytes:
    """The request for the id by which the socket's namespace knows the one behind a descriptor (rtnetlink's nsid)."""
    return struct.pack("=IHHIIBxxxHHI", 28, TYPES["RTM_GETNSID"], 0, 0, 0, 0, 8, NETNSA_FD, fd)
