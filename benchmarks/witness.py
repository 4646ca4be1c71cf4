# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a lab is really there, or really gone, as ``ip`` and ``ping`` see it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from typing import Any

from .topologies import Lab, Namespace
from .way import Failed

# So many namespaces of a lab are looked into, from its first to its last.
SAMPLE = 10
PathOf = Callable[[str], str]


def see(lab: Lab, path_of: PathOf) -> None:
    """:raises Failed: the lab is not as it was to be."""
    inodes = {os.stat(path_of(namespace.name)).st_ino for namespace in lab.namespaces}
    compare("namespaces", len(inodes), lab.size)
    ports = [link for link in listed("ip", "-j", "link") if link.get("master")]
    compare("ports of bridges", len(ports), sum(bool(link.first.master) for link in lab.links))
    step = max(1, lab.size // SAMPLE)
    for namespace in {lab.size - 1: 0, **dict.fromkeys(range(0, lab.size, step))}:
        look_into(lab, lab.namespaces[namespace], path_of)
    for ping in lab.pings:
        answers(path_of(ping.netns), ping.address)


def look_into(lab: Lab, namespace: Namespace, path_of: PathOf) -> None:
    inside = ("nsenter", f"--net={path_of(namespace.name)}", "ip", "-j", "-4")
    links = listed(*inside, "addr")
    ends = lab.ends_in(namespace.name)
    compare(f"links of {namespace.name}", len(links), 1 + len(ends))
    compare(f"links of {namespace.name} that are up", sum("UP" in link["flags"] for link in links), len(links))
    addresses = {f"{one['local']}/{one['prefixlen']}" for link in links for one in link["addr_info"]}
    compare(f"addresses of {namespace.name}", addresses, {"127.0.0.1/8"} | {end.address for end in ends})
    routes = {(route["dst"], route["gateway"]) for route in listed(*inside, "route") if "gateway" in route}
    compare(f"routes of {namespace.name}", routes, {(route.dst, route.via) for route in namespace.routes})


def answers(path: str, address: str) -> None:
    inside = ["nsenter", f"--net={path}"]
    for _attempt in range(10):
        # A bridge takes the lowest MAC of its ports: with a new one it may have another than was learnt before.
        subprocess.run([*inside, "ip", "neigh", "flush", "all"], capture_output=True, check=True)
        ping = [*inside, "ping", "-n", "-q", "-c", "1", "-W", "1", address]
        if subprocess.run(ping, capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.2)
    raise Failed(f"{address} does not answer to {path}")


def gone() -> None:
    """:raises Failed: something of a lab is left on the host."""
    compare("links that are left", [link["ifname"] for link in listed("ip", "-j", "link")], ["lo"])
    compare("namespaces that are left", listed("ip", "-j", "netns", "list"), [])


def listed(*argv: str) -> list[dict[str, Any]]:
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    # Nothing is not always an empty list.
    return list(json.loads(done.stdout or "[]"))


def compare(what: str, seen: object, wanted: object) -> None:
    if seen != wanted:
        raise Failed(f"{what}: {str(seen)[:200]}, not {str(wanted)[:200]}")
