# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ns_nat: a lab gets out under the router's address, and nothing gets in that was not asked for."""

from __future__ import annotations

from typing import Any

import pytest
from support.host import Host, Make, Outside, inside

# What a shell makes of such operations is shown with both families, and by the documented examples.
pytestmark = pytest.mark.by_module

RED, BLUE, OTHER = "10.0.0.2", "10.1.0.2", "10.8.0.2"


@pytest.fixture
def lab(host: Host, outside: Outside) -> Host:
    """A host with the outside behind `uplink`, and the namespaces red, blue and other, each behind a link `to-NAME`.

    They have no way out, and the outside none to them.
    """
    for name, address in (("red", RED), ("blue", BLUE), ("other", OTHER)):
        gateway = address[:-1] + "1"
        host.sh(
            f"ip netns add {name}; ip link add name to-{name} type veth peer name eth0 netns {name}\n"
            f"ip address add {gateway}/24 dev to-{name}; ip link set dev to-{name} up\n"
            f"ip -n {name} address add {address}/24 dev eth0; ip -n {name} link set dev eth0 up\n"
            f"ip -n {name} route add default via {gateway}"
        )
    return host


def way_back(host: Host, network: str = "10.0.0.0/8") -> None:
    """Gives the outside a route to the labs, so that what comes in is stopped by rules or not at all."""
    host.sh(f"ip -n outside route add {network} via {Outside.HOST4}")


def gets_out_as(host: Host, netns: str = "red", patience: float = 2) -> str | None:
    return host.fetch(Outside.WEB, netns, patience)


def echoes_received(host: Host, netns: str) -> int:
    """How many pings have come to a namespace, answered or not."""
    names, values = [line.split() for line in host.sh(f"{inside(netns)} grep '^Icmp:' /proc/net/snmp").splitlines()]
    return int(values[names.index("InEchos")])


def own_table(host: Host, netns: str = "host") -> dict[str, Any]:
    """The objects of the collection's table, without handles and counts."""
    found: dict[str, Any] = host.snapshot().state[netns]["nft"]
    return found


def forwarding(host: Host, netns: str = "host") -> set[str]:
    """The links whose IPv4 switch is on."""
    seen = host.snapshot().state[netns]["sysctls"]
    return {
        path.split("/")[-2]
        for path, value in seen.items()
        if path.startswith("/proc/sys/net/ipv4/conf/") and path.endswith("/forwarding") and value == "1"
    }


# Out


def test_a_lab_gets_out_under_the_address_of_its_router(lab: Host) -> None:
    assert gets_out_as(lab, patience=0.5) is None
    result = lab.changed("ns_nat", name="red", sources=["10.0.0.0/24"])
    assert gets_out_as(lab) == Outside.HOST4
    assert result["nat"]["uplink"]["ipv4"] == ["uplink"]
    assert result["nat"]["rules"]
    lab.changed("ns_nat", name="red", state="absent")
    assert gets_out_as(lab, patience=0.5) is None
    lab.unchanged("ns_nat", name="red", state="absent")


def test_its_removal_leaves_no_trace(lab: Host) -> None:
    before = lab.snapshot()
    lab.apply("ns_nat", name="red", sources=["10.0.0.0/24"])
    lab.apply("ns_nat", name="red", state="absent")
    assert before.differences(lab.snapshot()) == []


def test_only_the_sources_get_out(lab: Host) -> None:
    lab.apply("ns_nat", name="red", sources=["10.0.0.0/24"])
    assert gets_out_as(lab, "blue", patience=0.5) is None
    lab.sh("ip -n red address add 10.5.0.2/32 dev eth0; ip route add 10.5.0.2 dev to-red")
    lab.sh("ip -n red route replace default via 10.0.0.1 src 10.5.0.2")
    assert gets_out_as(lab, patience=0.5) is None


def test_several_sources_behind_several_links_are_one_rule_set(lab: Host) -> None:
    lab.changed("ns_nat", name="lab", sources=["10.0.0.0/24", "10.1.0.0/24"])
    assert (gets_out_as(lab, "red"), gets_out_as(lab, "blue")) == (Outside.HOST4, Outside.HOST4)
    assert gets_out_as(lab, "other", patience=0.5) is None


