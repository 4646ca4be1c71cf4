# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lab_info makes of a world: the shape of it, what is null, and what a warning says."""

from __future__ import annotations

import dataclasses
import struct

import pytest

from ansible_collections.nslab.linux.plugins.module_utils._engine import make_plan
from ansible_collections.nslab.linux.plugins.module_utils._errors import Problem
from ansible_collections.nslab.linux.plugins.module_utils._kernel import _decode
from ansible_collections.nslab.linux.plugins.module_utils._resources import _lab_info, _nat
from ansible_collections.nslab.linux.plugins.module_utils._resources._lab_ledger import labs, places
from ansible_collections.nslab.linux.plugins.module_utils._resources._nat_report import report_rule_sets
from ansible_collections.nslab.linux.plugins.module_utils._resources._resolv import parse_hosts
from ansible_collections.nslab.linux.plugins.module_utils._values import HOST, NamespaceRef
from ansible_collections.nslab.linux.plugins.module_utils._world import (
    DirectoryState,
    FileState,
    NeedFile,
    NeedNeighbours,
    NeedTable,
    World,
)
from ansible_collections.nslab.linux.tests.unit.plugins.module_utils.imagined import (
    a_host,
    address,
    bridge,
    connected,
    link,
    namespace,
    plan,
    ref,
    route,
    veth,
    world,
)

LEDGER = """\
+ namespace red
+ namespace gone
- namespace gone
+ veth red eth0 host v1: red br0
+ addresses other eth1: 10.9.0.1/24
+ network 10.1.0.0/24
+ rules host lab
"""


def imagined(**facets) -> World:
    """A host on which red is of a lab, blue of nobody, and gone a file that is no namespace."""
    red = namespace(veth("eth0", "host:v1", address("10.1.0.2/24")), routes=facets.pop("routes", ()))
    top = a_host(veth("v1", "red:eth0", master="br0"), bridge("br0"))
    made = world(
        top,
        red=red,
        blue=namespace(),
        directories={
            "/run/netns": DirectoryState(("blue", "gone", "red")),
            "/run/nslab": DirectoryState(("lab.small", "lock", "sysctls.json")),
            "/etc/netns": DirectoryState(("red",)),
        },
        files={"/run/nslab/lab.small": FileState(LEDGER), **facets.pop("files", {})},
    )
    made.faults[ref("gone")] = "it is no network namespace"
    made.keys[ref("gone")] = None
    assert not facets
    return made


def seen(truth: World, **options) -> tuple[dict, tuple[str, ...]]:
    declaration = _lab_info.declare(options)
    made = make_plan(declaration, truth, assume=True)
    assert not made.todo
    return declaration.report(made.after)["namespaces"], made.warnings


def test_the_host_comes_first_and_then_all_that_stands_under_run_netns():
    found, warnings = seen(imagined())
    assert list(found) == ["host", "blue", "gone", "red"]
    assert found["gone"] is None
    assert warnings == ("namespace gone can't be read: it is no network namespace",)
    assert found["red"]["links"]["eth0"]["peer"] == {"name": "v1", "netns": "host"}
    assert found["host"]["links"]["br0"]["ports"] == ["v1"]
    assert (found["red"]["lab"], found["blue"]["lab"], found["host"]["lab"]) == ("small", None, None)
    assert (found["red"]["path"], found["host"]["path"]) == ("/run/netns/red", None)


def test_of_a_lab_are_its_namespaces_those_it_plugs_into_and_the_host():
    truth = imagined()
    truth.faults[ref("other")] = "No such file or directory"
    found, _warnings = seen(truth, lab="small")
    assert list(found) == ["host", "other", "red"]
    assert places(labs(truth)["small"]) == ["red", "host", "other"]


@pytest.mark.parametrize(
    ("ledgers", "advice"), [(("lab.small",), "labs there: small"), (("lock",), "no lab is there; make it")]
)
def test_a_lab_that_is_not_there_is_refused_with_those_that_are(ledgers, advice):
    truth = imagined()
    truth.directories["/run/nslab"] = DirectoryState(ledgers)
    with pytest.raises(Problem, match=f"there is no lab big on the host: {advice}"):
        seen(truth, lab="big")


def test_what_could_not_be_read_is_null_and_told_once_for_all():
    truth = imagined()
    for name in ("blue", "red", "host"):
        truth.unread[NeedTable(ref(name))] = "no pyroute2"
    truth.unread[NeedNeighbours(ref("red"))] = "it kept changing"
    truth.unread[NeedFile("/etc/netns/red/hosts")] = "Permission denied"
    found, warnings = seen(truth, netns=["host", "red", "blue"])
    assert [found[name]["nat"] for name in found] == [None, None, None]
    assert (found["red"]["neighbours"], found["blue"]["neighbours"]) == (None, [])
    assert set(warnings) == {
        "nat of host, red, blue can't be read: no pyroute2",
        "neighbours of red can't be read: it kept changing",
        "/etc/netns/red/hosts can't be read: Permission denied",
    }


def test_routes_stand_by_family_table_and_destination_with_the_default_first():
    wanted = [
        route("default", "10.1.0.1", "eth0"),
        connected("9.0.0.0/24", "eth0"),
        route("10.10.0.0/16", "10.1.0.1", "eth0"),
        route("10.10.0.0/24", "10.1.0.1", "eth0"),
        route("9.0.0.0/24", "10.1.0.1", "eth0", table=255),
        route("fd00::/64", None, "eth0"),
    ]
    forth, back = (seen(imagined(routes=order), netns=["red"])[0]["red"]["routes"] for order in (wanted, wanted[::-1]))
    assert forth == back
    told = [(each["family"], each["table"], each["dst"], each["protocol"]) for each in forth]
    assert told == [
        ("ipv4", "main", "default", "boot"),
        ("ipv4", "main", "9.0.0.0/24", "kernel"),
        ("ipv4", "main", "10.10.0.0/16", "boot"),
        ("ipv4", "main", "10.10.0.0/24", "boot"),
        ("ipv4", "local", "9.0.0.0/24", "boot"),
        ("ipv6", "main", "fd00::/64", "boot"),
    ]


