# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""veth: pairs come where they are declared, are mended in place, and go."""

from __future__ import annotations

from typing import Any

import pytest
from support import faults, runner
from support.host import Host

pytestmark = pytest.mark.no_rules

MAC1, MAC2, MAC3 = "02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03"


def pair(**first: Any) -> dict[str, Any]:
    """A pair between the host and red; `peer` adds to the far end."""
    peer = {"name": "eth0", "netns": "red", **first.pop("peer", {})}
    return {"name": "to-red", **first, "peer": peer}


@pytest.fixture
def red(host: Host) -> Host:
    """A host with a namespace red."""
    host.sh("ip netns add red; ip -n red link set dev lo up")
    return host


@pytest.fixture
def red_and_blue(red: Host) -> Host:
    red.sh("ip netns add blue; ip -n blue link set dev lo up")
    return red


# Making


def test_a_pair_is_made_up_at_both_ends_and_carries_packets(red: Host) -> None:
    result = red.changed(
        "veth", **pair(addresses=["10.0.0.1/24"], peer={"addresses": ["10.0.0.2/24"], "mac": MAC2, "mtu": 1400})
    )
    assert red.ping("10.0.0.2")
    assert red.ping("10.0.0.1", "red")
    near, far = result["pairs"][0]
    seen = red.link("eth0", "red")
    assert (far["name"], far["netns"], far["kind"]) == ("eth0", "red", "veth")
    assert (far["mac"], far["mtu"], far["up"]) == (MAC2, 1400, True)
    assert far["addresses"] == ["10.0.0.2/24"]
    assert far["index"] == seen["ifindex"]
    assert far["peer"] == {"name": "to-red", "netns": "host"}
    assert near["peer"] == {"name": "eth0", "netns": "red"}
    assert (near["mac"], near["master"]) == (red.link("to-red")["address"], None)


def test_a_pair_is_made_and_removed(red: Host) -> None:
    red.changed("veth", **pair())
    red.changed("veth", name="to-red", state="absent")
    assert red.links() == []
    assert red.links("red") == []
    red.unchanged("veth", name="to-red", state="absent")


def test_a_pair_in_one_namespace(host: Host) -> None:
    host.changed("veth", name="a", peer={"name": "b"})
    assert host.links() == ["a", "b"]


def test_a_pair_inside_a_namespace_that_is_not_the_hosts(red: Host) -> None:
    red.changed("veth", name="a", netns="red", peer={"name": "b", "netns": "red"})
    assert red.links("red") == ["a", "b"]
    assert red.links() == []


def test_a_pair_between_two_namespaces_may_have_one_name_at_both_ends(red_and_blue: Host) -> None:
    host = red_and_blue
    ends = {
        "name": "eth0",
        "netns": "red",
        "addresses": ["10.0.0.1/24"],
        "peer": {"name": "eth0", "netns": "blue", "addresses": ["10.0.0.2/24"]},
    }
    host.changed("veth", **ends)
    assert host.ping("10.0.0.2", "red")
    assert host.links() == []


def test_a_pair_is_dual_stack(red: Host) -> None:
    near, far = ["10.0.0.1/24", "fd00:1::1/64"], ["10.0.0.2/24", "fd00:1::2/64"]
    red.changed("veth", **pair(addresses=near, peer={"addresses": far}))
    assert red.addresses("eth0", "red") == far
    assert red.ping("10.0.0.2")
    assert red.ping("fd00:1::2")


def test_the_ends_may_be_left_down(red: Host) -> None:
    red.changed("veth", **pair(up=False, peer={"up": False}))
    assert not red.is_up("to-red")
    assert not red.is_up("eth0", "red")


def test_links_called_like_keywords_of_ip_work(red: Host) -> None:
    red.changed("veth", name="d", addresses=["10.0.0.1/24"], peer={"name": "brd", "netns": "red", "mtu": 1400})
    assert red.link("brd", "red")["mtu"] == 1400
    red.changed("veth", name="d", addresses=["10.0.0.3/24"], mtu=1400, peer={"name": "up", "netns": "red"})
    assert red.links("red") == ["up"]
    red.changed("veth", name="d", state="absent")


