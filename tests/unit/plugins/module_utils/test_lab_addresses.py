# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of a lab: what its subnets give, that it stays, and what is refused."""

from __future__ import annotations

import ipaddress

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.nslab.linux.plugins.module_utils._lab_addresses import (
    addressed,
    claims,
    host_entries,
    judge,
)
from ansible_collections.nslab.linux.plugins.module_utils._lab_definition import read_lab
from ansible_collections.nslab.linux.plugins.module_utils._lab_segments import holders


def read(definition):
    lab, faults = read_lab("lab", yaml.safe_load(definition) if isinstance(definition, str) else definition)
    assert [str(fault) for fault in faults] == []
    return lab


def given_to(definition, remembered=None):
    """The addresses of a lab in which nothing is wrong, by place and interface; None where they are not managed."""
    lab, faults = addressed(read(definition), remembered or {})
    assert [str(fault) for fault in (*faults, *judge(lab))] == []
    return {
        " ".join(each.key): None if each.addresses is None else [str(one) for one in each.addresses]
        for each in holders(lab)
    }


def faults_of(definition) -> dict[str, str]:
    lab, faults = addressed(read(definition), {})
    every = (*faults, *judge(lab))
    assert len({fault.path for fault in every}) == len(every), every
    return {fault.path: fault.text for fault in every}


def ips(*texts: str):
    return tuple(ipaddress.ip_interface(text) for text in texts)


def test_a_bridge_has_the_first_address_and_its_far_ends_those_that_follow_in_order():
    lab = """
        prefix: t-
        namespaces: {web: , db: , sw: }
        nodes: {count: 2, bridge: br0}
        bridges:
          br0: {subnet: [10.0.0.0/24, "fd00::/64"]}
          br1: {netns: sw, addresses: [10.0.0.200/24]}
        links:
          - endpoints: [br0, "web:eth0"]
          - endpoints: [br0, br1]
          - endpoints: ["db:eth0", br1]
          - endpoints: [{node: db, interface: eth1, addresses: [10.0.0.5/24]}, br0]
          - endpoints: [{node: db, interface: eth2, addresses: []}, br0]
          - endpoints: ["host:up", br0]
          - endpoints: ["web:eth1", "db:eth3"]
    """
    assert given_to(lab) == {
        "host br0": ["10.0.0.1/24", "fd00::1/64"],
        "t-sw br1": ["10.0.0.200/24"],
        "t-ns1 eth0": ["10.0.0.2/24", "fd00::2/64"],
        "t-ns2 eth0": ["10.0.0.3/24", "fd00::3/64"],
        "t-web eth0": ["10.0.0.4/24", "fd00::4/64"],
        "t-db eth0": None,
        "t-db eth1": ["fd00::5/64", "10.0.0.5/24"],
        "t-db eth2": [],
        "host up": ["10.0.0.6/24", "fd00::6/64"],
        "t-web eth1": None,
        "t-db eth3": None,
    }
    # What each has had it keeps, if it is of the subnet and nobody else's.
    had = {
        ("t-ns1", "eth0"): ips("10.0.0.9/24", "fd00::9/64"),
        ("t-ns2", "eth0"): ips("10.0.0.9/24"),  # that is ns1's
        ("t-web", "eth0"): ips("10.0.0.5/24", "10.0.0.2/16", "10.0.1.7/24", "10.0.0.0/24", "10.0.0.77/24"),
        ("host", "up"): ips("10.0.0.200/24", "10.0.0.1/24"),  # declared at another bridge; the bridge's own
    }
    kept = given_to(lab, had)
    assert [kept[each][0] for each in ("t-ns1 eth0", "t-ns2 eth0", "t-web eth0", "host up", "host br0")] == [
        *("10.0.0.9/24", "10.0.0.2/24", "10.0.0.77/24", "10.0.0.3/24", "10.0.0.1/24")
    ]
    assert kept["t-ns1 eth0"][1] == "fd00::9/64"


