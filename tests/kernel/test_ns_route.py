# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ns_route: routes come, are replaced in place, and go."""

from __future__ import annotations

from typing import Any

import pytest
from support.host import Host

pytestmark = pytest.mark.no_rules

GATEWAY, OTHER = "10.0.0.1", "10.0.0.9"


@pytest.fixture
def red(host: Host) -> Host:
    """A host with a namespace red that has eth0 (10.0.0.2/24, fd00::2/64) and eth1 (10.1.0.2/24, fd00:1::2/64)."""
    host.sh("ip netns add red; ip -n red link set dev lo up")
    for number in (0, 1):
        dev, six = f"eth{number}", "fd00" if number == 0 else "fd00:1"
        host.sh(
            f"ip link add name v{number} type veth peer name {dev} netns red\n"
            f"ip address add 10.{number}.0.1/24 dev v{number}; ip address add {six}::1/64 dev v{number} nodad\n"
            f"ip -n red address add 10.{number}.0.2/24 dev {dev}; ip -n red address add {six}::2/64 dev {dev} nodad\n"
            f"ip link set dev v{number} up; ip -n red link set dev {dev} up"
        )
    return host


def the_route(host: Host, dst: str, family: int = 4, table: str = "main", netns: str = "red") -> dict[str, Any]:
    (found,) = [route for route in host.routes(netns, family, table) if route["dst"] == dst]
    return found


def declare(*routes: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"netns": "red", "routes": list(routes), **more}


# Adding and removing


def test_a_default_route_is_added_and_removed(red: Host) -> None:
    red.sh("ip address add 10.77.0.1/32 dev lo")
    result = red.changed("ns_route", **declare({"dst": "default", "via": GATEWAY}))
    route = the_route(red, "default")
    assert (route["gateway"], route["dev"]) == (GATEWAY, "eth0")
    assert red.ping("10.77.0.1", "red")
    (returned,) = result["routes"]
    assert (returned["dst"], returned["via"], returned["dev"], returned["netns"]) == ("default", GATEWAY, "eth0", "red")
    red.changed("ns_route", **declare({"dst": "default"}, state="absent"))
    assert red.routes("red") == []
    red.unchanged("ns_route", **declare({"dst": "default"}, state="absent"))


def test_a_default_route_takes_its_family_from_its_gateway(red: Host) -> None:
    red.changed("ns_route", **declare({"dst": "default", "via": "fd00::1"}))
    assert the_route(red, "default", 6)["gateway"] == "fd00::1"
    assert red.routes("red") == []
    red.changed("ns_route", **declare({"dst": "::/0"}, state="absent"))
    assert red.routes("red", 6) == []