def test_a_name_of_fifteen_characters_is_allowed(red: Host) -> None:
    red.changed("veth", name="a" * 15, peer={"name": "b.c@d+e-f", "netns": "red"})
    assert red.links() == ["a" * 15]


def test_ends_in_namespaces_that_have_no_name(host: Host) -> None:
    by_path, by_pid = host.unnamed_namespace(label="one"), host.unnamed_namespace(label="two")
    ends = {
        "name": "a",
        "netns": f"/proc/{by_path}/ns/net",
        "addresses": ["10.0.0.1/24"],
        "peer": {"name": "b", "netns": f"pid:{by_pid}", "addresses": ["10.0.0.2/24"]},
    }
    near, far = host.changed("veth", **ends)["pairs"][0]
    assert (near["netns"], far["netns"]) == (f"/proc/{by_path}/ns/net", f"pid:{by_pid}")
    assert host.ping("10.0.0.2", f"pid:{by_path}")
    host.changed("veth", **{**ends, "mtu": 1400, "addresses": ["10.0.0.3/24"]})
    host.changed("veth", name="b", netns=f"pid:{by_pid}", state="absent")


def test_a_namespace_whose_name_is_a_number_is_not_taken_for_a_process(host: Host) -> None:
    host.sh("ip netns add 4711")
    host.changed("veth", name="a", peer={"name": "b", "netns": "4711"})
    assert host.links("4711") == ["b"]


# Many pairs


def star(names: list[str], **near: Any) -> list[dict[str, Any]]:
    return [
        {
            "name": f"to-{name}",
            **near,
            "peer": {"name": "eth0", "netns": name, "addresses": [f"10.0.0.{number}/24"]},
        }
        for number, name in enumerate(names, start=2)
    ]


def test_many_pairs_are_made_changed_and_removed_in_one_task(host: Host) -> None:
    names = ["red", "green", "blue"]
    host.sh(
        "; ".join(f"ip netns add {name}" for name in names)
        + "; ip link add name br0 type bridge; ip link set dev br0 up"
    )
    result = host.changed("veth", pairs=star(names, master="br0"))
    assert [far["netns"] for _near, far in result["pairs"]] == names
    assert host.ping("10.0.0.4", "red")
    host.sh("ip link delete dev to-green")
    again = host.changed("veth", pairs=star(names, master="br0"))
    assert not any("blue" in operation or "red" in operation for operation in again.operations)
    assert host.ping("10.0.0.3", "red")
    host.changed("veth", pairs=star(names), state="absent")
    assert host.links() == ["br0"]


def test_a_task_in_which_one_pair_can_not_be_makes_none(red: Host) -> None:
    pairs = [pair(), {"name": "to-red", "peer": {"name": "eth1", "netns": "red"}}]
    red.refuse("veth", "to-red", pairs=pairs)
    assert red.links() == []


# Changing: each option


@pytest.mark.parametrize(
    ("option", "before", "after", "key", "seen"),
    [
        ("mtu", 1400, 1300, "mtu", 1300),
        ("mac", MAC1, MAC2, "address", MAC2),
        ("up", True, False, "flags", ["BROADCAST", "MULTICAST"]),
    ],
)
@pytest.mark.parametrize("end", ["near", "far"])
def test_an_option_is_changed(red: Host, end: str, option: str, before: Any, after: Any, key: str, seen: Any) -> None:
    def declared(value: Any) -> dict[str, Any]:
        return pair(**{option: value}) if end == "near" else pair(peer={option: value})

    red.apply("veth", **declared(before))
    result = red.changed("veth", **declared(after))
    assert len(result.operations) == 1
    assert (red.link("to-red") if end == "near" else red.link("eth0", "red"))[key] == seen


