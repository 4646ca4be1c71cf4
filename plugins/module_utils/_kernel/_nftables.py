# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nftables room: reads one table, and applies changes to it as one transaction.

Works in the network namespace in which the calling thread is. Decides nothing: which changes, and whether a refusal
matters, is for those who ask. Raises KernelRefused.
"""

from __future__ import annotations

import errno
import socket
import typing as t
from contextlib import closing

from .._ruleset import Chain, Element, Hook, Map, Rule, Set, Table, TableName
from .._ruleset_changes import (
    AddChain,
    AddElements,
    AddSet,
    AddTable,
    Change,
    DeleteChain,
    DeleteElements,
    DeleteSet,
    DeleteTable,
    FlushChain,
)
from . import _nft_codec as codec
from ._netlink import NLM_F_ACK, NLM_F_REQUEST, NLMSG_ERROR, Netlink
from ._nft_expressions import encode_expressions
from ._nft_presence import FAMILIES, NETLINK_NETFILTER, NO_NF_TABLES
from ._nft_recognise import decode_expressions
from ._nft_sets import NFT_SET_ANONYMOUS, decode_set, encode_elements, encode_set
from ._refusal import KernelRefused, refusal

NLM_F_DUMP, NLM_F_CREATE, NLM_F_APPEND = 0x300, 0x400, 0x800
SO_SNDBUFFORCE = 32
_SEND_BYTES = 1 << 18

VERSIONS = {"ip": 4, "ip6": 6}
_HOOKS = ("prerouting", "input", "forward", "output", "postrouting")
_POLICIES = ("drop", "accept")
DORMANT = 1
READ_TRIES = 10


def read_table(family: str, name: str) -> t.Optional[Table]:
    """The table as it stands; None where there is none, which is so on a kernel without nf_tables too."""
    try:
        kernel = Nfnetlink()
    except KernelRefused:
        return None
    with closing(kernel):
        for _attempt in range(READ_TRIES):
            reading = _Reading(kernel, TableName(family, name))
            table = reading.table()
            if len(reading.generations) <= 1:
                return table
    raise KernelRefused(errno.EAGAIN, "the rule set kept changing while it was read")


def apply_changes(changes: t.Sequence[Change]) -> None:
    """All of the changes, or none: the KernelRefused tells by `index` which of them it was."""
    messages: list[bytes] = []
    owners: list[int] = []
    for index, change in enumerate(changes):
        try:
            encoded = list(_encode(change, identity=index + 1))
        except ValueError as error:  # something foreign that we can read but not make
            raise KernelRefused(errno.EOPNOTSUPP, str(error), index) from None
        messages += encoded
        owners += [index] * len(encoded)
    if not messages:
        return
    with closing(Nfnetlink()) as kernel:
        try:
            kernel.transaction(messages)
        except KernelRefused as refused:
            index_of_change = None if refused.index is None else owners[refused.index]
            raise KernelRefused(refused.errno, refused.text, index_of_change) from None


class Nfnetlink(Netlink):
    """Netfilter's netlink, which takes a transaction in a single send."""

    def __init__(self) -> None:
        try:
            super().__init__(NETLINK_NETFILTER)
        except OSError as error:
            raise KernelRefused(error.errno or 0, "this kernel has no nf_tables") from None

    def transaction(self, messages: t.Sequence[bytes]) -> None:
        begin = self._numbered(codec.encode_boundary(codec.BATCH_BEGIN), NLM_F_REQUEST)
        first = self._sequence + 1
        # Failures are always reported; one acknowledgement, of the last message, tells that all went well. One for
        # each would overrun the receive buffer.
        numbered = [self._numbered(message, NLM_F_REQUEST) for message in messages[:-1]]
        numbered.append(self._numbered(messages[-1], NLM_F_REQUEST | NLM_F_ACK))
        end = self._numbered(codec.encode_boundary(codec.BATCH_END), NLM_F_REQUEST)
        self._send(b"".join((begin, *numbered, end)))
        while True:
            for kind, flags, sequence, answer in self._answers():
                if kind == NLMSG_ERROR and first - 1 <= sequence < first + len(messages):
                    index = sequence - first if sequence >= first else None
                    refused = refusal(flags, answer, index)
                    if refused is not None:
                        raise _explained(refused)
                    return

    def _send(self, packet: bytes) -> None:
        # The kernel takes no packet larger than the send buffer; in a user namespace net.core.wmem_max is its limit.
        size = max(len(packet), _SEND_BYTES)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, size)
        except PermissionError:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
        try:
            self._socket.send(packet)
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                raise
            text = f"one transaction of {len(packet)} bytes is more than net.core.wmem_max allows"
            raise KernelRefused(errno.EMSGSIZE, text) from None

    def _answers(self) -> list[tuple[int, int, int, bytes]]:
        try:
            return list(self._receive())
        except OSError as error:
            if error.errno != errno.ENOBUFS:  # so many failures that some were lost, but not the first
                raise
            return []


