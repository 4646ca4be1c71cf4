# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the kernel and the machine have come to rest, so that no way pays for the one before it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import subprocess
import time
from pathlib import Path

from .way import Failed

MNT_DETACH = 2
# Of all processors, in a fifth of a second: what a machine does that does nothing.
IDLE_SHARE = 0.1
# A namespace that nothing stands in the way of is gone sooner, in seconds.
PROMPTLY = 0.2

libc = ctypes.CDLL(None, use_errno=True)


def exists(link: str) -> bool:
    try:
        return socket.if_nametoindex(link) > 0
    except OSError:
        return False


class Marker:
    """A namespace that is ended after those of a lab. The kernel ends them in that order, some time after they were let
    go: when its link is gone, theirs are."""

    NAME = "bench-marker"
    LINK = "marker0"

    def __init__(self) -> None:
        veth = f"ip link add name {self.LINK} type veth peer name eth0 netns {self.NAME}"
        for words in (f"ip netns add {self.NAME}", veth):
            subprocess.run(words.split(), check=True)

    def end(self) -> None:
        """By system calls: a process would take its time, which is measured here."""
        path = f"/run/netns/{self.NAME}"
        if libc.umount2(path.encode(), MNT_DETACH):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)
        os.unlink(path)

    def wait(self, limit: float = 120) -> None:
        """Until it is gone, and every link of the host but lo."""
        until = time.monotonic() + limit
        while exists(self.LINK) or len(socket.if_nameindex()) > 1:
            if time.monotonic() > until:
                left = [name for _index, name in socket.if_nameindex()]
                raise Failed(f"not gone after {limit:.0f} s: {', '.join(left)[:200]}")
            time.sleep(0.001)


def settle(limit: float = 60) -> None:
    """Until namespaces of earlier runs have gone, whose sandbox has ended; ours has no link yet."""
    until = time.monotonic() + limit
    prompt = 0
    while prompt < 2 and time.monotonic() < until:
        marker = Marker()
        began = time.monotonic()
        marker.end()
        marker.wait()
        prompt = prompt + 1 if time.monotonic() - began < PROMPTLY else 0
    rest()


def rest(limit: float = 10) -> bool:
    """Waits until the processors have nothing to do, and says whether they came to that before it was long enough. A lab
    that came up is busy for a while: each link reports to every other that it is there."""
    until = time.monotonic() + limit
    while time.monotonic() < until:
        busy, total = times()
        time.sleep(0.2)
        later, end = times()
        if (later - busy) <= IDLE_SHARE * (end - total):
            return True
    return False


def times() -> tuple[int, int]:
    """Busy, and all, in ticks since the machine came up; proc_stat(5)."""
    with contextlib.suppress(OSError):
        ticks = [int(word) for word in Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]]
        idle = ticks[3] + ticks[4]
        return sum(ticks) - idle, sum(ticks)
    return 0, 0
