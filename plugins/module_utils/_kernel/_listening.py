# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The far ends that ns_probe opens itself: one child process that listens in any number of namespaces.

A socket stays in the namespace in which it was opened, while the process moves on to the next. With the process all of them
end, whatever ends that.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import selectors
import socket
import struct
import time
import typing as t

from .._errors import Problem
from .._far_end import MOST_TEXT, REQUEST_LENGTH, answer, without_disguise
from .._probe import Door
from ._heard import Arrival, Heard
from ._inside import Child, enter, reap, received, spawn
from ._namespaces import identity

# linux/in.h: the address to which a datagram was sent, and from which its answer is to leave.
_IP_PKTINFO = 8
_BACKLOG = 1024
# Seconds for what has come in already when all probes are through, and for the process to end.
_LAST_LOOK = 1.0
_GRACE = 20.0

_Handler = t.Callable[[socket.socket], None]


class Place(t.NamedTuple):
    """A port to listen on, and the descriptor of its namespace."""

    door: Door
    descriptor: int


class Watch:
    """How it went: after the `with` of `listening`, why the far ends were lost before their time, if they were."""

    lost: str | None = None


@contextlib.contextmanager
def listening(places: t.Sequence[Place], heard: Heard) -> t.Iterator[Watch]:
    """All far ends are open inside the `with`; when it ends, `heard` has everything that arrived until then.

    Raises a Problem if one can't be opened.
    """
    watch = Watch()
    if not places:
        yield watch
        return
    stop, stopper = os.pipe()
    try:
        child = spawn(lambda send: _listen(places, heard, stop, send))
        finished = False
        try:
            if not _says(child, "listening"):
                raise Problem("no far end could be opened, the process that listens was killed")
            yield watch
            os.write(stopper, b"\n")
            finished = _says(child, "finished")
        finally:
            signal = reap(child, kill=True)
        if not finished:
            watch.lost = f"the process that listens was killed (signal {signal})"
    finally:
        os.close(stop)
        os.close(stopper)


def _says(child: Child, word: str) -> bool:
    """Waits for this word of the child's; false if it ends, or takes too long, before it."""
    said = b""
    # Not select(2): with a thousand namespaces held the descriptor is beyond what that can take.
    poll = select.poll()
    poll.register(child.pipe, select.POLLIN)
    while not said.endswith(b"\n"):
        data = os.read(child.pipe, 65536) if poll.poll(_GRACE * 1000) else b""
        if not data:
            return False
        said += data
    return bool(received(said)["said"] == word)


# In the child


def _listen(places: t.Sequence[Place], heard: Heard, stop: int, send: t.Callable[[object], None]) -> None:
    with selectors.DefaultSelector() as selector:
        far_ends = _FarEnds(selector, heard)
        opened = set()
        # Whoever has entered a namespace does not return to the host.
        for place in sorted(places, key=lambda place: place.door.where.kind != "host"):
            door = place.door
            same = (identity(place.descriptor), door.protocol, door.version, door.port)
            if same not in opened:
                opened.add(same)
                if door.where.kind != "host":
                    enter(door.where, place.descriptor)
                far_ends.open(door)
        send({"said": "listening"})
        far_ends.serve_until(stop)
    send({"said": "finished"})


class _FarEnds:
    """The open sockets, and how each is served."""

    def __init__(self, selector: selectors.BaseSelector, heard: Heard) -> None:
        self._selector = selector
        self._heard = heard

    def open(self, door: Door) -> None:
        """Raises a Problem if the port is taken in the namespace in which we are, or not for us."""
        try:
            sock = _open(door)
        except OSError as error:
            if error.errno == errno.EAFNOSUPPORT:
                return  # without IPv6 none can arrive
            if error.errno == errno.EADDRINUSE:
                why, advice = "it is in use there", "leave listen out to probe what is there, or take another port"
            else:
                why = error.strerror or str(error)
                advice = "run the task as root (become: true)" if isinstance(error, PermissionError) else ""
            raise Problem(f"no far end can be opened on {door} of namespace {door.where}, {why}", advice) from None
        sock.setblocking(False)
        self._serve(sock, self._accept if door.protocol == "tcp" else self._answer_datagram)

    def serve_until(self, stop: int) -> None:
        self._selector.register(stop, selectors.EVENT_READ, None)
        stopped = False
        while not stopped:
            stopped = not self._serve_once(None)
        self._selector.unregister(stop)
        deadline = time.monotonic() + _LAST_LOOK
        while self._serve_once(0) and time.monotonic() < deadline:
            pass

    def _serve_once(self, timeout: float | None) -> bool:
        """False when there is nothing more to do, or somebody said so."""
        events = self._selector.select(timeout)
        for key, _mask in events:
            if key.data is not None:
                key.data(key.fileobj)
        return bool(events) and all(key.data is not None for key, _mask in events)

    def _serve(self, sock: socket.socket, handler: _Handler) -> None:
        self._selector.register(sock, selectors.EVENT_READ, handler)

    def _accept(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError):  # it may have gone again
            connection, address = sock.accept()
            connection.setblocking(False)
            _leave_no_trace(connection)
            received = bytearray()
            self._serve(connection, lambda connection: self._answer_stream(connection, received, address[0]))

    def _answer_stream(self, sock: socket.socket, received: bytearray, address: str) -> None:
        """The one who asks hangs up first."""
        data = b""
        with contextlib.suppress(OSError):
            data = sock.recv(REQUEST_LENGTH + 1)
        received += data
        if data and len(received) < REQUEST_LENGTH:
            return
        seen = without_disguise(address)
        if data and self._heard.note(bytes(received), Arrival(seen, 0)):
            with contextlib.suppress(OSError):
                sock.send(answer(bytes(received), seen))
            return
        self._selector.unregister(sock)
        sock.close()

    def _answer_datagram(self, sock: socket.socket) -> None:
        """Answers from the address that was asked: the route back may prefer another, which the asker does not know."""
        with contextlib.suppress(OSError):
            data, ancillary, _flags, address = sock.recvmsg(MOST_TEXT, 256)
            seen = without_disguise(address[0])
            if self._heard.note(data, Arrival(seen, 0)):
                try:
                    sock.sendmsg([answer(data, seen)], _from_the_same(ancillary, address), 0, address)
                except OSError as error:
                    self._heard.note(data, Arrival(seen, error.errno or 0))


def _open(door: Door) -> socket.socket:
    family = socket.AF_INET if door.version == 4 else socket.AF_INET6
    sock = socket.socket(family, socket.SOCK_STREAM if door.protocol == "tcp" else socket.SOCK_DGRAM)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if door.protocol == "tcp":
            # Old connections of a port don't keep us from it; who listens on it does all the same.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        elif family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        sock.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", door.port))
        if door.protocol == "tcp":
            sock.listen(_BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _leave_no_trace(sock: socket.socket) -> None:
    """Ends by a reset, at both ends: otherwise one of them would hold its port for a minute (TIME_WAIT)."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _from_the_same(
    ancillary: t.Iterable[tuple[int, int, bytes]], asker: tuple[t.Any, ...]
) -> list[tuple[int, int, bytes]]:
    """The ancillary data with which an answer leaves from the address to which the question came.

    Source: ip(7), struct in_pktinfo (interface, address to use, address in the header); ipv6(7), struct in6_pktinfo.
    """
    for level, kind, data in ancillary:
        if (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO):
            return [(level, kind, struct.pack("=I4s4s", 0, data[4:8], b""))]
        if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
            # Only a link-local address is to be found on one interface alone.
            return [(level, kind, data[:16] + struct.pack("=I", asker[3]))]
    return []
