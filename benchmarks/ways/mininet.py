# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mininet with Linux bridges: programs/mininet_net.py, by the Python of the system, for which it is packaged."""

from __future__ import annotations

import json
import shutil
import subprocess

from ..way import CHANGE, CREATE, DESTROY, PROGRAMS, Command, Job, Way, command, own_words

PYTHON = "/usr/bin/python3"
COMMANDS = ("mnexec", "brctl", "ifconfig")


def missing() -> str | None:
    absent = [name for name in COMMANDS if shutil.which(name) is None]
    # The whole of it: the first that fails is not always the package.
    tried = subprocess.run([PYTHON, "-c", "import mininet.net"], capture_output=True, check=False)
    if absent or tried.returncode:
        return f"not installed: {', '.join(absent) or 'mininet'} (apt-get install mininet bridge-utils net-tools)"
    return None


def commands(job: Job) -> dict[str, Command]:
    def run(*words: str) -> Command:
        return command(PYTHON, PROGRAMS / "mininet_net.py", *words, read=own_words)

    return {
        CREATE: run("create", job.keep("create.json", job.lab.to_json())),
        CHANGE: run("change", job.keep("change.json", job.added.to_json())),
        DESTROY: run("destroy"),
    }


def path_of(job: Job, namespace: str) -> str:
    pids = json.loads((job.room / "pids.json").read_text(encoding="utf-8"))
    return f"/proc/{pids[namespace]}/ns/net"


WAY = Way(
    name="mininet",
    title="Mininet, Linux bridges",
    commands=commands,
    missing=missing,
    most=1000,
    why_most="it would take minutes",
    path_of=path_of,
    note="`LinuxBridge`, no controller; without the start of Python. Each host is a shell that lives on, whose memory"
    " is not counted. It has no second run: a network lives in its process.",
)