@pytest.mark.parametrize(
    ("subnet", "first", "second"),
    [
        ("10.0.0.0/24", "10.0.0.1/24", "10.0.0.2/24"),
        ("10.0.0.4/30", "10.0.0.5/30", "10.0.0.6/30"),
        ("10.0.0.4/31", "10.0.0.4/31", "10.0.0.5/31"),
        ("fd00::8/127", "fd00::8/127", "fd00::9/127"),
    ],
)
def test_the_ends_of_a_link_have_the_first_two_addresses_of_its_subnet(subnet, first, second):
    lab = {"namespaces": {"a": None, "b": None}, "links": [{"endpoints": ["a:e", "b:e"], "subnet": subnet}]}
    assert given_to(lab) == {"a e": [first], "b e": [second]}
    lab["links"][0]["endpoints"] = [{"node": "a", "interface": "e", "addresses": [second]}, "b:e"]
    assert given_to(lab) == {"a e": [second], "b e": [first]}


@pytest.mark.parametrize(
    ("bridge", "there", "others"),
    [
        ("{subnet: 10.0.0.0/24, addresses: [10.0.0.2/24]}", ["10.0.0.2/24"], ["10.0.0.1/24", "10.0.0.3/24"]),
        ("{subnet: 10.0.0.0/24, addresses: []}", [], ["10.0.0.1/24", "10.0.0.2/24"]),
        (
            "{subnet: 10.0.0.0/24, addresses: [10.9.0.1/24]}",
            *(["10.0.0.1/24", "10.9.0.1/24"], ["10.0.0.2/24", "10.0.0.3/24"]),
        ),
    ],
)
def test_a_bridge_that_declares_addresses_of_its_subnet_keeps_to_these(bridge, there, others):
    shown = given_to(f"nodes: {{count: 2, bridge: br0}}\nbridges: {{br0: {bridge}}}")
    assert (shown["host br0"], [shown[f"ns{number} eth0"][0] for number in (1, 2)]) == (there, others)


def test_a_router_that_declares_the_first_address_of_a_subnet_has_it_and_not_the_bridge():
    lab = """
        namespaces: {router: }
        nodes: {count: 1, bridge: br0, routes: [{dst: default, via: 10.0.0.1}]}
        bridges: {br0: {subnet: 10.0.0.0/24}}
        links: [{endpoints: [{node: router, interface: eth0, addresses: [10.0.0.1/24]}, br0]}]
    """
    assert given_to(lab) == {"host br0": ["10.0.0.2/24"], "ns1 eth0": ["10.0.0.3/24"], "router eth0": ["10.0.0.1/24"]}


def test_with_overlap_what_another_segment_declares_is_given_out_all_the_same():
    lab = """
        namespaces: {a: , b: , c: }
        bridges: {b0: {subnet: 10.0.0.0/24}, b1: {netns: c, subnet: 10.0.0.0/24}}
        links: [{endpoints: [{node: a, interface: e, addresses: [10.0.0.2/24]}, b0]}, {endpoints: [b1, "b:e"]}]
        overlap: true
    """
    assert given_to(lab) == {
        "host b0": ["10.0.0.1/24"],
        "c b1": ["10.0.0.1/24"],
        "a e": ["10.0.0.2/24"],
        "b e": ["10.0.0.2/24"],
    }


def test_a_subnet_without_room_is_refused_with_the_numbers():
    lab = "nodes: {count: %d, bridge: br0}\nbridges: {br0: {subnet: 10.0.0.0/29}}\nnamespaces: {r: }\nlinks: %s"
    router = "[{endpoints: [{node: r, interface: e, addresses: [10.0.0.6/29]}, br0]}]"
    assert given_to(lab % (4, router))["ns4 eth0"] == ["10.0.0.5/29"]
    assert faults_of(lab % (5, router)) == {
        "bridges.br0.subnet": "10.0.0.0/29 has room for 6 addresses, 1 of which are declared, and 6 interfaces want one:"
        " choose a larger subnet"
    }
    assert list(faults_of(lab % (6, "[]"))) == ["bridges.br0.subnet"]
    narrow = "namespaces: {a: , b: }\nlinks: [{endpoints: ['a:e', 'b:e'], subnet: 10.0.0.1/32}]"
    assert "room for 1 address" in faults_of(narrow)["links[0].subnet"]


