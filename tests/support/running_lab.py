# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab that several tests change or break, and what tells whether something of it was made anew."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from typing import Any

from .host import Host
from .runner import Result

Definition = dict[str, Any]
GATEWAY = "10.7.0.1"

# A bridge with three namespaces, two of which are joined directly as well; a is joined to the host.
NET: Definition = {
    "name": "net",
    "namespaces": {
        "a": {"routes": [{"dst": "default", "via": GATEWAY}, {"dst": "10.9.0.0/24", "via": "10.8.0.2"}]},
        "b": None,
        "c": {"sysctl": {"net.ipv4.ip_forward": 1}},
    },
    "bridges": {"br0": {"addresses": [f"{GATEWAY}/24"], "mac": "02:00:00:00:07:00"}, "br1": {"up": True}},
    "links": [
        {"endpoints": [{"node": "a", "interface": "eth0", "addresses": ["10.7.0.11/24"]}, "br0:pa"]},
        {"endpoints": [{"node": "b", "interface": "eth0", "addresses": ["10.7.0.12/24"]}, "br0:pb"]},
        {"endpoints": [{"node": "c", "interface": "eth0", "addresses": ["10.7.0.13/24"]}, "br0"]},
        {
            "endpoints": [
                {"node": "a", "interface": "eth1", "addresses": ["10.8.0.1/24", "fd08::1/64"]},
                {"node": "b", "interface": "eth1", "addresses": ["10.8.0.2/24"], "mac": "02:00:00:00:00:b1"},
            ],
            "mtu": 1500,
        },
        {"endpoints": ["a:up", "host:lan0"], "subnet": "10.6.0.0/30"},
    ],
}


def edited(*edits: Callable[[Definition], object]) -> Definition:
    definition = copy.deepcopy(NET)
    for edit in edits:
        edit(definition)
    return definition


def end(definition: Definition, link: int, side: int, **options: Any) -> None:
    """Sets options of an end, which may be written in short."""
    given = definition["links"][link]["endpoints"][side]
    if isinstance(given, str):
        node, _colon, interface = given.partition(":")
        given = {"node": node, **({"interface": interface} if interface else {})}
    definition["links"][link]["endpoints"][side] = {**given, **options}


def beside_the_ledger(result: Result) -> list[str]:
    return [text for text in result.operations if "lab.net" not in text]


def port(host: Host, netns: str, name: str = "eth0") -> str:
    """The end on the host of a link whose other end is in a namespace."""
    index = host.link(name, netns)["link_index"]
    return next(link["ifname"] for link in host.ip("link show") if link["ifindex"] == index)


def identities(host: Host) -> dict[str, int]:
    """What would be another number if it had been made anew: of each namespace its inode, of each link its index."""
    found = {name: os.stat(f"/run/netns/{name}").st_ino for name in host.namespaces()}
    for netns in ("host", *host.namespaces()):
        found.update({f"{netns} {link['ifname']}": link["ifindex"] for link in host.ip("link show", netns)})
    return found


def lost(host: Host, before: dict[str, int]) -> list[str]:
    """Which of them are no longer, under their name, what they were."""
    after = identities(host)
    return sorted(name for name, number in before.items() if after.get(name) != number)
