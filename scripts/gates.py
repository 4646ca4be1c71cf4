# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the gates of ./dev test side by side and ends with a table of them; the cells of ./dev matrix likewise.

A gate is a bash script in scripts/gates/. Its first comment says what it shows and what it needs:

    # gate: what it shows, in one line
    # environments: the Python environments it uses, of tests/requirements/   (left out: test); NAME@3.9 is one with
                    that Python, and where it can't be had the gate is not run, which is no success
    # commands: what it calls that an operating system may lack
    # root: yes                                                               (left out: no)

It runs in the checkout with $GATE, a directory for what it leaves; junit files there (*.xml) are counted, and a test
that was skipped without standing in tests/allowed_skips.txt makes the gate fail.
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

CHECKOUT = Path(os.environ["NSLAB_CHECKOUT"])
GATES = CHECKOUT / "scripts" / "gates"
ENVIRONMENTS = CHECKOUT / ".cache" / "environments"
LOGS = CHECKOUT / ".cache" / "gates"
ALLOWED_SKIPS = CHECKOUT / "tests" / "allowed_skips.txt"

# No gate takes nearly as long, in seconds, unless it hangs.
LIMIT = 1500

# Of one gate; its log has all.
MOST_COMPLAINTS = 20

# What runs now, to be ended with us.
RUNNING: set[subprocess.Popen[bytes]] = set()

# The longest first, so that none of them is left to run alone at the end.
ORDER = [
    "kernel",
    "roles",
    "playbooks",
    "examples",
    "fleet",
    "sanity",
    "kernel-oldest",
    "integration",
    "molecule",
    "molecule-others",
    "importer",
    "lint",
    "docs",
    "unit",
    "types",
    "build",
    "licences",
    "changelog",
    "format",
    "shell",
    "wording",
]

# pytest's closing line: "===== 12 passed, 1 skipped in 3.21s ====="
CLOSING_LINE = re.compile(r"^=+ .*\b(passed|failed|error|errors|skipped|no tests ran)\b.* in [\d.]+s.*=+$")


@dataclass(frozen=True)
class Gate:
    name: str
    title: str
    environments: tuple[str, ...]
    commands: tuple[str, ...]
    root: bool
    script: Path
    # Beside those of every gate.
    variables: tuple[tuple[str, str], ...] = ()


@dataclass
class Counts:
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def add(self, other: Counts) -> None:
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"

    @property
    def any(self) -> bool:
        return bool(self.passed or self.failed or self.skipped)


@dataclass
class Outcome:
    gate: Gate
    seconds: float
    complaints: list[str]
    counts: Counts = field(default_factory=Counts)
    closing_lines: list[str] = field(default_factory=list)
    note: str = ""
    ran: bool = True

    @property
    def good(self) -> bool:
        return not self.complaints

    @property
    def word(self) -> str:
        return "passed" if self.good else "FAILED" if self.ran else "not run"


def read_gate(path: Path) -> Gate:
    head = dict(re.findall(r"^# (gate|environments|commands|root): (.*)$", path.read_text(encoding="utf-8"), re.M))
    return Gate(
        name=path.stem,
        title=head["gate"],
        environments=tuple(head.get("environments", "test").split()),
        commands=tuple(head.get("commands", "").split()),
        root=head.get("root") == "yes",
        script=path,
    )


def all_gates() -> list[Gate]:
    gates = {path.stem: read_gate(path) for path in GATES.glob("*.sh")}
    unplaced = sorted(set(gates) - set(ORDER))
    return [gates[name] for name in [*ORDER, *unplaced] if name in gates]


def run(gate: Gate) -> Outcome:
    missing = [name for name in gate.environments if not (ENVIRONMENTS / name / "complete").exists()]
    if missing:
        return Outcome(gate, 0, [f"for want of the Python environment {name}" for name in missing], ran=False)
    room = LOGS / gate.name
    shutil.rmtree(room, ignore_errors=True)
    room.mkdir(parents=True)
    began = time.monotonic()
    with open(room / "log", "wb") as log:
        process = subprocess.Popen(
            ["bash", str(gate.script)],
            cwd=CHECKOUT,
            env=environment(gate, room),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            # A group of its own, so that all of it can be ended at once.
            start_new_session=True,
        )
        RUNNING.add(process)
        late = ""
        try:
            process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            late = f"ended after {LIMIT} s, which is the limit"
            end(process)
        RUNNING.discard(process)
    outcome = Outcome(gate, time.monotonic() - began, [])
    if late or process.returncode:
        outcome.complaints.append(late or f"ended with {process.returncode}")
    judge_tests(outcome, room)
    note = room / "note"
    outcome.note = note.read_text(encoding="utf-8").strip() if note.exists() else ""
    return outcome


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends the gate and all that it started; a moment to clean up, and then none."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)


def stop(number: int, _frame: object) -> None:
    """Called on a signal: the gates are not in our process group, so nothing ends them but we."""
    for process in list(RUNNING):
        end(process)
    os._exit(128 + number)


def environment(gate: Gate, room: Path) -> dict[str, str]:
    venv = ENVIRONMENTS / gate.environments[0]
    return {
        **os.environ,
        **dict(gate.variables),
        "GATE": str(room),
        "PATH": f"{venv}/bin{os.pathsep}{os.environ['PATH']}",
        "VIRTUAL_ENV": str(venv),
        # A log is read, not looked at; and a narrow terminal breaks the lines that are searched for.
        "NO_COLOR": "1",
        "ANSIBLE_NOCOLOR": "1",
        "COLUMNS": "160",
    }


