# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is aimed at, and how far it is reached. Printed, never asserted: figures are those of a machine and a day."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .results import Results
from .way import AGAIN, CREATE, DESTROY

BRIDGE = "bridge"
# What is still called flat, of the growth of the cost for each namespace.
FLAT = 1.25


@dataclass(frozen=True)
class Goal:
    """``figure`` is None where a part of it was not measured; ``met`` judges it, ``unit`` follows it; ``beside`` is a
    figure to compare it with, and ``whose`` that is."""

    text: str
    figure: Callable[[Results], float | None]
    met: Callable[[float], bool]
    unit: str = ""
    beside: Callable[[Results], float | None] = lambda _results: None
    whose: str = ""


@dataclass(frozen=True)
class Verdict:
    text: str
    measured: str
    met: str


def ratio(above: float | None, below: float | None) -> float | None:
    return above / below if above is not None and below else None


def seconds(results: Results, way: str, size: int, phase: str) -> float | None:
    return results.median(way, BRIDGE, size, phase)


def between(one: str, other: str, size: int) -> Callable[[Results], float | None]:
    """How many times as long as the other way the one takes to create."""
    return lambda results: ratio(seconds(results, one, size, CREATE), seconds(results, other, size, CREATE))


def growth(results: Results, way: str) -> float | None:
    """The cost of a namespace among 1000, in that of one among 100."""
    much = ratio(seconds(results, way, 1000, CREATE), 1000)
    return ratio(much, ratio(seconds(results, way, 100, CREATE), 100))


def looking(results: Results) -> float | None:
    """Milliseconds for each namespace of a second run."""
    return ratio(seconds(results, "lab", 1000, AGAIN), 1)


def ending(results: Results) -> float | None:
    """The longest destroy, in the creates of the same lab."""
    found = [
        ratio(results.median("lab", kind, size, DESTROY), results.median("lab", kind, size, CREATE))
        for kind, size in results.labs()
        if size >= 100
    ]
    return max((figure for figure in found if figure is not None), default=None)


GOALS = (
    Goal("create, N = 1000: at most 3 times C", between("lab", "c", 1000), lambda figure: figure <= 3, " times"),
    Goal(
        "create, N = 1000: at least 10 times faster than the shell script",
        between("shell", "lab", 1000),
        lambda figure: figure >= 10,
        " times",
        between("exec", "lab", 1000),
        "than with ip netns exec",
    ),
    Goal(
        f"create: the cost of a namespace is flat from N = 100 to 1000 (at most {FLAT} times)",
        lambda results: growth(results, "lab"),
        lambda figure: figure <= FLAT,
        " times",
        lambda results: growth(results, "c"),
        "C itself",
    ),
    # 1000 namespaces: its seconds are milliseconds for each.
    Goal("second run, N = 1000: at most 1.5 ms for each namespace", looking, lambda figure: figure <= 1.5, " ms"),
    Goal(
        "destroy is not slower than create (the worst of all labs of 100 and more)",
        ending,
        lambda figure: figure <= 1,
        " times create",
    ),
    Goal(
        "whole ansible-playbook, N = 100: at least 3 times faster than the shell script",
        between("shell", "playbook", 100),
        lambda figure: figure >= 3,
        " times",
        between("exec", "playbook", 100),
        "than with ip netns exec",
    ),
    Goal(
        "whole ansible-playbook, N = 100: at least 30 times faster than the loop",
        between("loop", "playbook", 100),
        lambda figure: figure >= 30,
        " times",
    ),
)


def verdicts(results: Results) -> Iterator[Verdict]:
    for goal in GOALS:
        figure = goal.figure(results)
        if figure is None:
            yield Verdict(goal.text, "not measured", "")
        else:
            other = goal.beside(results)
            beside = "" if other is None else f" ({goal.whose}: {other:.2f})"
            yield Verdict(goal.text, f"{figure:.2f}{goal.unit}{beside}", "met" if goal.met(figure) else "not met")
