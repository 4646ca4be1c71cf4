# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab as a user writes it: what it comes to, and that everything wrong in it is told at once, each at its place."""

from __future__ import annotations

import ipaddress

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.nslab.linux.plugins.module_utils._addressing import host_end_name, rule_set_name
from ansible_collections.nslab.linux.plugins.module_utils._lab import Fault, LabNamespace
from ansible_collections.nslab.linux.plugins.module_utils._lab_definition import read_lab
from ansible_collections.nslab.linux.plugins.module_utils._resources._bridge import WantedBridge
from ansible_collections.nslab.linux.plugins.module_utils._resources._nat_plan import Nat
from ansible_collections.nslab.linux.plugins.module_utils._resources._publish import parse_publishes
from ansible_collections.nslab.linux.plugins.module_utils._resources._resolv import ResolvConf
from ansible_collections.nslab.linux.plugins.module_utils._resources._veth import VethEnd
from ansible_collections.nslab.linux.plugins.module_utils._resources._wanted_route import WantedRoute
from ansible_collections.nslab.linux.plugins.module_utils._values import HOST, NamespaceRef
from ansible_collections.nslab.linux.plugins.module_utils._world import Nexthop


def read(text: str, name: str = "lab"):
    """The lab of a definition in which nothing is wrong."""
    lab, faults = read_lab(name, yaml.safe_load(text))
    assert [str(fault) for fault in faults] == []
    return lab


def faults_of(text: str, name: str = "lab") -> dict[str, str]:
    lab, faults = read_lab(name, yaml.safe_load(text))
    assert lab is not None
    assert len({fault.path for fault in faults}) == len(faults), faults
    return {fault.path: fault.text for fault in faults}


def ends(lab):
    return [tuple(end.end for end in link.ends) for link in lab.links]


def named(name: str) -> NamespaceRef:
    return NamespaceRef("name", name)


def ip(*texts: str):
    return tuple(ipaddress.ip_interface(text) for text in texts)


EVERY_KEY = """
name: all_of_it
prefix: t-
hosts: "yes"
overlap: "1"
defaults:
  namespaces: {sysctl: {net.ipv4.ip_forward: true, net.ipv4.ip_default_ttl: 61}, resolv: {nameservers: [192.0.2.53]}}
  bridges: {forward_delay: "4", up: "no", mtu: "1450"}
  links: {mtu: "1300"}
nodes:
  - {count: "2", prefix: n, bridge: br0, interface: lan0, loopback: off, routes: [{dst: default, via: 10.0.0.1}]}
  - {count: 1, prefix: m}
namespaces:
  n2: {loopback: on, sysctl: {net/ipv4/ip_forward: 0}}
  r:
    loopback: "false"
    sysctl: {net.core.somaxconn: "100"}
    resolv: {nameservers: [host, "2001:db8::1"], search: [x.example], options: ["ndots:2"], hosts: {db: 10.0.0.9, w: ["10.0.0.8", "fd00::8"]}}
    routes:
      - {dst: 10.7.0.0/16, via: 10.1.0.2, dev: eth0, src: 10.1.0.1, metric: "7", table: 100, scope: global, type: unicast, onlink: "yes", mtu: "1280"}
      - {dst: "::/0", nexthops: [{via: "fe80::1", dev: eth0, weight: "2"}, {via: "fe80::2", dev: eth1}]}
      - {dst: 10.8.0.0/16, type: blackhole}
  bare:
bridges:
  br0: {addresses: [10.0.0.1/24], purge_addresses: "no", mac: 52-54-00-00-00-01, mtu_from: auto, up: 1, stp: "on", ageing_time: 30.5,
        multicast_snooping: "off", ports: [eth5], purge_ports: "true", force: "yes", subnet: 10.0.0.0/24}
  sw: {netns: r, subnet: [10.5.0.0/24, "fd05::/64"]}
links:
  - endpoints:
      - {node: r, interface: eth0, addresses: [10.1.0.1/24, "fd01::1/64"], purge_addresses: 0, mac: "52:54:00:00:00:02", mtu: "1400", up: "off"}
      - {node: bare, interface: eth0, mtu_from: eth9}
    subnet: 10.1.0.0/24
    mtu_from: auto
  - endpoints: ["r:eth1", sw]
    mtu: 1200
  - endpoints: [br0, host]
nat:
  - {netns: r, sources: [10.5.0.0/24], inside: [sw], uplink: [eth1], mode: snat, to_source: 192.0.2.1, inbound: any, ip_forward: global,
     firewall: ignore, publish: [{protocol: udp, port: 53, address: 192.0.2.9, to: 10.5.0.2, to_port: "5353"}]}
  - {}
  - sources: [10.9.0.0/24]
"""


