# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An rtnetlink message as plain data: what the planner says and the kernel rooms encode. Source: rtnetlink(7)."""

from __future__ import annotations

import dataclasses
import typing as t

from ._values import NamespaceRef


@dataclasses.dataclass(frozen=True)
class Index:
    """Stands in a message for the index of a link, which is looked up just before the message goes out."""

    name: str


@dataclasses.dataclass(frozen=True)
class NamespaceFd:
    """Stands in a message for an open descriptor of a namespace."""

    ref: NamespaceRef


Attributes = t.Sequence[tuple[str, object]]


@dataclasses.dataclass(frozen=True)
class Message:
    """An rtnetlink message in the names of linux/rtnetlink.h; placeholders may stand anywhere in it.

    ``changed_names`` are those that lead to another link after it, or only then to one, in the namespace of the socket: their
    indexes may not be looked up before it was sent.
    """

    type: str
    flags: tuple[str, ...] = ()
    fields: t.Mapping[str, object] = dataclasses.field(default_factory=dict)
    attributes: Attributes = ()
    changed_names: tuple[str, ...] = ()
