# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can't be is refused in one line that says what to do, and the host is exactly as before."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import runner, sandbox
from support.host import Host
from support.runner import assert_one_line

pytestmark = pytest.mark.once


def veth(**end: Any) -> dict[str, Any]:
    return {"name": "a", "peer": {"name": "b"}, **end}


def route(**fields: Any) -> dict[str, Any]:
    return {"routes": [{"dst": "10.9.0.0/16", **fields}]}


@pytest.fixture
def furnished(host: Host) -> Host:
    """A host with links v0 (10.0.0.1/24, fd00::1/64) and v1, a bridge br0, and a namespace red."""
    host.sh("ip netns add red; ip link add name v0 type veth peer name v1; ip link add name br0 type bridge")
    host.sh("ip address add 10.0.0.1/24 dev v0; ip address add fd00::1/64 dev v0 nodad; ip link set dev v0 up")
    host.sh("ip link set dev v1 up")
    return host


# Names


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "-x",
        ".x",
        "+x",
        "a b",
        "a:eth0",
        "pid:4711",
        "host",
        "a\n",
        "é",
        "red@web1",
        "--help",
    ],
)
def test_names_of_namespaces_outside_the_grammar(host: Host, name: str) -> None:
    host.refuse("netns", "name", name=["good", name])


def test_a_name_of_a_namespace_that_is_too_long(host: Host) -> None:
    host.refuse("netns", "201", name=["a" * 201])


@pytest.mark.parametrize(
    "ref", ["pid:0", "pid:-1", "pid:x", "container:web", "../red", "a b", "/", "/run/netns/../../etc", ""]
)
def test_references_to_namespaces_outside_the_grammar(furnished: Host, ref: str) -> None:
    calls = (("veth", veth()), ("bridge", {"name": "b"}), ("ns_link", {"name": "v0"}), ("ns_route", route(dev="v0")))
    for module, arguments in calls:
        furnished.refuse(module, "", netns=ref, **arguments)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a b", "a:b", "-x", "v%d", "all", "default", "a\n", "é"])
def test_names_of_links_outside_the_grammar(furnished: Host, name: str) -> None:
    furnished.refuse("veth", "name", name=name, peer={"name": "b"})
    furnished.refuse("veth", "name", name="a", peer={"name": name})
    furnished.refuse("veth", "name", **veth(master=name))
    furnished.refuse("bridge", "name", name=name)
    furnished.refuse("bridge", "name", name="b", ports=[name])
    furnished.refuse("ns_route", "name", **route(dev=name))
    furnished.refuse("ns_nat", "name", name="x", inside=[name], uplink=["v0"])
    furnished.refuse("ns_nat", "name", name="x", inside=["v0"], uplink=[name])


def test_a_name_of_a_link_that_is_too_long_is_refused_with_its_length(furnished: Host) -> None:
    long = "sixteen-letters-"
    furnished.refuse("veth", r"16.*15", name=long, peer={"name": "b"})
    furnished.refuse("veth", r"16.*15", name="a", peer={"name": long})
    furnished.refuse("veth", r"16.*15", pairs=[veth(), {"name": "c", "peer": {"name": long}}])
    furnished.refuse("bridge", r"16.*15", name=long)
    furnished.refuse("bridge", r"16.*15", name="b", ports=[long])


@pytest.mark.parametrize("name", ["", "A", "a-b", "a b", "a" * 25, "a\n"])
def test_names_of_rule_sets_outside_the_grammar(furnished: Host, name: str) -> None:
    furnished.refuse("ns_nat", "name", name=name, inside=["v0"], uplink=["v1"])


def test_one_link_named_twice(furnished: Host) -> None:
    furnished.refuse("veth", "a", name="a", peer={"name": "a"})
    furnished.refuse("veth", "a", pairs=[veth(), {"name": "a", "peer": {"name": "c"}}])
    furnished.refuse("veth", "b", pairs=[veth(), {"name": "c", "peer": {"name": "b"}}])


# Addresses


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "10.0.0.1/33",
        "10.0.0/24",
        "fd00::g/64",
        "fd00::1/129",
        "x",
        "",
        "10.0.0.1/255.255.255.0",
        "224.0.0.1/4",
        "0.0.0.0/0",
        "::/64",
        "10.0.0.1/24\n",
        "fe80::1/64",
        "169.254.1.1/16",
        "::1/128",
    ],
)
def test_malformed_addresses(furnished: Host, address: str) -> None:
    furnished.refuse("veth", "address", **veth(addresses=["10.7.0.1/24", address]))
    furnished.refuse("veth", "address", name="a", peer={"name": "b", "addresses": [address]})
    furnished.refuse("bridge", "address", name="b", addresses=[address])