def test_every_key_of_the_grammar_comes_to_what_it_says():
    lab = read(EVERY_KEY, "")
    assert (lab.name, lab.hosts, lab.overlap, lab.unread) == ("all_of_it", True, True, frozenset())
    by_node = {each.node: each for each in lab.namespaces}
    assert list(by_node) == ["n1", "n2", "m1", "r", "bare"]
    assert [each.path for each in lab.namespaces] == [
        *("nodes[0]", "namespaces.n2", "nodes[1]", "namespaces.r", "namespaces.bare")
    ]
    assert {each.name for each in lab.namespaces} == {"t-n1", "t-n2", "t-m1", "t-r", "t-bare"}
    plain = {"net/ipv4/ip_forward": "1", "net/ipv4/ip_default_ttl": "61"}
    default_resolv = ResolvConf(("192.0.2.53",))
    assert by_node["bare"] == LabNamespace(
        "namespaces.bare", "bare", "t-bare", True, tuple(plain.items()), (), default_resolv, None
    )
    gateway, everything = ipaddress.ip_address("10.0.0.1"), ipaddress.ip_network("0.0.0.0/0")
    for node, loopback, forward in (("n1", False, "1"), ("n2", True, "0")):
        each = by_node[node]
        assert (each.loopback, dict(each.sysctls)) == (loopback, {**plain, "net/ipv4/ip_forward": forward})
        (route,) = each.routes
        assert route.path == "nodes[0].routes[0]"
        assert route.route == WantedRoute(named(f"t-{node}"), everything, 254, 0, via=gateway)
    router = by_node["r"]
    assert dict(router.sysctls) == {**plain, "net/core/somaxconn": "100"}
    assert (router.loopback, router.resolv) == (
        False,
        ResolvConf(("host", "2001:db8::1"), ("x.example",), ("ndots:2",)),
    )
    assert {name: [str(one) for one in addresses] for name, addresses in router.hosts or ()} == {
        "db": ["10.0.0.9"],
        "w": ["10.0.0.8", "fd00::8"],
    }
    address = ipaddress.ip_address
    assert [each.route for each in router.routes] == [
        WantedRoute(
            *(named("t-r"), ipaddress.ip_network("10.7.0.0/16"), 100, 7, "unicast", address("10.1.0.2"), "eth0"),
            src=address("10.1.0.1"),
            scope=0,
            onlink=True,
            mtu=1280,
        ),
        WantedRoute(
            *(named("t-r"), ipaddress.ip_network("::/0"), 254, 1024),
            nexthops=(Nexthop(address("fe80::1"), "eth0", 2), Nexthop(address("fe80::2"), "eth1")),
        ),
        WantedRoute(named("t-r"), ipaddress.ip_network("10.8.0.0/16"), 254, 0, "blackhole"),
    ]
    plugged = [host_end_name("all_of_it", *other) for other in (("n1", "lan0"), ("n2", "lan0"), ("host", "br0"))]
    first, second = lab.bridges
    assert first.bridge == WantedBridge(
        *(HOST, "br0", (("stp", 1), ("multicast_snooping", 0), ("forward_delay", 400), ("ageing_time", 3050))),
        mac="52:54:00:00:00:01",
        mtu_from="auto",
        addresses=ip("10.0.0.1/24"),
        purge=False,
        up=True,
        ports=("eth5", *plugged),
        purge_ports=True,
        force=True,
    )
    assert second.bridge == WantedBridge(named("t-r"), "sw", (("forward_delay", 400),), mtu=1450, up=False)
    assert [[str(subnet) for subnet in each.subnets] for each in lab.bridges] == [
        ["10.0.0.0/24"],
        ["10.5.0.0/24", "fd05::/64"],
    ]
    sw_end, host_end = host_end_name("all_of_it", "r", "eth1"), host_end_name("all_of_it", "br0", "host")
    assert ends(lab) == [
        (VethEnd(named("t-n1"), "lan0", mtu=1300), VethEnd(HOST, plugged[0], mtu=1300, master="br0")),
        (VethEnd(named("t-n2"), "lan0", mtu=1300), VethEnd(HOST, plugged[1], mtu=1300, master="br0")),
        (
            VethEnd(
                *(named("t-r"), "eth0", "52:54:00:00:00:02", 1400, None, ip("10.1.0.1/24", "fd01::1/64"), False, False)
            ),
            VethEnd(named("t-bare"), "eth0", mtu_from="eth9"),
        ),
        (VethEnd(named("t-r"), "eth1", mtu=1200), VethEnd(named("t-r"), sw_end, mtu=1200, master="sw")),
        (VethEnd(HOST, plugged[2], mtu=1300, master="br0"), VethEnd(HOST, host_end, mtu=1300)),
    ]
    assert [link.path for link in lab.links] == ["nodes[0]", "nodes[0]", "links[0]", "links[1]", "links[2]"]
    assert [str(subnet) for link in lab.links for subnet in link.subnets] == ["10.1.0.0/24"]
    published = [{"protocol": "udp", "port": "53", "address": "192.0.2.9", "to": "10.5.0.2", "to_port": "5353"}]
    assert [each.nat for each in lab.nat] == [
        Nat(
            *(named("t-r"), "lab_all_of_it", True, (ipaddress.ip_network("10.5.0.0/24"),), ("sw",), ("eth1",), "snat"),
            *((address("192.0.2.1"),), False, parse_publishes(published), "global", "ignore"),
        ),
        Nat(HOST, "lab_all_of_it", inside=("br0", host_end)),
        Nat(HOST, rule_set_name("lab", "all_of_it/2"), sources=(ipaddress.ip_network("10.9.0.0/24"),)),
    ]
    assert [each.path for each in lab.nat] == ["nat[0]", "nat[1]", "nat[2]"]


