# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One lab by one way, in a sandbox of its own: made, run again, changed, removed. Called by ``__main__.py``.

python -m benchmarks.one WAY KIND SIZE ROOM: ends with the run as a line of JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from . import quiet, witness
from .compiled import program
from .results import Measure, Run
from .topologies import lab_of
from .way import AGAIN, CHECKOUT, CREATE, DESTROY, PHASES, Command, Failed, Job, Way
from .ways import ALL


def run(way: Way, job: Job) -> Run:
    measures: dict[str, Measure] = {}
    phase, error = "before it began", ""
    try:
        commands = way.commands(job)
        quiet.settle()
        for phase in (phase for phase in PHASES if phase in commands):
            measures[phase] = measured(way, job, phase, commands[phase])
    except (Failed, OSError, subprocess.SubprocessError) as failure:
        error = f"{phase}: {failure}"
    return Run(way.name, job.lab.kind, job.lab.size, measures, error)


def measured(way: Way, job: Job, phase: str, command: Command) -> Measure:
    """The command carried out and what it did seen."""
    marker = quiet.Marker() if phase == DESTROY else None
    rested = quiet.rest()
    measure, ended = carry_out(job, command)
    if marker:
        marker.end()
        marker.wait()
        after = time.monotonic() - ended
        measure = replace(measure, seconds=measure.seconds + after, whole=measure.whole + after)
        witness.gone()
    else:
        lab = job.lab if phase in (CREATE, AGAIN) else job.grown
        witness.see(lab, lambda name: way.path_of(job, name))
    return replace(measure, rested=rested)


def carry_out(job: Job, command: Command) -> tuple[Measure, float]:
    """What was measured, and when the work ended: when the command said its result, if it says one."""
    figures, complaints = job.room / "figures", job.room / "complaints"
    with open(job.keep("stdin", command.stdin), "rb") as fed, open(complaints, "wb") as stderr:
        process = subprocess.Popen(
            [program("measured"), figures, *command.argv],
            stdin=fed,
            stdout=subprocess.PIPE,
            stderr=stderr,
            cwd=job.room,
            # By which a module is found without Ansible.
            env={**os.environ, "PYTHONPATH": str(CHECKOUT / ".cache")},
        )
        assert process.stdout
        said = os.read(process.stdout.fileno(), 1)
        spoken = time.monotonic()
        text = (said + process.stdout.read()).decode(errors="replace")
        code = process.wait()
        ended = time.monotonic()
    # A module says in its result why it failed.
    if code and not text.startswith("{"):
        lines = (complaints.read_text(encoding="utf-8", errors="replace").strip() or text.strip()).splitlines()
        raise Failed(f"ended with {code}: {' '.join(lines[-3:])[-300:]}")
    reading = command.read(text)
    whole, peak = figures.read_text(encoding="ascii").split()
    measure = Measure(float(whole), float(whole), max(int(peak), reading.peak_kib or 0), dict(reading.parts))
    if reading.work is None:
        return measure, ended
    return replace(measure, seconds=reading.work), spoken


def main() -> None:
    name, kind, size, room = sys.argv[1:]
    way = next(way for way in ALL if way.name == name)
    print(json.dumps(run(way, Job(lab_of(kind, int(size)), Path(room))).to_data()))


if __name__ == "__main__":
    main()
