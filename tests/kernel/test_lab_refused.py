# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""lab: what can't be is refused before anything is touched, all of it at once, each with its place in the definition."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support import runner
from support.host import Host
from support.runner import Result


def told(result: Result) -> dict[str, str]:
    """The refusals by their paths; where there are several at one path, the last."""
    return {error["path"]: error["text"] for error in result["errors"]}


# What is wrong in itself

WRONG: dict[str, Any] = {
    "name": "wrong",
    "namespaces": {
        "a": {"routes": [{"dst": "10.9.0.0/16", "via": "10.66.0.1"}, {"dst": "10.8.0.0/16", "dev": "nosuch"}]},
        "b": {"sysctl": {"kernel.pid_max": 1}, "lopback": True},
        "br0": None,
    },
    "bridges": {"br0": None, "br1": {"subnet": "10.1.0.0/24"}, "br2": {"subnet": "10.1.0.128/25"}},
    "links": [
        {"endpoints": ["a:eth0", "nowhere:eth0"]},
        {"endpoints": ["a:eth0", "b:eth0"], "mtu": 20},
        {"endpoints": ["a:eth1", "b:eth0"]},
        {"endpoints": ["a:eth2", {"node": "b", "interface": "eth2", "addresses": ["10.1.0.1/24", "10.3.0.300/24"]}]},
        {"endpoints": ["a:eth3", "b"], "type": "veth"},
        {"endpoints": ["a:eth4"]},
        {"endpoints": [{"node": "a", "interface": "eth5", "mac": "02:00:00:00:00"}, "b:muchtoolonganame"]},
        {"endpoints": ["b:eth7", "br1:p7"], "subnet": "10.7.0.0/24"},
        {"endpoints": [{"node": "a", "interface": "eth8", "addresses": ["10.44.0.1/24"]}, "host:h8"]},
        {"endpoints": [{"node": "b", "interface": "eth8", "addresses": ["10.44.0.1/24"]}, "host:h9"]},
    ],
    "nat": [{"sources": ["10.1.0.0/24"], "uplink": ["lo"], "name": "mine"}],
    "nodes": {"count": "many"},
}


@pytest.mark.once
def test_all_that_is_wrong_is_told_at_once_with_its_path(host: Host) -> None:
    found = host.refuse("lab", r"lab wrong can't be so: 18 faults: ", **WRONG)["errors"]
    assert [(error["path"], error["text"].partition(":")[0]) for error in found] == [
        ("nodes.count", "'many' is no whole number"),
        ("namespaces.b.lopback", "lopback is not known here"),
        ("namespaces.b.sysctl.kernel.pid_max", "sysctl 'kernel.pid_max' is not one of a network namespace"),
        ("bridges.br0", "a namespace is called br0 too"),
        ("links[0].endpoints[1]", "no namespace or bridge is called 'nowhere'"),
        ("links[1].mtu", "MTU 20 of the link is out of range"),
        ("links[1].endpoints[0]", "interface eth0 in a is that of links[0].endpoints[0] too"),
        ("links[2].endpoints[1]", "interface eth0 in b is that of links[1].endpoints[1] too"),
        (
            "links[3].endpoints[1].addresses[1]",
            "address '10.3.0.300/24' is malformed ('10.3.0.300/24' does not appear to be an IPv4 or IPv6 interface)",
        ),
        ("links[4].endpoints[1]", "the interface in b has no name"),
        ("links[5].endpoints", "there are 1"),
        ("links[6].endpoints[0].mac", "MAC address '02"),
        ("links[6].endpoints[1]", "interface name 'muchtoolonganame' has 16 characters"),
        ("links[7].subnet", "a port of a bridge has no addresses"),
        ("nat[0].name", "name is not known here"),
        ("nat[0].uplink[0]", "lo can't be an uplink"),
        ("links[9].endpoints[0]", "address 10.44.0.1 is that of eth8 in a (links[8].endpoints[0]) too"),
        ("links[9].endpoints[0]", "network 10.44.0.0/24 overlaps 10.44.0.0/24 of links[8].endpoints[0]"),
    ]