def test_everything_wrong_is_told_at_once_each_at_its_place():
    assert faults_of(
        """
        prefix: "-"
        hosts: perhaps
        brigdes: {}
        defaults: {bridges: {mac: "52:54:00:00:00:01", mtu: 1}, links: {mtu: 9, mtu_from: a/b}, namespaces: {loopback: 7}}
        nodes: {count: -1, prefix: "n n", interface: lo, routes: [{dst: 10.0.0.9/8, dev: eth0}]}
        namespaces:
          host:
          no: {}
          web:
            lopback: true
            sysctl: {kernel.hostname: x, net.ipv4.ip_forward: 1.5}
            routes:
              - {dst: 10.0.0.0/8, via: nowhere, metric: soon, src: 10.0.0.0/8, mtu: 3}
              - {via: 10.0.0.1, table: nine}
              - {dst: default, via: "fd00::1", src: 10.0.0.1}
              - {dst: default, via: 10.0.0.1, nexthops: [{dev: eth0, weight: 999}, {weight: 1}]}
              - {dst: default, dev: eth9}
              - {dst: 0.0.0.0/0, dev: lo}
              - {dst: 10.3.0.0/16, type: unicorn, dev: lo}
              - {dst: 10.4.0.0/16, netns: web, dev: lo}
            resolv: {nameservers: 192.0.2.1, search: ["a b"], hosts: {"a b": 10.0.0.1, c: [ten]}}
          down: {resolv: {options: [x, {}]}}
        bridges:
          web:
          br0: {mac: 525400123456, mtu: 10, ageing_time: long, addresses: [10.0.0.1/24, 10.0.0.2], ports: [lo, p1], subnet: 10.0.0.1/24}
          br1: {netns: wbe, mtu: 1500, mtu_from: auto}
          a-very-long-bridge: {stp: 2}
        links:
          - endpoints: ["web:eth0", {node: down, interface: eth0eth0eth0eth0, mac: zz, addresses: ["1", 10.1.0.1/24], upp: true}]
          - endpoints: [web]
          - endpoints: [web, "wbe:eth0"]
          - {endpoints: ["web:eth1", "down:eth1"], mtu: 3, mtu_from: auto, subnet: 10.0.0.0/40}
          - {endpoints: ["web:lo", "down:eth2"]}
          - {endpoints: ["web:eth2", {node: br0, addresses: [10.0.0.7/24]}], subnet: 10.6.0.0/24}
          - {endpoints: ["web:eth2", "host:br0"]}
          - {endpoints: [br0, host]}
          - {endpoints: [host, br0]}
          - {endpoints: ["br0:x", "br0:y"]}
          - {endpoints: [5, {interface: eth0}]}
          - {}
          - 7
          - {endpoints: ["web:a:b", {node: down}]}
        nat:
          - {sources: [10.0.0.0/8], name: x, mode: snat, publish: [{port: 99999, to: "1"}, {to: 10.0.0.2}]}
          - {netns: router}
          - {netns: down, sources: [0.0.0.0/0, 10.0.0.0/33], inside: [lo], uplink: [eth0, lo], to_source: [192.0.2.1, 192.0.2.2], mode: snat}
        """
    ).keys() == {
        *("prefix", "hosts", "brigdes"),
        *("defaults.bridges.mac", "defaults.bridges.mtu", "defaults.links.mtu_from", "defaults.links.mtu"),
        *("defaults.namespaces.loopback",),
        *("nodes.count", "nodes.prefix", "nodes.interface", "nodes.routes[0].dst"),
        *("namespaces.host", "namespaces.False", "namespaces.web.lopback"),
        *("namespaces.web.sysctl.kernel.hostname", "namespaces.web.sysctl.net.ipv4.ip_forward"),
        *(f"namespaces.web.routes[0].{key}" for key in ("via", "metric", "src", "mtu")),
        *("namespaces.web.routes[1]", "namespaces.web.routes[1].table", "namespaces.web.routes[2]"),
        *("namespaces.web.routes[3].nexthops", "namespaces.web.routes[3].nexthops[0].weight"),
        *("namespaces.web.routes[3].nexthops[1]", "namespaces.web.routes[5]", "namespaces.web.routes[6].type"),
        "namespaces.web.routes[7].netns",
        *("namespaces.web.resolv.nameservers", "namespaces.web.resolv.search[0]"),
        *("namespaces.web.resolv.hosts.a b", "namespaces.web.resolv.hosts.c", "namespaces.down.resolv.options[1]"),
        *("bridges.web", "bridges.br1.netns", "bridges.br1.mtu_from"),
        *(f"bridges.br0.{key}" for key in ("mac", "mtu", "ageing_time", "addresses[1]", "ports[0]", "subnet")),
        *("bridges.a-very-long-bridge", "bridges.a-very-long-bridge.stp"),
        *(f"links[0].endpoints[1].{key}" for key in ("interface", "mac", "addresses[0]", "upp")),
        *("links[1].endpoints", "links[1].endpoints[0]", "links[2].endpoints[0]", "links[2].endpoints[1]"),
        *("links[3].mtu", "links[3].mtu_from", "links[3].subnet", "links[4].endpoints[0]"),
        *("links[5].endpoints[1].addresses", "links[5].subnet"),
        *("links[6].endpoints[0]", "links[6].endpoints[1]", "links[8].endpoints[0]", "links[8].endpoints[1]"),
        *("links[9]", "links[10].endpoints[0]", "links[10].endpoints[1]", "links[11]", "links[12]"),
        *("links[13].endpoints[0]", "links[13].endpoints[1]"),
        *("nat[0].name", "nat[0]", "nat[0].publish[0].port", "nat[0].publish[0].to", "nat[0].publish[1]"),
        *("nat[1].netns", "nat[2].sources[0]", "nat[2].sources[1]", "nat[2].inside[0]", "nat[2].uplink[1]"),
        "nat[2].to_source",
    }


