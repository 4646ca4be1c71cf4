# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What netns plans."""

from __future__ import annotations

import pytest

from ansible_collections.nslab.linux.plugins.module_utils._errors import Problem
from ansible_collections.nslab.linux.plugins.module_utils._values import NamespaceRef
from ansible_collections.nslab.linux.plugins.module_utils._world import FileState
from ansible_collections.nslab.linux.tests.unit.plugins.module_utils.imagined import (
    a_host,
    address,
    key,
    link,
    namespace,
    plan,
    route,
    veth,
    world,
)

MOVE_ETH1 = "ip -n red link set dev eth1 netns /proc/$$/ns/net"


def nic(name: str = "eth1"):
    return link(name, None, address("192.0.2.99/24"))


# present


def test_a_namespace_is_made_with_its_loopback_up():
    made = plan("netns", world(), name=["red"])
    assert made.operations == ["ip netns add red", "ip -n red link set dev lo up"]


def test_what_the_kernel_chooses_of_a_new_namespace_is_not_foretold():
    made = plan("netns", world(), name=["red"])
    assert made.report == {"namespaces": [{"name": "red", "path": "/run/netns/red", "inode": None, "pids": None}]}


def test_a_namespace_that_is_there_keeps_its_inode_and_shows_its_pids():
    made = plan("netns", world(red=namespace(pids=[7, 9])), name=["red"])
    assert made.operations == []
    (shown,) = made.report["namespaces"]
    assert shown["pids"] == [7, 9] and isinstance(shown["inode"], int)


def test_names_are_answered_in_their_order_and_each_once():
    made = plan("netns", world(red=namespace()), name=["blue", "red", "blue"])
    assert [shown["name"] for shown in made.report["namespaces"]] == ["blue", "red"]
    assert made.operations == ["ip netns add blue", "ip -n blue link set dev lo up"]


def test_loopback_false_leaves_a_new_one_down_and_takes_that_of_an_old_one_down():
    made = plan("netns", world(red=namespace()), name=["red", "dark"], loopback=False)
    assert made.operations == ["ip netns add dark", "ip -n red link set dev lo down"]


def test_sysctls_are_set_inside_where_they_differ():
    values = {"net/ipv4/ip_forward": "0", "net/ipv4/conf/eth0.100/rp_filter": "2"}
    made = plan(
        "netns",
        world(red=namespace(sysctls=values)),
        name=["red"],
        sysctl={"net.ipv4.ip_forward": True, "net/ipv4/conf/eth0.100/rp_filter": 2},
    )
    assert made.operations == ["ip netns exec red sysctl -w net/ipv4/ip_forward=1"]


def test_a_sysctl_that_does_not_exist_is_refused_with_its_name():
    with pytest.raises(Problem, match=r"sysctl net/ipv4/nosuch does not exist in red: check its name"):
        plan("netns", world(red=namespace()), name=["red"], sysctl={"net.ipv4.nosuch": 1})


@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_stale_file_is_replaced_or_removed(state: str):
    imagined = world(stale=["red"], files={"/run/netns/red": FileState("")})
    made = plan("netns", imagined, name=["red"], state=state)
    assert made.operations[:2] == ["rm /run/netns/red", "ip netns add red"][: 2 if state == "present" else 1]


def test_what_is_neither_namespace_nor_file_is_not_removed():
    with pytest.raises(Problem, match="neither a namespace nor a plain file"):
        plan("netns", world(stale=["red"]), name=["red"], state="absent")


# attach


def living(**fields):
    imagined = world(**fields)
    imagined.keys[NamespaceRef("pid", "4711")] = key("container")
    imagined.namespaces[key("container")] = namespace(pids=[4711])
    imagined.namespaces[key("container")].key = key("container")
    return imagined


def test_a_living_namespace_gets_a_name_and_a_record():
    made = plan("netns", living(), name=["web"], attach="pid:4711")
    assert made.operations[0] == "ip netns attach web 4711"
    assert made.operations[1].endswith("/run/nslab/attached.web")
    assert len(made.operations) == 2


def test_a_name_that_is_bound_to_another_namespace_is_no_name_for_it():
    with pytest.raises(Problem, match=r"namespace web exists and is another one than that of pid:4711"):
        plan("netns", living(web=namespace()), name=["web"], attach="pid:4711")


@pytest.mark.parametrize("check", [True, False])
def test_a_process_that_is_gone_is_an_error_in_check_mode_too(check: bool):
    with pytest.raises(Problem, match=r"namespace pid:12 can't be used: No such file"):
        plan("netns", world(), check=check, name=["web"], attach="pid:12")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": ["a", "b"], "attach": "pid:4711"}, "attach goes with one name"),
        ({"name": ["a"], "attach": "red"}, "attach takes no 'red'"),
        ({"name": ["a"], "attach": "host"}, "attach takes no 'host'"),
        ({"name": []}, "no namespace is named"),
        ({"name": ["host"]}, "can't be named 'host'"),
        ({"name": ["a"], "sysctl": {"kernel.hostname": "x"}}, r"only net\.\*"),
    ],
    ids=str,
)
def test_what_netns_refuses_before_it_looks(options, words: str):
    with pytest.raises(Problem, match=words):
        plan("netns", world(), **options)


