# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ns_probe: far ends that can't be opened, or are lost; and nothing is left of them."""

from __future__ import annotations

import os
import signal
import time

import pytest
from support import runner
from support.host import Host
from support.probes import Pair, apart, children, listener

from ansible_collections.nslab.linux.plugins.module_utils._kernel import _probes
from ansible_collections.nslab.linux.plugins.module_utils._probe import Outcome

pytestmark = pytest.mark.once


@pytest.fixture
def pair(host: Host) -> Pair:
    return Pair(host)


# It can't be opened


def test_a_port_that_is_in_use_is_told_before_anything_is_sent(pair: Pair) -> None:
    pair.web("blue")
    pair.echo("blue", 7)
    pair.count("red", "ip daddr 10.0.0.2")
    advice = "leave listen out to probe what is there, or take another port"
    for probe, words in (
        ({"tcp": "10.0.0.2:8080"}, "no far end can be opened on tcp port 8080 of namespace blue, it is in use there"),
        ({"udp": "10.0.0.2:9", "listen_port": 7}, "no far end can be opened on udp port 7 of namespace blue"),
        ({"udp": "[fd00::2]:7"}, "no far end can be opened on udp port 7 of namespace blue, it is in use there"),
    ):
        for expect in ("success", "failure"):
            probes = [{"from": "red", "ping": "10.0.0.2"}, {"from": "red", "listen": "blue", "expect": expect, **probe}]
            pair.refuses(words, *probes)
            pair.refuses(advice, *probes)
    assert pair.counted("red") == 0
    assert not pair.run(*probes, check=True).failed


def test_a_port_that_is_not_for_everybody(pair: Pair) -> None:
    probe = {"udp": "127.0.0.1:53", "listen": "host"}
    result = apart([probe], "setpriv", "--bounding-set=-all")
    assert result["msg"] == (
        "no far end can be opened on udp port 53 of namespace host, Permission denied: run the task as root (become: true)"
    )
    assert not apart([{**probe, "udp": "127.0.0.1:5353"}], "setpriv", "--bounding-set=-all").failed
    result = apart([{**probe, "listen": "red"}], "setpriv", "--bounding-set=-sys_admin")
    assert result["msg"] == (
        "namespace red can't be entered (Operation not permitted): run the task as root (become: true)"
    )


def test_nothing_is_opened_in_check_mode_and_a_namespace_may_be_coming(pair: Pair) -> None:
    pair.count("red", "ip daddr 10.0.0.0/24")
    probes = [
        {"from": "red", "udp": "10.0.0.2:53", "listen": netns, "seen_as": "10.0.0.1"} for netns in ("blue", "green")
    ]
    result = pair.run(*probes, {"from": "green", "tcp": "10.0.0.2:53", "listen": "red"}, check=True)
    assert not result.failed
    assert result.warnings == ["namespace green does not exist yet and is assumed to be coming"]
    assert [entry[key] for entry in result["probes"] for key in ("ok", "result", "error", "seen")] == [None] * 12
    pair.refuses("namespace green does not exist: make it first, with nslab.linux.netns", *probes)
    for netns, words in (
        ("/run/nowhere", "namespace /run/nowhere does not exist"),
        ("pid:4194304", "process 4194304 does not exist"),
        ("/etc/passwd", "/etc/passwd is not a network namespace"),
        ("a/b", "probe 2: listen: "),
    ):
        for check in (False, True):
            pair.refuses(words, probes[0], {**probes[0], "listen": netns}, check=check)
    assert pair.counted("red") == 0


# It ends, and leaves nothing


def test_far_ends_that_are_killed_prove_nothing(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only an answer that came is still one."""
    real = _probes.attempt

    def attempt(probe: _probes.Probe, call: _probes.Call) -> Outcome:
        if probe.expect.success:
            return real(probe, call)
        time.sleep(1)
        os.kill(listener(), signal.SIGKILL)
        return real(probe, call)

    monkeypatch.setattr(_probes, "attempt", attempt)
    result = pair.run(
        {"from": "red", "udp": "10.0.0.2:53", "listen": "blue"},
        {"from": "red", "udp": "10.0.0.2:53", "listen": "blue", "expect": "failure", "retries": 0},
    )
    assert [entry["ok"] for entry in result["probes"]] == [True, False]
    assert result["probes"][1]["error"] == "the process that listens was killed (signal 9)"


def test_far_ends_end_with_a_task_that_breaks_off(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_off(batch: object, heard: object) -> None:
        assert [line.split()[4] for line in pair.sockets("blue")] == ["0.0.0.0:53"]
        raise KeyboardInterrupt

    monkeypatch.setattr(_probes, "_job", break_off)
    before = children()
    with pytest.raises(KeyboardInterrupt):
        runner.run("ns_probe", {"probes": [{"from": "red", "udp": "10.0.0.2:53", "listen": "blue"}]})
    assert children() == before
    assert pair.sockets("blue") == []