def test_sources_behind_a_gateway_of_the_lab_are_found_by_their_route(lab: Host) -> None:
    lab.sh(
        f"ip netns add far; ip link add name eth0 netns far type veth peer name down netns red; ip route add 10.9.0.0/24 via {RED}"
    )
    lab.sh("ip -n red address add 10.9.0.1/24 dev down; ip -n red link set dev down up; ip -n far link set dev eth0 up")
    lab.sh("ip -n far address add 10.9.0.2/24 dev eth0; ip -n far route add default via 10.9.0.1")
    lab.sh("ip netns exec red sysctl -q -w net.ipv4.ip_forward=1")
    lab.changed("ns_nat", name="far", sources=["10.9.0.0/24"])
    assert gets_out_as(lab, "far") == Outside.HOST4


def test_inside_alone_lets_out_all_that_is_behind_it(lab: Host) -> None:
    lab.changed("ns_nat", name="red", inside=["to-red"])
    assert gets_out_as(lab) == Outside.HOST4
    lab.sh("ip -n red address add 10.5.0.2/32 dev eth0; ip route add 10.5.0.2 dev to-red")
    lab.sh("ip -n red route replace default via 10.0.0.1 src 10.5.0.2")
    assert gets_out_as(lab) == Outside.HOST4


def test_a_bridge_as_the_inside(lab: Host) -> None:
    lab.sh("ip link add name br0 type bridge; ip address flush dev to-red; ip link set dev to-red master br0")
    lab.sh("ip address add 10.0.0.1/24 dev br0; ip link set dev br0 up")
    lab.changed("ns_nat", name="lab", sources=["10.0.0.0/24"])
    assert gets_out_as(lab) == Outside.HOST4
    assert "br0" in forwarding(lab)


def test_without_masquerading_the_lab_is_seen_under_its_own_address(lab: Host) -> None:
    way_back(lab)
    lab.changed("ns_nat", name="red", sources=["10.0.0.0/24"], mode="none")
    assert gets_out_as(lab) == RED


@pytest.mark.parametrize("uplink", [["uplink"], ["auto"], ["any"], ["to-other", "uplink"]], ids=str)
def test_every_form_of_uplink_lets_out(lab: Host, uplink: list[str]) -> None:
    result = lab.changed("ns_nat", name="red", inside=["to-red"], uplink=uplink)
    assert gets_out_as(lab) == Outside.HOST4
    expected = {"auto": ["uplink"], "any": []}.get(uplink[0], sorted(uplink))
    assert sorted(result["nat"]["uplink"]["ipv4"]) == expected


def test_only_the_uplink_is_masqueraded(lab: Host) -> None:
    lab.web_server("other")
    lab.sh("echo 1 > /proc/sys/net/ipv4/conf/to-other/forwarding")
    lab.apply("ns_nat", name="red", inside=["to-red"], uplink=["uplink"], inbound="any")
    assert lab.fetch(f"http://{OTHER}/", "red", patience=1) in (None, RED)


def test_a_default_route_that_changed_makes_the_next_run_follow(lab: Host) -> None:
    lab.apply("ns_nat", name="red", sources=["10.0.0.0/24"])
    lab.sh(f"ip route replace default via {OTHER}")
    result = lab.changed("ns_nat", name="red", sources=["10.0.0.0/24"])
    assert result["nat"]["uplink"]["ipv4"] == ["to-other"]


def test_a_namespace_is_a_router_itself(lab: Host) -> None:
    lab.sh("ip netns add far; ip link add name eth0 netns far type veth peer name lan netns red")
    lab.sh("ip -n red address add 10.9.0.1/24 dev lan; ip -n red link set dev lan up")
    lab.sh(
        "ip -n far address add 10.9.0.2/24 dev eth0; ip -n far link set dev eth0 up; ip -n far route add default via 10.9.0.1"
    )
    host_before = own_table(lab)
    lab.changed("ns_nat", name="lan", netns="red", inside=["lan"], uplink=["eth0"])
    assert own_table(lab) == host_before
    lab.web_server("blue")
    lab.changed("ns_nat", name="router", inside=["to-red", "to-blue"])
    assert lab.fetch(f"http://{BLUE}/", "far") == RED
    assert gets_out_as(lab, "far") == Outside.HOST4
    lab.changed("ns_nat", name="lan", netns="red", state="absent")