def test_a_mac_is_compared_without_regard_to_case_and_separators(red: Host) -> None:
    red.apply("veth", **pair(mac="02-00-00-00-AB-CD"))
    assert red.link("to-red")["address"] == "02:00:00:00:ab:cd"
    red.unchanged("veth", **pair(mac="02:00:00:00:ab:CD"))


def test_what_is_left_out_is_not_managed(red: Host) -> None:
    red.apply("veth", **pair(mac=MAC1, mtu=1400, addresses=["10.0.0.1/24"]))
    red.sh("ip link add name br0 type bridge; ip link set dev to-red master br0")
    red.unchanged("veth", **pair())


def test_drift_of_every_attribute_is_mended(red: Host) -> None:
    red.sh("ip link add name br0 type bridge; ip link add name br1 type bridge; ip link set dev br0 up")
    far = {"mac": MAC2, "mtu": 1400, "addresses": ["10.0.0.2/24", "fd00::2/64"]}
    declared = pair(mac=MAC1, mtu=1400, addresses=["10.0.0.1/24", "fd00::1/64"], master="br0", peer=far)
    red.apply("veth", **declared)
    for drift in (
        "ip link set dev to-red mtu 1300",
        f"ip link set dev to-red address {MAC3}",
        "ip link set dev to-red down",
        "ip link set dev to-red master br1",
        "ip link set dev to-red nomaster",
        "ip address add 10.9.9.9/24 dev to-red",
        "ip address delete 10.0.0.1/24 dev to-red",
        "ip address delete fd00::1/64 dev to-red",
        "ip address flush dev to-red scope global",
        "ip -n red link set dev eth0 down",
        "ip -n red link set dev eth0 name eth1",
        f"ip -n red link set dev eth0 down mtu 1300 address {MAC3}; ip -n red address flush dev eth0",
        f"ip link set dev to-red down mtu 1300 address {MAC3} nomaster; ip address flush dev to-red",
    ):
        before = red.snapshot()
        red.sh(drift)
        red.changed("veth", **declared)
        changes = [line for line in before.differences(red.snapshot()) if "/addresses" not in line]
        assert not changes, f"after {drift}: {changes}"
        assert set(red.addresses("to-red")) == {"10.0.0.1/24", "fd00::1/64"}
        assert set(red.addresses("eth0", "red")) == {"10.0.0.2/24", "fd00::2/64"}


def test_the_bridge_of_an_end_is_changed(red: Host) -> None:
    red.sh("ip link add name br0 type bridge; ip link add name br1 type bridge")
    red.apply("veth", **pair(master="br0"))
    red.changed("veth", **pair(master="br1"))
    assert red.link("to-red")["master"] == "br1"


def test_the_peers_bridge_is_in_the_peers_namespace(red: Host) -> None:
    red.sh("ip -n red link add name br0 type bridge")
    red.changed("veth", **pair(peer={"master": "br0"}))
    assert red.link("eth0", "red")["master"] == "br0"


# Addresses


def test_addresses_that_are_not_declared_are_removed(red: Host) -> None:
    red.apply("veth", **pair(addresses=["10.0.0.1/24", "10.1.0.1/24", "fd00::1/64"]))
    red.changed("veth", **pair(addresses=["10.1.0.1/24"]))
    assert red.addresses("to-red") == ["10.1.0.1/24"]
    red.changed("veth", **pair(addresses=[]))
    assert red.addresses("to-red") == []


def test_addresses_that_are_not_declared_stay_without_purge(red: Host) -> None:
    red.apply("veth", **pair(addresses=["10.0.0.1/24"]))
    red.changed("veth", **pair(addresses=["10.1.0.1/24"], purge_addresses=False))
    assert red.addresses("to-red") == ["10.0.0.1/24", "10.1.0.1/24"]


def test_the_prefix_length_of_an_address_is_changed(red: Host) -> None:
    red.apply("veth", **pair(addresses=["10.0.0.1/24", "fd00::1/64"]))
    red.changed("veth", **pair(addresses=["10.0.0.1/16", "fd00::1/48"]))
    assert red.addresses("to-red") == ["10.0.0.1/16", "fd00::1/48"]


