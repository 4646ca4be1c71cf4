# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""lab: a whole lab comes in one task, does what it is for, and goes without a trace."""

from __future__ import annotations

import os
from typing import Any

import pytest
from support import runner
from support.host import Host, Make, Outside

TWO_TIER: dict[str, Any] = {
    "name": "two_tier",
    "namespaces": {
        "web": {"routes": [{"dst": "default", "via": "10.1.0.1"}], "resolv": {"nameservers": ["host"]}},
        "db": {
            "sysctl": {"net.ipv4.ip_forward": "1", "net.ipv4.conf.eth0.rp_filter": 2},
            "loopback": False,
            "routes": [{"dst": "10.1.0.0/24", "via": "10.2.0.1"}, {"dst": "fd09::/64", "type": "unreachable"}],
        },
    },
    "bridges": {"br0": {"addresses": ["10.1.0.1/24"]}},
    "links": [
        {"endpoints": [{"node": "web", "interface": "eth0", "addresses": ["10.1.0.10/24"]}, {"node": "br0"}]},
        {"endpoints": ["web:eth1", "db:eth0"], "mtu": 1400, "subnet": ["10.2.0.0/30", "fd02::/64"]},
    ],
    "nat": [{"sources": ["10.1.0.0/24"]}],
    "hosts": True,
}


def inode(netns: str) -> int:
    return os.stat(f"/run/netns/{netns}").st_ino


def resolved(host: Host, netns: str, name: str, database: str = "ahosts") -> list[str]:
    """The addresses that a program inside gets for a name."""
    lines = host.sh(f"ip netns exec {netns} getent {database} {name}").splitlines()
    return sorted({line.split()[0] for line in lines})


def test_a_whole_lab_is_made_and_works_and_goes_without_a_trace(host: Host, make_outside: Make) -> None:
    outside = make_outside()
    before = host.snapshot()
    result = host.changed("lab", **TWO_TIER)
    assert host.namespaces() == ["db", "outside", "web"]
    assert [host.link("eth1", "web")["mtu"], host.link("eth0", "db")["mtu"]] == [1400, 1400]
    assert (host.is_up("lo", "web"), host.is_up("lo", "db")) == (True, False)
    assert host.sysctl("net/ipv4/conf/eth0/rp_filter", "db") == "2"
    assert host.sysctl("net/ipv4/ip_forward", "db") == "1"
    assert host.addresses("eth1", "web") == ["10.2.0.1/30", "fd02::1/64"]
    assert host.addresses("eth0", "db") == ["10.2.0.2/30", "fd02::2/64"]
    (port,) = (link for link in host.links() if link.startswith("v"))
    assert len(port) == 11
    assert host.link(port)["master"] == "br0"
    assert host.ping("10.1.0.10", "db")
    assert host.ping("fd02::2", "web")
    assert host.fetch(outside.WEB, "web") == Outside.HOST4
    assert (resolved(host, "web", "db"), resolved(host, "db", "web")) == (["10.2.0.2", "fd02::2"], ["10.1.0.10", "10.2.0.1", "fd02::1"])  # fmt: skip
    assert "nameserver" in host.sh("ip netns exec web cat /etc/resolv.conf")

    lab = result["lab"]
    assert list(lab["namespaces"]) == ["web", "db"]
    assert [lab["namespaces"][name]["inode"] for name in ("web", "db")] == [inode("web"), inode("db")]
    assert list(lab["namespaces"]["web"]["links"]) == ["eth0", "eth1"]
    assert lab["namespaces"]["web"]["path"] == "/run/netns/web"
    assert list(lab["links"]) == ["web:eth0", f"br0:{port}", "web:eth1", "db:eth0"]
    assert lab["links"]["db:eth0"]["index"] == host.link("eth0", "db")["ifindex"]
    assert lab["links"]["db:eth0"]["mac"] == host.link("eth0", "db")["address"]
    assert lab["bridges"]["br0"]["ports"] == [port]
    assert lab["bridges"]["br0"]["addresses"] == ["10.1.0.1/24"]

    # The same in one value, as a file would have it.
    whole = {key: value for key, value in TWO_TIER.items() if key != "name"}
    assert not runner.run("lab", {"name": "two_tier", "definition": whole}).changed
    assert not runner.run("lab", {"definition": TWO_TIER}).changed

    gone = host.changed("lab", name="two_tier", state="absent", settled=lambda: host.links() == ["uplink"])
    assert gone["lab"] is None
    assert before.differences(host.snapshot()) == []


