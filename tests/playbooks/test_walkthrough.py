# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The walkthrough does what it tells, as foreign tools see it, tells every step of it, and leaves nothing behind."""

from __future__ import annotations

import copy
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.host import MODULE, Host, a_host
from support.sandbox import sandbox, why_impossible

COLLECTION = Path(next(iter(importlib.import_module("ansible_collections.nslab.linux").__path__)))
PLAYBOOK = COLLECTION / "playbooks" / "walkthrough.yml"
FETCH = "curl --silent --noproxy '*' --max-time 5 http://"
OF_PROCESS = "/proc/{{ walkthrough_process.stdout }}"
GOT_IT = " 0% packet loss"

Task = dict[str, Any]

# What other tools say once the task of that name is through: a script that succeeds, and what is in its
# output.
WITNESSES = {
    "Make one, and leave its lo down": ("ip -n walk-red -o link show dev lo", ["state DOWN"]),
    "Bring lo up, as the module does unless told otherwise": ("ip netns exec walk-red ping -c 1 127.0.0.1", [GOT_IT]),
    "Lay the cable, with an address at each end": (
        "ip -n walk-red -br address show dev eth0; ping -c 1 192.0.2.2",
        ["192.0.2.2/28", GOT_IT],
    ),
    "Move the end from walk-red to the host, under a name that is free there": (
        "ip -d link show dev walk-red-eth0; if ip -n walk-red link show dev eth0; then exit 1; fi",
        ["veth"],
    ),
    "The task of step 3 again": ("ip netns exec walk-red ping -c 1 192.0.2.1", [GOT_IT]),
    "The eth1, plugged into the bridge": (
        f"nsenter --net={OF_PROCESS}/ns/net ip -br address show dev eth1; bridge link show dev walk-box1; cat {OF_PROCESS}/comm",
        ["203.0.113.2/24", "master walk-br0", "sleep"],
    ),
    "Bind the namespace of the process to a name": ("ip netns identify {{ walkthrough_process.stdout }}", ["walk-box"]),
    "End the process": (
        "timeout 5 sh -c 'while [ -n \"$(ip netns pids walk-box)\" ]; do sleep 0.05; done'; ping -c 1 203.0.113.2",
        [GOT_IT],
    ),
    "All that is elsewhere goes to the host": ("ip -n walk-red route show default", ["via 192.0.2.1 dev eth0"]),
    "Forward and translate what comes from the cable": (
        f"ip netns exec walk-red {FETCH}198.51.100.1/",
        ["198.51.100.2"],
    ),
    "A name that needs no server": ("ip netns exec walk-red getent hosts gateway.walk.example", ["192.0.2.1"]),
    "The servers that the host itself asks in the end": (
        f"ip netns exec walk-red {FETCH}web.example/",
        ["198.51.100.2"],
    ),
    "A default route in each, to the bridge": ("ip netns exec walk-blue ping -c 1 203.0.113.4", [GOT_IT]),
    "NAT for the subnet of the bridge, too": (f"ip netns exec walk-green {FETCH}198.51.100.1/", ["198.51.100.2"]),
    "Hand it to walk-green, with another name and an address": (
        "ip -n walk-green -d address show dev tap0",
        ["tun type tap", "192.0.2.33/28"],
    ),
    "Give it back to the host, under its own name": ("ip -d link show dev walk-tap0", ["tun type tap"]),
    "Hand it in, as eth0": (
        "ip -n walk-nic -d link show dev eth0; ip netns exec walk-nic ping -c 1 203.0.113.3",
        ["macvlan mode bridge", GOT_IT],
    ),
}


@pytest.fixture
def host() -> Iterator[Host]:
    """A host that has nothing but its loopback."""
    if reason := why_impossible():
        pytest.skip(reason)
    with sandbox(), a_host(MODULE) as made:
        yield made


def environment(directory: Path) -> dict[str, str]:
    return {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTION.parents[2]),
        "ANSIBLE_HOME": str(directory / "home"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "ANSIBLE_NOCOLOR": "true",
        "NSLAB_CHECKOUT": str(COLLECTION.resolve()),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }


