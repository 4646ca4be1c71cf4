# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine: looking, planning, applying, undoing and looking once more, with a kernel that is only imagined."""

from __future__ import annotations

import errno

import pytest

from ansible_collections.nslab.linux.plugins.module_utils import _engine
from ansible_collections.nslab.linux.plugins.module_utils._engine import Declaration, Undone, make_plan, observe, run
from ansible_collections.nslab.linux.plugins.module_utils._errors import Problem
from ansible_collections.nslab.linux.plugins.module_utils._values import HOST
from ansible_collections.nslab.linux.plugins.module_utils._world import Need, NeedFile, World
from ansible_collections.nslab.linux.tests.unit.plugins.module_utils.cells import (
    RED,
    Copy,
    Kernel,
    Shout,
    Wanted,
    cells,
    declared,
    words,
)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    """Time is what the tests say it is: each look at the clock is a second later."""
    clock = iter(range(10**6))
    monkeypatch.setattr(_engine.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(_engine.time, "sleep", lambda seconds: None)


# Looking


def test_it_looks_again_until_nothing_new_is_needed_and_at_nothing_twice():
    kernel = Kernel()
    first, second, third = NeedFile("first"), NeedFile("second"), NeedFile("third")
    world = observe(declared(needed=(first, second, third)), kernel)
    assert kernel.looks == [{first}, {second}, {third}]
    assert world.seen == {first, second, third}


def test_what_several_objects_need_is_looked_at_once():
    kernel = Kernel()
    both = Declaration([Wanted((), (NeedFile("x"),)), Wanted((), (NeedFile("x"), NeedFile("y")))], dict, "cells")
    observe(both, kernel)
    assert kernel.looks == [{NeedFile("x")}, {NeedFile("y")}]


def test_the_world_that_was_observed_is_not_changed_by_planning():
    declaration = declared(*words("a=1"))
    observed = observe(declaration, Kernel(a="0"))
    plan = make_plan(declaration, observed, assume=False)
    assert cells(observed) == cells(plan.before) == {"a": "0"}
    assert cells(plan.after) == {"a": "1"}


# Check mode and the run


def test_check_mode_foretells_and_sends_nothing():
    kernel = Kernel(a="0")
    outcome = run(declared(*words("a=1", "b=2")), kernel, check=True)
    assert outcome.plan.operations == ["write a 1", "write b 2"]
    assert (cells(outcome.world), kernel.log) == ({"a": "1", "b": "2"}, [])


def test_a_run_does_what_was_foretold_and_returns_what_it_sees():
    kernel = Kernel(a="0")
    outcome = run(declared(*words("a=1", "b=2")), kernel, check=False)
    assert kernel.log == [("a", "1"), ("b", "2")]
    assert outcome.world is not outcome.plan.after and cells(outcome.world) == {"a": "1", "b": "2"}


def test_with_nothing_to_do_nothing_is_sent_and_nothing_looked_at_again():
    kernel = Kernel(a="1")
    outcome = run(declared(*words("a=1")), kernel, check=False)
    assert outcome.plan.operations == [] and kernel.sends == [] and len(kernel.looks) == 1


def test_neighbours_of_one_namespace_share_a_send_in_their_order():
    kernel = Kernel()
    steps = [*words("a=1", "b=1"), *words("c=1", where=RED), *words("d=1"), Shout("e", "1"), *words("f=1", "g=1")]
    run(declared(*steps), kernel, check=False)
    assert kernel.sends == [("host", 2), ("red", 1), ("host", 1), ("host", 2)]
    assert [cell for cell, _word in kernel.log] == list("abcdefg")


# What is missing


class Parent:
    def __init__(self, *names: str) -> None:
        self.names = names

    def needs(self, world: World) -> list[Need]:
        return []

    def plan(self, draft) -> None:
        for name in self.names:
            draft.expect(name, "make it")
        draft.warn("look out")
        draft.warn("look out")


def test_in_check_mode_all_that_is_missing_is_one_warning_before_the_others():
    plan = make_plan(Declaration([Parent("x", "y"), Parent("x")], dict, "cells"), World(), assume=True)
    assert plan.warnings == ("check mode: assumed to be coming: x, y", "look out")


def test_outside_check_mode_the_first_that_is_missing_is_an_error():
    with pytest.raises(Problem, match=r"^x does not exist: make it$"):
        make_plan(Declaration([Parent("x", "y")], dict, "cells"), World(), assume=False)


# Refusals


def test_a_refusal_says_what_was_wanted_and_what_the_kernel_answered():
    kernel = Kernel(refusals={("b", "1"): errno.EPERM})
    with pytest.raises(Undone, match=r"^could not write 1 to b: the kernel answered 'no, b': run the task as root"):
        run(declared(*words("a=1", "b=1")), kernel, check=False)


def test_after_a_refusal_within_a_send_what_was_acknowledged_is_undone_in_reverse_and_nothing_else():
    kernel = Kernel(refusals={("b", "1"): errno.EINVAL}, a="0", b="0", c="0", d="0")
    with pytest.raises(Undone) as failure:
        run(declared(*words("a=1", "b=1", "c=1", "d=1")), kernel, check=False)
    assert kernel.log[4:] == [("d", "0"), ("c", "0"), ("a", "0")]
    assert kernel.held == {"a": "0", "b": "0", "c": "0", "d": "0"}
    assert failure.value.undone == ["write d 1", "write c 1", "write a 1"]
    assert failure.value.leftover == []


def test_what_comes_after_the_send_that_was_refused_is_not_begun():
    kernel = Kernel(refusals={("b", "1"): errno.EINVAL})
    with pytest.raises(Undone):
        run(declared(*words("a=1", "b=1"), Shout("c", "1"), *words("d=1")), kernel, check=False)
    assert {"c", "d"}.isdisjoint(cell for cell, _word in kernel.log)


def test_a_call_that_fails_undoes_the_sends_before_it():
    kernel = Kernel(refusals={("c", "1"): errno.EROFS}, a="0")
    with pytest.raises(
        Undone, match=r"could not shout 1 to c: the kernel answered 'no, c': the file system is read-only"
    ):
        run(declared(*words("a=1", "b=1"), Shout("c", "1")), kernel, check=False)
    assert kernel.held == {"a": "0", "b": None}


def test_inverses_behind_a_gap_are_made_for_what_really_was():
    """The copy came to be although the write before it did not: what it is undone to must not tell of that write."""
    kernel = Kernel(refusals={("a", "1"): errno.EINVAL}, a="0")
    with pytest.raises(Undone):
        run(declared(*words("a=1"), Copy(HOST, "b", "1")), kernel, check=False)
    assert kernel.log[-1] == ("b", "was 0")


def test_what_is_gone_already_counts_as_undone():
    kernel = Kernel(refusals={("b", "1"): errno.EINVAL, ("a", None): errno.ESRCH, ("c", None): errno.ESRCH})
    with pytest.raises(Undone) as failure:
        run(declared(*words("c=1"), Shout("x", "1"), *words("a=1", "b=1")), kernel, check=False)
    assert failure.value.undone == ["write a 1", "shout x 1", "write c 1"]
    assert failure.value.leftover == []


def test_what_can_not_be_undone_is_told_and_the_rest_is_undone_all_the_same():
    kernel = Kernel(refusals={("c", "1"): errno.EINVAL, ("b", None): errno.EBUSY})
    with pytest.raises(Undone) as failure:
        run(declared(*words("a=1"), Shout("b", "1"), *words("c=1")), kernel, check=False)
    assert failure.value.undone == ["write a 1"]
    (leftover,) = failure.value.leftover
    assert leftover.startswith("shout b 1 (could not shout None to b: the kernel answered 'no, b'")
    assert f"; could not be undone: {leftover}" in str(failure.value)
    assert kernel.held == {"a": None, "b": "1"}


def test_of_a_step_that_takes_several_to_undo_the_others_are_done_when_one_is_refused():
    class Both(Shout):
        def invert(self, world: World):
            return (Shout("a", "0"), Shout("b", "0"))

    kernel = Kernel(refusals={("c", "1"): errno.EINVAL, ("a", "0"): errno.EBUSY}, a="0", b="0")
    with pytest.raises(Undone) as failure:
        run(declared(Both("a", "1"), Shout("b", "1"), Shout("c", "1")), kernel, check=False)
    assert kernel.log[-3:] == [("b", "0"), ("a", "0"), ("b", "0")]
    assert failure.value.undone == ["shout b 1"]


def test_a_namespace_that_can_not_be_spoken_to_is_a_refusal_like_any_other():
    class Deaf(Kernel):
        def send(self, where, messages):
            if where == RED:
                raise OSError(errno.EMFILE, "Too many open files")
            return super().send(where, messages)

    kernel = Deaf(a="0")
    with pytest.raises(
        Undone, match=r"could not write 1 to b: the kernel answered 'Too many open files': raise the limit"
    ):
        run(declared(*words("a=1"), *words("b=1", "c=1", where=RED)), kernel, check=False)
    assert kernel.held == {"a": "0"}


def test_a_fault_of_the_collection_undoes_too_and_comes_through():
    class Broken(Shout):
        def run(self, kernel) -> None:
            raise ZeroDivisionError

    kernel = Kernel(a="0")
    with pytest.raises(ZeroDivisionError):
        run(declared(*words("a=1"), Broken("b", "1")), kernel, check=False)
    assert kernel.held == {"a": "0"}


def test_an_interruption_undoes_too():
    class Interrupted(Shout):
        def run(self, kernel) -> None:
            raise KeyboardInterrupt

    kernel = Kernel(a="0")
    with pytest.raises(KeyboardInterrupt):
        run(declared(*words("a=1"), Interrupted("b", "1")), kernel, check=False)
    assert kernel.held == {"a": "0"}


# What did not hold


def test_what_the_kernel_took_and_did_not_keep_is_told_and_all_is_undone():
    kernel = Kernel(deaf=("b",), a="0", b="0")
    with pytest.raises(Undone, match=r"after the run there is still to do: write b 1$") as failure:
        run(declared(*words("a=1", "b=1")), kernel, check=False)
    assert failure.value.undone == ["write b 1", "write a 1"]
    assert kernel.held == {"a": "0", "b": "0"}


def test_what_holds_at_the_second_look_is_waited_for():
    kernel = Kernel(slow={"b": 1}, a="0")
    outcome = run(declared(*words("a=1", "b=1")), kernel, check=False)
    assert cells(outcome.world) == {"a": "1", "b": "1"}
    assert len(kernel.looks) == 3 and kernel.log == [("a", "1"), ("b", "1")]


def test_a_problem_at_the_last_look_is_such_a_failure_too():
    class Fickle(Wanted):
        def plan(self, draft) -> None:
            if cells(draft.world).get("a") == "1":
                raise Problem("a is taken")
            super().plan(draft)

    kernel = Kernel(a="0")
    declaration = Declaration([Fickle(tuple(words("a=1")), (NeedFile("a"),))], dict, "cells")
    with pytest.raises(Undone, match=r"after the run the state does not hold: a is taken$"):
        run(declaration, kernel, check=False)
    assert kernel.held == {"a": "0"}
