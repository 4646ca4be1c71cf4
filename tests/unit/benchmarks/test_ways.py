# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the ways of the benchmark are told to build is the same lab."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.nslab.linux.benchmarks.topologies import Lab, growth, lab_of, part
from ansible_collections.nslab.linux.benchmarks.way import Failed, Job
from ansible_collections.nslab.linux.benchmarks.ways import ALL, batch, floor, lab, loop, playbook, shell

THREE = lab_of("chain", 3)
TWO = lab_of("bridge", 2)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(TWO, tmp_path)


def test_the_lines_of_the_floor():
    assert list(floor.lines(TWO)) == [
        "netns n1 0",
        "netns n2 0",
        "bridge br0 10.208.0.1/16",
        "link - v1 - br0 n1 eth0 10.208.0.2/16",
        "link - v2 - br0 n2 eth0 10.208.0.3/16",
        "route n1 default 10.208.0.1",
        "route n2 default 10.208.0.1",
    ]


def test_the_floor_knows_who_was_there_before():
    assert list(floor.lines(part(THREE, growth(THREE)), known=("n3",))) == [
        "netns n3 0",
        "netns more 0",
        "link n3 eth1 10.255.0.1/30 - more eth0 10.255.0.2/30",
        "route more default 10.255.0.1",
    ]


def test_the_commands_of_a_person():
    assert list(shell.making(part(TWO, growth(TWO)))) == [
        "ip netns add more",
        "ip -n more link set dev lo up",
        "ip link add name vmore type veth peer name eth0 netns more",
        "ip link set dev vmore master br0 up",
        "ip -n more addr add 10.208.0.4/16 dev eth0",
        "ip -n more link set dev eth0 up",
        "ip -n more route add default via 10.208.0.1",
    ]
    assert "ip netns exec n2 sysctl -qw net.ipv4.ip_forward=1" in list(shell.making(THREE))


def test_the_same_commands_in_the_words_of_tutorials():
    lines = list(shell.by_exec(shell.making(THREE)))
    assert "ip netns exec n2 ip addr add 10.0.0.5/30 dev eth1" in lines
    assert "ip netns exec n2 sysctl -qw net.ipv4.ip_forward=1" in lines
    assert not any(" -n " in line for line in lines)
    assert len(lines) == len(list(shell.making(THREE)))


@pytest.mark.parametrize("made", [TWO, THREE], ids=["bridge", "chain"])
def test_a_batch_says_what_the_script_says(made: Lab, tmp_path: Path):
    said = []
    for line in batch.making(Job(made, tmp_path), made, "create"):
        if " -batch " not in line:
            said.append(line)
            continue
        before, _batch, file = line.partition(" -batch ")
        said += [f"{before} {words}" for words in Path(file).read_text(encoding="utf-8").splitlines()]
    assert sorted(said) == sorted(shell.making(made))


def test_a_batch_has_one_process_for_the_host_and_one_for_each_namespace(job: Job):
    lines = list(batch.making(job, job.lab, "create"))
    assert [line.split(" -batch")[0] for line in lines] == ["ip", "ip -n n1", "ip -n n2"]
    assert (job.room / "create.host.batch").read_text(encoding="utf-8").splitlines()[-1] == "link set dev br0 up"


def test_the_definition_of_the_module():
    assert lab.definition(TWO) == {
        "namespaces": {name: {"routes": [{"dst": "default", "via": "10.208.0.1"}]} for name in ("n1", "n2")},
        "bridges": {"br0": {"addresses": ["10.208.0.1/16"]}},
        "links": [
            {"endpoints": [{"node": "br0"}, {"node": "n1", "interface": "eth0", "addresses": ["10.208.0.2/16"]}]},
            {"endpoints": [{"node": "br0"}, {"node": "n2", "interface": "eth0", "addresses": ["10.208.0.3/16"]}]},
        ],
    }
    assert lab.definition(THREE)["namespaces"]["n1"]["sysctl"] == {"net.ipv4.ip_forward": "1"}


def test_a_loop_has_an_object_in_each_turn():
    netns, bridge, veth, route = loop.making(TWO)
    assert netns["nslab.linux.netns"] == {"name": "{{ item.name }}"}
    assert netns["loop"] == [{"name": "n1"}, {"name": "n2"}]
    assert bridge["loop"] == [{"name": "br0", "addresses": ["10.208.0.1/16"]}]
    assert veth["loop"][1]["peer"] == {"name": "eth0", "netns": "n2", "addresses": ["10.208.0.3/16"]}
    assert [item["netns"] for item in route["loop"]] == ["n1", "n2"]


def test_a_module_says_how_long_it_took():
    said = json.dumps({"changed": True, "timings": {"observe": 0.25, "apply": 0.5, "total": 0.75}})
    reading = lab.reader(changes=True)(said)
    assert (reading.work, dict(reading.parts)) == (0.75, {"observe": 0.25, "apply": 0.5})


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ('{"failed": true, "msg": "no such bridge"}', "no such bridge"),
        ('{"changed": true, "operations": ["ip netns add red"], "timings": {"total": 1}}', "ip netns add red"),
        ("Segmentation fault", "Segmentation fault"),
    ],
)
def test_a_second_run_that_does_something_is_a_failure(said: str, why: str):
    with pytest.raises(Failed, match=why):
        lab.reader(changes=False)(said)


def test_a_play_is_judged_by_its_recap():
    recap = "localhost                  : ok=1    changed={}    unreachable=0    failed=0\n"
    playbook.reader(changes=True)(recap.format(1))
    playbook.reader(changes=False)(recap.format(0))
    for changes, count in ((True, 0), (False, 12)):
        with pytest.raises(Failed, match=f"changed={count}"):
            playbook.reader(changes)(recap.format(count))


def test_every_way_says_what_is_to_be_known_of_it():
    assert len({way.name for way in ALL}) == len(ALL)
    for way in ALL:
        assert way.note.endswith((".", "`.")), way.name
        assert bool(way.why_most) == (way.most < 1_000_000), way.name
