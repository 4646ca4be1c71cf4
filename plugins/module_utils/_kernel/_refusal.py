# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's no, as every netlink room gives it."""

from __future__ import annotations

import os
import struct

NLM_F_ACK_TLVS = 0x200
NLMSGERR_ATTR_MSG = 1
NLMSGHDR_SIZE = 16


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


def refusal(flags: int, answer: bytes, index: int | None) -> KernelRefused | None:
    """The no in an NLMSG_ERROR, with the kernel's own sentence where it comes with one."""
    (negative,) = struct.unpack_from("=i", answer, NLMSGHDR_SIZE)
    if negative == 0:
        return None
    text = os.strerror(-negative)
    if flags & NLM_F_ACK_TLVS:
        offset = NLMSGHDR_SIZE + 4 + NLMSGHDR_SIZE  # the refused message is cut to its header by NETLINK_CAP_ACK
        while offset + 4 <= len(answer):
            length, kind = struct.unpack_from("=HH", answer, offset)
            if length < 4:
                break
            if kind & 0x3FFF == NLMSGERR_ATTR_MSG:
                text = answer[offset + 4 : offset + length].rstrip(b"\0").decode(errors="replace")
            offset += (length + 3) & ~3
    return KernelRefused(-negative, text, index)
