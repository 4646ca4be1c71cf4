# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes one operation of a plan fail, in the most real way there is.

A request is replaced by one that the kernel itself refuses (a link that does not exist is to be deleted), so that the
rest of its batch is carried out as the kernel does it. A call raises what a system call would. The last place is behind
all operations: everything was done and does not hold, so that everything is taken back.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
from collections.abc import Iterator
from typing import Any
from unittest import mock

from ansible_collections.nslab.linux.plugins.module_utils import _engine, _operation

NO_SUCH_INDEX = 2**31 - 1


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a plan fails: at one of its operations, or behind all of them."""

    number: int
    command: str

    def __str__(self) -> str:
        return f"operation {self.number} ({self.command})"


class FailingRequest(_operation.Request):
    def __init__(self, real: _operation.Request) -> None:
        super().__init__(real.where)
        object.__setattr__(self, "_real", real)  # the base is frozen

    @property
    def command(self) -> str:
        return self._real.command

    @property
    def purpose(self) -> str:
        return self._real.purpose

    def message(self) -> _operation.Message:
        changed_names = self._real.message().changed_names
        return _operation.Message("RTM_DELLINK", fields={"index": NO_SUCH_INDEX}, changed_names=changed_names)

    def simulate(self, world: Any) -> None:
        self._real.simulate(world)

    def invert(self, world: Any) -> tuple[_operation.Operation, ...]:
        return self._real.invert(world)


class FailingCall(_operation.Call):
    def __init__(self, real: _operation.Operation) -> None:
        self._real = real

    @property
    def command(self) -> str:
        return self._real.command

    @property
    def purpose(self) -> str:
        return self._real.purpose

    def run(self, kernel: Any) -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    def simulate(self, world: Any) -> None:
        self._real.simulate(world)

    def invert(self, world: Any) -> tuple[_operation.Operation, ...]:
        return self._real.invert(world)


def places(operations: list[str]) -> list[Place]:
    """Every place at which a plan of these operations can fail."""
    if not operations:
        return []
    return [Place(number, command) for number, command in enumerate([*operations, "after the last"])]


@contextlib.contextmanager
def failing(place: Place) -> Iterator[None]:
    """Within the block, a run fails at the place."""
    real_apply, real_verify = _engine.apply, _engine.verify
    met = []

    def apply(plan: _engine.Plan, kernel: Any) -> None:
        spoilt = list(plan.todo)
        if place.number < len(spoilt):
            operation = spoilt[place.number]
            failing_kind = FailingRequest if isinstance(operation, _operation.Request) else FailingCall
            spoilt[place.number] = failing_kind(operation)
            met.append(place)
        real_apply(dataclasses.replace(plan, todo=tuple(spoilt)), kernel)

    def verify(declaration: Any, plan: Any, kernel: Any) -> Any:
        if place.number < len(plan.todo):
            return real_verify(declaration, plan, kernel)
        met.append(place)
        raise _engine.undo("after the run there is still to do: something", plan, plan.todo, kernel)

    with mock.patch.object(_engine, "apply", apply), mock.patch.object(_engine, "verify", verify):
        yield
    assert met, f"{place} was never reached"
