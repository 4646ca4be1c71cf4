# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ns_route plans: which route is meant, and what of it is changed."""

from __future__ import annotations

import ipaddress

import pytest

from ansible_collections.nslab.linux.plugins.module_utils._errors import Problem
from ansible_collections.nslab.linux.plugins.module_utils._world import PROTO_STATIC, SCOPE_HOST, Nexthop
from ansible_collections.nslab.linux.tests.unit.plugins.module_utils.imagined import (
    address,
    connected,
    link,
    namespace,
    plan,
    route,
    world,
)

PROTO_DHCP = 16


def red(*routes, **fields):
    """A namespace with two links, each with addresses and the routes that the kernel makes for them."""
    links = (
        link("eth0", "veth", address("10.0.0.2/24"), address("fd00::2/64")),
        link("eth1", "veth", address("10.1.0.2/24")),
    )
    made = (connected("10.0.0.0/24", "eth0"), connected("fd00::/64", "eth0"), connected("10.1.0.0/24", "eth1"))
    return namespace(*links, routes=(*made, *routes), **fields)


def plan_for(*wanted, there=(), **options):
    return plan("ns_route", world(red=red(*there)), netns="red", routes=list(wanted), **options)


def short(made) -> list[str]:
    return [words.replace("ip -n red ", "") for words in made.operations]


def hops(*given):
    return tuple(Nexthop(ipaddress.ip_address(via), dev, weight) for via, dev, weight in given)


# Added


def test_default_takes_its_family_from_the_gateway_or_the_source():
    made = plan_for(
        {"dst": "default", "via": "10.0.0.1"},
        {"dst": "default", "via": "fd00::1"},
        {"dst": "default", "src": "fd00::2", "dev": "eth0", "metric": 5},
        {"dst": "default", "type": "blackhole", "table": "100"},
        {"dst": "::/0", "type": "blackhole", "table": "100"},
    )
    assert short(made) == [
        "-6 route add default dev eth0 metric 5 src fd00::2",
        "route add blackhole default table 100",
        "-6 route add blackhole default table 100",
        "route add default via 10.0.0.1 dev eth0",
        "-6 route add default via fd00::1 dev eth0",
    ]


def test_the_link_is_the_one_behind_which_the_gateway_is():
    made = plan_for({"dst": "10.9.0.0/16", "via": "10.1.0.1"})
    assert short(made) == ["route add 10.9.0.0/16 via 10.1.0.1 dev eth1"]
    shown = {"netns": "red", "dst": "10.9.0.0/16", "via": "10.1.0.1", "dev": "eth1", "src": None, "metric": 0}
    shown.update(table="main", scope="global", type="unicast", onlink=False, mtu=None, nexthops=[])
    assert made.report["routes"] == [shown]


def test_every_field_is_in_the_command():
    made = plan_for(
        {
            "dst": "10.9.0.0/16",
            "via": "10.0.0.1",
            "dev": "eth0",
            "src": "10.0.0.2",
            "metric": 7,
            "table": "200",
            "scope": "200",
            "onlink": True,
            "mtu": 1400,
        }
    )
    assert short(made) == [
        "route add 10.9.0.0/16 via 10.0.0.1 dev eth0 onlink table 200 scope 200 metric 7 src 10.0.0.2 mtu 1400"
    ]


def test_a_direct_route_comes_before_those_that_lead_through_it():
    made = plan_for({"dst": "default", "via": "172.16.0.1"}, {"dst": "172.16.0.0/24", "dev": "eth1"})
    assert short(made) == ["route add 172.16.0.0/24 dev eth1", "route add default via 172.16.0.1 dev eth1"]
    assert [shown["dst"] for shown in made.report["routes"]] == ["default", "172.16.0.0/24"]


def test_traffic_is_shared_by_weight():
    made = plan_for({"dst": "10.9.0.0/16", "nexthops": [{"via": "10.0.0.1", "weight": 3}, {"dev": "eth1"}]})
    assert short(made) == ["route add 10.9.0.0/16 nexthop via 10.0.0.1 dev eth0 weight 3 nexthop dev eth1 weight 1"]


def test_one_task_serves_many_namespaces():
    imagined = world(red=red(), blue=red())
    routes = [{"dst": "default", "via": "10.0.0.1", "netns": name} for name in ("red", "blue")]
    made = plan("ns_route", imagined, routes=routes)
    assert made.operations == [f"ip -n {name} route add default via 10.0.0.1 dev eth0" for name in ("red", "blue")]


# There already


