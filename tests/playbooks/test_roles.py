# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles and playbooks, run by the real ansible-playbook on a host that has an uplink and an outside behind it."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.ansible_runs import Ansible
from support.host import MODULE, Host, Outside, a_host
from support.sandbox import sandbox, why_impossible

COLLECTION = Path(next(iter(importlib.import_module("ansible_collections.nslab.linux").__path__)))
UPLINK_MTU = 1442
# What ansible-core writes above its own refusal of a value of the wrong type.
OF_ANSIBLE = "Validation of arguments failed:\n"
RECAP = re.compile(r"^localhost +: ok=(\d+) +changed=(\d+) .* failed=(\d+) ", re.MULTILINE)


@dataclass
class Run:
    """A run of ansible-playbook: what it counted, what it said, and the fact that the role set."""

    tasks: int
    changed: int
    failed: int
    output: str
    result: dict[str, Any]


class Playbooks:
    """Runs roles and playbooks of the collection on this host."""

    def __init__(self, directory: Path, ansible: Ansible) -> None:
        self.directory = directory
        self._ansible = ansible

    def role(self, role: str, check: bool = False, **variables: Any) -> Run:
        """The role with these variables, without the name of the role in front; it succeeds."""
        result = self.directory / "result.json"
        result.unlink(missing_ok=True)
        keep = {
            "ansible.builtin.raw": kept(f"{role}_result", result),
            "check_mode": False,
            "changed_when": False,
        }
        play = {
            "hosts": "localhost",
            "gather_facts": False,
            "roles": [
                {"role": f"nslab.linux.{role}", "vars": {f"{role}_{key}": one for key, one in variables.items()}}
            ],
            "tasks": [keep],
        }
        playbook = self.directory / "playbook.yml"
        playbook.write_text(yaml.safe_dump([play]))
        run = self.playbook(str(playbook), *(["--check"] if check else []))
        assert run.failed == 0, run.output
        run.result = json.loads(result.read_text())
        assert run.result["changed"] == (run.changed > 0), f"the role says {run.result}, Ansible {run.output}"
        return run

    def refusals(self, role: str, cases: list[dict[str, Any]]) -> list[str]:
        """What the role answers to the variables of each case, all of which it refuses."""
        answers = self.directory / "answers.json"
        answers.unlink(missing_ok=True)
        blocks = [
            {
                "block": [
                    {
                        "ansible.builtin.include_role": {"name": f"nslab.linux.{role}"},
                        "vars": {f"{role}_{key}": one for key, one in case.items()},
                    },
                    {"ansible.builtin.set_fact": {"answers": "{{ answers + ['accepted'] }}"}},
                ],
                "rescue": [{"ansible.builtin.set_fact": {"answers": "{{ answers + [ansible_failed_result.msg] }}"}}],
            }
            for case in cases
        ]
        keep = {"ansible.builtin.raw": kept("answers", answers)}
        start = {"ansible.builtin.set_fact": {"answers": []}}
        playbook = self.directory / "playbook.yml"
        playbook.write_text(
            yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": [start, *blocks, keep]}])
        )
        run = self.playbook(str(playbook))
        assert run.failed == 0, run.output
        assert "Traceback" not in run.output
        found: list[str] = json.loads(answers.read_text())
        return found

    def refused(self, role: str, **variables: Any) -> str:
        (answer,) = self.refusals(role, [variables])
        assert answer != "accepted"
        return answer

    def playbook(self, *words: str) -> Run:
        output = self._ansible.playbook(*words, directory=self.directory).output
        recap = RECAP.search(output)
        assert recap, output
        tasks, changed, failed = (int(number) for number in recap.groups())
        return Run(tasks, changed, failed, output, {})


def kept(variable: str, file: Path) -> str:
    """What writes the variable to the file in a shell; the module copy would take a second each time."""
    return f"printf %s {{{{ {variable} | to_json | quote }}}} >'{file}'"


@pytest.fixture
def host() -> Iterator[Host]:
    """A host with an uplink that carries its default routes, and an outside of both families that has no route back."""
    if reason := why_impossible():
        pytest.skip(reason)
    with sandbox(), a_host(MODULE) as made:
        outside = Outside(ipv6=True)
        made.sh(f"ip link set dev uplink mtu {UPLINK_MTU}; ip netns exec outside ip link set dev eth0 mtu {UPLINK_MTU}")
        yield made
        outside.remove()


@pytest.fixture
def ansible(tmp_path: Path, ansible_runs: Ansible) -> Playbooks:
    return Playbooks(tmp_path, ansible_runs)


