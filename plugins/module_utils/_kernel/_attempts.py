# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One attempt at a probe of each kind, in the namespace in which the process is."""

from __future__ import annotations

import queue
import socket
import threading
import time

from .._probe import Connect, Datagram, Lookup, Outcome, Ping, Probe, seconds
from ._echo import echo, explain, open_echo
from ._heard import Call
from ._reach import Failed, Fault, Target, bind, connect_to, numeric, refusal, send_to, silence

_LOOKUP_ERRORS = {
    socket.EAI_NONAME: "no such name",
    socket.EAI_AGAIN: "no name server answered",
    socket.EAI_FAIL: "the name server failed",
    getattr(socket, "EAI_NODATA", -5): "the name has no address",
}


def attempt(probe: Probe, call: Call | None = None) -> Outcome:
    """``call`` for a probe that has a far end of ours."""
    act = probe.act
    try:
        if isinstance(act, Ping):
            return _ping(act, probe)
        if isinstance(act, Lookup):
            return _resolve(act, probe)
        return _reach(act, probe, call)
    except Failed as failure:
        return Outcome(error=str(failure))
    except Fault as fault:
        return Outcome(error=str(fault), fault=True)
    except OSError as error:
        # Of a call that does not depend on the network, such as opening the socket.
        return Outcome(error=explain(error), fault=True)


def _ping(act: Ping, probe: Probe) -> Outcome:
    family, address = numeric(act.address)
    with open_echo(family) as sock:
        bind(sock, probe)
        try:
            sock.connect(address)
        except OSError as error:
            raise refusal(error) from None
        rtt_ms, error_text = echo(sock, probe.timeout)
    if rtt_ms is None:
        raise Failed(error_text or silence(probe))
    return Outcome(answers=(str(act.address),), rtt_ms=round(rtt_ms, 3))


def _reach(act: Connect | Datagram, probe: Probe, call: Call | None) -> Outcome:
    """Tries the addresses of a name in the order of the resolver; the first that answers is the answer."""
    deadline = time.monotonic() + probe.timeout
    if not isinstance(act.host, str):
        return _reach_address(numeric(act.host), act, probe, probe.timeout, call)
    try:
        targets = _lookup(act.host, probe)
    except Failed as failure:
        raise Failed(f"{act.host}: {failure}") from None
    if probe.source is not None:
        family = socket.AF_INET if probe.source.version == 4 else socket.AF_INET6
        targets = [target for target in targets if target[0] == family]
    errors = []
    for position, target in enumerate(targets):
        # One dead address must not use up the time of those behind it.
        share = (deadline - time.monotonic()) / (len(targets) - position)
        try:
            return _reach_address(target, act, probe, max(share, 0.001), call)
        except Failed as failure:
            errors.append(f"{target[1][0]}: {failure}")
    raise Failed("; ".join(errors) or f"{act.host} has no address of the family of {probe.source}")


def _reach_address(target: Target, act: Connect | Datagram, probe: Probe, timeout: float, call: Call | None) -> Outcome:
    if isinstance(act, Connect):
        return connect_to(target, act, probe, timeout, call)
    return send_to(target, act, probe, timeout, call)


def _resolve(act: Lookup, probe: Probe) -> Outcome:
    started = time.perf_counter()
    found = _lookup(act.name, probe)
    rtt_ms = (time.perf_counter() - started) * 1000
    return Outcome(answers=tuple(address[0] for _family, address in found), rtt_ms=round(rtt_ms, 3))


def _lookup(name: str, probe: Probe) -> list[Target]:
    """All addresses by the resolver of libc, in its order.

    It can't be interrupted, so it works in a thread that is left behind when the time is over; it ends with the process.
    """
    answer: queue.SimpleQueue[list[Target] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            # As bytes: Python would turn a str into its IDNA form first, and has its own opinion of what is allowed there.
            found = socket.getaddrinfo(name.encode("ascii"), None, type=socket.SOCK_STREAM)
            answer.put(list(dict.fromkeys((family, address) for family, _type, _protocol, _name, address in found)))
        except OSError as error:
            answer.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        found = answer.get(timeout=probe.timeout)
    except queue.Empty:
        raise Failed(f"no answer from a name server within {seconds(probe.timeout)}") from None
    if isinstance(found, OSError):
        raise Failed(_LOOKUP_ERRORS.get(found.errno or 0) or str(found.strerror))
    return found