def test_a_secondary_that_goes_with_its_primary_is_put_back(red: Host) -> None:
    red.apply("veth", **pair(addresses=["10.0.0.1/24", "10.0.0.2/24", "10.0.0.3/24"]))
    red.changed("veth", **pair(addresses=["10.0.0.2/24", "10.0.0.3/24"]))
    assert red.addresses("to-red") == ["10.0.0.2/24", "10.0.0.3/24"]


def test_a_secondary_that_the_kernel_promotes_is_not_put_back_twice(red: Host) -> None:
    red.apply("veth", **pair(addresses=["10.0.0.1/24", "10.0.0.2/24"]))
    red.sh("echo 1 > /proc/sys/net/ipv4/conf/to-red/promote_secondaries")
    red.changed("veth", **pair(addresses=["10.0.0.2/24"]))
    assert red.addresses("to-red") == ["10.0.0.2/24"]


def test_a_foreign_secondary_survives_when_its_primary_is_changed(red: Host) -> None:
    red.apply("veth", **pair(addresses=["10.0.0.1/24"]))
    red.sh("ip address add 10.0.0.9/24 dev to-red label to-red:x")
    red.changed("veth", **pair(addresses=["10.0.0.1/25"], purge_addresses=False))
    assert "10.0.0.9/24" in red.addresses("to-red")


def test_routes_that_the_kernel_drops_with_an_address_come_back_when_the_removal_is_undone(red: Host) -> None:
    red.apply("veth", **pair(addresses=["10.0.0.1/24", "10.5.0.1/24"]))
    red.sh("ip route add 10.7.0.0/16 via 10.0.0.2; ip route add 10.8.0.0/16 dev to-red src 10.0.0.1 metric 7")
    red.sh("ip route add 10.9.0.0/16 via 10.5.0.2 mtu 1200 table 77")
    # That is shown by the failures at every place: the host is compared with its routes.
    red.changed("veth", **pair(addresses=["10.5.0.1/24"]))
    assert [route["dst"] for route in red.routes(table="77")] == ["10.9.0.0/16"]


def test_routes_of_others_survive_when_an_address_is_replaced(red: Host) -> None:
    red.apply("veth", **pair(addresses=["10.0.0.1/24"]))
    red.sh(
        "ip route add 10.7.0.0/16 via 10.0.0.2; ip route add 10.8.0.0/16 dev to-red; ip route add 10.9.0.0/16 via 10.0.0.3 table 77"
    )
    before = red.routes() + red.routes(table="77")
    red.changed("veth", **pair(addresses=["10.0.0.1/25"]))
    assert red.routes() + red.routes(table="77") == before
    red.changed("veth", **pair(addresses=["10.0.0.4/24"]))
    assert red.routes() + red.routes(table="77") == before


def test_dynamic_and_link_local_addresses_are_never_looked_at(red: Host) -> None:
    red.apply("veth", **pair(addresses=["10.0.0.1/24"]))
    red.sh("ip address add 10.3.0.1/24 dev to-red valid_lft 900 preferred_lft 900")
    red.sh("ip address add 169.254.3.1/16 dev to-red scope link; ip address add fe80::77/64 dev to-red")
    red.unchanged("veth", **pair(addresses=["10.0.0.1/24"]))


def test_an_address_that_is_dynamic_becomes_static_when_it_is_declared(red: Host) -> None:
    red.apply("veth", **pair(addresses=[]))
    red.sh("ip address add 10.0.0.1/24 dev to-red valid_lft 900 preferred_lft 900")
    red.changed("veth", **pair(addresses=["10.0.0.1/24"]))
    (address,) = red.ip("addr show dev to-red")[0]["addr_info"][:1]
    assert address["valid_life_time"] == 2**32 - 1


def test_ipv6_addresses_outlive_a_link_that_is_taken_down_for_a_new_mac(red: Host) -> None:
    red.apply("veth", **pair(addresses=["fd00::1/64"], peer={"addresses": ["fd00::2/64"]}))
    red.changed("veth", **pair(addresses=["fd00::1/64"], mac=MAC1, peer={"addresses": ["fd00::2/64"], "mac": MAC2}))
    assert red.addresses("to-red") == ["fd00::1/64"]
    assert red.ping("fd00::2")


