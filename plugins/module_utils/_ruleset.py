# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One nftables table as a value: the words of `nft` that we use, and nothing else.

Two tables are equal exactly when the kernel would do the same with them: chains, maps, sets and elements have no
order among themselves and are kept sorted, and a rule holds its protocol tests explicitly (see Rule). How one table
is turned into another stands in _ruleset_changes.py, the text for `nft -f` in _ruleset_text.py.

Sources: nft(8), and linux/netfilter/nf_tables.h for what the kernel keeps of it.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Optional, Union

Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]

IFNAME = "ifname"
VERDICT = "verdict"
PROTOCOL_AND_PORT = "inet_proto . inet_service"
IPV4_AND_PORT = "ipv4_addr . inet_service"
IPV6_AND_PORT = "ipv6_addr . inet_service"


@dataclass(frozen=True)
class TableName:
    """`inet nslab`: the family is one of inet, ip, ip6."""

    family: str
    name: str

    def __str__(self) -> str:
        return f"{self.family} {self.name}"


# What a rule tests


@dataclass(frozen=True)
class Interface:
    """`iifname "v1"`, `oifname != "v1"`. A name stands for itself alone: no wildcards."""

    direction: str
    name: str
    equal: bool = True


@dataclass(frozen=True)
class InterfacePrefix:
    """`iifname "br*"`, `oifname != "br*"`: read in tables of others, never written by us."""

    direction: str
    prefix: str
    equal: bool = True


@dataclass(frozen=True)
class InterfaceIn:
    """`iifname @inside`, `oifname != @inside`."""

    direction: str
    set: str
    inside: bool = True


@dataclass(frozen=True)
class InterfaceVerdict:
    """`iifname vmap @post_iif`: goes where the map says, or on to the next rule."""

    direction: str
    map: str


@dataclass(frozen=True)
class NetworkProtocol:
    """`meta nfproto ipv4` (version 4) or `ipv6` (version 6)."""

    version: int


@dataclass(frozen=True)
class AddressIn:
    """`ip saddr 10.0.0.0/20`, `ip6 daddr != fd00::1`: side is saddr or daddr."""

    side: str
    network: Network
    equal: bool = True

    def __post_init__(self) -> None:
        if self.network.prefixlen == 0:
            raise ValueError(f"{self.network} holds every address: a NetworkProtocol says the same")


@dataclass(frozen=True)
class TransportProtocol:
    """`meta l4proto tcp`, `udp`; in tables of others any protocol, by its number where we have no name for it."""

    name: str


@dataclass(frozen=True)
class DestinationPort:
    """`tcp dport 80`, `udp dport 5000-5010`: last is first where it is a single port."""

    protocol: str
    first: int
    last: int


@dataclass(frozen=True)
class ConntrackState:
    """`ct state established,related`: any one of them."""

    states: frozenset[str]


@dataclass(frozen=True)
class DestinationWasTranslated:
    """`ct status dnat`."""


@dataclass(frozen=True)
class DestinationIsLocal:
    """`fib daddr type local`."""


# What a rule does


@dataclass(frozen=True)
class Verdict:
    """`accept`, `drop`, `return`, or `jump CHAIN`; also the data of a verdict map.

    In tables of others `goto CHAIN` too, and any other word for what may end a packet's way.
    """

    word: str
    chain: str = ""


ACCEPT = Verdict("accept")
DROP = Verdict("drop")
RETURN = Verdict("return")


def jump(chain: str) -> Verdict:
    return Verdict("jump", chain)


@dataclass(frozen=True)
class Reject:
    """`reject with icmpx admin-prohibited`."""


@dataclass(frozen=True)
class Masquerade:
    """`masquerade`."""


@dataclass(frozen=True)
class SourceNat:
    """`snat ip to 192.0.2.1`."""

    address: Address


@dataclass(frozen=True)
class DestinationNat:
    """`dnat ip to 10.0.0.2`, with ports (first, last) `dnat ip to 10.0.0.2:8000-8010`.

    Ports only after a TransportProtocol or a DestinationPort: nft refuses them otherwise.
    """

    address: Address
    ports: Optional[tuple[int, int]] = None


@dataclass(frozen=True)
class DestinationNatMap:
    """`dnat ip to meta l4proto . th dport map @publish4`; what is not in the map goes on to the next rule."""

    version: int
    map: str


@dataclass(frozen=True)
class Unknown:
    """Something read that this vocabulary has no word for; `raw` is what the kernel sent.

    It equals nothing that we would write, yet it can be put back as it was.
    """

    kind: str
    raw: bytes


