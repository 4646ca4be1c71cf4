# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ns_link plans: which link is meant, what it takes to have it in its place, and what is refused."""

from __future__ import annotations

import errno

import pytest

from ansible_collections.nslab.linux.plugins.module_utils._errors import Problem
from ansible_collections.nslab.linux.tests.unit.plugins.module_utils.imagined import (
    a_host,
    address,
    bridge,
    key,
    link,
    namespace,
    plan,
    ref,
    route,
    veth,
    world,
)

MOVE = "ip link set dev nic netns red"


def with_nic(*addresses, **fields):
    """A host with a second physical interface, and a namespace."""
    return world(a_host(link("nic", None, *addresses, **fields)), red=namespace())


# Which link is meant


def test_a_physical_interface_is_moved_renamed_and_set_up():
    made = plan(
        "ns_link",
        with_nic(),
        name="nic",
        netns="red",
        rename="wan",
        mac="52:54:00:00:00:01",
        mtu=1400,
        promisc=True,
        addresses=["10.0.0.1/24", "fd00::1/64"],
        up=True,
    )
    assert made.operations == [
        MOVE,
        "ip -n red link set dev nic name wan",
        "ip -n red link set dev wan address 52:54:00:00:00:01",
        "ip -n red link set dev wan mtu 1400",
        "ip -n red link set dev wan promisc on",
        "ip -n red addr add 10.0.0.1/24 dev wan",
        "ip -n red addr add fd00::1/64 dev wan",
        "ip -n red link set dev wan up",
    ]
    shown = made.report["link"]
    assert (shown["name"], shown["netns"], shown["kind"], shown["promisc"], shown["index"]) == (
        "wan", "red", None, True, None,
    )  # fmt: skip


def test_only_on_a_veth_an_ipv6_address_is_known_to_be_no_duplicate():
    imagined = world(namespace(veth("v1", "red:eth0")), red=namespace(veth("eth0", "host:v1")))
    made = plan("ns_link", imagined, name="v1", addresses=["fd00::1/64"])
    assert made.operations == ["ip addr add fd00::1/64 dev v1 nodad"]
    assert made.report["link"]["peer"] == {"name": "eth0", "netns": "red"}


def test_a_link_in_its_place_is_left_alone_and_what_bears_its_name_elsewhere_is_another():
    imagined = world(a_host(), red=namespace(link("eth0")))
    assert plan("ns_link", imagined, name="eth0", netns="red").operations == []
    made = plan("ns_link", imagined, name="eth0", netns="red", mtu=1400, up=False)
    assert made.operations == ["ip -n red link set dev eth0 mtu 1400", "ip -n red link set dev eth0 down"]


@pytest.mark.parametrize("options", [{"rename": "wan"}, {"rename": "wan", "from": "host"}], ids=["rename", "from"])
def test_both_places_taken_is_an_error_that_names_them(options):
    imagined = world(namespace(link("nic")), red=namespace(link("wan"), link("nic")))
    with pytest.raises(Problem, match=r"link wan in red is taken: nic on the host, which shall become it, is there"):
        plan("ns_link", imagined, name="nic", netns="red", **options)


def test_a_namespace_of_two_names_is_one():
    there = world(red=namespace(link("nic")))
    there.keys[ref("same")], there.names["same"] = key("red"), there.names["red"]
    options = {"name": "nic", "netns": "same", "from": "red"}
    for state in ("present", "absent"):
        assert plan("ns_link", there, **options, state=state).operations == []
    assert plan("ns_link", there, **options, rename="wan").operations == ["ip -n same link set dev nic name wan"]


def test_from_says_that_the_link_of_the_host_is_meant():
    imagined = world(namespace(link("eth0")), red=namespace(link("eth0")))
    with pytest.raises(Problem, match=r"link eth0 in red is taken: eth0 on the host, which shall become it, is there"):
        plan("ns_link", imagined, name="eth0", netns="red", **{"from": "host"})


def test_a_link_that_is_in_the_namespace_under_its_old_name_is_renamed_there():
    imagined = world(red=namespace(link("nic", None, address("10.0.0.1/24"))))
    made = plan("ns_link", imagined, name="nic", netns="red", rename="wan")
    assert made.operations == ["ip -n red link set dev nic name wan"]
    with pytest.raises(Problem, match="link nic on the host does not exist, nor does wan in red: create it first"):
        plan("ns_link", imagined, name="nic", netns="red", rename="wan", **{"from": "host"})


