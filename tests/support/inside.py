# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is tried of a connection into a namespace, by whichever way it reaches the host: the same tasks, told by the same signs.

That a task has run inside is told by the inode of its network namespace, which somebody else has looked up on the host.
"""

from __future__ import annotations

import base64
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .ansible_runs import Ansible
from .sandbox import MARK

WHERE = "readlink /proc/self/ns/net"
NAMESERVER = "nameserver 10.9.0.53\n"
# A shell script; sudo looks up the name of the host, and would wait for a name server that is not there.
GROUND = """
ip netns add red; ip netns add blue; ip link add r type veth peer name eth7 netns red; ip link set r up
ip -n red link set lo up; ip -n red link set eth7 up; ip -n red address add 10.9.0.2/24 dev eth7
ip -n red route add default via 10.9.0.1; mkdir -p /etc/netns/red; echo nameserver 10.9.0.53 >/etc/netns/red/resolv.conf
printf '10.9.0.2 only-inside\\n127.0.1.1 %s\\n' "$(hostname)" >/etc/netns/red/hosts
"""
BYTES = bytes(range(256)) * 1000


@dataclass(frozen=True)
class Seen:
    """How a host of the inventory is to look from inside."""

    red: str
    blue: str
    user: str
    groups: str
    home: str
    hosts: str


class Plays:
    """Plays that are run in a directory, with what their tasks returned."""

    def __init__(self, ansible: Ansible, directory: Path, inventory: dict[str, Any]) -> None:
        self.ansible = ansible
        self.directory = directory
        (directory / "inventory.yml").write_text(yaml.safe_dump(inventory))
        (directory / "where.sh").write_text(f"#!/bin/sh\n{WHERE}\necho $1\necho said >&2\nexit 4\n")
        (directory / "where.j2").write_text("{{ inventory_hostname }} has {{ ansible_facts.default_ipv4.interface }}\n")
        (directory / "bytes").write_bytes(BYTES)

    def run(self, *plays: tuple[str, list[dict[str, Any]]], **variables: Any) -> tuple[dict[str, dict[str, Any]], str]:
        """The results by host and name of task, and what was printed. Each play is hosts and tasks."""
        for old in self.directory.glob("results-*"):
            old.unlink()
        (self.directory / "playbook.yml").write_text(
            yaml.safe_dump([self._play(number, *play) for number, play in enumerate(plays)], sort_keys=False)
        )
        words = ["-i", "inventory.yml", "-e", json.dumps(variables), "playbook.yml"]
        # So that a sandbox finds what a play leaves.
        marked = {MARK: os.environ[MARK]} if MARK in os.environ else {}
        done = self.ansible.playbook(*words, directory=self.directory, **marked)
        print(done.output)
        assert "Traceback" not in done.output
        found: dict[str, dict[str, Any]] = {}
        for path in sorted(self.directory.glob("results-*")):
            found.setdefault(path.name.split("-", 2)[2], {}).update(json.loads(path.read_text()))
        return found, done.output

    def _play(self, number: int, hosts: str, tasks: list[dict[str, Any]]) -> dict[str, Any]:
        registered = [{**task, "register": f"task{index}"} for index, task in enumerate(tasks)]
        results = ", ".join(
            f"'{task['name']}': task{index}" for index, task in enumerate(tasks) if "ansible.builtin.meta" not in task
        )
        path = f"{self.directory}/results-{number}-{{{{ inventory_hostname }}}}"
        keep = {
            "ansible.builtin.raw": f"cat >{path} <<'END_OF_RESULTS'\n{{{{ {{{results}}} | to_json }}}}\nEND_OF_RESULTS\n",
            "vars": {"ansible_connection": "ansible.builtin.local"},
        }
        return {"hosts": hosts, "gather_facts": False, "tasks": [*registered, keep]}


def every_kind(room: str, serve: dict[str, Any], fetched: str) -> list[dict[str, Any]]:
    """A task of every kind. `room` is a directory on the host, `serve` what serves it by HTTP at port 8080."""
    return [
        {"name": "command", "ansible.builtin.command": f"sh -c '{WHERE}; id -un; id -G; echo $HOME; env'"},
        {"name": "shell", "ansible.builtin.shell": f"{WHERE}; cat; ls /sys/class/net", "args": {"stdin": "öffentlich"}},
        {"name": "raw", "ansible.builtin.raw": f"{WHERE}; echo said >&2; exit 3", "failed_when": False},
        {"name": "script", "ansible.builtin.script": "where.sh word", "failed_when": False},
        {"name": "setup", "ansible.builtin.setup": {"gather_subset": ["!all", "!min", "network"]}},
        {"name": "template", "ansible.builtin.template": {"src": "where.j2", "dest": f"{room}/made"}},
        {"name": "copy", "ansible.builtin.copy": {"src": "bytes", "dest": f"{room}/copied", "mode": "0600"}},
        {"name": "slurp", "ansible.builtin.slurp": {"src": "/etc/resolv.conf"}},
        {"name": "fetch", "ansible.builtin.fetch": {"src": "/etc/hosts", "dest": f"{fetched}/", "flat": True}},
        {"name": "fetch bytes", "ansible.builtin.fetch": {"src": f"{room}/copied", "dest": f"{fetched}/", "flat": True}},
        {"name": "polled", "ansible.builtin.command": WHERE, "async": 30, "poll": 1},
        {"name": "started", "ansible.builtin.shell": f"sleep 0.2; {WHERE}", "async": 30, "poll": 0},
        {
            "name": "async_status", "ansible.builtin.async_status": {"jid": "{{ task11.ansible_job_id }}"},
            "until": "task12.finished", "retries": 100, "delay": 0.1,
        },
        {"name": "root", "ansible.builtin.command": f"sh -c '{WHERE}; id -u'", "become": True},
        {
            "name": "nobody", "ansible.builtin.raw": f"{WHERE}; id -un; id -G", "become": True, "become_user": "nobody",
        },
        {"name": "resolver", "ansible.builtin.command": "getent hosts only-inside"},
        {"name": "serve", **serve},
        {"name": "wait_for", "ansible.builtin.wait_for": {"port": 8080, "timeout": 20}},
        {"name": "get_url", "ansible.builtin.get_url": {"url": "http://10.9.0.2:8080/made", "dest": f"{room}/got"}},
        {"name": "uri", "ansible.builtin.uri": {"url": "http://only-inside:8080/made", "return_content": True}},
        {"name": "delegated", "ansible.builtin.command": WHERE, "delegate_to": "blue"},
        {"name": "reset", "ansible.builtin.meta": "reset_connection"},
        {"name": "after", "ansible.builtin.raw": WHERE},
    ]  # fmt: skip


def assert_inside(name: str, results: dict[str, Any], seen: Seen, fetched: Path) -> None:
    """What `every_kind` returned for the host of that name in the inventory."""
    for task in ("command", "shell", "raw", "script", "polled", "async_status", "root", "nobody", "after"):
        assert results[task]["stdout"].split()[:1] == [seen.red], f"{task}: {results[task]}"
    assert results["delegated"]["stdout"] == seen.blue
    lines = results["command"]["stdout"].splitlines()
    assert lines[1:4] == [seen.user, seen.groups, seen.home]
    assert not [line for line in lines if line.startswith("SUDO_")]
    assert results["shell"]["stdout"].splitlines()[1:] == ["öffentlich", "eth7", "lo"]
    assert results["raw"]["rc"] == 3
    # With a terminal, which ssh gives to a command without data, both streams are one.
    assert (results["raw"]["stdout_lines"] + results["raw"]["stderr_lines"])[1:] == ["said"]
    assert results["script"]["rc"] == 4
    assert (results["script"]["stdout_lines"] + results["script"]["stderr_lines"])[1:] == ["word", "said"]
    facts = results["setup"]["ansible_facts"]
    assert (facts["ansible_default_ipv4"]["address"], facts["ansible_default_ipv4"]["gateway"]) == (
        "10.9.0.2",
        "10.9.0.1",
    )
    assert sorted(facts["ansible_interfaces"]) == ["eth7", "lo"]
    assert base64.b64decode(results["slurp"]["content"]).decode() == NAMESERVER
    assert (fetched / "hosts").read_text() == seen.hosts
    assert (fetched / "copied").read_bytes() == BYTES
    assert results["root"]["stdout_lines"][1] == "0"
    # Where it asks for a password, on a terminal, sudo says an empty line.
    assert results["nobody"]["stdout"].split()[1] == "nobody"
    assert results["resolver"]["stdout"].split() == ["10.9.0.2", "only-inside"]
    assert results["uri"]["content"] == f"{name} has eth7\n"
    assert results["get_url"]["status_code"] == 200


def assert_unreachable(output: str, host: str, why: str) -> None:
    """In the words `why`, a regular expression, and not one of its tasks has run."""
    assert re.search(rf"^fatal: \[{re.escape(host)}\]: UNREACHABLE! => .*{why}", output, re.MULTILINE), output
    assert re.search(rf"^{re.escape(host)} .*ok=0 .*unreachable=1 +failed=0 ", output, re.MULTILINE), output