@pytest.mark.once
@pytest.mark.parametrize(
    ("definition", "path", "text"),
    [
        (
            {
                "namespaces": {"a": {"routes": [{"dst": "default", "via": "10.9.0.1"}]}},
                "links": [{"endpoints": [{"node": "a", "interface": "eth0", "addresses": ["10.8.0.2/24"]}, "host"]}],
            },
            "namespaces.a.routes[0].via",
            "no link of a reaches the gateway 10.9.0.1: it has 10.8.0.2/24",
        ),
        (
            {
                "nodes": [
                    {"count": 1000, "prefix": "x", "bridge": "br0"},
                    {"count": 24, "prefix": "y", "bridge": "br0"},
                ],
                "bridges": {"br0": None},
            },
            "bridges.br0",
            "it would have 1024 ports, and the kernel takes at most 1023: use a second bridge",
        ),
        (
            {
                "namespaces": {"a": None, "b": None},
                "links": [{"endpoints": ["a:e", "b:e"]}, {"endpoints": ["b:f", "a:e"]}],
            },
            "links[1].endpoints[1]",
            "interface e in a is that of links[0].endpoints[0] too: name each once",
        ),
        (
            {"namespaces": {"a": None}, "bridges": {"br0": None}, "links": [{"endpoints": ["a:e", "host:br0"]}]},
            "links[0].endpoints[1]",
            "interface br0 on the host is that of bridges.br0 too: name each once",
        ),
    ],
    ids=["gateway", "ports", "endpoint", "name"],
)
def test_what_can_not_be_together_is_refused(host: Host, definition: dict[str, Any], path: str, text: str) -> None:
    assert told(host.refuse("lab", "lab x can't be so", name="x", **definition)) == {path: text}


@pytest.mark.once
@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"name": "x", "hosts": True, "definition": {"hosts": False}}, "hosts is given twice"),
        ({"name": "../x"}, "name"),
        ({"name": "x", "definition": {"name": "y"}}, "given twice"),
        ({"definition": {}}, "no name"),
        ({"name": "x", "definition": {"links": {}}}, "links"),
        ({"definition": {}, "state": "absent"}, "no name"),
    ],
    ids=str,
)
def test_how_a_lab_is_given_is_refused_where_it_is_said_twice_or_not(host: Host, arguments: Any, match: str) -> None:
    host.refuse("lab", match, **arguments)


# What is there, and not the lab's

OURS: dict[str, Any] = {
    "name": "ours",
    "namespaces": {
        "a": {"routes": [{"dst": "10.40.0.0/16", "via": "10.20.0.2"}], "resolv": {"nameservers": ["192.0.2.53"]}},
        "b": None,
    },
    "bridges": {"br0": {"addresses": ["10.10.0.1/24"]}},
    "links": [
        {"endpoints": [{"node": "a", "interface": "eth0", "addresses": ["10.20.0.1/24"]}, "host:to-a"]},
        {"endpoints": ["a:eth1", "br0:pa"]},
        {"endpoints": ["b:eth0", "host:to-b"], "subnet": "10.30.0.0/24"},
    ],
    "nat": [{"sources": ["10.10.0.0/24"], "uplink": ["to-a"]}],
}


@pytest.fixture
def furnished(host: Host) -> Host:
    """A host with things under the names that the lab would use, made by hand and by another module."""
    host.sh("""
        ip netns add a
        ip link add name br0 type bridge; ip link set dev br0 up
        ip address add 10.10.0.1/24 dev br0; ip address add 192.0.2.77/32 dev br0
        ip link add name to-a type veth peer name eth0 netns a
        ip link set dev to-a up; ip -n a link set dev lo up; ip -n a link set dev eth0 up; ip -n a address add 10.20.0.1/24 dev eth0
        ip -n a address add 10.20.0.99/24 dev eth0
        ip -n a route add 10.40.0.0/16 via 10.20.0.2
        mkdir -p /etc/netns/a; echo 'nameserver 192.0.2.53' > /etc/netns/a/resolv.conf
    """)
    assert not runner.run("ns_nat", {"name": "lab_ours", "sources": ["10.10.0.0/24"], "uplink": ["to-a"]}).failed
    return host


