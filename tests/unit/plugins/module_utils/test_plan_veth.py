# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What veth plans: which links are the pair, and what it takes to have it as declared."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.nslab.linux.plugins.module_utils._errors import Problem
from ansible_collections.nslab.linux.plugins.module_utils._world import End
from ansible_collections.nslab.linux.tests.unit.plugins.module_utils.imagined import (
    a_host,
    address,
    bridge,
    connected,
    key,
    link,
    namespace,
    plan,
    route,
    veth,
    world,
)

RED = {"name": "eth0", "netns": "red"}


def pair(place: str = "red", name: str = "eth0", *addresses, first: str = "v1", **fields):
    """A host and a namespace with a pair between them; the first end is on the host."""
    return {
        "host": a_host(veth(first, f"{place}:{name}")),
        place: namespace(veth(name, f"host:{first}", *addresses, **fields)),
    }


# A new pair


def test_a_pair_is_made_in_place_and_the_first_end_comes_up_last():
    made = plan("veth", world(red=namespace()), name="v1", peer=RED)
    assert made.operations == [
        "ip link add name v1 type veth peer name eth0 netns red",
        "ip -n red link set dev eth0 up",
        "ip link set dev v1 up",
    ]


def test_mac_mtu_and_master_of_the_first_end_are_in_the_message_that_makes_it():
    made = plan(
        "veth",
        world(namespace(bridge("br0")), red=namespace(bridge("br1"))),
        name="v1",
        mac="52:54:00:00:00:0A",
        mtu=1400,
        master="br0",
        addresses=["10.0.0.1/24", "fd00::1/64"],
        peer={**RED, "mac": "52:54:00:00:00:0b", "mtu": 1400, "master": "br1", "up": False},
    )
    assert made.operations == [
        "ip link add name v1 mtu 1400 address 52:54:00:00:00:0a master br0 type veth"
        " peer name eth0 mtu 1400 address 52:54:00:00:00:0b netns red",
        "ip addr add 10.0.0.1/24 dev v1",
        "ip addr add fd00::1/64 dev v1 nodad",
        "ip -n red link set dev eth0 master br1",
        "ip link set dev v1 up",
    ]


def test_what_a_new_pair_will_be_is_foretold_without_what_the_kernel_chooses():
    made = plan("veth", world(red=namespace()), name="v1", addresses=["10.0.0.1/24"], peer=RED)
    shared = {"kind": "veth", "index": None, "mac": None, "mtu": 1500, "up": True, "state": None, "master": None}
    (ends,) = made.report["pairs"]
    assert ends == [
        {**shared, "name": "v1", "netns": "host", "addresses": ["10.0.0.1/24"], "peer": RED},
        {**shared, "name": "eth0", "netns": "red", "addresses": [], "peer": {"name": "v1", "netns": "host"}},
    ]


@pytest.mark.parametrize(
    ("netns", "words"),
    [("host", "netns /proc/$$/ns/net"), ("blue", "netns blue"), ("4711", "netns /run/netns/4711"), ("red", "")],
)
def test_the_peer_s_namespace_is_written_so_that_ip_takes_it(netns: str, words: str):
    imagined = world(red=namespace(), blue=namespace(), **{"4711": namespace()})
    made = plan("veth", imagined, name="a", netns="red", up=False, peer={"name": "b", "netns": netns, "up": False})
    assert made.operations == [f"ip -n red link add name a type veth peer name b {words}".rstrip()]


def test_many_pairs_are_all_made_before_any_comes_up():
    imagined = world(red=namespace(), blue=namespace())
    pairs = [{"name": f"to-{name}", "peer": {"name": "eth0", "netns": name}} for name in ("red", "blue")]
    made = plan("veth", imagined, pairs=pairs)
    assert [words.split()[-1] if " add " in words else words for words in made.operations] == [
        "red",
        "blue",
        "ip -n red link set dev eth0 up",
        "ip -n blue link set dev eth0 up",
        "ip link set dev to-red up",
        "ip link set dev to-blue up",
    ]


