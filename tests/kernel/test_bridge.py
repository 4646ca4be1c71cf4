# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""bridge: a switch comes, its ports with it, is mended in place, and goes."""

from __future__ import annotations

from typing import Any

import pytest
from support.host import Host

pytestmark = pytest.mark.no_rules

MAC1, MAC2 = "02:00:00:00:00:01", "02:00:00:00:00:02"


def ports(host: Host, bridge: str = "br0", netns: str = "host") -> list[str]:
    return sorted(link["ifname"] for link in host.ip("link show", netns) if link.get("master") == bridge)


def options(host: Host, bridge: str = "br0", netns: str = "host") -> dict[str, Any]:
    found: dict[str, Any] = host.link(bridge, netns)["linkinfo"]["info_data"]
    return found


@pytest.fixture
def cables(host: Host) -> Host:
    """A host with the links a, b and c, each to a link of that name in a namespace of that name."""
    for number, name in enumerate("abc", start=2):
        host.sh(
            f"ip netns add {name}; ip link add name {name} type veth peer name {name} netns {name}\n"
            f"ip -n {name} address add 10.0.0.{number}/24 dev {name}; ip -n {name} link set dev {name} up\n"
            f"ip link set dev {name} up"
        )
    return host


def test_a_bridge_is_made_and_removed(host: Host) -> None:
    result = host.changed("bridge", name="br0")
    assert host.link("br0")["linkinfo"]["info_kind"] == "bridge"
    assert host.is_up("br0")
    bridge = result["bridge"]
    assert (bridge["name"], bridge["netns"], bridge["kind"], bridge["up"]) == ("br0", "host", "bridge", True)
    assert bridge["mac"] == host.link("br0")["address"]
    assert bridge["ports"] == []
    host.changed("bridge", name="br0", state="absent")
    assert host.links() == []
    host.unchanged("bridge", name="br0", state="absent")


def test_a_bridge_joins_its_ports(cables: Host) -> None:
    result = cables.changed("bridge", name="br0", addresses=["10.0.0.1/24", "fd00::1/64"], ports=["a", "b", "c"])
    assert ports(cables) == ["a", "b", "c"]
    assert sorted(result["bridge"]["ports"]) == ["a", "b", "c"]
    assert cables.ping("10.0.0.3", "a")
    assert cables.ping("10.0.0.1", "a")


def test_a_bridge_in_a_namespace(host: Host) -> None:
    host.sh("ip netns add red; ip -n red link add name a type veth peer name b")
    host.changed("bridge", name="br0", netns="red", ports=["a"], mtu=1400, stp=True, addresses=["10.0.0.1/24"])
    assert ports(host, netns="red") == ["a"]
    assert host.links() == []
    host.changed("bridge", name="br0", netns="red", ports=["a"], state="absent")


def test_every_option_is_set_from_the_start(host: Host) -> None:
    host.changed(
        "bridge",
        name="br0",
        mac=MAC1,
        mtu=1400,
        up=False,
        stp=True,
        forward_delay=4,
        ageing_time=100,
        multicast_snooping=False,
    )
    link = host.link("br0")
    assert (link["address"], link["mtu"]) == (MAC1, 1400)
    assert not host.is_up("br0")
    seen = options(host)
    assert (seen["stp_state"], seen["forward_delay"], seen["ageing_time"]) == (1, 400, 10000)
    assert seen["mcast_snooping"] == 0


@pytest.mark.parametrize(
    ("option", "before", "after", "key", "seen"),
    [
        ("stp", False, True, "stp_state", 1),
        ("stp", True, False, "stp_state", 0),
        ("forward_delay", 4, 5.5, "forward_delay", 550),
        ("ageing_time", 100, 0, "ageing_time", 0),
        ("ageing_time", 100, 12.34, "ageing_time", 1234),
        ("multicast_snooping", True, False, "mcast_snooping", 0),
        ("multicast_snooping", False, True, "mcast_snooping", 1),
    ],
)
def test_an_option_is_changed(host: Host, option: str, before: Any, after: Any, key: str, seen: Any) -> None:
    host.apply("bridge", name="br0", **{option: before})
    assert len(host.changed("bridge", name="br0", **{option: after}).operations) == 1
    assert options(host)[key] == seen
    host.sh("ip link set dev br0 type bridge stp_state 0 forward_delay 777 ageing_time 777 mcast_snooping 0")
    host.apply("bridge", name="br0", **{option: after})
    assert options(host)[key] == seen