# Which link is the pair


def test_a_peer_that_was_renamed_gets_its_name_back(red: Host) -> None:
    red.apply("veth", **pair(peer={"addresses": ["10.0.0.2/24"]}))
    red.sh("ip -n red link set dev eth0 name other")
    index = red.link("other", "red")["ifindex"]
    red.changed("veth", **pair(peer={"addresses": ["10.0.0.2/24"]}))
    assert red.links("red") == ["eth0"]
    assert red.link("eth0", "red")["ifindex"] == index
    assert red.addresses("eth0", "red") == ["10.0.0.2/24"]


def test_a_peer_that_was_moved_is_brought_back_with_its_addresses(red_and_blue: Host) -> None:
    host = red_and_blue
    declared = pair(addresses=["10.0.0.1/24"], peer={"addresses": ["10.0.0.2/24"]})
    host.apply("veth", **declared)
    host.sh("ip -n red link set dev eth0 netns blue")
    host.changed("veth", **declared)
    assert host.links("blue") == []
    assert host.ping("10.0.0.2")


def test_a_peer_is_moved_and_renamed_when_it_is_declared_elsewhere(red_and_blue: Host) -> None:
    host = red_and_blue
    host.apply("veth", **pair(peer={"addresses": ["10.0.0.2/24"]}))
    host.changed("veth", name="to-red", peer={"name": "uplink", "netns": "blue", "addresses": ["10.0.0.2/24"]})
    assert host.links("red") == []
    assert host.addresses("uplink", "blue") == ["10.0.0.2/24"]


def test_a_peer_is_moved_where_its_old_name_is_taken(red_and_blue: Host) -> None:
    host = red_and_blue
    host.apply("veth", **pair())
    host.sh("ip -n blue link add name eth0 type bridge")
    host.changed("veth", name="to-red", peer={"name": "eth1", "netns": "blue"})
    assert host.links("blue") == ["eth0", "eth1"]


def test_a_first_end_that_was_moved_is_brought_back(red_and_blue: Host) -> None:
    host = red_and_blue
    declared = pair(addresses=["10.0.0.1/24"], peer={"addresses": ["10.0.0.2/24"]})
    host.apply("veth", **declared)
    host.sh("ip link set dev to-red netns blue")
    host.changed("veth", **declared)
    assert host.links("blue") == []
    assert host.ping("10.0.0.2")


def test_a_first_end_that_was_renamed_makes_the_peer_anothers(red: Host) -> None:
    red.apply("veth", **pair())
    red.sh("ip link set dev to-red name other")
    red.refuse("veth", r"eth0.*red.*other", **pair())


def test_two_ends_of_different_pairs_are_refused(red: Host) -> None:
    red.sh("ip link add name to-red type veth peer name x; ip -n red link add name eth0 type veth peer name y")
    red.refuse("veth", "eth0", **pair())


@pytest.mark.parametrize("place", ["near", "far"])
def test_another_kind_of_link_under_the_name_is_refused(red: Host, place: str) -> None:
    red.sh("ip link add name to-red type bridge" if place == "near" else "ip -n red link add name eth0 type bridge")
    red.refuse("veth", rf"{'to-red' if place == 'near' else 'eth0'}.*bridge", **pair())


def test_absent_does_not_remove_another_kind_of_link(red: Host) -> None:
    red.sh("ip link add name to-red type bridge")
    red.refuse("veth", "bridge", name="to-red", state="absent")


def test_a_name_that_another_begins_with_is_told_apart(red: Host) -> None:
    red.apply("veth", **pair())
    red.sh("ip link add name to-red2 type veth peer name x")
    red.changed("veth", name="to-red", state="absent")
    assert red.links() == ["to-red2", "x"]


