# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a lab file to tasks in its namespaces: the file is built, listed and used by the real commands, and removed.

That tasks run inside is told by the inode of the namespace. How the inventory is put together, and what it refuses, is
tested without running anything in tests/unit/plugins/inventory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.ansible_runs import CONFIGURATION, Ansible
from support.host import MODULE, Host, Outside, a_host, assert_same
from support.sandbox import sandbox, why_impossible

OFFICE = Path(__file__).parents[2] / "examples" / "office"
FILE = "office.nslab.yml"
OFFICES = ["desk1", "desk2", "desk3", "printer"]

# The host `box` is this machine; its labs stand in a variable, and have a prefix.
BOX = {
    "boxes": {
        "hosts": {"box": {"net": "10.9.0"}},
        "vars": {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "nslab_lab": {
                "name": "pair",
                "prefix": "p-",
                "namespaces": {"red": {}, "blue": {}},
                "links": [{"endpoints": ["red:eth0", "blue:eth0"], "subnet": "{{ net }}.0/30"}],
            },
        },
    }
}
PARENTS = {"plugin": "nslab.linux.lab", "parents": "boxes", "strict": True}
WHERE = "echo {{ inventory_hostname }} $(readlink /proc/self/ns/net) >>{{ playbook_dir }}/where"
PLAYS = [
    {
        "hosts": "boxes",
        "gather_facts": False,
        "tasks": [{"nslab.linux.lab": {"definition": "{{ nslab_lab }}", "state": "{{ state }}"}}],
    },
    {
        "hosts": "{{ 'nslab_namespaces' if state == 'present' else [] }}",
        "gather_facts": False,
        "tasks": [
            {"ansible.builtin.ping": None, "when": "nslab_node in ['printer', 'red']"},
            {"ansible.builtin.raw": WHERE},
            {"ansible.builtin.raw": WHERE, "delegate_to": "red@box", "when": "inventory_hostname == 'printer'"},
        ],
    },
]


@pytest.fixture
def host() -> Iterator[Host]:
    if reason := why_impossible():
        pytest.skip(reason)
    with sandbox(), a_host(MODULE) as made:
        outside = Outside(ipv6=False)
        yield made
        outside.remove()


def listing(home: Path) -> dict[str, Any]:
    environment = {
        **os.environ,
        **CONFIGURATION,
        "ANSIBLE_HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    words = ["ansible-inventory", "-i", FILE, "--list"]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, cwd=OFFICE, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return json.loads(done.stdout)


def graph(listed: dict[str, Any]) -> str:
    """What `ansible-inventory --graph` shows of it."""
    lines = ["@all:"]
    for group in listed["all"]["children"]:
        lines += [f"  |--@{group}:", *(f"  |  |--{name}" for name in listed.get(group, {"hosts": []})["hosts"])]
    return "\n".join(lines)


def test_a_lab_file_is_built_and_tasks_run_in_each_of_its_namespaces(
    host: Host, tmp_path: Path, ansible_runs: Ansible
) -> None:
    options = ["-e", f"ansible_remote_tmp={tmp_path}/tmp", "-e", f"ansible_async_dir={tmp_path}/jobs"]

    def run(*words: str, changed: int | None = None, directory: Path = OFFICE) -> str:
        done = ansible_runs.playbook("-i", str(OFFICE / FILE), *options, *words, directory=directory)
        assert done.returncode == 0, done.output
        assert "WARNING" not in done.output, done.output
        assert changed is None or f"changed={changed} " in done.output, done.output
        return done.output

    before = host.snapshot()
    parents = tmp_path / "parents"
    parents.mkdir()
    (parents / "hosts.yml").write_text(yaml.safe_dump(BOX))
    (parents / "z.nslab.yml").write_text(yaml.safe_dump(PARENTS))
    (tmp_path / "play.yml").write_text(yaml.safe_dump(PLAYS))

    # The playbook, on this machine though the inventory has no localhost.
    run("nslab.linux.lab", "--check", "--diff", changed=1)
    assert_same(before, host.snapshot(), "check mode")
    assert "office: desk1, desk2, desk3, printer" in run("nslab.linux.lab", changed=1)

    # What is listed is what there is.
    listed = listing(tmp_path)
    assert graph(listed) in (OFFICE / "README.md").read_text()
    assert listed["nslab_namespaces"]["hosts"] == listed["netns_on_localhost"]["hosts"] == OFFICES
    assert listed["desks"]["hosts"] == OFFICES[:3]
    for name, said in listed["_meta"]["hostvars"].items():
        (address,) = said["nslab_addresses"]["eth0"]
        assert address in host.sh(f"ip -n {said['ansible_netns']} -4 -brief address show dev eth0").split(), name
        assert (said["ansible_connection"], said["ansible_host"]) == ("nslab.linux.netns_local", "localhost")

    # A play in the namespaces, those of a parent too.
    run("-i", str(parents), "play.yml", "-e", "state=present", directory=tmp_path)
    inside = {name: name for name in OFFICES} | {"red@box": "p-red", "blue@box": "p-blue"}
    inode = {name: f"net:[{Path('/run/netns', netns).stat().st_ino}]" for name, netns in inside.items()}
    assert len({*inode.values(), os.readlink("/proc/self/ns/net")}) == 7
    told = (tmp_path / "where").read_text().splitlines()
    # The delegated task, by whose name it is not.
    assert sorted(told) == sorted(
        [*(f"{name} {where}" for name, where in inode.items()), f"printer {inode['red@box']}"]
    )

    # The example's own play: facts, a service, and a client in three others.
    shown = run("visit.yml")
    assert shown.count('"eth0",') == 3

    # And gone, with the service that still runs in the printer.
    absent = ["-e", "nslab_state=absent", "-e", "nslab_processes=terminate", "-e", "state=absent"]
    gone = run("-i", str(parents), "play.yml", "nslab.linux.lab", *absent, changed=1, directory=tmp_path)
    assert "office: removed" in gone
    host.wait_for(lambda: not before.differences(host.snapshot()))


def test_without_a_lab_the_playbook_says_where_one_would_be(tmp_path: Path, ansible_runs: Ansible) -> None:
    done = ansible_runs.playbook("-e", "nslab_labs={}", "nslab.linux.lab", directory=tmp_path)
    assert done.returncode == 2
    assert "the inventory has no lab of its own: name a file that has one" in done.output
