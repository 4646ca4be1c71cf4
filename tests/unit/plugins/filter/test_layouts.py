# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles make of their variables and of what they have read of the host."""

from __future__ import annotations

import base64
import json

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.nslab.linux.plugins.filter.bridge_lab_layout import bridge_lab_layout
from ansible_collections.nslab.linux.plugins.filter.isolated_netns_layout import isolated_netns_layout
from ansible_collections.nslab.linux.plugins.module_utils._addressing import host_end_name

RECORD = "/run/nslab/bridge_lab.nslab0.json"

# As the kernel of a little-endian machine writes them: default by uplink, 198.51.100.0/24 and 10.9.0.0/16 on link, and
# 172.16.0.0/12 by a gateway.
ROUTES_4 = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
uplink\t00000000\t016433C6\t0003\t0\t0\t0\t00000000\t0\t0\t0
uplink\t006433C6\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
lan\t0000090A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
uplink\t000010AC\t016433C6\t0003\t0\t0\t0\t0000F0FF\t0\t0\t0
"""
ROUTES_4_BIG_ENDIAN = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
uplink\t00000000\tC6336401\t0003\t0\t0\t0\t00000000\t0\t0\t0
lan\t0A090000\t00000000\t0001\t0\t0\t0\tFFFF0000\t0\t0\t0
"""
ROUTES_6 = """\
fd000009000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001      lan
fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001      lan
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
fd000009000000000000000000000001 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000002 00000000 80200001      lan
ff000000000000000000000000000000 08 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000002 00000000 00000001      lan
"""
DEVICES = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0
uplink:    1046      13    0    0    0     0          0         0     1046      13    0    0    0     0       0          0
"""


def file(path, text):
    return {"item": path, "content": base64.b64encode(text.encode()).decode()}


HOST = ({"item": RECORD, "failed": True}, file("/proc/net/route", ROUTES_4))


def isolated(seen=HOST, **changed):
    values = {
        "name": "red",
        "state": "present",
        "subnet": "192.168.50.0/24",
        "uplink": ["auto"],
        "inbound": "established",
        "ip_forward": "interface",
        "mtu": "",
        "nameservers": ["host"],
        "processes": "fail",
        "check_mode": False,
    }
    return isolated_netns_layout({**values, **changed}, seen)


def lab(seen=HOST, **changed):
    values = {
        "bridge": "nslab0",
        "state": "present",
        "subnet": "10.213.0.0/16",
        "count": "",
        "names": "",
        "prefix": "ns",
        "nat": True,
        "uplink": ["auto"],
        "inbound": "established",
        "ip_forward": "interface",
        "mtu": "",
        "nameservers": ["host"],
        "processes": "fail",
        "check_mode": False,
    }
    return bridge_lab_layout({**values, **changed}, seen)


def recorded(*names, gateways=("10.213.0.1",)):
    return [*HOST, file(RECORD, json.dumps({"names": list(names), "gateways": list(gateways)}))]


def test_the_host_has_the_first_address_and_the_isolated_namespace_the_second():
    layout = isolated(mtu=1400)
    assert layout["problem"] == ""
    assert layout["pairs"] == [
        {
            "name": host_end_name("isolated_netns", "red", "eth0"),
            "addresses": ["192.168.50.1/24"],
            "mtu": 1400,
            "peer": {"netns": "red", "name": "eth0", "addresses": ["192.168.50.2/24"], "mtu": 1400},
        }
    ]
    assert layout["routes"] == [{"netns": "red", "dst": "default", "via": "192.168.50.1", "dev": "eth0"}]
    assert layout["rule_set"] == "ns_red"
    assert layout["namespaces"]["red"] == {
        "addresses": ["192.168.50.2/24"],
        "interface": "eth0",
        "gateway": "192.168.50.1",
        "gateways": ["192.168.50.1"],
    }


def test_the_bridge_has_the_first_address_and_the_namespaces_the_following_in_order():
    layout = lab(names=["web", "db", "a"])
    assert layout["bridge_addresses"] == ["10.213.0.1/16"]
    assert {name: one["addresses"] for name, one in layout["namespaces"].items()} == {
        "web": ["10.213.0.2/16"],
        "db": ["10.213.0.3/16"],
        "a": ["10.213.0.4/16"],
    }
    assert [pair["peer"]["netns"] for pair in layout["pairs"]] == ["web", "db", "a"]
    assert [end["name"] for end in layout["host_ends"]] == [pair["name"] for pair in layout["pairs"]]


def test_a_lab_without_nat_may_have_both_families():
    layout = lab(subnet=["10.213.0.0/16", "fd00:213::/64"], nat=False, count=1)
    assert layout["namespaces"]["ns1"] == {
        "addresses": ["10.213.0.2/16", "fd00:213::2/64"],
        "interface": "eth0",
        "gateway": "10.213.0.1",
        "gateways": ["10.213.0.1", "fd00:213::1"],
    }
    assert [route["via"] for route in layout["routes"]] == ["10.213.0.1", "fd00:213::1"]


def test_a_count_names_the_namespaces_from_one():
    assert lab(count=3, prefix="n.")["names"] == ["n.1", "n.2", "n.3"]
    assert lab()["names"] == ["ns1", "ns2"]
    assert lab(count=0)["names"] == []


def test_values_from_the_command_line_are_read_as_what_they_mean():
    layout = lab(count="3", mtu="1400", nat="no", uplink="a0,b0", nameservers="192.0.2.1,host")
    assert layout["problem"] == ""
    assert (len(layout["names"]), layout["mtu"], layout["nat"]) == (3, {"mtu": 1400}, False)
    assert (layout["uplink"], layout["nameservers"]) == (["a0", "b0"], ["192.0.2.1", "host"])


def test_a_lab_is_as_large_as_a_bridge_has_ports():
    assert len(lab(count=1023)["names"]) == 1023
    assert "1024 namespaces are too many" in lab(count=1024)["problem"]
    assert "1000000000 namespaces are too many" in lab(count=10**9)["problem"]
    assert "too many" in lab(names=[f"n{number}" for number in range(1024)])["problem"]


@pytest.mark.parametrize(
    ("uplink", "mtu_from"), [(["auto"], "auto"), (["any"], "auto"), (["uplink"], "uplink"), (["wan", "lte"], "wan")]
)
def test_the_mtu_is_that_of_the_uplink(uplink, mtu_from):
    assert isolated(uplink=uplink)["pairs"][0]["mtu_from"] == mtu_from
    assert isolated(uplink=uplink)["pairs"][0]["peer"]["mtu_from"] == mtu_from


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"name": "host"}, "isolated_netns_name: a namespace can't be named 'host'"),
        ({"name": "a/b"}, "isolated_netns_name: namespace name 'a/b' is not allowed"),
        ({"name": "x" * 201}, "has 201 characters"),
        ({"name": ""}, "isolated_netns_name: '' is no name"),
        ({"name": None}, "isolated_netns_name: nothing is no name"),
        ({"subnet": "192.168.50.7/24"}, "has host bits set: the network is 192.168.50.0/24"),
        ({"subnet": "192.168.50.0/32"}, "0 namespaces would fit"),
        ({"subnet": {"ipv4": "10.0.0.0/8"}}, "is no list"),
        ({"subnet": "fd00::/64"}, "isolated_netns_uplink: the host has no IPv6 default route to tell the uplink by"),
        ({"publish": [{"port": 80, "protocol": "sctp"}]}, "isolated_netns_publish: 1: protocol 'sctp' is not known"),
        ({"subnet": "10.9.7.0/24"}, "10.9.7.0/24 overlaps 10.9.0.0/16, which is on the host's interface lan: choose"),
        ({"subnet": "10.0.0.0/8"}, "overlaps 10.9.0.0/16"),
        ({"mtu": 67}, "isolated_netns_mtu: MTU 67 of namespace red is out of range"),
        ({"mtu": "big"}, "isolated_netns_mtu: 'big' is no whole number"),
        (
            {"uplink": ["eth0123456789abc"]},
            "isolated_netns_uplink: interface name 'eth0123456789abc' has 16 characters",
        ),
        ({"uplink": ["auto", "eth0"]}, "isolated_netns_uplink: auto and any stand alone"),
        ({"uplink": ["eth0", "eth0"]}, "an interface is named twice"),
        ({"nameservers": ["dns.example"]}, "isolated_netns_nameservers: nameserver 'dns.example' is no IP address"),
        ({"nameservers": [True]}, "True is no text: quote it"),
        ({"state": "gone"}, "isolated_netns_state: 'gone' is not known: write present or absent"),
        ({"processes": "kill"}, "write fail, ignore or terminate"),
        ({"inbound": "all"}, "isolated_netns_inbound: 'all' is not known"),
        ({"ip_forward": "on"}, "isolated_netns_ip_forward: 'on' is not known"),
    ],
)
def test_an_isolated_namespace_that_cannot_be_is_refused_in_one_line(changed, message):
    layout = isolated(**changed)
    assert message in layout["problem"]
    assert "\n" not in layout["problem"]
    assert list(layout) == ["problem"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"bridge": "a-bridge-too-long"}, "bridge_lab_bridge: interface name 'a-bridge-too-long' has 17 characters"),
        ({"publish": "80"}, "bridge_lab_publish: '80' is no list"),
        ({"publish": ["80"]}, "bridge_lab_publish: '80' is no dict"),
        ({"publish": [{"port": 80}]}, "bridge_lab_publish: 1: it does not say where it leads to"),
        ({"publish": [{"port": 80, "to": "ns9"}]}, "1: to 'ns9' is no namespace of the lab and no address"),
        ({"publish": [{"port": 80, "to": "10.9.0.2"}]}, "1: to 10.9.0.2 is in none of 10.213.0.0/16"),
        ({"publish": [{"to": "ns1"}]}, "bridge_lab_publish: 1: there is no port"),
        ({"publish": [{"port": 80, "to": "ns1", "toport": 8}]}, "bridge_lab_publish: 1: toport is not known"),
        ({"publish": [{"port": 80, "to": "ns1", "address": "fd00::1"}]}, "have no family in common"),
        (
            {"publish": [{"port": 80, "to": "ns1"}, {"port": "70-90", "to": "ns2"}]},
            "tcp 70-90 leads to 10.213.0.2 already",
        ),
        ({"publish": [{"port": 0, "to": "ns1"}]}, "bridge_lab_publish: publish 1: port '0' is no port"),
        ({"publish": [{"port": 80, "to": "ns1"}], "nat": False}, "nothing can be published without NAT"),
        ({"firewall": "off"}, "bridge_lab_firewall: 'off' is not known: write auto, ignore or fail"),
        ({"bridge": "all"}, "bridge_lab_bridge: an interface can't be named 'all'"),
        ({"count": 3, "names": ["a"]}, "bridge_lab_count: bridge_lab_names is given too: leave one of the two out"),
        ({"count": -1}, "bridge_lab_count: -1 is below 0"),
        ({"count": "three"}, "bridge_lab_count: 'three' is no whole number"),
        ({"count": 2.5}, "bridge_lab_count: 2.5 is no whole number"),
        ({"count": 3, "prefix": "n s"}, "bridge_lab_prefix: namespace name 'n s3' is not allowed"),
        ({"names": ["a", "b", "a"]}, "bridge_lab_names: namespace 'a' is named twice"),
        ({"names": ["a", "-b"]}, "bridge_lab_names: namespace name '-b' is not allowed"),
        ({"names": ["host"]}, "bridge_lab_names: a namespace can't be named 'host'"),
        ({"count": 254, "subnet": "10.1.0.0/24"}, "253 namespaces would fit: choose a larger one"),
        ({"subnet": "10.1.0.0"}, "has no prefix length"),
        ({"subnet": ["10.1.0.0/24", "10.2.0.0/24"]}, "are both IPv4"),
        ({"subnet": "fd00::/64"}, "bridge_lab_uplink: the host has no IPv6 default route to tell the uplink by"),
        ({"nat": "perhaps"}, "bridge_lab_nat: 'perhaps' is neither true nor false"),
        ({"nat": False, "subnet": "fd00::/64", "mtu": 1000}, "bridge_lab_mtu: 1000 is too small for IPv6"),
        ({"uplink": ["nslab0"]}, "bridge_lab_uplink: nslab0 is the lab's own interface"),
    ],
)
def test_a_lab_that_cannot_be_is_refused_in_one_line(changed, message):
    layout = lab(**changed)
    assert message in layout["problem"]
    assert "\n" not in layout["problem"]
    assert list(layout) == ["problem"]


def test_an_uplink_that_the_host_does_not_have_is_refused():
    seen = [*HOST, file("/proc/net/dev", DEVICES)]
    assert lab(seen, uplink=["uplink"])["problem"] == ""
    assert "bridge_lab_uplink: the host has no interface wan0" in lab(seen, uplink=["uplink", "wan0"])["problem"]


def test_a_host_without_default_route_has_no_uplink_to_be_found():
    none = [file("/proc/net/route", ROUTES_4.splitlines()[0] + "\n")]
    assert "bridge_lab_uplink: the host has no IPv4 default route" in lab(none)["problem"]
    assert lab(none, nat=False)["problem"] == ""
    assert lab(none, uplink=["any"])["problem"] == ""


def test_in_check_mode_the_uplink_may_be_yet_to_come():
    none = [file("/proc/net/route", ROUTES_4.splitlines()[0] + "\n"), file("/proc/net/dev", DEVICES)]
    assert lab(none, check_mode=True)["problem"] == ""
    assert lab(none, uplink=["wan0"], check_mode=True)["problem"] == ""


def test_the_lab_is_not_in_its_own_way():
    own = ROUTES_4 + "nslab0\t0000D50A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
    assert lab([file("/proc/net/route", own)])["problem"] == ""
    assert (
        "overlaps 10.213.0.0/16, which is on the host's interface nslab0"
        in (lab([file("/proc/net/route", own)], bridge="br1")["problem"])
    )


def test_a_route_by_a_gateway_is_in_nobodys_way():
    assert isolated(subnet="172.16.5.0/24")["problem"] == ""


def test_routes_of_a_big_endian_host_are_read_too():
    assert (
        "overlaps 10.9.0.0/16"
        in isolated([file("/proc/net/route", ROUTES_4_BIG_ENDIAN)], subnet="10.9.0.0/24")["problem"]
    )


def test_ipv6_networks_of_the_host_are_seen():
    seen = [*HOST, file("/proc/net/ipv6_route", ROUTES_6)]
    assert (
        "overlaps fd00:9::/64, which is on the host's interface lan"
        in (lab(seen, nat=False, subnet="fd00:9::/64")["problem"])
    )
    assert lab(seen, nat=False, subnet="fd00:a::/64")["problem"] == ""


def test_a_new_lab_is_recorded_before_it_is_made():
    layout = lab(names=["a", "b"])
    assert json.loads(layout["record_before"]) == {"names": ["a", "b"], "gateways": ["10.213.0.1"]}
    assert layout["record_after"] is None


def test_a_lab_that_stands_needs_no_record_written():
    layout = lab(recorded("a", "b"), names=["a", "b"])
    assert (layout["record_before"], layout["record_after"], layout["surplus"]) == (None, None, [])


def test_what_the_lab_no_longer_has_is_surplus_and_stays_recorded_until_it_is_gone():
    layout = lab(recorded("a", "b", "c"), names=["c", "d"])
    assert layout["surplus"] == ["a", "b"]
    assert layout["surplus_host_ends"] == [{"name": host_end_name("nslab0", name, "eth0")} for name in ("a", "b")]
    assert json.loads(layout["record_before"])["names"] == ["a", "b", "c", "d"]
    assert json.loads(layout["record_after"])["names"] == ["c", "d"]


def test_a_family_that_the_lab_gave_up_leaves_no_default_route():
    layout = lab(recorded("a", gateways=["10.213.0.1", "fd00::1"]), names=["a", "b"], nat=False)
    assert layout["stale_routes"] == [{"netns": "a", "dst": "default", "via": "fd00::1"}]
    moved = lab(recorded("a", gateways=["10.99.0.1"]), names=["a"])
    assert moved["stale_routes"] == []


def test_a_broken_record_is_named():
    problem = lab([*HOST, file(RECORD, "{")])["problem"]
    assert RECORD in problem
    assert "\n" not in problem


def test_absent_removes_what_the_record_has():
    assert lab(recorded("a", "b"), state="absent")["names"] == ["a", "b"]
    assert lab(recorded("a", "b"), state="absent", count=7)["names"] == ["a", "b"]
    assert lab(recorded(), state="absent", count=7)["names"] == []


def test_absent_without_a_record_removes_what_was_named_and_never_what_the_defaults_would_name():
    assert lab(state="absent", names=["a"])["names"] == ["a"]
    assert lab(state="absent", count=1)["names"] == ["ns1"]
    assert lab(state="absent")["names"] == []


@pytest.mark.parametrize("layout", [bridge_lab_layout, isolated_netns_layout])
def test_what_is_no_dict_of_variables_is_an_error_of_the_filter(layout):
    with pytest.raises(AnsibleFilterError, match="takes a dict"):
        layout("red")


def test_a_namespace_of_two_families_is_published_in_both():
    (one, other) = isolated(subnet=["192.168.50.0/24", "fd00::/64"], publish=[{"port": 8080, "to_port": 80}])["publish"]
    assert one == {"port": "8080", "to_port": "80", "to": "192.168.50.2"}
    assert other == {**one, "to": "fd00::2"}


def test_a_namespace_of_a_lab_is_published_by_its_name_or_an_address():
    options = [
        {"port": "53", "protocol": "udp", "to": "ns2"},
        {"port": "80-89", "address": "198.51.100.2", "to": "10.213.0.2"},
    ]
    assert lab(publish=options)["publish"] == [
        {"port": "53", "protocol": "udp", "to": "10.213.0.3"},
        {"port": "80-89", "address": "198.51.100.2", "to": "10.213.0.2"},
    ]


def test_one_family_with_a_way_out_is_enough():
    assert isolated(subnet=["192.168.50.0/24", "fd00::/64"])["problem"] == ""