def test_two_links_of_the_old_name_are_told_apart_by_from():
    imagined = world(namespace(link("nic")), red=namespace(link("nic")))
    options = {"name": "nic", "netns": "red", "rename": "wan"}
    with pytest.raises(
        Problem, match=r"wan in red could be nic on the host or nic in red: say which: from: host .* from: red"
    ):
        plan("ns_link", imagined, **options)
    assert plan("ns_link", imagined, **options, **{"from": "host"}).operations == [f"{MOVE} name wan"]
    assert plan("ns_link", imagined, **options, **{"from": "red"}).operations == ["ip -n red link set dev nic name wan"]


def test_a_link_is_renamed_on_the_host():
    made = plan("ns_link", world(namespace(link("nic"))), name="nic", rename="wan")
    assert made.operations == ["ip link set dev nic name wan"]
    with pytest.raises(
        Problem, match="link wan on the host is taken: nic on the host, which shall become it, is there"
    ):
        plan("ns_link", world(namespace(link("nic"), link("wan"))), name="nic", rename="wan")


def test_where_its_own_name_is_taken_a_link_is_moved_and_renamed_at_once():
    for other in (link("nic"), link("eth0", altnames=("nic",))):
        made = plan(
            "ns_link",
            world(namespace(link("nic")), red=namespace(other)),
            name="nic",
            netns="red",
            rename="wan",
            **{"from": "host"},
        )
        assert made.operations == [f"{MOVE} name wan"]


def test_a_link_that_is_nowhere_is_coming_in_check_mode_alone():
    made = plan("ns_link", world(), check=True, name="nic", netns="red", rename="wan", up=True)
    assert made.operations == [MOVE, "ip -n red link set dev nic name wan", "ip -n red link set dev wan up"]
    assert made.warnings == ("check mode: assumed to be coming: namespace red, link nic on the host",)
    assert (made.report["link"]["kind"], made.report["link"]["mtu"]) == (None, None)
    with pytest.raises(Problem, match="namespace red does not exist"):
        plan("ns_link", world(), name="nic", netns="red")
    with pytest.raises(Problem, match="link nic on the host does not exist: create it first"):
        plan("ns_link", world(), name="nic")
    with pytest.raises(Problem, match="link nic in blue does not exist, nor does nic in red"):
        plan("ns_link", world(red=namespace(), blue=namespace()), name="nic", netns="red", **{"from": "blue"})


def test_a_named_home_that_is_gone_matters_only_when_the_link_is_needed_from_there():
    there = world(red=namespace(link("nic")))
    options = {"name": "nic", "netns": "red", "from": "blue"}
    assert plan("ns_link", there, **options).operations == []
    with pytest.raises(Problem, match="namespace blue does not exist"):
        plan("ns_link", world(red=namespace()), **options)
    with pytest.raises(Problem, match="namespace blue does not exist"):
        plan("ns_link", there, **options, state="absent")


@pytest.mark.parametrize("side", ["netns", "from"])
@pytest.mark.parametrize("state", ["present", "absent"])
@pytest.mark.parametrize("check", [True, False])
def test_a_path_or_process_that_is_not_there_is_always_an_error(side: str, state: str, check: bool):
    with pytest.raises(Problem, match="namespace pid:4711 can't be used"):
        plan("ns_link", world(), check=check, name="nic", state=state, **{side: "pid:4711"})


@pytest.mark.parametrize("altname", ["eth0", "eth1"])
def test_a_name_that_a_link_goes_by_besides_is_refused_before_the_link_has_moved(altname: str):
    there = world(a_host(link("nic", None, altnames=("eth1",))), red=namespace(link("x", altnames=("y", "eth0"))))
    with pytest.raises(Problem, match=f"link nic on the host can't be called {altname} in red: that is an alternative"):
        plan("ns_link", there, name="nic", netns="red", rename=altname)
    with pytest.raises(Problem, match="y in red is an alternative name of link x: call it x"):
        plan("ns_link", there, name="y", netns="red", **{"from": "red"})


@pytest.mark.parametrize(("number", "words"), [(errno.EBUSY, "while the link is down"), (errno.EPERM, "as root")])
def test_a_mac_that_a_driver_refuses_comes_with_advice_of_its_own(number: int, words: str):
    (step,) = plan("ns_link", with_nic(), name="nic", mac="52:54:00:00:00:01").plan.steps
    assert words in step.operation.advice(number)