def test_the_mtu_of_the_way_out_is_taken_over():
    narrow = a_host()
    narrow.links["eth0"] = dataclasses.replace(narrow.links["eth0"], mtu=1380)
    peer = {**RED, "mtu_from": "eth0", "up": False}
    made = plan("veth", world(narrow, red=namespace()), name="v1", mtu_from="auto", up=False, peer=peer)
    assert made.operations == ["ip link add name v1 mtu 1380 type veth peer name eth0 mtu 1380 netns red"]


def test_without_a_way_out_the_mtu_is_left_as_it_is_and_that_of_a_loopback_is_cut():
    made = plan("veth", world(), name="a", mtu_from="auto", up=False, peer={"name": "b", "mtu_from": "lo", "up": False})
    assert made.operations == ["ip link add name a type veth peer name b mtu 65535"]


# Which links are the pair


def test_a_pair_in_its_place_is_left_alone():
    made = plan("veth", world(**pair()), name="v1", peer=RED)
    assert made.operations == []
    assert [end["index"] is None for end in made.report["pairs"][0]] == [False, False]


def test_the_peer_of_the_first_end_is_moved_from_wherever_it_is():
    imagined = world(**pair("blue", "x", address("10.0.0.2/24")), red=namespace())
    made = plan("veth", imagined, name="v1", peer={**RED, "addresses": ["10.0.0.2/24"]})
    assert made.operations == [
        "ip -n blue link set dev x netns red",
        "ip -n red link set dev x name eth0",
        "ip -n red addr add 10.0.0.2/24 dev eth0",
        "ip -n red link set dev eth0 up",
    ]
    assert made.report["pairs"][0][0]["peer"] == {"name": "eth0", "netns": "red"}


def test_the_first_end_is_moved_when_its_peer_is_in_place_and_it_has_its_name():
    imagined = world(blue=namespace(veth("v1", "red:eth0")), red=namespace(veth("eth0", "blue:v1")))
    made = plan("veth", imagined, name="v1", peer=RED)
    assert made.operations == ["ip -n blue link set dev v1 netns /proc/$$/ns/net", "ip link set dev v1 up"]


def test_a_link_at_the_peer_s_place_whose_other_end_has_another_name_is_not_the_pair():
    imagined = world(blue=namespace(veth("other", "red:eth0")), red=namespace(veth("eth0", "blue:other")))
    with pytest.raises(Problem, match=r"link eth0 in red is taken: .*whose other end is other in blue, not v1"):
        plan("veth", imagined, name="v1", peer=RED)


def test_both_places_taken_by_different_pairs_is_an_error_that_names_what_is_there():
    imagined = world(
        namespace(veth("v1", "blue:x")),
        red=namespace(veth("eth0", "blue:y")),
        blue=namespace(veth("x", "host:v1"), veth("y", "red:eth0")),
    )
    with pytest.raises(
        Problem, match=r"link eth0 in red is taken: it is not the other end of v1 on the host.*x in blue"
    ):
        plan("veth", imagined, name="v1", peer=RED)


@pytest.mark.parametrize(
    ("there", "what"),
    [
        (
            {"host": namespace(link("v1", None)), "red": namespace()},
            "v1 on the host is taken: it is no veth, but a phys",
        ),
        (
            {"red": namespace(link("eth0", "macvlan"))},
            "eth0 in red is taken: it is no veth, but a link of kind macvlan",
        ),
        ({"host": namespace(bridge("v1")), "red": namespace()}, "v1 on the host is taken: .* of kind bridge"),
    ],
)
def test_another_kind_of_link_at_either_place_is_named(there, what: str):
    with pytest.raises(Problem, match=what):
        plan("veth", world(**there), name="v1", peer=RED)


def test_a_peer_that_can_not_be_found_is_not_guessed_at():
    lost = veth("v1", "nowhere:x")
    with pytest.raises(Problem, match="the other end of veth v1 on the host is in a namespace that can't be found"):
        plan("veth", world(namespace(lost), red=namespace()), name="v1", peer=RED)


# Renaming in place


