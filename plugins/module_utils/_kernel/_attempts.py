# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One attempt at a probe of each kind, in the namespace in which the process is."""

from __future__ import annotations

import errno
import queue
import socket
import struct
import threading
import time
import typing as t

from .._probe import Connect, Lookup, Outcome, Ping, Probe, endpoint, seconds
from .._values import IPAddress
from ._echo import echo, explain, next_icmp_error, open_echo, report_icmp_errors

# Family and socket address, as getaddrinfo gives and connect takes them.
_Target = tuple[int, tuple[t.Any, ...]]

# Where tcpi_rtt stands in the kernel's struct tcp_info, linux/tcp.h.
_TCPI_RTT = 68

_LOOKUP_ERRORS = {
    socket.EAI_NONAME: "no such name",
    socket.EAI_AGAIN: "no name server answered",
    socket.EAI_FAIL: "the name server failed",
    getattr(socket, "EAI_NODATA", -5): "the name has no address",
}
# What says more of this machine than of the network.
_OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class _Failed(Exception):
    """The attempt was made and failed; says why."""


class _Fault(Exception):
    """The attempt could not be made; says why."""


def attempt(probe: Probe) -> Outcome:
    act = probe.act
    try:
        if isinstance(act, Ping):
            return _ping(act, probe)
        if isinstance(act, Connect):
            return _connect(act, probe)
        return _resolve(act, probe)
    except _Failed as failure:
        return Outcome(error=str(failure))
    except _Fault as fault:
        return Outcome(error=str(fault), fault=True)
    except OSError as error:
        # Of a call that does not depend on the network, such as opening the socket.
        return Outcome(error=explain(error), fault=True)


def _ping(act: Ping, probe: Probe) -> Outcome:
    family, address = _numeric(act.address)
    with open_echo(family) as sock:
        _bind(sock, probe)
        try:
            sock.connect(address)
        except OSError as error:
            raise _refusal(error) from None
        rtt_ms, error_text = echo(sock, probe.timeout)
    if rtt_ms is None:
        raise _Failed(error_text or _silence(probe))
    return Outcome(answers=(str(act.address),), rtt_ms=round(rtt_ms, 3))


def _connect(act: Connect, probe: Probe) -> Outcome:
    """Tries the addresses of a name in the order of the resolver; the first that accepts is the answer."""
    deadline = time.monotonic() + probe.timeout
    if not isinstance(act.host, str):
        return _connect_to(_numeric(act.host), act.port, probe, probe.timeout)
    try:
        targets = _lookup(act.host, probe)
    except _Failed as failure:
        raise _Failed(f"{act.host}: {failure}") from None
    if probe.source is not None:
        family = _family(probe.source)
        targets = [target for target in targets if target[0] == family]
    errors = []
    for position, target in enumerate(targets):
        # One dead address must not use up the time of those behind it.
        share = (deadline - time.monotonic()) / (len(targets) - position)
        try:
            return _connect_to(target, act.port, probe, max(share, 0.001))
        except _Failed as failure:
            errors.append(f"{target[1][0]}: {failure}")
    raise _Failed("; ".join(errors) or f"{act.host} has no address of the family of {probe.source}")


def _connect_to(target: _Target, port: int, probe: Probe, timeout: float) -> Outcome:
    family, address = target
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        _bind(sock, probe)
        report_icmp_errors(sock)
        sock.settimeout(timeout)
        started = time.perf_counter()
        try:
            sock.connect((address[0], port, *address[2:]))
        except OSError as error:
            # That of settimeout and the kernel's own mean the same.
            if isinstance(error, socket.timeout) or error.errno == errno.ETIMEDOUT:
                raise _Failed(_silence(probe)) from None
            icmp = next_icmp_error(sock)
            raise _Failed(icmp.text) if icmp else _refusal(error) from None
        rtt_ms = _handshake(sock) or (time.perf_counter() - started) * 1000
        if sock.getsockname() == sock.getpeername():
            # The kernel chose the very port as ours that nobody listens on, and TCP let the socket connect to itself.
            raise _refusal(OSError(errno.ECONNREFUSED, "connection refused"))
    accepted = endpoint(address[0], port) if family == socket.AF_INET else f"[{address[0]}]:{port}"
    return Outcome(answers=(accepted,), rtt_ms=round(rtt_ms, 3))


def _handshake(sock: socket.socket) -> float:
    """The round trip of the handshake in ms, as the kernel measured it; 0 if it could not, as a packet was sent twice."""
    information = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCPI_RTT + 4)
    (microseconds,) = struct.unpack_from("=I", information, _TCPI_RTT)
    return float(microseconds) / 1000


def _resolve(act: Lookup, probe: Probe) -> Outcome:
    started = time.perf_counter()
    found = _lookup(act.name, probe)
    rtt_ms = (time.perf_counter() - started) * 1000
    return Outcome(answers=tuple(address[0] for _family, address in found), rtt_ms=round(rtt_ms, 3))


def _lookup(name: str, probe: Probe) -> list[_Target]:
    """All addresses by the resolver of libc, in its order.

    It can't be interrupted, so it works in a thread that is left behind when the time is over; it ends with the process.
    """
    answer: queue.SimpleQueue[list[_Target] | OSError] = queue.SimpleQueue()

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
        raise _Failed(f"no answer from a name server within {seconds(probe.timeout)}") from None
    if isinstance(found, OSError):
        raise _Failed(_LOOKUP_ERRORS.get(found.errno or 0) or str(found.strerror))
    return found


def _numeric(address: IPAddress) -> _Target:
    """The index of a link-local address's interface is looked up in the namespace in which we are."""
    try:
        found = socket.getaddrinfo(str(address), None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        raise _Fault(f"there is no interface for {address}") from None
    return found[0][0], found[0][4]


def _bind(sock: socket.socket, probe: Probe) -> None:
    if probe.source is None:
        return
    try:
        sock.bind(_numeric(probe.source)[1])
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise _Fault(f"source {probe.source} is no address of this namespace") from None
        raise _Fault(f"source {probe.source} can't be used ({error.strerror})") from None


def _family(address: IPAddress) -> int:
    return socket.AF_INET if address.version == 4 else socket.AF_INET6


def _refusal(error: OSError) -> Exception:
    return _Fault(explain(error)) if error.errno in _OUT_OF_RESOURCES else _Failed(explain(error))


def _silence(probe: Probe) -> str:
    return f"no answer within {seconds(probe.timeout)}"
