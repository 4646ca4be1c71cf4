# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small text files and their directories, as operations."""

from __future__ import annotations

import dataclasses
import errno
import os
import typing as t

from .._errors import advice_for_file
from .._operation import Call, Operation, here_document, words
from .._world import DirectoryState, FileState, World

if t.TYPE_CHECKING:
    from .._kernel._kernel import Kernel


class OnFiles(Call):
    """What is done to files, and may be refused as such."""

    def advice(self, number: int | None) -> str:
        return advice_for_file(number)


@dataclasses.dataclass(frozen=True)
class PutFile(OnFiles):
    """Write a file, atomically; its content ends with a line break. Or, where it was one, a symbolic link."""

    path: str
    state: FileState

    @property
    def command(self) -> str:
        if self.state.target is not None:
            return words("ln", "-sfn", self.state.target, self.path)
        return here_document(
            words("install", "-D", "-m", f"{self.state.mode:04o}", "/dev/stdin", self.path), self.state.content
        )

    @property
    def purpose(self) -> str:
        return f"write file {self.path}"

    def run(self, kernel: Kernel) -> None:
        kernel.files.write(self.path, self.state)

    def simulate(self, world: World) -> None:
        world.files[self.path] = self.state

    def invert(self, world: World) -> tuple[Operation, ...]:
        former = world.files.get(self.path)
        return (DropFile(self.path),) if former is None else (PutFile(self.path, former),)


@dataclasses.dataclass(frozen=True)
class AppendToFile(OnFiles):
    """Add whole lines to the end of a file that is there."""

    path: str
    lines: str

    @property
    def command(self) -> str:
        return here_document(f"cat >> {words(self.path)}", self.lines)

    @property
    def purpose(self) -> str:
        return f"append to file {self.path}"

    def run(self, kernel: Kernel) -> None:
        kernel.files.append(self.path, self.lines)

    def simulate(self, world: World) -> None:
        former = world.files[self.path]
        if former is not None:
            world.files[self.path] = dataclasses.replace(former, content=former.content + self.lines)

    def invert(self, world: World) -> tuple[Operation, ...]:
        former = world.files.get(self.path)
        return () if former is None else (PutFile(self.path, former),)


@dataclasses.dataclass(frozen=True)
class DropFile(OnFiles):
    path: str

    @property
    def command(self) -> str:
        return words("rm", self.path)

    @property
    def purpose(self) -> str:
        return f"remove file {self.path}"

    gone = frozenset({errno.ENOENT})

    def run(self, kernel: Kernel) -> None:
        kernel.files.remove(self.path)

    def simulate(self, world: World) -> None:
        world.files[self.path] = None

    def invert(self, world: World) -> tuple[Operation, ...]:
        former = world.files.get(self.path)
        return () if former is None else (PutFile(self.path, former),)


@dataclasses.dataclass(frozen=True)
class MakeDirectory(OnFiles):
    """A directory that everybody may enter, with its parents; or, where it exists, its mode."""

    path: str
    mode: int = 0o755

    @property
    def command(self) -> str:
        return words("install", "-d", "-m", f"{self.mode:04o}", self.path)

    @property
    def purpose(self) -> str:
        return f"make directory {self.path}"

    def run(self, kernel: Kernel) -> None:
        kernel.files.make_directory(self.path, self.mode)

    def simulate(self, world: World) -> None:
        former = world.directories.get(self.path)
        world.directories[self.path] = DirectoryState(() if former is None else former.names, self.mode)
        parent = os.path.dirname(self.path)
        if parent in world.directories and world.directories[parent] is None:
            world.directories[parent] = DirectoryState(())

    def invert(self, world: World) -> tuple[Operation, ...]:
        former = world.directories.get(self.path)
        if former is not None:
            return (MakeDirectory(self.path, former.mode),)
        parent = os.path.dirname(self.path)
        made_too = parent in world.directories and world.directories[parent] is None
        return (DropDirectory(self.path), *((DropDirectory(parent),) if made_too else ()))


@dataclasses.dataclass(frozen=True)
class DropDirectory(OnFiles):
    """Remove an empty directory."""

    path: str

    @property
    def command(self) -> str:
        return words("rmdir", self.path)

    @property
    def purpose(self) -> str:
        return f"remove directory {self.path}"

    def run(self, kernel: Kernel) -> None:
        kernel.files.remove_directory(self.path)

    def simulate(self, world: World) -> None:
        world.directories[self.path] = None

    def invert(self, world: World) -> tuple[Operation, ...]:
        former = world.directories.get(self.path)
        return () if former is None else (MakeDirectory(self.path, former.mode),)
