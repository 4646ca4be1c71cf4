# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What labs on a fleet cost is shown against the ping of the same hosts, and judged by the worst of them."""

from __future__ import annotations

from ansible_collections.nslab.linux.benchmarks.fleet import FleetCost, report

MACHINE = dict.fromkeys(("processor", "memory", "kernel", "Python", "ansible-core"), "some")
FIVE = FleetCost(5, 5, ping=2.0, create=4.0, again=3.0, remove=2.5)


def test_figures_stand_beside_their_ratios() -> None:
    said = report(MACHINE, [("over ssh", True, 0.2, 0.25), ("over ssh", False, 0.4, 0.6)], [FIVE], 20)

    assert "| over ssh | on | 200 ms | 250 ms | 1.25 |" in said
    assert "| over ssh | off | 400 ms | 600 ms | 1.50 |" in said
    assert "| 5 | 5 | 2.0 s | 4.0 s | 2.00 | 3.0 s | 1.50 | 2.5 s | 1.25 |" in said
    assert "A lab of 20 namespaces" in said
    assert said.endswith("2.00 times at worst: met.\n")


def test_one_fleet_that_takes_too_long_is_told() -> None:
    slow = FleetCost(20, 20, ping=2.0, create=7.0, again=3.0, remove=2.5)

    assert report(MACHINE, [], [FIVE, slow], 20).endswith("3.50 times at worst: not met.\n")