def test_options_that_are_left_out_are_not_managed(host: Host) -> None:
    host.apply("bridge", name="br0", mac=MAC1, mtu=1400, addresses=["10.0.0.1/24"], stp=True, ageing_time=100)
    host.unchanged("bridge", name="br0")


def test_drift_of_every_attribute_is_mended(cables: Host) -> None:
    declared: dict[str, Any] = {
        "name": "br0",
        "mac": MAC1,
        "mtu": 1400,
        "addresses": ["10.0.0.1/24"],
        "stp": False,
        "forward_delay": 4,
        "ageing_time": 100,
        "multicast_snooping": False,
        "ports": ["a", "b"],
    }
    cables.apply("bridge", **declared)
    before = cables.snapshot()
    for drift in (
        f"ip link set dev br0 address {MAC2}",
        "ip link set dev br0 mtu 1300",
        "ip link set dev br0 down",
        "ip address add 10.9.0.1/24 dev br0",
        "ip address flush dev br0",
        "ip link set dev a nomaster",
        "ip link set dev br0 type bridge stp_state 1",
        "ip link set dev br0 type bridge forward_delay 900 ageing_time 900 mcast_snooping 1",
        "ip link delete dev br0",
    ):
        cables.sh(drift)
        cables.changed("bridge", **declared)
        assert before.differences(cables.snapshot()) == [], drift


# Ports


def test_ports_that_are_not_declared_stay(cables: Host) -> None:
    cables.apply("bridge", name="br0", ports=["a", "b"])
    cables.changed("bridge", name="br0", ports=["b", "c"])
    assert ports(cables) == ["a", "b", "c"]


def test_ports_that_are_not_declared_are_unplugged_with_purge(cables: Host) -> None:
    cables.apply("bridge", name="br0", ports=["a", "b"])
    cables.changed("bridge", name="br0", ports=["b", "c"], purge_ports=True)
    assert ports(cables) == ["b", "c"]
    cables.changed("bridge", name="br0", ports=[], purge_ports=True)
    assert ports(cables) == []


def test_ports_are_not_managed_when_they_are_left_out(cables: Host) -> None:
    cables.apply("bridge", name="br0", ports=["a"])
    cables.unchanged("bridge", name="br0", purge_ports=True)


def test_a_port_of_another_bridge_is_moved_over(cables: Host) -> None:
    cables.apply("bridge", name="br1", ports=["a"])
    cables.changed("bridge", name="br0", ports=["a"])
    assert (ports(cables, "br0"), ports(cables, "br1")) == (["a"], [])


def test_a_new_bridge_is_brought_up_after_its_ports_are_in_place(cables: Host) -> None:
    operations = cables.changed("bridge", name="br0", ports=["a", "b", "c"]).operations
    up = next(number for number, text in enumerate(operations) if "br0" in text and text.endswith(" up"))
    assert all(number < up for number, text in enumerate(operations) if "master" in text)


def test_removing_a_bridge_leaves_its_ports(cables: Host) -> None:
    cables.apply("bridge", name="br0", ports=["a", "b"], addresses=["10.0.0.1/24"], mtu=1400)
    cables.sh("ip route add 10.7.0.0/16 via 10.0.0.2")
    cables.changed("bridge", name="br0", ports=["a", "b"], state="absent")
    assert cables.links() == ["a", "b", "c"]


