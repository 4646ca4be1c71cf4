# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""nf_tables messages to and from bytes, by message classes of our own on pyroute2's base.

pyroute2's classes of the same things differ between its versions, drop comments in the older ones and can't encode flags;
these say only what the numbers are called and how wide they are. An expression of a rule is a Step: its name and its
attributes, as in the kernel. Nested attributes are packed one level at a time, so that equal parts (most rules are
made of the same few) are packed once.

Source: linux/netfilter/nf_tables.h, linux/netfilter/nfnetlink.h; user data as in libnftnl's udata.h.
"""

from __future__ import annotations

import sys
import typing as t
from functools import cache, lru_cache

NFNL_SUBSYS_NFTABLES = 10
# Message numbers; the one that adds a thing is also the one in which a dump shows it.
TABLE, CHAIN, RULE, SET, ELEMENTS = 0, 3, 6, 9, 12
DUMP, DELETE = 1, 2
BATCH_BEGIN, BATCH_END = 16, 17

_COMMENT = 0  # NFTNL_UDATA_*_COMMENT, the same number for tables, rules and elements but not for sets
_MAX_ATTRIBUTE = 24
_LAYOUTS: dict[str, dict[int, tuple[str, str]]] = {
    "table": {1: ("name", "asciiz"), 2: ("flags", "be32"), 6: ("userdata", "cdata")},
    "chain": {
        1: ("table", "asciiz"),
        3: ("name", "asciiz"),
        4: ("hook", "cdata"),
        5: ("policy", "be32"),
        7: ("type", "asciiz"),
    },
    "hook": {1: ("number", "be32"), 2: ("priority", "sbe32"), 3: ("device", "asciiz")},
    "rule": {1: ("table", "asciiz"), 2: ("chain", "asciiz"), 4: ("expressions", "cdata"), 7: ("userdata", "cdata")},
    "set": {
        1: ("table", "asciiz"),
        2: ("name", "asciiz"),
        3: ("flags", "be32"),
        4: ("key_type", "be32"),
        5: ("key_len", "be32"),
        6: ("data_type", "be32"),
        7: ("data_len", "be32"),
        9: ("description", "cdata"),
        10: ("id", "be32"),
        11: ("timeout", "cdata"),
        13: ("userdata", "cdata"),
        17: ("expression", "cdata"),
        18: ("expressions", "cdata"),
    },
    "elements": {1: ("table", "asciiz"), 2: ("set", "asciiz"), 3: ("elements", "cdata")},
    "element": {
        1: ("key", "cdata"),
        2: ("data", "cdata"),
        3: ("flags", "be32"),
        6: ("userdata", "cdata"),
    },
    "list": {1: ("item", "cdata")},
    "data": {1: ("value", "cdata"), 2: ("verdict", "cdata")},
    "verdict": {1: ("code", "sbe32"), 2: ("chain", "asciiz")},
    "expression": {1: ("name", "asciiz"), 2: ("data", "cdata")},
}  # fmt: skip
# The attributes of each expression; those called data, mask, xor, from and to are nested once more.
EXPRESSIONS: dict[str, tuple[str, ...]] = {
    "bitwise": ("sreg", "dreg", "len", "mask", "xor", "op"),
    "cmp": ("sreg", "op", "data"),
    "ct": ("dreg", "key"),
    "fib": ("dreg", "result", "flags"),
    "immediate": ("dreg", "data"),
    "lookup": ("set", "sreg", "dreg", "set_id", "flags"),
    "masq": ("flags",),
    "meta": ("dreg", "key"),
    "nat": ("type", "family", "addr_min", "addr_max", "proto_min", "proto_max", "flags"),
    "payload": ("dreg", "base", "offset", "len"),
    "range": ("sreg", "op", "from", "to"),
    "reject": ("type", "code"),
}
NESTED = frozenset(("data", "mask", "xor", "from", "to"))

VerdictData = tuple[int, str]
Value = t.Union[int, str, bytes, VerdictData]
Attributes = t.Sequence[tuple[str, object]]


class Step(t.NamedTuple):
    """One expression of the kernel's, such as `meta` with its attributes `dreg` and `key`."""

    name: str
    fields: tuple[tuple[str, Value], ...]


def step(name: str, **fields: Value) -> Step:
    return Step(name, tuple((field.rstrip("_"), value) for field, value in fields.items()))


class Message(t.NamedTuple):
    """A message of a dump: the generation of the rule set it was seen in, and its attributes."""

    generation: int
    attributes: dict[str, t.Any]


@cache
def _attribute_class(layout: str) -> t.Any:
    from pyroute2.netlink import nla

    return type(f"nft_{layout}", (nla,), {"nla_map": _nla_map(layout)})


@cache
def _message_class(layout: str) -> t.Any:
    from pyroute2.netlink.nfnetlink import nfgen_msg

    return type(f"nft_{layout}_message", (nfgen_msg,), {"nla_map": _nla_map(layout)})


