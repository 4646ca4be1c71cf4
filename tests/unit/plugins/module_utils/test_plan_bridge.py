# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What bridge plans: the bridge, its options and its ports."""

from __future__ import annotations

import pytest

from ansible_collections.nslab.linux.plugins.module_utils._errors import Problem
from ansible_collections.nslab.linux.plugins.module_utils._world import BridgeOptions
from ansible_collections.nslab.linux.tests.unit.plugins.module_utils.imagined import (
    a_host,
    address,
    bridge,
    key,
    link,
    namespace,
    plan,
    route,
    world,
)


def ports(*names: str, master: str | None = "br0"):
    return [link(name, master=master) for name in names]


def test_a_bridge_is_made_with_its_options_and_comes_up_after_its_ports():
    imagined = world(namespace(*ports("p1", "p2", master=None)))
    made = plan(
        "bridge",
        imagined,
        name="br0",
        mac="52:54:00:00:00:01",
        mtu=1400,
        stp=True,
        forward_delay=2.0,
        ageing_time=30.5,
        multicast_snooping=False,
        ports=["p2", "p1"],
        addresses=["10.0.0.1/24"],
    )
    assert made.operations == [
        "ip link add name br0 address 52:54:00:00:00:01 type bridge stp_state 1 mcast_snooping 0 forward_delay 200"
        " ageing_time 3050",
        "ip link set dev p2 master br0",
        "ip link set dev p1 master br0",
        "ip link set dev br0 mtu 1400",
        "ip addr add 10.0.0.1/24 dev br0",
        "ip link set dev br0 up",
    ]
    shown = made.report["bridge"]
    assert (shown["stp"], shown["forward_delay"], shown["ageing_time"], shown["multicast_snooping"]) == (
        True,
        2.0,
        30.5,
        False,
    )
    assert (shown["ports"], shown["mtu"], shown["kind"], shown["index"]) == (["p1", "p2"], 1400, "bridge", None)


def test_only_options_that_differ_are_set():
    there = world(namespace(bridge("br0", options=BridgeOptions(stp=True, ageing_time=1000))))
    made = plan("bridge", there, name="br0", stp=True, ageing_time=20, multicast_snooping=True)
    assert made.operations == ["ip link set dev br0 type bridge ageing_time 2000"]
    assert plan("bridge", there, name="br0").operations == []


def test_the_forward_delay_that_the_kernel_changes_with_stp_is_given_back():
    there = world(namespace(bridge("br0", options=BridgeOptions(forward_delay=100))))
    made = plan("bridge", there, name="br0", stp=True)
    assert made.report["bridge"]["forward_delay"] == 2.0
    back = [operation.command.rpartition("bridge ")[2] for operation in made.plan.steps[0].inverse]
    assert back == ["stp_state 0", "forward_delay 100"]


@pytest.mark.parametrize("delay", [1.99, 30.01])
def test_a_delay_that_the_kernel_would_not_keep_is_refused_while_stp_is_on(delay: float):
    there = world(namespace(bridge("br0", options=BridgeOptions(stp=True))))
    with pytest.raises(
        Problem, match=r"forward_delay .* is out of range: while STP is on the kernel takes 2 to 30 seconds"
    ):
        plan("bridge", there, name="br0", forward_delay=delay)


def test_with_stp_off_any_delay_will_do():
    made = plan("bridge", world(), name="br0", forward_delay=0.0, up=False)
    assert made.operations == ["ip link add name br0 type bridge forward_delay 0"]


@pytest.mark.parametrize("kind", ["dummy", None])
def test_a_name_that_is_taken_says_by_what(kind):
    what = "a physical interface" if kind is None else "a link of kind dummy"
    for state in ("present", "absent"):
        with pytest.raises(Problem, match=f"link br0 on the host is taken: it is no bridge, but {what}"):
            plan("bridge", world(namespace(link("br0", kind))), name="br0", state=state)


# Ports


def test_a_port_of_another_bridge_is_moved_over_and_moved_back_when_undone():
    there = world(namespace(bridge("br0"), bridge("br1"), *ports("p1", master="br1")))
    made = plan("bridge", there, name="br0", ports=["p1"])
    assert made.operations == ["ip link set dev p1 master br0"]
    assert made.plan.steps[0].inverse[0].command == "ip link set dev p1 master br1"


def test_other_ports_stay_without_purge_and_leave_with_it():
    there = world(namespace(bridge("br0"), *ports("p1", "p2")))
    assert plan("bridge", there, name="br0", ports=["p1"]).operations == []
    made = plan("bridge", there, name="br0", ports=["p1"], purge_ports=True)
    assert made.operations == ["ip link set dev p2 nomaster"]
    assert plan("bridge", there, name="br0", purge_ports=True).operations == []


