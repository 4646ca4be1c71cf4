# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ns_probe: far ends that it opens itself, beside what ss, nft and curl say."""

from __future__ import annotations

import contextlib
import os
import resource
import shlex
import signal
import sys
import threading
import time

import pytest
from support import runner
from support.host import Host, Make, Outside, inside
from support.probes import Pair, children, listener, until

from ansible_collections.nslab.linux.plugins.module_utils._kernel import _probes
from ansible_collections.nslab.linux.plugins.module_utils._probe import Outcome

pytestmark = pytest.mark.once

STRANGER = """
import contextlib, socket, time
print(flush=True)
while True:
    time.sleep(0.02)
    with contextlib.suppress(OSError), socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.sendto(b"I am somebody else here.", ("10.0.0.2", 53))
    with contextlib.suppress(OSError), socket.create_connection(("10.0.0.2", 54), 1) as sock:
        sock.send(b"I am somebody else here.")
        sock.recv(1)
"""


@pytest.fixture
def pair(host: Host) -> Pair:
    return Pair(host)


def link_local(pair: Pair, netns: str) -> str:
    def seen() -> list[str]:
        links = pair.host.ip("-6 addr show dev eth0 scope link -tentative", netns)
        return [entry["local"] for link in links for entry in link.get("addr_info", []) if "local" in entry]

    for _attempt in range(200):
        if seen():
            return seen()[0]
        time.sleep(0.05)
    raise AssertionError("the address never came")


# It arrives


def test_far_ends_of_every_kind_in_one_task(pair: Pair) -> None:
    pair.host.sh("ip -n blue addr add 10.0.0.22/24 dev eth0; ip -n blue addr add fd00::22/64 dev eth0 nodad")
    container = pair.host.process_in("blue")
    pair.files("red", resolv_conf="", hosts="10.0.0.2 both.test\nfd00::22 both.test")
    near, far = link_local(pair, "red"), link_local(pair, "blue")
    before = pair.host.snapshot()
    probes = [
        ({"udp": "10.0.0.2:53", "listen": "blue"}, "10.0.0.1"),
        ({"tcp": "10.0.0.2:53", "listen": "blue"}, "10.0.0.1"),
        ({"udp": "[fd00::2]:53", "listen": "blue"}, "fd00::1"),
        ({"tcp": "[fd00::2]:53", "listen": "blue"}, "fd00::1"),
        # The answer leaves from the address that was asked, not from the first.
        ({"udp": "10.0.0.22:53", "listen": "blue"}, "10.0.0.1"),
        ({"udp": "[fd00::22]:53", "listen": "blue"}, "fd00::1"),
        ({"udp": f"[{far}%eth0]:53", "listen": "blue"}, near),
        ({"tcp": f"[{far}%eth0]:53", "listen": "blue"}, near),
        # The same namespace by another name, and the same far end.
        ({"udp": "10.0.0.2:53", "listen": f"pid:{container}"}, "10.0.0.1"),
        ({"tcp": "10.0.0.2:54", "listen": f"/proc/{container}/ns/net"}, "10.0.0.1"),
        ({"udp": "both.test:55", "listen": "blue"}, None),
        ({"tcp": "both.test:55", "listen": "blue", "source": "fd00::1"}, "fd00::1"),
        # In the namespace where it starts, and in that of the module.
        ({"udp": "127.0.0.1:53", "listen": "red"}, "127.0.0.1"),
        ({"from": "host", "tcp": "[::1]:5353", "listen": "host"}, "::1"),
        ({"from": "host", "udp": "127.0.0.1:5353", "listen": "host"}, "127.0.0.1"),
    ]
    result = pair.run(*[{"from": "red", "retries": 0, **probe, **({"seen_as": seen} if seen else {})}
                        for probe, seen in probes])  # fmt: skip
    assert not result.failed, result["msg"]
    for report, (probe, seen) in zip(result["probes"], probes):
        target = probe.get("udp") or probe["tcp"]
        if "both" not in target:
            assert report["result"] == target
        assert report["error"] is None
        assert 0 < report["rtt_ms"] < 2000
        assert report["seen"] == seen or (seen is None and report["seen"] in ("10.0.0.1", "fd00::1"))
    for netns in ("host", "red", "blue"):
        assert pair.sockets(netns) == []
    assert not before.differences(pair.host.snapshot())