@pytest.mark.parametrize(
    "there",
    [
        route("10.9.0.0/16", "10.0.0.1", "eth0"),
        route("10.9.0.0/16", "10.0.0.1", "eth0", protocol=PROTO_STATIC, metrics=(("mtu", 1300),)),
        route("10.9.0.0/16", "10.0.0.1", "eth1", onlink=True),
    ],
    ids=["same", "with fields that are not declared", "by another link, which is not declared"],
)
def test_a_route_that_leads_as_declared_is_left_alone(there):
    assert plan_for({"dst": "10.9.0.0/16", "via": "10.0.0.1"}, there=[there]).operations == []


@pytest.mark.parametrize(
    ("there", "wanted", "command"),
    [
        (route("default", "10.0.0.9", "eth0"), {"via": "10.0.0.1"}, "default via 10.0.0.1 dev eth0"),
        (route("default", "10.0.0.1", "eth0"), {"dev": "eth1"}, "default dev eth1"),
        (route("default", "10.0.0.1", "eth0"), {"type": "prohibit"}, "prohibit default"),
        (route("default", kind="blackhole"), {"via": "10.0.0.1"}, "default via 10.0.0.1 dev eth0"),
        (route("default", "10.0.0.1", "eth0"), {"via": "10.0.0.1", "mtu": 1400}, "default via 10.0.0.1 dev eth0 mtu 1400"),
        (
            route("default", "10.0.0.9", "eth0", protocol=PROTO_STATIC, metrics=(("advmss", 1000), ("mtu", 1300))),
            {"via": "10.0.0.1"},
            "default via 10.0.0.1 dev eth0 proto 4 advmss 1000 mtu 1300",
        ),
        (
            route("default", nexthops=hops(("10.0.0.1", "eth0", 1), ("10.1.0.1", "eth1", 1))),
            {"via": "10.0.0.1"},
            "default via 10.0.0.1 dev eth0",
        ),
        (
            route("default", nexthops=hops(("10.0.0.1", "eth0", 1), ("10.1.0.1", "eth1", 1))),
            {"nexthops": [{"via": "10.1.0.1", "weight": 2}, {"via": "10.0.0.1"}]},
            "default nexthop via 10.1.0.1 dev eth1 weight 2 nexthop via 10.0.0.1 dev eth0 weight 1",
        ),
    ],
)  # fmt: skip
def test_what_differs_is_replaced_in_place_and_other_fields_are_kept(there, wanted, command):
    made = plan_for({"dst": "default", **wanted}, there=[there])
    assert short(made) == [f"route replace {command}"]
    assert [operation.command.split()[4] for operation in made.plan.steps[0].inverse] == ["replace"]


def test_hops_have_no_order():
    there = route("default", nexthops=hops(("10.0.0.1", "eth0", 1), ("10.1.0.1", "eth1", 2)))
    wanted = {"dst": "default", "nexthops": [{"via": "10.1.0.1", "weight": 2}, {"via": "10.0.0.1"}]}
    assert plan_for(wanted, there=[there]).operations == []


@pytest.mark.parametrize("differs", [{"metric": 5}, {"table": "100"}])
def test_metric_and_table_make_another_route(differs):
    there = route("10.9.0.0/16", "10.0.0.9", "eth0")
    made = plan_for({"dst": "10.9.0.0/16", "via": "10.0.0.1", **differs}, there=[there])
    assert short(made)[0].startswith("route add 10.9.0.0/16 via 10.0.0.1 dev eth0 ")


def test_the_ipv6_metric_left_out_or_zero_is_the_kernel_s():
    there = route("fd09::/16", "fd00::1", "eth0")
    for metric in (None, 0, 1024):
        assert plan_for({"dst": "fd09::/16", "via": "fd00::1", "metric": metric}, there=[there]).operations == []


# What it builds on


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"via": "10.5.0.1"}, "gateway 10.5.0.1 of route default in red can't be reached: no address or direct route"),
        ({"via": "10.1.0.1", "dev": "eth0"}, "gateway 10.1.0.1 of route default in red can't be reached behind eth0"),
        ({"via": "10.0.0.1", "dev": "eth9"}, "dev eth9 in red does not exist"),
        ({"via": "10.0.0.1", "src": "10.5.0.2"}, "address 10.5.0.2, which route default in red prefers as source"),
    ],
)
def test_what_a_route_builds_on_may_be_coming_in_check_mode_alone(wanted, words):
    with pytest.raises(Problem, match=words):
        plan_for({"dst": "default", **wanted})
    made = plan_for({"dst": "default", **wanted}, check=True)
    assert len(made.operations) == 1
    assert len(made.warnings) == 1