def assert_no_trace(host: Host, before: Any) -> None:
    changes = before.differences(host.snapshot())
    assert not changes, "\n".join(changes)
    assert not Path("/run/nslab").exists()


def assert_reaches_outside_by_nat(host: Host, netns: str) -> None:
    assert host.fetch(Outside.WEB, netns) == Outside.HOST4
    by_name = host.sh(f"ip netns exec {netns} curl --silent --noproxy '*' --max-time 5 http://web.example/")
    assert by_name.strip() == Outside.HOST4


def inode(netns: str) -> int:
    return Path(f"/run/netns/{netns}").stat().st_ino


def namespaces(host: Host) -> list[str]:
    return [name for name in host.namespaces() if name != "outside"]


def test_an_isolated_namespace_has_internet_and_names_until_it_is_removed_without_a_trace(
    host: Host, ansible: Playbooks
) -> None:
    before = host.snapshot()

    first = ansible.role("isolated_netns", name="red")

    assert host.addresses("eth0", "red") == ["192.168.50.2/24"]
    (route,) = host.routes("red")
    assert (route["dst"], route["gateway"], route["dev"]) == ("default", "192.168.50.1", "eth0")
    assert first.result == {
        "namespaces": {
            "red": {
                "addresses": ["192.168.50.2/24"],
                "interface": "eth0",
                "gateway": "192.168.50.1",
                "gateways": ["192.168.50.1"],
            }
        },
        "host_interface": first.result["host_interface"],
        "subnets": ["192.168.50.0/24"],
        "uplink": {"ipv4": ["uplink"], "ipv6": []},
        "changed": True,
    }
    host_end = first.result["host_interface"]
    assert re.fullmatch("v[0-9a-f]{10}", host_end)
    assert host.addresses(host_end) == ["192.168.50.1/24"]
    assert [host.link("eth0", "red")["mtu"], host.link(host_end)["mtu"]] == [UPLINK_MTU, UPLINK_MTU]
    assert_reaches_outside_by_nat(host, "red")
    assert host.no_ping("192.168.50.2", "outside")

    stands = host.snapshot()
    again = ansible.role("isolated_netns", name="red")
    assert again.changed == 0, again.output
    assert not stands.differences(host.snapshot())

    ansible.role("isolated_netns", name="red", state="absent")
    assert_no_trace(host, before)
    gone = ansible.role("isolated_netns", name="red", state="absent")
    assert gone.changed == 0, gone.output
    assert_no_trace(host, before)


def test_what_is_changed_of_an_isolated_namespace_is_carried_out_in_place(host: Host, ansible: Playbooks) -> None:
    before = host.snapshot()
    name = "Red.Team+1"  # a name that no rule set can bear
    ansible.role("isolated_netns", name=name)
    born = inode(name)

    changed = {
        "name": name,
        "subnet": ["10.77.0.8/31", "fd00:77::/127"],
        "publish": [{"port": 8080, "to_port": 80}],
        "mtu": 1300,
        "uplink": ["uplink"],
        "nameservers": ["198.51.100.1", "192.0.2.53"],
        "inbound": "any",
        "ip_forward": "global",
    }
    result = ansible.role("isolated_netns", **changed).result

    assert inode(name) == born
    assert host.addresses("eth0", name) == ["10.77.0.9/31", "fd00:77::1/127"]
    assert host.addresses(result["host_interface"]) == ["10.77.0.8/31", "fd00:77::/127"]
    assert [route["gateway"] for route in host.routes(name)] == ["10.77.0.8"]
    assert host.link("eth0", name)["mtu"] == 1300
    assert host.sysctl("net/ipv4/ip_forward") == "1"
    resolv = Path(f"/etc/netns/{name}/resolv.conf").read_text()
    assert re.findall(r"^nameserver (.*)$", resolv, re.MULTILINE) == ["198.51.100.1", "192.0.2.53"]
    assert_reaches_outside_by_nat(host, name)
    assert host.fetch(Outside.WEB6, name) == Outside.HOST6
    host.web_server(name)
    published = [f"http://{address}:8080/" for address in (Outside.HOST4, f"[{Outside.HOST6}]")]
    assert [host.fetch(url, "outside") for url in published] == [Outside.OUTSIDE4, Outside.OUTSIDE6]
    assert ansible.role("isolated_netns", **changed).changed == 0

    ansible.role("isolated_netns", **{**changed, "nameservers": [], "publish": []})
    assert not Path(f"/etc/netns/{name}").exists()
    assert host.fetch(published[0], "outside", patience=1) is None

    ansible.role("isolated_netns", name=name, state="absent", processes="terminate")
    assert_no_trace(host, before)