def test_a_default_route_without_a_gateway_is_of_ipv4(red: Host) -> None:
    red.changed("ns_route", **declare({"dst": "default", "dev": "eth0"}))
    assert the_route(red, "default")["dev"] == "eth0"
    red.changed("ns_route", **declare({"dst": "::/0", "dev": "eth0"}))
    assert the_route(red, "default", 6)["dev"] == "eth0"


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        ({"dst": "10.9.0.0/16", "via": GATEWAY}, {"gateway": GATEWAY, "dev": "eth0"}),
        ({"dst": "10.9.0.0/16", "dev": "eth1"}, {"dev": "eth1", "scope": "link"}),
        ({"dst": "10.9.0.0/16", "via": GATEWAY, "dev": "eth0", "src": "10.1.0.2"}, {"prefsrc": "10.1.0.2"}),
        ({"dst": "10.9.0.0/16", "via": GATEWAY, "metric": 7}, {"metric": 7}),
        ({"dst": "10.9.0.0/16", "via": GATEWAY, "mtu": 1300}, {"metrics": [{"mtu": 1300}]}),
        ({"dst": "10.9.0.0/16", "dev": "eth0", "scope": "global"}, {"scope": "global"}),
        ({"dst": "10.9.0.0/16", "via": "203.0.113.1", "dev": "eth0", "onlink": True}, {"flags": ["onlink"]}),
        ({"dst": "10.9.0.0/16", "type": "blackhole"}, {"type": "blackhole"}),
        ({"dst": "10.9.0.0/16", "type": "unreachable"}, {"type": "unreachable"}),
        ({"dst": "10.9.0.0/16", "type": "prohibit"}, {"type": "prohibit"}),
        ({"dst": "10.9.9.9", "via": GATEWAY}, {"gateway": GATEWAY}),
        ({"dst": "10.9.0.0/16", "nexthops": [{"via": GATEWAY, "weight": 3}]}, {"gateway": GATEWAY, "dev": "eth0"}),
        ({"dst": "fd09::/48", "via": "fd00::1"}, {"gateway": "fd00::1", "metric": 1024}),
        ({"dst": "fd09::/48", "dev": "eth1"}, {"dev": "eth1"}),
        ({"dst": "fd09::/48", "via": "fd00::1", "metric": 7}, {"metric": 7}),
        ({"dst": "fd09::/48", "via": "fd00::1", "src": "fd00:1::2"}, {"prefsrc": "fd00:1::2"}),
        ({"dst": "fd09::/48", "via": "fd00::1", "mtu": 1300}, {"metrics": [{"mtu": 1300}]}),
        ({"dst": "fd09::9", "via": "fe80::1", "dev": "eth0", "mtu": 65520}, {"gateway": "fe80::1"}),
        ({"dst": "fd09::/48", "nexthops": [{"via": "fd00::1"}]}, {"gateway": "fd00::1", "dev": "eth0"}),
        ({"dst": "fd09::/48", "type": "blackhole"}, {"type": "blackhole"}),
        ({"dst": "fd09::/48", "type": "unreachable"}, {"type": "unreachable"}),
        ({"dst": "fd09::/48", "type": "prohibit"}, {"type": "prohibit"}),
    ],
    ids=str,
)
def test_every_field_is_set_and_the_route_removed(red: Host, route: dict[str, Any], expected: dict[str, Any]) -> None:
    red.changed("ns_route", **declare(route))
    seen = the_route(red, route["dst"], 6 if ":" in route["dst"] else 4)
    assert {key: seen[key] for key in expected} == expected
    red.changed("ns_route", **declare(route, state="absent"))
    assert red.routes("red") + red.routes("red", 6) == []


def test_one_task_serves_several_namespaces_and_the_host(red: Host) -> None:
    red.sh("ip netns add blue; ip link add name w type veth peer name eth0 netns blue; ip link set dev w up")
    red.sh("ip -n blue address add 10.2.0.2/24 dev eth0; ip -n blue link set dev eth0 up")
    red.changed(
        "ns_route",
        routes=[
            {"netns": "red", "dst": "default", "via": GATEWAY},
            {"netns": "blue", "dst": "default", "via": "10.2.0.1"},
            {"dst": "10.9.0.0/16", "via": "10.0.0.2"},
        ],
    )
    assert the_route(red, "default")["gateway"] == GATEWAY
    assert the_route(red, "default", netns="blue")["gateway"] == "10.2.0.1"
    assert the_route(red, "10.9.0.0/16", netns="host")["dev"] == "v0"


@pytest.mark.parametrize("table", ["77", "4294967294", "default", "local"])
def test_a_route_in_another_table(red: Host, table: str) -> None:
    red.changed("ns_route", **declare({"dst": "10.9.0.0/16", "via": GATEWAY, "table": table}))
    assert the_route(red, "10.9.0.0/16", table=table)["gateway"] == GATEWAY
    assert red.routes("red") == []
    red.changed("ns_route", **declare({"dst": "10.9.0.0/16", "table": table}, state="absent"))


def test_one_table_has_two_names(red: Host) -> None:
    red.apply("ns_route", **declare({"dst": "10.9.0.0/16", "via": GATEWAY, "table": "main"}))
    red.unchanged("ns_route", **declare({"dst": "10.9.0.0/16", "via": GATEWAY, "table": "254"}))