def test_a_link_that_is_down_takes_no_route():
    imagined = world(red=namespace(link("eth0", "veth", address("10.0.0.2/24"), up=False)))
    with pytest.raises(
        Problem, match=r"link eth0 in red, by which route 10.9.0.0/16 in red leaves, is not up: set it up"
    ):
        plan("ns_route", imagined, netns="red", routes=[{"dst": "10.9.0.0/16", "dev": "eth0"}])


def test_onlink_takes_a_gateway_that_no_address_covers():
    made = plan_for({"dst": "default", "via": "198.51.100.1", "dev": "eth0", "onlink": True})
    assert short(made) == ["route add default via 198.51.100.1 dev eth0 onlink"]


def test_the_namespace_s_own_address_is_no_gateway_not_even_in_check_mode():
    for check in (True, False):
        with pytest.raises(
            Problem, match=r"gateway 10.1.0.2 of route default in red is an address of the namespace itself"
        ):
            plan_for({"dst": "default", "via": "10.1.0.2"}, check=check)


def test_a_link_local_gateway_is_a_neighbour_of_any_link():
    made = plan_for({"dst": "::/0", "via": "fe80::1", "dev": "eth1"})
    assert short(made) == ["-6 route add default via fe80::1 dev eth1"]


# absent


def test_a_route_is_removed_whatever_its_gateway():
    there = route("10.9.0.0/16", "10.0.0.9", "eth0", metrics=(("mtu", 1300),))
    made = plan_for({"dst": "10.9.0.0/16"}, there=[there], state="absent")
    assert short(made)[0].startswith("route del 10.9.0.0/16 via 10.0.0.9 dev eth0")
    assert made.report == {"routes": []}


@pytest.mark.parametrize(
    "given",
    [
        {"via": "10.0.0.1"}, {"dev": "eth1"}, {"src": "10.0.0.2"}, {"mtu": 1400}, {"type": "blackhole"}, {"metric": 1},
        {"table": "100"}, {"scope": "host"}, {"onlink": True}, {"nexthops": [{"via": "10.0.0.9"}, {"dev": "eth1"}]},
    ],
    ids=str,
)  # fmt: skip
def test_absent_also_matches_each_other_field_that_is_given(given):
    there = route("10.9.0.0/16", "10.0.0.9", "eth0")
    assert plan_for({"dst": "10.9.0.0/16", **given}, there=[there], state="absent").operations == []
    same = {"via": "10.0.0.9", "dev": "eth0", "scope": "global", "type": "unicast", "onlink": False}
    assert len(plan_for({"dst": "10.9.0.0/16", **same}, there=[there], state="absent").operations) == 1


def test_every_type_is_removed_when_none_is_given():
    made = plan_for({"dst": "10.9.0.0/16"}, there=[route("10.9.0.0/16", kind="blackhole")], state="absent")
    assert short(made) == ["route del blackhole 10.9.0.0/16"]


def test_one_next_hop_is_a_gateway_like_any_other():
    one = {"dst": "10.9.0.0/16", "nexthops": [{"via": "10.1.0.1", "weight": 3}]}
    made = plan_for(one)
    assert short(made) == ["route add 10.9.0.0/16 via 10.1.0.1 dev eth1"]
    there = [route("10.9.0.0/16", "10.1.0.1", "eth1")]
    assert short(plan_for(one, there=there, state="absent")) == ["route del 10.9.0.0/16 via 10.1.0.1 dev eth1"]


def test_a_scope_that_the_kernel_would_not_take_with_a_gateway_is_not_kept():
    there = [route("10.9.0.0/16", None, "eth0", scope=SCOPE_HOST)]
    made = plan_for({"dst": "10.9.0.0/16", "via": "10.0.0.1"}, there=there)
    assert short(made) == ["route replace 10.9.0.0/16 via 10.0.0.1 dev eth0"]
    assert short(plan_for({"dst": "10.9.0.0/16", "dev": "eth1"}, there=there)) == [
        "route replace 10.9.0.0/16 dev eth1 scope host"
    ]


def test_no_namespace_no_route():
    assert plan("ns_route", world(), netns="red", routes=[{"dst": "default"}], state="absent").operations == []
    with pytest.raises(Problem, match="namespace pid:7 can't be used"):
        plan("ns_route", world(), netns="pid:7", routes=[{"dst": "default"}], state="absent")


# purge


def test_other_routes_of_people_are_purged_from_the_tables_that_are_named():
    mine = route("default", "10.0.0.1", "eth0")
    there = [
        mine,
        route("10.8.0.0/16", "10.0.0.1", "eth0"),
        route("fd09::/16", "fd00::1", "eth0", protocol=PROTO_STATIC),
        route("10.7.0.0/16", "10.0.0.1", "eth0", protocol=PROTO_DHCP),
        route("10.6.0.0/16", "10.0.0.1", "eth0", table=100),
    ]
    made = plan_for({"dst": "default", "via": "10.0.0.1"}, there=there, purge_routes=True)
    assert short(made) == [
        "route del 10.8.0.0/16 via 10.0.0.1 dev eth0",
        "-6 route del fd09::/16 via fd00::1 dev eth0 proto 4",
    ]