TWO = "namespaces: {web: , db: }\nbridges: {br0: }\n"


@pytest.mark.parametrize(
    ("text", "path", "said"),
    [
        ("namespces: {}", "namespces", "did you mean namespaces? there are name, prefix"),
        ("namespaces: [web]", "namespaces", "['web'] is no dict"),
        ("links: web", "links", "'web' is no list"),
        ("name: other", "name", "the definition is that of other, and the task's lab is lab"),
        (f"prefix: {'x' * 200}\nnamespaces: {{web: }}", "prefix", "has 201 characters"),
        (f"namespaces: {{{'x' * 201}: }}", f"namespaces.{'x' * 201}", "has 201 characters"),
        ("nodes: {prefix: a}", "nodes", "it has no count"),
        ("nodes: {count: 65536}", "nodes.count", "use 0 to 65535"),
        ("nodes: [{count: 2}, {count: 3}]", "nodes[1]", "namespace ns1 is that of nodes[0] too"),
        ("nodes: {count: 1, bridge: br0}", "nodes.bridge", "no bridge is called 'br0'"),
        ("nodes: {count: 1, interface: eth0}", "nodes.interface", "nothing that it leads to"),
        (TWO + "nodes: {count: 1024, bridge: br0}", "nodes", "1024 ports, and the kernel takes at most 1023"),
        (
            TWO + "nodes: [{count: 1000, bridge: br0}, {count: 24, prefix: x, bridge: br0}]",
            *("bridges.br0", "it would have 1024 ports"),
        ),
        ("bridges: {br0: {mac: 525400123456}}", "bridges.br0.mac", "quote it, as in mac"),
        ("bridges: {br0: {forward_delay: -1}}", "bridges.br0.forward_delay", "of bridge br0 is out of range"),
        (TWO + 'links: [{endpoints: [br0, "wbe:eth0"]}]', "links[0].endpoints[1]", "did you mean web? there are host"),
        (TWO + "links: [{endpoints: [br0, 80]}]", "links[0].endpoints[1]", "write it in quotes"),
        (TWO + "links: [{endpoints: [br0, web]}]", "links[0].endpoints[1]", "write web:eth0"),
        (
            TWO + 'links: [{endpoints: ["web:e0", "db:e0"]}, {endpoints: ["db:e0", br0]}]',
            *("links[1].endpoints[0]", "interface e0 in db is that of links[0].endpoints[1] too: name each once"),
        ),
        (
            TWO + 'links: [{endpoints: ["web:e0", "host:br0"]}]',
            *("links[0].endpoints[1]", "interface br0 on the host is that of bridges.br0 too"),
        ),
        (
            TWO + "links: [{type: macvlan, endpoint: {node: web}}]",
            "links[0].type",
            "links of type macvlan are not made",
        ),
        (TWO + 'links: [{endpoints: ["web:e0", "mgmt-net:e"]}]', "links[0].endpoints[1]", "type mgmt-net are not made"),
        (
            "namespaces: {web: {routes: [{dst: default, dev: eth1}]}, db: }\nlinks: [{endpoints: ['web:eth0', 'db:eth0']}]",
            *("namespaces.web.routes[0].dev", "no link of web is called 'eth1': did you mean eth0?"),
        ),
        (
            "namespaces: {web: {routes: [{dst: default, nexthops: [{dev: lo}, {dev: x}]}]}}",
            *("namespaces.web.routes[0].nexthops[1].dev", "no link of web is called 'x'"),
        ),
        (
            "namespaces: {web: {routes: [{dst: 10.0.0.0/8, type: prohibit, via: 10.0.0.1}]}}",
            *2 * ("namespaces.web.routes[0]",),
        ),
        (TWO + "nat: [{netns: web}]", "nat[0]", "no interface of the lab in web leads to it: give sources or inside"),
        (TWO + "nat: [{netns: br0}]", "nat[0].netns", "no namespace is called 'br0'"),
        (
            "namespaces: {s: }\nbridges: {b: {netns: s, ports: [e0]}}\n"
            "links: [{endpoints: [{node: s, interface: e0, addresses: [10.0.0.1/24]}, 'host:x']}]",
            *("links[0].endpoints[0].addresses", "bridges.b.ports makes e0 a port"),
        ),
    ],
)
def test_a_fault_says_what_to_do(text, path, said):
    found = faults_of(text)
    assert list(found) == [path]
    if said != path:
        assert said in found[path]