def test_absent_is_satisfied_when_one_end_is_gone_or_its_namespace(red: Host) -> None:
    red.unchanged("veth", name="to-red", netns="nowhere", state="absent")
    red.apply("veth", **pair())
    red.unchanged("veth", name="eth7", netns="red", state="absent")
    red.changed("veth", **pair(), state="absent")
    assert red.links("red") == []


def test_absent_finds_the_pair_by_its_peer(red: Host) -> None:
    red.apply("veth", **pair())
    red.changed("veth", name="eth0", netns="red", state="absent")
    assert red.links() == []


def test_a_removal_that_fails_gives_the_pair_back_with_all_it_had(red: Host) -> None:
    red.sh("ip link add name br0 type bridge; ip link set dev br0 up")
    red.apply("veth", **pair(mac=MAC1, mtu=1400, master="br0", peer={"addresses": ["10.0.0.2/24", "fd00::2/64"]}))
    red.sh("ip -n red route add default via 10.0.0.1; ip -n red route add 10.8.0.0/16 dev eth0 metric 5 table 77")
    red.sh("ip netns exec red sh -c 'echo 1 > /proc/sys/net/ipv4/conf/eth0/forwarding'")
    red.changed("veth", name="to-red", state="absent")


@pytest.mark.once
def test_a_removal_that_fails_gives_the_pair_back_with_its_indexes(red: Host) -> None:
    red.sh("ip link add name other type veth peer name another")
    red.apply("veth", **pair())
    before = red.snapshot()
    gone = {"name": "to-red", "state": "absent"}
    for place in faults.places(red.check("veth", **gone).operations):
        with faults.failing(place):
            assert runner.run("veth", gone).failed
        assert red.snapshot().indexes == before.indexes


# Links that others need


def test_no_packet_is_lost_when_there_is_nothing_to_change(red: Host) -> None:
    declared = pair(mac=MAC1, mtu=1400, addresses=["10.0.0.1/24"], peer={"addresses": ["10.0.0.2/24"]})
    red.apply("veth", **declared)
    assert red.ping("10.0.0.2")
    with red.pinging("10.0.0.2"):
        red.unchanged("veth", **declared)


def test_addresses_of_the_end_that_carries_the_default_route_are_removed_only_with_force(red: Host) -> None:
    red.apply("veth", **pair(addresses=["10.0.0.1/24", "10.1.0.1/24"]))
    red.sh("ip route add default via 10.0.0.2")
    red.refuse("veth", r"to-red.*force", **pair(addresses=["10.0.0.1/24"]))
    red.changed("veth", **pair(addresses=["10.0.0.1/24"]), force=True)
    assert red.addresses("to-red") == ["10.0.0.1/24"]


def test_the_mtu_is_taken_over_from_the_link_of_the_default_route(red: Host) -> None:
    red.sh("ip link add name wan type veth peer name wan2; ip address add 10.6.0.1/24 dev wan; ip link set dev wan2 up")
    red.sh("ip link set dev wan mtu 1380 up; ip route add default via 10.6.0.2")
    red.changed("veth", **pair(mtu_from="auto", peer={"mtu_from": "wan2"}))
    assert red.link("to-red")["mtu"] == 1380
    assert red.link("eth0", "red")["mtu"] == 1500
    red.sh("ip link set dev wan mtu 1390; ip -n red link set dev eth0 mtu 1300")
    red.changed("veth", **pair(mtu_from="auto", peer={"mtu_from": "wan2"}))
    assert (red.link("to-red")["mtu"], red.link("eth0", "red")["mtu"]) == (1390, 1500)
    red.sh("ip route delete default")
    red.unchanged("veth", **pair(mtu_from="auto"))


def test_nothing_but_the_named_is_touched(red: Host) -> None:
    red.sh("ip link add name x type veth peer name y netns red; ip address add 10.4.0.1/24 dev x; ip link set dev x up")
    before = red.snapshot()
    red.apply("veth", **pair(addresses=["10.0.0.1/24"]))
    red.apply("veth", name="to-red", state="absent")
    assert before.differences(red.snapshot()) == []
