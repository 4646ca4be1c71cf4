# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of one's own: a network and a mount namespace that the test process itself enters and leaves.

Inside, /run is empty, /etc is a copy whose changes are lost, /sys shows the links of the sandbox, and lo is up. Nothing
that is done there reaches the machine. Leaving ends what still runs inside and says what it was.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

CLONE_FS, CLONE_NEWNS, CLONE_NEWNET = 0x200, 0x20000, 0x40000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000

MARK = "NSLAB_TEST_SANDBOX"
NAMESPACES = Path("/proc/thread-self/ns")

libc = ctypes.CDLL(None, use_errno=True)


class LeftBehindError(AssertionError):
    """A test left something that outlives its sandbox."""


def why_impossible() -> str | None:
    """Why this process can't make a sandbox, or None."""
    if os.geteuid() != 0:
        return "needs root, to make network and mount namespaces"
    missing = [tool for tool in ("ip", "bridge", "nft", "nsenter") if shutil.which(tool) is None]
    if missing:
        return f"needs the commands {', '.join(missing)} as witnesses (packages iproute2, nftables, util-linux)"
    return None


@contextlib.contextmanager
def sandbox() -> Iterator[None]:
    """Be on a host of one's own for the length of the block.

    :raises LeftBehindError: a process that nobody ended, or an open descriptor of a namespace, was left.
    """
    mark = str(uuid.uuid4())
    directory = Path.cwd()
    before = open_namespaces()
    home = [os.open(NAMESPACES / kind, os.O_RDONLY | os.O_CLOEXEC) for kind in ("net", "mnt")]
    os.environ[MARK] = mark
    own = -1
    try:
        call("unshare", CLONE_FS | CLONE_NEWNS | CLONE_NEWNET)
        # Held open until nobody is inside, or another would get its inode number meanwhile.
        own = os.open(NAMESPACES / "mnt", os.O_RDONLY | os.O_CLOEXEC)
        furnish()
        yield
    finally:
        for namespace in home:
            call("setns", namespace, 0)
            os.close(namespace)
        os.chdir(directory)
        del os.environ[MARK]
        left = end_processes(mark, os.fstat(own).st_ino if own >= 0 else 0)
        if own >= 0:
            os.close(own)
        pinned = open_namespaces() - before
    if left or pinned:
        raise LeftBehindError(f"left behind: {', '.join([*left, *sorted(pinned)])}")


def furnish() -> None:
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    for directory in ("/run", "/var/lib"):  # what the collection remembers is in both
        mount("tmpfs", directory, "tmpfs", 0, "mode=755")
    mount("sysfs", "/sys", "sysfs")
    changes = Path("/run/etc-of-the-sandbox")
    for directory in ("upper", "work"):
        (changes / directory).mkdir(parents=True)
    mount("overlay", "/etc", "overlay", 0, f"lowerdir=/etc,upperdir={changes}/upper,workdir={changes}/work")
    # Out of sight: /run is to be as empty as on a fresh host.
    mount("tmpfs", str(changes), "tmpfs", 0, "mode=700")
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree("/etc/netns")
    subprocess.run(["ip", "link", "set", "dev", "lo", "up"], check=True)


@contextlib.contextmanager
def entered(path: str) -> Iterator[None]:
    """Be in another network namespace for the length of the block; an empty path is where one is."""
    if not path:
        yield
        return
    here, there = (os.open(where, os.O_RDONLY | os.O_CLOEXEC) for where in (NAMESPACES / "net", path))
    try:
        call("setns", there, CLONE_NEWNET)
        yield
    finally:
        call("setns", here, CLONE_NEWNET)
        os.close(there)
        os.close(here)


def marked_processes(mark: str, mounts: int = 0) -> dict[int, str]:
    """pid and command of what was started in the sandbox, however far it was detached.

    It has inherited the mark, or the mount namespace with the inode `mounts`: while it becomes another program it has
    no environment.
    """
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            marked = f"{MARK}={mark}".encode() in (entry / "environ").read_bytes().split(b"\0")
            if marked or (entry / "ns/mnt").stat().st_ino == mounts:
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    return found


def end_processes(mark: str, mounts: int) -> list[str]:
    running = marked_processes(mark, mounts)
    left = [f"process {pid} ({command})" for pid, command in running.items()]
    while running:
        for pid in running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(0.005)
        running = marked_processes(mark, mounts)
    return left


def open_namespaces() -> set[str]:
    """The namespaces that this process holds open, each of which would be kept alive by it."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            target = os.readlink(f"/proc/self/fd/{number}")
            if target.startswith(("net:[", "mnt:[", "/run/netns/")):
                found.add(f"descriptor {number} of {target}")
    return found


def call(function: str, *arguments: int) -> None:
    if getattr(libc, function)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{function}: {os.strerror(number)}")


def mount(source: str, target: str, kind: str | None, flags: int = 0, options: str | None = None) -> None:
    texts = [None if text is None else text.encode() for text in (source, target, kind, options)]
    if libc.mount(texts[0], texts[1], texts[2], ctypes.c_ulong(flags), texts[3]) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mount {target}: {os.strerror(number)}")