# Kinds of Unknown that only some packets of any flow pass.
PORT, PROTOCOL, FRAGMENT = "port", "protocol", "fragment"
PARTIAL = frozenset((PORT, PROTOCOL, FRAGMENT))

Expression = Union[
    Interface, InterfacePrefix, InterfaceIn, InterfaceVerdict, NetworkProtocol, AddressIn, TransportProtocol, DestinationPort,
    ConntrackState, DestinationWasTranslated, DestinationIsLocal,
    Verdict, Reject, Masquerade, SourceNat, DestinationNat, DestinationNatMap, Unknown,
]  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """Expressions from left to right, and who the rule belongs to.

    An address can only be compared after a test of the network protocol, a port after one of the transport protocol.
    nft writes these tests where they are missing and the kernel keeps no trace of who wrote them, so they are
    put in here, once: `Rule((AddressIn(...),))` and the same rule read back are equal.
    """

    expressions: tuple[Expression, ...]
    comment: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "expressions", _with_protocol_tests(self.expressions))


def _with_protocol_tests(expressions: tuple[Expression, ...]) -> tuple[Expression, ...]:
    complete: list[Expression] = []
    network: Optional[NetworkProtocol] = None
    transport: Optional[TransportProtocol] = None
    for expression in expressions:
        if isinstance(expression, (NetworkProtocol, AddressIn)):
            version = expression.version if isinstance(expression, NetworkProtocol) else expression.network.version
            if network != NetworkProtocol(version):
                network = NetworkProtocol(version)
                complete.append(network)
        elif isinstance(expression, (TransportProtocol, DestinationPort)):
            name = expression.name if isinstance(expression, TransportProtocol) else expression.protocol
            if transport != TransportProtocol(name):
                transport = TransportProtocol(name)
                complete.append(transport)
        if not isinstance(expression, (NetworkProtocol, TransportProtocol)):
            complete.append(expression)
    return tuple(complete)


@dataclass(frozen=True)
class Hook:
    """`type nat hook postrouting priority 100; policy accept`."""

    type: str
    hook: str
    priority: int
    policy: str = "accept"


@dataclass(frozen=True)
class Chain:
    """A chain; with a hook it is a base chain."""

    name: str
    rules: tuple[Rule, ...] = ()
    hook: Optional[Hook] = None


@dataclass(frozen=True)
class ProtocolPort:
    """The key `tcp . 80`."""

    protocol: str
    port: int


@dataclass(frozen=True)
class Endpoint:
    """The data `10.0.0.2 . 8080`."""

    address: Address
    port: int


Key = Union[str, ProtocolPort, Unknown]
Data = Union[Verdict, Endpoint]


@dataclass(frozen=True)
class Element:
    """`"v1" comment "nslab:lab:post" : jump lab_post`; without data it is an element of a set."""

    key: Key
    data: Optional[Data] = None
    comment: str = ""


@dataclass(frozen=True)
class Set:
    """`set inside { type ifname; }`. A type that we do not write reads as `unknown ...`."""

    name: str
    key: str
    elements: tuple[Element, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "elements", tuple(sorted(self.elements, key=_by_key)))


@dataclass(frozen=True)
class Map:
    """`map post_iif { type ifname : verdict; }`. A type that we do not write reads as `unknown ...`."""

    name: str
    key: str
    data: str
    elements: tuple[Element, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "elements", tuple(sorted(self.elements, key=_by_key)))


SetOrMap = Union[Set, Map]


def _by_key(element: Element) -> str:
    return element.key if isinstance(element.key, str) else repr(element.key)


@dataclass(frozen=True)
class Table:
    """A table; a dormant one does nothing.

    Its comment is written when it is made and never compared: the kernel can't change it afterwards.
    """

    family: str
    name: str
    chains: tuple[Chain, ...] = ()
    maps: tuple[Map, ...] = ()
    sets: tuple[Set, ...] = ()
    comment: str = field(default="", compare=False)
    dormant: bool = False

    def __post_init__(self) -> None:
        for kind in ("chains", "maps", "sets"):
            object.__setattr__(self, kind, tuple(sorted(getattr(self, kind), key=lambda thing: thing.name)))

    @property
    def key(self) -> TableName:
        return TableName(self.family, self.name)

    @property
    def named(self) -> tuple[SetOrMap, ...]:
        """Sets and maps, which share one space of names."""
        return (*self.sets, *self.maps)
