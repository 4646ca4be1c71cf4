# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds across modules: the chain in check mode, failures in the middle, large tasks."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from support import runner
from support.host import Host, Make, Outside, diff_texts
from support.runner import Result, assert_one_line

from ansible_collections.nslab.linux.plugins.module_utils import _engine
from ansible_collections.nslab.linux.plugins.module_utils._kernel import _files, _sysctl

CHAIN: list[tuple[str, dict[str, Any]]] = [
    ("netns", {"name": ["red"]}),
    ("bridge", {"name": "br0", "addresses": ["10.0.0.1/24"]}),
    (
        "veth",
        {"name": "to-red", "master": "br0", "peer": {"name": "eth0", "netns": "red", "addresses": ["10.0.0.2/24"]}},
    ),
    ("ns_route", {"netns": "red", "routes": [{"dst": "default", "via": "10.0.0.1"}]}),
    ("ns_nat", {"name": "red", "inside": ["br0"]}),
    ("ns_resolv", {"netns": ["red"], "nameservers": ["192.0.2.53"], "hosts": {"router": "10.0.0.1"}}),
]
# What each builds on: without it, it is refused outside check mode.
PARENTS = {"veth": "br0|red", "ns_route": "red", "ns_nat": "br0|default route|uplink"}


# The chain


def test_the_whole_chain_is_foretold_on_a_host_where_nothing_exists(host: Host) -> None:
    for module, arguments in CHAIN:
        result = host.check(module, **arguments)
        assert result.changed
        assumed = [text for text in result.warnings if "assumed" in text]
        assert len(assumed) == (1 if module in PARENTS else 0), f"{module}: {result.warnings}"


@pytest.mark.once
@pytest.mark.parametrize("module", PARENTS)
def test_what_a_link_of_the_chain_builds_on_is_demanded_outside_check_mode(host: Host, module: str) -> None:
    host.refuse(module, PARENTS[module], in_check_mode=False, **dict(CHAIN)[module])


@pytest.mark.once
@pytest.mark.parametrize(
    ("module", "arguments", "what"),
    [
        ("veth", {"name": "a", "peer": {"name": "b", "netns": "nowhere"}}, "nowhere"),
        ("veth", {"name": "a", "master": "nosuch", "peer": {"name": "b"}}, "nosuch"),
        ("bridge", {"name": "b", "ports": ["nosuch"]}, "nosuch"),
        ("bridge", {"name": "b", "netns": "nowhere"}, "nowhere"),
        ("ns_route", {"netns": "nowhere", "routes": [{"dst": "default", "via": "10.0.0.1"}]}, "nowhere"),
        ("ns_route", {"routes": [{"dst": "10.9.0.0/16", "dev": "nosuch"}]}, "nosuch"),
        ("ns_route", {"routes": [{"dst": "10.9.0.0/16", "via": "10.5.0.1"}]}, "10.5.0.1"),
        ("ns_nat", {"name": "x", "inside": ["nosuch"], "uplink": ["any"]}, "nosuch"),
        ("ns_nat", {"name": "x", "inside": ["lo2"], "uplink": ["nosuch"]}, "nosuch"),
        ("ns_nat", {"name": "x", "netns": "nowhere", "inside": ["lan"], "uplink": ["wan"]}, "nowhere"),
    ],
    ids=str,
)
def test_a_missing_parent_is_assumed_with_one_warning_that_names_it(
    host: Host, module: str, arguments: dict[str, Any], what: str
) -> None:
    result = host.check(module, **arguments)
    assert result.changed
    (warning,) = [text for text in result.warnings if "assumed" in text]
    assert what in warning
    host.refuse(module, what, in_check_mode=False, **arguments)


def test_the_whole_chain_is_made_and_removed_and_leaves_no_trace(host: Host, make_outside: Make) -> None:
    outside = make_outside()
    before = host.snapshot()
    for module, arguments in CHAIN:
        host.changed(module, **arguments)
    assert host.fetch(outside.WEB, "red") == Outside.HOST4
    for module, arguments in CHAIN:
        host.unchanged(module, **arguments)
    for module, arguments in reversed(CHAIN):
        host.apply(module, **arguments, state="absent")
    assert before.differences(host.snapshot()) == []


# Failure in the middle


@pytest.fixture
def red(host: Host) -> Host:
    host.sh("ip netns add red")
    return host