@pytest.mark.once
def test_what_a_run_took_is_told_by_phase(host: Host) -> None:
    told = runner.run("lab", TWO_TIER | {"nat": []})["timings"]
    assert list(told) == ["observe", "plan", "apply", "verify", "total"]
    assert sum(list(told.values())[:-1]) == pytest.approx(told["total"], abs=1e-4)
    assert list(runner.run("lab", TWO_TIER | {"nat": []})["timings"]) == ["observe", "plan", "total"]


ROUTED: dict[str, Any] = {
    "name": "routed",
    "prefix": "r-",
    "hosts": True,
    "defaults": {"namespaces": {"sysctl": {"net.ipv6.conf.all.forwarding": 1}}, "links": {"mtu": 1420}},
    "namespaces": {
        "a": {"routes": [{"dst": "default", "via": "10.0.1.1"}, {"dst": "default", "via": "fd01::1"}]},
        "r": {"resolv": {"hosts": {"b": "10.9.9.9", "printer": ["10.0.2.9"]}}},
        "b": {"routes": [{"dst": "default", "via": "10.0.2.1"}, {"dst": "default", "dev": "eth0", "via": "fd02::1"}]},
    },
    "bridges": {"sw": {"netns": "r", "subnet": ["10.0.1.0/24", "fd01::/64"], "stp": False}},
    "links": [
        {"endpoints": ["a:eth0", "sw:port1"]},
        {
            "endpoints": [
                {"node": "b", "interface": "eth0", "mac": "02:00:00:00:0b:00"},
                {"node": "r", "interface": "b0", "mtu": 1500, "addresses": ["10.0.2.1/24", "fd02::1/64"]},
            ],
            "subnet": ["10.0.2.0/24", "fd02::/64"],
            "mtu": 1500,
        },
        {"endpoints": ["r:up", "host:lan0"], "subnet": "192.0.2.0/31"},
        {"endpoints": ["host:hop0", "host:hop1"]},
    ],
    "nat": [{"netns": "r", "sources": ["10.0.1.0/24"], "uplink": ["any"], "inbound": "any"}],
}


@pytest.mark.no_rules
def test_names_resolve_and_packets_are_routed_across_a_lab(host: Host) -> None:
    before = host.snapshot()
    host.apply("lab", **ROUTED, faulty=False)
    assert host.namespaces() == ["r-a", "r-b", "r-r"]
    assert host.links() == ["hop0", "hop1", "lan0"]
    assert host.links("r-r") == ["b0", "port1", "sw", "up"]
    assert host.link("port1", "r-r")["master"] == "sw"
    assert [host.link(name, "r-a" if name == "eth0" else "r-r")["mtu"] for name in ("eth0", "port1", "up")] == [
        1420
    ] * 3
    assert [host.link("eth0", "r-b")["mtu"], host.link("b0", "r-r")["mtu"]] == [1500, 1500]
    assert host.link("eth0", "r-b")["address"] == "02:00:00:00:0b:00"
    assert host.addresses("sw", "r-r") == ["10.0.1.1/24", "fd01::1/64"]
    assert host.addresses("eth0", "r-a") == ["10.0.1.2/24", "fd01::2/64"]
    assert host.addresses("eth0", "r-b") == ["10.0.2.2/24", "fd02::2/64"]
    assert (host.addresses("up", "r-r"), host.addresses("lan0")) == (["192.0.2.0/31"], ["192.0.2.1/31"])

    # By their names, as the definition has them; what a namespace says itself goes before.
    assert resolved(host, "r-a", "b", "ahostsv4") == ["10.0.2.2"]
    assert resolved(host, "r-a", "b", "ahostsv6") == ["fd02::2"]
    assert resolved(host, "r-b", "a") == ["10.0.1.2", "fd01::2"]
    assert resolved(host, "r-a", "r") == sorted(["192.0.2.0", "10.0.2.1", "10.0.1.1", "fd01::1", "fd02::1"])
    assert (resolved(host, "r-r", "b"), resolved(host, "r-r", "printer")) == (["10.9.9.9"], ["10.0.2.9"])
    for family in (4, 6):
        host.wait_for(lambda by=family: host.try_sh(f"ip netns exec r-a ping -n -q -{by} -c 1 -W 1 b"))
        host.wait_for(lambda by=family: host.try_sh(f"ip netns exec r-b ping -n -q -{by} -c 1 -W 1 a"))

    host.apply("lab", name="routed", state="absent", faulty=False, settled=lambda: not host.links())
    assert before.differences(host.snapshot()) == []


