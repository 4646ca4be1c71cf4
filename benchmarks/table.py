# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .goals import verdicts
from .results import Results
from .topologies import lab_of
from .way import AGAIN, CHANGE, CREATE, DESTROY, PHASES, Way

FLOOR = "c"
CLEARING = "The total of destroy has the kernel's own clearing away in it, which begins when the module has let go."
WITHOUT = "-"


def report(results: Results, ways: Sequence[Way], machine: dict[str, str], skipped: dict[str, str]) -> str:
    """All of it. ``skipped`` are the ways that could not be tried, and why."""
    tried = [way for way in ways if any(run.way == way.name for run in results.runs)]
    parts = [machine_line(machine), unrest_line(results)]
    for kind, size in results.labs():
        parts += [f"### {lab_of(kind, size).title.capitalize()}", lab_table(results, tried, kind, size)]
        parts += errors(results, tried, kind, size)
    if any(way.name == "lab" for way in tried):
        parts += ["### Where the time of the module goes", phases_table(results), CLEARING]
    parts += ["### Goals", goals_table(results), "### The ways", *notes(tried, skipped)]
    return "\n\n".join(part for part in parts if part) + "\n"


def machine_line(machine: dict[str, str]) -> str:
    return "Taken on: " + "; ".join(f"{name} {value}" for name, value in machine.items()) + "."


def unrest_line(results: Results) -> str:
    busy, all_of_them = results.unrest()
    if not busy:
        return ""
    return f"The machine was busy when {busy} of the {all_of_them} steps began: their figures are too high."


def lab_table(results: Results, ways: Sequence[Way], kind: str, size: int) -> str:
    header = ["way", "create", "for each", "to C", "second run", "one link more", "destroy", "to C", "memory"]
    rows = []
    for way in ways:
        if not results.of(way.name, kind, size):
            continue
        took = {phase: results.median(way.name, kind, size, phase) for phase in PHASES}
        floor = {phase: results.median(FLOOR, kind, size, phase) for phase in PHASES}
        peaks = [results.median(way.name, kind, size, phase, lambda one: one.peak_kib) for phase in PHASES]
        rows.append(
            [
                way.title,
                seconds(took[CREATE]),
                seconds(each(took[CREATE], size)),
                times(took[CREATE], floor[CREATE]),
                seconds(took[AGAIN]),
                seconds(took[CHANGE]),
                seconds(took[DESTROY]),
                times(took[DESTROY], floor[DESTROY]),
                mebibytes(max((peak for peak in peaks if peak is not None), default=None)),
            ]
        )
    return markdown(header, rows)


def phases_table(results: Results) -> str:
    """The module's parts of each phase, and the process around them."""
    names = list(
        dict.fromkeys(
            name
            for kind, size in results.labs()
            for phase in PHASES
            for name in results.parts("lab", kind, size, phase)
        )
    )
    rows = []
    for kind, size in results.labs():
        for phase in PHASES:
            total = results.median("lab", kind, size, phase)
            if total is None:
                continue
            parts = results.parts("lab", kind, size, phase)
            process = results.median("lab", kind, size, phase, lambda one: one.whole)
            cells = [lab_of(kind, size).title, phase, *(seconds(parts.get(name)) for name in names)]
            rows.append([*cells, seconds(total), seconds(process)])
    return markdown(["lab", "phase", *names, "total", "process"], rows)


def goals_table(results: Results) -> str:
    return markdown(["goal", "measured", ""], [[one.text, one.measured, one.met] for one in verdicts(results)])


def errors(results: Results, ways: Sequence[Way], kind: str, size: int) -> Iterator[str]:
    for way in ways:
        error = results.error(way.name, kind, size)
        if error:
            yield f"{way.title} did not come through: {error}"


def notes(ways: Sequence[Way], skipped: dict[str, str]) -> Iterator[str]:
    lines = []
    for way in ways:
        limit = f" Not beyond {way.most} namespaces: {way.why_most}." if way.why_most else ""
        once = " Measured once." if way.once else ""
        lines.append(f"- **{way.title}.** {way.note}{limit}{once}")
    lines += [f"- {title}: not tried, {why}." for title, why in skipped.items()]
    yield "\n".join(lines)


def each(total: float | None, size: int) -> float | None:
    return None if total is None else total / size


def seconds(value: float | None) -> str:
    if value is None:
        return WITHOUT
    if value < 0.00995:
        return f"{value * 1000:.1f} ms"
    return f"{value * 1000:.0f} ms" if value < 0.9995 else f"{value:.1f} s" if value < 99.95 else f"{value:.0f} s"


def times(value: float | None, floor: float | None) -> str:
    if value is None or not floor:
        return WITHOUT
    ratio = value / floor
    return f"{ratio:.1f}" if ratio < 9.95 else f"{ratio:.0f}"


def mebibytes(kib: float | None) -> str:
    return WITHOUT if kib is None else f"{kib / 1024:.0f} MiB"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The first column is text, the others are figures."""
    lines = [list(header), ["---", *["--:"] * (len(header) - 1)], *map(list, rows)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
