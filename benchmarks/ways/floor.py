# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The floor: floor.c, raw netlink and nothing in between."""

from __future__ import annotations

from collections.abc import Iterator

from ..compiled import program
from ..topologies import HOST, Lab
from ..way import AGAIN, CHANGE, CREATE, DESTROY, Command, Job, Way, command

# Below are those that the kernel gives by itself.
FIRST_INDEX = 1000


def lines(lab: Lab, known: tuple[str, ...] = ()) -> Iterator[str]:
    """The lab as floor.c reads it, with namespaces that stand already and are named in it."""
    for name in known:
        yield f"netns {name} 0"
    for namespace in lab.namespaces:
        yield f"netns {namespace.name} {int(namespace.forwards)}"
    for bridge in lab.bridges:
        yield f"bridge {bridge.name} {bridge.address}"
    for link in lab.links:
        first, second = link.first, link.second
        yield " ".join(
            word or "-"
            for word in ("link", first.netns, first.name, first.address, first.master)
            + (second.netns, second.name, second.address)
        )
    for namespace in lab.namespaces:
        for route in namespace.routes:
            yield f"route {namespace.name} {route.dst} {route.via}"


def commands(job: Job) -> dict[str, Command]:
    floor = program("floor")

    def run(*words: object, of: Lab, known: tuple[str, ...] = ()) -> Command:
        return command(floor, *words, stdin="\n".join(lines(of, known)) + "\n")

    end = job.more.link.first.netns
    return {
        CREATE: run("create", FIRST_INDEX, of=job.lab),
        AGAIN: run("look", of=job.lab),
        CHANGE: run("create", FIRST_INDEX + 2 * len(job.lab.links), of=job.added, known=() if end == HOST else (end,)),
        DESTROY: run("destroy", of=job.grown),
    }


WAY = Way(
    name="c",
    title="C, raw netlink",
    commands=commands,
    note="The floor: it looks at nothing before and checks nothing after, and can't undo. Its second run is a look:"
    " links, addresses and routes of every namespace dumped once.",
)
