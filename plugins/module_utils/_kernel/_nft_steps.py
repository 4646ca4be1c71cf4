# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules as nf_tables dumps them, from bytes to Steps, without pyroute2.

Another's table may have thousands of rules, and pyroute2 takes a millisecond for each. Only what is needed to tell what a rule
lets pass is taken out.

Source: linux/netfilter/nf_tables.h, linux/netfilter/nf_tables_compat.h.
"""

from __future__ import annotations

import struct
import typing as t
from functools import lru_cache

from ._decode import read_attributes
from ._nft_codec import EXPRESSIONS, NESTED, Step, Value

NFGEN_HEADER = 20  # nlmsghdr and nfgenmsg
_RULE_TABLE, _RULE_CHAIN, _RULE_EXPRESSIONS = 1, 2, 4
_NAME, _DATA = 1, 2
_VALUE, _VERDICT = 1, 2
# Expressions of iptables' own matches and targets, which iptables-nft puts into nftables as they are: name, revision, info.
XT = ("match", "target")


class RawRule(t.NamedTuple):
    """A rule of a dump; its expressions are still bytes."""

    generation: int
    table: str
    chain: str
    expressions: tuple[bytes, ...]


def raw_rule(message: bytes) -> RawRule:
    shown = read_attributes(message, NFGEN_HEADER)
    (generation,) = struct.unpack_from("!H", message, NFGEN_HEADER - 2)
    expressions = tuple(items(shown.get(_RULE_EXPRESSIONS, b"")))
    return RawRule(generation, _text(shown[_RULE_TABLE]), _text(shown[_RULE_CHAIN]), expressions)


def items(data: bytes) -> t.Iterator[bytes]:
    """The attributes of a list, which are all of one type."""
    offset = 0
    while offset + 4 <= len(data):
        (length,) = struct.unpack_from("=H", data, offset)
        if length < 4:
            break
        yield data[offset + 4 : offset + length]
        offset += (length + 3) & ~3


@lru_cache(maxsize=4096)
def fast_step(raw: bytes) -> Step:
    """As `decode_step`, and with the name, revision and info of what iptables-nft wrote."""
    outer = read_attributes(raw)
    name = _text(outer[_NAME])
    inner = read_attributes(outer.get(_DATA, b""))
    if name in XT:
        return Step(name, (("name", _text(inner[1])), ("revision", _number(inner.get(2))), ("info", inner.get(3, b""))))
    known = EXPRESSIONS.get(name, ())
    fields = [
        (known[kind - 1], _value(name, known[kind - 1], data)) for kind, data in inner.items() if kind <= len(known)
    ]
    return Step(name, tuple(fields))


def _value(expression: str, field: str, data: bytes) -> Value:
    if field in NESTED:
        return _data(data)
    if field == "set":
        return _text(data)
    return data[0] if (expression, field) == ("reject", "code") else _number(data)


def _data(payload: bytes) -> Value:
    shown = read_attributes(payload)
    if _VERDICT in shown:
        verdict = read_attributes(shown[_VERDICT])
        return int(struct.unpack("!i", verdict[1])[0]), _text(verdict.get(2, b""))
    return shown.get(_VALUE, b"")


def _number(data: bytes | None) -> int:
    return int.from_bytes(data or b"", "big")


def _text(data: bytes) -> str:
    return data.rstrip(b"\0").decode(errors="replace")
