# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of a module in processes of their own, to be killed at any point, or to run at once.

A fork of the test process has all imported, and is in the same network and mount namespace; it is a process like any
other. Where it is to die is counted in calls of functions, so that each point comes up again, between any two system
calls.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

from ansible_collections.nslab.linux.plugins.module_utils import _engine

from . import faults, runner


class Run:
    """A run of a module, begun in a process of its own."""

    def __init__(self, module: str, arguments: dict[str, Any], prepare: Callable[[], Any] | None = None) -> None:
        """`prepare` is called in the process before; it gives a context manager for the run, or None."""
        receive, self._send = os.pipe()
        self._out = os.fdopen(receive)
        self.pid = os.fork()
        if self.pid == 0:
            self._be_it(module, arguments, prepare)
        os.close(self._send)

    def _be_it(self, module: str, arguments: dict[str, Any], prepare: Callable[[], Any] | None) -> None:
        code = 1
        try:
            with (prepare() if prepare else None) or contextlib.nullcontext():
                result = runner.run(module, arguments)
            sys.setprofile(None)
            with os.fdopen(self._send, "w") as out:
                out.write(json.dumps({**result, "calls": Countdown.passed}))
            code = 0
        except BaseException as error:
            with contextlib.suppress(OSError):
                os.write(self._send, json.dumps({"failed": True, "msg": f"broken: {error!r}"}).encode())
        finally:
            os._exit(code)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def result(self) -> runner.Result | None:
        """What it returned; None if it was killed before it could."""
        text = self._out.read()
        self._out.close()
        _pid, status = os.waitpid(self.pid, 0)
        return None if os.WIFSIGNALED(status) or not text else runner.Result(json.loads(text))


class Countdown:
    """Kills this process when it has made so many calls, counted from when it begins to change the host, or to undo."""

    passed = 0

    def __init__(self, calls: int, begin: str = "apply") -> None:
        self.left = calls
        self.begin = begin

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        real = getattr(_engine, self.begin)

        def begun(*arguments: Any) -> Any:
            sys.setprofile(self.count)
            return real(*arguments)

        with mock.patch.object(_engine, self.begin, begun):
            yield

    def count(self, _frame: Any, event: str, _what: Any) -> None:
        if event in ("call", "c_call", "c_return"):
            Countdown.passed += 1
            if Countdown.passed == self.left:
                os.kill(os.getpid(), signal.SIGKILL)


NEVER = 0


def counted(module: str, arguments: dict[str, Any], calls: int = NEVER) -> Run:
    """A run that dies when it has made so many calls; one that does not tells how many it made."""
    return Run(module, arguments, Countdown(calls).running)


def undoing(module: str, arguments: dict[str, Any], place: faults.Place, calls: int = NEVER) -> Run:
    """A run that fails at the place, and dies when it has made so many calls in undoing."""

    @contextlib.contextmanager
    def prepared() -> Iterator[None]:
        with contextlib.suppress(AssertionError), faults.failing(place), Countdown(calls, "undo").running():
            yield

    return Run(module, arguments, prepared)


def after(seconds: float, module: str, arguments: dict[str, Any]) -> Run:
    """A run that is killed from outside when it has lasted so long."""
    run = Run(module, arguments)
    time.sleep(seconds)
    run.kill()
    return run
