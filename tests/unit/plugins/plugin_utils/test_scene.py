# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a picture shows of a definition and of what was seen, where no real lab is needed to tell.

That nothing stands out in a lab as it was made, and what does when hands have changed it, is shown in tests/kernel.
"""

from __future__ import annotations

import pytest

from ansible_collections.nslab.linux.plugins.module_utils._errors import Problem
from ansible_collections.nslab.linux.plugins.plugin_utils._scene import picture_of
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_defined import picture_of_definition
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_seen import picture_of_seen
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_words import natural, route_text

ROUTED = {
    "name": "routed",
    "prefix": "t-",
    "nodes": {"count": 2, "prefix": "pc", "bridge": "lan", "routes": [{"dst": "default", "via": "10.1.0.1"}]},
    "namespaces": {
        "router": {"sysctl": {"net.ipv4.ip_forward": 1}, "routes": [{"dst": "default", "via": "10.9.0.1"}]},
    },
    "bridges": {"lan": {"netns": "router", "subnet": "10.1.0.0/24"}, "top": {"subnet": "10.9.0.0/24"}, "bare": {}},
    "links": [{"endpoints": [{"node": "router", "interface": "up", "mtu": 1400, "up": False}, "top"]}],
    "nat": [
        {"netns": "router", "sources": ["10.1.0.0/24"], "publish": [{"port": 8080, "to": "10.1.0.2", "to_port": 80}]},
        {"sources": ["10.9.0.0/24"], "uplink": ["wan0"]},
        {"sources": ["10.8.0.0/24"], "inside": ["top"]},
    ],
}


def link(name, where="host", **more):
    base = {"name": name, "netns": where, "kind": "veth", "index": 2, "mac": "02:00:00:00:00:01", "mtu": 1500}
    base.update(up=True, state="up", master=None, addresses=[], peer=None)
    return {**base, **more}


def bridge(name, where="host", ports=(), **more):
    options = {"stp": False, "forward_delay": 15.0, "ageing_time": 300.0, "multicast_snooping": True}
    return link(name, where, kind="bridge", ports=list(ports), **{**options, **more})


def namespace(*links, inode=None, **more):
    base = {
        "path": None,
        "inode": inode,
        "lab": None,
        "lab_addresses": {},
        "links": {each["name"]: each for each in links},
    }
    base.update(routes=[], neighbours=[], nat={}, resolv=None, pids=[])
    base["sysctls"] = {"net/ipv4/ip_forward": "0", "net/ipv6/conf/all/forwarding": "0"}
    return {**base, **more}


def pair(one, other, first=None, second=None):
    """The two ends of a veth, given as where:name."""
    (here, name), (there, far) = (text.split(":") for text in (one, other))
    return (
        link(name, here, peer={"name": far, "netns": there}, **(first or {})),
        link(far, there, peer={"name": name, "netns": here}, **(second or {})),
    )


def marks(picture):
    found = [*picture.marks, *(mark for node in picture.nodes for mark in node.marks)]
    for wire in picture.wires:
        found += [*wire.marks, *wire.ends[0].marks, *wire.ends[1].marks]
    return [f"{mark.kind}: {mark.text}" for mark in found]


def joins(picture):
    return [tuple(f"{end.node} {end.interface}".strip() for end in wire.ends) for wire in picture.wires]


def test_a_definition_is_drawn_with_what_the_module_would_derive():
    picture = picture_of_definition(ROUTED)
    nodes = {node.key: node for node in picture.nodes}
    assert list(nodes) == ["host", "(outside)", "host/top", "host/bare", "t-pc1", "t-pc2", "t-router", "t-router/lan"]
    assert (picture.name, picture.observed, marks(picture)) == ("routed", False, [])
    assert nodes["t-pc1"].lines == ("default via 10.1.0.1",)
    assert nodes["t-router"].lines == ("default via 10.9.0.1", "forwards IPv4")
    assert nodes["t-router/lan"].inside == "t-router"
    assert [each.text for each in nodes["t-router"].nat] == ["10.1.0.0/24 as the uplink"]
    assert nodes["t-router"].nat[0].publish == ("tcp 8080 to 10.1.0.2:80",)
    assert [each.text for each in nodes["host"].nat] == ["10.9.0.0/24 as wan0", "10.8.0.0/24 as the uplink"]
    assert joins(picture) == [
        ("t-pc1 eth0", "t-router/lan"),
        ("t-pc2 eth0", "t-router/lan"),
        ("t-router up", "host/top"),
        ("t-router/lan", "t-router lan"),
        ("host/top", "host top"),
        ("host wan0", "(outside)"),
        ("host", "(outside)"),
    ]
    ends = {f"{end.node} {end.interface}": end for wire in picture.wires for end in wire.ends}
    assert ends["t-pc2 eth0"].addresses == ("10.1.0.3/24",)
    assert (ends["t-router up"].mtu, ends["t-router up"].up, ends["t-router up"].addresses) == (
        1400,
        False,
        ("10.9.0.2/24",),
    )
    assert [wire.cable for wire in picture.wires] == [True, True, True, False, False, False, False]


def test_a_lab_file_of_the_inventory_is_a_definition_and_faults_are_told_all_at_once():
    assert picture_of({"plugin": "nslab.linux.lab", "lab": ROUTED}) == picture_of_definition(ROUTED)
    with pytest.raises(Problem, match=r"lab x can't be so: 3 faults: links\[0\].*links\[1\]"):
        picture_of_definition({"name": "x", "links": [{}, {"endpoints": ["a:b"]}]})
    end = {"interface": "eth0", "addresses": ["10.1.0.1/24"]}
    twice = {"endpoints": [{"node": "a", **end}, {"node": "b", **end}]}
    with pytest.raises(Problem, match=r"links\[0\].*10\.1\.0\.1"):
        picture_of_definition({"name": "x", "namespaces": {"a": {}, "b": {}}, "links": [twice]})
    for wrong in ("text", ["list"], None):
        with pytest.raises(Problem, match="a definition is a dict"):
            picture_of_definition(wrong)


def test_what_was_seen_is_told_from_a_definition_and_refused_where_it_is_neither():
    seen = {"web": namespace(inode=1)}
    assert picture_of(seen).observed
    assert picture_of({"changed": False, "namespaces": {}}).notes == ("there are no namespaces",)
    assert picture_of({"changed": False, "namespaces": {"web": None}}).observed
    assert not picture_of({"name": "x", "namespaces": {"a": None}}).observed
    assert picture_of(seen, title="t").name == "t"
    with pytest.raises(Problem, match="only what was seen is compared"):
        picture_of(ROUTED, ROUTED)
    with pytest.raises(Problem, match="lab_info failed: no way"):
        picture_of({"failed": True, "msg": "no way"})
    with pytest.raises(Problem, match="this is not what"):
        picture_of_seen({"changed": False, "namespaces": {"web": {"inode": 1, "links": {"eth0": {}}}}})


def test_a_veth_is_one_wire_to_the_bridge_or_the_namespace_that_it_leads_to():
    eth0, port = pair("web:eth0", "host:v0123456789", {"addresses": ["10.1.0.2/24"]}, {"master": "br0"})
    eth1, far = pair("web:eth1", "pid-4711:eth0")
    lost = link("eth2", "web")
    seen = {
        "host": namespace(port, bridge("br0", ports=["v0123456789"]), bridge("docker0")),
        "web": namespace(
            link("lo", "web", kind="loopback", up=False), eth0, eth1, lost, link("wg0", "web", kind="wireguard")
        ),
    }
    picture = picture_of_seen(seen)
    assert joins(picture) == [("web eth0", "host/br0"), ("pid-4711 eth0", "web eth1")]
    nodes = {node.key: node for node in picture.nodes}
    assert list(nodes) == ["host/br0", "web", "pid-4711"]
    assert nodes["web"].lines == ("eth2 leads where nobody can look", "wg0, wireguard")
    assert nodes["pid-4711"].details == ("it was not looked at",)
    assert far["peer"]["netns"] == "web"
    assert marks(picture) == []


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ({}, {}, []),
        # The kernel is late in saying that there is a carrier.
        ({"state": "lowerlayerdown"}, {"state": "down"}, []),
        ({"up": False, "state": "down"}, {"state": "lowerlayerdown"}, ["down: x is down"]),
        ({"up": False}, {"up": False}, ["down: x is down", "down: y is down"]),
        ({"mtu": 1400}, {}, ["mtu: a:x has mtu 1400, b:y has 1500"]),
    ],
)
def test_a_link_that_is_down_is_told_once_and_so_are_unlike_ends(first, second, expected):
    one, other = pair("a:x", "b:y", first, second)
    picture = picture_of_seen({"a": namespace(one), "b": namespace(other)})
    assert sorted(marks(picture)) == expected
    assert [end.up for end in picture.wires[0].ends] == [not any("down" in each for each in expected)] * 2


def test_of_an_end_that_nobody_sees_the_carrier_is_told():
    one, _other = pair("a:x", "b:y", {"state": "lowerlayerdown"})
    assert marks(picture_of_seen({"a": namespace(one), "b": None})) == [
        "unread: namespace b could not be read",
        "down: x has no carrier",
    ]


def test_ports_of_another_mtu_than_their_bridge_stand_out_and_all_of_them_as_one():
    def seen(mtu, *ports):
        ends = [
            pair(f"n{i}:eth0", f"host:p{i}", {"mtu": size}, {"mtu": size, "master": "br0"})
            for i, size in enumerate(ports)
        ]
        top = namespace(*(end[1] for end in ends), bridge("br0", ports=[f"p{i}" for i in range(len(ports))], mtu=mtu))
        return {"host": top, **{f"n{i}": namespace(end[0]) for i, end in enumerate(ends)}}

    assert marks(picture_of_seen(seen(1500, 1500, 1500))) == []
    assert marks(picture_of_seen(seen(1400, 1400, 1500))) == ["mtu: p1 has mtu 1500, bridge br0 has 1400"]
    assert marks(picture_of_seen(seen(1300, 1400, 1500))) == ["mtu: br0 has mtu 1300, its ports have 1400 and 1500"]


def test_a_router_leads_outside_by_its_uplink_and_a_physical_link_wherever_it_is():
    rules = {"uplink": {"ipv4": ["any"], "ipv6": []}, "sources": ["10.1.0.0/24"], "inside": ["br0"], "to_source": []}
    rules.update(inbound="established", publish=[], rules=[])
    default = {"dst": "default", "via": "192.0.2.1", "dev": "eth0", "src": None, "metric": 0, "table": "main"}
    default.update(scope="global", type="unicast", onlink=False, mtu=None, nexthops=[], family="ipv4", protocol="boot")
    wan = link("eth0", kind=None, addresses=["192.0.2.9/24"])
    top = namespace(wan, link("eth9", kind=None), bridge("br0"), nat={"lab": rules}, routes=[default])
    picture = picture_of_seen({"host": top, "web": namespace(link("ens1", "web", kind=None, up=False))})
    assert joins(picture) == [("host/br0", "host br0"), ("host eth0", "(outside)"), ("web ens1", "(outside)")]
    assert picture.nodes[0].nat[0].text == "10.1.0.0/24 as any link"
    assert marks(picture) == ["down: ens1 is down"]


def test_an_uplink_that_a_wire_shows_leads_nowhere_else_and_the_hosts_own_links_are_left_out():
    rules = {"uplink": {"ipv4": ["up"], "ipv6": []}, "sources": [], "inside": ["x"], "to_source": ["192.0.2.9"]}
    rules.update(inbound="any", publish=[], rules=[])
    far, up = pair("provider:eth0", "host:up")
    loops = [*pair("host:p", "host:q"), *pair("host:r", "host:s", {"master": "br0"}, {"master": "br1"})]
    bridges = (bridge("br0", ports=["r"]), bridge("br1", ports=["s"]))
    picture = picture_of_seen({"host": namespace(up, *loops, *bridges, nat={"lab": rules}), "provider": namespace(far)})
    assert joins(picture) == [("provider eth0", "host up"), ("host/br0 r", "host/br1 s")]
    assert picture.nodes[0].nat[0].text == "x as 192.0.2.9"


def test_the_switch_of_a_link_is_off_where_it_is_not_told():
    # Of broadcast lab_info says nothing, and so does the picture.
    switches = {"net.ipv4.conf.x.forwarding": 1, "net.ipv4.conf.x.bc_forwarding": 1}
    lab = {"name": "x", "namespaces": {"a": {"sysctl": switches}, "b": {}}}
    lab["links"] = [{"endpoints": ["a:x", "b:y"]}]
    one, other = pair("a:x", "b:y")
    there = {"host": namespace(inode=1), "b": namespace(other)}
    assert (
        marks(picture_of_seen({"a": namespace(one, sysctls={"net/ipv4/conf/x/forwarding": "1"}), **there}, lab)) == []
    )
    assert marks(picture_of_seen({"a": namespace(one), **there}, lab)) == [
        "changed: net/ipv4/conf/x/forwarding is 0, declared 1"
    ]


def test_a_namespace_of_several_names_is_drawn_once_under_the_one_that_is_declared():
    lab = {"name": "x", "namespaces": {"web": {}}}
    seen = {
        "host": namespace(inode=1),
        "alias": namespace(inode=7),
        "web": namespace(inode=7),
        "other": namespace(inode=8),
    }
    assert [node.key for node in picture_of_seen(seen).nodes] == ["alias", "other"]
    picture = picture_of_seen(seen, lab)
    assert ([node.key for node in picture.nodes], marks(picture)) == (["web"], [])
    assert picture.notes == ("alias is another name of web", "not of this lab: other")


def test_what_can_not_be_read_or_was_not_looked_at_is_not_taken_for_missing():
    lab = {"name": "x", "namespaces": {"a": {}, "b": {}}, "links": [{"endpoints": ["a:x", "b:y"]}]}
    lab["bridges"] = {"br": {"netns": "b"}}
    one, _other = pair("a:x", "b:y")
    top = namespace(inode=1)
    assert marks(picture_of_seen({"host": top, "a": namespace(one), "b": None}, lab)) == [
        "unread: namespace b could not be read"
    ]
    assert marks(picture_of_seen({"host": top, "a": None, "b": None}, lab)) == [
        "unread: namespace a could not be read",
        "unread: namespace b could not be read",
    ]
    assert marks(picture_of_seen({"a": namespace(one)}, lab)) == []
    assert marks(picture_of_seen({"host": top, "a": namespace(one, nat=None)}, lab))[0].startswith(
        "unread: NAT rule sets of a"
    )
    assert "missing: namespace b is missing" in marks(picture_of_seen({"host": top, "a": namespace(one)}, lab))


def test_addresses_are_those_that_the_lab_has_given_and_such_as_come_by_themselves_are_no_drift():
    lab = {
        "name": "x",
        "namespaces": {"a": {}, "b": {}},
        "links": [{"endpoints": ["a:x", "b:y"], "subnet": "10.1.0.0/29"}],
    }
    one, other = pair("a:x", "b:y", {"addresses": ["10.1.0.5/29", "2001:db8::5/64"]}, {"addresses": ["10.1.0.2/29"]})
    given = {"x": ["10.1.0.5/29"]}
    advertised = {
        "dst": "default",
        "via": "fe80::1",
        "dev": "x",
        "src": None,
        "metric": 1024,
        "table": "main",
        "scope": "global",
    }
    advertised.update(type="unicast", onlink=False, mtu=None, nexthops=[], family="ipv6", protocol="ra")
    there = {"host": namespace(inode=1), "b": namespace(other, lab_addresses={"y": ["10.1.0.2/29"]})}
    told = picture_of_seen({"a": namespace(one, lab_addresses=given, routes=[advertised]), **there}, lab)
    assert marks(told) == []
    assert marks(picture_of_seen({"a": namespace(one, lab_addresses=given), **there}, lab)) == [
        "extra: 2001:db8::5/64 on x is not declared"
    ]
    # Without its ledger the lab would give the first one.
    unknown = picture_of_seen({"a": namespace(one, lab_addresses={}, routes=[advertised]), **there}, lab)
    assert marks(unknown) == ["changed: x has 10.1.0.5/29, declared 10.1.0.1/29"]


def test_a_namespace_that_the_lab_made_and_no_longer_has_is_extra_and_those_of_others_are_noted():
    seen = {
        "host": namespace(inode=1),
        "old": namespace(lab="x"),
        "theirs": namespace(lab="y"),
        "web": namespace(lab="x"),
    }
    picture = picture_of_seen(seen, {"name": "x", "namespaces": {"web": {}}})
    assert [node.key for node in picture.nodes] == ["web", "old"]
    assert marks(picture) == ["extra: namespace old is of lab x, and not declared"]
    assert picture.notes == ("not of this lab: theirs",)


def test_names_stand_as_people_count_and_routes_as_ip_route_writes_them():
    assert sorted(["ns10", "ns2", "a", "ns1"], key=natural) == ["a", "ns1", "ns2", "ns10"]
    assert route_text("default", "unicast", [("10.0.0.1", "eth0")]) == "default via 10.0.0.1"
    assert route_text("10.0.0.0/8", "unicast", [(None, "eth0"), ("10.0.0.1", None)], 7, "100") == (
        "10.0.0.0/8 dev eth0, via 10.0.0.1 metric 7 table 100"
    )
    assert route_text("10.0.0.0/8", "blackhole", [(None, None)]) == "blackhole 10.0.0.0/8"
