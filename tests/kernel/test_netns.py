# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""netns: namespaces come, are named, and go."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.host import Host

pytestmark = pytest.mark.no_rules


def inode(path: str) -> int:
    return os.stat(path).st_ino


def test_a_namespace_is_made_with_its_loopback_up(host: Host) -> None:
    result = host.changed("netns", name=["red"])
    assert host.namespaces() == ["red"]
    assert host.is_up("lo", "red")
    assert host.ping("127.0.0.1", "red")
    path = "/run/netns/red"
    assert result["namespaces"] == [{"name": "red", "path": path, "inode": inode(path), "pids": []}]
    host.changed("netns", name=["red"], state="absent")
    assert host.namespaces() == []
    host.unchanged("netns", name=["red"], state="absent")


def test_what_is_returned_of_namespaces_that_are_absent_is_empty(host: Host) -> None:
    host.apply("netns", name=["red"])
    assert host.apply("netns", name=["red"], state="absent")["namespaces"] == []


def test_the_operations_are_what_a_person_would_have_typed(host: Host) -> None:
    assert host.apply("netns", name=["red"]).operations == ["ip netns add red", "ip -n red link set dev lo up"]
    assert host.apply("netns", name=["red"], state="absent").operations == ["ip netns del red"]


def test_several_are_made_in_one_task_and_those_that_exist_are_left_alone(host: Host) -> None:
    host.apply("netns", name=["red", "blue"])
    kept = inode("/run/netns/blue")
    result = host.changed("netns", name=["red", "green", "blue"])
    assert host.namespaces() == ["blue", "green", "red"]
    assert inode("/run/netns/blue") == kept
    assert [entry["name"] for entry in result["namespaces"]] == ["red", "green", "blue"]
    assert all("green" in operation for operation in result.operations)


def test_names_that_another_begins_with_are_told_apart(host: Host) -> None:
    host.apply("netns", name=["mario2"])
    host.changed("netns", name=["mario"])
    host.changed("netns", name=["mario"], state="absent")
    assert host.namespaces() == ["mario2"]


@pytest.mark.parametrize("name", ["4711", "a.b", "a+b", "_x", "a" * 200, "A-1"])
def test_every_name_of_the_grammar_works(host: Host, name: str) -> None:
    host.apply("netns", name=[name])
    assert host.namespaces() == [name]
    host.apply("netns", name=[name], state="absent")
    assert host.namespaces() == []


def test_loopback_can_be_left_down_and_is_mended_when_it_drifts(host: Host) -> None:
    host.apply("netns", name=["red"], loopback=False)
    assert not host.is_up("lo", "red")
    host.changed("netns", name=["red"])
    assert host.is_up("lo", "red")
    host.sh("ip -n red link set dev lo down")
    host.changed("netns", name=["red"])
    assert host.is_up("lo", "red")
    host.changed("netns", name=["red"], loopback=False)
    assert not host.is_up("lo", "red")


def test_sysctls_are_set_inside_and_mended_when_they_drift(host: Host) -> None:
    host.watch_sysctl("net/ipv4/ip_default_ttl")
    wanted = {"net.ipv4.ip_forward": "1", "net/ipv4/ip_default_ttl": 33, "net.ipv6.conf.all.forwarding": True}
    host.apply("netns", name=["red"], sysctl=wanted)
    assert host.sysctl("net/ipv4/ip_forward", "red") == "1"
    assert host.sysctl("net/ipv4/ip_default_ttl", "red") == "33"
    assert host.sysctl("net/ipv6/conf/all/forwarding", "red") == "1"
    assert host.sysctl("net/ipv4/ip_default_ttl") == "64"
    host.sh("ip netns exec red sysctl -q -w net.ipv4.ip_default_ttl=34")
    assert len(host.changed("netns", name=["red"], sysctl=wanted).operations) == 1
    assert host.sysctl("net/ipv4/ip_default_ttl", "red") == "33"


