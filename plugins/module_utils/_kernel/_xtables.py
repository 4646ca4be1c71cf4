# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table `filter` of iptables-legacy, in the words of nftables, as far as there are some.

Works in the network namespace in which the calling thread is; only reads, and never asks for a table that is not there: the
kernel would make it. iptables-legacy itself, even when it only lists, would.

Source: linux/netfilter_ipv4/ip_tables.h, linux/netfilter_ipv6/ip6_tables.h, linux/netfilter/x_tables.h.
"""

from __future__ import annotations

import ctypes
import errno
import ipaddress
import os
import socket
import struct
import typing as t

from .._ruleset import (
    FRAGMENT,
    PROTOCOL,
    AddressIn,
    Chain,
    Expression,
    Hook,
    Interface,
    InterfacePrefix,
    Network,
    Rule,
    Table,
    TransportProtocol,
    Unknown,
    Verdict,
)
from ._nft_words import PROTOCOL_NAMES
from ._refusal import KernelRefused
from ._xt_words import match_words, target_words

_GET_INFO, _GET_ENTRIES = 64, 65
_FILTER = b"filter"
_FORWARD = 2  # NF_INET_FORWARD
_INFO = struct.Struct("=32sI5I5III")
_ENTRIES_HEADER = 40
_XT_HEADER = struct.Struct("=H29sB")
_HEADER_SIZE = 32
_INVERTED = {"iifname": 0x01, "oifname": 0x02, "saddr": 0x08, "daddr": 0x10, "protocol": 0x40}
_FRAGMENT = 0x20
# Verdicts of a standard target; others are the offset of the rule to go on with.
_VERDICTS = {-2: "accept", -1: "drop", -5: "return", -4: "queue"}
_TRIES = 10

_libc = ctypes.CDLL(None, use_errno=True)


class _Layout(t.NamedTuple):
    """Where things stand in the kernel's structure of a rule: ipt_entry, ip6t_entry."""

    version: int
    family: str
    listing: str
    level: int
    address_bytes: int
    protocol: int
    flags: int
    inverted: int
    goto: int
    offsets: int  # of the target and of the next entry
    size: int


_LAYOUTS = (
    _Layout(4, "ip", "/proc/net/ip_tables_names", socket.IPPROTO_IP, 4, 80, 82, 83, 0x02, 88, 112),
    _Layout(6, "ip6", "/proc/net/ip6_tables_names", socket.IPPROTO_IPV6, 16, 128, 131, 132, 0x04, 140, 168),
)


def read_forwarding() -> tuple[Table, ...]:
    """`ip filter` and `ip6 filter` of iptables-legacy, where they are: FORWARD and all that it leads to."""
    return tuple(_read(layout) for layout in _LAYOUTS if _is_there(layout))


def _is_there(layout: _Layout) -> bool:
    # Of the thread's namespace; /proc/net itself is the one of the process's first thread.
    try:
        with open(layout.listing.replace("/proc/", "/proc/thread-self/"), encoding="ascii") as file:
            return _FILTER.decode() in file.read().split()
    except FileNotFoundError:
        return False
    except PermissionError:
        # A namespace that was made in one go with its user namespace: the file belongs to nobody there, since that had no
        # root yet. To ask for the table instead would make it. What is in there is at most what the same user put there.
        return False


def _read(layout: _Layout) -> Table:
    family = socket.AF_INET if layout.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW) as plug:
        for _attempt in range(_TRIES):
            info = _INFO.unpack(_getsockopt(plug, layout, _GET_INFO, _INFO.size, b""))
            size = info[-1]
            try:
                data = _getsockopt(plug, layout, _GET_ENTRIES, _ENTRIES_HEADER + size, struct.pack("=I", size))
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EINVAL):  # it has another size by now
                    raise
                continue
            return Table(layout.family, "filter", _Blob(layout, data[_ENTRIES_HEADER:], info[2:7], info[7:12]).chains())
    raise KernelRefused(errno.EAGAIN, f"the table {layout.family} filter of iptables kept changing while it was read")