# absent


def test_a_namespace_that_is_gone_stays_gone():
    made = plan("netns", world(), name=["red"], state="absent")
    assert (made.operations, made.report) == ([], {"namespaces": []})


def test_processes_inside_are_named_and_keep_the_namespace():
    with pytest.raises(Problem, match=r"namespace red still has processes in it \(pid 7, 9\): .*ignore.*terminate"):
        plan("netns", world(red=namespace(pids=[7, 9])), name=["red"], state="absent")


def test_processes_are_ended_last_of_all():
    inhabited = world(red=namespace(pids=[7]), blue=namespace(pids=[9]))
    made = plan("netns", inhabited, name=["red", "blue"], state="absent", processes="terminate")
    assert made.operations[:2] == ["ip netns del red", "ip netns del blue"]
    assert made.operations[2].startswith("kill 7 9 ")
    assert len(made.operations) == 3


def test_processes_of_an_attached_namespace_are_not_ours_to_end():
    attached = world(attached=["web"], web=namespace(pids=[7]))
    with pytest.raises(Problem, match=r"namespace web was attached, and its processes \(pid 7\)"):
        plan("netns", attached, name=["web"], state="absent", processes="terminate")


def test_an_attached_name_goes_with_its_record():
    attached = world(attached=["web"], web=namespace(nic()), files={"/run/nslab/attached.web": FileState("4:web\n")})
    made = plan("netns", attached, name=["web"], state="absent")
    assert made.operations == ["ip netns del web", "rm /run/nslab/attached.web"]


# physical interfaces


def test_a_physical_interface_is_moved_to_the_host_before_its_namespace_ends():
    imagined = world(a_host(), red=namespace(nic(), link("dummy0"), routes=[route("10.9.0.0/16", "192.0.2.1", "eth1")]))
    made = plan("netns", imagined, name=["red"], state="absent")
    assert made.operations == [MOVE_ETH1, "ip netns del red"]
    assert made.after.namespaces[key("host")].links["eth1"].kind is None


def test_a_physical_interface_is_moved_when_the_processes_are_ended():
    imagined = world(a_host(), red=namespace(nic(), pids=[7]))
    made = plan("netns", imagined, name=["red"], state="absent", processes="terminate")
    assert made.operations[:2] == [MOVE_ETH1, "ip netns del red"]


def test_a_physical_interface_stays_with_the_processes_that_keep_its_namespace():
    imagined = world(a_host(), red=namespace(nic(), pids=[7]))
    made = plan("netns", imagined, name=["red"], state="absent", processes="ignore")
    assert made.operations == ["ip netns del red"]


def test_a_physical_interface_stays_in_a_namespace_that_is_bound_elsewhere_too():
    red = namespace(nic(), veth("eth0", "host:to-red"))
    red.mounts = ("/run/docker/netns/1a2b", "/run/netns/red")
    made = plan("netns", world(a_host(veth("to-red", "red:eth0")), red=red), name=["red"], state="absent")
    assert made.operations == ["ip netns del red"]
    assert "to-red" in made.after.namespaces[key("host")].links


def test_a_namespace_both_of_whose_names_are_removed_ends():
    red = namespace(nic())
    red.mounts = ("/run/netns/blue", "/run/netns/red")
    made = plan("netns", world(a_host(), red=red), name=["red", "blue"], state="absent")
    assert made.operations == [MOVE_ETH1, "ip netns del red"]


def test_a_physical_interface_whose_name_the_host_has_is_not_lost():
    imagined = world(a_host(), red=namespace(nic("eth0")))
    with pytest.raises(Problem, match=r"the physical interface eth0 in red can't be given back: the host has a link"):
        plan("netns", imagined, name=["red"], state="absent")


def test_two_namespaces_can_not_give_back_interfaces_of_one_name():
    imagined = world(a_host(), red=namespace(nic()), blue=namespace(nic()))
    with pytest.raises(Problem, match="the physical interface eth1 in blue can't be given back"):
        plan("netns", imagined, name=["red", "blue"], state="absent")


def test_a_cable_s_end_that_goes_along_goes_too_late_to_make_room_for_a_physical_interface():
    """The end on the host goes with the namespace, but only after the interface would have come."""
    imagined = world(a_host(veth("eth1", "red:inner")), red=namespace(veth("inner", "host:eth1"), nic()))
    with pytest.raises(Problem, match="the physical interface eth1 in red can't be given back"):
        plan("netns", imagined, name=["red"], state="absent")


def test_the_ends_of_cables_on_the_host_go_along():
    imagined = world(a_host(veth("to-red", "red:eth0")), red=namespace(veth("eth0", "host:to-red")))
    made = plan("netns", imagined, name=["red"], state="absent")
    assert made.operations == ["ip netns del red"]
    assert "to-red" not in made.after.namespaces[key("host")].links
