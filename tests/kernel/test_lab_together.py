# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""lab: several runs at once, several labs on one host, and runs that are killed."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from support import faults, runner
from support.host import Host

from ansible_collections.nslab.linux.plugins.module_utils import _engine
from ansible_collections.nslab.linux.plugins.module_utils._kernel import _files
from ansible_collections.nslab.linux.plugins.module_utils._kernel._kernel import Kernel

pytestmark = pytest.mark.no_rules

Arguments = dict[str, Any]


def lab(number: int) -> Arguments:
    return {
        "name": f"lab{number}",
        "prefix": f"l{number}-",
        "namespaces": {"a": {"routes": [{"dst": "default", "via": f"10.{number}.0.1"}]}, "b": None},
        "bridges": {f"br{number}": {"subnet": f"10.{number}.0.0/24"}},
        "links": [{"endpoints": [f"{node}:eth0", f"br{number}:{node}{number}"]} for node in "ab"],
        "hosts": True,
    }


def absent(number: int) -> Arguments:
    return {"name": f"lab{number}", "state": "absent"}


def start(arguments: Arguments, before: Callable[[], object] = lambda: None) -> int:
    """A run in a process of its own, which does something else first; its pid."""
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            before()
            os._exit(int(runner.run("lab", arguments).failed))
        os._exit(2)
    return pid


