# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The marks of a picture while it is made, by what they are put at."""

from __future__ import annotations

import typing as t

from ansible_collections.nslab.linux.plugins.plugin_utils._picture import Mark
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_words import Place

Cable = frozenset[Place]
T = t.TypeVar("T")


class Marks:
    """At nodes by their keys, at interfaces by their places, at cables by the places of both ends."""

    def __init__(self) -> None:
        self._nodes: dict[str, list[Mark]] = {}
        self._ends: dict[Place, list[Mark]] = {}
        self._cables: dict[Cable, list[Mark]] = {}

    def node(self, key: str, kind: str, text: str) -> None:
        _put(self._nodes, key, Mark(kind, text))

    def end(self, place: Place, kind: str, text: str) -> None:
        _put(self._ends, place, Mark(kind, text))

    def cable(self, cable: Cable, kind: str, text: str) -> None:
        _put(self._cables, cable, Mark(kind, text))

    def of_node(self, key: str) -> tuple[Mark, ...]:
        return tuple(self._nodes.get(key, ()))

    def of_end(self, place: Place) -> tuple[Mark, ...]:
        return tuple(self._ends.get(place, ()))

    def of_cable(self, cable: Cable) -> tuple[Mark, ...]:
        return tuple(self._cables.get(cable, ()))


def _put(marks: dict[T, list[Mark]], where: T, mark: Mark) -> None:
    found = marks.setdefault(where, [])
    if mark not in found:
        found.append(mark)