def test_a_bridge_with_ports_that_the_task_does_not_name_is_removed_only_with_force(cables: Host) -> None:
    cables.apply("bridge", name="br0", ports=["a", "b"])
    cables.refuse("bridge", r"br0.*\bb\b.*force", name="br0", ports=["a"], state="absent")
    cables.refuse("bridge", r"br0.*force", name="br0", state="absent")
    cables.changed("bridge", name="br0", state="absent", force=True)
    assert cables.links() == ["a", "b", "c"]


def test_the_link_that_carries_the_default_route_becomes_a_port_only_with_force(cables: Host) -> None:
    cables.sh("ip address add 10.0.0.1/24 dev a; ip route add default via 10.0.0.2")
    cables.refuse("bridge", r"\ba\b.*default route.*force", name="br0", ports=["a"])
    cables.changed("bridge", name="br0", ports=["a"], force=True)
    assert ports(cables) == ["a"]


def test_a_link_that_carries_the_default_route_of_its_namespace_is_no_uplink_of_the_host(cables: Host) -> None:
    cables.sh("ip -n a route add default via 10.0.0.9")
    cables.changed("bridge", name="br0", netns="a", ports=["a"])


def test_addresses_of_a_bridge_that_carries_the_default_route_are_removed_only_with_force(host: Host) -> None:
    host.apply("bridge", name="br0", addresses=["10.0.0.1/24", "10.1.0.1/24"])
    host.sh("ip route add default via 10.0.0.2")
    host.refuse("bridge", r"br0.*force", name="br0", addresses=["10.0.0.1/24"])
    host.changed("bridge", name="br0", addresses=["10.0.0.1/24"], force=True)
    assert host.addresses("br0") == ["10.0.0.1/24"]
    host.changed("bridge", name="br0", addresses=["10.2.0.1/24", "fd02::1/64"], purge_addresses=False)
    assert host.addresses("br0") == ["10.0.0.1/24", "10.2.0.1/24", "fd02::1/64"]


def test_more_ports_than_the_kernel_takes_are_refused_with_its_limit(host: Host) -> None:
    host.refuse("bridge", "1023", name="br0", ports=[f"p{number}" for number in range(1024)])


def test_a_port_that_does_not_exist_is_refused(host: Host) -> None:
    host.refuse("bridge", "nosuch", name="br0", ports=["nosuch"], in_check_mode=False)


def test_a_bridge_that_is_to_be_its_own_port_is_refused(host: Host) -> None:
    host.refuse("bridge", "br0", name="br0", ports=["br0"])


def test_a_bridge_as_a_port_of_a_bridge_is_refused(host: Host) -> None:
    host.sh("ip link add name br1 type bridge")
    host.refuse("bridge", "br1", name="br0", ports=["br1"])


def test_another_kind_of_link_under_the_name_is_refused(host: Host) -> None:
    host.sh("ip link add name br0 type veth peer name x")
    host.refuse("bridge", r"br0.*veth", name="br0")
    host.refuse("bridge", r"br0.*veth", name="br0", state="absent")


def test_absent_is_satisfied_when_the_namespace_is_gone(host: Host) -> None:
    host.unchanged("bridge", name="br0", netns="nowhere", state="absent")


def test_the_mtu_is_taken_over_from_the_link_of_the_default_route(cables: Host) -> None:
    cables.sh("ip link set dev a mtu 1380; ip address add 10.0.0.1/24 dev a; ip route add default via 10.0.0.2")
    cables.changed("bridge", name="br0", mtu_from="auto")
    assert cables.link("br0")["mtu"] == 1380
    cables.sh("ip link set dev a mtu 1390")
    cables.changed("bridge", name="br0", mtu_from="auto")
    assert cables.link("br0")["mtu"] == 1390


def test_nothing_but_the_named_is_touched(cables: Host) -> None:
    cables.sh("ip link add name br1 type bridge; ip link set dev c master br1")
    before = cables.snapshot()
    cables.apply("bridge", name="br0", addresses=["10.0.0.1/24"])
    cables.apply("bridge", name="br0", state="absent")
    assert before.differences(cables.snapshot()) == []