def test_the_same_port_again_at_once(pair: Pair) -> None:
    """No connection of the run before keeps the port from the next, nor from the service that is to come."""
    program = "import socket; s = socket.create_server(('10.0.0.2', 8080)); print(flush=True); s.accept()[0].close()"
    pair.host.process_in("blue", f'exec {sys.executable} -S -c "{program}"')
    pair.host.sh("ip netns exec red bash -c 'cat </dev/tcp/10.0.0.2/8080'")
    pair.until("! nsenter --net=/run/netns/blue ss --no-header --listening --tcp --numeric | grep :8080")
    (before,) = pair.sockets("blue")
    assert "TIME-WAIT" in before
    probes = [{"from": "red", "tcp": "10.0.0.2:8080", "listen": "blue"} for _each in range(20)]
    for _run in range(2):
        result = pair.run(*probes)
        assert not result.failed, result["msg"]
    assert pair.sockets("red") == []
    assert pair.sockets("blue") == [before]


def test_many_far_ends_in_many_namespaces(host: Host) -> None:
    lines = ["link add name br0 type bridge"]
    for number in range(20):
        lines += [
            f"netns add n{number}",
            f"link add name v{number} master br0 up type veth peer name eth0 netns n{number}",
        ]
    host.sh(f"ip -b - <<'EOF'\n{chr(10).join(lines)}\nEOF\nip link set dev br0 up")
    for number in range(20):
        batch = f"addr add 10.1.0.{number}/16 dev eth0\nlink set dev eth0 up\nlink set dev lo up"
        host.sh(f"ip -n n{number} -b - <<'EOF'\n{batch}\nEOF")
    probes = [
        {"from": f"n{one}", kind: f"10.1.0.{(one + step) % 20}:{1000 + step}", "listen": f"n{(one + step) % 20}",
         "seen_as": f"10.1.0.{one}", "retries": 5}
        for step in range(1, 11)
        for one in range(20)
        for kind in ("udp", "tcp")
    ]  # fmt: skip
    probes[7]["seen_as"] = "10.1.0.99"
    probes[7]["retries"] = 0
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with contextlib.ExitStack() as held:
        # As many as a thousand namespaces would take.
        for _each in range(1100):
            held.enter_context(open(os.devnull))
        result = runner.run("ns_probe", {"probes": probes})
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert [entry["ok"] for entry in result["probes"]] == [number != 7 for number in range(400)]
    assert result["msg"] == (
        "1 of 400 probes did not meet its expectation:\n"
        "  from n3  tcp 10.1.0.4:1001  the far end saw 10.1.0.3, not 10.1.0.99"
    )


# Through NAT


@pytest.mark.parametrize("version", [4, 6])
def test_behind_the_address_of_the_host_and_by_a_port_that_it_publishes(
    host: Host, make_outside: Make, version: int
) -> None:
    outside = make_outside(ipv6=True)
    family, inner, gateway, there, here, web, nodad = (
        ("ip", "10.5.0.2", "10.5.0.1", outside.OUTSIDE4, outside.HOST4, Outside.WEB, "")
        if version == 4
        else ("ip6", "fd05::2", "fd05::1", f"[{outside.OUTSIDE6}]", outside.HOST6, Outside.WEB6, "nodad")
    )
    length = 24 if version == 4 else 64
    host.sh(f"""
        ip netns add red
        ip link add name v0 type veth peer name eth0 netns red
        ip addr add {gateway}/{length} dev v0 {nodad}
        ip -n red addr add {inner}/{length} dev eth0 {nodad}
        ip link set dev v0 up
        ip -n red link set dev eth0 up
        ip -n red route add default via {gateway}
        sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    """)
    for netns, address in (("red", gateway), ("outside", here)):
        until(host, f"{inside(netns)} ping -n -q -c 1 -W 1 {address}")
    probes = [{"from": "red", kind: f"{there}:4500", "listen": "outside", "seen_as": here, "retries": 0, "timeout": 1}
              for kind in ("udp", "tcp")]  # fmt: skip
    result = runner.run("ns_probe", {"probes": probes})
    assert result.failed
    # Nothing comes back, as the outside has no route to a lab; the datagram did arrive, and not as it should.
    udp, tcp = (entry["error"] for entry in result["probes"])
    assert (
        udp
        == f"arrived in outside from {inner}, but no answer could be sent back (network unreachable, there is no route)"
    )
    assert tcp == "no answer within 1 s"

    bracketed = f"[{inner}]" if version == 6 else inner
    host.sh(f"""
        nft add table inet test
        nft add chain inet test out '{{ type nat hook postrouting priority srcnat; }}'
        nft add rule inet test out oifname uplink masquerade
        nft add chain inet test in '{{ type nat hook prerouting priority dstnat; }}'
        nft add rule inet test in iifname uplink meta l4proto '{{ tcp, udp }}' th dport 8081 dnat {family} to {bracketed}:80
    """)
    assert host.fetch(web, "red") == here
    published = f"{here}:8081" if version == 4 else f"[{here}]:8081"
    seen = there.strip("[]")
    probes += [
        {"from": "outside", kind: published, "listen": "red", "listen_port": 80, "seen_as": seen}
        for kind in ("udp", "tcp")
    ]
    probes.append({"from": "red", "tcp": f"{there}:80", "seen_as": here})
    result = runner.run("ns_probe", {"probes": probes})
    assert not result.failed, result["msg"]
    assert [entry["seen"] for entry in result["probes"]] == [here, here, seen, seen, here]


