# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Operations on the names of network namespaces, and the end of processes inside. Source: ip-netns(8), pidfd_open(2)."""

from __future__ import annotations

import dataclasses
import typing as t

from .._operation import Call, Operation, words
from .._values import NETNS_DIR, NamespaceRef, attachment_record
from .._world import NameEntry, World
from ._file import DropFile, PutFile
from ._linking import remove_link
from ._place import empty_namespace

if t.TYPE_CHECKING:
    from .._kernel._kernel import Kernel


def name_ref(name: str) -> NamespaceRef:
    return NamespaceRef("name", name)


@dataclasses.dataclass(frozen=True)
class AddNamespace(Call):
    name: str

    @property
    def command(self) -> str:
        return words("ip", "netns", "add", self.name)

    @property
    def purpose(self) -> str:
        return f"create namespace {self.name}"

    def run(self, kernel: Kernel) -> None:
        kernel.namespaces.create(self.name)

    def simulate(self, world: World) -> None:
        world.names[self.name] = NameEntry("namespace")
        empty_namespace(world, name_ref(self.name))

    def invert(self, world: World) -> tuple[Operation, ...]:
        return (DropNamespace(self.name),)


@dataclasses.dataclass(frozen=True)
class BindNamespace(Call):
    """Bind a living namespace under a name."""

    name: str
    source: NamespaceRef

    @property
    def command(self) -> str:
        if self.source.kind == "pid":
            return words("ip", "netns", "attach", self.name, self.source.value)
        target = f"{NETNS_DIR}/{self.name}"
        return f"mkdir -p {NETNS_DIR}\n{words('touch', target)}\n{words('mount', '--bind', self.source.path, target)}"

    @property
    def purpose(self) -> str:
        return f"bind namespace {self.source} under the name {self.name}"

    def run(self, kernel: Kernel) -> None:
        kernel.namespaces.bind(self.source, self.name)

    def simulate(self, world: World) -> None:
        world.names[self.name] = NameEntry("namespace")
        world.keys[name_ref(self.name)] = world.keys[self.source]

    def invert(self, world: World) -> tuple[Operation, ...]:
        return (DropNamespace(self.name),)


@dataclasses.dataclass(frozen=True)
class RecordAttachment(Call):
    """Remember that a namespace was bound from a living one, whose processes are not ours to end."""

    name: str

    @property
    def command(self) -> str:
        stat = words("stat", "-L", "-c", "%d:%i", f"{NETNS_DIR}/{self.name}")
        return f"{stat} | {words('install', '-D', '-m', '0644', '/dev/stdin', attachment_record(self.name))}"

    @property
    def purpose(self) -> str:
        return f"record that namespace {self.name} was attached"

    def run(self, kernel: Kernel) -> None:
        kernel.record_attachment(self.name)

    def simulate(self, world: World) -> None:
        world.names[self.name] = NameEntry("namespace", attached=True)

    def invert(self, world: World) -> tuple[Operation, ...]:
        former = world.files.get(attachment_record(self.name))
        return (
            DropFile(attachment_record(self.name)) if former is None else PutFile(attachment_record(self.name), former),
        )


@dataclasses.dataclass(frozen=True)
class DropNamespace(Call):
    """Take a namespace's name away; it ends when nothing else holds it.

    ``vanishing`` are the links in other namespaces that go when it does, being ends of veths.
    """

    name: str
    vanishing: tuple[tuple[NamespaceRef, str], ...] = ()

    @property
    def command(self) -> str:
        return words("ip", "netns", "del", self.name)

    @property
    def purpose(self) -> str:
        return f"remove namespace {self.name}"

    def run(self, kernel: Kernel) -> None:
        kernel.unbind(self.name, self.vanishing)

    def simulate(self, world: World) -> None:
        world.names[self.name] = NameEntry("missing")
        world.keys[name_ref(self.name)] = None
        for ref, link in self.vanishing:
            remove_link(world.state(ref), link)

    def invert(self, world: World) -> tuple[Operation, ...]:
        return (RebindNamespace(self.name),)


@dataclasses.dataclass(frozen=True)
class RebindNamespace(Call):
    """Undo a removal: the namespace is still held by a descriptor of this task, with everything in it."""

    name: str

    @property
    def command(self) -> str:
        return f"# the namespace {self.name} is bound again from the descriptor that the task holds"

    @property
    def purpose(self) -> str:
        return f"bind namespace {self.name} again"

    def run(self, kernel: Kernel) -> None:
        kernel.rebind(self.name)

    def simulate(self, world: World) -> None:
        world.names[self.name] = NameEntry("namespace")

    def invert(self, world: World) -> tuple[Operation, ...]:
        return ()


@dataclasses.dataclass(frozen=True)
class EndProcesses(Call):
    """SIGTERM, and SIGKILL for those that are still there after five seconds. Can't be undone, so it comes last."""

    pids: tuple[int, ...]

    @property
    def command(self) -> str:
        pids = words(*self.pids)
        return (
            f"kill {pids} 2>/dev/null || true\n"
            f"for pid in {pids}; do timeout 5 tail --pid=$pid -f /dev/null || kill -KILL $pid 2>/dev/null || true; done"
        )

    @property
    def purpose(self) -> str:
        return f"end the processes {', '.join(map(str, self.pids))}"

    def run(self, kernel: Kernel) -> None:
        kernel.processes.end(self.pids)

    def simulate(self, world: World) -> None:
        for state in world.namespaces.values():
            if state.pids is not None:
                state.pids = tuple(pid for pid in state.pids if pid not in self.pids)

    def invert(self, world: World) -> tuple[Operation, ...]:
        return ()