def end_of(pid: int) -> int:
    """The exit code of a run, or the negative number of the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def together(*runs: Arguments) -> list[int]:
    return [end_of(pid) for pid in [start(arguments) for arguments in runs]]


# At once


@pytest.mark.once
def test_runs_at_once_wait_for_each_other(host: Host) -> None:
    empty = host.snapshot()
    assert together(lab(1), lab(1)) == [0, 0]
    assert not runner.run("lab", lab(1)).changed
    assert together(lab(1), lab(2), lab(3), lab(2)) == [0] * 4
    assert host.namespaces() == [f"l{number}-{node}" for number in (1, 2, 3) for node in "ab"]
    for number in (1, 2, 3):
        assert not runner.run("lab", lab(number)).changed
        assert host.ping(f"10.{number}.0.3", f"l{number}-a")
    assert together(absent(1), lab(2), absent(3), absent(1)) == [0] * 4
    assert not runner.run("lab", lab(2)).changed
    assert together(absent(2), absent(2)) == [0, 0]
    host.wait_for(lambda: host.links() == [])
    assert empty.differences(host.snapshot()) == []


@pytest.mark.by_module
def test_two_labs_do_not_touch_each_other(host: Host) -> None:
    runner.run("lab", lab(1))
    before = host.snapshot()
    host.apply("lab", **lab(2), faulty=False)
    changed = lab(2)
    changed["bridges"]["br2"] = {"subnet": ["10.2.0.0/24", "fd02::/64"]}
    host.apply("lab", **changed, faulty=False)
    assert not runner.run("lab", lab(1)).changed
    host.refuse("lab", "namespaces.a: namespace l1-a exists and was not made by lab lab4", **{**lab(1), "name": "lab4"})
    host.apply("lab", **absent(2), faulty=False, settled=lambda: not host.has_link("a2"))
    assert before.differences(host.snapshot()) == []


# Killed


class Killing(faults.FailingCall):
    def run(self, kernel: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def killed_at(number: int) -> None:
    """Has the run in this process killed where it would do the operation of this number."""
    real = _engine.apply

    def apply(plan: Any, kernel: Any) -> None:
        todo = list(plan.todo)
        todo.insert(number, Killing(todo[0]))
        real(_engine.dataclasses.replace(plan, todo=tuple(todo)), kernel)

    _engine.apply = apply


def killed_in_file(number: int) -> None:
    """Has it killed in the middle of writing a file: the new one lies beside it."""
    real, seen = os.replace, []

    def replace(*paths: Any) -> None:
        seen.append(paths)
        if len(seen) > number:
            os.kill(os.getpid(), signal.SIGKILL)
        real(*paths)

    _files.os.replace = replace


def kills(host: Host, arguments: Arguments) -> list[Callable[[], None]]:
    operations = host.check("lab", **arguments).operations
    found = [lambda number=number: killed_at(number) for number in range(1, len(operations) + 1, 2)]
    files = sum(text.startswith("install -D") for text in operations)
    return [*found, *(lambda number=number: killed_in_file(number) for number in range(files))]


@pytest.mark.once
def test_a_run_that_was_killed_is_completed_or_cleaned_up_by_the_next(host: Host) -> None:
    host.sh("ip netns add other; mkdir -p /etc/netns/other; echo x > /etc/netns/other/hosts")
    empty = host.snapshot()
    cases = [(kill, number % 2 == 0) for number, kill in enumerate(kills(host, lab(1)))]
    # In the middle of its first file, when nothing stands in its ledger yet.
    for number, (kill, completed) in enumerate(
        [*cases, (lambda: killed_in_file(0), False), (lambda: killed_in_file(2), False)]
    ):
        assert end_of(start(lab(1), kill)) == -signal.SIGKILL
        if completed:
            assert not runner.run("lab", lab(1)).failed, number
            assert not runner.run("lab", lab(1)).changed, number
            assert host.ping("10.1.0.3", "l1-a"), number
        result = runner.run("lab", absent(1))
        assert not result.failed, (number, result)
        host.wait_for(lambda: host.links() == [])
        assert empty.differences(host.snapshot()) == [], number


@pytest.mark.once
def test_a_removal_that_was_killed_is_completed(host: Host) -> None:
    empty = host.snapshot()
    runner.run("lab", lab(1))
    for number, kill in enumerate(kills(host, absent(1))):
        runner.run("lab", lab(1))
        assert end_of(start(absent(1), kill)) == -signal.SIGKILL
        result = runner.run("lab", absent(1))
        assert not result.failed, (number, result)
        host.wait_for(lambda: host.links() == [])
        assert empty.differences(host.snapshot()) == [], number


@pytest.mark.once
def test_a_change_that_was_killed_is_completed(host: Host) -> None:
    changed = lab(1)
    changed["bridges"] = {"br2": {"subnet": "10.9.0.0/24"}}
    changed["namespaces"] = {"a": None, "c": None}
    changed["links"] = [{"endpoints": [f"{node}:lan", "br2"]} for node in "ac"]
    empty = host.snapshot()
    runner.run("lab", lab(1))
    for number, kill in enumerate(kills(host, changed)):
        runner.run("lab", lab(1))
        assert end_of(start(changed, kill)) == -signal.SIGKILL
        result = runner.run("lab", changed)
        assert not result.failed, (number, result)
        assert not runner.run("lab", changed).changed
        assert host.namespaces() == ["l1-a", "l1-c"]
        assert runner.run("lab", absent(1)).changed
        host.wait_for(lambda: host.links() == [])
        assert empty.differences(host.snapshot()) == [], number


# What ends with a task


@pytest.mark.once
def test_a_task_lets_go_of_its_sockets_before_the_namespaces_that_it_removed(host: Host) -> None:
    # The other way round they keep these alive, and the links of theirs would be waited for in vain.
    runner.run("lab", lab(1))
    calls: list[str] = []
    real = Kernel.close

    def close(kernel: Kernel) -> None:
        for part, name in (
            (kernel.rtnetlink, "close"),
            (kernel.namespaces, "release"),
            (kernel.rtnetlink, "await_gone"),
        ):
            done = getattr(part, name)
            setattr(part, name, lambda *given, done=done, name=name: (calls.append(name), done(*given))[1])
        real(kernel)

    with mock.patch.object(Kernel, "close", close):
        assert runner.run("lab", absent(1)).changed
    assert calls[:3] == ["close", "release", "await_gone"]
    assert host.links() == []