def test_of_two_routes_of_one_identity_that_which_is_not_meant_is_purged():
    there = [route("fd09::/48", None, "eth0"), route("fd09::/48", None, "eth1")]
    made = plan_for({"dst": "fd09::/48", "dev": "eth1"}, there=there, purge_routes=True)
    assert short(made) == ["-6 route del fd09::/48 dev eth0"]


def test_with_no_routes_the_main_table_of_the_netns_is_purged():
    there = [route("10.8.0.0/16", "10.0.0.1", "eth0"), route("10.6.0.0/16", "10.0.0.1", "eth0", table=100)]
    assert short(plan_for(there=there, purge_routes=True)) == ["route del 10.8.0.0/16 via 10.0.0.1 dev eth0"]
    assert plan_for(there=there).operations == []


# Input


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"dst": "10.9.0.1/16", "dev": "eth0"}, "destination '10.9.0.1/16' has host bits set"),
        ({"dst": "default"}, "route default in red leads nowhere: give via, dev or nexthops"),
        ({"dst": "default", "type": "blackhole", "via": "10.0.0.1"}, "of type blackhole can't have via"),
        ({"dst": "10.9.0.0/16", "via": "fd00::1"}, "mixes families: fd00::1 is IPv6"),
        ({"dst": "default", "via": "10.0.0.1", "src": "fd00::2"}, "mixes families"),
        ({"dst": "default", "nexthops": [{"via": "10.0.0.1"}, {"via": "fd00::1"}]}, "mixes families"),
        ({"dst": "default", "via": "10.0.0.1", "onlink": True}, "has onlink without dev"),
        ({"dst": "::/0", "via": "fe80::1"}, "link-local gateway without dev"),
        ({"dst": "default", "dev": "eth0", "mtu": 67}, "MTU 67, which is out of range"),
        ({"dst": "default", "dev": "eth0", "mtu": 65521}, "MTU 65521, which is out of range: use 68 to 65520"),
        ({"dst": "default", "dev": "eth0", "table": "0"}, "routing table '0' is not known: use a number, 1 to"),
        ({"dst": "default", "dev": "eth0", "table": "4294967296"}, "is not known"),
        ({"dst": "default", "dev": "eth0", "table": "mine"}, "is not known"),
        ({"dst": "default", "dev": "eth0", "scope": "site"}, "scope 'site' is not known"),
        ({"dst": "default", "dev": "eth0", "metric": -1}, "metric -1 of the route to 0.0.0.0/0 is out of range"),
        ({"dst": "default", "nexthops": [{"via": "10.0.0.1", "weight": 0}]}, "weight 0 of a nexthop is out of range"),
        ({"dst": "default", "nexthops": [{"via": "10.0.0.1", "weight": 257}]}, "weight 257 of a nexthop"),
        ({"dst": "default", "via": "router"}, "gateway 'router' is no IP address"),
        ({"dst": "default", "type": "prohibit", "mtu": 1400}, "of type prohibit can't have via, .* or mtu"),
        ({"dst": "::/0", "via": "fd00::1", "scope": "link"}, "a scope, which IPv6 routes have not"),
        ({"dst": "default", "dev": "eth0", "scope": "nowhere"}, "can't have scope nowhere"),
        ({"dst": "default", "via": "10.0.0.1", "scope": "link"}, "has a gateway, and can't have scope link"),
        ({"dst": "default", "via": "224.0.0.1", "dev": "eth0"}, "224.0.0.1 can't be the gateway"),
        ({"dst": "::/0", "via": "::", "dev": "eth0"}, ":: can't be the gateway"),
        ({"dst": "::/0", "nexthops": [{"via": "fd00::1"}, {"dev": "eth1"}]}, "a next hop without a gateway"),
        ({"dst": "::/0", "nexthops": [{"via": "fd00::1"}, {"via": "fe80::1"}]}, "link-local gateway without dev"),
    ],
    ids=str,
)
def test_what_ns_route_refuses_before_it_looks(wanted, words: str):
    with pytest.raises(Problem, match=words):
        plan_for(wanted)


def test_a_route_is_declared_once():
    with pytest.raises(Problem, match="route default in red is declared twice"):
        plan_for({"dst": "default", "via": "10.0.0.1"}, {"dst": "0.0.0.0/0", "dev": "eth0"})
