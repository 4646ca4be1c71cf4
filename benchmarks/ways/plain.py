# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""pyroute2 as its documentation teaches: programs/plain_pyroute2.py."""

from __future__ import annotations

import sys

from ..topologies import Lab
from ..way import CHANGE, CREATE, DESTROY, PROGRAMS, Command, Job, Way, command, own_words


def commands(job: Job) -> dict[str, Command]:
    def run(verb: str, phase: str, of: Lab) -> Command:
        file = job.keep(f"{phase}.json", of.to_json())
        return command(sys.executable, PROGRAMS / "plain_pyroute2.py", verb, file, read=own_words)

    return {
        CREATE: run("create", "create", job.lab),
        CHANGE: run("create", "change", job.added),
        DESTROY: run("destroy", "destroy", job.grown),
    }


WAY = Way(
    name="pyroute2",
    title="plain pyroute2",
    commands=commands,
    most=1000,
    why_most="it would take minutes",
    note="`netns.create`, one `IPRoute`, a `NetNS` for each namespace, `link_lookup` for each index; without the start of"
    " Python. It has no second run: `File exists`.",
)