def test_resolver_files_are_told_as_far_as_they_are_there():
    conf = FileState("search example.com\nnameserver 192.0.2.53\noptions ndots:2\n")
    found, _warnings = seen(imagined(files={"/etc/netns/red/resolv.conf": conf, "/etc/hosts": FileState("")}))
    expected = {"nameservers": ["192.0.2.53"], "search": ["example.com"], "options": ["ndots:2"], "hosts": None}
    assert found["red"]["resolv"] == expected
    assert found["blue"]["resolv"] is None
    assert found["host"]["resolv"] == {"nameservers": None, "search": None, "options": None, "hosts": {}}
    dangling = FileState("", 0, "nowhere")
    found, _warnings = seen(imagined(files={"/etc/netns/red/resolv.conf": dangling}))
    assert found["red"]["resolv"] is None


def test_a_hosts_file_is_read_as_libc_does():
    text = (
        "127.0.0.1 localhost\n# 10.0.0.1 none\n::1 localhost\n10.0.0.1\tdb  db.example # two names\n10.0.0.1 db\nbad\n"
    )
    assert parse_hosts(text) == {"localhost": ["127.0.0.1", "::1"], "db": ["10.0.0.1"], "db.example": ["10.0.0.1"]}


def test_a_namespace_with_two_names_goes_by_the_first_where_it_is_a_peer():
    truth = imagined()
    truth.keys[ref("also")] = truth.keys[ref("red")]
    truth.keys[NamespaceRef("pid", "7")] = truth.keys[ref("red")]
    for key, known in truth.references().items():
        assert known == truth.reference(key)
    found, _warnings = seen(truth, netns=["host", "also"])
    assert found["host"]["links"]["v1"]["peer"]["netns"] == "also"
    assert found["also"]["links"]["eth0"]["netns"] == "also"
    assert truth.references()[truth.keys[HOST]] == HOST


PUBLISH = [
    {"protocol": "tcp", "port": "80", "to": "10.0.0.2", "to_port": "8080"},
    {"protocol": "udp", "port": "5000-5010", "to": "10.0.0.2", "address": "192.0.2.10"},
]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"uplink": {"ipv4": ["eth0"], "ipv6": []}, "to_source": [], "inbound": "established"}),
        ({"uplink": ["any"], "inbound": "any"}, {"uplink": {"ipv4": ["any"], "ipv6": []}, "inbound": "any"}),
        ({"mode": "none"}, {"uplink": {"ipv4": [], "ipv6": []}, "sources": []}),
        ({"mode": "snat", "to_source": ["192.0.2.10"]}, {"to_source": ["192.0.2.10"], "sources": ["10.0.0.0/24"]}),
        ({"publish": PUBLISH}, {"publish": [
            {"protocol": "tcp", "port": "80", "address": None, "to": "10.0.0.2", "to_port": "8080"},
            {"protocol": "udp", "port": "5000-5010", "address": "192.0.2.10", "to": "10.0.0.2", "to_port": "5000-5010"},
        ]}),
    ],
    ids=["usual", "any", "none", "snat", "publish"],
)  # fmt: skip
def test_a_rule_set_is_read_back_as_it_was_declared(options, expected):
    truth = world(a_host(link("br0", "bridge", address("10.0.0.1/24"))))
    made = plan("ns_nat", truth, name="lab", sources=["10.0.0.0/24"], **options).after
    table = made.at(HOST).table
    told = report_rule_sets(table)["lab"]
    assert told.items() >= {"inside": ["br0"], **expected}.items()
    assert told["rules"] == _nat.rules_of(table, "lab")


def message(body: bytes, *attributes: tuple[int, bytes]) -> bytes:
    packed = b"".join(
        struct.pack("=HH", len(data) + 4, kind) + data + b"\0" * (-len(data) % 4) for kind, data in attributes
    )
    return b"\0" * 16 + body + packed


def test_neighbours_that_need_no_asking_or_are_behind_no_known_link_are_left_out():
    def one(family: int, index: int, state: int, dst: bytes, mac: bytes = b"\2\0\0\0\0\1"):
        return message(struct.pack("=BxxxiHBB", family, index, state, 0, 1), (1, dst), *([(2, mac)] if mac else []))

    dump = [
        one(10, 2, 4, bytes(15) + b"\1"),
        one(2, 2, 32, bytes([10, 0, 0, 10]), b""),
        one(2, 2, 128, bytes([10, 0, 0, 9])),
        one(2, 2, 64, bytes([10, 0, 0, 1])),
        one(2, 7, 2, bytes([10, 0, 0, 2])),
        one(7, 2, 2, b"\2\0\0\0\0\1"),
    ]
    found = _decode.decode_neighbours(dump, {2: "eth0"})
    told = [dataclasses.astuple(each)[1:] for each in found]
    assert [str(each.dst) for each in found] == ["10.0.0.9", "10.0.0.10", "::1"]
    assert told == [
        ("eth0", "02:00:00:00:00:01", "permanent"),
        ("eth0", None, "failed"),
        ("eth0", "02:00:00:00:00:01", "stale"),
    ]