def test_a_router_that_has_no_name(host: Host) -> None:
    pid = host.unnamed_namespace()
    inside = f"nsenter --net=/proc/{pid}/ns/net"
    host.sh(f"{inside} ip link add name lan type veth peer name wan; {inside} ip address add 10.0.0.1/24 dev lan")
    for ref in (f"pid:{pid}", f"/proc/{pid}/ns/net"):
        host.changed("ns_nat", name="x", netns=ref, inside=["lan"], uplink=["wan"])
        host.changed("ns_nat", name="x", netns=ref, state="absent")


# In


def test_nothing_gets_in_that_was_not_asked_for(lab: Host) -> None:
    way_back(lab)
    lab.web_server("red")
    lab.apply("ns_nat", name="red", sources=["10.0.0.0/24"])
    assert gets_out_as(lab) == Outside.HOST4
    assert lab.no_ping(RED, "outside")
    assert lab.fetch(f"http://{RED}/", "outside", patience=1) is None


def test_everything_gets_in_with_inbound_any(lab: Host) -> None:
    way_back(lab)
    lab.web_server("red")
    lab.apply("ns_nat", name="red", sources=["10.0.0.0/24"])
    lab.changed("ns_nat", name="red", sources=["10.0.0.0/24"], inbound="any")
    assert lab.fetch(f"http://{RED}/", "outside") == Outside.OUTSIDE4
    assert gets_out_as(lab) == Outside.HOST4
    lab.changed("ns_nat", name="red", sources=["10.0.0.0/24"])
    assert lab.no_ping(RED, "outside")


@pytest.mark.parametrize("uplink", [["auto"], ["any"]], ids=str)
def test_flows_between_inside_links_pass_under_their_own_addresses(lab: Host, uplink: list[str]) -> None:
    lab.web_server("blue")
    lab.apply("ns_nat", name="lab", inside=["to-red", "to-blue"], uplink=uplink)
    assert lab.fetch(f"http://{BLUE}/", "red") == RED


def test_the_host_does_not_become_a_router_for_its_neighbours(lab: Host) -> None:
    way_back(lab)
    lab.apply("ns_nat", name="red", sources=["10.0.0.0/24"])
    # An answer would be stopped in any case, since the link to the other does not forward.
    assert lab.no_ping(OTHER, "outside")
    assert echoes_received(lab, "other") == 0


def test_a_host_that_was_a_router_stays_one(lab: Host) -> None:
    way_back(lab)
    lab.sh("echo 1 > /proc/sys/net/ipv4/ip_forward")
    assert lab.ping(OTHER, "outside")
    assert echoes_received(lab, "other")
    lab.apply("ns_nat", name="red", sources=["10.0.0.0/24"])
    assert lab.ping(OTHER, "outside")
    assert lab.no_ping(RED, "outside")


# The kernel's switches


def test_only_inside_and_uplink_forward(lab: Host) -> None:
    result = lab.apply("ns_nat", name="red", sources=["10.0.0.0/24"])
    assert forwarding(lab) == {"to-red", "uplink"}
    assert lab.sysctl("net/ipv4/ip_forward") == "0"
    assert set(result["nat"]["sysctls"]) == {"net/ipv4/conf/to-red/forwarding", "net/ipv4/conf/uplink/forwarding"}
    assert set(result["nat"]["sysctls"].values()) == {"1"}


def test_with_global_all_links_forward_and_are_put_back_one_by_one(lab: Host) -> None:
    lab.sh("echo 1 > /proc/sys/net/ipv4/conf/to-blue/forwarding")
    lab.changed("ns_nat", name="red", sources=["10.0.0.0/24"], ip_forward="global")
    assert lab.sysctl("net/ipv4/ip_forward") == "1"
    assert gets_out_as(lab) == Outside.HOST4
    lab.changed("ns_nat", name="red", state="absent")
    assert lab.sysctl("net/ipv4/ip_forward") == "0"
    assert forwarding(lab) == {"to-blue"}


def test_with_keep_no_switch_is_touched(lab: Host) -> None:
    lab.changed("ns_nat", name="red", sources=["10.0.0.0/24"], ip_forward="keep")
    assert forwarding(lab) == set()
    lab.sh("echo 1 > /proc/sys/net/ipv4/ip_forward")
    assert gets_out_as(lab) == Outside.HOST4
    lab.changed("ns_nat", name="red", state="absent")
    assert lab.sysctl("net/ipv4/ip_forward") == "1"


