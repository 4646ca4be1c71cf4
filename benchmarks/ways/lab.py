# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""This collection's module ``lab``, by hand: as Ansible runs it, without Ansible."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from ..topologies import End, Lab
from ..way import AGAIN, CHANGE, CREATE, DESTROY, Command, Failed, Job, Reading, Way, command

NAME = "bench"
MODULE = "ansible_collections.nslab.linux.plugins.modules.lab"


def definition(lab: Lab) -> dict[str, Any]:
    """The lab as users of the module write it."""
    namespaces = {}
    for namespace in lab.namespaces:
        said: dict[str, Any] = {"routes": [{"dst": route.dst, "via": route.via} for route in namespace.routes]}
        if namespace.forwards:
            said["sysctl"] = {"net.ipv4.ip_forward": "1"}
        namespaces[namespace.name] = said
    return {
        "namespaces": namespaces,
        "bridges": {bridge.name: {"addresses": [bridge.address]} for bridge in lab.bridges},
        "links": [{"endpoints": [endpoint(link.first), endpoint(link.second)]} for link in lab.links],
    }


def endpoint(end: End) -> dict[str, Any]:
    if end.master:
        return {"node": end.master}
    return {"node": end.netns, "interface": end.name, "addresses": [end.address]}


def present(lab: Lab) -> dict[str, Any]:
    return {"name": NAME, **definition(lab)}


def absent() -> dict[str, Any]:
    return {"name": NAME, "state": "absent"}


def reader(changes: bool) -> Callable[[str], Reading]:
    def read(said: str) -> Reading:
        try:
            result = json.loads(said)
        except ValueError:
            raise Failed(f"no result, but: {said[-300:]}") from None
        if result.get("failed"):
            raise Failed(str(result.get("msg", said)))
        if bool(result["changed"]) != changes:
            raise Failed(f"changed is {result['changed']}; operations: {result.get('operations', [])[:5]}")
        timings = result["timings"]
        parts = tuple((name, float(seconds)) for name, seconds in timings.items() if name != "total")
        return Reading(float(timings["total"]), None, parts)

    return read


def commands(job: Job) -> dict[str, Command]:
    def run(arguments: dict[str, Any], changes: bool = True) -> Command:
        fed = json.dumps({"ANSIBLE_MODULE_ARGS": arguments})
        return command(sys.executable, "-m", MODULE, read=reader(changes), stdin=fed)

    return {
        CREATE: run(present(job.lab)),
        AGAIN: run(present(job.lab), changes=False),
        CHANGE: run(present(job.grown)),
        DESTROY: run(absent()),
    }


WAY = Way(
    name="lab",
    title="nslab.linux.lab",
    commands=commands,
    note="The module's own `timings.total`: it observes, plans, applies, and observes again to see that it holds. Python and"
    " Ansible's own parts start before that.",
)
