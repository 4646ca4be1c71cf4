# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of the network of a Molecule scenario, and what is refused of it, with the path in the definition."""

from __future__ import annotations

import json

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.nslab.linux.plugins.filter.molecule_layout import molecule_layout

CLIENT = {"node": "client", "interface": "eth0", "addresses": ["10.1.1.2/24"]}
ROUTER = {"node": "router", "interface": "eth0", "addresses": ["10.1.1.1/24"], "mtu": 1300}
ROUTED = {
    "namespaces": {
        "client": {"routes": [{"dst": "default", "via": "10.1.1.1"}], "resolv": {"hosts": {"server": "10.1.2.2"}}},
        "router": {"sysctl": {"net.ipv4.ip_forward": True}},
        "server": None,
    },
    "bridges": {"br0": {"netns": "router", "addresses": ["10.1.2.1/24"], "stp": False}, "sw": None},
    "links": [
        {"endpoints": [CLIENT, ROUTER], "mtu": 1400},
        {"endpoints": ["server:eth0", "br0"]},
        {"endpoints": ["server:eth1", {"node": "sw"}]},
        {"endpoints": ["server:eth2", "host:lab0"]},
    ],
}


def test_a_definition_becomes_the_options_of_the_modules():
    layout = molecule_layout(ROUTED, prefix="t-")

    assert layout["problem"] == ""
    assert layout["namespaces"] == [
        {"name": ["t-client", "t-server"]},
        {"name": ["t-router"], "sysctl": {"net.ipv4.ip_forward": "1"}},
    ]
    assert layout["pairs"][0] == {
        "netns": "t-client",
        "name": "eth0",
        "addresses": ["10.1.1.2/24"],
        "mtu": 1400,
        "peer": {"netns": "t-router", "name": "eth0", "addresses": ["10.1.1.1/24"], "mtu": 1300},
    }
    in_router, on_host = layout["pairs"][1]["peer"], layout["pairs"][2]["peer"]
    assert in_router["netns"] == "t-router"
    assert "netns" not in on_host
    assert layout["pairs"][3]["peer"] == {"name": "lab0"}
    assert layout["bridges"] == [
        {
            "name": "br0",
            "netns": "t-router",
            "addresses": ["10.1.2.1/24"],
            "stp": False,
            "ports": [in_router["name"]],
        },
        {"name": "sw", "ports": [on_host["name"]]},
    ]
    assert layout["routes"] == [{"netns": "t-client", "dst": "default", "via": "10.1.1.1"}]
    assert layout["resolv"] == [{"netns": ["t-client"], "hosts": {"server": "10.1.2.2"}}]
    assert json.loads(layout["record"]) == {
        "namespaces": ["t-client", "t-router", "t-server"],
        "bridges": ["sw"],
        "links": [on_host["name"], "lab0"],
    }
    assert layout["record_before"] == layout["record"]


def test_an_unnamed_end_keeps_its_name_when_the_links_change_places_and_differs_by_prefix():
    again = {**ROUTED, "links": ROUTED["links"][::-1]}
    name = molecule_layout(ROUTED)["pairs"][1]["peer"]["name"]
    assert molecule_layout(again)["pairs"][2]["peer"]["name"] == name
    assert molecule_layout(ROUTED, prefix="t-")["pairs"][1]["peer"]["name"] != name


def test_platforms_are_namespaces_too():
    layout = molecule_layout({"namespaces": {"b": {"loopback": False}}}, platforms=["a", "b"])
    assert layout["namespaces"] == [{"name": ["a"]}, {"name": ["b"], "loopback": False}]


def test_what_is_there_is_refused_unless_it_was_made_for_this_scenario():
    definition = {"namespaces": {"red": {}}, "bridges": {"sw": {}}, "links": [{"endpoints": ["red:eth0", "host:lab0"]}]}
    for path, what in (
        ("/run/netns/red", "namespace 'red'"),
        ("/sys/class/net/sw", "bridge 'sw'"),
        ("/sys/class/net/lab0", "link 'lab0'"),
    ):
        assert f"{what} exists on this machine" in molecule_layout(definition, there=[path])["problem"]
    record = molecule_layout(definition)["record"]
    there = ["/run/netns/red", "/sys/class/net/sw", "/sys/class/net/lab0"]
    assert molecule_layout(definition, there=there, record=record)["problem"] == ""
    assert molecule_layout(definition, there=["/run/netns/sw", "/sys/class/net/red"])["problem"] == ""


