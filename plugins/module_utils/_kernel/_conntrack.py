# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection tracking table: entries of some networks are taken out, so that their flows meet the rules anew.

Works in the network namespace in which the calling thread is. The table is listed to its end before the first entry is
deleted: a deletion in the midst of a dump moves what is still to come.

Source: linux/netfilter/nfnetlink_conntrack.h, net/netfilter/nf_conntrack_netlink.c.
"""

from __future__ import annotations

import errno
import struct
import typing as t
from contextlib import closing

from .._values import IPAddress, IPNetwork
from ._decode import read_attributes
from ._netlink import Netlink
from ._refusal import KernelRefused

NETLINK_NETFILTER = 12
_SUBSYSTEM = 1  # NFNL_SUBSYS_CTNETLINK
_GET, _DELETE = _SUBSYSTEM << 8 | 1, _SUBSYSTEM << 8 | 2
NLM_F_DUMP = 0x300
_NESTED = 0x8000
_HEADER = struct.Struct("=IHHII4s")  # nlmsghdr and nfgenmsg
_ATTRIBUTE = struct.Struct("=HH")

CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_ID, CTA_ZONE = 1, 2, 12, 18
CTA_TUPLE_IP, CTA_TUPLE_PROTO = 1, 2
CTA_IP_V4_SRC, CTA_IP_V4_DST, CTA_IP_V6_SRC, CTA_IP_V6_DST = 1, 2, 3, 4
CTA_PROTO_NUM, CTA_PROTO_DST_PORT = 1, 3
PROTOCOLS = {"tcp": 6, "udp": 17}

_FAMILIES = {4: 2, 6: 10}
_SIDES = {4: (CTA_IP_V4_SRC, CTA_IP_V4_DST), 6: (CTA_IP_V6_SRC, CTA_IP_V6_DST)}
# How a kernel without connection tracking, or without its netlink, says so; then there is nothing to flush.
_NO_TABLE = (errno.EINVAL, errno.EOPNOTSUPP, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT)

# Protocol, first and last port, and one address: the original destination of a flow.
Published = tuple[str, int, int, IPAddress]


def flush(networks: t.Iterable[IPNetwork], published: t.Iterable[Published] = ()) -> int:
    """Delete the entries of flows with an address in ``networks``, before or after translation, and of those to ``published``.

    Returns how many were deleted. An entry that has gone by itself meanwhile is none.

    :raises KernelRefused: the table can't be read, or an entry not be deleted.
    """
    networks, published = tuple(networks), tuple(published)
    versions = {network.version for network in networks} | {address.version for _p, _f, _l, address in published}
    try:
        with closing(Netlink(NETLINK_NETFILTER)) as kernel:
            return sum(_flush(kernel, version, networks, published) for version in sorted(versions))
    except KernelRefused as refused:
        if refused.errno in _NO_TABLE:
            return 0
        raise
    except OSError as error:
        if error.errno in _NO_TABLE:
            return 0
        raise


def _flush(kernel: Netlink, version: int, networks: t.Iterable[IPNetwork], published: t.Iterable[Published]) -> int:
    chosen = _Choice(version, networks, published)
    family = _FAMILIES[version]
    entries = kernel.dump(_message(_GET, family), NLM_F_DUMP)
    found = [entry for entry in (read_attributes(data, _HEADER.size) for data in entries) if chosen.has(entry)]
    answers = kernel.request([_message(_DELETE, family, _identity(entry)) for entry in found])
    for refused in answers:
        if refused is not None and refused.errno != errno.ENOENT:
            raise refused
    return answers.count(None)


class _Choice:
    """Which entries of one IP version are meant. Addresses are compared as numbers: a table has many."""

    def __init__(self, version: int, networks: t.Iterable[IPNetwork], published: t.Iterable[Published]) -> None:
        self._sides = _SIDES[version]
        self._networks = [
            (int(network.network_address), int(network.netmask)) for network in networks if network.version == version
        ]
        self._published = [
            (PROTOCOLS[protocol], first, last, address.packed)
            for protocol, first, last, address in published
            if address.version == version
        ]

    def has(self, entry: t.Mapping[int, bytes]) -> bool:
        original = read_attributes(entry.get(CTA_TUPLE_ORIG, b""))
        addresses = read_attributes(original.get(CTA_TUPLE_IP, b""))
        if self._published and self._is_published(addresses, read_attributes(original.get(CTA_TUPLE_PROTO, b""))):
            return True
        reply = read_attributes(read_attributes(entry.get(CTA_TUPLE_REPLY, b"")).get(CTA_TUPLE_IP, b""))
        numbers = {
            int.from_bytes(each[side], "big") for each in (addresses, reply) for side in self._sides if side in each
        }
        return any(number & mask == network for network, mask in self._networks for number in numbers)

    def _is_published(self, addresses: t.Mapping[int, bytes], transport: t.Mapping[int, bytes]) -> bool:
        number = transport.get(CTA_PROTO_NUM, b"\0")[0]
        port = int.from_bytes(transport.get(CTA_PROTO_DST_PORT, b""), "big")
        to = addresses.get(self._sides[1])
        return any(
            number == protocol and first <= port <= last and to == address
            for protocol, first, last, address in self._published
        )


def _identity(entry: t.Mapping[int, bytes]) -> bytes:
    """What tells an entry from all others, as it came: a flow that has taken its place has another id."""
    found = [(CTA_TUPLE_ORIG | _NESTED, entry[CTA_TUPLE_ORIG])]
    found += [(kind, entry[kind]) for kind in (CTA_ID, CTA_ZONE) if kind in entry]
    return b"".join(_attribute(kind, data) for kind, data in found)


def _attribute(kind: int, data: bytes) -> bytes:
    return _ATTRIBUTE.pack(len(data) + 4, kind) + data + bytes(-len(data) % 4)


def _message(kind: int, family: int, payload: bytes = b"") -> bytes:
    return _HEADER.pack(_HEADER.size + len(payload), kind, 0, 0, 0, bytes((family, 0, 0, 0))) + payload
