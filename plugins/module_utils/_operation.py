# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operation is: what it does, the command line that a person would have typed, and its inverse.

An operation is plain data. It never touches the kernel: a Request describes one rtnetlink message, a Call names one
function of a kernel room. Both say what the world will be afterwards (`simulate`) and how to go back (`invert`).
"""

from __future__ import annotations

import abc
import dataclasses
import shlex
import typing as t

from ._errors import advice_for
from ._message import Message
from ._values import NamespaceRef
from ._world import World

if t.TYPE_CHECKING:
    from ._kernel._kernel import Kernel


class Operation(abc.ABC):
    """One step of a plan.

    ``gone`` are the answers (errno) by which the kernel says that what is to be removed is not there: that is as good as
    done, since the kernel may have dropped it along with something else.
    """

    gone: t.ClassVar[frozenset[int]] = frozenset()

    @property
    @abc.abstractmethod
    def command(self) -> str:
        """The step as shell words, quoted; it may span several lines. ``sh -e`` runs it on an equal host."""

    @property
    @abc.abstractmethod
    def purpose(self) -> str:
        """What the step is for, to follow "could not": ``set link eth0 in red up``."""

    def advice(self, number: int | None) -> str:
        """What to do when the kernel refuses the step with this errno."""
        return advice_for(number)

    @abc.abstractmethod
    def simulate(self, world: World) -> None:
        """Change ``world`` as the kernel will change, with all that the kernel drops along."""

    @abc.abstractmethod
    def invert(self, world: World) -> tuple[Operation, ...]:
        """The operations that lead back to ``world``, the state before this one, whatever the kernel dropped along."""


@dataclasses.dataclass(frozen=True)
class Request(Operation):
    """An operation that is one rtnetlink message in one namespace; neighbours in a plan go out in one send.

    ``where`` is the namespace whose socket the message goes through.
    """

    where: NamespaceRef

    @abc.abstractmethod
    def message(self) -> Message:
        """The message to be sent."""


class Call(Operation):
    """An operation that is a call into a kernel room."""

    @abc.abstractmethod
    def run(self, kernel: Kernel) -> None:
        """Do it; the kernel's refusal is raised as OSError or KernelRefused."""


def words(*parts: object) -> str:
    """Shell words, each quoted."""
    return " ".join(shlex.quote(str(part)) for part in parts)


def ip(where: NamespaceRef, *parts: object) -> str:
    """A call of ip(8) in a namespace. ``ip -n`` takes names only."""
    if where.kind == "host":
        return words("ip", *parts)
    if where.kind == "name":
        return words("ip", "-n", where.value, *parts)
    return words("nsenter", f"--net={where.path}", "ip", *parts)


def inside(where: NamespaceRef, *parts: object) -> str:
    """Any command run in a namespace."""
    if where.kind == "host":
        return words(*parts)
    if where.kind == "name":
        return words("ip", "netns", "exec", where.value, *parts)
    return words("nsenter", f"--net={where.path}", *parts)


def handle(ref: NamespaceRef) -> str:
    """A namespace as the argument of ``ip link ... netns``, as a shell word.

    The host's is that of the shell itself; a bare name is taken for a pid where no namespace bears it, hence paths.
    """
    if ref.kind == "host":
        return "/proc/$$/ns/net"
    if ref.kind == "name" and not ref.value.isdigit():
        return shlex.quote(ref.value)
    return shlex.quote(ref.path)


def here_document(command: str, content: str) -> str:
    """``command`` fed with ``content`` on its standard input."""
    mark = "EOF"
    while mark in content.splitlines():
        mark += "_"
    body = content if content.endswith("\n") or not content else content + "\n"
    return f"{command} <<'{mark}'\n{body}{mark}"


@dataclasses.dataclass(frozen=True)
class Step:
    """An operation in its place in a plan, with its inverse made from the state just before it."""

    operation: Operation
    inverse: tuple[Operation, ...]