def test_what_was_made_and_is_no_longer_defined_goes_and_until_then_is_remembered():
    record = molecule_layout(ROUTED)["record"]
    less = molecule_layout({"namespaces": {"client": {}}}, record=record)
    assert less["gone"]["namespaces"] == ["router", "server"]
    assert less["gone"]["bridges"] == ["sw"]
    assert {"name": "lab0"} in less["gone"]["links"]
    assert json.loads(less["record_before"])["namespaces"] == ["client", "router", "server"]
    assert json.loads(less["record"]) == {"namespaces": ["client"], "bridges": [], "links": []}

    all_of_it = molecule_layout(None, record=record)
    assert all_of_it["gone"]["namespaces"] == ["client", "router", "server"]
    assert molecule_layout(None)["gone"] == {"namespaces": [], "bridges": [], "links": []}
    assert "can't be read" in molecule_layout(None, record="[")["problem"]


def end(**changed):
    return {"links": [{"endpoints": [{**CLIENT, **changed}, ROUTER]}]}


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"namespace": {}}, "nslab_lab.namespace: this is not known: known are name, namespaces"),
        ({"nat": [{}]}, "nslab_lab.nat: this comes later"),
        ({"bridges": {"br0": {"subnet": "10.1.0.0/24"}}}, "nslab_lab.bridges.br0.subnet: this comes later"),
        ({"links": [{"endpoints": [CLIENT, ROUTER], "subnet": "x"}]}, "nslab_lab.links[0].subnet: this comes later"),
        ({"subnet": "10.1.0.0/24"}, "nslab_lab.subnet: this is not known"),
        ({"namespaces": ["a"], "links": []}, "nslab_lab.namespaces: ['a'] is no dict"),
        ({"namespaces": {"a b": {}}, "links": []}, "nslab_lab.namespaces.a b: namespace name"),
        ({"namespaces": {"a": {"sysctls": {}}}, "links": []}, "nslab_lab.namespaces.a.sysctls: this is not known"),
        ({"namespaces": {"a": {"sysctl": {"kernel.x": 1}}}, "links": []}, "nslab_lab.namespaces.a.sysctl: sysctl"),
        ({"namespaces": {"a": {"routes": [{}]}}, "links": []}, "nslab_lab.namespaces.a.routes[0]: it has no dst"),
        ({"namespaces": {"a": {"routes": "x"}}, "links": []}, "nslab_lab.namespaces.a.routes: 'x' is no list"),
        ({"namespaces": {"a": {"resolv": {"x": 1}}}, "links": []}, "nslab_lab.namespaces.a.resolv.x: this is not"),
        ({"bridges": {"client": {}}}, "nslab_lab.bridges.client: a namespace is called 'client' too"),
        ({"bridges": {"host": {}}}, "nslab_lab.bridges.host: as a node, host is the host itself"),
        ({"bridges": {"br0": {"netns": "x"}}}, "nslab_lab.bridges.br0.netns: no namespace is called 'x'"),
        ({"bridges": {"b" * 16: {}}}, f"nslab_lab.bridges.{'b' * 16}: interface name"),
        ({"bridges": {"br0": {"mtu": "x"}}}, "nslab_lab.bridges.br0.mtu: 'x' is no whole number"),
        ({"links": [{"endpoints": [CLIENT]}]}, "nslab_lab.links[0].endpoints: there are 1"),
        (
            {"links": [{"endpoints": ["client:a", "ruter:a"]}]},
            "nslab_lab.links[0].endpoints[1]: no namespace or bridge",
        ),
        (
            {"links": [{"endpoints": ["client:a", "router"]}]},
            "nslab_lab.links[0].endpoints[1]: the interface in router",
        ),
        ({"links": [{"endpoints": [CLIENT, ROUTER], "mtu": 1}]}, "nslab_lab.links[0].mtu: MTU 1 of"),
        (end(interface="a" * 16), "nslab_lab.links[0].endpoints[0]: interface name"),
        (end(addresses=["10.1.1.2"]), "nslab_lab.links[0].endpoints[0].addresses: address '10.1.1.2' has no prefix"),
        (
            end(mac=90520730730496),
            "nslab_lab.links[0].endpoints[0].mac: MAC address 90520730730496 was read as a number",
        ),
        (end(node="br1", addresses=["10.1.1.2/24"]), "nslab_lab.links[0].endpoints[0].addresses: a port of a bridge"),
        (end(node="router"), "nslab_lab.links[0].endpoints[1]: interface eth0 in router is that of nslab_lab.links[0]"),
        ({"namespaces": {}, "bridges": {}, "links": []}, "nslab_lab: it has no namespaces"),
    ],
)
def test_a_refusal_names_the_path_in_the_definition(changed, problem):
    definition = {"namespaces": {"client": {}, "router": {}}, "bridges": {"br1": {}}, **changed}
    assert molecule_layout(definition)["problem"].startswith(problem)


def test_what_is_no_definition_at_all_is_an_error():
    with pytest.raises(AnsibleFilterError, match="no dict"):
        molecule_layout([])
