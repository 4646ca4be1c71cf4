# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks molecule_create and molecule_destroy: what one makes, the other removes, and nothing else."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.host import MODULE, Host, a_host
from support.sandbox import sandbox, why_impossible

COLLECTION = Path(next(iter(importlib.import_module("ansible_collections.nslab.linux").__path__)))
RECAP = re.compile(r"^localhost +: ok=\d+ +changed=(\d+) .* failed=(\d+) ", re.MULTILINE)

CLIENT = {"node": "client", "interface": "eth0", "addresses": ["10.1.1.2/24", "fd01::2/64"]}
ROUTER = {"node": "router", "interface": "eth0", "addresses": ["10.1.1.1/24", "fd01::1/64"], "mac": "52:54:00:12:34:56"}
LAB: dict[str, Any] = {
    "name": "routed",
    "namespaces": {
        "client": {"routes": [{"dst": "default", "via": "10.1.1.1"}], "resolv": {"hosts": {"server": "10.1.2.2"}}},
        "router": {"sysctl": {"net.ipv4.ip_forward": 1}},
        "server": {"routes": [{"dst": "default", "via": "10.1.2.1"}]},
    },
    "bridges": {"br0": {"netns": "router", "addresses": ["10.1.2.1/24"]}, "lab0": {"addresses": ["10.1.3.1/24"]}},
    "links": [
        {"endpoints": [CLIENT, ROUTER], "mtu": 1400},
        {"endpoints": [{"node": "server", "interface": "eth0", "addresses": ["10.1.2.2/24"]}, "br0"]},
        {"endpoints": [{"node": "client", "interface": "mgmt", "addresses": ["10.1.3.2/24"]}, {"node": "lab0"}]},
        {"endpoints": ["server:mgmt", "host:server0"]},
    ],
}


@pytest.fixture
def host() -> Iterator[Host]:
    if reason := why_impossible():
        pytest.skip(reason)
    with sandbox(), a_host(MODULE) as made:
        # Somebody else's.
        made.sh("ip netns add other; ip link add br9 type bridge; mkdir /run/nslab; echo 1 >/run/nslab/other")
        yield made


class Scenario:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "ansible.cfg").touch()

    def run(self, step: str, **variables: Any) -> tuple[int, int, str]:
        """How many tasks changed something and how many failed, and what was printed."""
        (self.directory / "inventory.yml").write_text(yaml.safe_dump({"all": {"vars": variables}}))
        done = subprocess.run(
            [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "inventory.yml", f"nslab.linux.molecule_{step}"],
            check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd=self.directory,
            env={
                **os.environ,
                "ANSIBLE_COLLECTIONS_PATH": str(COLLECTION.parents[2]),
                "ANSIBLE_CONFIG": str(self.directory / "ansible.cfg"),
                "ANSIBLE_HOME": str(self.directory),
                "ANSIBLE_LOCALHOST_WARNING": "false",
                "ANSIBLE_NOCOLOR": "true",
                "MOLECULE_SCENARIO_DIRECTORY": str(self.directory),
            },
        )  # fmt: skip
        output = done.stdout + done.stderr
        assert "Traceback" not in output, output
        recap = RECAP.search(output)
        assert recap, output
        return int(recap[1]), int(recap[2]), output


def test_what_create_makes_destroy_removes_however_far_it_came(host: Host, tmp_path: Path) -> None:
    scenario, before = Scenario(tmp_path), host.snapshot()

    changed, failed, output = scenario.run("create", nslab_lab=LAB)
    assert (changed > 0, failed) == (True, 0), output
    assert "ttl=63" in host.sh("ip netns exec client ping -c 1 -W 2 server")
    assert host.addresses("eth0", "client") == ["10.1.1.2/24", "fd01::2/64"]
    assert (host.link("eth0", "router")["address"], host.link("eth0", "router")["mtu"]) == ("52:54:00:12:34:56", 1400)
    assert host.ping("10.1.3.2")
    assert host.has_link("server0")

    # What is somebody else's is not taken over.
    _changed, failed, output = scenario.run("create", nslab_lab={"namespaces": {"client": {}, "other": {}}})
    assert failed == 1
    assert "namespace 'other' exists on this machine and was not made for this scenario" in output
    assert "router" in host.namespaces()

    # Another network, in part the same, and in part one that can't stand: the kernel says so when half of it is made.
    unreachable = {"routes": [{"dst": "default", "via": "192.0.2.1"}]}
    broken = {
        **LAB,
        "namespaces": {"client": {}, "router": LAB["namespaces"]["router"], "extra": unreachable},
        "bridges": {},
        "links": [LAB["links"][0]],
    }
    _changed, failed, output = scenario.run("create", nslab_lab=broken)
    assert failed == 1, output
    assert sorted(host.namespaces()) == ["client", "extra", "other", "router"]
    assert not host.has_link("lab0")
    assert not host.has_link("server0")
    told = dict(re.findall(r"^TASK \[(.*?)\] \**\n(.*?)\n\n", output, re.MULTILINE | re.DOTALL))
    assert "ok: [localhost] => (item=router)" in told["Make the namespaces"]
    assert told["Lay the cables"] == "ok: [localhost]"
    host.process_in("extra")

    changed, failed, output = scenario.run("destroy", nslab_lab="no definition")
    assert (changed > 0, failed) == (True, 0), output
    assert not before.differences(host.snapshot())
    assert [path.name for path in Path("/run/nslab").glob("[!l]*")] == ["other"]


def test_whoever_is_not_root_is_told_so_before_anything_is_made(host: Host, tmp_path: Path) -> None:
    scenario, before = Scenario(tmp_path), host.snapshot()
    # In place of a user who may not read this checkout.
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "bin/id").chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
        _changed, failed, output = scenario.run("create", nslab_lab=LAB)
    assert failed == 1
    assert "a network of namespaces is made by root, and this is uid 1000: run molecule as root" in output
    assert not before.differences(host.snapshot())