NODES = st.lists(st.sampled_from([f"n{number}" for number in range(12)]), unique=True, max_size=12)


@settings(max_examples=60, deadline=None)
@given(st.lists(NODES, min_size=2, max_size=4), st.booleans())
def test_nobody_that_stays_gets_another_address_whoever_comes_or_goes(edits, swapped):
    """Each edit of a lab is applied to what the one before has left, as the ledger tells it."""
    remembered = {}
    for nodes in edits:
        lab, faults = addressed(
            read(
                {
                    "namespaces": dict.fromkeys(nodes),
                    "bridges": {"br0": {"subnet": ["10.0.0.0/28", "fd00::/64"]}},
                    "links": [
                        {"endpoints": ["br0", f"{node}:e"] if swapped else [f"{node}:e", "br0"]} for node in nodes
                    ],
                }
            ),
            remembered,
        )
        assert (faults, judge(lab)) == ((), ())
        now = {each.key: each.addresses for each in holders(lab)}
        assert len(now) == len(nodes) + 1
        assert all(now[key] == had for key, had in remembered.items() if key in now)
        assert all(len(addresses) == 2 and addresses[0] in ips("10.0.0.0/28")[0].network for addresses in now.values())
        remembered = now


LINK = "{endpoints: [{node: %s, interface: %s, addresses: [%s]}, '%s']}"


def lab_of(*links: str, more: str = "") -> str:
    return f"namespaces: {{a: , b: , c: , d: }}\n{more}\nlinks: [{', '.join(links)}]"


A, B = LINK % ("a", "e0", "10.0.0.1/24", "c:e0"), LINK % ("b", "e0", "10.0.0.%s", "d:e0")


@pytest.mark.parametrize(
    ("text", "path", "said"),
    [
        (
            lab_of(A, LINK % ("b", "e0", "10.0.0.1/32", "d:e0")),
            "links[1].endpoints[0]",
            "that of e0 in a (links[0].endpoints[0]) too",
        ),
        (
            lab_of(A, B % "2/24"),
            "links[1].endpoints[0]",
            "network 10.0.0.0/24 overlaps 10.0.0.0/24 of links[0].endpoints[0]: use another, or",
        ),
        (lab_of(A, B % "130/25"), "links[1].endpoints[0]", "10.0.0.128/25 overlaps 10.0.0.0/24"),
        (
            lab_of(A, LINK % ("b", "e0", "10.0.9.9/8", "d:e0")),
            "links[1].endpoints[0]",
            "10.0.0.0/8 overlaps 10.0.0.0/24",
        ),
        (
            lab_of(A, more="bridges: {br0: {subnet: 10.0.0.0/16}}"),
            *("links[0].endpoints[0]", "10.0.0.0/24 overlaps 10.0.0.0/16 of bridges.br0.subnet"),
        ),
        # One segment: the far end, or what two bridges join, with another length.
        (
            lab_of(
                "{endpoints: [{node: a, interface: e, addresses: [10.0.0.1/24]}, {node: b, interface: e, addresses: [10.0.0.2/25]}]}"
            ),
            *("links[0].endpoints[1]", "in one segment, use one network"),
        ),
        (
            lab_of(
                "{endpoints: [br0, br1]}",
                LINK % ("a", "e", "10.0.0.9/24", "br1"),
                more="bridges: {br0: {subnet: 10.0.0.0/16}, br1: }",
            ),
            *("links[1].endpoints[0]", "in one segment, use one network"),
        ),
        # With overlap, what collides in one segment or in one namespace is refused all the same.
        (
            lab_of(
                A,
                LINK % ("b", "e0", "10.0.0.1/24", "c:e1"),
                LINK % ("d", "e", "10.0.0.1/24", "d:f"),
                LINK % ("d", "g", "10.0.0.1/32", "c:e2"),
                more="overlap: true",
            ),
            *("links[3].endpoints[0]", "address 10.0.0.1 is that of e in d (links[2].endpoints[0]) too"),
        ),
        (
            lab_of(A, LINK % ("a", "e1", "10.0.0.2/24", "b:e0"), more="overlap: true"),
            *("links[1].endpoints[0]", "network 10.0.0.0/24 overlaps"),
        ),
        (
            lab_of(
                "{endpoints: [{node: a, interface: e, addresses: [10.0.0.1/24]}, {node: b, interface: e, addresses: [10.0.0.1/24]}]}",
                more="overlap: true",
            ),
            *("links[0].endpoints[1]", "address 10.0.0.1 is that of e in a"),
        ),
    ],
)
def test_what_collides_is_refused_where_it_is_written_last(text, path, said):
    found = faults_of(text)
    assert list(found) == [path]
    assert said in found[path]


