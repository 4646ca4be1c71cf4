# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ICMP and ICMPv6 echo without a ping binary, and what ICMP says of a packet that did not arrive."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import errno
import os
import select
import socket
import struct
import time
import typing as t

# linux/in.h, linux/in6.h, linux/icmp.h, linux/icmpv6.h, linux/errqueue.h, asm-generic/socket.h
_IP_RECVERR = 11
_IPV6_RECVERR = 25
_SOL_RAW = 255
_ICMP_FILTER = 1
_ICMPV6_FILTER = 1
_SO_ATTACH_FILTER = 26
_SO_TIMESTAMPNS = 35
_ORIGIN_ICMP = 2
_ORIGIN_ICMPV6 = 3

_UNREACHABLE4 = 3
_TIME_EXCEEDED4 = 11
_PARAMETER4 = 12
_CODES4 = {
    0: "network unreachable",
    1: "host unreachable",
    2: "protocol unreachable",
    3: "port unreachable",
    4: "packet too big",
    5: "source route failed",
    6: "network unknown",
    7: "host unknown",
    8: "source host isolated",
    9: "network administratively prohibited",
    10: "host administratively prohibited",
    11: "network unreachable for this type of service",
    12: "host unreachable for this type of service",
    13: "administratively prohibited",
    14: "host precedence violation",
    15: "precedence cutoff",
}
_UNREACHABLE6 = 1
_CODES6 = {
    0: "no route",
    1: "administratively prohibited",
    2: "beyond the scope of the source address",
    3: "address unreachable",
    4: "port unreachable",
    5: "source address failed a policy",
    6: "rejected by a route",
}
_TYPES6 = {2: "packet too big", 3: "hop limit exceeded", 4: "parameter problem"}

# What the kernel itself answers to a send or a connect, in the words of ICMP where they mean the same.
_ERRORS = {
    errno.ENETUNREACH: "network unreachable, there is no route",
    errno.EHOSTUNREACH: "host unreachable",
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.EACCES: "prohibited by a route, or it is a broadcast address",
    errno.EPERM: "dropped by a firewall on its way out",
    errno.EINVAL: "invalid argument, the answer of a blackhole route",
    errno.EADDRNOTAVAIL: "there is no source address to send from",
}


@dataclasses.dataclass(frozen=True)
class IcmpError:
    """An error that came back, and the first bytes of the packet it is about, from its transport header on."""

    text: str
    about: bytes


def explain(error: OSError) -> str:
    return _ERRORS.get(error.errno or 0) or error.strerror or str(error)


def report_icmp_errors(sock: socket.socket) -> None:
    """Asks for the error itself, with its sender, instead of an errno that several errors share."""
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)


def next_icmp_error(sock: socket.socket) -> IcmpError | None:
    """The next error in the socket's queue that some host reported. Does not wait, nor does the socket afterwards."""
    # With a timeout Python would try until that has passed, whatever the flag says.
    sock.setblocking(False)
    while True:
        try:
            about, ancillary, _flags, _address = sock.recvmsg(2048, 512, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)
        except OSError:
            return None
        for level, kind, data in ancillary:
            if (level, kind) in ((socket.IPPROTO_IP, _IP_RECVERR), (socket.IPPROTO_IPV6, _IPV6_RECVERR)):
                text = _icmp_text(data)
                if text:
                    return IcmpError(text, about)


def _icmp_text(data: bytes) -> str | None:
    """Of a struct sock_extended_err and the address of the offender behind it; None for what is no ICMP error."""
    _errno, origin, kind, code = struct.unpack_from("=IBBB", data)
    family = struct.unpack_from("=H", data, 16)[0]
    if origin == _ORIGIN_ICMP:
        known = {
            _UNREACHABLE4: _CODES4.get(code, f"unreachable, code {code}"),
            _TIME_EXCEEDED4: "time to live exceeded",
            _PARAMETER4: "parameter problem",
        }
        text = known.get(kind)
    elif origin == _ORIGIN_ICMPV6:
        known = {_UNREACHABLE6: _CODES6.get(code, f"unreachable, code {code}"), **_TYPES6}
        text = known.get(kind)
    else:
        text = None
    if text is None:
        return None
    if family == socket.AF_INET:
        return f"{text}, says {socket.inet_ntop(family, data[20:24])}"
    if family == socket.AF_INET6:
        return f"{text}, says {socket.inet_ntop(family, data[24:40])}"
    return text


def open_echo(family: int) -> socket.socket:
    """A socket for echoes: a raw one, or the kind that net.ipv4.ping_group_range lets anybody open.

    Raises PermissionError if neither is allowed.
    """
    protocol = socket.IPPROTO_ICMPV6 if family == socket.AF_INET6 else socket.IPPROTO_ICMP
    try:
        return socket.socket(family, socket.SOCK_RAW, protocol)
    except PermissionError:
        return socket.socket(family, socket.SOCK_DGRAM, protocol)


