# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab as a value: what its definition comes to, in the types that the resources take.

A node is what a link leads to: a namespace, a bridge, or the host. It goes by the name that the definition gives it; what a
namespace is called on the host may have a prefix. ``path`` is the place in the definition, for refusals.
"""

from __future__ import annotations

import copy
import dataclasses
import typing as t

from ._resources._bridge import WantedBridge
from ._resources._nat_plan import Nat
from ._resources._resolv import ResolvConf
from ._resources._veth import VethEnd
from ._resources._wanted_route import WantedRoute
from ._values import IPAddress, IPNetwork, NamespaceRef

HOST_NODE = "host"
T = t.TypeVar("T")


def changed(value: T, **fields: object) -> T:
    """The frozen value with other fields, as by dataclasses.replace, in half the time: a lab has thousands."""
    made = copy.copy(value)
    for name, field in fields.items():
        object.__setattr__(made, name, field)
    return made


@dataclasses.dataclass(frozen=True)
class LabNamespace:
    """A namespace; ``name`` is the one that it has on the host, ``hosts`` the names of others that it knows."""

    path: str
    node: str
    name: str
    loopback: bool | None = True
    sysctls: tuple[tuple[str, str], ...] = ()
    routes: tuple[LabRoute, ...] = ()
    resolv: ResolvConf | None = None
    hosts: tuple[tuple[str, tuple[IPAddress, ...]], ...] | None = None

    @property
    def where(self) -> NamespaceRef:
        return NamespaceRef("name", self.name)


@dataclasses.dataclass(frozen=True)
class LabRoute:
    path: str
    route: WantedRoute


@dataclasses.dataclass(frozen=True)
class LabBridge:
    """A bridge; its endpoints get addresses of ``subnets``, at most one of each family."""

    path: str
    bridge: WantedBridge
    subnets: tuple[IPNetwork, ...] = ()


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """One end of a link. ``interface`` is empty where the definition gives it no name; ``end`` has the one derived then."""

    path: str
    node: str
    interface: str
    end: VethEnd


@dataclasses.dataclass(frozen=True)
class LabLink:
    """A cable; its ends get addresses of ``subnets``, at most one of each family."""

    path: str
    ends: tuple[Endpoint, Endpoint]
    subnets: tuple[IPNetwork, ...] = ()


@dataclasses.dataclass(frozen=True)
class LabNat:
    path: str
    nat: Nat


@dataclasses.dataclass(frozen=True)
class Lab:
    """A definition as read. ``hosts``: every namespace resolves every other by the name of its node.

    ``overlap``: addresses and networks that occur in several segments are meant. ``unread`` are the nodes that may have links
    or addresses which could not be read: what builds on these can't be judged.
    """

    name: str
    namespaces: tuple[LabNamespace, ...] = ()
    bridges: tuple[LabBridge, ...] = ()
    links: tuple[LabLink, ...] = ()
    nat: tuple[LabNat, ...] = ()
    hosts: bool = False
    overlap: bool = False
    unread: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True)
class Fault:
    """Something wrong in a definition: where, what, and what to do."""

    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text}" if self.path else self.text
