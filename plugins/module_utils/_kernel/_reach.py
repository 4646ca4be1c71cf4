# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One attempt to reach a port of one address, by TCP or UDP, and to hear from its far end."""

from __future__ import annotations

import errno
import select
import socket
import struct
import time
import typing as t

from .._far_end import MOST_TEXT, excerpt, question, read_answer, seen_in, web_request
from .._probe import Connect, Datagram, Outcome, Probe, endpoint, seconds
from .._values import IPAddress
from ._echo import arrived_at, explain, next_icmp_error, report_icmp_errors, stamp_arrivals
from ._heard import Call

# Family and socket address, as getaddrinfo gives and connect takes them.
Target = tuple[int, tuple[t.Any, ...]]

# Where tcpi_rtt stands in the kernel's struct tcp_info, linux/tcp.h.
_TCPI_RTT = 68

# What says more of this machine than of the network.
_OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Failed(Exception):
    """The attempt was made and failed; says why, as far as one can tell from this end."""


class Fault(Exception):
    """The attempt could not be made; says why."""


def connect_to(target: Target, act: Connect, probe: Probe, timeout: float, call: Call | None) -> Outcome:
    family, address = target
    deadline = time.monotonic() + timeout
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        bind(sock, probe)
        report_icmp_errors(sock)
        sock.settimeout(timeout)
        started = time.perf_counter()
        try:
            sock.connect((address[0], act.port, *address[2:]))
        except OSError as error:
            # That of settimeout and the kernel's own mean the same.
            if isinstance(error, socket.timeout) or error.errno == errno.ETIMEDOUT:
                raise Failed(silence(probe)) from None
            icmp = next_icmp_error(sock)
            raise Failed(icmp.text) if icmp else refusal(error) from None
        rtt_ms = _handshake(sock) or (time.perf_counter() - started) * 1000
        if sock.getsockname() == sock.getpeername():
            # The kernel chose the very port as ours that nobody listens on, and TCP let the socket connect to itself.
            raise refusal(OSError(errno.ECONNREFUSED, "connection refused"))
        accepted = _endpoint(target, act)
        seen = None
        if call:
            seen = _hear_far_end(sock, probe, call, deadline, accepted)
        elif probe.expect.seen:
            seen = _hear_server(sock, act, probe, deadline, accepted)
    return Outcome(answers=(accepted,), rtt_ms=round(rtt_ms, 3), seen=seen)


def _handshake(sock: socket.socket) -> float:
    """The round trip of the handshake in ms, as the kernel measured it; 0 if it could not, as a packet was sent twice."""
    information = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCPI_RTT + 4)
    (microseconds,) = struct.unpack_from("=I", information, _TCPI_RTT)
    return float(microseconds) / 1000


def _hear_far_end(sock: socket.socket, probe: Probe, call: Call, deadline: float, accepted: str) -> str:
    asked = call.request
    seen, text = _converse(sock, asked, lambda said, _ended: read_answer(said, asked), deadline)
    if seen is not None:
        return seen
    where = probe.far_end.where if probe.far_end else ""
    if text is None:
        raise Failed(f"{accepted} accepted, but nothing arrived in {where} within {seconds(probe.timeout)}")
    raise Failed(f"{accepted} accepted, but {_not_ours(where)}" if text else f"{accepted} hung up, {_not_ours(where)}")


def _hear_server(sock: socket.socket, act: Connect, probe: Probe, deadline: float, accepted: str) -> str:
    seen, text = _converse(sock, web_request(endpoint(act.host, act.port)), seen_in, deadline)
    if seen is not None:
        return seen
    if not text:
        how = "hung up" if text is not None else f"said nothing within {seconds(probe.timeout)}"
        raise Failed(f"{accepted} accepted, but {how}")
    raise Failed(f"{accepted} does not tell whom it sees, its answer is {excerpt(text)!r}")


def _not_ours(where: object) -> str:
    return f"it is not the far end in {where}"


