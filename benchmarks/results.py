# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was measured, and its medians."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Measure:
    """One phase of one run. ``seconds`` are those of the work, ``whole`` those of the process; for the end of a lab with
    the time until all was gone. ``peak_kib`` is the memory of the largest process. ``rested`` says whether the machine did
    nothing else when it began."""

    seconds: float
    whole: float
    peak_kib: int
    parts: dict[str, float] = field(default_factory=dict)
    rested: bool = True


@dataclass(frozen=True)
class Run:
    way: str
    kind: str
    size: int
    measures: dict[str, Measure]
    # Why it ended early.
    error: str = ""

    def to_data(self) -> dict[str, Any]:
        return asdict(self)


def run_from(data: dict[str, Any]) -> Run:
    return Run(**{**data, "measures": {phase: Measure(**said) for phase, said in data["measures"].items()}})


class Results:
    """All runs of a benchmark."""

    def __init__(self, runs: Iterable[Run]) -> None:
        self.runs = list(runs)

    def of(self, way: str, kind: str, size: int) -> list[Run]:
        return [run for run in self.runs if (run.way, run.kind, run.size) == (way, kind, size)]

    def error(self, way: str, kind: str, size: int) -> str:
        return next((run.error for run in self.of(way, kind, size) if run.error), "")

    def unrest(self) -> tuple[int, int]:
        """How many of the steps began on a busy machine, and how many there are."""
        rested = [measure.rested for run in self.runs for measure in run.measures.values()]
        return rested.count(False), len(rested)

    def labs(self) -> list[tuple[str, int]]:
        """Kinds and sizes, in the order in which they were begun."""
        return list(dict.fromkeys((run.kind, run.size) for run in self.runs))

    def median(
        self, way: str, kind: str, size: int, phase: str, what: Callable[[Measure], float] = lambda one: one.seconds
    ) -> float | None:
        """Over the repeats; None where it was not measured."""
        found = [what(run.measures[phase]) for run in self.of(way, kind, size) if phase in run.measures]
        return statistics.median(found) if found else None

    def parts(self, way: str, kind: str, size: int, phase: str) -> dict[str, float]:
        """The medians of the parts of a phase, by name."""
        found = [run.measures[phase].parts for run in self.of(way, kind, size) if phase in run.measures]
        names = dict.fromkeys(name for parts in found for name in parts)
        return {name: statistics.median(parts[name] for parts in found if name in parts) for name in names}
