# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a picture of a lab names its nodes, and the words in which it tells of routes, rule sets and published ports."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.nslab.linux.plugins.plugin_utils._picture import OUTSIDE, Nat, Node

Place = tuple[str, str]  # a namespace as lab_info names it, and a link in it

HOST_KEY = "host"
# No namespace can have it: a name has no bracket, a path begins with a slash.
OUTSIDE_KEY = "(outside)"
OUTSIDE_NODE = Node(OUTSIDE_KEY, "outside", OUTSIDE)
# What the collection calls a link of which nobody said how it is called, see host_end_name.
_DERIVED = re.compile(r"v[0-9a-f]{10}\Z")


def bridge_key(where: str, bridge: str) -> str:
    return f"{where}/{bridge}"


def shown_port(name: str) -> str:
    """The name of a port, empty for one that was derived, which nobody looks for."""
    return "" if _DERIVED.match(name) else name


def natural(text: str) -> list[tuple[int, str]]:
    """For sorting: ns2 before ns10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", text)]


def listed(names: t.Sequence[str], most: int = 4) -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def at(place: Place) -> str:
    return f"{place[0]}:{place[1]}"


def route_text(
    dst: str, kind: str, hops: t.Sequence[tuple[str | None, str | None]], metric: int = 0, table: str = "main"
) -> str:
    """A route as ip-route(8) writes it; ``hops`` are gateways and links."""
    words = [dst] if kind == "unicast" else [kind, dst]
    ways = [" ".join([*(["via", via] if via else []), *(["dev", dev] if dev and not via else [])]) for via, dev in hops]
    words += [", ".join(way for way in ways if way)] if any(ways) and kind == "unicast" else []
    words += [f"metric {metric}"] if metric not in (0, 1024) else []
    words += [f"table {table}"] if table != "main" else []
    return " ".join(words)


def nat_text(sources: t.Sequence[str], inside: t.Sequence[str], leaves_as: str | None) -> str:
    """What a rule set does; ``leaves_as`` None is that addresses are kept."""
    what = ", ".join(sources or inside) or "what comes from the lab"
    return f"{what} as {leaves_as}" if leaves_as else f"{what} with its own addresses"


def publish_text(protocol: str, port: str, address: str | None, to: str, to_port: str) -> str:
    at_port = port if address is None else f"{_bracketed(address)}:{port}"
    return f"{protocol} {at_port} to {_bracketed(to)}:{to_port}"


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def seen_nat(rule_set: t.Mapping[str, t.Any]) -> Nat:
    """A rule set as lab_info returns it."""
    uplinks = dict.fromkeys(name for names in rule_set["uplink"].values() for name in names)
    leaves_as = ", ".join(rule_set["to_source"]) or ", ".join("any link" if n == "any" else n for n in uplinks)
    publish = tuple(
        publish_text(each["protocol"], each["port"], each["address"], each["to"], each["to_port"])
        for each in rule_set["publish"]
    )
    return Nat(nat_text(rule_set["sources"], rule_set["inside"], leaves_as or None), publish)