def test_an_mtu_that_is_too_small_for_ipv6(furnished: Host) -> None:
    furnished.refuse("veth", r"MTU 1279.*fd07::1/64.*1280", **veth(mtu=1279, addresses=["fd07::1/64"]))
    furnished.refuse("bridge", r"MTU 1279.*fd07::1/64.*1280", name="b", mtu=1279, addresses=["fd07::1/64"])
    furnished.refuse("veth", r"MTU 1279.*v0.*1280", name="v0", mtu=1279, peer={"name": "v1"})


def test_an_ipv6_address_where_ipv6_is_off(furnished: Host) -> None:
    furnished.sh("echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6")
    furnished.refuse("veth", "disable_ipv6", **veth(addresses=["fd07::1/64"]), in_check_mode=False)


def test_times_of_a_bridge_out_of_range(furnished: Host) -> None:
    for value in (-1, 42949673, "nan", "inf"):
        furnished.refuse("bridge", "ageing_time.*out of range", name="br0", ageing_time=value)
        furnished.refuse("bridge", "forward_delay.*out of range", name="br0", forward_delay=value)
    for value in (1.99, 30.01):
        furnished.refuse("bridge", "forward_delay.*2 to 30", name="br0", forward_delay=value, stp=True)


def test_one_address_twice_on_a_link(furnished: Host) -> None:
    furnished.refuse("bridge", r"10\.7\.0\.1", name="b", addresses=["10.7.0.1/24", "10.7.0.1/16"])


@pytest.mark.parametrize(
    "mac", ["52:54:00:12:34", "52:54:00:12:34:5g", "01:00:00:00:00:01", "00:00:00:00:00:00", "x", ""]
)
def test_malformed_macs(furnished: Host, mac: str) -> None:
    furnished.refuse("veth", "mac", **veth(mac=mac))
    furnished.refuse("bridge", "mac", name="b", mac=mac)


def test_a_mac_that_yaml_made_a_number_of(furnished: Host) -> None:
    furnished.refuse("veth", "quote", **veth(mac=41135829296))
    furnished.refuse("bridge", "quote", name="b", mac=41135829296)


def test_a_link_to_take_the_mtu_from_that_can_not_be(furnished: Host) -> None:
    for module, arguments in (("veth", veth()), ("bridge", {"name": "b"})):
        furnished.refuse(module, "nosuch", **arguments, mtu_from="nosuch", in_check_mode=False)
        furnished.refuse(module, "name", **arguments, mtu_from="a b")
        furnished.refuse(module, r"mtu.mtu_from", **arguments, mtu_from="auto", mtu=1400)


@pytest.mark.parametrize("mtu", [0, -1, 67, 65536, 10**9])
def test_mtus_out_of_range(furnished: Host, mtu: int) -> None:
    furnished.refuse("veth", "mtu", **veth(mtu=mtu))
    furnished.refuse("bridge", "mtu", name="b", mtu=mtu)


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"dst": "10.9.0.0/33", "dev": "v0"}, "10.9.0.0/33"),
        ({"dst": "10.9.0.1/16", "dev": "v0"}, "host bits"),
        ({"dst": "x", "dev": "v0"}, "x"),
        ({"dst": "", "dev": "v0"}, ""),
        ({"via": "10.0.0"}, r"10\.0\.0"),
        ({"via": "10.0.0.2/24"}, r"10\.0\.0\.2/24"),
        ({"via": "10.0.0.2", "src": "x"}, "x"),
    ],
)
def test_malformed_routes(furnished: Host, fields: dict[str, Any], match: str) -> None:
    furnished.refuse("ns_route", match, **route(**fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"via": "fd00::2"},
        {"dst": "fd09::/48", "via": "10.0.0.2"},
        {"dst": "0.0.0.0/0", "via": "fd00::2"},
        {"dst": "::/0", "via": "10.0.0.2"},
        {"via": "10.0.0.2", "src": "fd00::1"},
        {"dst": "default", "via": "10.0.0.2", "src": "fd00::1"},
        {"nexthops": [{"via": "10.0.0.2"}, {"via": "fd00::2"}]},
    ],
    ids=str,
)
def test_mixed_families(furnished: Host, fields: dict[str, Any]) -> None:
    furnished.refuse("ns_route", "family|ipv", **route(**fields))


