# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many probes at once: a child process per namespace, in it a thread per probe, of both only so many at a time."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import os
import selectors
import socket
import time
import typing as t

from .._errors import Problem
from .._probe import PAUSE, Connect, Datagram, Lookup, Outcome, Ping, Probe, longest, lost_answer, meets
from .._values import NamespaceRef
from ._attempts import attempt
from ._echo import explain, open_echo
from ._heard import Call, Heard
from ._inside import Child, bind_files, enter, reap, received, spawn, unshare_mounts
from ._listening import Place, listening

CHILDREN = 32
THREADS = 16
# Seconds beyond all timeouts together before a child is taken for stuck; a busy machine is no reason to end it.
GRACE = 20.0

_Send = t.Callable[[object], None]


@dataclasses.dataclass(frozen=True)
class Batch:
    """The probes from one namespace, each with its place in the task, and the descriptor of that namespace."""

    origin: NamespaceRef
    descriptor: int
    probes: tuple[tuple[int, Probe], ...]


def rehearse(batches: t.Sequence[Batch]) -> None:
    """Enters every namespace and opens the sockets that need a privilege. Nothing is sent.

    Raises a Problem that says what is refused, so that it is known before the first packet.
    """
    # A child that has entered a namespace does not return to the host.
    host_first = sorted(batches, key=lambda batch: batch.origin.kind != "host")

    def work(send: _Send) -> None:
        if any(batch.origin.kind != "host" and _named(batch) for batch in batches):
            unshare_mounts()
        for batch in host_first:
            if batch.origin.kind != "host":
                enter(batch.origin, batch.descriptor)
            _open_echoes(batch)
        send(_outcome(0, Outcome()))

    outcome = _carry_out([_Job(work, places=(0,), limit=GRACE)])[0]
    if outcome.fault:
        raise Problem(f"nothing was sent, {outcome.error}")


def run(batches: t.Sequence[Batch], far_ends: t.Sequence[Place] = ()) -> dict[int, Outcome]:
    """The last outcome of every probe, by its place in the task.

    Raises a Problem for a namespace that can't be entered, or whose files can't be bound, and for a far end that can't be
    opened; in that last case nothing has been sent.
    """
    probes = {place: probe for batch in batches for place, probe in batch.probes}
    heard = Heard(max(probes, default=0) + 1)
    try:
        with listening(far_ends, heard) as watch:
            outcomes = _carry_out([_job(batch, heard) for batch in batches if batch.probes])
        return {
            place: _last_word(probes[place], outcome, Call(heard, place, outcome.attempt), watch.lost)
            for place, outcome in outcomes.items()
        }
    finally:
        heard.close()


def _last_word(probe: Probe, outcome: Outcome, call: Call, lost: str | None) -> Outcome:
    """An error is only one if nothing arrived, and somebody was there to hear it, until the very end."""
    outcome = _with_arrival(probe, outcome, call)
    if probe.far_end and lost and outcome.error and not outcome.seen:
        return dataclasses.replace(outcome, error=lost, fault=True)
    return outcome


def _with_arrival(probe: Probe, outcome: Outcome, call: Call) -> Outcome:
    """An error, and what the far end has heard nevertheless."""
    arrival = call.arrival
    if outcome.error is None or outcome.fault or arrival is None:
        return outcome
    why = explain(OSError(arrival.errno, "")) if arrival.errno else ""
    return dataclasses.replace(outcome, error=lost_answer(probe, arrival.seen, why), seen=arrival.seen)


def probe_until_met(place: int, probe: Probe, heard: Heard) -> Outcome:
    for number in range(1, probe.retries + 2):
        if number > 1:
            time.sleep(min(PAUSE, probe.timeout))
        call = Call(heard, place, number)
        outcome = _with_arrival(probe, attempt(probe, call if probe.far_end else None), call)
        if meets(probe, outcome):
            break
    return dataclasses.replace(outcome, attempt=number)


def _open_echoes(batch: Batch) -> None:
    versions = {probe.act.address.version for _place, probe in batch.probes if isinstance(probe.act, Ping)}
    for version in sorted(versions):
        try:
            open_echo(socket.AF_INET if version == 4 else socket.AF_INET6).close()
        except PermissionError as error:
            raise Problem(
                f"no ping can be sent from namespace {batch.origin} ({error.strerror})",
                "run the task as root (become: true)",
            ) from None


