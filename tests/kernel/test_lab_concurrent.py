# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of lab at once: each has the host for itself while it lasts, so that they end as if one had waited for the other.

`NSLAB_SOAK=200` has as many rounds.
"""

from __future__ import annotations

import os
import random
from typing import Any

import pytest
from support import killing, runner
from support.host import Host, assert_same

ROUNDS = int(os.environ.get("NSLAB_SOAK", "0")) or 2

pytestmark = [pytest.mark.by_module, pytest.mark.no_rules]


def lab(name: str, count: int, network: int, bridge: str, mtu: int = 1500) -> dict[str, Any]:
    return {
        "name": name,
        "prefix": f"{name}-",
        "hosts": True,
        "nodes": {"count": count, "prefix": "n", "bridge": bridge},
        "bridges": {bridge: {"subnet": f"10.{network}.0.0/24"}},
        "defaults": {"links": {"mtu": mtu}},
    }


def at_once(*tasks: dict[str, Any]) -> list[runner.Result]:
    results = [run.result() for run in [killing.Run("lab", task) for task in tasks]]
    assert None not in results
    return [result for result in results if result is not None]


def members(host: Host, name: str) -> list[str]:
    return [each for each in host.namespaces() if each.startswith(f"{name}-")]


def test_definitions_of_one_lab_at_once_leave_one_of_them_whole(host: Host) -> None:
    chance = random.Random(ROUNDS)
    before = host.snapshot()
    for _round in range(ROUNDS):
        for count in (2, 4):
            tasks = [lab("one", size, 41, "br0", 1400 + size) for size in chance.sample(range(1, 7), count)]
            results = at_once(*tasks)
            assert not [result["msg"] for result in results if result.failed]
            last = [task for task in tasks if not runner.run("lab", task, check=True).operations]
            assert len(last) == 1, f"{len(last)} of {count} definitions hold"
            size = last[0]["nodes"]["count"]
            assert members(host, "one") == [f"one-n{number + 1}" for number in range(size)]
            assert len(host.links()) == size + 1
            for number in range(size):
                assert host.link("eth0", f"one-n{number + 1}")["mtu"] == 1400 + size
                assert host.ping("10.41.0.1", f"one-n{number + 1}")
        # Whoever removes it meanwhile comes before all, between two of them, or after all.
        results = at_once(*tasks[:2], {"name": "one", "state": "absent"})
        assert not [result["msg"] for result in results if result.failed]
        removed = runner.run("lab", {"name": "one", "state": "absent"})
        assert not removed.failed
        assert_same(before, host.snapshot(), "the lab, made and removed at once,")


def test_labs_that_want_the_same_name_at_once_are_one_whole_and_one_refused(host: Host) -> None:
    before = host.snapshot()
    for _round in range(ROUNDS):
        for count in (2, 4):
            names = ["one", "two", "three", "four"][:count]
            tasks = [lab(name, 3, 51 + number, "shared") for number, name in enumerate(names)]
            results = at_once(*tasks)
            made = [task["name"] for task, result in zip(tasks, results) if not result.failed]
            assert len(made) == 1, f"made were {made}"
            for task, result in zip(tasks, results):
                if result.failed:
                    runner.assert_one_line(result)
                    assert "link shared on the host exists and was not made by lab" in result["msg"], result["msg"]
                    assert not members(host, task["name"])
                    assert not os.path.exists(f"/run/nslab/lab.{task['name']}")
            assert members(host, made[0]) == [f"{made[0]}-n{number}" for number in (1, 2, 3)]
            removed = at_once(*({"name": name, "state": "absent"} for name in names))
            assert not [result["msg"] for result in removed if result.failed]
            assert_same(before, host.snapshot(), "labs, made and removed at once,")


def test_labs_that_have_nothing_in_common_stand_at_once(host: Host) -> None:
    before = host.snapshot()
    names = ["one", "two", "three", "four"]
    for _round in range(ROUNDS):
        tasks = [lab(name, 3, 51 + number, f"br-{name}") for number, name in enumerate(names)]
        results = at_once(*tasks)
        assert not [result["msg"] for result in results if result.failed]
        for name in names:
            assert members(host, name) == [f"{name}-n{number}" for number in (1, 2, 3)]
        assert not [task for task in tasks if runner.run("lab", task, check=True).operations]
        removed = at_once(*({"name": name, "state": "absent"} for name in names))
        assert not [result["msg"] for result in removed if result.failed]
        assert_same(before, host.snapshot(), "labs, made and removed at once,")