def test_a_gateway_that_can_not_be_reached(furnished: Host) -> None:
    furnished.refuse("ns_route", r"10\.5\.0\.1", **route(via="10.5.0.1"), in_check_mode=False)
    furnished.refuse("ns_route", r"10\.5\.0\.1", **route(via="10.5.0.1", dev="v0"), in_check_mode=False)
    furnished.refuse("ns_route", "fd05::1", **route(dst="fd09::/48", via="fd05::1"), in_check_mode=False)
    hops = [{"via": "10.0.0.2"}, {"via": "10.5.0.1"}]
    furnished.refuse("ns_route", r"10\.5\.0\.1", **route(nexthops=hops), in_check_mode=False)


def test_a_gateway_that_is_the_hosts_own_address(furnished: Host) -> None:
    furnished.refuse("ns_route", r"10\.0\.0\.1", **route(via="10.0.0.1"))


def test_a_source_address_that_the_namespace_has_not(furnished: Host) -> None:
    furnished.refuse("ns_route", r"10\.0\.0\.77", **route(via="10.0.0.2", src="10.0.0.77"), in_check_mode=False)


def test_a_route_by_a_link_that_is_down(furnished: Host) -> None:
    furnished.sh("ip link set dev v0 down")
    furnished.refuse("ns_route", r"v0.*up|v0.*down", **route(dev="v0"), in_check_mode=False)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"type": "blackhole", "via": "10.0.0.2"},
        {"type": "prohibit", "dev": "v0"},
        {"via": "10.0.0.2", "nexthops": [{"via": "10.0.0.3"}]},
        {"nexthops": []},
        {"nexthops": [{}]},
        {"nexthops": [{"via": "10.0.0.2", "weight": 0}]},
        {"nexthops": [{"via": "10.0.0.2", "weight": 257}]},
        {"via": "10.0.0.2", "onlink": True},
        {"via": "10.0.0.2", "table": "0"},
        {"via": "10.0.0.2", "table": "x"},
        {"via": "10.0.0.2", "table": "4294967296"},
        {"via": "10.0.0.2", "metric": -1},
        {"via": "10.0.0.2", "metric": 2**32},
        {"via": "10.0.0.2", "mtu": 0},
        {"via": "10.0.0.2", "scope": "x"},
        {"via": "10.0.0.2", "scope": "link"},
        {"via": "10.0.0.2", "mtu": 65521},
        {"type": "blackhole", "mtu": 1400},
        {"via": "0.0.0.0", "dev": "v0"},
        {"dst": "fd09::/48", "via": "fd00::2", "scope": "link"},
        {"dst": "fd09::/48", "nexthops": [{"dev": "v0"}, {"dev": "v1"}]},
    ],
    ids=str,
)
def test_routes_that_can_not_be(furnished: Host, fields: dict[str, Any]) -> None:
    furnished.refuse("ns_route", "", **route(**fields))


def test_one_route_declared_twice(furnished: Host) -> None:
    routes = [{"dst": "default", "via": "10.0.0.2"}, {"dst": "0.0.0.0/0", "via": "10.0.0.3"}]
    furnished.refuse("ns_route", "twice|two", routes=routes)


@pytest.mark.parametrize("source", ["10.0.0.0/33", "10.0.0.1/24", "x", "", "10.0.0.0/24\n"])
def test_malformed_sources(furnished: Host, source: str) -> None:
    furnished.refuse("ns_nat", "", name="x", sources=[source], uplink=["v1"])


# Parents


def test_an_unknown_master(furnished: Host) -> None:
    furnished.refuse("veth", "nosuch", **veth(master="nosuch"), in_check_mode=False)
    furnished.refuse(
        "veth", r"nosuch.*red", name="a", peer={"name": "b", "netns": "red", "master": "nosuch"}, in_check_mode=False
    )


def test_a_master_that_is_no_bridge(furnished: Host) -> None:
    furnished.refuse("veth", r"v0.*bridge", **veth(master="v0"))


def test_a_name_taken_by_another_kind_of_link(furnished: Host) -> None:
    furnished.refuse("veth", r"br0.*bridge", name="br0", peer={"name": "b"})
    furnished.refuse("veth", r"br0.*bridge", name="a", peer={"name": "br0"})
    furnished.refuse("bridge", r"v0.*veth", name="v0")