def test_on_a_host_where_nothing_is_check_mode_foretells_and_makes_nothing(host: Host, ansible: Playbooks) -> None:
    before = host.snapshot()
    for role, variables in (("isolated_netns", {"name": "red"}), ("bridge_lab", {"count": 3})):
        run = ansible.role(role, check=True, **variables)
        assert run.changed >= 5, run.output
        assert_no_trace(host, before)


def test_a_bridge_lab_reaches_itself_the_host_and_the_outside_and_goes_without_a_trace(
    host: Host, ansible: Playbooks
) -> None:
    before = host.snapshot()

    first = ansible.role("bridge_lab", count=3)

    assert namespaces(host) == ["ns1", "ns2", "ns3"]
    assert host.addresses("nslab0") == ["10.213.0.1/16"]
    assert [host.addresses("eth0", f"ns{number}") for number in (1, 2, 3)] == [
        ["10.213.0.2/16"],
        ["10.213.0.3/16"],
        ["10.213.0.4/16"],
    ]
    assert list(first.result["namespaces"]) == ["ns1", "ns2", "ns3"]
    assert first.result["namespaces"]["ns3"]["addresses"] == ["10.213.0.4/16"]
    assert (first.result["bridge"], first.result["uplink"]["ipv4"]) == ("nslab0", ["uplink"])
    assert {host.link("nslab0")["mtu"], host.link("eth0", "ns2")["mtu"]} == {UPLINK_MTU}
    assert host.ping("10.213.0.4", "ns1")
    assert host.ping("10.213.0.2")
    assert_reaches_outside_by_nat(host, "ns2")

    stands = host.snapshot()
    again = ansible.role("bridge_lab", count=3)
    assert again.changed == 0, again.output
    foretold = ansible.role("bridge_lab", check=True, count=3)
    assert foretold.changed == 0, foretold.output
    assert not stands.differences(host.snapshot())

    foretold = ansible.role("bridge_lab", check=True, state="absent")
    assert foretold.changed > 0
    assert not stands.differences(host.snapshot())
    ansible.role("bridge_lab", state="absent")
    assert_no_trace(host, before)
    gone = ansible.role("bridge_lab", state="absent")
    assert gone.changed == 0, gone.output
    assert_no_trace(host, before)


def test_fifty_namespaces_take_as_many_tasks_as_two_and_a_lower_count_removes_the_surplus_alone(
    host: Host, ansible: Playbooks
) -> None:
    before = host.snapshot()
    fifty = ansible.role("bridge_lab", count=50)
    assert len(namespaces(host)) == 50
    assert host.addresses("eth0", "ns50") == ["10.213.0.51/16"]
    assert_reaches_outside_by_nat(host, "ns50")
    again = ansible.role("bridge_lab", count=50)
    assert again.changed == 0, again.output
    # Of the lab by its name, but not by its record.
    host.sh("ip netns add ns51")
    born = inode("ns2")

    two = ansible.role("bridge_lab", count=2)

    assert namespaces(host) == ["ns1", "ns2", "ns51"]
    assert two.result["removed"] == [f"ns{number}" for number in range(3, 51)]
    assert inode("ns2") == born
    ports = [link["ifname"] for link in host.ip("link show master nslab0")]
    assert len(ports) == 2
    assert sorted(path.name for path in Path("/etc/netns").iterdir()) == ["ns1", "ns2"]
    again = ansible.role("bridge_lab", count=2)
    assert again.changed == 0, again.output
    # On the first run the record is written, in two tasks.
    assert again.tasks == fifty.tasks - 2

    none = ansible.role("bridge_lab", count=0)
    assert none.result["namespaces"] == {}
    assert namespaces(host) == ["ns51"]
    assert host.addresses("nslab0") == ["10.213.0.1/16"]
    ansible.role("bridge_lab", state="absent")
    assert namespaces(host) == ["ns51"]
    host.sh("ip netns delete ns51")
    assert_no_trace(host, before)