def test_writing_ip_forward_is_undone_with_the_switches_of_all_links(host: Host) -> None:
    host.sh("ip netns add red; ip -n red link add name a type veth peer name b")
    host.sh("ip netns exec red sh -c 'echo 1 > /proc/sys/net/ipv4/conf/a/forwarding'")
    host.sh("ip netns exec red sh -c 'echo 1 > /proc/sys/net/ipv6/conf/b/forwarding'")
    host.changed("netns", name=["red"], sysctl={"net.ipv4.ip_forward": 1, "net.ipv6.conf.all.forwarding": 1})
    assert host.sysctl("net/ipv4/conf/b/forwarding", "red") == "1"


def test_the_switch_of_one_link_holds_beside_that_of_all(host: Host) -> None:
    wanted = {"net/ipv4/conf/lo/forwarding": 0, "net/ipv4/ip_forward": 1, "net/ipv6/conf/lo/forwarding": 0}
    wanted["net/ipv6/conf/all/forwarding"] = 1
    host.changed("netns", name=["red"], sysctl=wanted)
    assert host.sysctl("net/ipv4/conf/lo/forwarding", "red") == "0"
    assert host.sysctl("net/ipv6/conf/lo/forwarding", "red") == "0"
    assert host.sysctl("net/ipv4/ip_forward", "red") == "1"


def test_a_sysctl_that_is_a_list_of_numbers_is_compared_by_its_numbers(host: Host) -> None:
    host.watch_sysctl("net/ipv4/ip_local_port_range")
    host.apply("netns", name=["red"], sysctl={"net.ipv4.ip_local_port_range": "20000   30000"})
    assert host.sysctl("net/ipv4/ip_local_port_range", "red").split() == ["20000", "30000"]
    host.unchanged("netns", name=["red"], sysctl={"net.ipv4.ip_local_port_range": "20000 30000"})


def test_a_sysctl_of_an_interface_with_a_dot_is_written_with_slashes(host: Host) -> None:
    host.sh("ip netns add red; ip -n red link add name a.100 type veth peer name b")
    host.changed("netns", name=["red"], sysctl={"net/ipv4/conf/a.100/forwarding": 1})
    assert host.sysctl("net/ipv4/conf/a.100/forwarding", "red") == "1"


STALE = "mkdir -p /run/netns; touch /run/netns/red /run/netns/other; ln -s /proc/4194305/ns/net /run/netns/blue"


def test_a_stale_file_is_replaced_by_a_namespace(host: Host) -> None:
    host.sh(STALE)
    host.changed("netns", name=["red", "blue"])
    assert host.try_sh("ip -n red link show dev lo; ip -n blue link show dev lo")
    assert not Path("/run/netns/blue").is_symlink()


def test_a_stale_file_is_removed(host: Host) -> None:
    host.sh(STALE)
    host.changed("netns", name=["red", "blue"], state="absent")
    assert os.listdir("/run/netns") == ["other"]


def test_of_a_symbolic_link_to_a_namespace_only_the_link_is_removed(host: Host) -> None:
    pid = host.unnamed_namespace()
    host.sh(f"ip netns add keep; ln -s /proc/{pid}/ns/net /run/netns/web; ln -s keep /run/netns/also")
    host.unchanged("netns", name=["web"])
    host.refuse("netns", rf"web.*{pid}", name=["web"], state="absent")
    host.refuse("netns", rf"web.*{pid}.*ignore", name=["web"], state="absent", processes="terminate")
    host.changed("netns", name=["web", "also"], state="absent", processes="ignore")
    assert host.namespaces() == ["keep"]
    assert host.try_sh("ip -n keep link show dev lo")
    assert host.alive(pid)


def test_removing_a_namespace_takes_both_ends_of_its_pairs(host: Host) -> None:
    host.apply("netns", name=["red"])
    host.sh("ip link add name v0 type veth peer name eth0 netns red")
    host.apply("netns", name=["red"], state="absent", faulty=False, settled=lambda: not host.links())
    assert host.links() == []


