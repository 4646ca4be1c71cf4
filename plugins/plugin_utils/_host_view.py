# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a role has read of a host before it touches anything: a few files of /proc and its own record."""

from __future__ import annotations

import base64
import dataclasses
import ipaddress
import json
import struct
import typing as t

from ansible_collections.nslab.linux.plugins.module_utils._errors import Problem
from ansible_collections.nslab.linux.plugins.module_utils._values import IPNetwork

ROUTES_4 = "/proc/net/route"
ROUTES_6 = "/proc/net/ipv6_route"
DEVICES = "/proc/net/dev"

# linux/route.h and linux/ipv6_route.h
_RTF_GATEWAY = 0x2
_RTF_REJECT = 0x200
_RTF_LOCAL = 0x80000000


@dataclasses.dataclass(frozen=True)
class HostRoute:
    """A route of the host's main table, as far as a lab can get in its way."""

    network: IPNetwork
    interface: str
    through_gateway: bool


@dataclasses.dataclass(frozen=True)
class HostView:
    """The host's routes, the names of its interfaces (None: not read) and the text of the role's record (None: none)."""

    routes: tuple[HostRoute, ...] = ()
    interfaces: frozenset[str] | None = None
    record: str | None = None

    def has_default_route(self, version: int) -> bool:
        return any(route.network.version == version and route.network.prefixlen == 0 for route in self.routes)

    def neighbour_of(self, subnet: IPNetwork, own_interface: str) -> HostRoute | None:
        """The network on another of the host's interfaces that shares addresses with the subnet."""
        for route in self.routes:
            if route.through_gateway or route.network.prefixlen == 0 or route.interface == own_interface:
                continue
            if route.network.version == subnet.version and route.network.overlaps(subnet):
                return route
        return None


def read_host(files: t.Iterable[t.Mapping[str, t.Any]]) -> HostView:
    """From the results of a loop of ``ansible.builtin.slurp``; a file that does not exist has no content.

    Any other path than those of /proc is the role's record.
    """
    routes: list[HostRoute] = []
    interfaces: frozenset[str] | None = None
    record: str | None = None
    for file in files:
        if "content" not in file:
            continue
        path = file.get("item")
        text = base64.b64decode(str(file["content"])).decode("utf-8", "replace")
        if path == ROUTES_4:
            routes += _routes_4(text)
        elif path == ROUTES_6:
            routes += _routes_6(text)
        elif path == DEVICES:
            interfaces = frozenset(line.partition(":")[0].strip() for line in text.splitlines()[2:])
        else:
            record = text
    return HostView(tuple(routes), interfaces, record)


def parse_record(text: str | None, path: str) -> dict[str, tuple[str, ...]]:
    """The lists of a role's record; empty when there is none."""
    if text is None:
        return {}
    try:
        record = json.loads(text)
        lists = {str(key): tuple(str(one) for one in value) for key, value in record.items() if isinstance(value, list)}
    except (ValueError, AttributeError):
        raise Problem(
            f"the lab's record {path} can't be read", "remove the file, and by hand what is left over"
        ) from None
    return lists


def _routes_4(text: str) -> list[HostRoute]:
    rows = [line.split() for line in text.splitlines()[1:]]
    rows = [row for row in rows if len(row) > 7]
    # The kernel prints the words in the byte order of the machine, which is not told; only in that order is every mask
    # a row of ones.
    order = "<" if all(_prefix_length(_word(row[7], "<")) is not None for row in rows) else ">"
    routes = []
    for name, destination, _gateway, flags, *rest in rows:
        length = _prefix_length(_word(rest[3], order))
        if length is None or int(flags, 16) & _RTF_REJECT:
            continue
        network = ipaddress.IPv4Network((_word(destination, order), length), strict=False)
        routes.append(HostRoute(network, name, bool(int(flags, 16) & _RTF_GATEWAY)))
    return routes


def _word(text: str, order: str) -> int:
    (number,) = struct.unpack(">I", struct.pack(f"{order}I", int(text, 16)))
    return int(number)


def _prefix_length(mask: int) -> int | None:
    ones = f"{mask:032b}".rstrip("0")
    return len(ones) if "0" not in ones else None


def _routes_6(text: str) -> list[HostRoute]:
    routes = []
    for row in (line.split() for line in text.splitlines()):
        if len(row) < 10:
            continue
        flags = int(row[8], 16)
        network = ipaddress.IPv6Network((int(row[0], 16), int(row[1], 16)), strict=False)
        if flags & (_RTF_LOCAL | _RTF_REJECT) or network.is_multicast or network.is_link_local or row[9] == "lo":
            continue
        routes.append(HostRoute(network, row[9], bool(flags & _RTF_GATEWAY)))
    return routes