def renaming(live_rename: bool, **peer):
    old = veth("old", "host:v1", address("10.0.0.2/24"), address("fd00::2/64"))
    routes = [
        connected("10.0.0.0/24", "old"),
        connected("fd00::/64", "old"),
        route("default", "10.0.0.1", "old"),
        route("fd09::/16", "fd00::1", "old"),
    ]
    imagined = world(namespace(veth("v1", "red:old")), red=namespace(old, routes=routes), live_rename=live_rename)
    return plan("veth", imagined, name="v1", peer={**RED, **peer})


def test_a_running_link_is_renamed_as_it_runs():
    made = renaming(live_rename=True)
    assert made.operations == ["ip -n red link set dev old name eth0"]
    assert {each.dev for each in made.after.namespaces[key("red")].routes} == {"eth0"}


def test_before_linux_6_2_a_link_goes_down_for_it_and_gets_back_what_it_lost():
    made = renaming(live_rename=False)
    assert made.operations == [
        "ip -n red link set dev old down",
        "ip -n red link set dev old name eth0",
        "ip -n red addr add fd00::2/64 dev eth0",
        "ip -n red link set dev eth0 up",
        "ip -n red -6 route add fd09::/16 via fd00::1 dev eth0",
        "ip -n red route add default via 10.0.0.1 dev eth0",
    ]


def test_before_linux_6_2_a_link_that_is_down_is_just_renamed():
    down = veth("old", "host:v1", up=False)
    imagined = world(namespace(veth("v1", "red:old")), red=namespace(down), live_rename=False)
    made = plan("veth", imagined, name="v1", peer={**RED, "up": False})
    assert made.operations == ["ip -n red link set dev old name eth0"]


# Attributes of a pair that is there


def test_only_what_differs_and_is_declared_is_changed():
    there = pair("red", "eth0", mtu=1500, mac="52:54:00:00:00:01")
    made = plan("veth", world(**there), name="v1", mtu=1500, peer={**RED, "mtu": 1400, "mac": "52:54:00:00:00:02"})
    assert made.operations == [
        "ip -n red link set dev eth0 address 52:54:00:00:00:02",
        "ip -n red link set dev eth0 mtu 1400",
    ]


def test_an_end_is_taken_down():
    made = plan("veth", world(**pair("red", "eth0", address("fd00::2/64"))), name="v1", peer={**RED, "up": False})
    assert made.operations == ["ip -n red link set dev eth0 down"]


def test_an_end_is_taken_down_before_the_ipv6_addresses_that_it_is_to_have_are_given():
    there = pair("red", "eth0", address("fd00::2/64"))
    made = plan("veth", world(**there), name="v1", peer={**RED, "addresses": ["fd00::2/64", "fd00::3/64"], "up": False})
    assert made.operations == [
        "ip -n red link set dev eth0 down",
        "ip -n red addr add fd00::2/64 dev eth0 nodad",
        "ip -n red addr add fd00::3/64 dev eth0 nodad",
    ]


def test_an_mtu_that_would_take_ipv6_off_a_link_is_refused():
    there = pair("red", "eth0", address("fd00::2/64"))
    with pytest.raises(Problem, match="MTU 1200 of link eth0 in red is below 1280, and the link has IPv6 addresses"):
        plan("veth", world(**there), name="v1", peer={**RED, "mtu": 1200})


def test_a_master_that_is_no_bridge_is_refused():
    host = namespace(link("bond0", "bond"))
    with pytest.raises(Problem, match="master bond0 on the host is no bridge, but a link of kind bond"):
        plan("veth", world(host, red=namespace()), name="v1", master="bond0", peer=RED)


# What the pair builds on


def test_namespace_and_bridge_may_be_coming_in_check_mode_alone():
    options = {"name": "v1", "master": "br0", "peer": RED}
    made = plan("veth", world(), check=True, **options)
    assert made.warnings == ("check mode: assumed to be coming: namespace red, master br0 on the host",)
    assert made.operations[0] == "ip link add name v1 master br0 type veth peer name eth0 netns red"
    with pytest.raises(Problem, match=r"namespace red does not exist: create it first, with nslab\.linux\.netns"):
        plan("veth", world(), **options)
    with pytest.raises(Problem, match="master br0 on the host does not exist"):
        plan("veth", world(red=namespace()), **options)


