# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""lab_info: tells of every namespace what ip, nft and cat tell of it, and nothing that they do not."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import runner
from support.host import Host, inside
from support.runner import Result

from ansible_collections.nslab.linux.plugins.modules import lab_info

pytestmark = pytest.mark.once

LAB: dict[str, Any] = {
    "name": "two_tier",
    "namespaces": {
        "web": {"routes": [{"dst": "default", "via": "10.1.0.1"}], "resolv": {"nameservers": ["192.0.2.53"]}},
        "db": {"sysctl": {"net.ipv6.conf.all.forwarding": 1}},
    },
    "bridges": {"br0": {"subnet": ["10.1.0.0/24", "fd01::/64"], "ageing_time": 60}},
    "links": [
        {"endpoints": ["web:eth0", "br0"]},
        {"endpoints": ["web:eth1", "db:eth0"], "mtu": 1400, "subnet": ["10.2.0.0/30"]},
    ],
    "nat": [
        {
            "sources": ["10.1.0.0/24"],
            "uplink": ["out0"],
            "mode": "snat",
            "to_source": ["192.0.2.1"],
            "publish": [
                {"port": "8080", "to": "10.1.0.2", "to_port": "80"},
                {"port": "5000-5010", "protocol": "udp", "to": "10.1.0.2", "address": "192.0.2.1"},
            ],
        },
    ],
    "hosts": True,
}
# By hand: a container, a second name, routes and neighbours of every kind, and links of others.
BY_HAND = """
    ip link add name out0 type bridge
    ip addr add 192.0.2.1/24 dev out0
    ip link set dev out0 up
"""
AND_THEN = """
    ip netns attach alias {container}
    ip link add name c0 type veth peer name eth0 netns {container}
    ip netns add a.b; ip netns add a.b2
    ip link add name x netns a.b type veth peer name x netns a.b2
    ip -n a.b link add name v7 link x type macvlan mode bridge
    ip -n web addr add 10.7.7.7/24 dev eth1
    ip -n db route add blackhole 10.8.0.0/16
    ip -n db route add 10.9.0.0/16 src 10.2.0.2 mtu 1300 table 100 nexthop via 10.2.0.1 dev eth0 weight 3 nexthop dev lo
    ip -n db -6 route add unreachable fd08::/64 metric 7
    ip -n db -6 route add default dev eth0
    ip -n db neigh add 10.2.0.1 lladdr 02:00:00:00:00:99 dev eth0 nud permanent
    ip -n db -6 neigh add fd02::9 lladdr 02:00:00:00:00:98 dev eth0 nud stale
    ip netns exec web sysctl -q -w net.ipv4.conf.default.forwarding=1 net.ipv6.conf.default.forwarding=1
    ip netns exec a.b sysctl -q -e -w net.ipv6.conf.x.force_forwarding=1
    ip netns exec web ping -n -q -c 1 -W 1 10.1.0.1
    mkdir -p /etc/netns/a.b
    printf '# none\\n10.7.0.1 printer paper # of the office\\nfd07::1 printer\\n' >/etc/netns/a.b/hosts
"""


def furnished(host: Host) -> int:
    """A host with a lab and other things; the pid of a container that has a name besides."""
    host.sh(BY_HAND)
    assert runner.run("lab", LAB).changed
    container = host.unnamed_namespace()
    host.sh(AND_THEN.format(container=container))
    host.wait_for(lambda: all(settled(host, name) for name in ("host", *host.namespaces())))
    return container


def settled(host: Host, netns: str) -> bool:
    """Whether IPv6 has come to every link that is up, which it does some time after."""
    links = [
        link for link in host.ip("addr show", netns) if "UP" in link["flags"] and link["ifname"] not in ("lo", "out0")
    ]
    own = [[each for each in link["addr_info"] if each["scope"] == "link"] for link in links]
    return all(addresses and not any("tentative" in each for each in addresses) for addresses in own)


def look(host: Host, **arguments: Any) -> Result:
    """What is seen, which check mode sees as well, and by which nothing is changed."""
    before = host.snapshot()
    checked, result = (runner.run("lab_info", arguments, check=check) for check in (True, False))
    for each in (checked, result):
        assert not each.failed, each["msg"]
        assert not each.changed
        assert each.state.keys() == {"namespaces"}
    assert before.differences(host.snapshot()) == []
    assert without_changeable(checked) == without_changeable(result)
    return result