@pytest.mark.parametrize(
    ("name", "said"),
    [("", "has no name"), ("a b", "is not allowed"), ("host", "can't be named"), ("x" * 65, "has 65 characters")],
)
def test_the_name_of_a_lab_is_one_that_a_file_can_have(name, said):
    _lab, faults = read_lab(name, {})
    assert [fault.path for fault in faults] == ["name"]
    assert said in faults[0].text
    assert str(Fault("", "said")) == "said"


def test_the_notation_of_containerlab_works_as_it_stands():
    lab = read(
        """
        namespaces: {srl1: , srl2: }
        bridges: {br-1: }
        links:
          - endpoints: ["srl1:e1-1", "srl2:e1-1"]
            mtu: 1500
            labels: {role: core}
            vars: {area: 0}
          - type: veth
            mtu: 1400
            endpoints:
              - {node: srl1, interface: e1-2, mac: "02:00:00:00:00:01"}
              - {node: srl2, interface: e1-2}
            labels: {}
          - endpoints: ["srl1:e1-3", "host:srl1_e1-3"]
          - endpoints: ["srl1:e1-4", "br-1:eth1"]
        """
    )
    one, two = named("srl1"), named("srl2")
    assert ends(lab) == [
        (VethEnd(one, "e1-1", mtu=1500), VethEnd(two, "e1-1", mtu=1500)),
        (VethEnd(one, "e1-2", "02:00:00:00:00:01", 1400), VethEnd(two, "e1-2", mtu=1400)),
        (VethEnd(one, "e1-3"), VethEnd(HOST, "srl1_e1-3")),
        (VethEnd(one, "e1-4"), VethEnd(HOST, "eth1", master="br-1")),
    ]


