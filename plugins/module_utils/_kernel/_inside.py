# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A child process inside a network namespace, with that namespace's own files in /etc, as `ip netns exec` gives it.

Source: iproute2's lib/namespace.c (netns_switch, bind_etc), mount_namespaces(7), unshare(2), prctl(2).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import signal
import traceback
import typing as t

from .._errors import Problem
from .._values import ETC_NETNS, NamespaceRef
from ._namespaces import Namespaces, setns

# linux/sched.h, linux/mount.h, linux/prctl.h
_CLONE_NEWNS = 0x00020000
_MS_BIND = 0x1000
_MS_REC = 0x4000
_MS_SLAVE = 1 << 19
_PR_SET_PDEATHSIG = 1

# Behind these sockets resolvers of the host answer, whichever namespace asks: libc's nss-resolve, nscd and nss-mdns would
# look a name up outside. Hidden, libc goes on to the next source, the servers in resolv.conf.
_HOST_RESOLVERS = ("/run/systemd/resolve/io.systemd.Resolve", "/run/nscd/socket", "/run/avahi-daemon/socket")

_AS_ROOT = "run the task as root (become: true)"


class Child(t.NamedTuple):
    """A process of ours, and the pipe on which it sends one JSON value per line."""

    pid: int
    pipe: int


def descriptor(namespaces: Namespaces, ref: NamespaceRef) -> int | None:
    """Of the namespace, held by ``namespaces``; None if it is a name that nobody has made yet.

    Raises a Problem for everything else that is no network namespace, and for one that we may not look at.
    """
    try:
        return namespaces.fd(ref)
    except (FileNotFoundError, NotADirectoryError, ProcessLookupError):
        if ref.kind == "name":
            return None
        what = f"process {ref.value}" if ref.kind == "pid" else f"namespace {ref}"
        raise Problem(f"{what} does not exist") from None
    except PermissionError as error:
        raise Problem(f"namespace {ref} can't be opened ({error.strerror})", _AS_ROOT) from None
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise Problem(f"{ref.path} is not a network namespace") from None
        raise Problem(f"namespace {ref} can't be opened ({error.strerror})") from None


def enter(ref: NamespaceRef, fd: int) -> None:
    """Moves this process into the namespace. Only for a child: there is no way back."""
    try:
        setns(fd)
    except OSError as error:
        advice = _AS_ROOT if error.errno == errno.EPERM else ""
        raise Problem(f"namespace {ref} can't be entered ({error.strerror})", advice) from None


def unshare_mounts() -> None:
    """From here on what is mounted is seen by this process and its children alone."""
    try:
        _libc("unshare", _CLONE_NEWNS)
        _mount("none", "/", _MS_REC | _MS_SLAVE)
    except OSError as error:
        raise Problem(
            f"a mount namespace of its own can't be made for the probes ({error.strerror})", _AS_ROOT
        ) from None


def bind_files(ref: NamespaceRef) -> None:
    """Puts the files of /etc/netns/NAME over their counterparts in /etc and hides the host's own resolvers.

    Like `ip netns exec`, only for a namespace that is given by name, and only where there is a counterpart: a file can't
    be bound to nothing.
    """
    for socket in _HOST_RESOLVERS:
        with contextlib.suppress(FileNotFoundError):
            _mount("/dev/null", socket, _MS_BIND)
    if ref.kind != "name":
        return
    own = os.path.join(ETC_NETNS, ref.value)
    try:
        names = sorted(os.listdir(own))
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        try:
            if os.path.exists(os.path.join("/etc", name)):
                _mount(os.path.join(own, name), os.path.join("/etc", name), _MS_BIND)
        except OSError as error:
            raise Problem(f"{own}/{name} can't be put over /etc/{name} for the probes ({error.strerror})") from None


def spawn(work: t.Callable[[t.Callable[[object], None]], None]) -> Child:
    """Runs ``work`` in a child process, with the function by which it sends values.

    A Problem arrives as ``{"problem": text}``, any other exception as ``{"fault": traceback}``. The child ends with its
    parent, whatever ends that.
    """
    parent = os.getpid()
    pipe, ours = os.pipe()
    try:
        pid = os.fork()
    except OSError as error:
        os.close(pipe)
        os.close(ours)
        raise Problem(f"no process can be started for the probes ({error.strerror})") from None
    if pid:
        os.close(ours)
        return Child(pid, pipe)
    # No way leads out of here but _exit: what the parent has on its stack and in its buffers is the parent's.
    try:
        os.close(pipe)
        _libc("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() == parent:
            work(lambda value: _write_line(ours, value))
    except Problem as problem:
        _write_line(ours, {"problem": str(problem)})
    except BaseException:
        _write_line(ours, {"fault": traceback.format_exc()})
    finally:
        os._exit(0)


def received(line: bytes) -> t.Any:
    """A value that a child has sent. What has gone wrong in it is raised here, as a Problem or as a fault of ours."""
    value = json.loads(line)
    if "problem" in value:
        raise Problem(value["problem"])
    if "fault" in value:
        raise RuntimeError(value["fault"])
    return value


def reap(child: Child, kill: bool) -> int:
    """Ends what is left of a child and returns the signal that ended it, 0 if none did."""
    os.close(child.pipe)
    if kill:
        os.kill(child.pid, signal.SIGKILL)
    _pid, status = os.waitpid(child.pid, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def _write_line(pipe: int, value: object) -> None:
    rest = memoryview(json.dumps(value).encode() + b"\n")
    while rest:
        rest = rest[os.write(pipe, rest) :]


def _mount(source: str, target: str, flags: int) -> None:
    _libc("mount", os.fsencode(source), os.fsencode(target), None, ctypes.c_ulong(flags), None)


def _libc(name: str, *arguments: t.Any) -> None:
    """Python has unshare only since 3.12, mount and prctl not at all."""
    function = getattr(ctypes.CDLL(None, use_errno=True), name)
    if function(*arguments) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
