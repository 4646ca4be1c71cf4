# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A shell script of ``ip`` commands, a process for each, in the order in which people write them; in its two dialects."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from ..topologies import End, Lab, Link
from ..way import CHANGE, CREATE, DESTROY, Command, Job, Way, script


def ip(netns: str) -> str:
    return f"ip -n {netns}" if netns else "ip"


def by_exec(lines: Iterable[str]) -> Iterator[str]:
    """The same in the words of most tutorials: two processes, and a mount namespace for each command inside."""
    for line in lines:
        yield re.sub(r"^ip -n (\S+) ", r"ip netns exec \1 ip ", line)


def making(lab: Lab) -> Iterator[str]:
    for bridge in lab.bridges:
        yield f"ip link add name {bridge.name} type bridge"
        yield f"ip addr add {bridge.address} dev {bridge.name}"
        yield f"ip link set dev {bridge.name} up"
    for namespace in lab.namespaces:
        yield f"ip netns add {namespace.name}"
        yield f"ip -n {namespace.name} link set dev lo up"
        if namespace.forwards:
            yield f"ip netns exec {namespace.name} sysctl -qw net.ipv4.ip_forward=1"
    for link in lab.links:
        yield veth(link)
        for end in (link.first, link.second):
            yield from setting(end)
    for namespace in lab.namespaces:
        for route in namespace.routes:
            yield f"ip -n {namespace.name} route add {route.dst} via {route.via}"


def veth(link: Link) -> str:
    first, second = link.first, link.second
    return f"{ip(first.netns)} link add name {first.name} type veth peer name {second.name} netns {second.netns}"


def setting(end: End) -> Iterator[str]:
    if end.address:
        yield f"{ip(end.netns)} addr add {end.address} dev {end.name}"
    master = f" master {end.master}" if end.master else ""
    yield f"{ip(end.netns)} link set dev {end.name}{master} up"


def removing(lab: Lab) -> Iterator[str]:
    for namespace in lab.namespaces:
        yield f"ip netns del {namespace.name}"
    for bridge in lab.bridges:
        yield f"ip link del dev {bridge.name}"


def commands(job: Job) -> dict[str, Command]:
    return scripts(job, list)


def scripts(job: Job, dialect: Callable[[Iterable[str]], Iterable[str]]) -> dict[str, Command]:
    return {
        CREATE: script(job, "create.sh", dialect(making(job.lab))),
        CHANGE: script(job, "change.sh", dialect(making(job.added))),
        DESTROY: script(job, "destroy.sh", dialect(removing(job.grown))),
    }


WAY = Way(
    name="shell",
    title="shell script, ip -n",
    commands=commands,
    most=1000,
    why_most="it would take minutes",
    note="One `ip` process a line, the bridge first and up. It has no second run: its first line fails.",
)

EXEC = Way(
    name="exec",
    title="shell script, ip netns exec",
    commands=lambda job: scripts(job, by_exec),
    most=1000,
    why_most="it would take minutes",
    note="The same lines with `ip netns exec NAME ip` in place of `ip -n NAME`, as most tutorials have them.",
)
