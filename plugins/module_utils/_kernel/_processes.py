# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes: who is inside a network namespace, and ending them. Source: proc(5), pidfd_open(2)."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import typing as t

from .._values import NETNS_DIR

GRACE_SECONDS = 5.0  # between SIGTERM and SIGKILL


def by_namespace() -> dict[str, list[int]]:
    """The pids in each network namespace, by the namespace's identity; processes that can't be looked into are left out."""
    found: dict[str, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                status = os.stat(f"/proc/{entry}/ns/net")
                found.setdefault(f"{status.st_dev}:{status.st_ino}", []).append(int(entry))
    return {key: sorted(pids) for key, pids in found.items()}


def by_open_namespace() -> dict[int, list[int]]:
    """The pids, other than our own, that have a network namespace open by a descriptor, by its inode."""
    found: dict[int, set[int]] = {}
    nsfs = os.stat("/proc/self/ns/net").st_dev
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            with contextlib.suppress(OSError):
                for handle in os.listdir(f"/proc/{entry}/fd"):
                    with contextlib.suppress(OSError):
                        path = f"/proc/{entry}/fd/{handle}"
                        target = os.readlink(path)
                        if target.startswith("net:["):
                            found.setdefault(int(target[len("net:[") : -1]), set()).add(int(entry))
                        elif target == "/" or target.startswith(f"{NETNS_DIR}/"):  # by its name, or by one that is gone
                            status = os.stat(path)
                            if status.st_dev == nsfs:
                                found.setdefault(status.st_ino, set()).add(int(entry))
    return {inode: sorted(pids) for inode, pids in found.items()}


def end(pids: t.Iterable[int]) -> None:
    """SIGTERM, and SIGKILL for what is still there after the grace time; held by pidfd, as pids are reused."""
    handles = []
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            handles.append(os.pidfd_open(pid))
    try:
        for number, grace in ((signal.SIGTERM, GRACE_SECONDS), (signal.SIGKILL, GRACE_SECONDS)):
            for handle in handles:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, number)
            if all(_ended(handle, grace) for handle in handles):
                return
    finally:
        for handle in handles:
            os.close(handle)


def _ended(handle: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(int(seconds * 1000)))
