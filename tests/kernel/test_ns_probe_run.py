# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ns_probe: many at once, tried again; and nothing is left behind."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.host import Host
from support.probes import Pair, apart
from support.sandbox import MARK, marked_processes

from ansible_collections.nslab.linux.plugins.module_utils._kernel import _echo, _probes

pytestmark = pytest.mark.once


@pytest.fixture
def pair(host: Host) -> Pair:
    return Pair(host)


# Many at once


def star(host: Host, count: int) -> None:
    """Namespaces n0, n1, ... in a bridge of the host, which has 10.1.255.254; n7 has 10.1.0.7, and so on."""
    lines = ["link add name br0 type bridge", "addr add 10.1.255.254/16 dev br0"]
    lines += [f"netns add n{number}" for number in range(count)]
    lines += [
        f"link add name v{number} master br0 up type veth peer name eth0 netns n{number}" for number in range(count)
    ]
    host.sh(f"ip -b - <<'EOF'\n{chr(10).join(lines)}\nEOF\nip link set dev br0 up")
    for number in range(count):
        batch = f"addr add 10.1.0.{number}/16 dev eth0\nlink set dev eth0 up\nlink set dev lo up"
        host.sh(f"ip -n n{number} -b - <<'EOF'\n{batch}\nEOF")


def test_a_hundred_probes_over_twenty_namespaces(pair: Pair) -> None:
    star(pair.host, 20)
    probes = [
        {"from": f"n{one}", "ping": f"10.1.0.{(one + step) % 20}", "retries": 5}
        for step in range(1, 6)
        for one in range(20)
    ]
    for number in (7, 42):
        probes[number] = {**probes[number], "ping": "10.99.0.1", "retries": 0}
    result = pair.run(*probes)
    assert [entry["ok"] for entry in result["probes"]] == [number not in (7, 42) for number in range(100)]
    assert [entry["result"] for entry in result["probes"]] == [
        None if number in (7, 42) else probe["ping"] for number, probe in enumerate(probes)
    ]
    assert result["msg"] == (
        "2 of 100 probes did not meet their expectation:\n"
        "  from n7  ping 10.99.0.1  network unreachable, there is no route\n"
        "  from n2  ping 10.99.0.1  network unreachable, there is no route"
    )


def test_many_pings_of_one_address_each_hear_their_answer(pair: Pair) -> None:
    result = pair.run(*[{"from": "red", "ping": "10.0.0.2", "retries": 0, "timeout": 20} for _each in range(1000)])
    assert not result.failed, result["msg"]


@pytest.mark.parametrize(("address", "reply"), [("127.0.0.1", 0), ("::1", 129)])
def test_the_socket_of_a_ping_hears_nothing_of_others(pair: Pair, address: str, reply: int) -> None:
    """Each would get a copy of each answer, and with a thousand at once the one that matters would find no room."""
    with _echo.open_echo(socket.AF_INET6 if ":" in address else socket.AF_INET) as sock:
        sock.connect((address, 0))
        sock.setblocking(False)
        # The witness: without the filter it does hear them. What came before it stood is not heard either.
        assert pair.host.ping(address)
        assert sock.recv(2048)
        assert pair.host.ping(address)
        _echo.hear_only(sock, reply, b"\x12\x34\x56\x78")
        assert pair.host.ping(address)
        with pytest.raises(BlockingIOError):
            sock.recv(2048)


def test_every_failure_is_listed_and_every_probe_is_returned(pair: Pair) -> None:
    result = pair.run(
        {"from": "red", "ping": "10.0.0.2"},
        {"from": "red", "tcp": "10.0.0.2:81", "retries": 0},
        {"from": "blue", "ping": "10.0.0.1", "expect": "failure", "retries": 0},
        {"ping": "127.0.0.1"},
    )
    assert result["msg"] == (
        "2 of 4 probes did not meet their expectation:\n"
        "  from red   tcp 10.0.0.2:81  connection refused\n"
        "  from blue  ping 10.0.0.1    10.0.0.1 answered, but failure was expected"
    )
    assert [entry["ok"] for entry in result["probes"]] == [True, False, False, True]


def test_no_probes_are_no_failure(pair: Pair) -> None:
    assert pair.run()["probes"] == []


def test_probes_start_in_every_kind_of_namespace(pair: Pair) -> None:
    container = pair.host.process_in("blue")
    path = pair.host.unnamed_namespace()
    pair.host.sh("mount --bind /run/netns/blue /run/netns/red")
    origins = ["host", f"pid:{container}", f"/proc/{container}/ns/net", "blue", f"pid:{path}"]
    result = pair.run(*[{"from": origin, "ping": "10.0.0.1", "retries": 0, "timeout": 1} for origin in origins])
    pair.host.sh("umount /run/netns/red")
    assert [entry["ok"] for entry in result["probes"]] == [False, True, True, True, False]


# Again, until the expectation is met


def test_what_fails_is_tried_three_times_unless_told_otherwise(pair: Pair) -> None:
    pair.count("red", "ip daddr 10.0.0.2 icmp type echo-request", "drop")
    pair.run({"from": "red", "ping": "10.0.0.2", "timeout": 0.2})
    assert pair.counted("red") == 3
    pair.run({"from": "red", "ping": "10.0.0.2", "timeout": 0.2, "retries": 0})
    assert pair.counted("red") == 4