def echo(sock: socket.socket, timeout: float) -> tuple[float | None, str | None]:
    """One echo over a connected socket of open_echo: the round trip in ms, or an error; neither if nobody answered."""
    request = _Request(sock)
    report_icmp_errors(sock)
    stamp_arrivals(sock)
    deadline = time.monotonic() + timeout
    sent = time.time_ns()
    try:
        sock.send(request.packet)
    except OSError as error:
        # A firewall that rejects on the way out says so both by errno and by ICMP; the latter tells more.
        icmp = next_icmp_error(sock)
        return None, icmp.text if icmp else explain(error)
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            return None, None
        icmp = next_icmp_error(sock)
        if icmp and request.caused(icmp.about):
            return None, icmp.text
        try:
            answer, ancillary, _flags, _address = sock.recvmsg(2048, 256, socket.MSG_DONTWAIT)
        except OSError:
            # What woke us was an error that concerns another packet to the same address.
            continue
        if request.answered_by(answer):
            return max(0.0, (arrived_at(ancillary) - sent) / 1e6), None


def stamp_arrivals(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)


def arrived_at(ancillary: t.Iterable[tuple[int, int, bytes]]) -> int:
    """When the kernel took the packet in, ns since the epoch; with many probes at once we come to look at it only later."""
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
            whole, fraction = struct.unpack_from("@ll", data)
            return int(whole) * 1_000_000_000 + int(fraction)
    return time.time_ns()


class _Request:
    """An echo request that is told from all others by 16 random bytes, and by its id where only the header comes back."""

    def __init__(self, sock: socket.socket) -> None:
        self._raw = sock.type == socket.SOCK_RAW
        self._has_ip_header = self._raw and sock.family == socket.AF_INET
        if sock.family == socket.AF_INET6:
            kind, self._reply = 128, 129
        else:
            kind, self._reply = 8, 0
        self._payload = os.urandom(16)
        self._id_and_sequence = os.urandom(4)
        self.packet = struct.pack("!BBH", kind, 0, 0) + self._id_and_sequence + self._payload
        if self._has_ip_header:
            # The kernel computes the checksum in every other case.
            checksum = struct.pack("!H", _checksum(self.packet))
            self.packet = self.packet[:2] + checksum + self.packet[4:]
        if self._raw:
            hear_only(sock, self._reply, self._id_and_sequence)

    def answered_by(self, packet: bytes) -> bool:
        start = (packet[0] & 15) * 4 if packet and self._has_ip_header else 0
        return packet[start : start + 2] == bytes([self._reply, 0]) and packet[start + 8 :] == self._payload

    def caused(self, about: bytes) -> bool:
        # A raw socket hears of every echo to its address; the other kind, whose id the kernel chooses, of its own alone.
        return not self._raw or about[4:8] == self._id_and_sequence


def hear_only(sock: socket.socket, kind: int, id_and_sequence: bytes) -> None:
    """Keeps all but one answer away from a raw socket, which otherwise gets a copy of every ICMP message.

    Many pings at once would fill each other's buffers, and the answer that matters would be dropped.
    """
    # A set bit keeps that type away.
    if sock.family == socket.AF_INET6:
        words = [0xFFFFFFFF] * 8
        words[kind >> 5] &= ~(1 << (kind & 31))
        sock.setsockopt(socket.IPPROTO_ICMPV6, _ICMPV6_FILTER, struct.pack("=8I", *words))
        load = [(0x20, 0, 0, 4)]  # the word at 4
    else:
        sock.setsockopt(_SOL_RAW, _ICMP_FILTER, struct.pack("=I", 0xFFFFFFFF & ~(1 << kind)))
        load = [(0xB1, 0, 0, 0), (0x40, 0, 0, 4)]  # the word at 4 behind the IP header
    (wanted,) = struct.unpack("!I", id_and_sequence)
    program = [
        *load,
        (0x15, 0, 1, wanted),
        (0x06, 0, 0, 0xFFFFFFFF),
        (0x06, 0, 0, 0),
    ]  # if equal all of it, else nothing
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *instruction) for instruction in program))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(program), ctypes.addressof(code)))
    # What came before the filters stood.
    with contextlib.suppress(OSError):
        while True:
            sock.recv(1, socket.MSG_DONTWAIT)


def _checksum(packet: bytes) -> int:
    """RFC 1071, of a packet of even length."""
    total: int = sum(t.cast("tuple[int, ...]", struct.unpack(f"!{len(packet) // 2}H", packet)))
    while total >> 16:
        total = (total >> 16) + (total & 0xFFFF)
    return ~total & 0xFFFF