@pytest.mark.once
def test_what_exists_and_is_not_the_labs_is_refused_all_at_once(furnished: Host) -> None:
    found = told(furnished.refuse("lab", "adopt: true", **OURS))
    assert {path: text.partition(" exists and was not made by lab ours: ")[0] for path, text in found.items()} == {
        "namespaces.a": "namespace a",
        "bridges.br0": "link br0 on the host",
        "links[0].endpoints[0]": "link eth0 in a",
        "links[0].endpoints[1]": "link to-a on the host",
        "nat[0]": "rule set lab_ours on the host",
        "namespaces.a.resolv": "file /etc/netns/a/resolv.conf",
    }


@pytest.mark.by_module
def test_what_is_adopted_is_completed_and_never_removed(furnished: Host) -> None:
    before = furnished.snapshot()
    furnished.changed("lab", **OURS, adopt=True)
    assert furnished.namespaces() == ["a", "b"]
    assert furnished.addresses("br0") == ["10.10.0.1/24", "192.0.2.77/32"]
    assert furnished.addresses("eth0", "a") == ["10.20.0.1/24", "10.20.0.99/24"]
    ledger = Path("/run/nslab/lab.ours").read_text()
    for line in (
        "namespace a",
        "bridge host br0",
        "route a",
        "rules",
        "files",
        "addresses a eth0",
        "addresses host br0",
    ):
        assert f"+ {line}" not in ledger, ledger
    # Later runs leave it too, and need no adopt for what the lab made itself.
    furnished.unchanged("lab", **OURS, adopt=True)
    furnished.sh("ip -n a address add 10.20.0.98/24 dev eth0")
    furnished.unchanged("lab", **OURS, adopt=True)
    furnished.sh("ip -n a address del 10.20.0.98/24 dev eth0")
    furnished.apply("lab", name="ours", state="absent", settled=lambda: "to-b" not in furnished.links())
    assert before.differences(furnished.snapshot()) == []


# Networks of others


@pytest.mark.once
def test_networks_of_the_host_and_of_other_labs_are_refused(host: Host) -> None:
    host.sh("""
        ip link add name lan0 type veth peer name lan1; ip link set dev lan0 up; ip link set dev lan1 up
        ip address add 10.50.7.1/24 dev lan0; ip route add 10.60.0.0/16 dev lan0; ip address add fd50::1/64 dev lan0 nodad
    """)
    first = {"bridges": {"br1": {"subnet": "10.70.0.0/16"}}, "nodes": {"count": 1, "bridge": "br1"}}
    assert not runner.run("lab", {"name": "first", "definition": first}).failed
    second: dict[str, Any] = {
        "name": "second",
        "namespaces": {"s": None},
        "bridges": {
            "br2": {"addresses": ["10.50.0.1/16"]},
            "br3": {"subnet": ["10.60.3.0/24", "fd50::/64"]},
            "br4": {"subnet": "10.70.9.0/24"},
            "br5": {"subnet": "10.80.0.0/24"},
        },
        "links": [
            {"endpoints": ["s:inner", {"node": "host", "interface": "inner", "addresses": ["10.70.128.1/32"]}]},
        ],
    }
    found = told(host.refuse("lab", "is in use", **second))
    assert found == {
        "bridges.br2": "network 10.50.0.0/16 is in use: 10.50.7.1/24 of link lan0 is in it: choose another one",
        "bridges.br3.subnet": "network fd50::/64 is in use: fd50::1/64 of link lan0 is in it: choose another one",
        "bridges.br4.subnet": "network 10.70.9.0/24 is in use: lab first has 10.70.0.0/16: choose another one",
    }
    # What the lab itself has there is no obstacle, nor a network that somebody gave up.
    assert not runner.run("lab", {"name": "first", "state": "absent"}).failed
    host.sh("ip link del dev lan0")
    host.apply("lab", **second, faulty=False)
