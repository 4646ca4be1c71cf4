# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one error that a person sees."""

from __future__ import annotations

import errno
import typing as t


class Problem(Exception):
    """Why a task can't be done, in one line for a person.

    The text names the object, what was wanted of it, what the kernel answered (if it was asked) and what to do.
    Everything that a module refuses, and every refusal of the kernel, reaches the user as a Problem; any other
    exception is a fault of the collection itself.

    ``details`` are the parts of one that is made of several, for a machine to read.
    """

    details: t.Sequence[t.Mapping[str, str]] = ()

    def __init__(self, what: str, advice: str = "") -> None:
        text = " ".join(what.split())
        if advice:
            text = f"{text.rstrip('.')}: {' '.join(advice.split())}"
        super().__init__(text)


_ADVICE = {
    errno.EPERM: "run the task as root (become: true)",
    errno.EACCES: (
        "not even root may: the sysctl is the host's alone, IPv6 is off (disable_ipv6), or a policy forbids it (SELinux)"
    ),
    errno.EEXIST: "something there has this name or this identity already; look at it, remove or rename it",
    errno.ENODEV: "the link went away while the task ran; run it again",
    errno.EOPNOTSUPP: "this kernel lacks it; load the module for it, or use a kernel that has it",
    errno.ENOSPC: "free some space",
    errno.EROFS: "the file system is read-only; a container needs it mounted writable",
    errno.EBUSY: "something else holds it; look who, and run the task again",
    errno.ENETDOWN: "set the link up first",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
}


def advice_for(number: int | None) -> str:
    """What to do about a refusal of the kernel, by its errno."""
    return _ADVICE.get(number or 0, "check the values of the task against the state of the host")


def advice_for_file(number: int | None) -> str:
    """The same of a file or a directory outside of /proc."""
    if number in (errno.EACCES, errno.EPERM):
        return (
            "root of a user namespace may not, unless a file system of its own (tmpfs) is mounted over the directory; nor may "
            "any root where SELinux or an attribute (chattr +i) forbids it"
        )
    return advice_for(number)