# What a move takes


def test_what_a_move_takes_and_the_task_does_not_declare_is_told():
    nic = link("nic", None, address("10.0.0.1/24"), address("10.1.0.1/24"), master="br0")
    host = a_host(bridge("br0"), nic, routes=[route("10.9.0.0/16", "10.0.0.2", "nic")])
    made = plan("ns_link", world(host, red=namespace()), name="nic", netns="red", addresses=["10.0.0.1/24"])
    assert made.operations == [MOVE, "ip -n red addr add 10.0.0.1/24 dev nic"]
    assert made.warnings == (
        "link nic on the host is moved to red, which takes from it what the task does not declare: 10.1.0.1/24,"
        " bridge br0, route 10.9.0.0/16 via 10.0.0.2 dev nic, up",
    )
    back = [operation.command for operation in made.plan.steps[0].inverse]
    assert back[0] == "ip -n red link set dev nic netns /proc/$$/ns/net"
    assert {"ip addr add 10.1.0.1/24 dev nic", "ip link set dev nic master br0", "ip link set dev nic up"} < set(back)


def test_nothing_is_told_of_a_move_that_takes_nothing():
    assert plan("ns_link", with_nic(up=False), name="nic", netns="red").warnings == ()
    assert plan("ns_link", with_nic(address("10.0.0.1/24")), name="nic", rename="wan").warnings == ()


# What can't be moved


@pytest.mark.parametrize(("kind", "told"), [("bond", None), ("bridge", None), ("vxlan", True), (None, True)], ids=str)
def test_what_the_kernel_does_not_move_is_refused(kind, told):
    there = world(namespace(link("x", kind, netns_immutable=told)), red=namespace())
    with pytest.raises(Problem, match=r"link x on the host is .* that the kernel does not move to another namespace"):
        plan("ns_link", there, name="x", netns="red")
    assert plan("ns_link", there, name="x", rename="y").operations == ["ip link set dev x name y"]


@pytest.mark.parametrize(("kind", "told"), [("bond", False), ("vxlan", None)])
def test_what_the_kernel_says_it_moves_is_moved(kind: str, told):
    there = world(namespace(link("x", kind, netns_immutable=told)), red=namespace())
    assert plan("ns_link", there, name="x", netns="red").operations == ["ip link set dev x netns red"]


# The host's default route


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"netns": "red"}, "move it to red"),
        ({"rename": "wan"}, "rename it to wan"),
        ({"up": False}, "take it down"),
        ({"mac": "52:54:00:00:00:01", "master": "br0"}, "give it another MAC address and make it a port of br0"),
    ],
    ids=str,
)
def test_the_link_of_the_hosts_default_route_is_left_alone_without_force(options, what: str):
    there = world(a_host(bridge("br0")), red=namespace())
    with pytest.raises(
        Problem, match=f"link eth0 carries the host's default route, and the task would {what}: .* force: true"
    ):
        plan("ns_link", there, name="eth0", **options)
    assert plan("ns_link", there, name="eth0", **options, force=True).operations
    assert plan("ns_link", there, name="eth0", mtu=1400, promisc=True, up=True).operations


def test_an_address_of_the_link_of_the_default_route_is_removed_only_with_force():
    options = {"name": "eth0", "addresses": ["192.0.2.11/24"], "purge_addresses": True}
    with pytest.raises(Problem, match=r"eth0 carries the host's default route, and the task would take 192.0.2.10/24"):
        plan("ns_link", world(a_host()), **options)
    assert plan("ns_link", world(a_host()), **options, force=True).operations


def bridged(kind):
    """A host whose default route leaves by a bridge with a port of that kind."""
    return namespace(bridge("br0"), link("p", kind, master="br0"), routes=[route("default", "10.0.0.1", "br0")])


@pytest.mark.parametrize("options", [{"netns": "red"}, {"master": ""}], ids=str)
def test_a_physical_port_of_the_bridge_that_carries_the_default_route_is_guarded_too(options):
    there = world(bridged(None), red=namespace())
    with pytest.raises(Problem, match="link p is a port of br0, which carries the host's default route"):
        plan("ns_link", there, name="p", **options)