# It does not arrive


def test_failure_means_that_nothing_arrived(pair: Pair) -> None:
    pair.shut("blue", "in", "meta l4proto { tcp, udp } th dport 53")
    quick = {"from": "red", "listen": "blue", "timeout": 0.3, "retries": 0}
    for target in ("10.0.0.2:53", "[fd00::2]:53"):
        error = "no answer within 0.3 s, nothing arrived in blue"
        report = pair.meets(**quick, udp=target, expect="failure")
        assert (report["error"], report["seen"], report["result"]) == (error, None, None)
        assert pair.fails(**quick, udp=target)["error"] == error
        assert pair.meets(**quick, tcp=target, expect="failure")["error"] == "no answer within 0.3 s"
    for kind, verb in (("udp", "answered"), ("tcp", "accepted")):
        report = pair.fails(**quick, **{kind: "10.0.0.2:54"}, expect="failure")
        assert report["error"] == f"10.0.0.2:54 {verb}, but failure was expected"
    # The far end is on another port than the probe, so that nobody has this one.
    report = pair.meets(**quick, udp="10.0.0.2:55", listen_port=56, expect="failure")
    assert report["error"] == "port unreachable, says 10.0.0.2"
    assert pair.meets(**quick, tcp="10.0.0.2:55", listen_port=56, expect="failure")["error"] == "connection refused"


def test_what_arrives_and_is_not_answered_is_neither(pair: Pair) -> None:
    pair.shut("red", "in", "udp sport 53")
    pair.files("red", resolv_conf="", hosts="10.0.0.2 blue.test")
    quick = {"from": "red", "listen": "blue", "timeout": 1, "retries": 0}
    for target, seen in (("10.0.0.2:53", "10.0.0.1"), ("[fd00::2]:53", "fd00::1")):
        report = pair.fails(**quick, udp=target)
        assert report["error"] == f"arrived in blue from {seen}, but no answer came back within 1 s"
        assert (report["seen"], report["result"]) == (seen, None)
        report = pair.fails(**quick, udp=target, expect="failure")
        assert report["error"] == f"arrived in blue from {seen}, but failure was expected"
    assert pair.fails(**quick, udp="blue.test:53", expect="failure")["seen"] == "10.0.0.1"
    pair.shut("blue", "out", "udp sport 54")
    assert pair.fails(**quick, udp="10.0.0.2:54")["error"] == (
        "arrived in blue from 10.0.0.1, but no answer could be sent back (dropped by a firewall on its way out)"
    )