def test_names_come_and_go_and_addresses_follow_their_order(host: Host, ansible: Playbooks) -> None:
    before = host.snapshot()
    ansible.role("bridge_lab", names=["web", "db", "Cache.1"])
    born = inode("Cache.1")

    stands = host.snapshot()
    foretold = ansible.role("bridge_lab", check=True, names=["web", "Cache.1", "queue"])
    assert foretold.changed > 0
    assert not stands.differences(host.snapshot())
    ansible.role("bridge_lab", names=["web", "Cache.1", "queue"])

    assert sorted(namespaces(host)) == ["Cache.1", "queue", "web"]
    assert inode("Cache.1") == born
    assert host.addresses("eth0", "Cache.1") == ["10.213.0.3/16"]
    assert host.addresses("eth0", "queue") == ["10.213.0.4/16"]
    assert host.ping("10.213.0.3", "queue")
    assert_reaches_outside_by_nat(host, "Cache.1")
    assert ansible.role("bridge_lab", names=["web", "Cache.1", "queue"]).changed == 0

    ansible.role("bridge_lab", state="absent")
    assert_no_trace(host, before)


def test_what_is_changed_of_a_bridge_lab_is_carried_out_in_place(host: Host, ansible: Playbooks) -> None:
    before = host.snapshot()
    ansible.role("bridge_lab", bridge="Br-Lab.0", count=2)
    born = inode("ns1")
    changed = {
        "bridge": "Br-Lab.0",
        "count": 2,
        "subnet": "10.88.0.0/28",
        "mtu": 1300,
        "nameservers": ["198.51.100.1"],
        "publish": [{"port": "8080", "to": "ns2", "to_port": "80"}],
    }

    ansible.role("bridge_lab", **changed)

    assert inode("ns1") == born
    assert host.addresses("Br-Lab.0") == ["10.88.0.1/28"]
    assert host.addresses("eth0", "ns2") == ["10.88.0.3/28"]
    assert [route["gateway"] for route in host.routes("ns2")] == ["10.88.0.1"]
    assert {host.link("Br-Lab.0")["mtu"], host.link("eth0", "ns1")["mtu"]} == {1300}
    assert_reaches_outside_by_nat(host, "ns2")
    assert ansible.role("bridge_lab", **changed).changed == 0

    host.web_server("ns2")
    published = f"http://{Outside.HOST4}:8080/"
    assert host.fetch(published, "outside") == Outside.OUTSIDE4
    assert host.fetch(published, "ns1") is not None

    both = {**changed, "nat": False, "publish": [], "subnet": ["10.88.0.0/28", "fd00:88::/64"]}
    result = ansible.role("bridge_lab", **both).result
    assert result["namespaces"]["ns2"]["gateways"] == ["10.88.0.1", "fd00:88::1"]
    assert result["uplink"] is None
    assert host.fetch(Outside.WEB, "ns2") is None
    assert host.fetch(published, "outside", patience=1) is None
    assert host.ruleset() == []
    assert host.ping("10.88.0.3", "ns1")
    assert host.ping("fd00:88::3", "ns1")
    assert ansible.role("bridge_lab", **both).changed == 0

    ansible.role("bridge_lab", **changed)
    assert host.addresses("eth0", "ns1") == ["10.88.0.2/28"]
    assert not [route for route in host.routes("ns1", family=6) if route["dst"] == "default"]
    assert_reaches_outside_by_nat(host, "ns1")

    ansible.role("bridge_lab", bridge="Br-Lab.0", state="absent", processes="terminate")
    assert_no_trace(host, before)


def test_a_namespace_in_use_is_not_removed_and_the_lab_is_left_whole(host: Host, ansible: Playbooks) -> None:
    before = host.snapshot()
    ansible.role("bridge_lab", count=2)
    ansible.role("isolated_netns", name="red")
    busy = {"ns2": host.process_in("ns2"), "red": host.process_in("red")}
    stands = host.snapshot()

    assert str(busy["ns2"]) in ansible.refused("bridge_lab", state="absent")
    assert not stands.differences(host.snapshot())
    assert str(busy["red"]) in ansible.refused("isolated_netns", name="red", state="absent")
    assert not stands.differences(host.snapshot())
    assert str(busy["ns2"]) in ansible.refused("bridge_lab", count=1)
    assert namespaces(host) == ["ns1", "ns2", "red"]
    assert_reaches_outside_by_nat(host, "ns2")

    ansible.role("bridge_lab", state="absent", processes="terminate")
    ansible.role("isolated_netns", name="red", state="absent", processes="terminate")
    assert not any(host.alive(pid) for pid in busy.values())
    assert_no_trace(host, before)