PAIR = {"name": "a", "addresses": ["10.0.0.1/24"], "peer": {"name": "b", "netns": "red", "addresses": ["10.0.0.2/24"]}}


def run_with(interference: Callable[[], None], module: str, arguments: dict[str, Any]) -> Result:
    """A run in which something happens after all operations were carried out, before they are verified."""
    real = _engine.apply

    def apply(*given: Any) -> None:
        real(*given)
        interference()

    with mock.patch.object(_engine, "apply", apply):
        return runner.run(module, arguments)


@pytest.mark.once
def test_what_does_not_hold_afterwards_is_a_failure_and_undone(red: Host) -> None:
    before = red.snapshot()
    result = run_with(lambda: red.sh("ip link set dev a down") and None, "veth", PAIR)
    assert result.failed
    assert_one_line(result)
    assert result["rolled_back"] is True
    assert before.differences(red.snapshot()) == []


@pytest.mark.once
def test_the_operations_undone_are_returned(red: Host) -> None:
    foretold = red.check("veth", **PAIR).operations
    result = run_with(lambda: red.sh("ip link set dev a down") and None, "veth", PAIR)
    assert sorted(result["undone"]) == sorted(foretold)


@pytest.mark.once
def test_what_can_not_be_undone_is_said(red: Host) -> None:
    def take_the_namespace_away() -> None:
        red.sh("umount -l /run/netns/red; rm /run/netns/red")

    result = run_with(take_the_namespace_away, "netns", {"name": ["red"], "sysctl": {"net.ipv4.ip_default_ttl": 33}})
    assert result.failed
    assert_one_line(result)


@pytest.mark.once
def test_an_interrupted_run_is_undone(red: Host) -> None:
    before = red.snapshot()
    with (
        mock.patch.object(_engine, "_groups", side_effect=interrupted_after_the_first(_engine._groups)),
        pytest.raises(KeyboardInterrupt),
    ):
        runner.run("netns", {"name": ["x", "y"]})
    assert before.differences(red.snapshot()) == []


def interrupted_after_the_first(real: Callable[..., Any]) -> Callable[..., Any]:
    calls: list[int] = []

    def groups(steps: Any) -> Any:
        calls.append(1)
        for number, group in enumerate(real(steps)):
            # Only the run itself: the undoing comes later.
            if number == 1 and len(calls) == 1:
                raise KeyboardInterrupt
            yield group

    return groups


# Several runs at once


@contextlib.contextmanager
def running_beside(module: str, arguments: dict[str, Any]) -> Iterator[int]:
    """A run in a process of its own; its pid. When the block ends it has ended, and well."""
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            os._exit(int(runner.run(module, arguments).failed))
        os._exit(2)
    yield pid
    _pid, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0


@pytest.mark.once
def test_a_run_waits_for_another_that_is_under_way(host: Host) -> None:
    host.apply("netns", name=["first"])
    Path("/run/nslab").mkdir(exist_ok=True)
    with Path("/run/nslab/lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with running_beside("netns", {"name": ["red"]}) as pid:
            # A waiting lock is marked with an arrow there.
            host.wait_for(lambda: f"-> FLOCK  ADVISORY  WRITE {pid} " in Path("/proc/locks").read_text())
            assert host.namespaces() == ["first"]
            fcntl.flock(lock, fcntl.LOCK_UN)
    assert host.namespaces() == ["first", "red"]


@pytest.mark.once
def test_two_runs_at_once_of_the_same_task_both_succeed(host: Host) -> None:
    names = [f"ns{number}" for number in range(20)]
    with running_beside("netns", {"name": names}), running_beside("netns", {"name": names}):
        pass
    assert host.namespaces() == sorted(names)
    host.unchanged("netns", name=names)


@pytest.mark.once
@pytest.mark.no_rules
def test_one_at_a_time_has_the_lock_however_often_it_is_made_anew(host: Host) -> None:
    """Whoever gives it up removes it with its directory, as long as nothing else is there, while others make both."""
    pids = []
    for _run in range(4):
        if (pid := os.fork()) == 0:
            with contextlib.suppress(BaseException):
                for _time in range(300):
                    with _files.locked(create=True):
                        os.mkdir("/run/held")
                        os.rmdir("/run/held")
                os._exit(0)
            os._exit(1)
        pids.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0, 0, 0, 0]
    assert not os.path.exists("/run/nslab")


