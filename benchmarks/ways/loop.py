# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole ``ansible-playbook`` with a loop over each kind of thing, one object in a task: what people write without lists."""

from __future__ import annotations

from typing import Any

from ..topologies import HOST, End, Lab
from ..way import AGAIN, CHANGE, CREATE, DESTROY, Command, Job, Way
from .playbook import run


def end(of: End) -> dict[str, Any]:
    said: dict[str, Any] = {"name": of.name}
    if of.netns != HOST:
        said["netns"] = of.netns
    if of.address:
        said["addresses"] = [of.address]
    if of.master:
        said["master"] = of.master
    return said


def looped(module: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    """A task for items that have the same options."""
    options = {name: f"{{{{ item.{name} }}}}" for name in items[0]}
    return {"name": module, f"nslab.linux.{module}": options, "loop": items, "loop_control": {"label": ""}}


def making(lab: Lab) -> list[dict[str, Any]]:
    tasks = []
    for forwards in (False, True):
        names = [{"name": one.name} for one in lab.namespaces if one.forwards == forwards]
        if names:
            task = looped("netns", names)
            if forwards:
                task["nslab.linux.netns"]["sysctl"] = {"net.ipv4.ip_forward": 1}
            tasks.append(task)
    if lab.bridges:
        tasks.append(looped("bridge", [{"name": one.name, "addresses": [one.address]} for one in lab.bridges]))
    tasks.append(looped("veth", [{**end(link.first), "peer": end(link.second)} for link in lab.links]))
    routes = [
        {"netns": one.name, "routes": [{"dst": route.dst, "via": route.via}]}
        for one in lab.namespaces
        for route in one.routes
    ]
    return [*tasks, looped("ns_route", routes)]


def removing(lab: Lab) -> list[dict[str, Any]]:
    """The namespaces take their links along."""
    tasks = [looped("netns", [{"name": one.name, "state": "absent"} for one in lab.namespaces])]
    if lab.bridges:
        tasks.append(looped("bridge", [{"name": one.name, "state": "absent"} for one in lab.bridges]))
    return tasks


def commands(job: Job) -> dict[str, Command]:
    return {
        CREATE: run(job, "create", making(job.lab)),
        AGAIN: run(job, "again", making(job.lab), changes=False),
        CHANGE: run(job, "change", making(job.added)),
        DESTROY: run(job, "destroy", removing(job.grown)),
    }


WAY = Way(
    name="loop",
    title="ansible-playbook, a loop of one-object tasks",
    commands=commands,
    most=100,
    why_most="at about a second an object it would take the better part of an hour",
    kinds=("bridge",),
    once=True,
    note="`netns`, `veth` and `ns_route` in a `loop`, one object at a time. Its change is a play of the new things alone.",
)
