# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What far ends have heard of probes, in memory that the listening and the probing processes share."""

from __future__ import annotations

import mmap
import struct
import typing as t

from .._far_end import new_secret, read_request, request

# The attempt, the errno with which the answer was refused, and the address it came from. An attempt that nobody has heard
# is 0, as is all of the memory at first.
_ENTRY = struct.Struct("=Ii48s")


class Arrival(t.NamedTuple):
    """The address that the far end saw, and why its answer could not be sent; 0 if it was."""

    seen: str
    errno: int


class Heard:
    """Made before the processes that share it are forked."""

    def __init__(self, probes: int) -> None:
        self._secret = new_secret()
        self._memory = mmap.mmap(-1, max(1, probes) * _ENTRY.size)

    def note(self, data: bytes, arrival: Arrival) -> bool:
        """False if these bytes are no request of this task."""
        read = read_request(data, self._secret)
        if read is None or (read[0] + 1) * _ENTRY.size > len(self._memory):
            return False
        place, attempt = read
        _ENTRY.pack_into(self._memory, place * _ENTRY.size, attempt, arrival.errno, arrival.seen.encode())
        return True

    def of(self, place: int, attempt: int) -> Arrival | None:
        """What the far end heard of this attempt at the probe in this place of the task, so far."""
        last, errno, seen = _ENTRY.unpack_from(self._memory, place * _ENTRY.size)
        return Arrival(seen.rstrip(b"\0").decode(), errno) if last == attempt else None

    def request(self, place: int, attempt: int) -> bytes:
        return request(self._secret, place, attempt)

    def close(self) -> None:
        self._memory.close()


class Call(t.NamedTuple):
    """One attempt at a probe that has a far end of ours."""

    heard: Heard
    place: int
    attempt: int

    @property
    def request(self) -> bytes:
        return self.heard.request(self.place, self.attempt)

    @property
    def arrival(self) -> Arrival | None:
        return self.heard.of(self.place, self.attempt)