@pytest.mark.once
def test_where_the_lock_should_be_is_something_else(host: Host) -> None:
    for wrong in ("ln -s nowhere /run/nslab", "touch /run/nslab"):
        host.sh(wrong)
        result = runner.run("netns", {"name": ["red"]})
        assert_one_line(result)
        assert result["msg"].startswith("the state of the host can't be read: /run/nslab: File exists: ")
        host.sh("rm /run/nslab")


@pytest.mark.once
def test_a_full_disk_under_run_is_told_before_anything_is_made(host: Host) -> None:
    host.sh("mkdir /run/nslab; mount -t tmpfs -o size=4k tmpfs /run/nslab; echo full >/run/nslab/filler")
    result = runner.run("netns", {"name": ["red"]})
    assert_one_line(result)
    assert result["msg"] == (
        "/run/nslab/lock can't be written: No space left on device: make room in the file system of /run (df /run), and run the "
        "task again; nothing was changed"
    )
    assert host.namespaces() == []
    host.sh("rm /run/nslab/filler")
    host.changed("netns", name=["red"], faulty=False)
    host.sh("umount /run/nslab; rmdir /run/nslab")


# Large tasks


@pytest.mark.once
def test_the_switch_of_a_link_that_goes_while_it_is_read_is_none(host: Host) -> None:
    host.sh("ip link add going type veth peer name gone")
    switch = "net/ipv4/conf/going/forwarding"
    assert _sysctl.read(switch) is not None

    really = os.read

    def read_too_late(handle: int, most: int) -> bytes:
        with mock.patch.object(os, "read", really):
            host.sh("ip link delete going")
            return os.read(handle, most)

    with mock.patch.object(os, "read", read_too_late):
        assert _sysctl.read(switch) is None


def test_more_messages_than_go_in_one_send(host: Host) -> None:
    addresses = [f"10.{number // 250}.{number % 250}.1/32" for number in range(300)]
    host.apply("bridge", name="br0", addresses=addresses, faulty=False)
    assert set(host.addresses("br0")) == set(addresses)
    host.apply("bridge", name="br0", addresses=addresses[::2], faulty=False)
    assert set(host.addresses("br0")) == set(addresses[::2])


@pytest.mark.once
def test_a_refusal_in_a_large_batch_undoes_all_of_it(host: Host) -> None:
    addresses = [f"10.{number // 250}.{number % 250}.1/32" for number in range(300)]
    host.sh("ip link add name br0 type bridge")
    before = host.snapshot()
    result = run_with(lambda: host.sh("ip link set dev br0 mtu 1000") and None, "bridge", {"name": "br0", "mtu": 1400, "addresses": addresses})  # fmt: skip
    assert result.failed
    assert before.differences(host.snapshot()) == []


def test_twenty_namespaces_on_a_bridge_are_three_tasks(host: Host) -> None:
    names = [f"ns{number}" for number in range(1, 21)]
    pairs = [
        {
            "name": f"v-{name}",
            "master": "br0",
            "peer": {"name": "eth0", "netns": name, "addresses": [f"10.0.0.{number}/24"]},
        }
        for number, name in enumerate(names, start=2)
    ]
    host.apply("netns", name=names, faulty=False)
    host.apply("bridge", name="br0", addresses=["10.0.0.1/24"], faulty=False)
    host.apply("veth", pairs=pairs, faulty=False)
    assert host.ping("10.0.0.21", "ns1")
    host.apply("netns", name=names, state="absent", faulty=False, settled=lambda: host.links() == ["br0"])
    assert host.links() == ["br0"]


# What is printed


@pytest.mark.once
def test_a_diff_names_what_it_shows(red: Host) -> None:
    result = red.check("veth", **PAIR)
    diff = result["diff"] if isinstance(result["diff"], list) else [result["diff"]]
    assert all(part.get("before_header") and part.get("after_header") for part in diff)
    assert any("10.0.0.1/24" in after and "10.0.0.1/24" not in before for before, after in diff_texts(result))


def test_operations_quote_what_a_shell_would_take_apart(host: Host) -> None:
    host.apply("ns_resolv", netns=["red"], options=["ndots:2"], hosts={"EOF": "10.0.0.1", "web": "10.0.0.2"})
    assert host.sh("tail -n 2 /etc/netns/red/hosts").split() == ["10.0.0.1", "EOF", "10.0.0.2", "web"]