def test_a_tap_in_that_bridge_is_not_guarded_nor_is_the_default_route_of_a_namespace():
    red = namespace(link("eth0"), routes=[route("default", "10.0.0.1", "eth0")])
    there = world(bridged("tun"), red=red)
    assert plan("ns_link", there, name="p", netns="red").operations == ["ip link set dev p netns red"]
    assert plan("ns_link", there, name="eth0", netns="host", **{"from": "red"}).operations


def test_a_link_with_the_hosts_default_route_is_given_back_only_with_force():
    there = world(a_host(), red=namespace())
    options = {"name": "eth0", "from": "red", "state": "absent"}
    with pytest.raises(Problem, match="carries the host's default route, and the task would move it to red"):
        plan("ns_link", there, **options)
    assert plan("ns_link", there, **options, force=True).operations == ["ip link set dev eth0 netns red"]


# The bridge of a link


def test_a_link_is_plugged_in_and_pulled_out():
    there = world(namespace(bridge("br0"), link("tap0", "tun")))
    assert plan("ns_link", there, name="tap0", master="br0").operations == ["ip link set dev tap0 master br0"]
    there = world(namespace(bridge("br0"), link("tap0", "tun", master="br0")))
    assert plan("ns_link", there, name="tap0", master="").operations == ["ip link set dev tap0 nomaster"]
    assert plan("ns_link", there, name="tap0").operations == []


@pytest.mark.parametrize("name", ["br1", "lo"])
def test_a_bridge_or_loopback_is_no_port(name: str):
    with pytest.raises(Problem, match=f"link {name} on the host is of kind .* can't be a port of bridge br0"):
        plan("ns_link", world(namespace(bridge("br0"), bridge("br1"))), name=name, master="br0")


# absent


def test_absent_gives_a_link_back_under_its_name():
    there = world(
        red=namespace(link("wan", None, address("10.0.0.1/24")), routes=[route("default", "10.0.0.2", "wan")])
    )
    made = plan("ns_link", there, name="nic", netns="red", rename="wan", state="absent")
    assert made.operations == ["ip -n red link set dev wan netns /proc/$$/ns/net", "ip link set dev wan name nic"]
    assert (made.report["link"]["name"], made.report["link"]["netns"], made.warnings) == ("nic", "host", ())
    back = [operation.command for operation in made.plan.steps[0].inverse]
    assert "ip -n red route add default via 10.0.0.2 dev wan" in back


@pytest.mark.parametrize(
    ("imagined", "there"),
    [
        (world(), False),
        (world(red=namespace()), False),
        (world(namespace(link("nic")), red=namespace()), True),
        (world(red=namespace(link("nic"))), False),
    ],
    ids=["no namespace", "nowhere", "at home", "another of its old name"],
)
def test_absent_is_satisfied_when_the_link_is_not_in_the_namespace(imagined, there: bool):
    made = plan("ns_link", imagined, name="nic", netns="red", rename="wan", state="absent")
    assert made.operations == []
    assert (made.report["link"] is not None) == there


def test_absent_names_what_stands_in_the_way():
    there = world(namespace(link("nic")), red=namespace(link("wan")))
    with pytest.raises(Problem, match="link wan in red can't be given back: nic on the host is there already"):
        plan("ns_link", there, name="nic", netns="red", rename="wan", state="absent")


# Input


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "a/b"}, "interface name 'a/b' is not allowed"),
        ({"name": "nic", "rename": ""}, "interface name '' is not allowed"),
        ({"name": "nic", "rename": "lo"}, "link nic can't be renamed to lo"),
        ({"name": "lo", "rename": "nic"}, "link lo can't be renamed to nic"),
        ({"name": "nic", "from": "a b"}, "namespace name 'a b' is not allowed"),
        ({"name": "nic", "netns": "pid:0"}, "namespace 'pid:0' is no process"),
        ({"name": "nic", "rename": "wan", "master": "wan"}, "link wan on the host can't be a port of itself"),
        ({"name": "nic", "master": "a/b"}, "interface name 'a/b' is not allowed"),
        ({"name": "nic", "mtu": 67}, "MTU 67 of nic is out of range"),
        ({"name": "nic", "mtu_from": "a/b"}, "interface name 'a/b' is not allowed"),
        ({"name": "nic", "mac": "1"}, "quote it"),
        ({"name": "nic", "addresses": ["10.0.0.1"]}, "has no prefix length"),
    ],
    ids=str,
)
def test_what_ns_link_refuses_before_it_looks(options, words: str):
    with pytest.raises(Problem, match=words):
        plan("ns_link", world(namespace(link("nic"))), **options)