def without_changeable(result: Result) -> str:
    """As text, so that the order counts, too; without who runs on the host, and when a neighbour was last heard of."""
    shown = json.loads(json.dumps(result["namespaces"]))
    for name, seen in shown.items():
        if seen and name == "host":
            del seen["pids"]
        for neighbour in (seen or {}).get("neighbours", []):
            del neighbour["state"]
    return json.dumps(shown)


# The same by other tools, in the words of lab_info.


def links(host: Host, netns: str) -> dict[str, dict[str, Any]]:
    found = {}
    for link in host.ip("addr show", netns):
        kind = link.get("linkinfo", {}).get("info_kind") or ("loopback" if link["link_type"] == "loopback" else None)
        found[link["ifname"]] = {
            "name": link["ifname"],
            "netns": netns,
            "kind": kind,
            "index": link["ifindex"],
            "mac": link["address"],
            "mtu": link["mtu"],
            "up": "UP" in link["flags"],
            "state": link["operstate"].lower(),
            "master": link.get("master"),
            "addresses": [
                f"{each['local']}/{each['prefixlen']}" for each in link["addr_info"] if each["scope"] != "link"
            ],
        }
    return found


def routes(host: Host, netns: str) -> list[tuple[Any, ...]]:
    found = []
    for family in (4, 6):
        for route in host.ip(f"-{family} route show table all", netns):
            table, kind = str(route.get("table", "main")), route.get("type", "unicast")
            metrics = {key: value for each in route.get("metrics", []) for key, value in each.items()}
            hops = [(hop.get("gateway"), hop["dev"], hop["weight"]) for hop in route.get("nexthops", [])]
            if table != "local":
                found.append((f"ipv{family}", route["dst"], table, route.get("metric", 0), kind, route.get("gateway"),
                              route.get("dev") if kind == "unicast" else None, route.get("prefsrc"),
                              route["protocol"], metrics.get("mtu"), hops))  # fmt: skip
    return found


