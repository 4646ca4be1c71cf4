# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links, addresses and routes: dumps, and batches of requests, in any namespace.

A socket belongs to the namespace in which it was made, so one is kept for each that the task has to do with.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import time
import typing as t

from .._message import Index, Message, NamespaceFd
from .._values import HOST, NamespaceRef
from .._world import NamespaceState, Neighbour
from . import _codec, _decode
from ._namespaces import Namespaces
from ._netlink import Netlink
from ._refusal import KernelRefused

SIOCGIFINDEX = 0x8933
_NO_LINK = Message("RTM_DELLINK", fields={"index": 0x7FFFFFFF})  # refused, but only when its turn has come
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

    def read(self, ref: NamespaceRef, state: NamespaceState) -> dict[int, str]:
        """Fill ``state`` with the links, their addresses, and the routes; the names of the links by index."""
        netlink = self.socket(ref)
        links = netlink.dump(*_codec.DUMP_LINKS)  # before the addresses: none may be of a link that is not known
        addresses = _decode.decode_addresses(netlink.dump(*_codec.DUMP_ADDRESSES))
        found = {link.name: link for link in _decode.decode_links(links, addresses)}
        names = {link.index: link.name for link in found.values() if link.index is not None}
        routes = _decode.decode_routes(netlink.dump(*_codec.DUMP_ROUTES), names)
        state.links, state.routes = found, routes  # both or neither
        return names

    def neighbours(self, ref: NamespaceRef, names: t.Mapping[int, str]) -> tuple[Neighbour, ...]:
        """Those of the links with these names by index."""
        return _decode.decode_neighbours(self.socket(ref).dump(*_codec.DUMP_NEIGHBOURS), names)

    def forwarding(self, ref: NamespaceRef, names: t.Mapping[int, str]) -> dict[str, str]:
        """The forwarding switches of these links, and the global ones, by their path below /proc/sys."""
        return _decode.decode_forwarding(self.socket(ref).dump(*_codec.DUMP_SWITCHES), names)

    def nsid(self, viewer: NamespaceRef, seen: NamespaceRef) -> int | None:
        """By which id ``viewer`` knows the namespace ``seen``; None: by none."""
        answer = self.socket(viewer).get(_codec.get_nsid(self._namespaces.fd(seen)))
        return None if answer is None else _decode.decode_nsid(answer)

    def send(self, ref: NamespaceRef, messages: t.Sequence[Message]) -> list[KernelRefused | None]:
        """Send all messages in as few sends as the indexes that they need allow; the answer to each."""
        batch = _Batch(self.socket(ref), self._namespaces)
        for message in messages:
            batch.add(message)
        batch.flush()
        return batch.answers

    def await_gone(self, links: t.Iterable[tuple[NamespaceRef, str]]) -> None:
        """Wait until the links are gone: the kernel takes namespaces apart some time after their end, one sweep at a time."""
        deadline = time.monotonic() + GONE_SECONDS
        for ref, name in links:
            netlink = self.socket(ref)
            while _exists(netlink, name) and time.monotonic() < deadline:
                time.sleep(0.002)
                swept = not _exists(netlink, name)
                deadline = time.monotonic() + GONE_SECONDS if swept else deadline
        if self._sockets:
            # The names are free before the devices are gone; the kernel answers this only after its sweep.
            self.socket(HOST).request([_codec.encode(_NO_LINK, int)])


class _Batch:
    """Messages on their way through one socket, gathered until an index is needed that one of them decides on."""

    def __init__(self, netlink: Netlink, namespaces: Namespaces) -> None:
        self.answers: list[KernelRefused | None] = []
        self._netlink = netlink
        self._namespaces = namespaces
        self._pending: list[bytes] = []
        self._changed: set[str] = set()  # the names that lead elsewhere once the pending ones were sent

    def add(self, message: Message) -> None:
        try:
            encoded = _codec.encode(message, self._resolve)  # which may flush
        except KernelRefused as refused:  # a placeholder for what is not there
            self.flush()
            self.answers.append(refused)
        else:
            self._pending.append(encoded)
            self._changed.update(message.changed_names)

    def flush(self) -> None:
        if self._pending:
            self.answers += self._netlink.request(self._pending)
            self._pending = []
        self._changed.clear()

    def _resolve(self, placeholder: Index | NamespaceFd) -> int:
        if isinstance(placeholder, Index) and placeholder.name in self._changed:
            self.flush()
        try:
            if isinstance(placeholder, Index):
                return _index(self._netlink, placeholder.name)
            return self._namespaces.fd(placeholder.ref)
        except OSError as error:
            raise KernelRefused(error.errno or 0, error.strerror or str(error)) from None


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