def _nla_map(layout: str) -> tuple[tuple[int, str, str, int], ...]:
    """Numbers that we have no name for are kept as bytes, so that nothing read is lost."""
    known = _LAYOUTS.get(layout)
    if known is None:
        known = {number: (name, _kind(layout, name)) for number, name in enumerate(EXPRESSIONS[layout], 1)}
    named = {number: (f"attribute {number}", "cdata") for number in range(1, _MAX_ATTRIBUTE)}
    named.update(known)
    return tuple((number, name, kind, 0) for number, (name, kind) in named.items())


def _kind(expression: str, name: str) -> str:
    if name in NESTED:
        return "cdata"
    if name == "set":
        return "asciiz"
    return "uint8" if (expression, name) == ("reject", "code") else "be32"


def _pack(layout: str, attributes: Attributes) -> bytes:
    packed = _attribute_class(layout)(data=bytearray(), offset=0)
    packed["attrs"] = list(attributes)
    packed.encode()
    return bytes(packed.data[4:])


def _unpack(layout: str, payload: bytes) -> list[tuple[str, t.Any]]:
    header = (len(payload) + 4).to_bytes(2, sys.byteorder) + b"\0\0"
    unpacked = _attribute_class(layout)(data=header + payload)
    unpacked.decode()
    return list(unpacked["attrs"])


# Messages


def encode(kind: int, family: int, flags: int = 0, layout: str = "", attributes: Attributes = ()) -> bytes:
    """A message of nf_tables with NLM_F flags, ready to be numbered and sent."""
    return _encode(NFNL_SUBSYS_NFTABLES << 8 | kind, family, flags, 0, layout or "table", attributes)


def encode_boundary(kind: int) -> bytes:
    """BATCH_BEGIN or BATCH_END: what stands between them happens at once or not at all."""
    return _encode(kind, 0, 0, NFNL_SUBSYS_NFTABLES, "table", ())


def _encode(kind: int, family: int, flags: int, resource: int, layout: str, attributes: Attributes) -> bytes:
    message = _message_class(layout)()
    message["header"]["type"] = kind
    message["header"]["flags"] = flags
    message["nfgen_family"] = family
    message["res_id"] = resource
    message["attrs"] = list(attributes)
    message.encode()
    return bytes(message.data)


def decode(layout: str, data: bytes) -> Message:
    message = _message_class(layout)(data)
    message.decode()
    return Message(message["res_id"], dict(message["attrs"]))


def encode_hook(number: int, priority: int) -> bytes:
    return _pack("hook", [("number", number), ("priority", priority)])


def decode_hook(payload: bytes) -> dict[str, t.Any]:
    return dict(_unpack("hook", payload))


def encode_list(items: t.Iterable[bytes]) -> bytes:
    return _pack("list", [("item", item) for item in items])


def decode_list(payload: bytes) -> list[bytes]:
    return [value for name, value in _unpack("list", payload) if name == "item"]


# Expressions


@lru_cache(maxsize=4096)
def encode_step(one: Step) -> bytes:
    data = _pack(one.name, [(name, _pack_data(value) if name in NESTED else value) for name, value in one.fields])
    return _pack("expression", [("name", one.name), ("data", data)])


@lru_cache(maxsize=4096)
def decode_step(payload: bytes) -> Step:
    """The expression; one that we have no use for has its name and no attributes."""
    outer = dict(_unpack("expression", payload))
    name = outer["name"]
    if name not in EXPRESSIONS:
        return Step(name, ())
    inner = _unpack(name, outer.get("data", b""))
    return Step(name, tuple((field, unpack_data(value) if field in NESTED else value) for field, value in inner))


def _pack_data(value: Value) -> bytes:
    if isinstance(value, tuple):
        code, chain = value
        named = [("chain", chain)] if chain else []
        return _pack("data", [("verdict", _pack("verdict", [("code", code), *named]))])
    return _pack("data", [("value", value)])


def unpack_data(payload: bytes) -> t.Union[bytes, VerdictData]:
    """Bytes, or a verdict with the chain that it jumps to."""
    data = dict(_unpack("data", payload))
    if "verdict" in data:
        verdict = dict(_unpack("verdict", data["verdict"]))
        return verdict["code"], verdict.get("chain", "")
    return bytes(data.get("value", b""))


# Elements and comments


def encode_element(key: bytes, data: t.Union[bytes, VerdictData, None], comment: str) -> bytes:
    attributes: list[tuple[str, object]] = [("key", _pack_data(key))]
    if data is not None:
        attributes.append(("data", _pack_data(data)))
    if comment:
        attributes.append(("userdata", encode_comment(comment)))
    return _pack("element", attributes)


def decode_element(payload: bytes) -> dict[str, t.Any]:
    return dict(_unpack("element", payload))


def encode_comment(comment: str) -> bytes:
    """A type-length-value of libnftnl: the length is one byte and counts the NUL at the end."""
    text = comment.encode() + b"\0"
    return bytes((_COMMENT, len(text))) + text


def decode_comment(userdata: t.Optional[bytes]) -> str:
    offset = 0
    while userdata and offset + 2 <= len(userdata):
        kind, length = userdata[offset], userdata[offset + 1]
        if kind == _COMMENT:
            return userdata[offset + 2 : offset + 2 + length].rstrip(b"\0").decode(errors="replace")
        offset += 2 + length
    return ""
