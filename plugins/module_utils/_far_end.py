# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a probe and its far end say to each other, be that one of our own or any server. Pure: nothing is sent from here."""

from __future__ import annotations

import base64
import ipaddress
import os
import re
import struct

# Who asks (the task), for which probe of it, and at which attempt. It is a text, and no whole line of one, so that a stranger
# whom it reaches always takes it alike.
_REQUEST = re.compile(rb"(.{12})([0-9a-f]{6})([0-9a-f]{6})\Z", re.DOTALL)
REQUEST_LENGTH = 24

# More of a server's answer is not read.
MOST_TEXT = 65536


def new_secret() -> bytes:
    return base64.b64encode(os.urandom(9))


def request(secret: bytes, place: int, attempt: int) -> bytes:
    return secret + f"{place:06x}{attempt:06x}".encode("ascii")


def read_request(data: bytes, secret: bytes) -> tuple[int, int] | None:
    """The probe and the attempt; None if it is no request of this task."""
    read = _REQUEST.match(data)
    if read is None or read[1] != secret:
        return None
    return int(read[2], 16), int(read[3], 16)


def answer(asked: bytes, seen: str) -> bytes:
    """The request again, and the address that it came from; a line, so that its end is known in a stream."""
    return asked + seen.encode() + b"\n"


def read_answer(data: bytes, asked: bytes) -> str | None:
    """The address that our far end saw; None if this is not, or not yet, its answer."""
    if not data.startswith(asked) or not data.endswith(b"\n"):
        return None
    return data[len(asked) : -1].decode()


def question() -> bytes:
    """A datagram to which servers of two kinds have an answer: those that echo, and those for DNS.

    RFC 1035, 4.1: who serves the root, recursion not desired, so that a server answers by itself and asks nobody.
    """
    return os.urandom(2) + struct.pack("!5H", 0, 1, 0, 0, 0) + b"\0" + struct.pack("!2H", 2, 1)


def web_request(host: str) -> bytes:
    """RFC 6874, 3: the interface of a link-local address means nothing to the server."""
    host = re.sub(r"%[^\]]*", "", host)
    return f"GET / HTTP/1.0\r\nHost: {host}\r\n\r\n".encode("ascii")


def seen_in(text: bytes, ended: bool) -> str | None:
    """The address with which an answer begins, the head of HTTP aside; None if there is none, or not yet.

    The first word counts only when it is whole: when something follows, or the answer has ended.
    """
    if text.startswith(b"HTTP/"):
        _head, blank, text = text.replace(b"\r\n", b"\n").partition(b"\n\n")
        if not blank:
            return None
    words = text.split(None, 1)
    if not words or not (ended or len(words) > 1 or text[-1:].isspace()):
        return None
    try:
        return without_disguise(words[0].decode("ascii"))
    except ValueError:
        return None


def without_disguise(address: str) -> str:
    """An address as a socket gives it, without its interface, and IPv4 as such where a socket of both families has it.

    Raises ValueError if it is none.
    """
    parsed = ipaddress.ip_address(address.partition("%")[0])
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)


def excerpt(text: bytes) -> str:
    """The beginning of what somebody said, fit for a message of one line."""
    line = text[:60].decode("ascii", "replace")
    return "".join(character if character.isprintable() else " " for character in line).strip()