def test_two_bridges_are_joined_and_one_of_them_is_in_a_namespace():
    lab = read(
        """
        namespaces: {sw: , a: }
        bridges: {br0: , br1: {netns: sw}, br2: {netns: sw, ports: [eth9]}}
        links:
          - endpoints: [br0, br1]
          - endpoints: [br1, "a:eth0"]
          - endpoints: ["sw:eth9", "a:eth1"]
        """
    )
    space = named("sw")
    assert ends(lab) == [
        (
            VethEnd(HOST, host_end_name("lab", "br1", "br0"), master="br0"),
            VethEnd(space, host_end_name("lab", "br0", "br1"), master="br1"),
        ),
        (VethEnd(space, host_end_name("lab", "a", "eth0"), master="br1"), VethEnd(named("a"), "eth0")),
        (VethEnd(space, "eth9", master="br2"), VethEnd(named("a"), "eth1")),
    ]
    assert [[end.interface for end in link.ends] for link in lab.links] == [["", ""], ["", "eth0"], ["eth9", "eth1"]]


def test_an_end_without_a_name_is_called_the_same_when_links_come_and_go():
    text = "namespaces: {a: , b: }\nbridges: {br0: , br1: }\nlinks: %s"
    links = [["a:eth0", "br0"], ["br0", "br1"], ["b:eth0", "br0"], ["b:eth1", "host"]]

    def names(order):
        lab = read(text % [{"endpoints": links[number]} for number in order])
        return {frozenset(links[number]): {end.end.name for end in link.ends} for number, link in zip(order, lab.links)}

    every = names([0, 1, 2, 3])
    assert names([3, 1, 0]) == {key: value for key, value in every.items() if key != frozenset(links[2])}


@pytest.mark.parametrize(
    ("router", "inside"),
    [
        # What leads to the host leads outside; so does an uplink by name, and the link of the default route.
        ("links: [{endpoints: ['r:up', 'host:x']}, {endpoints: ['r:lan', 'a:e']}]", ("lan",)),
        (
            "links: [{endpoints: ['r:up', 'a:f']}, {endpoints: ['r:lan', 'a:e']}]\nnat: [{netns: r, uplink: [up]}]",
            ("lan",),
        ),
        (
            "bridges: {br0: {subnet: 10.0.0.0/24}, sw: {netns: r}}\n"
            "links: [{endpoints: ['r:up', br0]}, {endpoints: ['r:lan', 'a:e']}, {endpoints: [sw, 'a:f']}]",
            ("sw", "lan"),
        ),
        ("links: [{endpoints: ['r:up', 'a:f'], subnet: 10.0.0.0/30}, {endpoints: ['r:lan', 'a:e']}]", ("lan",)),
    ],
)
def test_the_inside_of_a_router_is_what_does_not_lead_outside(router, inside):
    defined = yaml.safe_load(router)
    route = {"dst": "default", "via": "10.0.0.1"}
    defined.update({"namespaces": {"r": {"routes": [route]}, "a": {}}})
    lab, faults = read_lab("lab", {"nat": [{"netns": "r"}], **defined})
    assert [str(fault) for fault in faults] == []
    assert [each.nat.inside for each in lab.nat] == [inside]