def test_routes_that_differ_in_their_metric_stand_side_by_side(red: Host) -> None:
    red.apply("ns_route", **declare({"dst": "default", "via": GATEWAY}))
    red.changed("ns_route", **declare({"dst": "default", "via": OTHER, "metric": 100}))
    assert [route["gateway"] for route in red.routes("red")] == [GATEWAY, OTHER]
    red.changed("ns_route", **declare({"dst": "default"}, state="absent"))
    assert [route["gateway"] for route in red.routes("red")] == [OTHER]


def test_a_route_may_go_by_another_of_the_same_task(red: Host) -> None:
    red.changed(
        "ns_route",
        **declare({"dst": "203.0.113.1/32", "dev": "eth0"}, {"dst": "default", "via": "203.0.113.1"}),
    )
    assert the_route(red, "default")["gateway"] == "203.0.113.1"


def test_routes_of_a_namespace_that_has_no_name(host: Host) -> None:
    pid = host.unnamed_namespace()
    inside = f"nsenter --net=/proc/{pid}/ns/net"
    host.sh(f"{inside} ip link add name a type veth peer name b; {inside} ip address add 10.0.0.2/24 dev a")
    host.sh(f"{inside} ip link set dev a up; {inside} ip link set dev b up")
    for ref in (f"pid:{pid}", f"/proc/{pid}/ns/net"):
        host.changed("ns_route", netns=ref, routes=[{"dst": "default", "via": GATEWAY}])
        host.changed("ns_route", netns=ref, routes=[{"dst": "default"}], state="absent")


# Changing in place

CHANGES_IN_PLACE = [
    ({"via": GATEWAY}, {"via": OTHER}),
    ({"via": GATEWAY}, {"via": "10.1.0.1"}),
    ({"via": GATEWAY}, {"dev": "eth1"}),
    ({"via": GATEWAY}, {"type": "blackhole"}),
    ({"type": "blackhole"}, {"via": GATEWAY}),
    ({"type": "unreachable"}, {"type": "prohibit"}),
    ({"via": GATEWAY, "mtu": 1300}, {"via": GATEWAY, "mtu": 1200}),
    ({"via": GATEWAY}, {"via": GATEWAY, "src": "10.1.0.2"}),
    ({"dev": "eth0"}, {"dev": "eth0", "scope": "global"}),
    ({"dev": "eth0", "scope": "host"}, {"via": GATEWAY}),
    ({"via": GATEWAY, "dev": "eth0"}, {"via": GATEWAY, "dev": "eth0", "onlink": True}),
    ({"via": GATEWAY}, {"nexthops": [{"via": GATEWAY}, {"via": "10.1.0.1"}]}),
    ({"nexthops": [{"via": GATEWAY}, {"via": "10.1.0.1"}]}, {"via": GATEWAY}),
    (
        {"nexthops": [{"via": GATEWAY}, {"via": "10.1.0.1"}]},
        {"nexthops": [{"via": GATEWAY, "weight": 3}, {"via": "10.1.0.1"}]},
    ),
    ({"nexthops": [{"via": GATEWAY}, {"via": "10.1.0.1"}]}, {"type": "prohibit"}),
]
TO_IPV6 = {GATEWAY: "fd00::1", OTHER: "fd00::9", "10.1.0.1": "fd00:1::1", "10.1.0.2": "fd00:1::2"}


