# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a picture of a lab shows, as a value: made from a definition or from what was seen, and drawn by whoever draws."""

from __future__ import annotations

import dataclasses

NAMESPACE = "namespace"
BRIDGE = "bridge"
HOST = "host"
# Where a router leads to that no link of the picture does: an uplink.
OUTSIDE = "outside"

# What stands out, by kind. Each has a sign of its own beside its colour.
DOWN = "down"  # a link, or one of its ends, that is not up
MTU = "mtu"  # the ends of a link, or the ports of a bridge, that do not have the same, or not the declared one
MISSING = "missing"  # declared and not there
EXTRA = "extra"  # there and not declared
CHANGED = "changed"  # there, and otherwise than declared
UNREAD = "unread"  # there, and it could not be read


@dataclasses.dataclass(frozen=True)
class Mark:
    """Something that stands out, and what is to be read of it: ``mtu 1400, declared 1500``."""

    kind: str
    text: str


@dataclasses.dataclass(frozen=True)
class Nat:
    """A rule set of a router: ``10.1.0.0/16 as eth0``. ``publish`` has a line for each published port."""

    text: str
    publish: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Node:
    """A box. ``key`` is unique in the picture; ``inside`` is the key of the namespace in which a bridge stands.

    ``lines`` are shown below the name (addresses of a bridge, a default gateway), ``details`` on request.
    """

    key: str
    name: str
    kind: str
    inside: str | None = None
    lines: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    nat: tuple[Nat, ...] = ()
    marks: tuple[Mark, ...] = ()


@dataclasses.dataclass(frozen=True)
class End:
    """One end of a wire. ``interface`` is empty where it has no name of its own to be shown.

    ``up`` is None where nothing is known of it, as in a definition that does not say.
    """

    node: str
    interface: str = ""
    addresses: tuple[str, ...] = ()
    mtu: int | None = None
    up: bool | None = None
    marks: tuple[Mark, ...] = ()


@dataclasses.dataclass(frozen=True)
class Wire:
    """A link between two nodes. ``cable`` is false where there is none: from a bridge to the namespace it stands in, to an uplink."""

    ends: tuple[End, End]
    cable: bool = True
    marks: tuple[Mark, ...] = ()


@dataclasses.dataclass(frozen=True)
class Picture:
    """A lab, or what was seen on one host, in the order in which it is to be read.

    ``notes`` is what can't be put at a node or a wire, ``observed`` whether it shows what was seen and not only what is wanted.
    """

    name: str
    nodes: tuple[Node, ...] = ()
    wires: tuple[Wire, ...] = ()
    marks: tuple[Mark, ...] = ()
    notes: tuple[str, ...] = ()
    observed: bool = False
