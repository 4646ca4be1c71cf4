# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's no, as every netlink room gives it."""

from __future__ import annotations


class KernelRefused(Exception):
    """A netlink message that the kernel refused.

    ``text`` is the kernel's own sentence (extended acknowledgement) where it gave one, else that of the errno;
    ``index`` tells which message of a batch it was, where that is known.
    """

    def __init__(self, errno: int, text: str, index: int | None = None) -> None:
        super().__init__(text)
        self.errno = errno
        self.text = text
        self.index = index