@pytest.mark.parametrize(
    "text",
    [
        lab_of(A, LINK % ("b", "e0", "10.0.0.2/32", "d:e0")),  # a host route is no network of its own
        lab_of(A, B % "2/24", more="overlap: true"),
        lab_of(A, B % "1/24", more="overlap: true"),
        lab_of(A, LINK % ("b", "e0", "10.0.1.1/24", "d:e0"), LINK % ("d", "e9", '"fd00::1/64"', "c:e9")),
        # One network behind two bridges, and two interfaces of one namespace in it.
        lab_of(
            *(
                "{endpoints: [br0, br1]}",
                LINK % ("a", "e0", "10.0.0.2/24", "br1"),
                LINK % ("a", "e1", "10.0.0.3/24", "br0"),
            ),
            more="bridges: {br0: {subnet: 10.0.0.0/24}, br1: }",
        ),
        "overlap: true\nbridges: {b0: {subnet: 10.0.0.0/24}, b1: {netns: r, subnet: 10.0.0.0/24}}\nnamespaces: {r: , s: }\n"
        "links: [{endpoints: ['s:e0', b0]}, {endpoints: [{node: r, interface: e0, addresses: [10.1.0.1/24]}, 's:e1']}]",
    ],
)
def test_what_may_be_together_is_not_refused(text):
    assert faults_of(text) == {}


@pytest.mark.parametrize(
    ("routes", "reached"),
    [
        ("{dst: default, via: 10.0.0.9}", True),
        ("{dst: default, via: 10.0.1.9}", False),
        ("{dst: default, via: 10.0.0.1}", False),  # its own
        ("{dst: default, via: 10.0.0.9, dev: e1}", False),
        ("{dst: default, via: 10.0.1.9, dev: e0, onlink: true}", True),
        ("{dst: 10.0.1.0/24, dev: e0}, {dst: default, via: 10.0.1.9}", True),
        ("{dst: 10.0.1.0/24, dev: e0}, {dst: default, via: 10.0.1.9, dev: e1}", False),
        ("{dst: 10.0.1.0/24, via: 10.0.0.2}, {dst: default, via: 10.0.1.9}", False),
        ("{dst: default, via: 'fe80::1', dev: e0}", True),
        ("{dst: default, via: 'fd00::1'}", False),
        ("{dst: default, nexthops: [{via: 10.0.0.8}, {via: 10.0.0.9}]}", True),
        ("{dst: default, nexthops: [{via: 10.0.0.8}, {via: 10.7.0.9}]}", False),
        ("{dst: 10.0.0.0/8, type: blackhole}", True),
    ],
)
def test_a_gateway_that_no_link_reaches_is_refused(routes, reached):
    text = f"""
        namespaces: {{a: {{routes: [{routes}]}}, b: }}
        links:
          - endpoints: [{{node: a, interface: e0, addresses: [10.0.0.1/24]}}, "b:e0"]
          - endpoints: [{{node: a, interface: e1, addresses: []}}, "b:e1"]
    """
    found = faults_of(text)
    last = routes.count("dst") - 1
    at = f"namespaces.a.routes[{last}].{'nexthops[1].' if 'nexthops' in routes else ''}via"
    assert list(found) == ([] if reached else [at])
    assert all("reaches the gateway" in said for said in found.values())
    # Where addresses are not managed there may be one that reaches it.
    assert faults_of(text.replace("addresses: []", "up: true")) == {}


