# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""observe -> plan -> apply -> verify, and undo. Knows no resource by name.

Check mode, diff, the list of operations and the undoing are all read off the one plan: the difference between a check
and a run is only whether `apply` is called, and whether missing parents may be assumed to be coming.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
import typing as t

from ._errors import Problem
from ._kernel._refusal import KernelRefused
from ._operation import Call, Operation, Request, Step
from ._world import Need, World

if t.TYPE_CHECKING:
    from ._kernel._kernel import Kernel

SETTLE_SECONDS = 3.0  # how long asynchronous states of the kernel are waited for


class Resource(t.Protocol):
    """A desired object."""

    def needs(self, world: World) -> t.Iterable[Need]:
        """What must be observed before this can be planned; asked again when it has been, until nothing is missing."""

    def plan(self, draft: Draft) -> None:
        """Do to the draft what makes this object so; raise Problem where that can't be."""


@dataclasses.dataclass(frozen=True)
class Declaration:
    """What a task declares: the objects, in the order in which they build on each other, and what it returns of them.

    ``report`` gives the returned state, read off any World; ``title`` names the objects in a diff's header, whose text is
    ``governed``: all that the task may change, where the returned state does not tell it all; with ``sparse`` only what of it
    changes. ``timed``: the seconds of each phase are returned.
    """

    resources: t.Sequence[Resource]
    report: t.Callable[[World], dict[str, object]]
    title: str
    governed: t.Callable[[World], object] | None = None
    sparse: bool = False
    timed: bool = False


class Draft:
    """A plan in the making: a copy of the world, in which each operation planned has already happened."""

    def __init__(self, observed: World, assume: bool) -> None:
        self.world = observed.copy()
        self.operations: list[Operation] = []
        self.warnings: list[str] = []
        self.assumed: list[str] = []
        self._assume = assume

    def do(self, *operations: Operation) -> None:
        for operation in operations:
            operation.simulate(self.world)
            self.operations.append(operation)

    @contextlib.contextmanager
    def sure(self) -> t.Iterator[None]:
        """Within the block nothing is assumed to be coming: what is declared as one whole brings all that it builds on."""
        assume, self._assume = self._assume, False
        try:
            yield
        finally:
            self._assume = assume

    def expect(self, what: str, advice: str, lack: str = "does not exist") -> None:
        """Something that the task builds on is not there: an error, unless it may be assumed to be coming."""
        if not self._assume:
            raise Problem(f"{what} {lack}", advice)
        if what not in self.assumed:
            self.assumed.append(what)

    def warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)


@dataclasses.dataclass(frozen=True)
class Plan:
    """The operations that lead from one state to another, in order."""

    todo: tuple[Operation, ...]
    before: World
    after: World
    warnings: tuple[str, ...]

    @property
    def operations(self) -> list[str]:
        """As command lines."""
        return [operation.command for operation in self.todo]

    @property
    def steps(self) -> list[Step]:
        """With the way back of each, which costs more than the plan and is of use only when something fails."""
        return retraced(self.before, self.todo)


