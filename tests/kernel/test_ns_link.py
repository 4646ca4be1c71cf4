# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ns_link: what is there already comes where it is declared, is mended in place, and is given back.

A macvlan and a tap stand for what people have: a physical interface can't be made.
"""

from __future__ import annotations

from typing import Any

import pytest
from support import runner
from support.host import Host

from ansible_collections.nslab.linux.plugins.module_utils._kernel._rtnetlink import Rtnetlink

pytestmark = pytest.mark.no_rules

MAC1, MAC2 = "02:00:00:00:00:01", "02:00:00:00:00:02"
TAP = "ip tuntap add mode tap name tap0; "


@pytest.fixture
def red(host: Host) -> Host:
    """A host with a tap and a namespace red."""
    host.sh(TAP + "ip netns add red; ip -n red link set dev lo up")
    return host


# Moving


def test_a_tap_is_moved_and_set_up_and_given_back_under_its_name(red: Host) -> None:
    declared: dict[str, Any] = {"name": "tap0", "netns": "red", "rename": "eth1"}
    result = red.changed(
        "ns_link",
        **declared,
        mac=MAC1,
        mtu=1400,
        promisc=True,
        addresses=["10.0.0.1/24", "fd00::1/64"],
        up=True,
    )
    assert red.links() == []
    seen = red.link("eth1", "red")
    assert (seen["address"], seen["mtu"], seen["promiscuity"]) == (MAC1, 1400, 1)
    assert red.is_up("eth1", "red")
    assert sorted(red.addresses("eth1", "red")) == ["10.0.0.1/24", "fd00::1/64"]
    link = result["link"]
    assert (link["name"], link["netns"], link["kind"], link["promisc"]) == ("eth1", "red", "tun", True)
    assert (link["mac"], link["mtu"], link["up"], link["index"]) == (MAC1, 1400, True, seen["ifindex"])
    assert link["addresses"] == ["10.0.0.1/24", "fd00::1/64"]

    back = red.changed("ns_link", **declared, state="absent")
    assert (back["link"]["name"], back["link"]["netns"], back["link"]["addresses"]) == ("tap0", "host", [])
    assert red.links("red") == []
    assert red.link("tap0")["address"] == MAC1
    assert not red.is_up("tap0")


def test_a_macvlan_in_a_namespace_is_a_machine_of_its_own_in_the_lan_of_the_host(host: Host) -> None:
    host.sh("""
        ip netns add lan; ip netns add red
        ip link add name nic type veth peer name gate netns lan
        ip -n lan addr add 10.0.0.254/24 dev gate; ip -n lan addr add fd00::254/64 dev gate nodad
        ip -n lan link set dev gate up; ip link set dev nic up
        ip link add link nic name mv0 type macvlan mode bridge
    """)
    host.changed("ns_link", name="mv0", netns="red", addresses=["10.0.0.7/24", "fd00::7/64"], up=True)
    assert host.ping("10.0.0.254", "red")
    host.wait_for(lambda: host.ping("fd00::254", "red"))  # when no duplicate was found
    (address,) = [each for each in host.ip("addr show dev mv0", "red")[0]["addr_info"] if each["local"] == "fd00::7"]
    assert not address.get("nodad"), "in a LAN of others a duplicate has to be found"
    before = host.snapshot()
    # Without failures: the kernel forgets the macvlan's address in the filter of what it stands on, for good.
    host.changed("ns_link", name="nic", rename="trunk", netns="lan", up=True, faulty=False)
    assert not [line for line in before.differences(host.snapshot()) if line.startswith("red/")]
    assert host.ping("10.0.0.254", "red")


def test_a_tun_has_no_mac_and_no_neighbours(red: Host) -> None:
    red.sh("ip tuntap add mode tun name tun0")
    result = red.changed("ns_link", name="tun0", netns="red", addresses=["10.0.0.1/24", "fd00::1/64"], up=True)
    assert (result["link"]["mac"], result.warnings) == (None, [])
    assert sorted(red.addresses("tun0", "red")) == ["10.0.0.1/24", "fd00::1/64"]


def test_a_tap_is_handed_to_a_container_by_pid_and_taken_back(host: Host) -> None:
    container = host.unnamed_namespace(label="container")
    host.sh(TAP + f"ip link add name eth0 type veth peer name other netns {container}")
    declared: dict[str, Any] = {"name": "tap0", "netns": f"pid:{container}", "rename": "eth1"}
    result = host.changed("ns_link", **declared, addresses=["10.5.0.2/24"], up=True)
    assert result["link"]["netns"] == f"pid:{container}"
    assert host.addresses("eth1", f"pid:{container}") == ["10.5.0.2/24"]
    host.changed("ns_link", **{**declared, "netns": f"/proc/{container}/ns/net"}, state="absent")
    assert host.links() == ["eth0", "tap0"]


def test_an_end_of_a_veth_goes_from_one_namespace_into_the_bridge_of_another(red: Host) -> None:
    red.sh("""
        ip netns add blue; ip -n blue link add name br0 up type bridge; ip -n blue addr add 10.0.0.1/24 dev br0
        ip link add name v1 type veth peer name eth0 netns red
        ip addr add 10.0.0.9/24 dev v1; ip link set dev v1 up
    """)
    result = red.changed("ns_link", name="eth0", netns="blue", up=True, master="br0", **{"from": "red"})
    assert result["link"]["peer"] == {"name": "v1", "netns": "host"}
    assert red.link("eth0", "blue")["master"] == "br0"
    assert red.ping("10.0.0.1")
    red.changed("ns_link", name="eth0", netns="blue", state="absent", **{"from": "red"})
    assert red.links("red") == ["eth0"]


def test_what_a_move_takes_comes_back_when_it_fails_and_is_told(red: Host) -> None:
    red.watch_sysctl("net/ipv4/conf/tap0/proxy_arp")
    red.sh("""
        ip link set dev tap0 mtu 1400 promisc on up; ip link add name br0 type bridge; ip link set dev tap0 master br0
        ip addr add 10.0.0.1/24 dev tap0; ip addr add 10.0.0.2/24 dev tap0; ip addr add fd00::1/64 dev tap0
        ip route add 10.9.0.0/16 via 10.0.0.9 table 77; ip -6 route add fd09::/16 via fd00::9
        echo 1 > /proc/sys/net/ipv4/conf/tap0/proxy_arp; echo 0 > /proc/sys/net/ipv6/conf/tap0/accept_ra
    """)
    # That it all comes back is shown by the failures at every place.
    foretold = runner.run("ns_link", {"name": "tap0", "netns": "red", "addresses": ["10.0.0.1/24"]}, check=True)
    (warning,) = foretold.warnings
    for lost in ("10.0.0.2/24", "fd00::1/64", "bridge br0", "10.9.0.0/16", "fd09::/16", "tap0/proxy_arp=1", "up"):
        assert lost in warning
    assert "10.0.0.1/24," not in warning
    red.changed("ns_link", name="tap0", netns="red", addresses=["10.0.0.1/24"])
    assert (red.addresses("tap0", "red"), red.is_up("tap0", "red")) == (["10.0.0.1/24"], False)
    assert (red.link("tap0", "red")["mtu"], red.link("tap0", "red")["promiscuity"]) == (1400, 1)
    red.sh("ip -n red link set dev tap0 up; ip -n red route add default via 10.0.0.9")
    red.sh("ip netns exec red sh -c 'echo 1 > /proc/sys/net/ipv4/conf/tap0/forwarding'")
    red.changed("ns_link", name="tap0", netns="red", state="absent")
    assert red.links() == ["br0", "tap0"]


@pytest.mark.once
def test_alternative_names_are_known(red: Host) -> None:
    red.sh("ip -n red link add name x type bridge; ip -n red link property add dev x altname eth0 altname eth1")
    red.sh("ip link property add dev tap0 altname long0 altname long1")
    for taken in ("eth0", "eth1", "long0"):
        match = (
            f"tap0 on the host can't be called {taken} in red.*{'x' if 'eth' in taken else 'tap0'}: .*altname {taken}"
        )
        red.refuse("ns_link", match, name="tap0", netns="red", rename=taken)
    red.refuse("ns_link", "long1 on the host is an alternative name of link tap0", name="long1", netns="red")
    red.changed("ns_link", name="tap0", netns="red", rename="eth2")
    assert red.link("eth2", "red")["altnames"] == ["long0", "long1"]


# In place


def test_each_option_is_changed_and_what_is_left_out_is_not_managed(red: Host) -> None:
    red.sh("ip link add name br0 type bridge; ip link add name br1 type bridge")
    red.sh("ip link set dev tap0 mtu 1400 promisc on up master br0; ip address add 10.0.0.1/24 dev tap0")
    red.unchanged("ns_link", name="tap0")
    for option, value, key, seen in (
        ("mac", MAC2, "address", MAC2),
        ("mtu", 1300, "mtu", 1300),
        ("promisc", False, "promiscuity", 1),  # which it is as a port
        ("master", "br1", "master", "br1"),
        ("master", "", "master", None),
        ("promisc", True, "promiscuity", 1),
        ("promisc", False, "promiscuity", 0),
        ("up", False, "flags", ["BROADCAST", "MULTICAST"]),
        ("rename", "lan0", "ifname", "lan0"),
    ):
        result = red.changed("ns_link", name="tap0", **{option: value})
        assert len(result.operations) == 1
        assert red.link("lan0" if option == "rename" else "tap0").get(key) == seen


def test_drift_of_every_attribute_is_mended(red: Host) -> None:
    red.sh("ip -n red link add name br0 type bridge; ip -n red link add name br1 type bridge")
    declared: dict[str, Any] = {"name": "tap0", "netns": "red", "rename": "eth1", "mac": MAC1, "mtu": 1400}
    declared.update(promisc=True, up=True, master="br0", addresses=["10.0.0.1/24", "fd00::1/64"], purge_addresses=True)
    red.apply("ns_link", **declared)
    for drift in (
        f"ip -n red link set dev eth1 mtu 1300 address {MAC2} promisc off",
        "ip -n red link set dev eth1 down nomaster; ip -n red address add 10.9.9.9/24 dev eth1",
        "ip -n red link set dev eth1 master br1; ip -n red address delete fd00::1/64 dev eth1",
        "ip -n red link set dev eth1 name other; ip -n red link set dev other name tap0",
        "ip -n red link set dev eth1 netns /proc/$$/ns/net name tap0",
    ):
        before = red.snapshot()
        red.sh(drift)
        red.changed("ns_link", **declared)
        changes = [line for line in before.differences(red.snapshot()) if "/addresses" not in line]
        assert not changes, f"after {drift}: {changes}"
        assert sorted(red.addresses("eth1", "red")) == ["10.0.0.1/24", "fd00::1/64"]


def test_addresses_of_others_stay_unless_they_are_purged(red: Host) -> None:
    red.sh("ip address add 10.0.0.1/24 dev tap0; ip address add fd00::1/64 dev tap0; ip link set dev tap0 up")
    red.changed("ns_link", name="tap0", addresses=["10.1.0.1/24"])
    assert sorted(red.addresses("tap0")) == ["10.0.0.1/24", "10.1.0.1/24", "fd00::1/64"]
    red.changed("ns_link", name="tap0", addresses=["10.1.0.1/24"], purge_addresses=True)
    assert red.addresses("tap0") == ["10.1.0.1/24"]
    red.changed("ns_link", name="lo", netns="red", addresses=["10.7.7.7/32"], up=False)
    assert red.addresses("lo", "red") == ["10.7.7.7/32"]


def test_a_running_link_is_renamed_with_all_that_goes_by_it(red: Host) -> None:
    red.sh("ip address add 10.0.0.1/24 dev tap0; ip link set dev tap0 up; ip route add 10.9.0.0/16 via 10.0.0.9")
    red.changed("ns_link", name="tap0", rename="lan0")
    assert [(route["dst"], route["dev"]) for route in red.routes()] == [("10.9.0.0/16", "lan0")]
    red.changed("ns_link", name="tap0", rename="lan0", state="absent")
    assert red.links() == ["tap0"]


def test_the_mtu_is_taken_over_from_the_link_of_the_default_route(red: Host) -> None:
    red.sh("ip link add name wan mtu 1380 type veth peer name wan2; ip address add 10.6.0.1/24 dev wan")
    red.sh("ip link set dev wan up; ip link set dev wan2 up; ip route add default via 10.6.0.2")
    red.changed("ns_link", name="tap0", netns="red", mtu_from="auto")
    assert red.link("tap0", "red")["mtu"] == 1380
    red.changed("ns_link", name="tap0", netns="red", mtu_from="wan2")
    assert red.link("tap0", "red")["mtu"] == 1500


# absent


def test_absent_is_satisfied_when_the_link_is_not_in_the_namespace(red: Host) -> None:
    red.unchanged("ns_link", name="tap0", netns="red", state="absent")
    assert red.unchanged("ns_link", name="nosuch", netns="red", state="absent")["link"] is None
    red.unchanged("ns_link", name="nosuch", netns="nowhere", state="absent")
    red.sh("ip -n red link add name tap0 type veth peer name x")
    red.unchanged("ns_link", name="tap0", netns="red", rename="eth1", state="absent")
    red.refuse("ns_link", r"tap0 in red.*tap0 on the host", name="tap0", netns="red", state="absent")


# What can't be


def test_what_is_not_there_or_could_be_two_is_refused(red: Host) -> None:
    red.refuse("ns_link", "nosuch on the host", name="nosuch", in_check_mode=False)
    red.refuse("ns_link", "nosuch on the host.*x in red", name="nosuch", netns="red", rename="x", in_check_mode=False)
    red.refuse("ns_link", "nowhere", name="tap0", netns="nowhere", in_check_mode=False)
    red.refuse("ns_link", "nowhere", name="nosuch", netns="red", in_check_mode=False, **{"from": "nowhere"})
    red.refuse("ns_link", "/run/nosuch", name="tap0", netns="red", **{"from": "/run/nosuch"})
    red.refuse("ns_link", "nosuch", name="tap0", master="nosuch", in_check_mode=False)
    red.refuse("ns_link", "nosuch", name="tap0", mtu_from="nosuch", in_check_mode=False)
    red.sh("ip -n red link add name eth1 type veth peer name tap0")
    red.refuse("ns_link", "eth1 in red.*tap0 on the host", name="tap0", netns="red", rename="eth1")
    red.refuse("ns_link", "tap0 on the host or tap0 in red", name="tap0", netns="red", rename="eth2")
    red.refuse("ns_link", "tap0 in red.*tap0 on the host", name="tap0", netns="red", **{"from": "host"})
    red.unchanged("ns_link", name="tap0", netns="red")


@pytest.mark.once
def test_what_the_kernel_keeps_in_its_namespace_is_refused_before_anything_is_touched(red: Host) -> None:
    red.sh("ip link add name br0 type bridge")
    red.refuse("ns_link", "br0 on the host.*bridge.*does not move", name="br0", netns="red", mtu=1400)
    red.refuse("ns_link", "lo in red.*lo on the host", name="lo", netns="red", **{"from": "host"})
    red.refuse("ns_link", "lo", name="lo", rename="lo1")
    red.refuse("ns_link", "lo", name="tap0", rename="lo")
    red.refuse("ns_link", "br0.*can't be a port", name="br0", master="br1")
    red.refuse("ns_link", "lo.*can't be a port", name="lo", master="br0")
    red.refuse("ns_link", "tap0 on the host is taken: br0 on the host", name="br0", rename="tap0")


@pytest.mark.once
def test_the_link_of_the_hosts_default_route_is_left_alone_without_force(red: Host) -> None:
    red.sh("ip address add 10.0.0.1/24 dev tap0; ip link set dev tap0 up; ip route add default via 10.0.0.9")
    for risk in (
        {"netns": "red"},
        {"rename": "x"},
        {"mac": MAC1},
        {"up": False},
        {"addresses": [], "purge_addresses": True},
    ):
        red.refuse("ns_link", "tap0.*default route.*force", name="tap0", **risk)
    red.changed("ns_link", name="tap0", netns="red", force=True, addresses=["10.0.0.1/24"], up=True)


MALFORMED: list[tuple[dict[str, Any], str]] = [
    ({"name": "sixteen-letters-"}, r"16.*15"),
    ({"name": "a/b"}, "name"),
    ({"rename": "sixteen-letters-"}, r"16.*15"),
    ({"rename": ""}, "name"),
    ({"rename": "all"}, "name"),
    ({"netns": "pid:0"}, "pid:0"),
    ({"netns": "container:web"}, "reserved"),
    ({"from": "../red"}, "name"),
    ({"from": ""}, "name"),
    ({"addresses": ["10.0.0.1"]}, "prefix"),
    ({"addresses": ["10.0.0.1/24", "10.0.0.1/16"]}, "twice"),
    ({"purge_addresses": "often"}, "purge_addresses"),
    ({"mac": 41135829296}, "quote"),
    ({"mac": "01:00:00:00:00:01"}, "mac"),
    ({"mtu": 67}, "mtu"),
    ({"mtu": 65536}, "mtu"),
    ({"mtu_from": "a b"}, "name"),
    ({"mtu": 1400, "mtu_from": "auto"}, "mutually exclusive"),
    ({"up": "yes please"}, "up"),
    ({"master": "a/b"}, "name"),
    ({"master": "tap0"}, "itself"),
    ({"promisc": "x"}, "promisc"),
    ({"force": "x"}, "force"),
    ({"state": "gone"}, "state"),
]


@pytest.mark.once
def test_malformed_options(red: Host) -> None:
    for options, match in MALFORMED:
        red.refuse("ns_link", match, **{"name": "tap0", **options})


@pytest.mark.once
def test_values_that_only_the_kernel_can_refuse_leave_nothing_behind(red: Host) -> None:
    red.sh("ip link add name v0 type veth peer name v1; ip link add link v0 name mv0 type macvlan")
    red.refuse("ns_link", r"mv0.*mtu 1600.*the kernel answered", name="mv0", netns="red", mtu=1600, in_check_mode=False)
    red.sh("ip tuntap add mode tun name tun0; ip address add fd00::1/64 dev tap0")
    red.refuse("ns_link", "tun0 on the host has no MAC", name="tun0", netns="red", rename="x", mac=MAC1)
    red.refuse("ns_link", r"MTU 1200.*1280", name="tap0", mtu=1200)
    red.refuse("ns_link", "1280", name="tap0", netns="red", mtu=1200, addresses=["fd00::2/64"])
    red.sh("ip link add name ifb7 type ifb")
    red.refuse("ns_link", "its driver takes no other", name="ifb7", netns="red", mac=MAC1, in_check_mode=False)


@pytest.mark.once
def test_a_name_that_is_taken_while_the_task_runs_leaves_the_link_at_home(
    red: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    red.sh("ip address add 10.9.0.1/24 dev tap0; ip link set dev tap0 up")
    before = red.snapshot()
    send, taken = Rtnetlink.send, []

    def send_late(self: Rtnetlink, *request: Any) -> Any:
        if not taken:
            taken.append(red.sh("ip -n red tuntap add mode tap name eth1"))
        return send(self, *request)

    monkeypatch.setattr(Rtnetlink, "send", send_late)
    result = runner.run("ns_link", {"name": "tap0", "netns": "red", "rename": "eth1"})
    assert result["rolled_back"] is True
    assert "could not set link tap0 in red name eth1: the kernel answered 'File exists'" in result["msg"]
    red.sh("ip -n red link delete dev eth1")
    assert not before.differences(red.snapshot())


def test_in_check_mode_a_namespace_and_a_link_may_be_coming(host: Host) -> None:
    result = host.check("ns_link", name="tap0", netns="red", rename="eth1", addresses=["10.0.0.1/24"], up=True)
    assert result.operations == [
        "ip link set dev tap0 netns red",
        "ip -n red link set dev tap0 name eth1",
        "ip -n red addr add 10.0.0.1/24 dev eth1",
        "ip -n red link set dev eth1 up",
    ]
    assert result.warnings == ["check mode: assumed to be coming: namespace red, link tap0 on the host"]
    host.sh(TAP + "ip netns add red")
    host.changed("ns_link", name="tap0", netns="red", rename="eth1", addresses=["10.0.0.1/24"], up=True)