def _explained(refused: KernelRefused) -> KernelRefused:
    """What nf_tables says by an errno alone, which strerror would mislead about."""
    text = refused.text
    if refused.errno == errno.EOPNOTSUPP and refused.index is None:
        text = "this kernel has no nf_tables"
    elif refused.errno == errno.EPERM and refused.index is not None:
        text = "the table belongs to another process (its flag is 'owner')"
    elif refused.errno == errno.EBUSY:
        text = "a rule or an element still refers to it"
    return KernelRefused(refused.errno, text, refused.index)


# Reading


class _Reading:
    """One reading of a table; more than one generation seen means that it changed in between."""

    def __init__(self, kernel: Netlink, name: TableName) -> None:
        self.generations: set[int] = set()
        self._kernel = kernel
        self._name = name

    def table(self) -> t.Optional[Table]:
        try:
            shown = [each for each in self._dump(codec.TABLE, "table") if each["name"] == self._name.name]
        except KernelRefused as refused:
            if refused.errno in NO_NF_TABLES:
                return None
            raise
        if not shown:
            return None
        sets = self._sets()
        return Table(
            self._name.family,
            self._name.name,
            self._chains(self._rules()),
            tuple(each for each in sets if isinstance(each, Map)),
            tuple(each for each in sets if isinstance(each, Set)),
            codec.decode_comment(shown[0].get("userdata")),
            bool(shown[0].get("flags", 0) & DORMANT),
        )

    def _dump(self, kind: int, layout: str, **attributes: str) -> list[dict[str, t.Any]]:
        request = codec.encode(kind + codec.DUMP, FAMILIES[self._name.family], 0, layout, tuple(attributes.items()))
        messages = [codec.decode(layout, data) for data in self._kernel.dump(request, NLM_F_DUMP)]
        self.generations.update(message.generation for message in messages)
        return [message.attributes for message in messages]

    def _rules(self) -> dict[str, list[Rule]]:
        rules: dict[str, list[Rule]] = {}
        version = VERSIONS.get(self._name.family)
        for shown in self._dump(codec.RULE, "rule", table=self._name.name):
            if shown["table"] == self._name.name:
                expressions = decode_expressions(codec.decode_list(shown.get("expressions", b"")), version)
                rule = Rule(expressions, codec.decode_comment(shown.get("userdata")))
                rules.setdefault(shown["chain"], []).append(rule)
        return rules

    def _chains(self, rules: t.Mapping[str, list[Rule]]) -> tuple[Chain, ...]:
        return tuple(
            Chain(shown["name"], tuple(rules.get(shown["name"], ())), read_hook(shown))
            for shown in self._dump(codec.CHAIN, "chain", table=self._name.name)
            if shown["table"] == self._name.name
        )

    def _sets(self) -> list[t.Union[Set, Map]]:
        """All but the anonymous ones, which are part of a rule."""
        return [
            decode_set(shown, self._elements(shown["name"]))
            for shown in self._dump(codec.SET, "set", table=self._name.name)
            if shown["table"] == self._name.name and not shown.get("flags", 0) & NFT_SET_ANONYMOUS
        ]

    def _elements(self, name: str) -> list[bytes]:
        elements: list[bytes] = []
        for shown in self._dump(codec.ELEMENTS, "elements", table=self._name.name, set=name):
            elements += codec.decode_list(shown.get("elements", b""))
        return elements


