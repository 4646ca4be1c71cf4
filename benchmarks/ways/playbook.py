# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole ``ansible-playbook`` with one task, ``lab``."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from ..way import AGAIN, CHANGE, CREATE, DESTROY, Command, Failed, Job, Reading, Way, command
from . import lab

RECAP = re.compile(r"^localhost .*\bchanged=(\d+)", re.MULTILINE)


def play(tasks: list[dict[str, Any]]) -> str:
    """As JSON, which is YAML too."""
    return json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}], indent=1)


def reader(changes: bool) -> Callable[[str], Reading]:
    def read(said: str) -> Reading:
        recap = RECAP.search(said)
        if not recap or (recap[1] != "0") != changes:
            raise Failed(recap[0] if recap else f"no recap, but: {said[-300:]}")
        return Reading()

    return read


def run(job: Job, phase: str, tasks: list[dict[str, Any]], changes: bool = True) -> Command:
    return command("ansible-playbook", job.keep(f"{phase}.yml", play(tasks)), read=reader(changes))


def commands(job: Job) -> dict[str, Command]:
    def one(phase: str, arguments: dict[str, Any], changes: bool = True) -> Command:
        return run(job, phase, [{"name": "The lab", "nslab.linux.lab": arguments}], changes)

    return {
        CREATE: one("create", lab.present(job.lab)),
        AGAIN: one("again", lab.present(job.lab), changes=False),
        CHANGE: one("change", lab.present(job.grown)),
        DESTROY: one("destroy", lab.absent()),
    }


WAY = Way(
    name="playbook",
    title="ansible-playbook, one task",
    commands=commands,
    most=1000,
    why_most="the share of Ansible is seen before",
    note="The same task in a play, on localhost, from the start of `ansible-playbook` to its end.",
)
