# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a probe is, when it has met its expectation, and how failed ones are told. Pure: nothing is sent from here."""

from __future__ import annotations

import dataclasses
import ipaddress
import typing as t

from ._values import IPAddress, NamespaceRef

# Seconds between two attempts, but never more than the probe's timeout. What settles after a change (duplicate address
# detection, a port of a bridge that learns, a service that starts) takes about so long.
PAUSE = 1.0


@dataclasses.dataclass(frozen=True)
class Ping:
    """One ICMP or ICMPv6 echo."""

    address: IPAddress

    def __str__(self) -> str:
        return f"ping {self.address}"


@dataclasses.dataclass(frozen=True)
class Connect:
    """A TCP connection, opened and closed again. A host that is a str is a name, to be resolved inside."""

    host: IPAddress | str
    port: int

    def __str__(self) -> str:
        return f"tcp {endpoint(self.host, self.port)}"


@dataclasses.dataclass(frozen=True)
class Datagram:
    """One UDP datagram, and an answer to it. A host that is a str is a name, to be resolved inside."""

    host: IPAddress | str
    port: int

    def __str__(self) -> str:
        return f"udp {endpoint(self.host, self.port)}"


@dataclasses.dataclass(frozen=True)
class Lookup:
    """All addresses of a name."""

    name: str

    def __str__(self) -> str:
        return f"resolve {self.name}"


Act = t.Union[Ping, Connect, Datagram, Lookup]


@dataclasses.dataclass(frozen=True)
class Expectation:
    """Success, or failure, or success with this address among the answers, or as the one that the far end saw."""

    success: bool = True
    address: IPAddress | None = None
    seen: IPAddress | None = None


@dataclasses.dataclass(frozen=True)
class FarEnd:
    """What the module itself opens for a probe: this port of all addresses of a namespace."""

    where: NamespaceRef
    port: int


@dataclasses.dataclass(frozen=True)
class Door:
    """A port on which far ends listen, for one family."""

    where: NamespaceRef
    protocol: str
    version: int
    port: int

    def __str__(self) -> str:
        return f"{self.protocol} port {self.port}"


@dataclasses.dataclass(frozen=True)
class Probe:
    origin: NamespaceRef
    act: Act
    expect: Expectation
    timeout: float  # seconds, of one attempt
    retries: int
    source: IPAddress | None = None
    far_end: FarEnd | None = None


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What one attempt gave: the answers and the round trip time in ms, or an error in words.

    ``seen`` is the address that the far end saw. Beside an error it tells that the probe arrived and its answer did not.
    ``fault`` tells an attempt that could not be made at all (its source is no address of the namespace, the process that
    made it was killed). That proves nothing about the network, so it meets no expectation, not even that of failure.
    """

    answers: tuple[str, ...] = ()
    rtt_ms: float | None = None
    error: str | None = None
    fault: bool = False
    seen: str | None = None
    attempt: int = 1  # which it was, counted from 1


def endpoint(host: IPAddress | str, port: int) -> str:
    return f"[{host}]:{port}" if isinstance(host, ipaddress.IPv6Address) else f"{host}:{port}"


def seconds(value: float) -> str:
    return f"{value:g} s"


def doors(probe: Probe) -> list[Door]:
    """What has to be opened before this probe; a name may lead to addresses of both families."""
    act, far_end = probe.act, probe.far_end
    if far_end is None or not isinstance(act, (Connect, Datagram)):
        return []
    known = probe.source if isinstance(act.host, str) else act.host
    protocol = "tcp" if isinstance(act, Connect) else "udp"
    versions = (4, 6) if known is None else (known.version,)
    return [Door(far_end.where, protocol, version, far_end.port) for version in versions]


def meets(probe: Probe, outcome: Outcome) -> bool:
    if outcome.fault:
        return False
    if not probe.expect.success:
        return outcome.error is not None and outcome.seen is None
    if outcome.error is not None:
        return False
    if probe.expect.seen is not None and probe.expect.seen != _address(outcome.seen):
        return False
    wanted = probe.expect.address
    return wanted is None or any(ipaddress.ip_address(answer) == wanted for answer in outcome.answers)


def report(probe: Probe, outcome: Outcome | None) -> dict[str, t.Any]:
    """The probe as the module returns it; without an outcome it was not sent."""
    ok = None if outcome is None else meets(probe, outcome)
    return {
        "from": str(probe.origin),
        "what": str(probe.act),
        "ok": ok,
        "result": _result(probe.act, outcome.answers) if outcome else None,
        "rtt_ms": outcome.rtt_ms if outcome else None,
        "error": _error(probe, outcome, bool(ok)) if outcome else None,
        "seen": outcome.seen if outcome else None,
    }


def _result(act: Act, answers: tuple[str, ...]) -> str | list[str] | None:
    if isinstance(act, Lookup):
        return list(answers) or None
    return answers[0] if answers else None


def _error(probe: Probe, outcome: Outcome, ok: bool) -> str | None:
    if ok:
        return outcome.error
    if outcome.error is not None:
        if probe.expect.success or outcome.fault or probe.far_end is None:
            return outcome.error
        return f"arrived in {probe.far_end.where} from {outcome.seen}, but failure was expected"
    answers = ", ".join(outcome.answers)
    if not probe.expect.success:
        return f"{_success(probe.act, answers)}, but failure was expected"
    if probe.expect.seen is not None:
        return f"the far end saw {outcome.seen}, not {probe.expect.seen}"
    return f"{_success(probe.act, answers)}, not to {probe.expect.address}"


def lost_answer(probe: Probe, seen: str, why: str = "") -> str:
    """The error of a probe that arrived at its far end, whose answer did not."""
    where = probe.far_end.where if probe.far_end else "the far end"
    back = f"no answer could be sent back ({why})" if why else f"no answer came back within {seconds(probe.timeout)}"
    return f"arrived in {where} from {seen}, but {back}"


def _success(act: Act, answers: str) -> str:
    if isinstance(act, Lookup):
        return f"resolves to {answers}"
    return f"{answers} {'accepted' if isinstance(act, Connect) else 'answered'}"


def _address(text: str | None) -> IPAddress | None:
    return None if text is None else ipaddress.ip_address(text)


def failure_text(reports: t.Sequence[t.Mapping[str, t.Any]]) -> str | None:
    """One line that counts, then a table of the probes that failed; None if there are none."""
    failed = [report for report in reports if not report["ok"]]
    if not failed:
        return None
    rows = [(f"from {report['from']}", report["what"], report["error"]) for report in failed]
    first, second = (max(len(row[column]) for row in rows) for column in (0, 1))
    head = f"{len(failed)} of {len(reports)} probes did not meet {'their' if len(failed) > 1 else 'its'} expectation:"
    return "\n".join([head, *(f"  {row[0]:<{first}}  {row[1]:<{second}}  {row[2]}" for row in rows)])


def longest(probes: t.Sequence[Probe], at_once: int) -> float:
    """Seconds after which these probes, so many of them at once, have all run into their last timeout."""
    each = [probe.timeout * (probe.retries + 1) + min(PAUSE, probe.timeout) * probe.retries for probe in probes]
    return sum(each) / at_once + max(each, default=0.0)
