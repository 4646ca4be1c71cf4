# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects and a kernel that exist only here, for the engine: cells, each of which holds a word."""

from __future__ import annotations

import dataclasses
import errno

from ansible_collections.nslab.linux.plugins.module_utils._engine import Declaration
from ansible_collections.nslab.linux.plugins.module_utils._kernel._refusal import KernelRefused
from ansible_collections.nslab.linux.plugins.module_utils._message import Message
from ansible_collections.nslab.linux.plugins.module_utils._operation import Call, Request
from ansible_collections.nslab.linux.plugins.module_utils._values import HOST, NamespaceRef
from ansible_collections.nslab.linux.plugins.module_utils._world import NamespaceState, NeedFile, World

RED = NamespaceRef("name", "red")
KEY = "4:1"


def cells(world: World) -> dict:
    """What the cells hold in a World: it keeps them as sysctls."""
    return world.namespaces[KEY].sysctls


@dataclasses.dataclass(frozen=True)
class Write(Request):
    """Put a word into a cell; None empties it."""

    cell: str
    word: str | None

    gone = frozenset({errno.ESRCH})

    @property
    def command(self) -> str:
        return f"write {self.cell} {self.word}"

    @property
    def purpose(self) -> str:
        return f"write {self.word} to {self.cell}"

    def message(self) -> Message:
        return Message("WRITE", (), {"cell": self.cell, "word": self.word})

    def simulate(self, world: World) -> None:
        cells(world)[self.cell] = self.word

    def invert(self, world: World):
        return (Write(self.where, self.cell, cells(world).get(self.cell)),)


@dataclasses.dataclass(frozen=True)
class Copy(Write):
    """Put into a cell what another holds: its inverse depends on what was done before."""

    source: str = "a"

    @property
    def command(self) -> str:
        return f"copy {self.source} {self.cell}"

    def invert(self, world: World):
        return (Write(self.where, self.cell, cells(world).get(self.cell) or f"was {cells(world)[self.source]}"),)


@dataclasses.dataclass(frozen=True)
class Shout(Call):
    """A call into a kernel room that puts a word into a cell."""

    cell: str
    word: str | None
    where = HOST

    @property
    def command(self) -> str:
        return f"shout {self.cell} {self.word}"

    @property
    def purpose(self) -> str:
        return f"shout {self.word} to {self.cell}"

    def run(self, kernel) -> None:
        kernel.shout(self.cell, self.word)

    def simulate(self, world: World) -> None:
        cells(world)[self.cell] = self.word

    def invert(self, world: World):
        return (Shout(self.cell, cells(world).get(self.cell)),)


@dataclasses.dataclass(frozen=True)
class Wanted:
    """That cells hold what ``operations`` put there; what is needed is asked for one after the other."""

    operations: tuple
    needed: tuple = ()

    def needs(self, world: World):
        return [need for number, need in enumerate(self.needed) if len(world.seen) >= number]

    def plan(self, draft) -> None:
        for operation in self.operations:
            if cells(draft.world).get(operation.cell) != operation.word:
                draft.do(operation)


class Kernel:
    """Holds the cells. ``refusals`` says for a cell which errno is answered, ``slow`` after how many looks it tells the truth."""

    def __init__(self, refusals=None, slow=None, deaf=(), **held) -> None:
        self.held = held
        self.refusals = dict(refusals or {})
        self.slow = dict(slow or {})
        self.deaf = deaf
        self.log = []
        self.ended_by = None
        self.sends = []
        self.looks = []

    def observe(self, world: World, needs) -> None:
        self.looks.append(set(needs))
        seen = {}
        for cell, word in self.held.items():
            if self.slow.get(cell, 0) > 0 and word is not None and self.log:
                self.slow[cell] -= 1
            else:
                seen[cell] = word
        world.keys[HOST] = KEY
        world.namespaces[KEY] = NamespaceState(KEY, sysctls=seen)

    def send(self, where, messages):
        self.sends.append((str(where), len(messages)))
        return [self._take(message.fields["cell"], message.fields["word"]) for message in messages]

    def shout(self, cell: str, word) -> None:
        refused = self._take(cell, word)
        if refused is not None:
            raise OSError(refused.errno, refused.text)

    def _take(self, cell: str, word):
        self.log.append((cell, word))
        number = self.refusals.get((cell, word))
        if number is not None:
            return KernelRefused(number, f"no, {cell}")
        if cell not in self.deaf:
            self.held[cell] = word
        return None


FIRST = NeedFile("a")


def declared(*operations, needed=(FIRST,)) -> Declaration:
    return Declaration([Wanted(operations, needed)], lambda world: dict(cells(world)), "cells")


def words(*given: str, where=HOST):
    """Writes of a word to cells: ``a=1``."""
    return [Write(where, *each.split("=")) for each in given]
