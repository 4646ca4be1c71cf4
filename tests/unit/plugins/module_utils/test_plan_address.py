# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of a link: which are added and removed, in which order, and what comes along."""

from __future__ import annotations

import pytest

from ansible_collections.nslab.linux.plugins.module_utils._errors import Problem
from ansible_collections.nslab.linux.plugins.module_utils._world import SCOPE_LINK
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
    secondary,
    world,
)

DYNAMIC = {"flags": 0, "lifetime": (300, 600)}


def plan_for(wanted, *there, routes=(), promote: bool = False, **options):
    """The plan for a bridge in red that has the addresses ``there``."""
    red = namespace(bridge("br0", *there, promote_secondaries=promote), routes=routes)
    return plan("bridge", world(red=red), name="br0", netns="red", addresses=wanted, **options)


def short(made) -> list[str]:
    """The operations without what all of them have in common."""
    return [words.replace("ip -n red addr ", "").replace(" dev br0", "") for words in made.operations]


def test_addresses_that_are_there_are_left_alone():
    assert short(plan_for(["10.0.0.1/24", "fd00::1/64"], address("fd00::1/64"), address("10.0.0.1/24"))) == []


def test_addresses_are_added_in_the_order_declared():
    made = plan_for(["10.0.0.2/24", "10.0.0.1/24", "fd00::1/64"])
    assert short(made) == ["add 10.0.0.2/24", "add 10.0.0.1/24", "add fd00::1/64 nodad"]
    assert made.report["bridge"]["addresses"] == ["10.0.0.2/24", "10.0.0.1/24", "fd00::1/64"]


def test_addresses_left_out_are_not_managed_and_none_are_none():
    assert short(plan_for(None, address("10.0.0.1/24"))) == []
    assert short(plan_for([], address("10.0.0.1/24"))) == ["del 10.0.0.1/24"]


def test_an_address_that_is_not_declared_stays_without_purge():
    made = plan_for(["10.1.0.1/24"], address("10.0.0.1/24"), purge_addresses=False)
    assert short(made) == ["add 10.1.0.1/24"]


def test_a_new_address_comes_before_an_old_one_of_another_subnet_goes():
    assert short(plan_for(["10.1.0.1/24"], address("10.0.0.1/24"))) == ["add 10.1.0.1/24", "del 10.0.0.1/24"]


@pytest.mark.parametrize(
    "other",
    [
        address("10.0.0.9/24", **DYNAMIC),
        address("fe80::1/64", scope=SCOPE_LINK),
        address("10.0.0.9/24", scope=SCOPE_LINK),
    ],
    ids=["dynamic", "link-local", "of link scope"],
)
def test_only_static_addresses_are_looked_at(other):
    assert short(plan_for([], other)) == []


def test_a_dynamic_address_that_is_declared_becomes_static_in_place():
    assert short(plan_for(["10.0.0.9/24"], address("10.0.0.9/24", **DYNAMIC))) == ["replace 10.0.0.9/24"]


# Prefix lengths


def test_ipv6_takes_an_address_once_so_the_old_prefix_goes_first():
    assert short(plan_for(["fd00::1/48"], address("fd00::1/64"))) == ["del fd00::1/64", "add fd00::1/48 nodad"]


def test_ipv4_has_both_prefixes_for_a_moment():
    assert short(plan_for(["10.0.0.1/16"], address("10.0.0.1/24"))) == ["add 10.0.0.1/16", "del 10.0.0.1/24"]


def test_a_link_is_taken_down_before_its_ipv6_addresses_are_given():
    made = plan_for(["fd00::1/64"], address("fd00::1/64"), up=False)
    assert made.operations == ["ip -n red link set dev br0 down", "ip -n red addr add fd00::1/64 dev br0 nodad"]


# Secondaries


def test_a_secondary_that_goes_with_its_primary_is_put_back():
    there = (address("10.0.0.1/24"), secondary("10.0.0.2/24"), secondary("10.0.0.3/24"))
    made = plan_for(["10.0.0.2/24", "10.0.0.3/24"], *there)
    assert short(made) == ["del 10.0.0.1/24", "add 10.0.0.2/24", "add 10.0.0.3/24"]
    back = [operation.command for operation in made.plan.steps[0].inverse]
    assert back == [f"ip -n red addr add 10.0.0.{number}/24 dev br0" for number in (1, 2, 3)]


def test_where_secondaries_are_promoted_nothing_has_to_be_put_back():
    there = (address("10.0.0.1/24"), secondary("10.0.0.2/24"), secondary("10.0.0.3/24"))
    made = plan_for(["10.0.0.2/24", "10.0.0.3/24"], *there, promote=True)
    assert short(made) == ["del 10.0.0.1/24"]
    flags = [each.secondary for each in made.after.namespaces[key("red")].links["br0"].addresses]
    assert flags == [False, True]


def test_a_promoted_secondary_gives_the_primary_its_place_again_when_undone():
    there = (address("10.0.0.1/24"), secondary("10.0.0.2/24"))
    made = plan_for(["10.0.0.2/24"], *there, promote=True)
    back = [operation.command for operation in made.plan.steps[0].inverse]
    assert back == [
        "ip -n red addr del 10.0.0.2/24 dev br0",
        "ip -n red addr add 10.0.0.1/24 dev br0",
        "ip -n red addr add 10.0.0.2/24 dev br0",
    ]


