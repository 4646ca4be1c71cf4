# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The labs of examples/labs: each is made, everybody in it reaches everybody, a second run has nothing to do, and it goes."""

from __future__ import annotations

import functools
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import runner
from support.host import YAML_LOADER, Host, assert_same

from ansible_collections.nslab.linux.plugins.plugin_utils._picture import Picture
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_defined import picture_of_definition
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_seen import picture_of_seen

LABS = Path(__file__).parents[2] / "examples" / "labs"
NAMES = sorted(path.stem for path in LABS.glob("*.yml") if path.stem != "make")

pytestmark = [pytest.mark.by_module, pytest.mark.no_rules]


ROOMS = ("room1", "room2")  # they hold a switch, and have no address


def apply(definition: dict[str, Any], **more: Any) -> runner.Result:
    result = runner.run("lab", {"definition": definition, **more})
    assert not result.failed, result["msg"]
    return result


def probed(probes: list[dict[str, Any]]) -> None:
    result = runner.run("ns_probe", {"probes": [{"timeout": 5, **probe} for probe in probes]})
    assert not result.failed, result["msg"]
    assert len(result["probes"]) == len(probes)


def assert_drawn_as_defined(definition: dict[str, Any]) -> None:
    """The picture of what is there is that of the definition, and nothing stands out in it."""
    seen = picture_of_seen(dict(runner.run("lab_info", {})), definition)
    assert shape(seen) == shape(picture_of_definition(definition))
    ends = [end for wire in seen.wires for end in wire.ends]
    assert [mark for each in (seen, *seen.nodes, *seen.wires, *ends) for mark in each.marks] == []


def shape(picture: Picture) -> tuple[object, ...]:
    nodes = {(each.key, each.kind, each.inside, each.name) for each in picture.nodes}
    wires = [sorted((end.node, end.interface, end.addresses) for end in wire.ends) for wire in picture.wires]
    return nodes, sorted(wires)


@pytest.mark.parametrize("name", NAMES)
def test_everybody_reaches_everybody(name: str, host: Host) -> None:
    definition = yaml.load((LABS / f"{name}.yml").read_text(), Loader=YAML_LOADER)
    assert definition["name"] == name
    before = host.snapshot()

    made = apply(definition)

    assert made.operations
    again = apply(definition)
    assert not again.operations
    assert_drawn_as_defined(definition)
    namespaces = made["lab"]["namespaces"]
    # The hosts of the lab; what is between them passes on, and is on the way of every probe.
    hosts = {
        node: [address.partition("/")[0] for link in each["links"].values() for address in link["addresses"]]
        for node, each in namespaces.items()
        if each["links"] and not forwards(definition, node) and node not in ROOMS
    }
    pairs = list(itertools.permutations(hosts, 2))
    assert len(pairs) >= 2
    pings = [{"from": one, "ping": address} for one, other in pairs for address in hosts[other]]
    calls = [{"from": one, "tcp": f"{other}:8080", "listen": other} for one, other in zip(hosts, reversed(hosts))]
    probed([*pings, *(call for call in calls if call["from"] != call["listen"])])
    SHOWN[name](host, definition)

    runner.run("lab", {"name": name, "state": "absent"})
    assert_same(before, host.snapshot(), f"the lab {name}, made and removed,")


def forwards(definition: dict[str, Any], node: str) -> bool:
    sysctls = (definition.get("namespaces", {}).get(node) or {}).get("sysctl", {})
    return any("forward" in key for key in sysctls)


# What is peculiar to each


def hops(host: Host, one: str, other: str) -> int:
    """How many routers are on the way, told by ping; by name, as hosts: true has it. The kernel notices a cut in its own time."""
    host.wait_for(lambda: host.try_sh(f"ip netns exec {one} ping -n -c 1 -W 1 {other}"))
    said = host.sh(f"ip netns exec {one} ping -n -c 1 -W 5 {other}")
    return 64 - int(said.partition("ttl=")[2].split()[0])


def chain(host: Host, _definition: dict[str, Any]) -> None:
    assert hops(host, "left", "right") == 3


def star(host: Host, _definition: dict[str, Any]) -> None:
    assert hops(host, "h1", "h5") == 1
    host.sh("ip netns exec hub sysctl -qw net.ipv4.ip_forward=0")
    assert host.no_ping("10.202.5.2", "h1")


def ring(host: Host, definition: dict[str, Any]) -> None:
    for one, other in itertools.permutations("123", 2):
        assert hops(host, f"h{one}", f"h{other}") == 2
        host.sh(f"ip -n r{one} link set dev r{other} down")
        assert hops(host, f"h{one}", f"h{other}") == 3, f"with the cable from r{one} to r{other} cut"
        laid = apply(definition)
        assert laid.operations[0] == f"ip -n r{one} link set dev r{other} up"
        host.wait_for(functools.partial(short_way_is_back, host, f"h{one}", f"h{other}"))


def short_way_is_back(host: Host, one: str, other: str) -> bool:
    return hops(host, one, other) == 2


def clos(host: Host, _definition: dict[str, Any]) -> None:
    for leaf, far in (("leaf1", "10.204.2.2"), ("leaf2", "10.204.3.3"), ("leaf3", "10.204.1.2")):
        ways = {
            json.loads(host.sh(f"ip -n {leaf} -j route get {far} ipproto tcp sport {port} dport 80"))[0]["dev"]
            for port in range(1024, 1056)
        }
        assert ways == {"spine1", "spine2"}, f"from {leaf} to {far}"

    def forwarded() -> list[int]:
        return [host.ip("-s link show dev spine1", "leaf1")[0]["stats64"]["tx"]["packets"],
                host.ip("-s link show dev spine2", "leaf1")[0]["stats64"]["tx"]["packets"]]  # fmt: skip

    before = forwarded()
    probed([{"from": "a1", "tcp": "b1:8080", "listen": "b1"} for _flow in range(24)])
    more = [now - then for then, now in zip(before, forwarded())]
    assert min(more) >= 2, f"by the spines went {more} packets"


def dual_stack(host: Host, _definition: dict[str, Any]) -> None:
    said = host.sh("ip netns exec office1 getent ahosts lab2").split()
    assert {"10.205.2.3", "fd00:205:2::3"} <= set(said)
    assert hops(host, "office1", "-6 lab2") == 1


def ipv6(host: Host, definition: dict[str, Any]) -> None:
    assert hops(host, "left1", "right2") == 2
    for namespace in ("r1", "r2", "left1", "right2"):
        assert not [each for each in host.ip("-4 addr show up", namespace) if each["ifname"] != "lo"]


def two_bridges(host: Host, _definition: dict[str, Any]) -> None:
    assert hops(host, "red1", "blue3") == 1
    assert host.ping("10.207.2.4")


def joined_bridges(host: Host, _definition: dict[str, Any]) -> None:
    assert hops(host, "a1", "b2") == 0
    assert host.link("trunk", "room1")["master"] == "switch1"
    host.sh("ip -n room1 link set dev trunk down")
    assert host.no_ping("10.208.0.22", "a1")
    assert host.ping("10.208.0.12", "a1")


SHOWN = {each.__name__: each for each in (chain, star, ring, clos, dual_stack, ipv6, two_bridges, joined_bridges)}


def test_each_lab_says_what_it_shows_and_stands_in_the_readme() -> None:
    readme = (LABS / "README.md").read_text()
    assert set(NAMES) == set(SHOWN)
    for name in NAMES:
        assert f"[{name}.yml]({name}.yml)" in readme
        assert (LABS / f"{name}.yml").read_text().split("---\n", 1)[1].startswith("# ")