def test_lo_as_a_veth_a_bridge_or_a_port(furnished: Host) -> None:
    furnished.refuse("veth", r"\blo\b", name="lo", peer={"name": "b"})
    furnished.refuse("veth", r"\blo\b", name="a", peer={"name": "lo", "netns": "red"})
    furnished.refuse("veth", r"\blo\b", name="lo", state="absent")
    furnished.refuse("bridge", r"\blo\b", name="lo")
    furnished.refuse("bridge", r"\blo\b", name="b", ports=["lo"])


def test_the_hosts_own_uplink_as_a_port(furnished: Host) -> None:
    furnished.sh("ip route add default via 10.0.0.2")
    furnished.refuse("bridge", r"v0.*force", name="br0", ports=["v0"])


def test_an_unknown_uplink(furnished: Host) -> None:
    furnished.refuse("ns_nat", "nosuch", name="x", inside=["v0"], uplink=["nosuch"], in_check_mode=False)
    furnished.refuse("ns_nat", "nosuch", name="x", inside=["nosuch"], uplink=["v1"], in_check_mode=False)


def test_a_namespace_that_does_not_exist(furnished: Host) -> None:
    furnished.refuse("veth", "nowhere", name="a", netns="nowhere", peer={"name": "b"}, in_check_mode=False)
    furnished.refuse("veth", "nowhere", name="a", peer={"name": "b", "netns": "nowhere"}, in_check_mode=False)
    furnished.refuse("bridge", "nowhere", name="b", netns="nowhere", in_check_mode=False)
    furnished.refuse("ns_route", "nowhere", netns="nowhere", **route(dev="v0"), in_check_mode=False)
    furnished.refuse("ns_nat", "nowhere", netns="nowhere", name="x", inside=["v0"], uplink=["v1"], in_check_mode=False)


@pytest.mark.parametrize("path", ["/run/nosuch", "/etc/hosts", "/run", "/proc/1/ns/mnt", "/run/stale"])
def test_a_path_that_is_no_namespace(furnished: Host, path: str) -> None:
    furnished.sh("touch /run/stale")
    furnished.refuse("netns", path, name=["x"], attach=path)
    furnished.refuse("veth", path, name="a", netns=path, peer={"name": "b"})
    furnished.refuse("veth", path, name="a", peer={"name": "b", "netns": path})
    furnished.refuse("bridge", path, name="b", netns=path)
    furnished.refuse("ns_link", path, name="v0", netns=path)
    furnished.refuse("ns_link", path, name="v0", **{"from": path})
    furnished.refuse("ns_route", path, netns=path, **route(dev="v0"))
    furnished.refuse("ns_nat", path, netns=path, name="x", inside=["v0"], uplink=["v1"])


def test_a_process_that_does_not_exist(furnished: Host) -> None:
    pid = furnished.process_in("red")
    furnished.end(pid)
    furnished.refuse("netns", str(pid), name=["x"], attach=f"pid:{pid}")
    furnished.refuse("bridge", str(pid), name="b", netns=f"pid:{pid}")


def test_a_stale_file_as_a_namespace(furnished: Host) -> None:
    furnished.sh("touch /run/netns/stale")
    furnished.refuse("bridge", "stale", name="b", netns="stale", in_check_mode=False)


def test_what_can_not_be_attached(furnished: Host) -> None:
    furnished.refuse("netns", "attach", name=["x", "y"], attach="/run/netns/red")
    for name in ("red", "coming"):
        furnished.refuse("netns", "own name", name=[name], attach=f"/run/netns/{name}")
    for ref in ("red", "host", "pid:0", "container:web", ""):
        furnished.refuse("netns", "", name=["x"], attach=ref)


def test_a_directory_in_the_place_of_a_namespace(furnished: Host) -> None:
    furnished.sh("mkdir /run/netns/folder")
    for state in ("present", "absent"):
        furnished.refuse("netns", "/run/netns/folder is neither", name=["folder"], state=state)


# Sysctls