def test_what_a_bridge_follows_its_ports_in_is_not_foretold():
    there = world(namespace(bridge("br0"), *ports("p1")))
    shown = plan("bridge", there, name="br0", ports=[], purge_ports=True).report["bridge"]
    assert (shown["mac"], shown["mtu"], shown["ports"]) == (None, None, [])


def test_the_kernel_s_limit_of_ports_is_named():
    names = [f"p{number}" for number in range(1024)]
    there = world(namespace(bridge("br0"), *ports("q0"), *ports(*names, master=None)))
    assert len(plan("bridge", there, name="br0", ports=names[:1022]).operations) == 1022
    with pytest.raises(
        Problem, match="bridge br0 on the host would have 1024 ports, and the kernel takes at most 1023"
    ):
        plan("bridge", there, name="br0", ports=names[:1023])
    assert len(plan("bridge", there, name="br0", ports=names[:1023], purge_ports=True).operations) == 1024
    with pytest.raises(Problem, match="would have 1024 ports"):
        plan("bridge", there, name="br0", ports=names, purge_ports=True)


def test_a_bridge_is_no_port_of_a_bridge():
    with pytest.raises(Problem, match="br1 on the host is a bridge, and can't be a port of bridge br0"):
        plan("bridge", world(namespace(bridge("br1"))), name="br0", ports=["br1"])


def test_the_interface_of_the_host_s_default_route_is_a_port_only_by_force():
    with pytest.raises(Problem, match="interface eth0 carries the host's default route, and as a port of br0"):
        plan("bridge", world(a_host()), name="br0", ports=["eth0"])
    made = plan("bridge", world(a_host()), name="br0", ports=["eth0"], force=True)
    assert "ip link set dev eth0 master br0" in made.operations


def test_an_ipv6_default_route_guards_its_interface_too():
    host = namespace(link("eth0", None), routes=[route("::/0", "fe80::1", "eth0")])
    with pytest.raises(Problem, match="interface eth0 carries the host's default route"):
        plan("bridge", world(host), name="br0", ports=["eth0"])


def test_the_default_route_of_a_namespace_guards_nothing():
    red = namespace(link("eth0"), routes=[route("default", "10.0.0.1", "eth0")])
    made = plan("bridge", world(a_host(), red=red), name="br0", netns="red", ports=["eth0"], up=False)
    assert made.operations[1:] == ["ip -n red link set dev eth0 master br0"]


def test_ports_may_be_coming_in_check_mode_alone():
    made = plan("bridge", world(), check=True, name="br0", netns="red", ports=["p1"])
    (warning,) = made.warnings
    assert "namespace red" in warning and "port p1 in red" in warning
    assert "ip -n red link set dev p1 master br0" in made.operations
    with pytest.raises(Problem, match="port p1 on the host does not exist"):
        plan("bridge", world(), name="br0", ports=["p1"])


# absent


def test_a_bridge_is_removed_with_the_ports_that_are_named():
    there = world(namespace(bridge("br0", address("10.0.0.1/24")), *ports("p1")))
    made = plan("bridge", there, name="br0", ports=["p1"], state="absent")
    assert made.operations == ["ip link del dev br0"]
    assert made.report == {"bridge": None}
    assert made.after.namespaces[key("host")].links["p1"].master is None
    back = [operation.command for operation in made.plan.steps[0].inverse]
    assert "ip link set dev p1 master br0" in back and "ip addr add 10.0.0.1/24 dev br0" in back


def test_a_bridge_with_other_ports_is_removed_only_by_force():
    there = world(namespace(bridge("br0"), *ports("p1", "p2")))
    with pytest.raises(
        Problem, match=r"bridge br0 on the host has ports that the task does not name: p2: name them in ports"
    ):
        plan("bridge", there, name="br0", ports=["p1"], state="absent")
    assert plan("bridge", there, name="br0", state="absent", force=True).operations == ["ip link del dev br0"]


def test_a_bridge_that_is_gone_stays_gone():
    assert plan("bridge", world(), name="br0", state="absent").operations == []
    assert plan("bridge", world(), name="br0", netns="red", state="absent").operations == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "lo"}, "a bridge can't be named lo"),
        ({"name": "br0", "ports": ["lo"]}, "lo can't be a port of bridge br0"),
        ({"name": "br0", "ports": ["br0"]}, "br0 can't be a port of bridge br0"),
        ({"name": "br0", "ageing_time": -1.0}, "ageing_time -1.0 of bridge br0 is out of range"),
        ({"name": "br0", "mtu": 10}, "MTU 10 of br0 is out of range"),
        ({"name": "a-bridge-name-of-21"}, "has 19 characters"),
    ],
    ids=str,
)
def test_what_bridge_refuses_before_it_looks(options, words: str):
    with pytest.raises(Problem, match=words):
        plan("bridge", world(), **options)