@pytest.mark.parametrize("netns", ["/proc/4711/ns/net", "pid:4711"])
@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_path_or_process_that_is_not_there_is_always_an_error(netns: str, check: bool, state: str):
    with pytest.raises(Problem, match=f"namespace {netns} can't be used: No such file"):
        plan("veth", world(), check=check, name="v1", netns=netns, peer={"name": "v2"}, state=state)


# absent


def test_absent_removes_the_pair_and_gives_it_back_with_all_that_went_along():
    switches = (("net/ipv4/conf/v1/proxy_arp", "1"),)
    first = veth("v1", "red:eth0", address("10.0.0.1/24"), master="br0", promisc=True, sysctls=switches)
    peer = veth("eth0", "host:v1", address("10.0.0.2/24"), mtu=1400)
    host = a_host(bridge("br0"), first, routes=[route("10.9.0.0/16", "10.0.0.2", "v1")])
    red = namespace(peer, routes=[route("default", "10.0.0.1", "eth0")])
    made = plan("veth", world(host, red=red), name="v1", state="absent")
    assert made.operations == ["ip link del dev v1"]
    assert made.report == {"pairs": []}
    back = [operation.command for operation in made.plan.steps[0].inverse]
    assert "sysctl -w net/ipv4/conf/v1/proxy_arp=1" in back
    assert {"ip route add 10.9.0.0/16 via 10.0.0.2 dev v1", "ip -n red route add default via 10.0.0.1 dev eth0"} < set(
        back
    )


@pytest.mark.parametrize(
    "imagined",
    [
        world(),
        world(red=namespace()),
        world(red=namespace(veth("eth0", "host:v2")), host=namespace(veth("v2", "red:eth0"))),
    ],
    ids=["no namespace", "no link", "another pair's end at the peer's place"],
)
def test_absent_is_satisfied_when_the_first_end_or_its_namespace_is_gone(imagined):
    assert plan("veth", imagined, name="v1", peer=RED, state="absent").operations == []
    assert plan("veth", imagined, name="x", netns="red", state="absent").operations == []


def test_absent_does_not_remove_another_kind_of_link():
    with pytest.raises(Problem, match="link v1 on the host is taken: it is no veth, but a link of kind dummy"):
        plan("veth", world(namespace(link("v1"))), name="v1", state="absent")


def test_a_pair_whose_far_end_is_out_of_reach_is_removed_all_the_same():
    made = plan("veth", world(namespace(veth("v1", "nowhere:x"))), name="v1", state="absent")
    assert made.operations == ["ip link del dev v1"]
    assert made.after.namespaces[key("host")].links.keys() == {"lo"}


# Input


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "v1"}, "veth v1 on the host has no peer"),
        ({"name": "v1", "peer": {"netns": "red"}}, "the peer of v1 of a veth pair has no name"),
        ({"name": "lo", "peer": RED}, "can't be named lo"),
        ({"name": "v1", "peer": {"name": "lo", "netns": "red"}}, "can't be named lo"),
        ({"name": "v1", "peer": {"name": "v1"}}, "link v1 on the host is declared twice"),
        ({"pairs": [{"name": "a", "peer": RED}, {"name": "b", "peer": RED}]}, "link eth0 in red is declared twice"),
        ({"name": "v1", "master": "a/b", "peer": RED}, "interface name 'a/b' is not allowed"),
        ({"name": "v1", "mtu": 67, "peer": RED}, "MTU 67 of v1 is out of range"),
        ({"name": "v1", "addresses": ["10.0.0.1"], "peer": RED}, "has no prefix length"),
        ({"name": "v1", "peer": {**RED, "mac": "1"}}, "quote it"),
    ],
    ids=str,
)
def test_what_veth_refuses_before_it_looks(options, words: str):
    with pytest.raises(Problem, match=words):
        plan("veth", world(red=namespace()), **options)


def test_the_ends_of_an_imagined_pair_know_each_other():
    """The bed itself: what the tests above build on."""
    made = plan("veth", world(**pair()), name="v1", peer=RED)
    assert made.after.namespaces[key("red")].links["eth0"].peer == End(key("host"), "v1")
