# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was measured is shown as it was: medians, ratios, goals, and what could not be measured."""

from __future__ import annotations

import pytest

from ansible_collections.nslab.linux.benchmarks import __main__ as bench
from ansible_collections.nslab.linux.benchmarks.goals import verdicts
from ansible_collections.nslab.linux.benchmarks.results import Measure, Results, Run, run_from
from ansible_collections.nslab.linux.benchmarks.table import lab_table, mebibytes, phases_table, report, seconds, times
from ansible_collections.nslab.linux.benchmarks.way import AGAIN, CHANGE, CREATE, DESTROY
from ansible_collections.nslab.linux.benchmarks.ways import ALL


def run(way: str, size: int, create: float, again: float | None = None, destroy: float = 1.0, kind="bridge", error=""):
    measures = {CREATE: create, AGAIN: again, CHANGE: 0.01, DESTROY: destroy}
    return Run(
        way,
        kind,
        size,
        {
            phase: Measure(took, took + 0.5, 2048, {"apply": took / 2} if way == "lab" else {})
            for phase, took in measures.items()
            if took is not None
        },
        error,
    )


GOOD = Results(
    [
        run("c", 100, 0.1),
        run("c", 1000, 1.0, 0.5, 1.0),
        run("lab", 100, 0.25, 0.1, 0.2),
        *(run("lab", 1000, create, 1.25, 2.0) for create in (9.0, 2.5, 1.0)),
        run("shell", 100, 6.0),
        run("shell", 1000, 50.0),
        run("exec", 1000, 100.0),
        run("playbook", 100, 1.5),
        run("loop", 100, 60.0),
    ]
)


def judged(results: Results) -> list[tuple[str, str]]:
    return [(one.measured, one.met) for one in verdicts(results)]


def test_goals_that_are_met():
    assert judged(GOOD) == [
        ("2.50 times", "met"),
        ("20.00 times (than with ip netns exec: 40.00)", "met"),
        ("1.00 times (C itself: 1.00)", "met"),
        ("1.25 ms", "met"),
        ("0.80 times create", "met"),
        ("4.00 times", "met"),
        ("40.00 times", "met"),
    ]


def test_goals_that_are_missed():
    worse = Results(
        [
            run("c", 1000, 1.0),
            run("lab", 100, 0.2, 0.1, 0.1),
            run("lab", 1000, 6.0, 2.0, 3.0),
            run("lab", 100, 0.2, 0.1, 0.3, kind="chain"),
            run("shell", 100, 4.0),
            run("shell", 1000, 50.0),
            run("playbook", 100, 2.0),
            run("loop", 100, 50.0),
        ]
    )
    assert [met for _measured, met in judged(worse)] == ["not met"] * 7
    # The worst of all labs, not that of the largest.
    assert judged(worse)[4][0] == "1.50 times create"


def test_goals_that_were_not_measured_are_neither():
    assert judged(Results([run("c", 10, 0.1)])) == [("not measured", "")] * 7


def test_a_lab_shows_medians_and_ratios():
    lines = lab_table(GOOD, ALL, "bridge", 1000).splitlines()
    assert lines[2] == "| C, raw netlink | 1.0 s | 1.0 ms | 1.0 | 500 ms | 10 ms | 1.0 s | 1.0 | 2 MiB |"
    assert lines[3] == "| nslab.linux.lab | 2.5 s | 2.5 ms | 2.5 | 1.2 s | 10 ms | 2.0 s | 2.0 | 2 MiB |"
    assert lines[4] == "| shell script, ip -n | 50.0 s | 50 ms | 50 | - | 10 ms | 1.0 s | 1.0 | 2 MiB |"
    assert len(lines) == 6


def test_the_parts_of_the_module_stand_beside_its_process():
    lines = phases_table(GOOD).splitlines()
    assert lines[0] == "| lab | phase | apply | total | process |"
    assert "| 1000 on one bridge | create | 1.2 s | 2.5 s | 3.0 s |" in lines


def test_the_report_says_where_and_what_failed():
    results = Results([*GOOD.runs, run("mininet", 100, 8.0, error="second run: no ptys left")])
    text = report(results, ALL, {"kernel": "Linux 6.1", "Python": "3.11.2"}, {"plain pyroute2": "not installed"})
    assert "Taken on: kernel Linux 6.1; Python 3.11.2." in text
    assert "Mininet, Linux bridges did not come through: second run: no ptys left" in text
    assert "plain pyroute2: not tried, not installed." in text
    assert text.index("100 on one bridge") < text.index("1000 on one bridge") < text.index("### Goals")


def test_figures_of_a_busy_machine_say_so():
    busy = Run("c", "bridge", 10, {CREATE: Measure(0.1, 0.1, 10, rested=False), DESTROY: Measure(0.1, 0.1, 10)})
    assert "busy when 1 of the 2 steps began" in report(Results([busy]), ALL, {}, {})
    assert "busy" not in report(GOOD, ALL, {}, {})


def test_what_is_kept_is_what_was_measured():
    for one in GOOD.runs:
        assert run_from(one.to_data()) == one


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0.00123, "1.2 ms"),
        (0.00999, "10 ms"),
        (0.0123, "12 ms"),
        (0.9996, "1.0 s"),
        (12.34, "12.3 s"),
        (123.4, "123 s"),
    ],
)
def test_seconds_have_two_or_three_figures(value: float | None, text: str):
    assert seconds(value) == text


def test_ratios_and_memory():
    assert (times(3.0, 2.0), times(30.0, 2.0), times(3.0, None), times(None, 1.0)) == ("1.5", "15", "-", "-")
    assert (mebibytes(102400), mebibytes(None)) == ("100 MiB", "-")


def test_which_labs_are_built():
    assert list(bench.chosen(["bridge:50", "grid"], None)) == [("bridge", 50), ("grid", 400)]
    assert list(bench.chosen(["chain", "grid"], ["5", "7"])) == [("chain", 5), ("chain", 7), ("grid", 400)]
    assert list(bench.chosen([], None, quick=True)) == [("bridge", 10), ("bridge", 100)]
    assert ("bridge", 1000) in list(bench.chosen([], None))
    for wrong in ("ring", "grid:10", "bridge:many"):
        with pytest.raises(ValueError, match=wrong.partition(":")[2] or wrong):
            list(bench.chosen([wrong], None))


def test_ways_take_turns_and_the_slow_ones_only_what_they_can():
    ways = [way for way in ALL if way.name in ("c", "shell", "loop")]
    labs = [("bridge", 100), ("bridge", 2000), ("chain", 100)]
    said = [(turn.repeat, turn.way.name, turn.kind, turn.size) for turn in bench.turns(ways, labs, 2)]
    assert said == [
        (0, "c", "bridge", 100),
        (0, "shell", "bridge", 100),
        (0, "loop", "bridge", 100),
        (0, "c", "bridge", 2000),
        (0, "c", "chain", 100),
        (0, "shell", "chain", 100),
        (1, "shell", "bridge", 100),
        (1, "c", "bridge", 100),
        (1, "c", "bridge", 2000),
        (1, "shell", "chain", 100),
        (1, "c", "chain", 100),
    ]
