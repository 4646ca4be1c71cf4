# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Published services: a port of the router that leads to one behind it, as rules and map elements.

A single port of any of the router's addresses is an element of a map that all rule sets share, so that many cost a packet no
more than one. A range and a chosen address, which such a map can't hold, are rules in a chain of the rule set.

Source: nft(8), "NAT STATEMENTS".
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import typing as t

from .._errors import Problem
from .._ruleset import (
    AddressIn,
    DestinationIsLocal,
    DestinationNat,
    DestinationPort,
    Element,
    Endpoint,
    Expression,
    NetworkProtocol,
    ProtocolPort,
    Rule,
)
from .._values import IPAddress, IPNetwork, parse_ip

PROTOCOLS = ("tcp", "udp")
MAP = {4: "publish4", 6: "publish6"}
# Ports of a range that leads to other numbers: the kernel has no rule for that, so each is one of its own.
MOST_SHIFTED = 1024
_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?\Z")


@dataclasses.dataclass(frozen=True)
class Ports:
    """Ports of one protocol at one address of the router, or, None, at any of its addresses of that family."""

    protocol: str
    first: int
    last: int
    version: int
    address: IPAddress | None = None

    def __str__(self) -> str:
        at = "" if self.address is None else f" at {self.address}"
        return f"{self.protocol} {shown_range(self.first, self.last)}{at}"

    def meets(self, other: Ports) -> bool:
        """Whether there are packets that are for both."""
        return (
            (self.protocol, self.version) == (other.protocol, other.version)
            and self.first <= other.last
            and other.first <= self.last
            and (self.address is None or other.address is None or self.address == other.address)
        )


@dataclasses.dataclass(frozen=True)
class Publish:
    """Where ``ports`` lead: the first of them to ``to_first``, and so on."""

    ports: Ports
    to: IPAddress
    to_first: int

    @property
    def _shifted(self) -> bool:
        return self.to_first != self.ports.first

    @property
    def _in_map(self) -> bool:
        return self.ports.address is None and (self._shifted or self.ports.first == self.ports.last)

    def elements(self, comment: str) -> list[Element]:
        """What stands in MAP[version]."""
        if not self._in_map:
            return []
        return [
            Element(ProtocolPort(self.ports.protocol, port), Endpoint(self.to, self._target(port)), comment)
            for port in range(self.ports.first, self.ports.last + 1)
        ]

    def rules(self, comment: str) -> list[Rule]:
        """What stands in the chain of the rule set."""
        if self._in_map:
            return []
        first, last, protocol = self.ports.first, self.ports.last, self.ports.protocol
        if not self._shifted:
            return [Rule((*self._at(), DestinationPort(protocol, first, last), DestinationNat(self.to)), comment)]
        found = []
        for port in range(first, last + 1):
            target = DestinationNat(self.to, (self._target(port), self._target(port)))
            found.append(Rule((*self._at(), DestinationPort(protocol, port, port), target), comment))
        return found

    def _target(self, port: int) -> int:
        return self.to_first + port - self.ports.first

    def _at(self) -> tuple[Expression, ...]:
        if self.ports.address is None:
            return (NetworkProtocol(self.ports.version), DestinationIsLocal())
        return (AddressIn("daddr", network_of(self.ports.address)),)


def parse_publishes(options: t.Iterable[t.Mapping[str, t.Any]]) -> tuple[Publish, ...]:
    """Raises a Problem that says which, counted from 1."""
    found: list[Publish] = []
    for number, option in enumerate(options, 1):
        try:
            publish = parse_publish(option)
        except Problem as problem:
            raise Problem(f"publish {number}: {problem}") from None
        for other in found:
            if publish.ports.meets(other.ports) and publish != other:
                raise Problem(
                    f"publish {number}: {publish.ports} leads to {other.to} already", "publish each port once"
                )
        if publish not in found:
            found.append(publish)
    return tuple(found)


def parse_publish(option: t.Mapping[str, t.Any]) -> Publish:
    protocol = option.get("protocol") or "tcp"
    first, last = _parse_ports(str(option["port"]), "port")
    to = parse_ip(option["to"], "to")
    if not may_be_held(to) or to.is_loopback or to.is_link_local:
        raise Problem(f"to {to} is no address of a namespace behind the router", "give the address of the service")
    address = None if option.get("address") is None else parse_ip(option["address"], "address")
    if address is not None:
        if address.version != to.version:
            raise Problem(f"address {address} and to {to} are not of one family", "give two IPv4 or two IPv6 addresses")
        if address.is_loopback:
            raise Problem(
                f"address {address} is the loopback, from which the kernel forwards nothing",
                "publish at an address of a link of the router",
            )
        if not may_be_held(address):
            raise Problem(
                f"address {address} is not that of one host", "leave it out to publish at all of the router's"
            )
    to_first = first
    if option.get("to_port") is not None:
        to_first, to_last = _parse_ports(str(option["to_port"]), "to_port")
        if "-" in str(option["to_port"]) and to_last - to_first != last - first:
            raise Problem(
                f"port {shown_range(first, last)} and to_port {shown_range(to_first, to_last)} are not equally many",
                "give the first one alone",
            )
        if to_first + last - first > 65535:
            raise Problem(f"to_port {to_first} and the {last - first} behind it go beyond 65535", "begin lower")
    if to_first != first and last - first >= MOST_SHIFTED:
        raise Problem(
            f"port {shown_range(first, last)} with another to_port is {last - first + 1} ports",
            f"publish at most {MOST_SHIFTED} to other numbers, or the range to the same numbers",
        )
    return Publish(Ports(protocol, first, last, to.version, address), to, to_first)


def _parse_ports(text: str, what: str) -> tuple[int, int]:
    match = _PORTS.match(text)
    first = int(match.group(1)) if match else 0
    last = int(match.group(2) or first) if match else 0
    if not 1 <= first <= last <= 65535:
        raise Problem(f"{what} {text!r} is no port and no range", "write a number from 1 to 65535, or 8000-8010")
    return first, last


def may_be_held(address: IPAddress) -> bool:
    """Whether it is the address of one host."""
    return not (address.is_unspecified or address.is_multicast or str(address) == "255.255.255.255")


def network_of(address: IPAddress) -> IPNetwork:
    """The one address as a network."""
    return ipaddress.ip_network(address)


def shown_range(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"