def six(value: Any) -> Any:
    """The same in IPv6."""
    if isinstance(value, dict):
        return {key: six(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [six(inner) for inner in value]
    return TO_IPV6.get(value, value) if isinstance(value, str) else value


# Scope is of no meaning to the kernel's IPv6 routes.
IN_BOTH_FAMILIES = [
    *(("10.9.0.0/16", before, after) for before, after in CHANGES_IN_PLACE),
    *(
        ("fd09::/48", six(before), six(after))
        for before, after in CHANGES_IN_PLACE
        if "scope" not in {**before, **after}
    ),
]


@pytest.mark.parametrize(("dst", "before", "after"), IN_BOTH_FAMILIES, ids=str)
def test_a_route_is_replaced_in_place(red: Host, dst: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    red.apply("ns_route", **declare({"dst": dst, **before}))
    # In a shell or by the module, there is no moment without the route: nobody is told that it was deleted.
    with red.monitoring_routes("red") as lines:
        result = red.apply("ns_route", faulty=False, **declare({"dst": dst, **after}))
    assert result.changed
    assert not [line for line in lines if line.startswith("Deleted") and dst in line], lines
    # And so that its failure is undone is seen too.
    red.apply("ns_route", **declare({"dst": dst, **before}))


def test_a_multipath_route_shares_by_weight(red: Host) -> None:
    hops = [{"via": GATEWAY, "weight": 3}, {"dev": "eth1"}]
    red.changed("ns_route", **declare({"dst": "10.9.0.0/16", "nexthops": hops}))
    seen = the_route(red, "10.9.0.0/16")["nexthops"]
    assert [(hop.get("gateway"), hop["dev"], hop["weight"]) for hop in seen] == [
        (GATEWAY, "eth0", 3),
        (None, "eth1", 1),
    ]
    red.changed("ns_route", **declare({"dst": "10.9.0.0/16", "nexthops": hops}, state="absent"))


def test_a_multipath_route_of_ipv6(red: Host) -> None:
    hops = [{"via": "fd00::1", "weight": 2}, {"via": "fd00:1::1"}]
    red.changed("ns_route", **declare({"dst": "fd09::/48", "nexthops": hops}))
    seen = the_route(red, "fd09::/48", 6)["nexthops"]
    assert sorted((hop["gateway"], hop["weight"]) for hop in seen) == [("fd00:1::1", 1), ("fd00::1", 2)]
    red.sh("ip -6 -n red route delete fd09::/48 via fd00:1::1 dev eth1")
    red.changed("ns_route", **declare({"dst": "fd09::/48", "nexthops": hops}))
    red.changed("ns_route", **declare({"dst": "fd09::/48"}, state="absent"))
    assert red.routes("red", 6) == []


def test_fields_that_are_left_out_keep_their_value(red: Host) -> None:
    red.sh(f"ip -n red route add 10.9.0.0/16 via {GATEWAY} mtu 1300 src 10.1.0.2 proto 42")
    red.unchanged("ns_route", **declare({"dst": "10.9.0.0/16", "via": GATEWAY}))
    red.changed("ns_route", **declare({"dst": "10.9.0.0/16", "via": OTHER}))
    route = the_route(red, "10.9.0.0/16")
    assert (route["gateway"], route["prefsrc"], route["metrics"]) == (OTHER, "10.1.0.2", [{"mtu": 1300}])


def test_a_route_with_fields_that_have_no_option_is_undone_with_them(red: Host) -> None:
    red.sh(f"ip -n red route add 10.9.0.0/16 via {GATEWAY} mtu lock 1300 advmss 1000 proto 42")
    red.changed("ns_route", **declare({"dst": "10.9.0.0/16"}, state="absent"))


@pytest.mark.parametrize(
    "drift",
    [
        "ip -n red route delete 10.9.0.0/16",
        f"ip -n red route replace 10.9.0.0/16 via {OTHER}",
        "ip -n red route replace blackhole 10.9.0.0/16",
        f"ip -n red route replace 10.9.0.0/16 via {GATEWAY} mtu 1200 src 10.0.0.2",
        f"ip -n red route replace 10.9.0.0/16 nexthop via {GATEWAY} nexthop via 10.1.0.1",
        "ip -n red link set dev eth0 down; ip -n red link set dev eth0 up",
    ],
)
def test_drift_is_mended(red: Host, drift: str) -> None:
    declared = declare({"dst": "10.9.0.0/16", "via": GATEWAY, "src": "10.1.0.2", "mtu": 1300})
    red.apply("ns_route", **declared)
    before = red.routes("red")
    red.sh(drift)
    red.changed("ns_route", **declared)
    assert red.routes("red") == before


# Removing


@pytest.mark.parametrize(
    "field",
    [{"via": OTHER}, {"dev": "eth1"}, {"type": "blackhole"}, {"metric": 5}, {"table": "77"}, {"mtu": 1200}],
    ids=str,
)
def test_absent_matches_each_field_that_is_given(red: Host, field: dict[str, Any]) -> None:
    red.apply("ns_route", **declare({"dst": "10.9.0.0/16", "via": GATEWAY, "mtu": 1300}))
    red.unchanged("ns_route", **declare({"dst": "10.9.0.0/16", **field}, state="absent"))
    red.changed("ns_route", **declare({"dst": "10.9.0.0/16", "via": GATEWAY, "mtu": 1300}, state="absent"))


def test_absent_finds_a_route_of_any_type(red: Host) -> None:
    red.apply(
        "ns_route", **declare({"dst": "10.9.0.0/16", "type": "prohibit"}, {"dst": "fd09::/48", "type": "blackhole"})
    )
    red.changed("ns_route", **declare({"dst": "10.9.0.0/16"}, {"dst": "fd09::/48"}, state="absent"))


def test_absent_is_satisfied_when_the_namespace_is_gone(red: Host) -> None:
    red.unchanged("ns_route", netns="nowhere", routes=[{"dst": "default"}], state="absent")


def test_purge_removes_what_others_added_but_not_what_the_kernel_or_a_daemon_did(red: Host) -> None:
    red.sh(f"ip -n red route add 10.7.0.0/16 via {GATEWAY}; ip -n red route add 10.8.0.0/16 via {GATEWAY} proto static")
    red.sh(
        f"ip -n red route add 10.6.0.0/16 via {GATEWAY} proto dhcp; ip -n red route add 10.5.0.0/16 dev eth0 table 77"
    )
    red.sh("ip -n red route add fd07::/48 via fd00::1; ip -n red route add blackhole 10.4.0.0/16")
    # Of IPv6 the kernel takes two routes of one identity, if they leave by two links.
    red.sh("ip -n red route add fd08::/48 dev eth0; ip -n red route append fd08::/48 dev eth1")
    wanted = [{"dst": "default", "via": GATEWAY}, {"dst": "fd08::/48", "dev": "eth1"}]
    red.changed("ns_route", **declare(*wanted, purge_routes=True))
    assert sorted(route["dst"] for route in red.routes("red")) == ["10.6.0.0/16", "default"]
    assert [(route["dst"], route["dev"]) for route in red.routes("red", 6)] == [("fd08::/48", "eth1")]
    assert red.ping("10.1.0.1", "red")
    assert len(red.routes("red", table="77")) == 1


def test_purge_looks_at_the_tables_that_the_routes_name(red: Host) -> None:
    red.sh(f"ip -n red route add 10.7.0.0/16 via {GATEWAY} table 77; ip -n red route add 10.7.0.0/16 via {GATEWAY}")
    red.changed("ns_route", **declare({"dst": "default", "via": GATEWAY, "table": "77"}, purge_routes=True))
    assert [route["dst"] for route in red.routes("red", table="77")] == ["default"]
    assert [route["dst"] for route in red.routes("red")] == ["10.7.0.0/16"]


def test_purge_of_an_empty_list_empties_the_main_table(red: Host) -> None:
    red.sh(f"ip -n red route add default via {GATEWAY}; ip -n red route add default via {OTHER} metric 5")
    red.changed("ns_route", **declare(purge_routes=True))
    assert red.routes("red") == []


def test_no_packet_is_lost_when_there_is_nothing_to_change(red: Host) -> None:
    red.sh("ip address add 10.77.0.1/32 dev lo")
    declared = declare({"dst": "default", "via": GATEWAY})
    red.apply("ns_route", **declared)
    with red.pinging("10.77.0.1", "red"):
        red.unchanged("ns_route", **declared)