def test_a_removal_that_fails_gives_the_same_namespace_back(host: Host) -> None:
    host.sh("ip netns add red; ip netns add blue; ip link add name a netns red type veth peer name b netns blue")
    host.sh(
        "ip -n red addr add 10.0.0.1/24 dev a; ip -n red link set dev a up; ip -n red route add default via 10.0.0.2"
    )
    host.changed("netns", name=["red", "blue"], state="absent")
    assert host.namespaces() == []


# A namespace that processes hold


def test_a_namespace_with_a_process_inside_is_not_removed(host: Host) -> None:
    host.apply("netns", name=["red"])
    pid = host.process_in("red")
    assert host.unchanged("netns", name=["red"])["namespaces"][0]["pids"] == [pid]
    host.refuse("netns", rf"red.*{pid}", name=["red"], state="absent")
    assert host.alive(pid)


def test_with_ignore_the_name_goes_and_the_process_stays(host: Host) -> None:
    host.apply("netns", name=["red"])
    pid = host.process_in("red")
    host.changed("netns", name=["red"], state="absent", processes="ignore")
    assert host.namespaces() == []
    assert host.alive(pid)


def test_with_terminate_the_process_is_ended_and_the_namespace_with_it(host: Host) -> None:
    host.apply("netns", name=["red"])
    host.sh("ip link add name v0 type veth peer name eth0 netns red")
    pid = host.process_in("red")
    host.changed(
        "netns", name=["red"], state="absent", processes="terminate", faulty=False, settled=lambda: not host.links()
    )
    assert host.namespaces() == []
    assert not host.alive(pid)


def test_a_process_that_does_not_heed_sigterm_is_killed(host: Host) -> None:
    host.apply("netns", name=["red"])
    pid = host.process_in("red", "trap '' TERM; echo; exec sleep 600")
    host.changed("netns", name=["red"], state="absent", processes="terminate", faulty=False)
    assert not host.alive(pid)


def test_what_fails_before_the_processes_are_ended_leaves_them_alive(host: Host) -> None:
    host.apply("netns", name=["red"])
    pid = host.process_in("red")
    host.sh("mkdir -p /etc/netns/red")
    result = host.check("netns", name=["red"], state="absent", processes="terminate")
    assert str(pid) in result.operations[-1]


@pytest.mark.parametrize("holder", ["another mount", "an open descriptor"])
def test_a_namespace_that_something_else_holds_lives_on_without_its_name(host: Host, holder: str) -> None:
    host.sh("ip netns add red; ip link add name v0 type veth peer name eth0 netns red")
    if holder == "another mount":
        host.sh("touch /run/other; mount --bind /run/netns/red /run/other")
    else:
        host.process_in("host", "exec 9</run/netns/red; echo; exec sleep 600")
    host.changed("netns", name=["red"], state="absent")
    assert host.namespaces() == []
    assert host.links() == ["v0"]


def service(host: Host, propagation: str) -> int:
    """The pid of a process in a mount namespace of its own, as systemd starts services."""
    return host.process_in("host", f"exec unshare --mount --propagation {propagation} sh -c 'echo; exec sleep 600'")


def test_a_namespace_comes_and_goes_for_services_that_see_the_mounts_of_the_host(host: Host) -> None:
    # As on a host that systemd has booted.
    host.sh("mount --make-rshared /")
    pid = service(host, "slave")
    host.apply("netns", name=["red"])
    seen = host.sh(f"nsenter --mount=/proc/{pid}/ns/mnt stat --format %i /run/netns/red")
    assert int(seen) == inode("/run/netns/red")
    host.apply("veth", name="v0", peer={"name": "eth0", "netns": "red"})
    host.apply("netns", name=["red"], state="absent", faulty=False, settled=lambda: not host.links())
    assert not host.try_sh(f"nsenter --mount=/proc/{pid}/ns/mnt stat /run/netns/red")


def test_a_namespace_ends_also_where_a_service_has_a_copy_of_its_mount(host: Host) -> None:
    host.apply("netns", name=["red"])
    host.apply("veth", name="v0", peer={"name": "eth0", "netns": "red"})
    service(host, "private")
    host.changed("netns", name=["red"], state="absent", faulty=False, settled=lambda: not host.links())
    assert host.namespaces() == []
    host.changed("netns", name=["red"])
    assert host.links("red") == []


