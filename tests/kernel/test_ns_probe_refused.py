# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ns_probe: in check mode, and refused before anything is sent."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import runner
from support.host import Host
from support.probes import Pair, apart

pytestmark = pytest.mark.once


@pytest.fixture
def pair(host: Host) -> Pair:
    return Pair(host)


# Check mode


def test_nothing_is_sent_in_check_mode(pair: Pair) -> None:
    pair.web("blue")
    pair.names("--address=/web.test/10.0.0.2")
    probes = [
        {"from": "red", "ping": "10.0.0.2"},
        {"from": "red", "tcp": "10.0.0.2:8080"},
        {"from": "red", "tcp": "web.test:8080"},
        {"from": "red", "resolve": "web.test", "expect": "10.0.0.2"},
        {"from": "red", "ping": "10.0.0.9", "expect": "failure", "timeout": 0.2},
    ]
    pair.count("red", "ip daddr 10.0.0.0/24")
    result = pair.run(*probes, check=True)
    assert pair.counted("red") == 0
    assert not result.failed
    for entry in result["probes"]:
        assert [entry[key] for key in ("ok", "result", "rtt_ms", "error")] == [None] * 4
    assert not pair.run(*probes).failed
    assert pair.counted("red") >= 5


def test_namespaces_that_are_missing_are_assumed_to_be_coming_in_check_mode(pair: Pair) -> None:
    probes = [{"from": name, "ping": "10.0.0.2"} for name in ("green", "red", "black", "green")]
    result = pair.run(*probes, check=True)
    assert not result.failed
    assert result.warnings == ["namespaces green, black do not exist yet and are assumed to be coming"]
    assert [entry["ok"] for entry in result["probes"]] == [None] * 4
    result = pair.run(probes[0], check=True)
    assert result.warnings == ["namespace green does not exist yet and is assumed to be coming"]


# Refused before anything is sent


def test_namespaces_that_are_missing_are_named(pair: Pair) -> None:
    pair.count("red", "ip daddr 10.0.0.2")
    probes = [{"from": name, "ping": "10.0.0.2"} for name in ("green", "red", "black")]
    pair.refuses("namespaces green, black do not exist", *probes)
    pair.refuses("namespace green does not exist: make it first, with nslab.linux.netns", probes[0])
    assert pair.counted("red") == 0


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize(
    ("probe", "words"),
    [
        ({"from": "/etc/passwd"}, "/etc/passwd is not a network namespace"),
        ({"from": "/etc"}, "/etc is not a network namespace"),
        ({"from": "/proc/self/ns/mnt"}, "/proc/self/ns/mnt is not a network namespace"),
        ({"from": "/run/nowhere"}, "namespace /run/nowhere does not exist"),
        ({"from": "pid:4194304"}, "process 4194304 does not exist"),
        ({"from": "stale"}, "/run/netns/stale is not a network namespace"),
        ({"from": "a/c"}, "'a/c' is not allowed"),
        ({"ping": "10.0.0.300"}, "probe 2: ping '10.0.0.300' is no IP address"),
        ({"tcp": "10.0.0.1:0"}, "probe 2: has ping and tcp at once"),
        ({"ping": None, "tcp": "10.0.0.1:99999"}, "probe 2: tcp '10.0.0.1:99999' has no valid port"),
        ({"ping": None}, "probe 2: does not say what to try"),
        ({"expect": "maybe"}, "probe 2: expect 'maybe' is unknown"),
        ({"timeout": 0}, "probe 2: timeout 0 is out of range"),
    ],
)
def test_bad_input_is_refused_before_anything_is_sent(
    pair: Pair, probe: dict[str, str], words: str, check: bool
) -> None:
    Path("/run/netns/stale").touch()
    pair.count("red", "ip daddr 10.0.0.2")
    pair.refuses(words, {"from": "red", "ping": "10.0.0.2"}, {"ping": "10.0.0.2", **probe}, check=check)
    assert pair.counted("red") == 0


@pytest.mark.parametrize(
    ("taken", "words"),
    [
        ("sys_admin", "namespace red can't be entered (Operation not permitted): run the task as root (become: true)"),
        ("net_raw", "no ping can be sent from namespace red (Permission denied): run the task as root (become: true)"),
    ],
)
def test_a_missing_privilege_is_told_before_anything_is_sent(pair: Pair, taken: str, words: str) -> None:
    pair.host.sh("ip netns exec red sysctl -q -w net.ipv4.ping_group_range='1 0'")
    pair.count("host", "ip daddr 127.0.0.1 icmp type echo-request")
    pair.host.sh("sysctl -q -w net.ipv4.ping_group_range='0 0'")
    probes = [{"ping": "127.0.0.1"}, {"from": "red", "ping": "10.0.0.2"}]
    result = apart(probes, "setpriv", f"--bounding-set=-{taken}")
    assert result.failed
    runner.assert_one_line(result)
    assert result["msg"] == words
    assert pair.counted("host") == 0


def test_a_ping_without_a_raw_socket_where_everybody_may_ping(pair: Pair) -> None:
    pair.host.sh("sysctl -q -w net.ipv4.ping_group_range='0 0'")
    pair.count("host", "icmp type echo-request")
    probes = [{"ping": "127.0.0.1"}, {"ping": "::1"}, {"ping": "10.99.0.1", "expect": "failure"}]
    result = apart(probes, "setpriv", "--bounding-set=-net_raw")
    assert not result.failed, result["msg"]
    assert [entry["result"] for entry in result["probes"]] == ["127.0.0.1", "::1", None]
    assert pair.counted("host") == 1


def test_connections_and_names_of_the_host_need_no_privilege(pair: Pair) -> None:
    pair.web("host")
    Path("/etc/hosts").write_text("127.0.0.1 here.test\n", encoding="ascii")
    result = apart([{"tcp": "here.test:8080"}, {"resolve": "here.test"}], "setpriv", "--bounding-set=-all")
    assert not result.failed, result["msg"]
    assert [entry["result"] for entry in result["probes"]] == ["127.0.0.1:8080", ["127.0.0.1"]]