def read_hook(shown: t.Mapping[str, t.Any]) -> t.Optional[Hook]:
    if "hook" not in shown:
        return None
    hook = codec.decode_hook(shown["hook"])
    number, policy = hook["number"], shown.get("policy", 1)
    name = _HOOKS[number] if number < len(_HOOKS) else f"hook {number}"
    return Hook(shown.get("type", ""), name, hook["priority"], _POLICIES[policy])


# Writing


def _encode(change: Change, identity: int) -> t.Iterator[bytes]:
    """The messages of one change; `identity` is unique in the transaction."""
    if isinstance(change, (AddTable, DeleteTable)):
        yield _encode_table(change)
    elif isinstance(change, (AddSet, DeleteSet)):
        name = ("name", change.set.name)
        if isinstance(change, AddSet):
            yield _message(change, codec.SET, NLM_F_CREATE, name, *encode_set(change.set, identity))
        else:
            yield _message(change, codec.SET + codec.DELETE, 0, name)
    elif isinstance(change, AddElements):
        for portion in encode_elements(change.elements):
            items = ("elements", codec.encode_list(portion))
            yield _message(change, codec.ELEMENTS, NLM_F_CREATE, ("set", change.set), items)
    elif isinstance(change, DeleteElements):
        for portion in encode_elements(Element(element.key) for element in change.elements):
            items = ("elements", codec.encode_list(portion))
            yield _message(change, codec.ELEMENTS + codec.DELETE, 0, ("set", change.set), items)
    elif isinstance(change, AddChain):
        yield _message(change, codec.CHAIN, NLM_F_CREATE, ("name", change.chain), *_encode_hook(change.hook))
    elif isinstance(change, DeleteChain):
        yield _message(change, codec.CHAIN + codec.DELETE, 0, ("name", change.chain))
    elif isinstance(change, FlushChain):
        yield _message(change, codec.RULE + codec.DELETE, 0, ("chain", change.chain))
    else:
        version = VERSIONS.get(change.table.family)
        expressions = ("expressions", codec.encode_list(encode_expressions(change.rule.expressions, version)))
        comment = _userdata(change.rule.comment)
        chain = ("chain", change.chain)
        yield _message(change, codec.RULE, NLM_F_CREATE | NLM_F_APPEND, chain, expressions, *comment)


_LAYOUTS = {codec.CHAIN: "chain", codec.RULE: "rule", codec.SET: "set", codec.ELEMENTS: "elements"}


def _message(change: Change, kind: int, flags: int, *attributes: tuple[str, object]) -> bytes:
    layout = _LAYOUTS[kind - kind % 3]  # the three numbers of a kind of thing are add, get and delete
    table = ("table", change.table.name)
    return codec.encode(kind, FAMILIES[change.table.family], flags, layout, (table, *attributes))


def _encode_table(change: t.Union[AddTable, DeleteTable]) -> bytes:
    family, name = FAMILIES[change.table.family], ("name", change.table.name)
    if isinstance(change, DeleteTable):
        return codec.encode(codec.TABLE + codec.DELETE, family, 0, "table", (name,))
    attributes = (name, ("flags", DORMANT if change.dormant else 0), *_userdata(change.comment))
    return codec.encode(codec.TABLE, family, NLM_F_CREATE, "table", attributes)


def _encode_hook(hook: t.Optional[Hook]) -> list[tuple[str, object]]:
    if hook is None:
        return []
    number = codec.encode_hook(_HOOKS.index(hook.hook), hook.priority)
    return [("hook", number), ("type", hook.type), ("policy", _POLICIES.index(hook.policy))]


def _userdata(comment: str) -> list[tuple[str, object]]:
    return [("userdata", codec.encode_comment(comment))] if comment else []