def _getsockopt(plug: socket.socket, layout: _Layout, option: int, size: int, behind_name: bytes) -> bytes:
    """As getsockopt(2): Python's own sends no table name in."""
    buffer = ctypes.create_string_buffer(_FILTER.ljust(32, b"\0") + behind_name, size)
    length = ctypes.c_uint32(size)
    if _libc.getsockopt(plug.fileno(), layout.level, option, buffer, ctypes.byref(length)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return buffer.raw


class _Blob:
    """All rules of a table, one behind the other; where chains begin is told by offsets."""

    def __init__(self, layout: _Layout, data: bytes, begins: t.Sequence[int], policies: t.Sequence[int]) -> None:
        self._layout, self._data = layout, data
        self._begin, self._policy = begins[_FORWARD], policies[_FORWARD]
        self._names: dict[int, str] = {}  # of the chains that users made, by the offset of the first rule
        offset = 0
        while offset < len(data):
            target, following = self._bounds(offset)
            name, _revision, info = self._extension(offset + target)
            if name == "ERROR":
                self._names[offset + following] = info.split(b"\0", 1)[0].decode(errors="replace")
            offset += following

    def chains(self) -> tuple[Chain, ...]:
        """FORWARD, and what it jumps to."""
        policy = self._verdict(self._policy)
        forward = Chain(
            "FORWARD", tuple(self._rules(self._begin, self._policy)), Hook("filter", "forward", 0, policy.word)
        )
        found = {"FORWARD": forward}
        offsets = {name: offset for offset, name in self._names.items()}
        waiting = [forward]
        while waiting:
            targets = {getattr(each, "chain", "") for rule in waiting.pop().rules for each in rule.expressions}
            for name in targets - set(found):
                if name in offsets:
                    found[name] = Chain(name, tuple(self._rules(offsets[name], len(self._data))))
                    waiting.append(found[name])
        return tuple(found.values())

    def _rules(self, offset: int, end: int) -> t.Iterator[Rule]:
        """To the policy, or to the head of the next chain."""
        while offset < end:
            target, following = self._bounds(offset)
            if self._extension(offset + target)[0] == "ERROR":
                return
            yield self._rule(offset, target)
            offset += following

    def _bounds(self, offset: int) -> tuple[int, int]:
        target, following = struct.unpack_from("=HH", self._data, offset + self._layout.offsets)
        return target, following or len(self._data)  # never zero; a loop would be worse than an error

    def _extension(self, offset: int) -> tuple[str, int, bytes]:
        """Name, revision and data of a match or target."""
        size, name, revision = _XT_HEADER.unpack_from(self._data, offset)
        info = self._data[offset + _HEADER_SIZE : offset + size]
        return name.split(b"\0", 1)[0].decode(errors="replace"), revision, info

    def _rule(self, offset: int, target: int) -> Rule:
        words = list(self._own_matches(offset))
        place = offset + self._layout.size
        while place < offset + target:
            (size,) = struct.unpack_from("=H", self._data, place)
            words += match_words(*self._extension(place))
            place += size or target
        name, _revision, _info = self._extension(offset + target)
        return Rule((*words, *(target_words(name) if name else self._standard(offset))))

    def _standard(self, offset: int) -> tuple[Verdict, ...]:
        """None of a rule that only counts: that leads to the next one."""
        target, following = self._bounds(offset)
        info = self._extension(offset + target)[2]
        return () if struct.unpack_from("=i", info) == (offset + following,) else (self._verdict(offset),)

    def _verdict(self, offset: int) -> Verdict:
        target, _following = self._bounds(offset)
        _name, _revision, info = self._extension(offset + target)
        (code,) = struct.unpack_from("=i", info)
        if code in _VERDICTS:
            return Verdict(_VERDICTS[code])
        goto = self._data[offset + self._layout.flags] & self._layout.goto
        return Verdict("goto" if goto else "jump", self._names.get(code, f"offset {code}"))

    def _own_matches(self, offset: int) -> t.Iterator[Expression]:
        """Interfaces, addresses and protocol, which are part of every rule."""
        layout, data = self._layout, self._data
        inverted, length = data[offset + layout.inverted], layout.address_bytes
        values = [data[offset + place * length : offset + (place + 1) * length] for place in range(4)]
        names = offset + 4 * length
        for place, direction in enumerate(("iifname", "oifname")):
            name = data[names + 16 * place : names + 16 * (place + 1)]
            mask = data[names + 32 + 16 * place : names + 32 + 16 * (place + 1)]
            if any(mask):
                yield _interface(direction, name, mask, not inverted & _INVERTED[direction])
        for place, side in enumerate(("saddr", "daddr")):
            if any(values[place + 2]):
                yield _address(side, values[place], values[place + 2], not inverted & _INVERTED[side])
        (protocol,) = struct.unpack_from("=H", data, offset + layout.protocol)
        if protocol and inverted & _INVERTED["protocol"]:
            yield Unknown(PROTOCOL, bytes((protocol & 0xFF,)))
        elif protocol:
            yield TransportProtocol(PROTOCOL_NAMES.get(protocol, str(protocol)))
        if layout.version == 4 and data[offset + layout.flags] & 0x01:
            yield Unknown(FRAGMENT, bytes((inverted & _FRAGMENT,)))


def _interface(direction: str, name: bytes, mask: bytes, equal: bool) -> Expression:
    """The mask covers the NUL behind a whole name; of `br+` it covers `br`."""
    text = name.split(b"\0", 1)[0]
    covered = len(mask.rstrip(b"\0"))
    if covered > len(text):
        return Interface(direction, text.decode(errors="replace"), equal)
    return InterfacePrefix(direction, text[:covered].decode(errors="replace"), equal)


def _address(side: str, value: bytes, mask: bytes, equal: bool) -> Expression:
    bits = "".join(f"{byte:08b}" for byte in mask).rstrip("0")
    if "0" in bits:  # a mask with holes
        return Unknown(side, value + mask)
    network: Network = ipaddress.ip_network((value, len(bits)))
    return AddressIn(side, network, equal)
