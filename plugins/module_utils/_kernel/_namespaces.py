# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network namespaces: create, enter, bind under a name, and tell one from another.

Everything happens in the calling thread, without a child process. A namespace is told by the device and inode of its
nsfs file, which hold as long as it is pinned by an open descriptor; names and pids are reused.

Source: namespaces(7), setns(2), ioctl_ns(2), ip-netns(8) and iproute2's ip/ipnetns.c.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import resource
import typing as t

from .._values import NETNS_DIR, NamespaceRef

CLONE_NEWNET = 0x40000000
MS_BIND, MS_REC, MS_SHARED = 0x1000, 0x4000, 0x100000
MNT_DETACH = 2
NS_GET_NSTYPE = 0xB703

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def setns(fd: int) -> None:
    """Move the calling thread into the network namespace behind ``fd``."""
    _checked(_libc.setns(fd, CLONE_NEWNET), "setns")


def _mount(source: str, target: str, flags: int) -> None:
    _checked(_libc.mount(source.encode(), target.encode(), b"none", ctypes.c_ulong(flags), None), target)


def _unmount(target: str) -> None:
    _checked(_libc.umount2(target.encode(), MNT_DETACH), target)


def is_network_namespace(fd: int) -> bool:
    try:
        return bool(fcntl.ioctl(fd, NS_GET_NSTYPE) == CLONE_NEWNET)
    except OSError:
        return False


def identity(fd: int) -> str:
    status = os.fstat(fd)
    return f"{status.st_dev}:{status.st_ino}"


class Namespaces:
    """The namespaces that a task has to do with, each held by a descriptor until `close`.

    That also keeps one alive whose name a task removes, so that it can be bound again should the task fail.
    """

    def __init__(self) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # two descriptors a namespace, and 1024 is the default
        self._limit = (soft, hard)
        self._home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._open: dict[NamespaceRef, int] = {}
        self._pinned: dict[str, int] = {}

    def close(self) -> None:
        for fd in [self._home, *self._open.values(), *self._pinned.values()]:
            os.close(fd)
        self._open.clear()
        self._pinned.clear()
        resource.setrlimit(resource.RLIMIT_NOFILE, self._limit)

    def fd(self, ref: NamespaceRef) -> int:
        """A descriptor of the namespace.

        :raises OSError: nothing is there, it can't be opened, or (EINVAL) it is no network namespace.
        """
        if ref.kind == "host":
            return self._home
        if ref not in self._open:
            fd = os.open(ref.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            if not is_network_namespace(fd):
                os.close(fd)
                raise OSError(errno.EINVAL, "it is no network namespace", ref.path)
            self._open[ref] = fd
        return self._open[ref]

    def key(self, ref: NamespaceRef) -> str:
        return identity(self.fd(ref))

    @contextlib.contextmanager
    def entered(self, ref: NamespaceRef) -> t.Iterator[None]:
        """The calling thread is inside the namespace for as long as the block runs."""
        if ref.kind == "host":
            yield
            return
        setns(self.fd(ref))
        try:
            yield
        finally:
            setns(self._home)

    def create(self, name: str) -> None:
        """As ``ip netns add``: a new namespace, bound under its name."""
        path = self._empty_file(name)
        try:
            _checked(_libc.unshare(CLONE_NEWNET), "unshare")
            try:
                _mount("/proc/thread-self/ns/net", path, MS_BIND)
            finally:
                setns(self._home)
        except OSError:
            os.unlink(path)
            raise

    def bind(self, source: NamespaceRef, name: str) -> None:
        """Bind a living namespace under a name, as ``ip netns attach`` does for a pid."""
        fd = self.fd(source)
        path = self._empty_file(name)
        try:
            _mount(f"/proc/self/fd/{fd}", path, MS_BIND)
        except OSError:
            os.unlink(path)
            raise

    def unbind(self, name: str) -> None:
        """As ``ip netns del``; what stood under the name stays pinned until `close`."""
        ref = NamespaceRef("name", name)
        with contextlib.suppress(OSError):
            self._pinned[name] = os.dup(self.fd(ref))
        self._forget(ref)
        with contextlib.suppress(OSError):
            _unmount(ref.path)
        os.unlink(ref.path)

    def rebind(self, name: str) -> None:
        """Bind again what `unbind` took down.

        From inside, since the descriptor stands for a mount that is gone: a mount made of that one is not taken down in
        all places where it shows (Linux 6.18 with a shared /), and the name could never be removed again.
        """
        path = self._empty_file(name)
        try:
            setns(self._pinned[name])
            _mount("/proc/thread-self/ns/net", path, MS_BIND)
        finally:
            setns(self._home)
        os.close(self._pinned.pop(name))

    def release(self) -> None:
        """Let go of what `unbind` kept alive."""
        for fd in self._pinned.values():
            os.close(fd)
        self._pinned.clear()

    def refresh(self) -> None:
        """Forget which namespace a name or pid led to, as it may lead elsewhere by now."""
        for ref in list(self._open):
            self._forget(ref)

    def _forget(self, ref: NamespaceRef) -> None:
        fd = self._open.pop(ref, None)
        if fd is not None:
            os.close(fd)

    def _empty_file(self, name: str) -> str:
        _make_shared_directory()
        path = f"{NETNS_DIR}/{name}"
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL, 0))
        return path


def _make_shared_directory() -> None:
    """/run/netns as a shared mount, so that names bound or removed show in every mount namespace, as iproute2 does."""
    os.makedirs(NETNS_DIR, 0o755, exist_ok=True)
    try:
        _mount("", NETNS_DIR, MS_SHARED | MS_REC)
    except OSError as error:
        if error.errno != errno.EINVAL:  # EINVAL: it is no mount point yet
            raise
        _mount(NETNS_DIR, NETNS_DIR, MS_BIND | MS_REC)
        _mount("", NETNS_DIR, MS_SHARED | MS_REC)


def names() -> list[str]:
    """Everything that stands under /run/netns."""
    try:
        return sorted(os.listdir(NETNS_DIR))
    except FileNotFoundError:
        return []


def bound_files() -> dict[int, list[str]]:
    """The files over which network namespaces are bound, by inode of the namespace. Source: proc_pid_mountinfo(5)."""
    found: dict[int, set[str]] = {}
    with open("/proc/thread-self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            root, point = line.split(" ", 5)[3:5]
            if root.startswith("net:["):
                found.setdefault(int(root[len("net:[") : -1]), set()).add(point)
    return {inode: sorted(points) for inode, points in found.items()}