def test_what_is_heard_late_has_arrived_nevertheless(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine under load the far end may come to listen only after the probe has given up."""
    attempt, carry_out, others = _probes.attempt, _probes._carry_out, children()

    def stop_it_first(probe: _probes.Probe, call: _probes.Call) -> Outcome:
        os.kill(listener(), signal.SIGSTOP)
        return attempt(probe, call)

    def wake_it_later(jobs: list[_probes._Job]) -> dict[int, Outcome]:
        outcomes = carry_out(jobs)
        for pid in children() - others:
            threading.Timer(0.5, os.kill, (int(pid), signal.SIGCONT)).start()
        return outcomes

    monkeypatch.setattr(_probes, "attempt", stop_it_first)
    monkeypatch.setattr(_probes, "_carry_out", wake_it_later)
    probe = {"from": "red", "udp": "10.0.0.2:53", "listen": "blue", "expect": "failure", "timeout": 0.5, "retries": 0}
    result = pair.run(*[probe] * 3)
    assert [entry["error"] for entry in result["probes"]] == [
        "arrived in blue from 10.0.0.1, but failure was expected"
    ] * 3


def test_somebody_else_answers(pair: Pair) -> None:
    pair.echo("blue", 7, "b'welcome'")
    pair.web("blue")
    quick = {"from": "red", "listen": "blue", "listen_port": 99, "timeout": 0.5, "retries": 0}
    for probe, error in (
        ({"udp": "10.0.0.2:7"}, "10.0.0.2:7 answered, but it is not the far end in blue"),
        ({"tcp": "10.0.0.2:8080"}, "10.0.0.2:8080 accepted, but nothing arrived in blue within 0.5 s"),
    ):
        assert pair.fails(**quick, **probe)["error"] == error
        assert pair.meets(**quick, **probe, expect="failure")["error"] == error


def test_a_stranger_gets_no_answer_and_is_not_counted(pair: Pair) -> None:
    """Somebody talks to the far end all the time, in as many bytes as a probe; what it hears of him is nothing."""
    pair.host.process_in("red", f"exec {sys.executable} -S -c {shlex.quote(STRANGER)}")
    pair.count("blue", "udp sport 53")
    pair.meets(**{"from": "red", "tcp": "10.0.0.2:54", "listen": "blue"})
    report = pair.meets(**{"from": "red", "udp": "10.9.0.1:53", "listen": "blue"}, expect="failure")
    assert report["error"] == "network unreachable, there is no route"
    open_for_a_while = {"from": "red", "ping": "10.0.0.77", "timeout": 1, "retries": 0}
    pair.run(*[{"from": "red", kind: "10.0.0.2:53", "listen": "blue"} for kind in ("udp", "tcp")],
             {"from": "red", "tcp": "10.0.0.2:54", "listen": "blue"}, open_for_a_while)  # fmt: skip
    assert pair.counted("blue") == 1
    assert pair.sockets("blue") == []


# Again, until the expectation is met


def test_a_far_end_that_is_reached_late_is_waited_for(pair: Pair) -> None:
    """The datagram has 52 bytes: the first is below the quota, the second is not, or the other way round."""
    probe = {"from": "red", "udp": "10.0.0.2:53", "listen": "blue", "timeout": 0.3}
    for quota, expect in (("until", "success"), ("over", "failure")):
        for retries, met in ((0, False), (1, True)):
            pair.count("red", "ip daddr 10.0.0.2 udp dport 53", f"quota {quota} 60 bytes drop")
            assert pair.run({**probe, "expect": expect, "retries": retries}).failed != met
            assert pair.counted("red") == retries + 1
            pair.host.sh("ip netns exec red nft delete table inet witness")
    # What arrived at first, unanswered, and then no more, has gone away too.
    pair.shut("blue", "out", "udp sport 53")
    pair.count("red", "ip daddr 10.0.0.2 udp dport 53", "quota over 60 bytes drop")
    report = pair.meets(**probe, expect="failure")
    assert report["error"] == "dropped by a firewall on its way out"
    assert pair.counted("red") == 2


def test_a_translation_that_comes_late_is_waited_for(pair: Pair) -> None:
    pair.host.sh("""
        ip -n red addr add 10.0.0.3/24 dev eth0
        ip netns exec red nft add table ip late
        ip netns exec red nft add chain ip late out '{ type nat hook postrouting priority srcnat; }'
        ip netns exec red nft add rule ip late out udp dport 53 quota over 60 bytes snat to 10.0.0.3
    """)
    report = pair.meets(**{"from": "red", "udp": "10.0.0.2:53", "listen": "blue"}, timeout=0.3, seen_as="10.0.0.3")
    assert report["seen"] == "10.0.0.3"