def test_a_switch_that_was_on_stays_on(lab: Host) -> None:
    lab.sh("echo 1 > /proc/sys/net/ipv4/conf/uplink/forwarding")
    lab.apply("ns_nat", name="red", sources=["10.0.0.0/24"])
    lab.apply("ns_nat", name="red", state="absent")
    assert forwarding(lab) == {"uplink"}


def test_a_switch_that_somebody_changed_since_is_left_alone(lab: Host) -> None:
    lab.apply("ns_nat", name="red", sources=["10.0.0.0/24"])
    # Any number but zero means on.
    lab.sh("echo 2 > /proc/sys/net/ipv4/conf/to-red/forwarding")
    lab.changed("ns_nat", name="red", state="absent")
    assert lab.sysctl("net/ipv4/conf/to-red/forwarding") == "2"
    assert lab.sysctl("net/ipv4/conf/uplink/forwarding") == "0"


def test_a_switch_that_two_use_is_put_back_by_the_last(lab: Host) -> None:
    lab.apply("ns_nat", name="red", sources=["10.0.0.0/24"])
    lab.apply("ns_nat", name="blue", sources=["10.1.0.0/24"])
    lab.changed("ns_nat", name="red", state="absent")
    assert forwarding(lab) == {"to-blue", "uplink"}
    assert gets_out_as(lab, "blue") == Outside.HOST4
    lab.changed("ns_nat", name="blue", state="absent")
    assert forwarding(lab) == set()


def test_the_switch_of_a_link_that_is_no_longer_inside_is_put_back(lab: Host) -> None:
    lab.apply("ns_nat", name="lab", inside=["to-red", "to-blue"])
    lab.changed("ns_nat", name="lab", inside=["to-red"])
    assert forwarding(lab) == {"to-red", "uplink"}


def test_removal_works_after_the_inside_link_is_gone(lab: Host) -> None:
    before = lab.snapshot().state["host"]["nft"]
    lab.apply("ns_nat", name="red", sources=["10.0.0.0/24"])
    lab.sh("ip link delete dev to-red")
    lab.changed("ns_nat", name="red", state="absent")
    assert forwarding(lab) == set()
    assert lab.snapshot().state["host"]["nft"] == before


# Changing

VARIANTS: list[dict[str, Any]] = [
    {"sources": ["10.0.0.0/24"]},
    {"sources": ["10.0.0.0/16", "10.1.0.0/24"]},
    {"inside": ["to-red", "to-blue"]},
    {"inside": ["to-red"], "sources": ["10.0.0.0/24"], "uplink": ["any"]},
    {"inside": ["to-red"], "uplink": ["to-other"], "inbound": "any"},
    {"inside": ["to-blue"], "mode": "none"},
    {"inside": ["to-red"], "ip_forward": "keep"},
    {"inside": ["to-red"], "ip_forward": "global", "mode": "none", "inbound": "any"},
    {"inside": ["to-red"], "mode": "snat", "to_source": [Outside.HOST4], "publish": [{"port": "80-81", "to": RED}]},
]


@pytest.mark.parametrize("after", range(len(VARIANTS)))
def test_a_change_leads_where_a_fresh_rule_set_would(lab: Host, after: int) -> None:
    wanted = {"publish": [], **VARIANTS[after]}  # left out, it would stay as it was
    lab.apply("ns_nat", name="x", faulty=False, **wanted)
    fresh, switches = own_table(lab), forwarding(lab)
    lab.apply("ns_nat", name="x", faulty=False, state="absent")
    before = VARIANTS[(after + 3) % len(VARIANTS)]
    lab.apply("ns_nat", name="x", faulty=False, **before)
    lab.changed("ns_nat", name="x", **wanted)
    assert own_table(lab) == fresh
    assert forwarding(lab) == switches