def test_what_meets_its_expectation_is_tried_once(pair: Pair) -> None:
    pair.count("red", "ip daddr 10.0.0.0/24 icmp type echo-request")
    pair.meets(**{"from": "red", "ping": "10.0.0.2"})
    assert pair.counted("red") == 1
    pair.meets(**{"from": "red", "ping": "10.0.0.9", "timeout": 0.2, "expect": "failure"})
    assert pair.counted("red") == 2


# An echo of ours has 44 bytes, a SYN 60 in IPv4: the first packet is below the quota, the second is not.
@pytest.mark.parametrize(
    ("match", "then", "probe"),
    [
        ("icmp type echo-request", "quota until 60 bytes drop", {"ping": "10.0.0.2", "timeout": 0.3}),
        ("tcp flags syn", "quota until 80 bytes reject with tcp reset", {"tcp": "10.0.0.2:8080"}),
    ],
)
def test_what_comes_up_late_is_waited_for(pair: Pair, match: str, then: str, probe: dict[str, str]) -> None:
    pair.web("blue")
    for retries, met in ((0, False), (1, True)):
        pair.count("red", f"ip daddr 10.0.0.2 {match}", then)
        assert pair.run({"from": "red", **probe, "retries": retries}).failed != met
        pair.host.sh("ip netns exec red nft delete table inet witness")


def test_what_goes_away_late_is_waited_for(pair: Pair) -> None:
    probe = {"from": "red", "ping": "10.0.0.2", "timeout": 0.3, "expect": "failure"}
    for retries, met in ((0, False), (1, True)):
        pair.count("red", "ip daddr 10.0.0.2 icmp type echo-request", "quota over 60 bytes drop")
        assert pair.run({**probe, "retries": retries}).failed != met
        pair.host.sh("ip netns exec red nft delete table inet witness")


# Nothing is changed, nothing is left


def test_a_host_is_as_before(pair: Pair) -> None:
    # As systemd has it: what is mounted anywhere shows everywhere, unless somebody prevents it.
    pair.host.sh("mount --make-rshared /")
    pair.web("blue")
    pair.names("--address=/web.test/10.0.0.2")
    before = pair.host.snapshot()
    resolv_conf = Path("/etc/resolv.conf").read_text(encoding="ascii")
    pair.run(
        {"from": "red", "ping": "10.0.0.2"},
        {"from": "red", "ping": "fd00::2"},
        {"from": "red", "tcp": "web.test:8080"},
        {"from": "red", "resolve": "web.test"},
        {"from": "blue", "ping": "10.0.0.9", "timeout": 0.2, "retries": 0},
    )
    assert not before.differences(pair.host.snapshot())
    assert Path("/etc/resolv.conf").read_text(encoding="ascii") == resolv_conf


def test_the_resolvers_of_the_host_are_not_asked_for_a_namespace(pair: Pair) -> None:
    """libc asks nscd by a socket in the file system, which no network namespace keeps it from."""
    Path("/run/nscd").mkdir()
    with socket.socket(socket.AF_UNIX) as nscd:
        nscd.bind("/run/nscd/socket")
        nscd.listen()
        nscd.settimeout(0)
        pair.files("red", resolv_conf="", hosts="10.0.0.7 gate")
        assert not apart([{"from": "red", "resolve": "gate"}]).failed
        with pytest.raises(BlockingIOError):
            nscd.accept()
        # The witness: a process that enters the namespace alone does ask.
        pair.host.try_sh("nsenter --net=/run/netns/red timeout 1 getent ahosts gate")
        nscd.accept()[0].close()


def test_a_process_that_is_stuck_is_ended_and_proves_nothing(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(probe: object, call: object) -> None:
        time.sleep(3600)

    monkeypatch.setattr(_probes, "attempt", hang)
    monkeypatch.setattr(_probes, "GRACE", 3.0)
    for expect in ("success", "failure"):
        report = pair.fails(**{"from": "red", "ping": "10.0.0.2"}, timeout=0.1, expect=expect)
        assert report["error"] == "the process that probes was killed (it did not end in time)"


def test_a_process_that_is_killed_proves_nothing(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    real = _probes.attempt

    def die(probe: _probes.Probe, call: object) -> _probes.Outcome:
        if probe.retries:
            return real(probe)
        # Not before the other probe of this namespace has been reported.
        time.sleep(1)
        os.kill(os.getpid(), 9)
        raise AssertionError

    monkeypatch.setattr(_probes, "attempt", die)
    result = pair.run(
        {"from": "red", "ping": "10.0.0.2", "retries": 1},
        {"from": "red", "ping": "10.0.0.2", "retries": 0, "expect": "failure"},
        {"from": "blue", "ping": "10.0.0.1", "retries": 1},
    )
    assert [entry["ok"] for entry in result["probes"]] == [True, False, True]
    assert result["probes"][1]["error"] == "the process that probes was killed (signal 9)"


def test_the_probing_processes_end_with_the_module(pair: Pair) -> None:
    pair.deaf("10.0.0.7")
    pair.count("red", "ip daddr 10.0.0.7 icmp type echo-request")
    mark = os.environ[MARK]
    others = set(marked_processes(mark))
    module = subprocess.Popen(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}\nfrom support import runner\nrunner.run('ns_probe', "
         "{'probes': [{'from': 'red', 'ping': '10.0.0.7', 'timeout': 300}]})"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    for _attempt in range(400):
        if pair.counted("red"):
            break
        time.sleep(0.05)
    module.kill()
    module.wait()
    for _attempt in range(200):
        if set(marked_processes(mark)) <= others:
            break
        time.sleep(0.05)
    assert pair.counted("red") == 1
    assert set(marked_processes(mark)) <= others