def test_namespaces_of_ip_and_of_the_module_go_together(host: Host) -> None:
    host.sh("mount --make-rshared /; ip netns add red")
    host.apply("netns", name=["blue"])
    host.unchanged("netns", name=["red"], loopback=False)
    assert host.sh("ip netns exec blue ip -o link").count("\n") == 1
    host.sh("ip netns delete blue")
    host.changed("netns", name=["red"], state="absent")
    assert host.namespaces() == []


def test_a_removed_namespace_can_be_made_again_at_once_with_the_same_links(host: Host) -> None:
    pair = {"name": "v0", "peer": {"name": "eth0", "netns": "red"}}
    host.apply("netns", name=["red"])
    host.apply("veth", **pair)
    for _each in range(3):
        host.apply("netns", name=["red"], state="absent", settled=lambda: not host.links())
        host.changed("netns", name=["red"])
        host.changed("veth", **pair)


# A namespace that others made


def test_a_living_namespace_is_given_a_name_by_pid(host: Host) -> None:
    pid = host.unnamed_namespace()
    host.changed("netns", name=["web"], attach=f"pid:{pid}")
    assert inode("/run/netns/web") == inode(f"/proc/{pid}/ns/net")
    host.unchanged("netns", name=["web"])


def test_a_living_namespace_is_given_a_name_by_path(host: Host) -> None:
    pid = host.unnamed_namespace()
    host.changed("netns", name=["web"], attach=f"/proc/{pid}/ns/net")
    assert inode("/run/netns/web") == inode(f"/proc/{pid}/ns/net")


def test_an_attached_namespace_outlives_its_process(host: Host) -> None:
    pid = host.unnamed_namespace()
    host.sh(f"nsenter --net=/proc/{pid}/ns/net ip link add name mark type veth peer name other")
    host.apply("netns", name=["web"], attach=f"pid:{pid}")
    host.end(pid)
    assert host.has_link("mark", "web")
    host.unchanged("netns", name=["web"])


def test_a_name_that_is_bound_to_another_namespace_is_not_attached(host: Host) -> None:
    pid = host.unnamed_namespace()
    host.apply("netns", name=["web"])
    host.refuse("netns", "web", name=["web"], attach=f"pid:{pid}")


def test_the_processes_of_an_attached_namespace_are_not_ended(host: Host) -> None:
    pid = host.unnamed_namespace()
    host.apply("netns", name=["web"], attach=f"pid:{pid}")
    host.refuse("netns", "attach", name=["web"], state="absent", processes="terminate")
    assert host.alive(pid)
    host.changed("netns", name=["web"], state="absent", processes="ignore")
    assert host.alive(pid)
    assert host.namespaces() == []


def test_a_namespace_with_two_names_loses_one_of_them(host: Host) -> None:
    host.apply("netns", name=["router"])
    host.changed("netns", name=["router2"], attach="/run/netns/router")
    assert inode("/run/netns/router2") == inode("/run/netns/router")
    host.changed("netns", name=["router2"], state="absent")
    assert host.namespaces() == ["router"]


def test_a_stale_file_is_replaced_by_what_is_attached(host: Host) -> None:
    pid = host.unnamed_namespace()
    host.sh("mkdir -p /run/netns; touch /run/netns/web")
    host.changed("netns", name=["web"], attach=f"pid:{pid}")
    assert inode("/run/netns/web") == inode(f"/proc/{pid}/ns/net")


def test_nothing_but_the_named_is_touched(host: Host) -> None:
    host.sh("ip netns add other; ip -n other link add name a type veth peer name b; nft add table inet theirs")
    before = host.snapshot()
    host.apply("netns", name=["red"], sysctl={"net.ipv4.ip_forward": 1})
    host.apply("netns", name=["red"], state="absent")
    assert before.differences(host.snapshot()) == []
    assert not Path("/etc/netns").exists()
