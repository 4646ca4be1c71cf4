# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the definition of a lab says of each namespace, and which names its hosts can't have."""

from __future__ import annotations

import pytest
import yaml

from ansible_collections.nslab.linux.plugins.module_utils._errors import Problem
from ansible_collections.nslab.linux.plugins.plugin_utils._lab_hosts import check_names, read_hosts

BRANCHES = """
name: branches
prefix: b-
nodes: {count: 2, prefix: pc, bridge: lan}
namespaces:
  router: {sysctl: {net.ipv4.ip_forward: true, net/ipv4/conf/wan.7/rp_filter: 2}}
  lonely:
  server:
bridges:
  lan: {netns: router, subnet: [10.1.0.0/24, "fd00::/64"]}
  dmz: {}
links:
  - {endpoints: ["router:wan.7", "server:eth0"], subnet: 10.2.0.0/30}
  - {endpoints: ["server:eth1", "dmz"]}
  - {endpoints: ["router:eth1", "dmz"]}
  - {endpoints: ["host:up0", {node: server, interface: mgmt, addresses: [192.0.2.9/24]}]}
  - {endpoints: ["dmz", {node: server, interface: eth2, addresses: []}]}
"""


def test_a_host_is_named_by_its_node_and_knows_what_is_declared_of_it():
    lab, hosts = read_hosts(yaml.safe_load(BRANCHES), "lab")

    assert lab == "branches"
    assert [(host.node, host.netns) for host in hosts] == [
        ("pc1", "b-pc1"),
        ("pc2", "b-pc2"),
        ("router", "b-router"),
        ("lonely", "b-lonely"),
        ("server", "b-server"),
    ]
    said = {host.node: host.variables(lab, "web1") for host in hosts}
    assert said["pc2"] == {
        "ansible_netns": "b-pc2",
        "nslab_node": "pc2",
        "nslab_lab_name": "branches",
        "nslab_parent": "web1",
        "nslab_addresses": {"eth0": ["10.1.0.3/24", "fd00::3/64"]},
        "nslab_peers": {"eth0": "lan"},
        "nslab_bridges": ["lan"],
        "nslab_sysctl": {},
    }
    router, server, lonely = said["router"], said["server"], said["lonely"]
    # The bridge stands in it, and so do the ports of that bridge, which have no addresses.
    assert router["nslab_addresses"]["lan"] == ["10.1.0.1/24", "fd00::1/64"]
    assert router["nslab_addresses"]["wan.7"] == ["10.2.0.1/30"]
    assert router["nslab_bridges"] == ["dmz"]
    assert router["nslab_peers"] == {"wan.7": "server", "eth1": "dmz"}
    assert router["nslab_sysctl"] == {"net.ipv4.ip_forward": "1", "net.ipv4.conf.wan/7.rp_filter": "2"}
    assert server["nslab_addresses"] == {"eth0": ["10.2.0.2/30"], "eth1": [], "eth2": [], "mgmt": ["192.0.2.9/24"]}
    assert server["nslab_peers"] == {"eth0": "router", "eth1": "dmz", "mgmt": "host", "eth2": "dmz"}
    assert server["nslab_bridges"] == ["dmz"]
    assert (lonely["nslab_addresses"], lonely["nslab_peers"], lonely["nslab_bridges"]) == ({}, {}, [])


def why(definition: object) -> str:
    with pytest.raises(Problem) as problem:
        read_hosts(definition, "nslab_lab")
    return str(problem.value)


def test_what_is_wrong_is_told_with_its_place_in_the_file():
    two = {"name": "a", "nodes": {"count": 2, "bridge": "br1"}, "bridges": {"br0": {}}, "namespaces": {"all of it": {}}}
    assert why(two).startswith("lab a can't be so: 2 faults: nslab_lab.namespaces.all of it: ")
    assert "; nslab_lab.nodes.bridge: no bridge is called 'br1': did you mean br0?" in why(two)
    # What only addresses show: a subnet without room, and a gateway that no link reaches.
    small = {"name": "a", "nodes": {"count": 9, "bridge": "b"}, "bridges": {"b": {"subnet": "10.1.0.0/29"}}}
    assert "nslab_lab.bridges.b.subnet: 10.1.0.0/29 has room for 6 addresses" in why(small)
    astray = {"name": "a", "namespaces": {"red": {"routes": [{"dst": "default", "via": "10.9.0.1"}]}}}
    assert "nslab_lab.namespaces.red.routes[0].via: no link of red reaches the gateway" in why(astray)
    assert (
        why({})
        == "lab lab can't be so: nslab_lab.name: the lab has no name: give it one: what it makes is remembered under it"
    )
    assert (
        why("office.yml")
        == "nslab_lab: 'office.yml' is no dict: write the definition of a lab, name and namespaces and so on"
    )


def test_of_very_many_faults_the_first_are_told():
    said = why({"name": "a", "namespaces": {f"n{number}": {"loopbak": True} for number in range(50)}})
    assert said.count("loopbak is not known here") == 20
    assert said.endswith("; and 30 more, which a task of nslab.linux.lab tells")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        pytest.param("localhost", "localhost, which is this machine: rename it", id="localhost"),
        pytest.param("127.0.0.1", "127.0.0.1, which is this machine: rename it", id="address"),
        pytest.param("all", "all, and a group is called so: rename one of the two", id="group"),
        pytest.param("blue", "blue, which is there already, by home.nslab.yml: rename it", id="host"),
    ],
)
def test_a_host_that_can_not_be_told_from_another_is_refused(name: str, why: str):
    with pytest.raises(Problem) as problem:
        check_names("office", {"red": "red", name: name}, {"blue": "home.nslab.yml"}, {"all"})
    assert f"namespace {name} of lab office would be the host {why}" in str(problem.value)


def test_others_are_not():
    check_names("office", {"red@web1": "red", "blue@web1": "blue"}, {"blue": "home.nslab.yml"}, {"all", "red"})