def shown(playbook: list[Task], directory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """The playbook as ./dev walkthrough shows it, in the sandbox where we are."""
    book = directory / "walkthrough.yml"
    book.write_text(yaml.safe_dump(playbook, sort_keys=False, width=1000), encoding="utf-8")
    return subprocess.run(
        ["bash", str(COLLECTION / "scripts" / "walkthrough.sh"), *options],
        check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL,
        env={**environment(directory), "NSLAB_WALKTHROUGH": str(book)},
    )  # fmt: skip


def played(directory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """The playbook as a person runs it."""
    return subprocess.run(
        ["ansible-playbook", "nslab.linux.walkthrough", *options],
        check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd=directory, env=environment(directory),
    )  # fmt: skip


def walkthrough() -> tuple[list[Task], Task]:
    """The playbook, and in it the block that holds the steps."""
    playbook = yaml.safe_load(PLAYBOOK.read_text(encoding="utf-8"))
    (steps,) = [task for task in playbook[0]["tasks"] if "block" in task]
    return playbook, steps


def tasks_of(steps: Task) -> Iterator[tuple[Task, list[Task]]]:
    for step in [*steps["block"], *steps["always"]]:
        yield step, step["block"]


def with_each_task(steps: Task, more: Callable[[Task, bool], list[Task]]) -> None:
    """Puts what `more` gives for a task behind it; it is told whether the task is the last of its step to change anything."""
    for step in steps["block"]:
        *_others, last = filter(changes_something, step["block"])
        step["block"] = [other for task in step["block"] for other in (task, *more(task, task is last))]


def changes_something(task: Task) -> bool:
    return any(key.startswith("nslab.linux.") and not key.endswith(".ns_probe") for key in task)


def test_every_step_does_what_it_tells_and_what_it_ends_with_does_nothing_a_second_time(
    host: Host, tmp_path: Path
) -> None:
    playbook, steps = walkthrough()
    told = [(step["name"], [task["name"] for task in tasks]) for step, tasks in tasks_of(copy.deepcopy(steps))]
    known: dict[str, Any] = {}

    def again_and_witnessed(task: Task, last: bool) -> list[Task]:
        added = []
        if last:
            name = f"again{len(known)}"
            added.append({**task, "name": f"Once more: {task['name']}", "register": name})
            known[name] = (task["name"], None)
        if task["name"] in WITNESSES:
            script, wanted = WITNESSES[task["name"]]
            name = f"witness{len(known)}"
            added.append({"ansible.builtin.shell": f"set -e; {script}", "register": name, "failed_when": False})
            known[name] = (task["name"], wanted)
        return added

    with_each_task(steps, again_and_witnessed)
    found = tmp_path / "found.json"
    playbook[0]["tasks"].append({
        "ansible.builtin.copy": {
            "content": "{{ dict(names | zip(query('ansible.builtin.vars', *names))) | to_json }}",
            "dest": str(found),
            "mode": "0600",
        },
        "vars": {"names": list(known)},
    })  # fmt: skip
    before = host.snapshot()

    done = shown(playbook, tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr
    for name, result in json.loads(found.read_text()).items():
        task, wanted = known[name]
        if wanted is None:
            assert not result["changed"], f"{task!r}, once more, did {result['operations']}"
        else:
            assert result["rc"] == 0, f"after {task!r} {result['cmd']!r} failed: {result['stderr']}"
            for words in wanted:
                assert words in result["stdout"], f"after {task!r} {result['cmd']!r} says {result['stdout']!r}"
    assert {task for task, wanted in known.values() if wanted is not None} == set(WITNESSES), "a witness lost its task"
    assert not before.differences(host.snapshot())
    assert not Path("/run/nslab").exists()
    assert_tells(done.stdout, told)


def assert_tells(text: str, told: list[tuple[str, list[str]]]) -> None:
    """All steps, their tasks in order, the commands as the modules returned them, and probes of both kinds."""
    assert "NOT AS EXPECTED" not in text
    position = 0
    for step, tasks in told:
        # Said only where something is amiss.
        heads = [f"   {task}:" for task in tasks if not task.startswith(("Say ", "End the process, if"))]
        for head in (step, *heads):
            position = text.find(f"\n{head}\n", position)
            assert position >= 0, f"{head!r} is not told in its place, step {step!r}"
    for line in (
        "# ip netns add walk-red",
        "walk-red  ping 127.0.0.1  fails, rightly",
        "# ip -n walk-red link set dev lo up",
        "walk-blue  tcp 127.0.0.1:4280  answers",
        "# setsid --fork unshare --net sh -c",
        "# ip netns attach walk-box ",
        "# ip -n walk-red route add default via 192.0.2.1",
        "# ip link delete dev walk-tap0",
        "# nft list tables\n     (nothing)",
    ):
        assert line in text, f"{line!r} is not in\n{text}"
    assert "seen as 198.51.100.2" in text


def test_where_there_is_no_outside_it_says_so_and_a_step_that_fails_leaves_nothing(host: Host, tmp_path: Path) -> None:
    playbook, steps = walkthrough()
    first, nat, process = (step for number in "185" for step in steps["block"] if step["name"].startswith(f"{number}."))
    steps["block"] = [first, nat, process]
    first["block"][1:] = []
    # While the process runs.
    process["block"][1:] = [{"ansible.builtin.fail": {"msg": "the kernel has had enough"}}]
    before = host.snapshot()

    done = shown(playbook, tmp_path, "--host")

    assert done.returncode != 0
    assert "no default route" in done.stdout
    assert "ip netns add walk-red" in done.stdout
    assert "unshare" in done.stdout
    assert done.stdout.rstrip().endswith(
        "FAILED, 5. A second interface for a running process: the kernel has had enough"
    )
    assert "nft add" not in done.stdout
    assert not before.differences(host.snapshot())


def test_it_does_not_begin_where_something_is_in_its_way_nor_in_check_mode(host: Host, tmp_path: Path) -> None:
    host.sh("""
        ip netns add walk-blue
        ip link add name walk-br0 type bridge
        ip link set dev walk-br0 up
        ip address add 203.0.113.77/25 dev walk-br0
    """)
    before = host.snapshot()

    done = played(tmp_path)
    assert done.returncode != 0
    for taken in ("namespace walk-blue", "link walk-br0", "route to 203.0.113.0/25", "--tags remove"):
        assert taken in done.stdout
    checked = played(tmp_path, "--check")
    assert checked.returncode != 0
    assert "run it without --check" in checked.stdout
    assert not before.differences(host.snapshot())

    removed = played(tmp_path, "--tags", "remove")
    assert removed.returncode == 0, removed.stdout
    assert not host.namespaces()
    assert not host.links()
