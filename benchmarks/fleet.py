# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``./dev bench fleet``: what a task costs inside a namespace and outside, and a lab on many hosts, against a ping of them.

Hosts are those of the test bed: namespaces with an sshd each, reached over real ssh. Each figure is the wall time of whole runs
of ``ansible-playbook``; connections stand before anything is measured, and what is compared takes turns.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .machine import describe
from .table import markdown, seconds
from .way import CHECKOUT

sys.path.insert(0, str(CHECKOUT / "tests"))

from support import userlands
from support.fleet import CACHE, Fleet
from support.sandbox import sandbox

ROOM = CHECKOUT / ".cache" / "bench"
NETNS = "bench-inside"
# Tasks of a play; what one of them costs is the difference to a play of one.
MANY = 11
GOAL = 3.0
CHANGED = re.compile(r"^(\S+)\s*: ok=\d+\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)

Play = Mapping[str, Any]


class Failed(RuntimeError):
    """A run did not do what it was to do, so that its time says nothing."""


@dataclass(frozen=True)
class Place:
    """Where a task runs: outside of any namespace of its own, and inside of one."""

    title: str
    hosts: str
    inside: str


PLACES = (
    Place("over ssh", "host1", "nslab.linux.netns"),
    Place("on this machine", "localhost", "nslab.linux.netns_local"),
)


def play(hosts: str, *tasks: Play, **variables: object) -> Play:
    return {"hosts": hosts, "gather_facts": False, "vars": variables, "tasks": list(tasks)}


class Playbooks:
    """Runs plays with the configuration of a fleet, in the network that its hosts and this process share."""

    def __init__(self, fleet: Fleet, room: Path, forks: int) -> None:
        self.fleet, self.room, self.forks = fleet, room, forks

    def run(self, one: Play, changes: bool = False, pipelining: bool = True) -> float:
        """Its seconds.

        :raises Failed: a host was lost, or changed and was not to, or the other way round.
        """
        (self.room / "play.yml").write_text(json.dumps([one]), encoding="utf-8")
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(self.fleet.room / "ansible.cfg"),
            "ANSIBLE_PIPELINING": str(pipelining),
            "ANSIBLE_FORKS": str(self.forks),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_NOCOLOR": "true",
        }
        began = time.monotonic()
        done = subprocess.run(
            ["ansible-playbook", str(self.room / "play.yml")],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        took = time.monotonic() - began
        recaps = CHANGED.findall(done.stdout)
        if done.returncode or not recaps or any((changed != "0") != changes for _host, changed, *_lost in recaps):
            raise Failed(f"{one['hosts']}: {done.stdout[-1500:]}{done.stderr[-500:]}")
        return took


def task_costs(run: Playbooks, repeats: int) -> Iterator[tuple[str, bool, float, float]]:
    """Place, pipelining, and the seconds of one task outside and inside."""
    command = {"name": "A command", "ansible.builtin.command": "true", "changed_when": False}
    for place in PLACES:
        local = {"ansible_python_interpreter": sys.executable} if place.hosts == "localhost" else {}
        name = {"name": "A namespace", "ansible.builtin.command": f"ip netns add {NETNS}"}
        with contextlib.suppress(Failed):  # it is there already
            run.run(play(place.hosts, name, **local), changes=True)
        connections: tuple[Mapping[str, object], ...] = (
            local,
            {**local, "ansible_connection": place.inside, "ansible_netns": NETNS},
        )
        for pipelining in (True, False):
            found: list[list[float]] = [[], []]
            for repeat in range(repeats + 1):
                for number, variables in enumerate(connections):
                    least, most = (
                        run.run(play(place.hosts, *[command] * count, **variables), pipelining=pipelining)
                        for count in (1, MANY)
                    )
                    if repeat:  # the first has made the connections
                        found[number].append((most - least) / (MANY - 1))
            outside, inside = map(statistics.median, found)
            yield place.title, pipelining, outside, inside


def lab(size: int, state: str = "present") -> Play:
    """Namespaces on a bridge, with routes; all alike on every host, since hosts do not see each other's."""
    options: dict[str, object] = {"name": "bench", "state": state}
    if state == "present":
        options |= {
            "bridges": {"bench0": {"subnet": "10.77.0.0/16"}},
            "nodes": {
                "count": size,
                "prefix": "node",
                "bridge": "bench0",
                "routes": [{"dst": "default", "via": "10.77.0.1"}],
            },
        }
    return {"name": "The lab", "nslab.linux.lab": options}


@dataclass(frozen=True)
class FleetCost:
    """Medians, in seconds."""

    hosts: int
    forks: int
    ping: float
    create: float
    again: float
    remove: float


def fleet_cost(run: Playbooks, size: int, repeats: int) -> FleetCost:
    ping = {"name": "A ping", "ansible.builtin.ping": None}
    found: list[tuple[float, ...]] = []
    for repeat in range(repeats + 1):
        took = (
            run.run(play("fleet", ping)),
            run.run(play("fleet", lab(size)), changes=True),
            run.run(play("fleet", lab(size))),
            run.run(play("fleet", lab(size, "absent")), changes=True),
        )
        if repeat:  # the first has made the connections
            found.append(took)
    return FleetCost(len(run.fleet.hosts), run.forks, *(statistics.median(column) for column in zip(*found)))


def report(
    machine: Mapping[str, str],
    tasks: Sequence[tuple[str, bool, float, float]],
    fleets: Sequence[FleetCost],
    size: int,
) -> str:
    told = ("processor", "memory", "kernel", "Python", "ansible-core")
    parts = ["Taken on: " + "; ".join(f"{name} {machine[name]}" for name in told) + "."]
    if tasks:
        parts.append("### A task inside and outside")
        rows = [
            [where, "on" if pipelining else "off", seconds(outside), seconds(inside), f"{inside / outside:.2f}"]
            for where, pipelining, outside, inside in tasks
        ]
        parts.append(markdown(["a command", "pipelining", "outside", "inside", "inside to outside"], rows))
    if fleets:
        parts.append(f"### A lab of {size} namespaces on each host")
        rows = []
        for one in fleets:
            row = [str(one.hosts), str(one.forks), seconds(one.ping)]
            for figure in (one.create, one.again, one.remove):
                row += [seconds(figure), f"{figure / one.ping:.2f}"]
            rows.append(row)
        head = ["hosts", "forks", "ping", "create", "to ping", "second run", "to ping", "remove", "to ping"]
        parts.append(markdown(head, rows))
        worst = max(one.create / one.ping for one in fleets)
        verdict = "met" if worst < GOAL else "not met"
        parts.append(
            f"Aim: a lab is made in less than {GOAL:.0f} times what a ping takes. {worst:.2f} times at worst: {verdict}."
        )
    return "\n\n".join(parts) + "\n"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench fleet", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--hosts", default="5,20", metavar="N,N", help="fleets of so many hosts, 1 to 50 (5,20)")
    parser.add_argument("--namespaces", type=int, default=20, metavar="N", help="in the lab of each host (20)")
    parser.add_argument("--forks", type=int, metavar="N", help="hosts at the same time (all)")
    parser.add_argument("--repeat", type=int, default=3, help="how often; the medians are shown (3)")
    parser.add_argument("--no-tasks", action="store_true", help="leave the single tasks out")
    options = parser.parse_args()
    try:
        options.hosts = [int(one) for one in options.hosts.split(",")]
    except ValueError:
        parser.error(f"--hosts: not numbers: {options.hosts}")
    return options


def main() -> None:
    options = arguments()
    ROOM.mkdir(parents=True, exist_ok=True)
    userlands.make(CACHE / "userlands")
    machine = describe()
    tasks: list[tuple[str, bool, float, float]] = []
    fleets: list[FleetCost] = []
    with tempfile.TemporaryDirectory(prefix="fleet-", dir=ROOM) as room, sandbox():
        for number, count in enumerate(options.hosts):
            fleet = Fleet(Path(room) / "fleet")
            say(f"a fleet of {count}")
            fleet.up(count)
            try:
                run = Playbooks(fleet, Path(room), options.forks or count)
                if number == 0 and not options.no_tasks:
                    say("single tasks, inside and outside")
                    tasks = list(task_costs(run, options.repeat))
                say(f"a lab of {options.namespaces} on {count} hosts")
                fleets.append(fleet_cost(run, options.namespaces, options.repeat))
            finally:
                fleet.down()
    print(report(machine, tasks, fleets, options.namespaces), end="")


def say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