def test_a_bridge_with_a_port_of_somebody_else_is_left_whole(host: Host, ansible: Playbooks) -> None:
    ansible.role("bridge_lab", count=1)
    host.sh("ip link add theirs type veth peer name theirs1; ip link set dev theirs master nslab0")
    stands = host.snapshot()

    assert "theirs" in ansible.refused("bridge_lab", state="absent")

    assert not stands.differences(host.snapshot())
    host.sh("ip link delete dev theirs")
    ansible.role("bridge_lab", state="absent")


def test_the_playbooks_run_as_they_stand_and_teardown_removes_what_they_made(host: Host, ansible: Playbooks) -> None:
    before = host.snapshot()

    made = ansible.playbook("nslab.linux.isolated_netns")
    assert made.failed == 0, made.output
    assert "isolated: 192.168.50.2/24 on eth0, gateway 192.168.50.1" in made.output
    made = ansible.playbook("nslab.linux.bridge_lab", "-e", "bridge_lab_count=4")
    assert made.failed == 0, made.output
    assert "bridge nslab0, gateway 10.213.0.1, 4 namespaces" in made.output
    assert "ns4: 10.213.0.5/16 on eth0" in made.output
    assert_reaches_outside_by_nat(host, "isolated")
    assert_reaches_outside_by_nat(host, "ns4")
    for playbook, word in (("isolated_netns", "isolated_netns_name=isolated"), ("bridge_lab", "bridge_lab_count=4")):
        again = ansible.playbook(f"nslab.linux.{playbook}", "-e", word)
        assert (again.failed, again.changed) == (0, 0), again.output

    removed = ansible.playbook("nslab.linux.teardown")

    assert removed.failed == 0, removed.output
    assert_no_trace(host, before)
    # Somebody else's, under a name that the lab's defaults would give.
    host.sh("ip netns add ns1")
    again = ansible.playbook("nslab.linux.teardown")
    assert (again.failed, again.changed) == (0, 0), again.output
    assert "nothing was there" in again.output
    assert namespaces(host) == ["ns1"]


# One of each way in which a value is found wrong; the unit tests of the layouts have them all.
REFUSED: dict[str, list[tuple[dict[str, Any], str]]] = {
    "isolated_netns": [
        ({"name": "a/b"}, "isolated_netns_name: namespace name 'a/b' is not allowed"),
        ({"subnet": "198.51.100.128/25"}, "overlaps 198.51.100.0/24, which is on the host's interface uplink"),
        ({"publish": [{"port": "80-"}]}, "isolated_netns_publish: publish 1: port '80-' is no port and no range"),
        ({"uplink": ["wan0"]}, "isolated_netns_uplink: the host has no interface wan0"),
        ({"mtu": "large"}, "isolated_netns_mtu"),
        ({"state": "gone"}, "isolated_netns_state"),
    ],
    "bridge_lab": [
        ({"bridge": "a-bridge-too-long"}, "has 17 characters"),
        ({"count": 1024}, "bridge_lab_count: 1024 namespaces are too many for one bridge: the kernel takes 1023 ports"),
        ({"count": 2, "names": ["a", "b"]}, "bridge_lab_names is given too: leave one of the two out"),
        ({"count": 254, "subnet": "10.1.0.0/24"}, "253 namespaces would fit"),
        ({"names": ["a", "b", "a"]}, "bridge_lab_names: namespace 'a' is named twice"),
        ({"publish": [{"port": 80, "to": "ns9"}]}, "bridge_lab_publish: 1: to 'ns9' is no namespace of the lab"),
    ],
}


@pytest.mark.parametrize("role", REFUSED)
def test_a_value_that_cannot_be_is_refused_in_one_line_and_the_host_is_as_before(
    role: str, host: Host, ansible: Playbooks
) -> None:
    before = host.snapshot()

    answers = ansible.refusals(role, [variables for variables, _words in REFUSED[role]])

    for (variables, words), answer in zip(REFUSED[role], answers):
        assert words in answer, f"{variables}: {answer}"
        answer = answer.removeprefix(OF_ANSIBLE)
        assert "\n" not in answer.strip(), f"{variables}: {answer}"
    assert_no_trace(host, before)


def test_two_isolated_namespaces_cannot_have_the_same_subnet(host: Host, ansible: Playbooks) -> None:
    host_end = ansible.role("isolated_netns", name="red").result["host_interface"]
    stands = host.snapshot()

    answer = ansible.refused("isolated_netns", name="blue")

    assert f"overlaps 192.168.50.0/24, which is on the host's interface {host_end}: choose another" in answer
    assert not stands.differences(host.snapshot())