def judge_tests(outcome: Outcome, room: Path) -> None:
    allowed = allowed_skips()
    reports = sorted(room.glob("*.xml"))
    for report in reports:
        for case in ET.parse(report).getroot().iter("testcase"):
            judge_test(outcome, case, allowed)
    if reports and not outcome.counts.passed:
        outcome.complaints.append("no test passed")
    text = (room / "log").read_text(encoding="utf-8", errors="replace")
    outcome.closing_lines = [line for line in text.splitlines() if CLOSING_LINE.match(line)]


def judge_test(outcome: Outcome, case: ET.Element, allowed: list[re.Pattern[str]]) -> None:
    name = f"{case.get('classname', '')}::{case.get('name', '')}"
    skipped = case.find("skipped")
    if case.find("failure") is not None or case.find("error") is not None:
        outcome.counts.failed += 1
        outcome.complaints.append(f"failed: {name}")
    elif skipped is not None:
        outcome.counts.skipped += 1
        what = f"{outcome.gate.name} {name}: {skipped.get('message', '')}"
        if not any(pattern.search(what) for pattern in allowed):
            outcome.complaints.append(f"skipped, which tests/allowed_skips.txt does not allow: {what}")
    else:
        outcome.counts.passed += 1


def allowed_skips() -> list[re.Pattern[str]]:
    lines = ALLOWED_SKIPS.read_text(encoding="utf-8").splitlines()
    return [re.compile(line) for line in lines if line and not line.startswith("#")]


def run_all(gates: list[Gate], jobs: int) -> list[Outcome]:
    printing = threading.Lock()
    width = name_width(gates)

    def one(gate: Gate) -> Outcome:
        with printing:
            say(f"  {gate.name:<{width}} … {gate.title}")
        outcome = run(gate)
        with printing:
            show(outcome, width)
        return outcome

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(one, gates))


def name_width(gates: Iterable[Gate]) -> int:
    return max([14, *(len(gate.name) for gate in gates)])


def show(outcome: Outcome, width: int) -> None:
    name = outcome.gate.name
    say(f"  {name:<{width}} {outcome.word}" + (f" after {outcome.seconds:.0f} s" if outcome.ran else ""))
    for line in outcome.closing_lines:
        say(f"    {line}")
    if not outcome.good:
        for complaint in outcome.complaints[:MOST_COMPLAINTS]:
            say(f"    {complaint}")
        if len(outcome.complaints) > MOST_COMPLAINTS:
            say(f"    and {len(outcome.complaints) - MOST_COMPLAINTS} more")
        if not outcome.ran:
            return
        log = LOGS / name / "log"
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        say(f"    the end of {log.relative_to(CHECKOUT)}:")
        for line in lines[-60:]:
            say(f"    | {line}")


def summary(outcomes: list[Outcome], seconds: float) -> Counts:
    total = Counts()
    width = name_width(outcome.gate for outcome in outcomes)
    say("")
    say(f"{'':<{width}} {'result':<7} {'seconds':>7}  tests")
    for outcome in outcomes:
        total.add(outcome.counts)
        tests = outcome.note or (str(outcome.counts) if outcome.counts.any else "")
        say(f"{outcome.gate.name:<{width}} {outcome.word:<7} {outcome.seconds:>7.1f}  {tests}".rstrip())
    say(f"{'together':<{width + 8}} {seconds:>7.1f}")
    say("")
    return total


def say(line: str) -> None:
    print(line, flush=True)


def main(verb: str, gates: list[Gate]) -> int:
    parser = argparse.ArgumentParser(description=f"Runs the gates of ./dev {verb}.")
    parser.add_argument("names", nargs="*", metavar="NAME")
    # One more than there are processors: the kernel tests wait half of their time for the kernel.
    parser.add_argument("--jobs", type=int, default=(os.cpu_count() or 1) + 1)
    parser.add_argument("--list", action="store_true", help="say which there are")
    parser.add_argument("--needs", choices=["environments", "commands", "root"], help="say what the gates named need")
    options = parser.parse_args()
    # A name, or a pattern such as "kernel*".
    chosen = {name: fnmatch.filter([gate.name for gate in gates], name) for name in options.names}
    unknown = sorted(name for name, found in chosen.items() if not found)
    if unknown:
        parser.exit(
            2, f"./dev {verb}: nothing is called {', '.join(unknown)}; there are {' '.join(g.name for g in gates)}\n"
        )
    if options.names:
        gates = [gate for gate in gates if any(gate.name in found for found in chosen.values())]
    if options.list:
        for gate in gates:
            say(f"  {gate.name:<{name_width(gates)}} {gate.title}")
        return 0
    if options.needs == "root":
        say(" ".join(gate.name for gate in gates if gate.root))
        return 0
    if options.needs:
        say(" ".join(sorted({need for gate in gates for need in getattr(gate, options.needs)})))
        return 0
    began = time.monotonic()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    outcomes = run_all(gates, options.jobs)
    total = summary(outcomes, time.monotonic() - began)
    failed = [outcome.gate.name for outcome in outcomes if not outcome.good]
    for word in ("FAILED", "not run"):
        if names := [outcome.gate.name for outcome in outcomes if outcome.word == word]:
            say(f"{word.lower()}: {' '.join(names)}")
    # Plain and last, for a reader that looks at the last line alone.
    say(str(total))
    return 1 if failed or total.failed else 0


if __name__ == "__main__":
    sys.exit(main("test", all_gates()))
