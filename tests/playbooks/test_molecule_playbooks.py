# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks molecule_create and molecule_destroy: what one makes, the other removes, and nothing else."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.ansible_runs import Ansible
from support.host import MODULE, Host, a_host
from support.sandbox import sandbox, why_impossible

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
    def __init__(self, ansible_runs: Ansible, directory: Path) -> None:
        self.ansible_runs = ansible_runs
        self.directory = directory
        self.environment = {"MOLECULE_SCENARIO_DIRECTORY": str(directory)}

    def run(self, step: str, **variables: Any) -> tuple[int, int, str]:
        """How many tasks changed something and how many failed, and what was printed."""
        (self.directory / "inventory.yml").write_text(yaml.safe_dump({"all": {"vars": variables}}))
        words = ["-i", "inventory.yml", f"nslab.linux.molecule_{step}"]
        output = self.ansible_runs.playbook(*words, directory=self.directory, **self.environment).output
        assert "Traceback" not in output, output
        recap = RECAP.search(output)
        assert recap, output
        return int(recap[1]), int(recap[2]), output


@pytest.fixture
def scenario(ansible_runs: Ansible, tmp_path: Path) -> Scenario:
    return Scenario(ansible_runs, tmp_path)


def test_what_create_makes_destroy_removes_and_nothing_else(host: Host, scenario: Scenario) -> None:
    before = host.snapshot()

    changed, failed, output = scenario.run("create", nslab_lab=LAB)
    assert (changed, failed) == (1, 0), output
    assert "ttl=63" in host.sh("ip netns exec client ping -c 1 -W 2 server")
    assert host.addresses("eth0", "client") == ["10.1.1.2/24", "fd01::2/64"]
    assert (host.link("eth0", "router")["address"], host.link("eth0", "router")["mtu"]) == ("52:54:00:12:34:56", 1400)
    assert host.ping("10.1.3.2")
    assert host.has_link("server0")

    # What can't be, or is somebody else's, is told all at once, and what stands goes on standing.
    made = host.snapshot()
    wrong = {"namespaces": {"client": {}, "other": {}}, "links": [{"endpoints": ["client:a", "ruter:a"]}]}
    _changed, failed, output = scenario.run("create", nslab_lab=wrong)
    assert failed == 1
    assert "links[0].endpoints[1]: no namespace or bridge is called 'ruter'" in output
    assert "namespaces.other: namespace other exists and was not made by lab molecule_" in output
    assert not made.differences(host.snapshot())

    # Another network, in part the same; what is no longer in it goes, whatever runs inside.
    host.process_in("server")
    less = {**LAB, "namespaces": {"client": {}, "router": {}}, "bridges": {}, "links": [LAB["links"][0]]}
    changed, failed, output = scenario.run(
        "create", nslab_lab=less, molecule_yml={"platforms": [{"name": "client"}, {"name": "extra"}]}
    )
    assert (changed, failed) == (1, 0), output
    assert sorted(host.namespaces()) == ["client", "extra", "other", "router"]
    assert not host.has_link("lab0")
    assert not host.has_link("server0")
    assert host.addresses("eth0", "client") == ["10.1.1.2/24", "fd01::2/64"]

    host.process_in("extra")
    changed, failed, output = scenario.run("destroy", nslab_lab="no definition")
    assert (changed, failed) == (1, 0), output
    assert not before.differences(host.snapshot())
    assert sorted(path.name for path in Path("/run/nslab").iterdir()) == ["lock", "other"]
    assert not Path("/var/lib/nslab").exists()


def test_scenarios_with_hosts_of_the_same_names_stand_side_by_side_by_their_prefixes(
    host: Host, scenario: Scenario, ansible_runs: Ansible
) -> None:
    before = host.snapshot()
    (scenario.directory / "second").mkdir()
    second = Scenario(ansible_runs, scenario.directory / "second")
    definition = {"namespaces": {"other": {}}, "links": [{"endpoints": ["other:eth0", "host:"]}]}
    for each, prefix in ((scenario, "a-"), (second, "b-")):
        changed, failed, output = each.run("create", nslab_lab=definition, nslab_prefix=prefix)
        assert (changed, failed) == (1, 0), output
    assert sorted(host.namespaces()) == ["a-other", "b-other", "other"]
    assert scenario.run("destroy")[:2] == (1, 0)
    assert sorted(host.namespaces()) == ["b-other", "other"]
    assert second.run("destroy")[:2] == (1, 0)
    assert not before.differences(host.snapshot())


@pytest.mark.parametrize("given", [{}, {"nslab_lab": ["red"]}, {"nslab_lab": {"links": []}}], ids=str)
def test_a_scenario_without_hosts_is_refused(host: Host, scenario: Scenario, given: dict[str, Any]) -> None:
    before = host.snapshot()
    _changed, failed, output = scenario.run("create", **given)
    assert failed == 1
    assert "nslab_lab has no hosts: name some under namespaces or nodes in it, or as platforms" in output
    assert not before.differences(host.snapshot())


def test_whoever_is_not_root_is_told_so_before_anything_is_made(host: Host, scenario: Scenario) -> None:
    before = host.snapshot()
    # In place of a user who may not read this checkout.
    (scenario.directory / "bin").mkdir()
    (scenario.directory / "bin/id").write_text("#!/bin/sh\necho 1000\n")
    (scenario.directory / "bin/id").chmod(0o755)
    scenario.environment["PATH"] = f"{scenario.directory}/bin:{os.environ['PATH']}"
    _changed, failed, output = scenario.run("create", nslab_lab=LAB)
    assert failed == 1
    assert "a network of namespaces is made by root, and this is uid 1000: run molecule as root" in output
    assert not before.differences(host.snapshot())