def retraced(before: World, operations: t.Iterable[Operation]) -> list[Step]:
    """Each operation with an inverse made from the state just before it."""
    world = before.copy()
    steps = []
    for operation in operations:
        steps.append(Step(operation, operation.invert(world)))
        operation.simulate(world)
    return steps


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a run comes to: the plan, and the world as it is afterwards (in check mode: as it would be).

    ``timings`` are the seconds that each phase took, by name, and ``total``.
    """

    plan: Plan
    world: World
    timings: t.Mapping[str, float] = dataclasses.field(default_factory=dict)


class Clock:
    """Measures phases one after the other, in seconds."""

    def __init__(self) -> None:
        self._start = self._last = time.monotonic()
        self._phases: dict[str, float] = {}

    def phase_ends(self, name: str) -> None:
        now = time.monotonic()
        self._phases[name] = now - self._last
        self._last = now

    @property
    def timings(self) -> dict[str, float]:
        seconds = {**self._phases, "total": self._last - self._start}
        return {name: round(value, 6) for name, value in seconds.items()}


class Undone(Problem):
    """A run that failed; ``undone`` are the operations taken back, ``leftover`` what could not be."""

    def __init__(self, problem: str, undone: t.Sequence[str], leftover: t.Sequence[str] = ()) -> None:
        super().__init__(problem)
        self.undone = list(undone)
        self.leftover = list(leftover)


def run(declaration: Declaration, kernel: Kernel, check: bool) -> Outcome:
    """Make what is declared so, or, when ``check``, say what that would take.

    :raises Problem: what is wanted can't be; nothing was changed.
    :raises Undone: the kernel refused a step, or something did not hold; what had been done is undone.
    """
    clock = Clock()
    observed = observe(declaration, kernel)
    clock.phase_ends("observe")
    plan = make_plan(declaration, observed, assume=check)
    clock.phase_ends("plan")
    world = plan.after
    if plan.todo and not check:
        apply(plan, kernel)
        clock.phase_ends("apply")
        world = verify(declaration, plan, kernel)
        clock.phase_ends("verify")
    return Outcome(plan, world, clock.timings)


def observe(declaration: Declaration, kernel: Kernel) -> World:
    """Read all that the planner needs, and what it needs once it has seen that."""
    world = World()
    while True:
        needs = {need for resource in declaration.resources for need in resource.needs(world)} - world.seen
        if not needs:
            return world
        kernel.observe(world, needs)
        world.seen |= needs


def make_plan(declaration: Declaration, observed: World, assume: bool) -> Plan:
    """Compare what is declared with what was observed. Pure."""
    draft = Draft(observed, assume)
    for resource in declaration.resources:
        resource.plan(draft)
    if draft.assumed:
        draft.warnings.insert(0, "check mode: assumed to be coming: " + ", ".join(draft.assumed))
    return Plan(tuple(draft.operations), observed, draft.world, tuple(draft.warnings))


def apply(plan: Plan, kernel: Kernel) -> None:
    """Carry the operations out; neighbouring requests in one namespace share a send."""
    done: list[Operation] = []
    try:
        for group in _groups(plan.todo):
            if kernel.ended_by is not None:
                raise Problem(f"the task was ended by {kernel.ended_by}", "run it again")
            _perform(group, kernel, done)
    except Problem as problem:
        raise undo(str(problem), plan, done, kernel) from None
    except BaseException:
        # A fault of ours or an interruption: the host is given back as it was all the same.
        undo("", plan, done, kernel)
        raise


def _groups(operations: t.Sequence[Operation]) -> t.Iterator[list[Operation]]:
    group: list[Operation] = []
    for operation in operations:
        joins = (
            group
            and isinstance(operation, Request)
            and isinstance(group[0], Request)
            and operation.where == group[0].where
        )
        if group and not joins:
            yield group
            group = []
        group.append(operation)
    if group:
        yield group


def _perform(group: list[Operation], kernel: Kernel, done: list[Operation]) -> None:
    """Run a group; ``done`` grows by each operation that the kernel acknowledged, also when another of the group failed."""
    first = group[0]
    if isinstance(first, Request):
        requests = [operation for operation in group if isinstance(operation, Request)]
        try:
            answers = kernel.send(first.where, [request.message() for request in requests])
        except (KernelRefused, OSError) as error:  # no socket could be had in the namespace, so nothing was sent
            raise _Refused(first, error) from None
        done.extend(operation for operation, refused in zip(group, answers) if refused is None)
        for operation, refused in zip(group, answers):
            # What was to be removed may have gone by itself meanwhile, as links do with a namespace that is ending.
            if refused is not None and refused.errno not in operation.gone:
                raise _Refused(operation, refused)
        return
    for operation in group:
        try:
            t.cast(Call, operation).run(kernel)
        except (KernelRefused, OSError) as error:
            raise _Refused(operation, error) from None
        done.append(operation)


class _Refused(Problem):
    """An operation that the kernel refused."""

    def __init__(self, operation: Operation, error: KernelRefused | OSError) -> None:
        text = error.text if isinstance(error, KernelRefused) else (error.strerror or str(error))
        super().__init__(f"could not {operation.purpose}: the kernel answered '{text}'", operation.advice(error.errno))
        self.errno = error.errno


def undo(problem: str, plan: Plan, done: t.Sequence[Operation], kernel: Kernel) -> Undone:
    """Take the operations back, the last first, and go on where one can't be: as much as possible is to be as before."""
    undone: list[str] = []
    leftover: list[str] = []
    for step in reversed(_as_it_went(plan, done)):
        refusals = [refusal for operation in step.inverse for refusal in _take_back(operation, kernel)]
        if refusals:
            leftover.append(f"{step.operation.command} ({refusals[0]})")
        else:
            undone.append(step.operation.command)
    if leftover:
        problem += "; could not be undone: " + "; ".join(leftover)
    return Undone(problem, undone, leftover)


def _as_it_went(plan: Plan, done: t.Sequence[Operation]) -> t.Sequence[Step]:
    """What was done, with inverses that suit.

    The kernel goes on with the rest of a send after a message that failed, so what was done may have a gap: the inverse of
    what stands behind it is made for a state without the operation that failed.
    """
    world = plan.before.copy()
    steps = []
    for operation in done:
        try:
            steps.append(Step(operation, operation.invert(world)))
            operation.simulate(world)
        except KeyError:  # it built on what failed, and the kernel took it all the same
            steps += [step for step in plan.steps if step.operation is operation]
    return steps


def _take_back(operation: Operation, kernel: Kernel) -> list[str]:
    """Carry an inverse out; the refusal that matters, if there was one."""
    try:
        _perform([operation], kernel, [])
    except _Refused as refused:
        return [] if refused.errno in operation.gone else [str(refused)]
    return []


def verify(declaration: Declaration, plan: Plan, kernel: Kernel) -> World:
    """Observe again and plan again: nothing may be left to do."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        try:
            observed = observe(declaration, kernel)
            left = make_plan(declaration, observed, assume=False).operations
            problem = "after the run there is still to do: " + "; ".join(left)
        except (Problem, KernelRefused, OSError) as error:
            left = [str(error)]
            problem = f"after the run the state does not hold: {error}"
        if not left:
            return observed
        if time.monotonic() > deadline:
            raise undo(problem, plan, plan.todo, kernel)
        time.sleep(0.02)