@pytest.mark.parametrize(
    "drift",
    [
        "nft delete table inet nslab",
        "nft flush table inet nslab",
        "nft add rule inet nslab {chain} drop",
        "echo 0 > /proc/sys/net/ipv4/conf/to-red/forwarding",
        "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 0 > /proc/sys/net/ipv4/ip_forward",
    ],
)
def test_drift_is_mended(lab: Host, drift: str) -> None:
    lab.apply("ns_nat", name="red", sources=["10.0.0.0/24"])
    before = own_table(lab)
    chain = next(entry["chain"]["name"] for entry in lab.ruleset() if "chain" in entry and "hook" not in entry["chain"])
    lab.sh(drift.format(chain=chain))
    lab.changed("ns_nat", name="red", sources=["10.0.0.0/24"])
    assert own_table(lab) == before
    assert forwarding(lab) == {"to-red", "uplink"}
    assert gets_out_as(lab) == Outside.HOST4


def test_a_lab_that_talks_goes_on_while_another_is_added_and_removed(lab: Host) -> None:
    lab.apply("ns_nat", name="red", sources=["10.0.0.0/24"])
    with lab.pinging(Outside.OUTSIDE4, "red"):
        lab.apply("ns_nat", name="blue", sources=["10.1.0.0/24"])
        lab.apply("ns_nat", name="blue", state="absent")
        lab.unchanged("ns_nat", name="red", sources=["10.0.0.0/24"])


def test_every_rule_says_whose_it_is(lab: Host) -> None:
    lab.apply("ns_nat", name="red", sources=["10.0.0.0/24"])
    lab.apply("ns_nat", name="blue", sources=["10.1.0.0/24"])
    comments = [entry["rule"].get("comment", "") for entry in lab.ruleset() if "rule" in entry]
    assert {comment.split(":")[1] for comment in comments if comment.startswith("nslab:")} >= {"red", "blue"}
    tables = [entry["table"] for entry in lab.ruleset() if "table" in entry]
    assert [(table["family"], table["name"]) for table in tables] == [("inet", "nslab")]


def test_rules_of_others_are_not_touched(lab: Host) -> None:
    lab.sh("nft add table ip nat; nft add chain ip nat post '{ type nat hook postrouting priority 90; }'")
    lab.sh("nft add rule ip nat post ip saddr 10.77.0.0/16 masquerade; nft add table inet theirs")
    before = lab.snapshot()
    lab.apply("ns_nat", name="red", sources=["10.0.0.0/24"])
    lab.apply("ns_nat", name="red", state="absent")
    assert before.differences(lab.snapshot()) == []


def test_the_outside_of_ipv6_is_not_in_the_way(host: Host, make_outside: Make) -> None:
    make_outside(ipv6=True)
    host.sh("ip netns add red; ip link add name to-red type veth peer name eth0 netns red; ip link set dev to-red up")
    host.sh("ip address add 10.0.0.1/24 dev to-red; ip -n red address add 10.0.0.2/24 dev eth0")
    host.sh("ip -n red link set dev eth0 up; ip -n red route add default via 10.0.0.1")
    host.apply("ns_nat", name="red", sources=["10.0.0.0/24"])
    assert gets_out_as(host) == Outside.HOST4
    assert host.ping(Outside.OUTSIDE6)


# Refused


def test_a_second_rule_set_on_the_same_link_is_refused_by_name(lab: Host) -> None:
    lab.apply("ns_nat", name="first", inside=["to-red"])
    lab.refuse("ns_nat", r"to-red.*first", name="second", inside=["to-red"])
    lab.refuse("ns_nat", r"to-red.*first", name="second", sources=["10.0.0.0/24"])


def test_a_second_lab_with_the_same_network_is_refused_by_name(lab: Host) -> None:
    lab.apply("ns_nat", name="first", inside=["to-red"], sources=["10.0.0.0/24"])
    lab.refuse("ns_nat", "first", name="second", inside=["to-blue"], sources=["10.0.0.0/25"])


def test_the_uplink_as_an_inside_is_refused(lab: Host) -> None:
    lab.refuse("ns_nat", "uplink", name="x", inside=["uplink"])


def test_without_a_default_route_auto_finds_no_uplink(lab: Host) -> None:
    lab.sh("ip route delete default")
    lab.refuse("ns_nat", "default route", name="x", inside=["to-red"], in_check_mode=False)


def test_sources_that_no_link_leads_to_are_refused(lab: Host) -> None:
    lab.refuse("ns_nat", r"172\.16\.0\.0/24", name="x", sources=["172.16.0.0/24"], in_check_mode=False)
