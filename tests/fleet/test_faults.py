# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong on a fleet: each host says for itself what is wrong, the others finish, and running again mends it.

One story, told once, since each play on six hosts takes seconds: the tests are its scenes, in their order.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.ansible_runs import Ansible, Done
from support.fleet import Fleet, FleetHost

EXAMPLE = Path(__file__).parents[2] / "examples" / "fleet" / "inventory"
MANY = 100
BIG = {
    "name": "big",
    "nodes": {"count": MANY, "prefix": "n", "bridge": "lan"},
    "bridges": {"lan": {"subnet": "10.40.0.0/24"}},
}
# Beside the example: two labs that take long enough to be cut off in their middle, and a sixth host.
MORE = {
    "offices": {"hosts": {}},
    "shops": {"hosts": {"host4": {"nslab_lab": BIG}, "host5": {"nslab_lab": BIG}, "host6": {"site": 6}}},
}

AWAY = "cd /usr/lib/python3/dist-packages && mv pyroute2 away"
BACK = "cd /usr/lib/python3/dist-packages && mv away pyroute2"
# Two pages are left: the lock takes one, the ledger another, and what remembers the sysctls has none.
FILL = "head -c 20m /dev/zero >/run/filler 2>/dev/null || true; truncate --size=-8192 /run/filler"

# Waits until a lab is half made and stops its module there; then the session's sshd is killed, and with KILL the module, too.
CUT_OFF = """
import os, signal, sys, time
while not os.path.exists("/run/netns/n10"):
    time.sleep(0.001)
locks = [line.split() for line in open("/proc/locks")]
lock = f":{os.stat('/run/nslab/lock').st_ino}"
(module,) = [int(words[4]) for words in locks if words[5].endswith(lock)]
os.kill(module, signal.SIGSTOP)
print(module, len(os.listdir("/run/netns")), flush=True)
pid = module
while pid != 1:
    if open(f"/proc/{pid}/comm").read().startswith("sshd"):
        os.kill(pid, signal.SIGKILL)
    pid = int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1])
if sys.argv[1:] == ["KILL"]:
    os.kill(module, signal.SIGKILL)
"""

# All that a lab could have left on a host, but for the lock's directory while it is held.
TRACES = (
    "ls /run/netns 2>/dev/null || true; ls /run/nslab 2>/dev/null || true; ls /var/lib/nslab 2>/dev/null || true; "
    "ls /etc/netns 2>/dev/null || true; nft list ruleset; ip -oneline link | grep -vE ' (lo|eth0)[@:]' || true; "
    "cat /proc/sys/net/ipv4/conf/eth0/forwarding"
)
NOTHING = "0\n"


