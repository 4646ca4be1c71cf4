# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a probe is, when it has met its expectation, and how failed ones are told. Pure: nothing is sent from here."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import typing as t

from ._errors import Problem
from ._values import IPAddress, NamespaceRef, parse_host_name, parse_namespace

LONGEST_TIMEOUT = 300.0  # seconds
MOST_RETRIES = 100
# Seconds between two attempts, but never more than the probe's timeout. What settles after a change (duplicate address
# detection, a port of a bridge that learns, a service that starts) takes about so long.
PAUSE = 1.0

_BRACKETED = re.compile(r"\[([^\[\]]*)\]:(.*)\Z", re.DOTALL)
_PORT = re.compile(r"[0-9]{1,5}\Z")
_NUMBER = re.compile(r"(0[xX][0-9A-Fa-f]*|[0-9]+)\Z")


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
class Lookup:
    """All addresses of a name."""

    name: str

    def __str__(self) -> str:
        return f"resolve {self.name}"


Act = t.Union[Ping, Connect, Lookup]


@dataclasses.dataclass(frozen=True)
class Expectation:
    """Success, or failure, or success with this address among the answers."""

    success: bool = True
    address: IPAddress | None = None


@dataclasses.dataclass(frozen=True)
class Probe:
    origin: NamespaceRef
    act: Act
    expect: Expectation
    timeout: float  # seconds, of one attempt
    retries: int
    source: IPAddress | None = None


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What one attempt gave: the answers and the round trip time in ms, or an error in words.

    ``fault`` tells an attempt that could not be made at all (its source is no address of the namespace, the process that
    made it was killed). That proves nothing about the network, so it meets no expectation, not even that of failure.
    """

    answers: tuple[str, ...] = ()
    rtt_ms: float | None = None
    error: str | None = None
    fault: bool = False


def endpoint(host: IPAddress | str, port: int) -> str:
    return f"[{host}]:{port}" if isinstance(host, ipaddress.IPv6Address) else f"{host}:{port}"


def seconds(value: float) -> str:
    return f"{value:g} s"


def parse_probes(options: t.Sequence[t.Mapping[str, t.Any]]) -> tuple[Probe, ...]:
    """Raises a Problem that says which probe, counted from 1."""
    probes = []
    for number, option in enumerate(options, 1):
        try:
            probes.append(_parse_probe(option))
        except Problem as problem:
            raise Problem(f"probe {number}: {problem}") from None
    return tuple(probes)


def _parse_probe(option: t.Mapping[str, t.Any]) -> Probe:
    given = [kind for kind in _ACTS if option.get(kind) is not None]
    if len(given) != 1:
        what = f"has {' and '.join(given)} at once" if given else "does not say what to try"
        raise Problem(what, f"give one of {', '.join(_ACTS)}")
    kind = given[0]
    act = _ACTS[kind](option[kind])
    timeout, retries = option["timeout"], option["retries"]
    # Written so that not-a-number, which compares false with everything, is refused too.
    if not 0 < timeout <= LONGEST_TIMEOUT:
        raise Problem(f"timeout {timeout:g} is out of range", f"use seconds, above 0 and up to {LONGEST_TIMEOUT:g}")
    if not 0 <= retries <= MOST_RETRIES:
        raise Problem(f"retries {retries} is out of range", f"use 0 to {MOST_RETRIES}")
    return Probe(
        origin=parse_namespace(option["from"]),
        act=act,
        expect=_parse_expectation(option["expect"], kind),
        timeout=float(timeout),
        retries=retries,
        source=_parse_source(option.get("source"), act),
    )


def _parse_ping(text: str) -> Ping:
    return Ping(_parse_target(text, "ping"))


def _parse_tcp(text: str) -> Connect:
    bracketed = _BRACKETED.match(text)
    if bracketed:
        host, port = bracketed.groups()
        if ":" not in host:
            raise Problem(f"tcp {text!r} has no IPv6 address in its brackets", "write HOST:PORT or '[fd00::1]:80'")
    else:
        host, _colon, port = text.rpartition(":")
        if not host:
            raise Problem(f"tcp {text!r} is not complete", "write HOST:PORT, such as 10.0.0.1:80")
        if ":" in host:
            raise Problem(f"tcp {text!r} is ambiguous", "write an IPv6 address in brackets, such as '[fd00::1]:80'")
    if not _PORT.match(port) or not 1 <= int(port) <= 65535:
        raise Problem(f"tcp {text!r} has no valid port", "ports are numbers from 1 to 65535")
    if bracketed or _is_address(host):
        return Connect(_parse_target(host, "tcp"), int(port))
    return Connect(_parse_name(host, "tcp"), int(port))


def _parse_resolve(text: str) -> Lookup:
    if _is_address(text):
        raise Problem(f"resolve {text!r} is an address already", "give a name; ping and tcp take addresses")
    return Lookup(_parse_name(text, "resolve"))


# Which option stands for what. A kind of probe that is to come gets its line here and its attempt in _kernel/_attempts.py.
_ACTS: dict[str, t.Callable[[str], Act]] = {"ping": _parse_ping, "tcp": _parse_tcp, "resolve": _parse_resolve}


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _parse_target(text: str, what: str) -> IPAddress:
    """An address to which a packet can be sent, with its scope where it needs one: ``fe80::1%eth0``."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise Problem(f"{what} {text!r} is no IP address", "write it bare, such as 10.0.0.1 or fd00::1") from None
    if address.is_multicast or address.is_unspecified or str(address) == "255.255.255.255":
        raise Problem(f"{what} {text!r} is not the address of one host", "use a unicast address")
    if isinstance(address, ipaddress.IPv6Address):
        if address.is_link_local and not address.scope_id:
            raise Problem(f"{what} {text!r} is link-local", f"say by which interface, such as {address}%eth0")
        if address.scope_id and not address.is_link_local:
            raise Problem(f"{what} {text!r} names an interface", "only a link-local address needs one")
    return address