@pytest.mark.parametrize(
    "name",
    [
        "kernel.hostname",
        "vm/swappiness",
        "net",
        "net.",
        "",
        "net/../kernel/hostname",
        "net/ipv4/../../vm/swappiness",
        "net..ipv4",
        "/proc/sys/net/ipv4/ip_forward",
        "net/ipv4/./ip_forward",
        "net.ipv4.ip_forward\n",
        "net.ipv4./.ip_forward",
    ],
)
def test_sysctls_outside_net_and_path_tricks(host: Host, name: str) -> None:
    host.refuse("netns", "sysctl", name=["red"], sysctl={"net.ipv4.ip_default_ttl": 33, name: "1"})


def test_a_sysctl_that_does_not_exist(host: Host) -> None:
    host.sh("ip netns add red")
    host.refuse("netns", "nosuch", name=["red"], sysctl={"net.ipv4.nosuch": "1"})


def test_a_sysctl_of_a_namespace_yet_to_come_that_does_not_exist_leaves_no_namespace(host: Host) -> None:
    host.refuse("netns", "nosuch", name=["red"], sysctl={"net.ipv4.nosuch": "1"}, in_check_mode=False)
    assert host.namespaces() == []


def test_a_value_that_the_kernel_refuses(host: Host) -> None:
    host.refuse(
        "netns", "ip_default_ttl", name=["red"], sysctl={"net.ipv4.ip_default_ttl": "1000"}, in_check_mode=False
    )
    assert host.namespaces() == []


def test_a_sysctl_that_is_written_twice_with_two_values(host: Host) -> None:
    host.refuse("netns", "two values", name=["red"], sysctl={"net.ipv4.ip_forward": 1, "net/ipv4/ip_forward": 0})


@pytest.mark.parametrize("value", ["", "1\n2", "a\0b", {"a": 1}, [1], None])
def test_values_of_sysctls_that_can_not_be(host: Host, value: object) -> None:
    host.refuse("netns", "ip_default_ttl", name=["red"], sysctl={"net.ipv4.ip_default_ttl": value})


# Resolving


@pytest.mark.parametrize("text", ["a\nnameserver 8.8.8.8", "a b", "", "a;b", "#x"])
def test_search_domains_that_can_not_be(host: Host, text: str) -> None:
    host.refuse("ns_resolv", "search", netns=["red"], search=[text])


@pytest.mark.parametrize("text", ["ndots:2\nnameserver 8.8.8.8", "a b", ""])
def test_resolver_options_that_can_not_be(host: Host, text: str) -> None:
    host.refuse("ns_resolv", "option", netns=["red"], options=[text])


@pytest.mark.parametrize("text", ["8.8.8", "dns.example", "8.8.8.8/32", "", "8.8.8.8\nsearch x", "fe80::1%eth0 x"])
def test_nameservers_that_can_not_be(host: Host, text: str) -> None:
    host.refuse("ns_resolv", "nameserver", netns=["red"], nameservers=[text])


@pytest.mark.parametrize(
    "hosts",
    [
        {"a b": "10.0.0.1"},
        {"a\nb": "10.0.0.1"},
        {"": "10.0.0.1"},
        {"a": "x"},
        {"a": ["10.0.0.1\n10.0.0.2 b"]},
        {"a": 7},
        {"a": None},
    ],
)
def test_hosts_that_can_not_be(host: Host, hosts: dict[str, Any]) -> None:
    host.refuse("ns_resolv", "", netns=["red"], hosts=hosts)


@pytest.mark.parametrize("name", ["../red", "/etc/netns/red", "host", "", "pid:1", "a/b"])
def test_files_are_for_names_only(host: Host, name: str) -> None:
    host.refuse("ns_resolv", "name", netns=[name], nameservers=["192.0.2.53"])


# The set-up of the host


CALLS = [
    ("netns", {"name": ["blue"]}),
    ("veth", {"name": "a", "peer": {"name": "b"}}),
    ("bridge", {"name": "br1"}),
    ("ns_link", {"name": "v0", "mtu": 1400}),
    ("ns_route", {"routes": [{"dst": "10.9.0.0/16", "via": "10.0.0.2"}]}),
    ("ns_nat", {"name": "x", "inside": ["v0"], "uplink": ["v1"]}),
]


@contextlib.contextmanager
def with_pyroute2(**given: None) -> Iterator[None]:
    """The modules of the real one are not imported, or stand as they are given."""

    def imported() -> dict[str, Any]:
        return {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "pyroute2"}

    def exchange(modules: dict[str, Any]) -> None:
        for name in imported():
            del sys.modules[name]
        sys.modules.update(modules)

    before = imported()
    exchange(given)
    try:
        yield
    finally:
        exchange(before)