def _converse(
    sock: socket.socket, say: bytes, understand: t.Callable[[bytes, bool], str | None], deadline: float
) -> tuple[str | None, bytes | None]:
    """Speaks, and listens until it understands, nothing more comes, or the time is over.

    Returns what was understood, and all that came; None for that if the time was over before anything did.
    """
    text, ended = b"", False
    try:
        sock.sendall(say)
        while not ended and len(text) < MOST_TEXT:
            sock.settimeout(max(deadline - time.monotonic(), 0.001))
            data = sock.recv(65536)
            text, ended = text + data, not data
            understood = understand(text, ended)
            if understood is not None:
                return understood, text
    except OSError as error:
        # A reset is an end too.
        ended = not isinstance(error, socket.timeout)
    return understand(text, ended), text if text or ended else None


def send_to(target: Target, act: Datagram, probe: Probe, timeout: float, call: Call | None) -> Outcome:
    family, address = target
    deadline = time.monotonic() + timeout
    asked = call.request if call else question()
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        bind(sock, probe)
        report_icmp_errors(sock)
        stamp_arrivals(sock)
        try:
            # Connected, it hears of nobody else, and of the ICMP errors about its own datagrams.
            sock.connect((address[0], act.port, *address[2:]))
            if sock.getsockname() == sock.getpeername():
                # The very port that nobody has; what is sent there would come back to ourselves.
                raise Failed("port unreachable")
            sent = time.time_ns()
            sock.send(asked)
        except OSError as error:
            icmp = next_icmp_error(sock)
            raise Failed(icmp.text) if icmp else refusal(error) from None
        answered = _endpoint(target, act)
        stranger = False
        for said, came in _datagrams(sock, deadline):
            rtt_ms = round(max(0.0, (came - sent) / 1e6), 3)
            if not call and not probe.expect.seen:
                return Outcome(answers=(answered,), rtt_ms=rtt_ms)
            seen = read_answer(said, asked) if call else seen_in(said, ended=True)
            if seen is not None:
                return Outcome(answers=(answered,), rtt_ms=rtt_ms, seen=seen)
            if not call:
                raise Failed(f"{answered} does not tell whom it sees, its answer is {excerpt(said)!r}")
            stranger = True
    if not call:
        raise Failed(silence(probe))
    where = probe.far_end.where if probe.far_end else ""
    if stranger:
        raise Failed(f"{answered} answered, but {_not_ours(where)}")
    raise Failed(f"{silence(probe)}, nothing arrived in {where}")


def _datagrams(sock: socket.socket, deadline: float) -> t.Iterator[tuple[bytes, int]]:
    """What comes in until the deadline, each with the time at which it came."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            return
        icmp = next_icmp_error(sock)
        if icmp:
            raise Failed(icmp.text)
        try:
            said, ancillary, _flags, _address = sock.recvmsg(MOST_TEXT, 256, socket.MSG_DONTWAIT)
        except OSError:
            # What woke us was an error that no host reported, or whose report is still to come.
            continue
        yield said, arrived_at(ancillary)


def numeric(address: IPAddress) -> Target:
    """The index of a link-local address's interface is looked up in the namespace in which we are."""
    try:
        found = socket.getaddrinfo(str(address), None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        raise Fault(f"there is no interface for {address}") from None
    return found[0][0], found[0][4]


def bind(sock: socket.socket, probe: Probe) -> None:
    if probe.source is None:
        return
    try:
        sock.bind(numeric(probe.source)[1])
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise Fault(f"source {probe.source} is no address of this namespace") from None
        raise Fault(f"source {probe.source} can't be used ({error.strerror})") from None


def refusal(error: OSError) -> Exception:
    return Fault(explain(error)) if error.errno in _OUT_OF_RESOURCES else Failed(explain(error))


def silence(probe: Probe) -> str:
    return f"no answer within {seconds(probe.timeout)}"


def _endpoint(target: Target, act: Connect | Datagram) -> str:
    if not isinstance(act.host, str):
        return endpoint(act.host, act.port)
    family, address = target
    return endpoint(address[0], act.port) if family == socket.AF_INET else f"[{address[0]}]:{act.port}"
