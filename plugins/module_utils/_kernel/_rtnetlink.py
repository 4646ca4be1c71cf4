# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links, addresses and routes: dumps, and batches of requests, in any namespace.

A socket belongs to the namespace in which it was made, so one is kept for each that the task has to do with.
"""

from __future__ import annotations

import dataclasses
import fcntl
import os
import socket
import struct
import time
import typing as t

from .._message import Index, Message, NamespaceFd
from .._values import HOST, NamespaceRef
from .._world import Link, NamespaceState
from . import _codec, _decode
from ._namespaces import Namespaces
from ._netlink import Netlink
from ._refusal import KernelRefused

SIOCGIFINDEX = 0x8933
GONE_SECONDS = 3.0  # a namespace that something else keeps alive does not go at all


class Rtnetlink:
    def __init__(self, namespaces: Namespaces) -> None:
        self._namespaces = namespaces
        self._sockets: dict[str, Netlink] = {}

    def close(self) -> None:
        for link in self._sockets.values():
            link.close()
        self._sockets.clear()

    def socket(self, ref: NamespaceRef) -> Netlink:
        key = self._namespaces.key(ref)
        if key not in self._sockets:
            with self._namespaces.entered(ref):
                self._sockets[key] = Netlink(socket.NETLINK_ROUTE)
        return self._sockets[key]

    def read(self, ref: NamespaceRef, state: NamespaceState) -> None:
        """Fill ``state`` with the links, their addresses, and the routes."""
        netlink = self.socket(ref)
        links = _decode.decode_links(netlink.dump(*_codec.dump_links()))
        addresses = _decode.decode_addresses(netlink.dump(*_codec.dump_addresses()))
        state.links = {link.name: _with_addresses(link, addresses) for link in links}
        names = {link.index: link.name for link in links if link.index is not None}
        state.routes = [
            route
            for version in (4, 6)
            for route in _decode.decode_routes(netlink.dump(*_codec.dump_routes(version)), names)
        ]

    def nsid(self, viewer: NamespaceRef, seen: NamespaceRef) -> int | None:
        """By which id ``viewer`` knows the namespace ``seen``; None: by none."""
        answer = self.socket(viewer).get(_codec.get_nsid(self._namespaces.fd(seen)))
        return None if answer is None else _decode.decode_nsid(answer)

    def send(self, ref: NamespaceRef, messages: t.Sequence[Message]) -> list[KernelRefused | None]:
        """Send all messages in as few sends as the indexes that they need allow; the answer to each."""
        netlink = self.socket(ref)
        answers: list[KernelRefused | None] = []
        pending: list[bytes] = []
        stale = False  # whether a link that a later message names may be made or renamed by a pending one
        for message in messages:
            if stale and _needs_index(message):
                answers += netlink.request(pending)
                pending, stale = [], False
            try:
                pending.append(self._encode(netlink, message))
            except OSError as error:
                answers += netlink.request(pending)
                pending, stale = [], False
                answers.append(KernelRefused(error.errno or 0, error.strerror or str(error)))
                continue
            stale = stale or message.names_links
        return answers + (netlink.request(pending) if pending else [])

    def await_gone(self, names: t.Iterable[str]) -> None:
        """Wait until the host has no links of these names: the kernel takes a namespace apart some time after its end."""
        deadline = time.monotonic() + GONE_SECONDS
        netlink = self.socket(HOST) if names else None
        for name in names:
            while netlink is not None and _exists(netlink, name) and time.monotonic() < deadline:
                time.sleep(0.002)

    def _encode(self, netlink: Netlink, message: Message) -> bytes:
        fields = {name: self._resolved(netlink, value) for name, value in message.fields.items()}
        attributes = t.cast("list[object]", self._resolved(netlink, list(message.attributes)))
        return _codec.encode(message.type, message.flags, fields, attributes)

    def _resolved(self, netlink: Netlink, value: object) -> object:
        """The value with its placeholders filled in, however deep they stand."""
        if isinstance(value, Index):
            return _index(netlink, value.name)
        if isinstance(value, NamespaceFd):
            return self._namespaces.fd(value.ref)
        if isinstance(value, (list, tuple)):
            return [self._resolved(netlink, item) for item in value]
        if isinstance(value, dict):
            return {name: self._resolved(netlink, item) for name, item in value.items()}
        return value


def _with_addresses(link: Link, addresses: t.Mapping[int, t.Sequence[t.Any]]) -> Link:
    own = addresses.get(link.index or 0)
    return link if own is None else dataclasses.replace(link, addresses=tuple(own))


def _index(netlink: Netlink, name: str) -> int:
    """The index of a link by name, in the namespace of the socket; netdevice(7)."""
    request = struct.pack("16si20x", os.fsencode(name), 0)
    (index,) = struct.unpack_from("i", fcntl.ioctl(netlink.fileno(), SIOCGIFINDEX, request), 16)
    return int(index)


def _exists(netlink: Netlink, name: str) -> bool:
    try:
        return _index(netlink, name) > 0
    except OSError:
        return False


def _needs_index(value: object) -> bool:
    if isinstance(value, Index):
        return True
    if isinstance(value, Message):
        return _needs_index(list(value.attributes)) or _needs_index(dict(value.fields))
    if isinstance(value, (list, tuple)):
        return any(_needs_index(item) for item in value)
    return isinstance(value, dict) and any(_needs_index(item) for item in value.values())
