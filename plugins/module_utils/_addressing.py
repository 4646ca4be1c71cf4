# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which address, and which name, falls to whom in a lab: pure arithmetic, the same on the controller and the target."""

from __future__ import annotations

import hashlib
import ipaddress
import re
import typing as t

from ._errors import Problem
from ._values import IPInterface, IPNetwork, parse_network

_RULE_SET_WORD = re.compile(r"[a-z0-9_]+\Z")
_RULE_SET_LIMIT = 24


def host_end_name(lab: str, node: str, interface: str) -> str:
    """The name of the host end of a veth: ``v`` and 10 hex digits, 11 of the 15 characters that the kernel takes.

    A hash and not a shortened name: cut names of two namespaces may be the same, and then one takes the other's link.
    """
    return "v" + hashlib.sha256(f"{lab}/{node}/{interface}".encode()).hexdigest()[:10]


def bridge_mac(machine: str, lab: str, netns: str, bridge: str) -> str:
    """The MAC address of a new bridge, of those that anybody may use (IEEE 802, 8.4): another one on each machine.

    A bridge without one of its own goes by the lowest of its ports: one that comes or goes may change it, and all who know the
    bridge by its former one lose it for seconds.
    """
    digits = hashlib.sha256(f"{machine}/{lab}/{netns}/{bridge}".encode()).hexdigest()
    return ":".join(["02", *(digits[place : place + 2] for place in range(0, 10, 2))])


def rule_set_name(kind: str, name: str) -> str:
    """The ``ns_nat`` name that belongs to a thing of this kind and name; always of the grammar, always the same one."""
    plain = f"{kind}_{name}"
    if len(plain) <= _RULE_SET_LIMIT and _RULE_SET_WORD.match(plain):
        return plain
    digits = _RULE_SET_LIMIT - len(kind) - 1
    return f"{kind}_{hashlib.sha256(name.encode()).hexdigest()[:digits]}"


def parse_subnets(texts: t.Sequence[str]) -> tuple[IPNetwork, ...]:
    """The subnets of a lab: at least one, at most one of each family."""
    if not texts:
        raise Problem("no subnet is given", "write one as CIDR, such as 10.213.0.0/16")
    subnets: list[IPNetwork] = []
    for text in texts:
        if "/" not in text:
            raise Problem(f"subnet {text!r} has no prefix length", "write it as CIDR, such as 10.213.0.0/16")
        subnet = parse_network(text, "subnet")
        address = subnet.network_address
        if address.is_multicast or address.is_loopback or address.is_link_local or address.is_unspecified:
            raise Problem(f"subnet {text!r} can't be given to a lab", "use a private one, such as 10.213.0.0/16")
        other = next((one for one in subnets if one.version == subnet.version), None)
        if other is not None:
            raise Problem(f"subnets {other} and {subnet} are both IPv{subnet.version}", "give one of each family")
        subnets.append(subnet)
    return tuple(subnets)


def room(subnet: IPNetwork) -> int:
    """How many interfaces can have an address in the subnet.

    Network and broadcast address can't be used in IPv4, nor in IPv6 the first one, that of the routers (RFC 4291, 2.6.1);
    a link between two has use for all (RFC 3021, RFC 6164).
    """
    longest = subnet.max_prefixlen
    if subnet.prefixlen >= longest - 1:
        return subnet.num_addresses
    return subnet.num_addresses - (2 if subnet.version == 4 else 1)


def address_of(subnet: IPNetwork, index: int) -> IPInterface:
    """The address, with the subnet's prefix length, that falls to the interface of this number; the first is 0."""
    if not 0 <= index < room(subnet):
        raise Problem(f"subnet {subnet} has no room for {index + 1} addresses", f"it has room for {room(subnet)}")
    first = 0 if subnet.prefixlen >= subnet.max_prefixlen - 1 else 1
    return ipaddress.ip_interface(f"{subnet.network_address + first + index}/{subnet.prefixlen}")


def need_room(subnets: t.Iterable[IPNetwork], interfaces: int) -> None:
    """Refuses a subnet that has no room for so many interfaces and for the gateway, which has the first address."""
    for subnet in subnets:
        if room(subnet) < 1 + interfaces:
            fit = max(0, room(subnet) - 1)
            raise Problem(
                f"subnet {subnet} has no room for the gateway and {_namespaces(interfaces)}",
                f"{_namespaces(fit)} would fit: choose a larger one",
            )


def _namespaces(number: int) -> str:
    return f"{number} namespace" if number == 1 else f"{number} namespaces"