# Addresses for free


def farm(count: int, **more: Any) -> dict[str, Any]:
    return {
        "name": "farm",
        "nodes": {"count": count, "prefix": "n", "bridge": "br0", "routes": [{"dst": "default", "via": "10.5.0.1"}]},
        "bridges": {"br0": {"subnet": ["10.5.0.0/28", "fd05::/64"]}},
        **more,
    }


def given(host: Host, *names: str) -> list[str]:
    return [" ".join(host.addresses("eth0", name)) for name in names]


@pytest.mark.no_rules
def test_nodes_come_and_go_and_who_stays_keeps_its_addresses(host: Host) -> None:
    host.apply("lab", **farm(2), faulty=False)
    assert host.addresses("br0") == ["10.5.0.1/28", "fd05::1/64"]
    assert given(host, "n1", "n2") == ["10.5.0.2/28 fd05::2/64", "10.5.0.3/28 fd05::3/64"]
    kept = [inode("n1"), inode("n2"), host.link("eth0", "n1")["ifindex"], host.link("br0")["ifindex"]]

    # One before all others, and one more of the many.
    first = {"namespaces": {"aa": None}, "links": [{"endpoints": ["aa:eth0", "br0"]}]}
    more = host.apply("lab", **farm(3, **first), faulty=False)
    assert host.namespaces() == ["aa", "n1", "n2", "n3"]
    assert given(host, "n1", "n2") == ["10.5.0.2/28 fd05::2/64", "10.5.0.3/28 fd05::3/64"]
    assert sorted(given(host, "n3", "aa")) == ["10.5.0.4/28 fd05::4/64", "10.5.0.5/28 fd05::5/64"]
    assert not [text for text in more.operations if "n1" in text or "n2" in text]
    assert kept == [inode("n1"), inode("n2"), host.link("eth0", "n1")["ifindex"], host.link("br0")["ifindex"]]

    # Fewer of them: the surplus goes, and its addresses are free for who comes next.
    last = given(host, "aa")
    host.apply("lab", **farm(1, **first), faulty=False, settled=lambda: len(host.links()) == 3)
    assert host.namespaces() == ["aa", "n1"]
    assert given(host, "n1", "aa") == ["10.5.0.2/28 fd05::2/64", *last]
    assert host.ping("10.5.0.2", "aa")
    host.apply("lab", **farm(2, **first), faulty=False)
    assert given(host, "n2") == ["10.5.0.3/28 fd05::3/64"]
    assert kept[0] == inode("n1")
    host.refuse("lab", "10.5.0.0/28 has room for 14 addresses", **farm(14, **first))
    host.apply("lab", **farm(0), faulty=False, settled=lambda: host.links() == ["br0"])
    assert host.namespaces() == []
