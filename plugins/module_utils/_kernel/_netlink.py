# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plain netlink socket: batches of requests with their acknowledgements, and dumps. Sees bytes, no attributes.

pyroute2's own sockets start a thread or an event loop each and cost a millisecond a request.

Source: netlink(7), linux/netlink.h, Documentation/userspace-api/netlink/intro.rst.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import typing as t

from ._refusal import KernelRefused, refusal

NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_ACK = 0x1, 0x4
NLM_F_DUMP_INTR = 0x10
SOL_NETLINK, NETLINK_CAP_ACK, NETLINK_EXT_ACK = 270, 10, 11
SO_RCVBUFFORCE = 33

BATCH = 128  # more than 256 unread acknowledgements overrun the receive buffer
RECEIVE_BYTES = 1 << 16  # a dump comes by 32 KiB at most; far more than that costs more to allocate than to read
DUMP_TRIES = 10

_HEADER = struct.Struct("=IHHII")


class Netlink:
    """A socket of one netlink family in the namespace in which the calling thread is when it is made."""

    def __init__(self, family: int) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, family)
        try:
            for option in (NETLINK_CAP_ACK, NETLINK_EXT_ACK):
                self._socket.setsockopt(SOL_NETLINK, option, 1)
            with contextlib.suppress(PermissionError):  # in a user namespace; a batch fits the default buffer
                self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 20)
            self._socket.bind((0, 0))
        except BaseException:
            self._socket.close()
            raise
        self._sequence = 0

    def close(self) -> None:
        self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def request(self, messages: t.Sequence[bytes]) -> list[KernelRefused | None]:
        """Send encoded messages, at most BATCH in one send; the answer to each, None where it was acknowledged.

        The kernel goes on with the rest of a send after a message that failed.
        """
        answers: list[KernelRefused | None] = []
        for start in range(0, len(messages), BATCH):
            answers += self._request(messages[start : start + BATCH], start)
        return answers

    def _request(self, messages: t.Sequence[bytes], start: int) -> list[KernelRefused | None]:
        first = self._sequence + 1
        packet = b"".join(self._numbered(message, NLM_F_REQUEST | NLM_F_ACK) for message in messages)
        self._socket.send(packet)
        answers: list[KernelRefused | None] = [None] * len(messages)
        waiting = set(range(len(messages)))
        while waiting:
            for kind, flags, sequence, answer in self._receive():
                if kind != NLMSG_ERROR or not 0 <= sequence - first < len(messages):
                    continue
                place = sequence - first
                waiting.discard(place)
                answers[place] = refusal(flags, answer, start + place)
        return answers

    def dump(self, message: bytes, flags: int) -> list[bytes]:
        """All messages of a dump, each with its header; one that was interrupted by a change is taken again."""
        for _attempt in range(DUMP_TRIES):
            self._socket.send(self._numbered(message, NLM_F_REQUEST | flags))
            found, interrupted = self._collect()
            if not interrupted:
                return found
        raise KernelRefused(0, "the state kept changing while it was read")

    def get(self, message: bytes) -> bytes | None:
        """The one answer to a request; None where the kernel has no such object."""
        sent = self._numbered(message, NLM_F_REQUEST)
        self._socket.send(sent)
        while True:
            for kind, _flags, sequence, answer in self._receive():
                if sequence == self._sequence:
                    return None if kind == NLMSG_ERROR else answer

    def _numbered(self, message: bytes, flags: int) -> bytes:
        """The message with its sequence number, and ``flags`` added."""
        self._sequence += 1
        length, kind, own, _sequence, _pid = _HEADER.unpack_from(message)
        return _HEADER.pack(length, kind, own | flags, self._sequence, 0) + message[_HEADER.size :]

    def _collect(self) -> tuple[list[bytes], bool]:
        found: list[bytes] = []
        interrupted = False
        while True:
            for kind, flags, sequence, answer in self._receive():
                if sequence != self._sequence:
                    continue
                interrupted = interrupted or bool(flags & NLM_F_DUMP_INTR)
                if kind == NLMSG_DONE:
                    return found, interrupted
                if kind == NLMSG_ERROR:
                    refused = refusal(flags, answer, None)
                    if refused is not None:
                        raise refused
                    return found, interrupted
                found.append(answer)

    def _receive(self) -> t.Iterator[tuple[int, int, int, bytes]]:
        """Of each message that has come its type, flags and number, and all of it."""
        data = self._socket.recv(RECEIVE_BYTES)
        offset = 0
        while offset + _HEADER.size <= len(data):
            length, kind, flags, sequence, _pid = _HEADER.unpack_from(data, offset)
            yield kind, flags, sequence, data[offset : offset + length]
            offset += (length + 3) & ~3
