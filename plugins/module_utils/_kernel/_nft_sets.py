# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets, maps and their elements as nf_tables keeps them: types are numbers, keys and data plain bytes.

Numbers of types are those of nft (its datatype.h); the kernel stores them and understands only that of verdicts. A
concatenation is its parts' numbers, six bits each, and its value their bytes, each padded to four.
"""

from __future__ import annotations

import ipaddress
import struct
import typing as t

from .._ruleset import (
    IFNAME,
    IPV4_AND_PORT,
    IPV6_AND_PORT,
    PROTOCOL_AND_PORT,
    VERDICT,
    Data,
    Element,
    Endpoint,
    Map,
    ProtocolPort,
    Set,
    Unknown,
    Verdict,
)
from ._nft_codec import VerdictData, decode_comment, decode_element, encode_element, unpack_data
from ._nft_expressions import PROTOCOLS, interface_key, verdict_data
from ._nft_recognise import verdict

NFT_SET_ANONYMOUS = 1
_NFT_SET_MAP = 8
_PROTOCOL, _PORT, _IPV4, _IPV6 = 12, 13, 7, 8
# Type, its number, length in bytes (the kernel reports that of its verdict structure), and whether in host byte order.
_KEYS = {IFNAME: (41, 16, True), PROTOCOL_AND_PORT: (_PROTOCOL << 6 | _PORT, 8, False)}
_DATA = {
    VERDICT: (0xFFFFFF00, 16),
    IPV4_AND_PORT: (_IPV4 << 6 | _PORT, 8),
    IPV6_AND_PORT: (_IPV6 << 6 | _PORT, 20),
}
# A size, a time-out or a counter for each element; intervals and more are flags. Ours have none of them.
_OPTIONS = ("description", "timeout", "expression", "expressions")
_UDATA_KEY_BYTE_ORDER, _HOST, _NETWORK = 0, 1, 2
# One attribute's length is 16 bits; elements that need more than this go in several messages.
_LIST_BYTES = 48 * 1024


def encode_set(wanted: t.Union[Set, Map], identity: int) -> list[tuple[str, object]]:
    """The attributes of a new set. Raises ValueError for a type that we have no number for."""
    if wanted.key not in _KEYS or (isinstance(wanted, Map) and wanted.data not in _DATA):
        raise ValueError(f"the set '{wanted.name}' can't be made again: its type is {wanted.key}")
    number, length, host_order = _KEYS[wanted.key]
    attributes: list[tuple[str, object]] = [
        ("flags", _NFT_SET_MAP if isinstance(wanted, Map) else 0),
        ("key_type", number),
        ("key_len", length),
        ("id", identity),
        ("userdata", _byte_order(_UDATA_KEY_BYTE_ORDER, _HOST if host_order else _NETWORK)),
    ]
    if isinstance(wanted, Map):
        data_number, data_length = _DATA[wanted.data]
        attributes += [("data_type", data_number), ("data_len", data_length)]
    return attributes


def _byte_order(kind: int, order: int) -> bytes:
    """How `nft list` is to read the bytes (libnftnl's udata.h)."""
    return struct.pack("=BBI", kind, 4, order)


def decode_set(shown: t.Mapping[str, t.Any], elements: t.Iterable[bytes]) -> t.Union[Set, Map]:
    key = _type_name(_KEYS, shown["key_type"], shown["key_len"])
    if shown.get("flags", 0) & ~_NFT_SET_MAP or any(shown.get(option) for option in _OPTIONS):
        key = f"unknown ({key} with options)"
    if not shown.get("flags", 0) & _NFT_SET_MAP:
        return Set(shown["name"], key, _decode_elements(elements, key))
    data = _type_name(_DATA, shown.get("data_type", 0), shown.get("data_len", 0))
    return Map(shown["name"], key, data, _decode_elements(elements, key, data))


def _type_name(types: t.Mapping[str, tuple[t.Any, ...]], number: int, length: int) -> str:
    for name, known in types.items():
        if known[:2] == (number, length):
            return name
    return f"unknown (type {number}, {length} bytes)"


# Elements


def encode_elements(elements: t.Iterable[Element]) -> t.Iterator[list[bytes]]:
    """In portions that fit one message each."""
    portion: list[bytes] = []
    size = 0
    for element in elements:
        encoded = _encode_element(element)
        if portion and size + len(encoded) > _LIST_BYTES:
            yield portion
            portion, size = [], 0
        portion.append(encoded)
        size += len(encoded) + 4
    if portion:
        yield portion


def _encode_element(element: Element) -> bytes:
    if isinstance(element.key, Unknown):
        return element.key.raw
    if isinstance(element.key, ProtocolPort):
        key = struct.pack("!B3xH2x", PROTOCOLS[element.key.protocol], element.key.port)
    else:
        key = interface_key(element.key)
    return encode_element(key, None if element.data is None else _encode_data(element.data), element.comment)


def _encode_data(data: Data) -> t.Union[bytes, VerdictData]:
    if isinstance(data, Verdict):
        return verdict_data(data)
    return data.address.packed + struct.pack("!H2x", data.port)


def _decode_elements(payloads: t.Iterable[bytes], key: str, data: str = "") -> tuple[Element, ...]:
    return tuple(_decode_element(payload, key, data) for payload in payloads)


def _decode_element(payload: bytes, key_type: str, data_type: str) -> Element:
    """What is in no form that we write, such as `goto`, a time-out or a counter, is Unknown as a whole."""
    shown = decode_element(payload)
    try:
        key = unpack_data(shown.pop("key"))
        data = shown.pop("data", None)
        comment = decode_comment(shown.pop("userdata", None))
        if any(shown.values()):
            raise ValueError("more than key, data and comment")
        return Element(_decode_key(key, key_type), _decode_data(data, data_type), comment)
    except (LookupError, ValueError, TypeError, struct.error):
        return Element(Unknown("element", payload))


def _decode_key(key: t.Any, key_type: str) -> t.Union[str, ProtocolPort]:
    if key_type == IFNAME:
        return str(key.rstrip(b"\0").decode())
    if key_type == PROTOCOL_AND_PORT:
        number, port = struct.unpack("!B3xH2x", key)
        return ProtocolPort({known: name for name, known in PROTOCOLS.items()}[number], port)
    raise ValueError(key_type)


def _decode_data(data: t.Optional[bytes], data_type: str) -> t.Optional[Data]:
    if data is None:
        return None
    value: t.Any = unpack_data(data)
    if data_type == VERDICT:
        return verdict(*value)
    if data_type in (IPV4_AND_PORT, IPV6_AND_PORT):
        return Endpoint(ipaddress.ip_address(value[:-4]), struct.unpack("!H2x", value[-4:])[0])
    raise ValueError(data_type)