@dataclass(frozen=True)
class Told:
    """What a run has told of the hosts."""

    done: Done

    def recap(self) -> dict[str, dict[str, int]]:
        lines = re.findall(r"^(host\d) +: (.*)$", self.done.output, re.M)
        return {name: {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", text)} for name, text in lines}

    def fatal(self, host: FleetHost) -> dict[str, Any]:
        (text,) = re.findall(rf"^fatal: \[{host.name}\]: [A-Z]+! => (.*)$", self.done.output, re.M)
        said: dict[str, Any] = json.loads(text)
        return said

    def summary(self) -> list[str]:
        (text,) = re.findall(r'^    "msg": (\[.*?^    \])', self.done.output, re.M | re.S)
        lines: list[str] = json.loads(text)
        return lines


class Story:
    def __init__(self, fleet: Fleet, ansible: Ansible, room: Path) -> None:
        self.fleet = fleet
        self.hosts = fleet.hosts
        self._ansible = ansible
        self._room = room
        (room / "more.yml").write_text(json.dumps(MORE), encoding="utf-8")

    def run(self, *words: str) -> Told:
        sources = [str(self.fleet.room / "inventory.yml"), str(self._room / "more.yml"), str(EXAMPLE)]
        inventory = [word for source in sources for word in ("--inventory", source)]
        told = Told(self._ansible.playbook("nslab.linux.fleet", "--forks=6", *inventory, *words, directory=self._room))
        print(told.done.output)
        return told

    def traces(self, host: FleetHost) -> str:
        return self.fleet.said(host, TRACES)

    def namespaces(self, host: FleetHost) -> int:
        return len(json.loads(self.fleet.said(host, "ip -json netns list") or "[]"))


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    if os.geteuid() != 0:
        pytest.skip("needs root, to make hosts of namespaces")
    room = tmp_path_factory.mktemp("fleet")
    fleet = Fleet(room / "room")
    ansible = Ansible(room)
    fleet.up(6, bytecode=True)
    try:
        yield Story(fleet, ansible, room)
    finally:
        inside = fleet.pids()
        fleet.down()
        ansible.end()
        assert not fleet.room.exists()
        assert len(inside) > 6 and not [pid for pid in inside if Path(f"/proc/{pid}").exists()]


def test_a_batch_with_too_many_failures_is_the_last(story: Story) -> None:
    story.fleet.said(story.hosts[1], AWAY)
    told = story.run("-e", "nslab_serial=2", "-e", "nslab_max_fail_percentage=40", "--check")
    recap = told.recap()
    assert sorted(recap) == ["host1", "host2"]
    assert (recap["host1"]["changed"], recap["host2"]["failed"]) == (1, 1)
    assert told.done.returncode != 0
    # It was a look alone.
    assert {story.traces(host) for host in story.hosts} == {NOTHING}


def test_each_host_says_what_is_wrong_and_the_others_finish(story: Story) -> None:
    down, bare, full, cut, killed, good = story.hosts
    # That one without pyroute2 is so since the first scene.
    story.fleet.stop(down)
    story.fleet.said(full, FILL)
    watchers = [
        subprocess.Popen(story.fleet.enter(host, ["python3", "-c", CUT_OFF, *words]), stdout=subprocess.PIPE, text=True)
        for host, words in ((cut, []), (killed, ["KILL"]))
    ]
    told = story.run()
    # If a module was faster than its watcher there is nothing to wait for.
    seen = []
    for watcher in watchers:
        watcher_said, _none = watcher.communicate(timeout=60)
        assert watcher.returncode == 0
        seen.append([int(word) for word in watcher_said.split()])
    assert all(10 <= count < MANY for _module, count in seen)

    recap = told.recap()
    assert {name: (counts["unreachable"], counts["failed"], counts["changed"]) for name, counts in recap.items()} == {
        "host1": (1, 0, 0),
        "host2": (0, 1, 0),
        "host3": (0, 1, 0),
        "host4": (1, 0, 0),
        "host5": (1, 0, 0),
        "host6": (0, 0, 1),
    }
    assert told.done.returncode != 0
    for host in (down, cut, killed):
        # ansible-core's own words, which are not always the same.
        assert re.search(
            f"remote host ['\"]{host.address}['\"]. Make sure this host can be reached", told.fatal(host)["msg"]
        )
    missing = told.fatal(bare)["msg"]
    assert "Failed to import the required Python library (pyroute2 >= 0.7.2) on host2's Python" in missing
    assert "It is python3-pyroute2 on Debian 12" in missing
    no_room = told.fatal(full)
    assert no_room["msg"] == (
        "could not write file /run/nslab/sysctls.json: the kernel answered 'No space left on device': free some space"
    )
    assert no_room["rolled_back"] is True
    assert told.summary() == [
        "host1: not reached, or lost on the way",
        "host2: failed, and is as before",
        "host3: failed, and is as before",
        "host4: not reached, or lost on the way",
        "host5: not reached, or lost on the way",
        "host6: shop, 2 namespaces, changed",
        "mend what is said above of these, and run again with --limit host1,host2,host3,host4,host5",
    ]

    assert story.traces(bare) == NOTHING
    assert story.traces(full) == NOTHING
    # The module that lost its connection goes on, and makes the whole lab.
    module = seen[0][0]
    story.fleet.said(cut, f"kill -CONT {module}; while [ -e /proc/{module} ]; do sleep 0.05; done")
    assert story.namespaces(cut) == MANY
    # What was killed with it could do nothing more.
    assert 10 <= story.namespaces(killed) < MANY
    assert story.namespaces(good) == 2


def test_mended_and_run_again_all_is_well(story: Story) -> None:
    down, bare, full, cut, killed, good = story.hosts
    story.fleet.start(down)
    story.fleet.said(bare, BACK)
    story.fleet.said(full, "rm /run/filler")
    told = story.run()
    assert told.done.returncode == 0
    changed = {name: counts["changed"] for name, counts in told.recap().items()}
    assert changed == {"host1": 1, "host2": 1, "host3": 1, "host4": 0, "host5": 1, "host6": 0}
    assert [story.namespaces(host) for host in story.hosts] == [2, 3, 2, MANY, MANY, 2]
    for host in (down, bare, full):
        assert (
            story.fleet.said(host, "ip netns exec desk1 curl --silent --max-time 5 http://web.example/")
            == f"{host.address}\n"
        )
    for host in (cut, killed):
        story.fleet.said(host, f"ip netns exec n1 ping -c 1 -W 5 10.40.0.{MANY + 1}")
    story.fleet.said(good, "ip netns exec till ping -c 1 -W 5 stock")


def test_a_third_run_changes_nothing(story: Story) -> None:
    told = story.run()
    assert told.done.returncode == 0
    assert {name: counts["changed"] for name, counts in told.recap().items()} == dict.fromkeys(told.recap(), 0)
    assert told.summary() == [
        "host1: office, 2 namespaces, as it was",
        "host2: office, 3 namespaces, as it was",
        "host3: office, 2 namespaces, as it was",
        "host4: big, 100 namespaces, as it was",
        "host5: big, 100 namespaces, as it was",
        "host6: shop, 2 namespaces, as it was",
    ]