@pytest.mark.parametrize(("module", "arguments"), CALLS, ids=[module for module, _arguments in CALLS])
def test_pyroute2_is_missing(furnished: Host, module: str, arguments: dict[str, Any]) -> None:
    with with_pyroute2(pyroute2=None):
        furnished.refuse(module, r"pyroute2.*(python3-pyroute2|pip)", **arguments)


@pytest.mark.parametrize(("module", "arguments"), CALLS, ids=[module for module, _arguments in CALLS])
@pytest.mark.parametrize("file", ["config/version.py", "__init__.py"], ids=["as released", "otherwise"])
def test_pyroute2_is_too_old(
    furnished: Host, file: str, module: str, arguments: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyroute2/config").mkdir(parents=True)
    (tmp_path / "pyroute2/__init__.py").touch()
    (tmp_path / "pyroute2" / file).write_text('__version__ = "0.5.14"\n')
    monkeypatch.syspath_prepend(tmp_path)
    with with_pyroute2():
        furnished.refuse(module, r"pyroute2.*0\.5\.14.*0\.7\.2", **arguments)


def test_only_rule_sets_are_made_with_pyroute2(furnished: Host) -> None:
    """Its import takes longer than the rest of a task."""
    for module, arguments in CALLS:
        with with_pyroute2():
            assert not runner.run(module, arguments).failed
            assert ("pyroute2" in sys.modules) == (module == "ns_nat")


@contextlib.contextmanager
def as_ordinary_user() -> Iterator[None]:
    os.seteuid(65534)
    # Otherwise the process may not even look at itself below /proc, which a real one may.
    sandbox.call("prctl", 4, 1)
    try:
        yield
    finally:
        os.seteuid(0)
        sandbox.call("prctl", 4, 1)


@contextlib.contextmanager
def as_root_of_a_container() -> Iterator[None]:
    """Root, but without CAP_NET_ADMIN (12) and CAP_SYS_ADMIN (21)."""
    with without_capabilities(12, 21):
        yield


@contextlib.contextmanager
def without_capabilities(*bits: int) -> Iterator[None]:
    head = (ctypes.c_uint32 * 2)(0x20080522, 0)
    full, less = (ctypes.c_uint32 * 6)(), (ctypes.c_uint32 * 6)()
    for sets in (full, less):
        assert sandbox.libc.capget(head, sets) == 0
    less[0] &= ~sum(1 << bit for bit in bits)
    assert sandbox.libc.capset(head, less) == 0
    try:
        yield
    finally:
        assert sandbox.libc.capset(head, full) == 0


@pytest.mark.parametrize("who", [as_ordinary_user, as_root_of_a_container], ids=["user", "container"])
@pytest.mark.parametrize(
    ("module", "arguments"),
    [*CALLS, ("netns", {"name": ["red"], "state": "absent"}), ("bridge", {"name": "b", "netns": "red"})],
    ids=str,
)
def test_privileges_are_missing(furnished: Host, who: Any, module: str, arguments: dict[str, Any]) -> None:
    before = furnished.snapshot()
    with who():
        result = runner.run(module, arguments)
    assert result.failed
    assert_one_line(result)
    assert "root" in result["msg"] or "privilege" in result["msg"] or "CAP_" in result["msg"]
    assert before.differences(furnished.snapshot()) == []


@contextlib.contextmanager
def as_root_of_a_user_namespace(folder: str) -> Iterator[None]:
    """Root, to whom this folder is anybody's: without CAP_DAC_OVERRIDE (1), CAP_DAC_READ_SEARCH (2) and CAP_FOWNER (3)."""
    os.chown(folder, 65534, 65534)
    try:
        with without_capabilities(1, 2, 3):
            yield
    finally:
        os.chown(folder, 0, 0)


@pytest.mark.parametrize("folder", ["/run", "/etc", "/etc/netns"])
def test_a_folder_that_root_of_a_user_namespace_may_not_write(host: Host, folder: str) -> None:
    if folder == "/etc/netns":
        Path(folder).mkdir()
    with as_root_of_a_user_namespace(folder):
        result = runner.run("ns_resolv", {"netns": ["red"], "hosts": {}})
    assert result.failed
    assert_one_line(result)
    assert f"{folder}/" in result["msg"]
    assert "root of a user namespace may not, unless a file system of its own (tmpfs) is mounted" in result["msg"]