def routes_seen(seen: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [
        (each["family"], re.sub(r"/(32|128)$", "", each["dst"]), each["table"], each["metric"], each["type"],
         each["via"], each["dev"], each["src"], each["protocol"], each["mtu"],
         [(hop["via"], hop["dev"], hop["weight"]) for hop in each["nexthops"]])
        for each in seen["routes"]
    ]  # fmt: skip


def neighbours(host: Host, netns: str) -> dict[tuple[str, str, str | None], str]:
    found = host.ip("neigh show", netns)
    return {(each["dst"], each["dev"], each.get("lladdr")): each["state"][0].lower() for each in found}


def switches(host: Host, netns: str) -> dict[str, str]:
    conf = [f"/proc/sys/net/ipv{version}/conf/*/{{,force_}}forwarding" for version in (4, 6)]
    text = host.sh(f"{inside(netns)} bash -c 'grep -s . /proc/sys/net/ipv4/ip_forward {' '.join(conf)} || true'")
    found = dict(line.removeprefix("/proc/sys/").split(":") for line in text.splitlines())
    named = ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding")
    return {
        path: value
        for path, value in found.items()
        if path in named or (value != "0" and path.split("/")[3] not in ("all", "default"))
    }


# What is documented of dicts is of each of their values, which go by name.
BY_NAME = {"namespaces", "namespaces.links", "namespaces.nat"}
TYPES = {"str": str, "int": int, "float": (int, float), "bool": bool, "list": list, "dict": dict}


def documented(options: dict[str, Any], place: str = "") -> dict[str, dict[str, Any]]:
    """What the page says of each key, by its path."""
    found = {}
    for name, option in options.items():
        found[f"{place}{name}"] = option
        found.update(documented(option.get("contains", {}), f"{place}{name}."))
    return found


def returned(value: Any, pages: dict[str, dict[str, Any]], place: str) -> set[str]:
    """The paths of all keys; each is documented, and of the type that is documented."""
    if place not in pages:
        return {place}
    kind = pages[place]["type"]
    said_null = value is None and re.search(r"\b[Nn]ull\b", pages[place]["description"])
    assert said_null or isinstance(value, TYPES[kind]), f"{place}: {value!r} is no {kind}"
    assert kind == "bool" or not isinstance(value, bool), f"{place}: {value!r} is no {kind}"
    inner = list(value.values()) if place in BY_NAME and value is not None else value if kind == "list" else [value]
    found = {place}
    for each in inner or []:
        if "contains" in pages[place] and each is not None:
            for key, one in each.items():
                found |= returned(one, pages, f"{place}.{key}")
        elif kind == "list" and each is not None:
            assert isinstance(each, TYPES[pages[place]["elements"]]), f"{place}: {each!r}"
    return found


def test_everything_is_told_as_other_tools_tell_it(host: Host) -> None:
    container = furnished(host)
    resident = host.process_in("db")
    heard = {name: neighbours(host, name) for name in ("host", "web", "db", "alias")}
    result = look(host)
    assert result.warnings == []
    seen = result["namespaces"]
    pages = documented(yaml.safe_load(lab_info.RETURN))
    assert returned(seen, pages, "namespaces") == set(pages)
    assert list(seen) == ["host", "a.b", "a.b2", "alias", "db", "web"] == ["host", *host.namespaces()]

    for name, one in seen.items():
        told = links(host, name)
        assert list(one["links"]) == list(told)
        for link, expected in told.items():
            for addresses in (one["links"][link]["addresses"], expected["addresses"]):
                addresses.sort()
            assert one["links"][link].items() >= expected.items()
            assert_leads_where_it_says(host, name, link, one["links"][link]["peer"])
        assert sorted(map(str, routes_seen(one))) == sorted(map(str, routes(host, name)))
        told_now = neighbours(host, name)
        assert [(each["dst"], each["dev"], each["mac"]) for each in one["neighbours"]] == sorted(
            told_now,
            key=lambda entry: (entry[1], ":" in entry[0], [int(each, 16) for each in re.split("[.:]+", entry[0])]),
        )
        for each in one["neighbours"]:
            entry = (each["dst"], each["dev"], each["mac"])
            assert each["state"] in (told_now[entry], heard[name][entry])
        assert one["sysctls"] == switches(host, name)
        assert one["inode"] == os.stat(f"/run/netns/{name}" if name != "host" else "/proc/self/ns/net").st_ino
        assert one["path"] == (f"/run/netns/{name}" if name != "host" else None)
        if name != "host":
            assert one["pids"] == sorted(map(int, host.sh(f"ip netns pids {name}").split()))
            assert one["nat"] == {}

    web, db, top = seen["web"], seen["db"], seen["host"]
    assert {name: one["lab"] for name, one in seen.items() if one["lab"]} == {"web": "two_tier", "db": "two_tier"}
    assert web["lab_addresses"] == {
        "eth0": ["10.1.0.2/24", "fd01::2/64"],
        "eth1": ["10.2.0.1/30"],
    }
    assert top["lab_addresses"] == {"br0": ["10.1.0.1/24", "fd01::1/64"]}
    assert db["pids"] == [resident]
    assert os.getpid() in top["pids"]
    assert {each["state"] for each in db["neighbours"]} == {"permanent", "stale"}
    assert db["sysctls"]["net/ipv6/conf/eth0/forwarding"] == "1"
    assert top["links"]["c0"]["peer"] == {"name": "eth0", "netns": "alias"}
    assert seen["alias"]["pids"] == [container]
    assert (seen["a.b"]["links"]["x"]["peer"], seen["a.b"]["links"]["v7"]["peer"]) == ({"name": "x", "netns": "a.b2"}, None)  # fmt: skip
    bridge = host.link("br0")["linkinfo"]["info_data"]
    (port,) = (link["ifname"] for link in host.ip("link show master br0"))
    assert top["links"]["br0"].items() >= {"ports": [port], "stp": bool(bridge["stp_state"]), "ageing_time": bridge["ageing_time"] / 100,
                                           "forward_delay": bridge["forward_delay"] / 100}.items()  # fmt: skip

    assert web["resolv"]["nameservers"] == re.findall("nameserver (.*)", Path("/etc/netns/web/resolv.conf").read_text())
    assert web["resolv"]["hosts"]["db"] == ["10.2.0.2"]
    assert seen["a.b"]["resolv"] == {
        "nameservers": None,
        "search": None,
        "options": None,
        "hosts": {"printer": ["10.7.0.1", "fd07::1"], "paper": ["10.7.0.1"]},
    }
    assert seen["a.b2"]["resolv"] is None
    assert top["resolv"]["hosts"]["localhost"]

    (rule_set,) = top["nat"].values()
    listing = host.sh("nft list table inet nslab")
    assert all(rule in listing for rule in rule_set.pop("rules"))
    assert rule_set == {
        "inside": ["br0"],
        "uplink": {"ipv4": ["out0"], "ipv6": []},
        "sources": ["10.1.0.0/24"],
        "to_source": ["192.0.2.1"],
        "inbound": "established",
        "publish": [
            {"protocol": "tcp", "port": "8080", "address": None, "to": "10.1.0.2", "to_port": "80"},
            {"protocol": "udp", "port": "5000-5010", "address": "192.0.2.1", "to": "10.1.0.2", "to_port": "5000-5010"},
        ],
    }


def assert_leads_where_it_says(host: Host, netns: str, link: str, peer: dict[str, str] | None) -> None:
    """The two ends of a pair know each other's index."""
    here = host.link(link, netns)
    if here.get("linkinfo", {}).get("info_kind") != "veth":
        assert peer is None
        return
    assert peer is not None
    there = host.link(peer["name"], peer["netns"])
    assert (here["link_index"], there["link_index"]) == (there["ifindex"], here["ifindex"])


def test_what_belongs_to_a_lab_and_what_was_asked_for(host: Host) -> None:
    container = furnished(host)
    host.sh("umount /run/netns/alias; rm /run/netns/alias")
    seen = look(host, lab="two_tier")["namespaces"]
    assert list(seen) == ["host", "db", "web"]
    assert seen["host"]["links"]["c0"]["peer"] == {"name": "eth0", "netns": f"pid:{container}"}
    seen = look(host, netns=["web", f"pid:{container}", "/run/netns/db", "web"])["namespaces"]
    assert list(seen) == ["web", f"pid:{container}", "db"]
    assert seen["web"]["links"]["eth1"]["peer"] == {"name": "eth0", "netns": "db"}
    assert seen["web"]["links"]["eth0"]["peer"]["netns"] == "host"
    assert seen[f"pid:{container}"]["path"] == f"/proc/{container}/ns/net"
    host.refuse("lab_info", "no lab two-tier on the host.*two_tier", lab="two-tier")
    host.refuse("lab_info", "mutually exclusive", lab="two_tier", netns=["web"])


def test_what_can_not_be_read_is_null_and_the_rest_is_told(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a host without pyroute2, which only rule sets take, while a namespace goes, and somebody else changes the host."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "pyroute2"]:
        monkeypatch.delitem(sys.modules, name)
    assert look(host).warnings == []
    assert not Path("/run/nslab").exists()
    host.sh("""
        ip netns add going; ip netns add red; ip netns add blue
        touch /run/netns/stale '/run/netns/of others'
        ip netns exec red nft add table inet nslab
        mkdir -p /etc/netns/blue; ln -s nowhere /etc/netns/blue/resolv.conf
        mkdir /run/nslab
    """)
    codec = sys.modules["ansible_collections.nslab.linux.plugins.module_utils._kernel._nft_codec"]
    for cached in ("_attribute_class", "_message_class"):
        getattr(codec, cached).cache_clear()
    monkeypatch.setitem(sys.modules, "pyroute2", None)
    vanishing_when_listed(monkeypatch, lambda: host.sh("ip netns delete going"))
    with subprocess.Popen(["flock", "/run/nslab/lock", "sh", "-c", "echo; read end"], stdin=-1, stdout=-1) as other:
        assert other.stdout is not None
        other.stdout.readline()
        result = runner.run("lab_info", {})
        other.communicate()
    assert {name: one is not None for name, one in result["namespaces"].items()} == {
        "host": True,
        "blue": True,
        "going": False,
        "/run/netns/of others": False,
        "red": True,
        "stale": False,
    }
    assert result.warnings == [
        "namespace going can't be read: No such file or directory",
        "namespace /run/netns/of others can't be read: it is no network namespace",
        "namespace stale can't be read: it is no network namespace",
        "nat of red can't be read: that takes pyroute2, which is not there",
    ]
    seen = result["namespaces"]
    assert (seen["red"]["nat"], seen["blue"]["nat"], seen["host"]["nat"]) == (None, {}, {})
    assert list(seen["red"]["links"]) == ["lo"]
    assert seen["blue"]["resolv"] is None
    assert look(host, netns=["green", "pid:4194304"])["namespaces"] == {"green": None, "pid:4194304": None}


def vanishing_when_listed(monkeypatch: pytest.MonkeyPatch, vanish: Callable[[], object]) -> None:
    """Have a namespace go right after the names have been read."""
    files = sys.modules["ansible_collections.nslab.linux.plugins.module_utils._kernel._files"]
    real = files.directory

    def directory(path: str) -> Any:
        found = real(path)
        if path == "/run/netns" and "going" in found.names:
            vanish()
        return found

    monkeypatch.setattr(files, "directory", directory)