def _parse_name(text: str, what: str) -> str:
    try:
        name = parse_host_name(text)
    except Problem as problem:
        raise Problem(f"{what}: {problem}; other scripts in their ASCII form, xn--...") from None
    labels = name[:-1].split(".") if name.endswith(".") else name.split(".")
    # libc takes 10.1 for the address 10.0.0.1: nothing that ends in a number is looked up as a name.
    if _NUMBER.match(labels[-1]):
        raise Problem(
            f"{what} {text!r} is no IP address, and no name ends in a number", "write 10.0.0.1 or web.example"
        )
    if not all(1 <= len(label) <= 63 for label in labels):
        raise Problem(f"{what} {text!r} is no host name", "1 to 63 characters are allowed between two dots")
    return name


def _parse_expectation(text: str, kind: str) -> Expectation:
    if text in ("success", "failure"):
        return Expectation(success=text == "success")
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        choices = "success, failure or an address" if kind == "resolve" else "success or failure"
        raise Problem(f"expect {text!r} is unknown", f"use {choices}") from None
    if kind != "resolve":
        raise Problem(f"expect {text!r} is an address, which only resolve can give", "use success or failure")
    return Expectation(address=address)


def _parse_source(text: str | None, act: Act) -> IPAddress | None:
    if text is None:
        return None
    if isinstance(act, Lookup):
        raise Problem("resolve has no source", "leave it out; the resolver chooses its own")
    source = _parse_target(text, "source")
    target = act.address if isinstance(act, Ping) else act.host
    if not isinstance(target, str) and target.version != source.version:
        raise Problem(f"source {source} and {act} are not of one family", "use two IPv4 or two IPv6 addresses")
    return source


def meets(probe: Probe, outcome: Outcome) -> bool:
    if outcome.fault:
        return False
    if not probe.expect.success:
        return outcome.error is not None
    if outcome.error is not None:
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
    }


def _result(act: Act, answers: tuple[str, ...]) -> str | list[str] | None:
    if isinstance(act, Lookup):
        return list(answers) or None
    return answers[0] if answers else None


def _error(probe: Probe, outcome: Outcome, ok: bool) -> str | None:
    if ok or outcome.error is not None:
        return outcome.error
    seen = ", ".join(outcome.answers)
    if isinstance(probe.act, Lookup):
        seen = f"resolves to {seen}"
    else:
        seen = f"{seen} {'answered' if isinstance(probe.act, Ping) else 'accepted'}"
    if probe.expect.success:
        return f"{seen}, not to {probe.expect.address}"
    return f"{seen}, but failure was expected"


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