def _work_through(batch: Batch, heard: Heard, send: _Send) -> None:
    """What a child does. Only after it has entered the namespace does it start threads, which inherit that."""
    if batch.origin.kind != "host":
        enter(batch.origin, batch.descriptor)
    named = _named(batch)
    if named:
        # Not for the others: a copy of all mounts costs more than many pings, as each namespace with a name is a mount.
        if batch.origin.kind != "host":
            unshare_mounts()
            bind_files(batch.origin)
        _set_resolver_timeout(max(probe.timeout for probe in named))
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        futures = {pool.submit(probe_until_met, place, probe, heard): place for place, probe in batch.probes}
        for future in concurrent.futures.as_completed(futures):
            send(_outcome(futures[future], future.result()))


def _named(batch: Batch) -> list[Probe]:
    """The probes that ask the resolver."""
    return [
        probe
        for _place, probe in batch.probes
        if isinstance(probe.act, Lookup)
        or (isinstance(probe.act, (Connect, Datagram)) and isinstance(probe.act.host, str))
    ]


def _set_resolver_timeout(seconds: float) -> None:
    """resolv.conf(5) has 5 seconds a server; within the probe's timeout a second server shall have its turn too."""
    each = max(1, int(seconds / 2))
    os.environ["RES_OPTIONS"] = f"{os.environ.get('RES_OPTIONS', '')} timeout:{each} attempts:2".strip()


def _job(batch: Batch, heard: Heard) -> _Job:
    return _Job(
        work=lambda send: _work_through(batch, heard, send),
        places=tuple(place for place, _probe in batch.probes),
        limit=longest([probe for _place, probe in batch.probes], THREADS) + GRACE,
    )


@dataclasses.dataclass(frozen=True)
class _Job:
    """What a child is to do, the places whose outcomes it owes, and the seconds it is given."""

    work: t.Callable[[_Send], None]
    places: tuple[int, ...]
    limit: float


@dataclasses.dataclass
class _Running:
    job: _Job
    child: Child
    deadline: float
    received: bytes = b""


def _outcome(place: int, outcome: Outcome) -> object:
    return {"place": place, "outcome": dataclasses.asdict(outcome)}


def _carry_out(jobs: t.Sequence[_Job]) -> dict[int, Outcome]:
    """Keeps up to CHILDREN children at work until all is done, and leaves none behind, whatever happens."""
    waiting = collections.deque(jobs)
    running: list[_Running] = []
    outcomes: dict[int, Outcome] = {}
    with selectors.DefaultSelector() as selector:
        try:
            while running or waiting:
                while waiting and len(running) < CHILDREN:
                    job = waiting.popleft()
                    running.append(_Running(job, spawn(job.work), time.monotonic() + job.limit))
                    selector.register(running[-1].child.pipe, selectors.EVENT_READ, running[-1])
                nearest = min(one.deadline for one in running)
                for key, _events in selector.select(max(0.0, nearest - time.monotonic())):
                    if not _receive(key.data, outcomes):
                        selector.unregister(key.fileobj)
                        _end(key.data, running, outcomes, stuck=False)
                now = time.monotonic()
                for one in [one for one in running if one.deadline <= now]:
                    selector.unregister(one.child.pipe)
                    _end(one, running, outcomes, stuck=True)
        finally:
            for one in running:
                reap(one.child, kill=True)
    return outcomes


def _receive(one: _Running, outcomes: dict[int, Outcome]) -> bool:
    """Takes what the child has sent; false when it has closed its end."""
    data = os.read(one.child.pipe, 65536)
    *lines, one.received = (one.received + data).split(b"\n")
    for line in lines:
        value = received(line)
        outcome = value["outcome"]
        outcomes[value["place"]] = Outcome(**{**outcome, "answers": tuple(outcome["answers"])})
    return bool(data)


def _end(one: _Running, running: list[_Running], outcomes: dict[int, Outcome], stuck: bool) -> None:
    running.remove(one)
    signal = reap(one.child, kill=stuck)
    why = "it did not end in time" if stuck else f"signal {signal}"
    for place in one.job.places:
        outcomes.setdefault(place, Outcome(error=f"the process that probes was killed ({why})", fault=True))
