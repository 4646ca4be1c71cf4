# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small text files, written atomically, and the lock that lets one run at a time work on a host."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import glob
import os
import stat
import tempfile
import typing as t

from .._errors import Problem
from .._values import ETC_NETNS, LASTING_RECORDS, RECORDS
from .._world import DirectoryState, FileState
from ._namespaces import NS_GET_NSTYPE

LOCK = f"{RECORDS}/lock"
_BESIDE = ".nslab-"  # begins the name of a file in the making; one that is there was left by a run that was killed
_NO_FILE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO})


def read(path: str) -> FileState | None:
    """None where there is neither a plain file nor a symbolic link."""
    target = os.readlink(path) if os.path.islink(path) else None
    try:
        # A named pipe would be waited for.
        with open(path, opener=_at_once, encoding="utf-8", errors="surrogateescape", newline="") as file:
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode) and not _is_namespace(file.fileno()):
                return FileState(file.read(), stat.S_IMODE(status.st_mode), target)
    except OSError as error:
        if error.errno not in _NO_FILE:
            raise
    return None if target is None else FileState("", 0, target)


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


def _is_namespace(file: int) -> bool:
    """Whether it is a file of nsfs, which is a plain one by its type, and can't be read."""
    try:
        return fcntl.ioctl(file, NS_GET_NSTYPE) > 0
    except OSError:
        return False


def directory(path: str) -> DirectoryState | None:
    """None where there is no directory."""
    try:
        names = tuple(sorted(name for name in os.listdir(path) if not name.startswith(_BESIDE)))
        return DirectoryState(names, stat.S_IMODE(os.stat(path).st_mode), os.path.islink(path))
    except (FileNotFoundError, NotADirectoryError):
        return None


def write(path: str, state: FileState) -> None:
    """Write beside the file and rename over it: whoever reads it sees the old text or the new one."""
    folder = os.path.dirname(path)
    make_directory(folder)
    if state.target is not None:
        beside = os.path.join(folder, f"{_BESIDE}{os.getpid()}")
        os.symlink(state.target, beside)
        os.replace(beside, path)
        return
    handle, beside = tempfile.mkstemp(prefix=_BESIDE, dir=folder)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            file.write(state.content)
            os.fchmod(file.fileno(), state.mode)
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)
        raise


def append(path: str, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        file.write(text)


def remove(path: str) -> None:
    os.unlink(path)


def make_directory(path: str, mode: int = 0o755) -> None:
    """With its parents, each 0755 whatever the umask of the caller; one that exists gets the mode."""
    missing = []
    parent = os.path.dirname(path)
    while not os.path.isdir(parent):
        missing.append(parent)
        parent = os.path.dirname(parent)
    for folder in reversed(missing):
        os.mkdir(folder)
        os.chmod(folder, 0o755)
    if not os.path.isdir(path):
        os.mkdir(path)
    os.chmod(path, mode)


def remove_directory(path: str) -> None:
    _sweep(path)
    os.rmdir(path)


def _sweep(path: str) -> None:
    """Remove what runs that were killed have left half written; only one run at a time works on a host."""
    for name in os.listdir(path):
        if name.startswith(_BESIDE):
            os.unlink(os.path.join(path, name))


def _clear_up() -> None:
    """After a run that was killed: what it has left half written, wherever runs write."""
    for path in (RECORDS, LASTING_RECORDS, *glob.glob(f"{glob.escape(ETC_NETNS)}/*/")):
        if os.path.isdir(path):
            _sweep(path)
    with contextlib.suppress(OSError):  # it is not there, or something is in it
        os.rmdir(LASTING_RECORDS)


@contextlib.contextmanager
def locked(create: bool) -> t.Iterator[None]:
    """One run at a time on a host. Without ``create`` an absent lock is not made, as check mode leaves no trace.

    While a run goes on the lock has something in it, by which the next one knows of a run that was killed. It goes when it is the
    last thing in its directory, so that a host where nothing is left shows nothing.
    """
    handle = _take(create)
    if handle is None:
        yield
        return
    try:
        if create:
            if os.read(handle, 1):
                _clear_up()
            _hold(handle)
        yield
    finally:
        if create:
            os.ftruncate(handle, 0)
        if create and os.listdir(RECORDS) == [os.path.basename(LOCK)]:
            os.unlink(LOCK)
            with contextlib.suppress(OSError):  # the next run may have made its own lock by now
                os.rmdir(RECORDS)
        os.close(handle)


def _hold(handle: int) -> None:
    """Here it shows whether there is room for records at all, before anything is looked at or made."""
    try:
        os.pwrite(handle, b"held\n", 0)
    except OSError as error:
        place = os.path.dirname(RECORDS)
        raise Problem(
            f"{LOCK} can't be written: {error.strerror}",
            f"make room in the file system of {place} (df {place}), and run the task again; nothing was changed",
        ) from error


def _take(create: bool) -> int | None:
    while True:
        if create:
            _make_records()
        try:
            handle = os.open(LOCK, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0), 0o644)
        except FileNotFoundError:
            if create:  # the directory was removed by a run that gave the lock up
                continue
            return None
        fcntl.flock(handle, fcntl.LOCK_EX)
        try:
            if os.path.samestat(os.fstat(handle), os.stat(LOCK)):
                return handle
        except FileNotFoundError:
            pass
        os.close(handle)  # the lock that we waited for was removed when it was given up


def _make_records() -> None:
    """Runs that wait for the lock make its directory, and the one that gives it up removes it, at the same time."""
    try:
        make_directory(RECORDS)
    except FileNotFoundError:
        pass  # made by us, and removed before it had its mode
    except FileExistsError:
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISDIR(os.lstat(RECORDS).st_mode):
                raise
