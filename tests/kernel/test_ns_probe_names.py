# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ns_probe: names, and what may be expected of a probe, beside what getent says."""

from __future__ import annotations

import pytest
from support.host import Host
from support.probes import Pair

pytestmark = pytest.mark.once


@pytest.fixture
def pair(host: Host) -> Pair:
    return Pair(host)


# resolve


def test_a_name_is_resolved_by_the_servers_of_the_namespace(pair: Pair) -> None:
    pair.names("--address=/web.test/10.0.0.2", "--address=/web.test/fd00::2", "--address=/four.test/10.0.0.4")
    witness = pair.host.sh("ip netns exec red getent ahosts web.test")
    assert {line.split()[0] for line in witness.splitlines()} == {"10.0.0.2", "fd00::2"}
    report = pair.meets(**{"from": "red", "resolve": "web.test"})
    assert sorted(report["result"]) == ["10.0.0.2", "fd00::2"]
    assert report["rtt_ms"] > 0
    assert pair.meets(**{"from": "red", "resolve": "four.test"})["result"] == ["10.0.0.4"]


def test_a_name_is_searched_for_in_the_domains_of_the_namespace(pair: Pair) -> None:
    pair.names("--address=/web.lab.test/10.0.0.2")
    pair.files("red", resolv_conf="nameserver 10.0.0.2\nsearch lab.test")
    assert pair.meets(**{"from": "red", "resolve": "web"})["result"] == ["10.0.0.2"]


def test_a_name_is_found_in_the_hosts_file_of_the_namespace(pair: Pair) -> None:
    pair.files("red", resolv_conf="", hosts="10.0.0.7 gate\nfd00::7 gate")
    pair.files("blue", resolv_conf="", hosts="10.0.0.8 gate")
    assert sorted(pair.meets(**{"from": "red", "resolve": "gate"})["result"]) == ["10.0.0.7", "fd00::7"]
    assert pair.meets(**{"from": "blue", "resolve": "gate"})["result"] == ["10.0.0.8"]
    assert not pair.host.try_sh("getent ahosts gate")
    pair.fails(**{"from": "host", "resolve": "gate"})


def test_a_connection_to_a_name_uses_the_files_of_the_namespace(pair: Pair) -> None:
    pair.web("blue")
    pair.names("--address=/web.test/10.0.0.2")
    assert pair.host.sh("ip netns exec red curl --silent --noproxy '*' http://web.test:8080/")
    assert pair.meets(**{"from": "red", "tcp": "web.test:8080"})["result"] == "10.0.0.2:8080"


def test_a_name_that_does_not_resolve(pair: Pair) -> None:
    pair.names("--local=/test/", "--host-record=only.test,10.0.0.2")
    assert not pair.host.try_sh("ip netns exec red getent ahosts nowhere.test")
    assert pair.fails(**{"from": "red", "resolve": "nowhere.test"}, timeout=20)["error"] == "no such name"
    wanted = "nowhere.test: no such name"
    assert pair.fails(**{"from": "red", "tcp": "nowhere.test:80"}, timeout=20)["error"] == wanted
    # The server has nobody to ask, and says so.
    assert pair.fails(**{"from": "red", "resolve": "a.example"}, timeout=20)["error"] == "no name server answered"


def test_a_name_server_that_is_silent_does_not_hold_the_probe_up(pair: Pair) -> None:
    pair.deaf("10.0.0.7")
    pair.files("red", resolv_conf="nameserver 10.0.0.7\noptions timeout:30 attempts:5", hosts="")
    report = pair.fails(**{"from": "red", "resolve": "web.test"}, timeout=0.4)
    assert report["error"] == "no answer from a name server within 0.4 s"


def test_a_second_name_server_is_asked_when_the_first_is_silent(pair: Pair) -> None:
    pair.names("--address=/web.test/10.0.0.2")
    pair.deaf("10.0.0.7")
    pair.files("red", resolv_conf="nameserver 10.0.0.7\nnameserver 10.0.0.2")
    assert pair.meets(**{"from": "red", "resolve": "web.test"}, retries=0, timeout=4)["result"] == ["10.0.0.2"]


# expect


def test_an_address_is_expected_of_a_name(pair: Pair) -> None:
    pair.files("red", resolv_conf="", hosts="10.0.0.7 gate\nfd00::7 gate")
    for address in ("10.0.0.7", "fd00:0::7"):
        assert "fd00::7" in pair.meets(**{"from": "red", "resolve": "gate"}, expect=address)["result"]
    report = pair.fails(**{"from": "red", "resolve": "gate"}, expect="10.0.0.8")
    assert report["error"].startswith("resolves to ")
    assert report["error"].endswith(", not to 10.0.0.8")
    assert "10.0.0.7" in report["result"]


def test_failure_is_expected(pair: Pair) -> None:
    pair.files("red", resolv_conf="nameserver 10.0.0.2", hosts="10.0.0.7 gate")
    quick = {"from": "red", "expect": "failure", "timeout": 1}
    assert pair.meets(**quick, ping="10.9.0.1")["error"] == "network unreachable, there is no route"
    # What is told at once is not waited for.
    assert pair.meets(**{**quick, "timeout": 300}, tcp="10.0.0.2:81")["error"] == "connection refused"
    assert pair.meets(**quick, resolve="nowhere")["error"] == "no name server answered"


def test_failure_is_expected_of_what_succeeds(pair: Pair) -> None:
    pair.web("blue")
    pair.files("red", resolv_conf="", hosts="10.0.0.7 gate")
    quick = {"from": "red", "expect": "failure"}
    assert pair.fails(**quick, ping="10.0.0.2")["error"] == "10.0.0.2 answered, but failure was expected"
    assert pair.fails(**quick, tcp="10.0.0.2:8080")["error"] == "10.0.0.2:8080 accepted, but failure was expected"
    assert pair.fails(**quick, resolve="gate")["error"] == "resolves to 10.0.0.7, but failure was expected"