def test_the_route_of_many_nodes_is_refused_once():
    nodes = "{count: 9, bridge: br0, routes: [{dst: default, via: 10.0.1.1}, {dst: 10.7.0.0/16, dev: eth1}]}"
    definition = yaml.safe_load(f"nodes: {nodes}\nbridges: {{br0: {{subnet: 10.0.0.0/24}}}}")
    lab, faults = read_lab("lab", definition)
    told = judge(addressed(lab, {})[0])
    assert [fault.path for fault in (*faults, *told)] == ["nodes.routes[1].dev", "nodes.routes[0].via"]


def test_what_a_lab_takes_of_its_host_is_its_subnets_and_what_its_addresses_there_are_in():
    lab = read(
        """
        namespaces: {a: , b: }
        bridges: {br0: {subnet: [10.0.0.0/24, "fd00::/64"]}, br1: {addresses: [10.1.0.1/24]}, br2: {netns: a, addresses: [10.2.0.1/24]}}
        links:
          - {endpoints: ["a:e0", "b:e0"], subnet: 10.3.0.0/30}
          - endpoints: [{node: host, interface: x, addresses: [10.4.0.1/32, 10.5.0.1/16]}, {node: a, interface: e1, addresses: [10.6.0.1/24]}]
        """
    )
    assert {str(network): path for network, path in claims(addressed(lab, {})[0]).items()} == {
        "10.0.0.0/24": "bridges.br0.subnet",
        "fd00::/64": "bridges.br0.subnet",
        "10.3.0.0/30": "links[0].subnet",
        "10.1.0.0/24": "bridges.br1",
        "10.5.0.0/16": "links[1].endpoints[0]",
    }


def test_a_namespace_is_known_by_all_its_addresses_those_of_its_links_first():
    lab = read(
        """
        prefix: t-
        namespaces: {a: , b: , c: }
        bridges: {br0: {netns: a, subnet: "fd00::/64"}}
        links:
          - {endpoints: ["b:e0", "a:e0"], subnet: ["fd01::/64", 10.1.0.0/24]}
          - endpoints: [{node: a, interface: e1, addresses: [10.2.0.1/24]}, br0]
          - endpoints: ["host:x", br0]
        """
    )
    assert {node: list(map(str, addresses)) for node, addresses in host_entries(addressed(lab, {})[0]).items()} == {
        "a": ["10.1.0.2", "10.2.0.1", "fd01::2", "fd00::2", "fd00::1"],
        "b": ["10.1.0.1", "fd01::1"],
        "c": [],
    }


def test_what_could_not_be_read_is_not_judged():
    """A link that is refused may be what joins two bridges, or reaches a gateway."""
    lab, faults = read_lab(
        "lab",
        yaml.safe_load(
            """
            namespaces: {a: {routes: [{dst: default, via: 10.9.0.1}]}, b: {routes: [{dst: default, via: 10.9.0.1}]}}
            bridges: {br0: {addresses: [10.0.0.1/24]}, br1: {addresses: [10.0.0.2/24]}}
            links: [{endpoints: [{node: br0, mac: x, interface: "y z"}, br1]}, {endpoints: ["a:lo", "host:z"]}]
            """
        ),
    )
    assert len(faults) == 3
    assert [fault.path for fault in judge(lab)] == ["namespaces.b.routes[0].via"]
