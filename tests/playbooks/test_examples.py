# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every example in the modules' documentation runs as it stands, by the real ansible-playbook.

The examples of a module run in their order on a host that has nothing but an uplink to an outside, and foreign tools
are asked whether what each promises is there. That a second run has nothing to do, and what check mode says of them,
is shown without Ansible in tests/kernel/test_documented_examples.py; here of those which only Ansible can render.
"""

from __future__ import annotations

import ast
import importlib
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from support import runner
from support.ansible_runs import Ansible
from support.given import interfaces_of_others
from support.host import MODULE, Host, Outside, a_host, inside
from support.sandbox import sandbox, why_impossible
from witnesses import WITNESSES

OURS = "nslab.linux."
COLLECTION = Path(next(iter(importlib.import_module("ansible_collections.nslab.linux").__path__)))
MODULES = {path.stem: path for path in sorted(COLLECTION.glob("plugins/modules/*.py"))}
UPLINK_MTU = 1442

# Examples that show what holds already, or that only look.
CHANGE_NOTHING = {
    ("veth", "The same for a list of any length"),
    ("bridge", "A bridge that has exactly these ports"),
    ("ns_nat", "The same, saying all"),
}

# Files that the examples read.
FILES = {
    "ring.yml": """
        name: ring
        namespaces: {r1: , r2: , r3: }
        links:
          - {endpoints: ["r1:eth0", "r2:eth1"], subnet: 10.6.1.0/30}
          - {endpoints: ["r2:eth0", "r3:eth1"], subnet: 10.6.3.0/30}
          - {endpoints: ["r3:eth0", "r1:eth1"], subnet: 10.6.2.0/30}
    """,
    "topology.clab.yml": """
        name: small
        topology:
          nodes:
            left: {kind: linux, image: "alpine:3"}
            right: {kind: linux, image: "alpine:3"}
          links:
            - endpoints: ["left:eth1", "right:eth1"]
            - type: veth
              mtu: 1400
              labels: {speed: slow}
              endpoints:
                - {node: left, interface: eth2, mac: "52:54:00:12:34:56"}
                - {node: right, interface: eth2}
    """,
}

# What lab_info looks at.
TWO_TIER = {
    "name": "two_tier",
    "bridges": {"br0": {"subnet": "10.1.0.0/24"}},
    "links": [{"endpoints": ["web:eth0", "br0"]}, {"endpoints": ["db:eth0", "br0"]}],
    "namespaces": {"web": {"resolv": {"nameservers": ["192.0.2.53"]}}, "db": None},
}

Task = dict[str, Any]


@pytest.fixture
def host() -> Iterator[Host]:
    """A host with an uplink that carries its default route, and an outside behind it."""
    if reason := why_impossible():
        pytest.skip(reason)
    with sandbox(), a_host(MODULE) as made:
        outside = Outside(ipv6=True)
        made.sh(f"ip link set dev uplink mtu {UPLINK_MTU}; ip netns exec outside ip link set dev eth0 mtu {UPLINK_MTU}")
        yield made
        outside.remove()


@pytest.mark.parametrize("module", MODULES)
def test_examples_run_as_they_stand(module: str, host: Host, tmp_path: Path, ansible_runs: Ansible) -> None:
    tasks = examples(module)
    for name, content in FILES.items():
        (tmp_path / name).write_text(content, encoding="utf-8")

    results = play(run_and_witnessed(module, tasks), variables(module, host), tmp_path, ansible_runs)

    for number, task in enumerate(tasks):
        name, first = task["name"], results[registered(number, task)]
        again = results[f"again{number}"] if is_rendered(task) else {"changed": False}
        changes = not looks_only(task) and (module, name) not in CHANGE_NOTHING
        assert first["changed"] == changes, f"{name}: changed is {first['changed']}, {first.get('operations')}"
        assert not again["changed"], f"{name}, run again, did {again.get('operations')}"
        assert not again.get("operations"), f"{name}, run again, did {again['operations']}"
    for number, witness in enumerate(WITNESSES):
        if witness.module == module:
            seen = parsed(results[f"witness{number}"]["stdout"])
            assert witness.found(seen), f"after {witness.example!r} {witness.command!r} says {seen}"


@pytest.mark.parametrize("module", MODULES)
def test_every_module_shows_examples_whose_promises_are_witnessed(module: str) -> None:
    titles = {task["name"] for task in examples(module)}
    witnessed = {witness.example for witness in WITNESSES if witness.module == module}
    assert witnessed <= titles, f"these witnesses have lost their example: {witnessed - titles}"
    if not all(looks_only(task) for task in examples(module)):
        assert witnessed


def examples(module: str) -> list[Task]:
    """The tasks in the module's documentation, read without importing it."""
    for node in ast.parse(MODULES[module].read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "EXAMPLES":
            tasks: list[Task] = yaml.safe_load(ast.literal_eval(node.value))
            return tasks
    raise AssertionError(f"{module} shows no examples")


def looks_only(task: Task) -> bool:
    """Whether the task is none of a module that makes something."""
    modules = [key.removeprefix(OURS) for key in task if key.startswith(OURS)]
    return all(module in ("lab_info", "ns_probe") for module in modules)


def variables(module: str, host: Host) -> dict[str, Any]:
    """What the examples take from outside; that which they could not make themselves is there afterwards."""
    if module not in ("netns", "veth", "ns_link", "ns_probe", "lab_info"):
        return {}
    container = host.unnamed_namespace()
    if module == "ns_link":
        interfaces_of_others(host)
    if module == "ns_probe":
        make_something_to_probe(host, container)
    if module == "lab_info":
        assert runner.run("lab", TWO_TIER).changed
    return {"container_pid": container}


def make_something_to_probe(host: Host, container: int) -> None:
    """A bridge with two namespaces and a container, NAT to the outside, a port published, another shut, and a service."""
    host.sh("""
        ip link add name br0 up type bridge
        ip addr add 10.0.0.254/24 dev br0
        ip addr add fd00::254/64 dev br0 nodad
        sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
        nft add table inet test
        nft add chain inet test out '{ type nat hook postrouting priority srcnat; }'
        nft add rule inet test out oifname uplink masquerade
        nft add chain inet test in '{ type nat hook prerouting priority dstnat; }'
        nft add rule inet test in iifname uplink tcp dport 8081 dnat ip to 10.0.0.2:80
    """)
    for last, netns in (1, "red"), (2, "blue"), (9, f"pid:{container}"):
        if not netns.startswith("pid:"):
            host.sh(f"ip netns add {netns}")
        host.sh(f"""
            ip link add name port{last} up master br0 type veth peer name eth0 netns {netns.removeprefix("pid:")}
            {inside(netns)} ip addr add 10.0.0.{last}/24 dev eth0
            {inside(netns)} ip addr add fd00::{last}/64 dev eth0 nodad
            {inside(netns)} ip link set dev lo up
            {inside(netns)} ip link set dev eth0 up
            {inside(netns)} ip route add default via 10.0.0.254
            {inside(netns)} ip route add default via fd00::254
            install -D -m 0644 /etc/resolv.conf /etc/netns/{netns}/resolv.conf
        """)
    host.sh(f"""
        {inside("blue")} nft add table inet test
        {inside("blue")} nft add chain inet test in '{{ type filter hook input priority 0; }}'
        {inside("blue")} nft add rule inet test in udp dport 514 drop
    """)
    host.process_in("host", f"echo; exec '{sys.executable}' -m http.server --bind 127.0.0.1 8080 >/dev/null")


def is_rendered(task: Task) -> bool:
    return "{{" in json.dumps(task)


def registered(number: int, task: Task) -> str:
    return str(task.get("register", f"example{number}"))


def run_and_witnessed(module: str, tasks: list[Task]) -> Iterator[Task]:
    """Each example, the same again if it is rendered, and its witnesses; what each returned is registered."""
    for number, task in enumerate(tasks):
        yield {**task, "register": registered(number, task)}
        if is_rendered(task):
            yield {**task, "register": f"again{number}"}
        for of_all, witness in enumerate(WITNESSES):
            if (witness.module, witness.example) == (module, task["name"]):
                # By the same shell as ansible.builtin.shell, without the module, which would take half a second.
                yield {"ansible.builtin.raw": witness.command, "register": f"witness{of_all}"}


def play(tasks: Iterable[Task], known: dict[str, Any], directory: Path, ansible: Ansible) -> dict[str, Any]:
    """Run the tasks in one play on this host; what they registered, by name."""
    tasks, kept = list(tasks), directory / "registered.json"
    names = [task["register"] for task in tasks if "register" in task]
    keep = {
        "ansible.builtin.copy": {
            "content": "{{ dict(names | zip(query('ansible.builtin.vars', *names))) | to_json }}",
            "dest": str(kept),
            "mode": "0600",
        }
    }
    playbook = directory / "playbook.yml"
    playbook.write_text(
        yaml.safe_dump(
            [
                {
                    "hosts": "localhost",
                    "gather_facts": False,
                    "vars": {**known, "names": names, "ansible_python_interpreter": sys.executable},
                    "tasks": [*tasks, keep],
                }
            ]
        )
    )
    done = ansible.playbook(str(playbook), directory=directory)
    assert done.returncode == 0, done.output
    results: dict[str, Any] = json.loads(kept.read_text())
    return results


def parsed(text: str) -> Any:
    """JSON where it is some, else the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text.strip()