def test_a_lab_that_could_not_be_wholly_read_says_what_is_not_to_be_judged():
    text = "namespaces: {a: , b: , c: {routes: [{dst: default, dev: x}]}}\nbridges: {br0: {netns: %s}}\nlinks: %s"

    def unread(netns: str, *pairs):
        lab, faults = read_lab("lab", yaml.safe_load(text % (netns, [{"endpoints": list(pair)} for pair in pairs])))
        return sorted(lab.unread), any(fault.path.endswith("routes[0].dev") for fault in faults)

    assert unread("a", ("a:eth0", "b:eth0")) == ([], True)
    assert unread("a", ("a:lo", "b:eth0")) == (["a", "b"], True)
    assert unread("a", ("c:lo", "b:eth0")) == (["b", "c"], False)
    assert unread("nowhere", ("c:eth0", "br0")) == (["br0", "c"], False)
    assert unread("a", ("a:eth0", "nowhere:eth0")) == (["a", "b", "br0", "c", "host"], False)


def test_namespaces_whose_bridge_is_not_there_may_have_links_that_could_not_be_read():
    lab, faults = read_lab(
        "lab", {"nodes": {"count": 2, "bridge": "br0", "routes": [{"dst": "default", "dev": "eth0"}]}}
    )

    assert sorted(lab.unread) == ["ns1", "ns2"]
    assert [fault.path for fault in faults] == ["nodes.bridge"]


# Values that YAML and Jinja may leave at any place.
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 70000)
    | st.floats()
    | st.sampled_from(
        ["", "host", "web", "br0", "web:eth0", "br0:", ":", "a:b:c", "10.0.0.0/24", "10.0.0.1", "fd00::/64"]
    )
    | st.sampled_from(["default", "veth", "yes", "snat", "80-90", "net.a", "x" * 300, "\n", "é"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("namespaces", "bridges", "links", "nat", "nodes", "defaults", "web", "br0", "host", "endpoints"),
                    *(
                        "subnet",
                        "mtu",
                        "mtu_from",
                        "node",
                        "interface",
                        "addresses",
                        "mac",
                        "ports",
                        "routes",
                        "dst",
                        "via",
                    ),
                    *(
                        "dev",
                        "nexthops",
                        "weight",
                        "resolv",
                        "hosts",
                        "sysctl",
                        "net.ipv4.ip_forward",
                        "count",
                        "prefix",
                    ),
                    *(
                        "bridge",
                        "publish",
                        "port",
                        "to",
                        "to_port",
                        "sources",
                        "inside",
                        "uplink",
                        "mode",
                        "netns",
                        "type",
                    ),
                ]
            )
            | st.integers(0, 2)
            | st.booleans()
            | st.none(),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
TOP = st.fixed_dictionaries(
    {},
    optional={
        "namespaces": st.dictionaries(st.sampled_from(["web", "db", 1, None]), ANYTHING, max_size=2),
        "bridges": st.dictionaries(st.sampled_from(["br0", "web", 2.5]), ANYTHING, max_size=2),
        "links": st.lists(st.fixed_dictionaries({"endpoints": st.lists(ANYTHING, max_size=3)}) | ANYTHING, max_size=3),
        "nat": st.lists(ANYTHING, max_size=2),
        "nodes": ANYTHING,
        "defaults": ANYTHING,
        "prefix": ANYTHING,
        "name": ANYTHING,
        "hosts": ANYTHING,
    },
)


@settings(max_examples=300, deadline=None)
@given(TOP)
def test_whatever_is_written_is_read_or_refused_and_nothing_is_raised(definition):
    lab, faults = read_lab("lab", definition)
    assert lab.name == "lab"
    assert all(fault.text and "\n" not in str(fault) for fault in faults)