def test_a_primary_goes_first_where_it_would_take_the_new_ones_along():
    assert short(plan_for(["10.0.0.2/24"], address("10.0.0.1/24"))) == ["del 10.0.0.1/24", "add 10.0.0.2/24"]
    made = plan_for(["10.0.0.2/24"], address("10.0.0.1/24"), promote=True)
    assert short(made) == ["add 10.0.0.2/24", "del 10.0.0.1/24"]


def test_a_secondary_goes_alone():
    assert short(plan_for(["10.0.0.1/24"], address("10.0.0.1/24"), secondary("10.0.0.2/24"))) == ["del 10.0.0.2/24"]


def test_primary_and_secondary_both_go():
    assert short(plan_for([], address("10.0.0.1/24"), secondary("10.0.0.2/24"))) == ["del 10.0.0.1/24"]


def test_a_dynamic_secondary_that_goes_with_its_primary_is_put_back_with_its_lifetime():
    lease = address("10.0.0.2/24", flags=1, lifetime=(300, 600))
    made = plan_for(["10.1.0.1/24"], address("10.0.0.1/24"), lease)
    assert short(made) == [
        "add 10.1.0.1/24",
        "del 10.0.0.1/24",
        "add 10.0.0.2/24 preferred_lft 300 valid_lft 600",
    ]


# Routes that go along


def test_routes_that_go_with_an_address_are_put_back_while_their_gateway_is_a_neighbour():
    routes = [connected("10.0.0.0/24", "br0"), route("default", "10.0.0.9", "br0"), route("10.8.0.0/16", None, "br0")]
    made = plan_for(
        ["10.0.0.2/16"], address("10.0.0.1/24"), routes=[*routes, route("10.9.0.0/16", "10.0.0.9", "br0", src=None)]
    )
    assert made.warnings == ()
    assert {each.dst.with_prefixlen for each in made.after.namespaces[key("red")].routes} >= {
        "0.0.0.0/0",
        "10.8.0.0/16",
        "10.9.0.0/16",
    }


def test_a_route_that_needs_the_address_goes_with_a_warning():
    routes = [connected("10.0.0.0/24", "br0"), route("default", "10.0.0.9", "br0")]
    made = plan_for([], address("10.0.0.1/24"), routes=routes)
    assert short(made) == ["del 10.0.0.1/24"]
    assert made.warnings == ("the route default via 10.0.0.9 dev br0 in red goes with the last address that it needs",)
    back = [operation.command for operation in made.plan.steps[0].inverse]
    assert back[-1] == "ip -n red route add default via 10.0.0.9 dev br0"


def test_a_route_that_prefers_the_address_as_source_goes_with_a_warning():
    import ipaddress

    routes = [route("10.9.0.0/16", "10.1.0.9", "br0", src=ipaddress.ip_address("10.0.0.1"))]
    made = plan_for(["10.1.0.1/24"], address("10.0.0.1/24"), address("10.1.0.1/24"), routes=routes)
    (warning,) = made.warnings
    assert "route 10.9.0.0/16 via 10.1.0.9 dev br0" in warning


def test_the_last_ipv4_address_takes_ipv4_off_the_link_and_the_routes_are_put_back():
    routes = [route("10.8.0.0/16", None, "br0")]
    made = plan_for(["fd00::1/64"], address("10.0.0.1/24"), address("fd00::1/64"), routes=routes)
    assert made.operations == ["ip -n red addr del 10.0.0.1/24 dev br0", "ip -n red route add 10.8.0.0/16 dev br0"]


# The host's default route


def on_the_host(wanted, **options):
    imagined = world(namespace(bridge("br0", address("192.0.2.10/24")), routes=[route("default", "192.0.2.1", "br0")]))
    return plan("bridge", imagined, name="br0", addresses=wanted, **options)


def test_an_address_is_not_taken_off_the_link_that_carries_the_host_s_default_route():
    with pytest.raises(
        Problem, match=r"link br0 carries the host's default route, and the task would take 192\.0\.2\.10/24"
    ):
        on_the_host(["10.0.0.1/24"])


def test_with_force_it_is_and_without_purge_it_need_not_be():
    made = on_the_host(["10.0.0.1/24"], force=True)
    assert made.operations == ["ip addr add 10.0.0.1/24 dev br0", "ip addr del 192.0.2.10/24 dev br0"]
    assert on_the_host(["10.0.0.1/24"], purge_addresses=False).operations == ["ip addr add 10.0.0.1/24 dev br0"]


def test_the_default_route_of_a_namespace_is_not_guarded():
    red = namespace(bridge("br0", address("10.0.0.1/24")), link("eth0"), routes=[route("default", "10.0.0.9", "br0")])
    made = plan("bridge", world(a_host(), red=red), name="br0", netns="red", addresses=[])
    assert made.operations == ["ip -n red addr del 10.0.0.1/24 dev br0"]
