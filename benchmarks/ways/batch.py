# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``ip -batch``: one process for the host, and one for each namespace."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from ..topologies import Lab
from ..way import CHANGE, CREATE, DESTROY, Command, Job, Way, script
from .shell import setting, veth

HOST_FILE = "host.batch"


def making(job: Job, lab: Lab, stem: str) -> Iterator[str]:
    """The lines of the script, whose batch files are written."""
    host: list[str] = [f"netns add {namespace.name}" for namespace in lab.namespaces]
    inside: dict[str, list[str]] = defaultdict(list)
    first: dict[str, list[str]] = defaultdict(list)
    late: list[str] = []
    fresh = {namespace.name: place for place, namespace in enumerate(lab.namespaces)}
    # The bridge comes up when all its ports are in place.
    for bridge in lab.bridges:
        host.append(f"link add name {bridge.name} type bridge")
        late += [f"addr add {bridge.address} dev {bridge.name}", f"link set dev {bridge.name} up"]
    for namespace in lab.namespaces:
        inside[namespace.name].append("link set dev lo up")
    for link in lab.links:
        there = first[link.first.netns] if link.first.netns else host
        there.append(_words(veth(link)))
        for end in (link.first, link.second):
            (inside[end.netns] if end.netns else host).extend(_words(line) for line in setting(end))
    for namespace in lab.namespaces:
        inside[namespace.name] += [f"route add {route.dst} via {route.via}" for route in namespace.routes]
    yield f"ip -batch {job.keep(f'{stem}.{HOST_FILE}', _text(host + late))}"
    for namespace in lab.namespaces:
        if namespace.forwards:
            yield f"ip netns exec {namespace.name} sysctl -qw net.ipv4.ip_forward=1"
    # The first end of a link makes it: in a namespace that was there before, or that stands earlier in the lab.
    for name in sorted(inside, key=lambda name: fresh.get(name, -1)):
        yield f"ip -n {name} -batch {job.keep(f'{stem}.{name}.batch', _text(first[name] + inside[name]))}"


def _words(line: str) -> str:
    """The command without ``ip`` and without its namespace, in which the batch runs."""
    words = line.split()[1:]
    return " ".join(words[2:] if words[0] == "-n" else words)


def _text(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"


def commands(job: Job) -> dict[str, Command]:
    gone = [f"netns del {namespace.name}" for namespace in job.grown.namespaces]
    gone += [f"link del dev {bridge.name}" for bridge in job.lab.bridges]
    return {
        CREATE: script(job, "create.sh", making(job, job.lab, "create")),
        CHANGE: script(job, "change.sh", making(job, job.added, "change")),
        DESTROY: script(job, "destroy.sh", [f"ip -batch {job.keep('destroy.batch', _text(gone))}"]),
    }


WAY = Way(
    name="batch",
    title="ip -batch",
    commands=commands,
    note="One `ip` process for the host and one for each namespace, the bridge up last. A sysctl takes a process of its own.",
)
