# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a run of the playbook walkthrough as a text to be read, while it runs.

A block with the variable `walkthrough_text` is a step: its name is the heading, the variable the paragraph under it.
Of each task in it stands there what it is called, the commands it stands for, and what its probes found: all of it
from what the modules returned.
"""

from __future__ import annotations

import shlex
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

sys.path.insert(0, str(Path(__file__).parents[1]))

from lab_picture import probe_lines

DOCUMENTATION = """
    name: walkthrough
    type: stdout
    short_description: a playbook as a text to be read
    description:
      - Steps, commands and probes.
    extends_documentation_fragment:
      - result_format_callback
"""

WIDTH = 100
PROMPT = "     # "
CONTINUED = " " * len(PROMPT)
RECORDS = " /run/nslab/"


class CallbackModule(CallbackBase):  # type: ignore[misc]
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "walkthrough"

    def __init__(self) -> None:
        super().__init__()
        self.began = time.monotonic()
        self.step = self.failure = ""
        self.tasks = self.changes = self.probes = 0

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        name, text = step_of(task)
        if name and name != self.step:
            self.step = name
            self.write(["", "", name, "", *wrapped(text, "   ")])

    def v2_runner_on_ok(self, result: Any) -> None:
        self.tasks += 1
        self.changes += result.is_changed()
        self.probes += len(result.result.get("probes", []))
        self.tell(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        said = str(result.result.get("msg") or "it failed")
        self.failure = self.failure or f"FAILED, {self.step or 'before the first step'}: {said}"
        self.tell(result, [f"     {line}" for line in said.splitlines()])

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self.v2_runner_on_failed(result)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        seconds = time.monotonic() - self.began
        self.write(["", f"{self.tasks} tasks, {self.changes} of them changes, {self.probes} probes, {seconds:.0f} s"])
        if self.failure:
            self.write(["", self.failure])

    def tell(self, result: Any, failure: list[str] | None = None) -> None:
        lines = [*said_by(result.result), *(failure or [])]
        if result.task.action.endswith("debug"):
            self.write(["", *wrapped(str(result.result["msg"]), "   ")])
        elif lines and (self.step or failure):
            self.write(["", f"   {result.task.get_name()}:", *lines])

    def write(self, lines: list[str]) -> None:
        self._display.display("\n".join(lines))


def step_of(task: Any) -> tuple[str, str]:
    """Name and text of the step that a task belongs to; empty for a task that belongs to none."""
    block = task._parent
    while block is not None:
        if text := block.vars.get("walkthrough_text"):
            return block.name, text
        block = block._parent
    return "", ""


def said_by(result: Any) -> Iterator[str]:
    """What there is to tell of what a task returned; nothing for one that only computes."""
    if result.get("results"):
        for each in result["results"]:
            yield from said_by(each)
    elif "probes" in result:
        widths = [max(len(probe[column]) for probe in result["probes"]) + 1 for column in ("from", "what")]
        for line in probe_lines(result["probes"], widths=(widths[0], widths[1])):
            yield f"   {line}"
    elif "operations" in result:
        for warning in result.get("warnings", []):
            yield from wrapped(f"Warning: {warning}", "     ")
        yield from commands(result["operations"]) if result["operations"] else ["     (nothing to do)"]
    elif "cmd" in result:
        words = result["cmd"]
        yield from commands([words if isinstance(words, str) else shlex.join(words)])
        said = [*result.get("stdout", "").splitlines(), *result.get("stderr", "").splitlines()]
        for line in said or ([] if result["changed"] else ["(nothing)"]):
            yield f"     {line.rstrip()}"


def wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent)


def commands(lines: list[str]) -> Iterator[str]:
    for line in lines:
        first, *others = line.splitlines()
        yield PROMPT + first
        if RECORDS in first and len(others) > 2:
            others[:-1] = [f"... ({len(others) - 1} lines, the module's record of what it will put back one day)"]
        for other in others:
            yield (CONTINUED if "<<" in first else PROMPT) + other
