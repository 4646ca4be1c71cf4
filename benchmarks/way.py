# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a way of building labs is to the benchmark: a command for each thing that is measured."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from .topologies import Growth, Lab, grown, growth, part

CREATE, AGAIN, CHANGE, DESTROY = "create", "second run", "one link more", "destroy"
# In this order, one behind the other, on one lab.
PHASES = (CREATE, AGAIN, CHANGE, DESTROY)

CHECKOUT = Path(__file__).parents[1]
# What runs by itself, in processes of its own.
PROGRAMS = Path(__file__).with_name("programs")


@dataclass(frozen=True)
class Job:
    """A lab to be built, and a directory for what the way leaves between its commands."""

    lab: Lab
    room: Path

    @property
    def more(self) -> Growth:
        return growth(self.lab)

    @property
    def grown(self) -> Lab:
        return grown(self.lab)

    @property
    def added(self) -> Lab:
        """The namespace and the link that the running lab is given, alone."""
        return part(self.lab, self.more)

    def keep(self, name: str, text: str) -> str:
        """A file in the room, by its path."""
        path = self.room / name
        path.write_text(text, encoding="utf-8")
        return str(path)


@dataclass(frozen=True)
class Reading:
    """What a command says of itself: the seconds of the work without the start of the interpreter, in parts where it
    knows them, and the peak of memory of the process that did it, where that is not the command."""

    work: float | None = None
    peak_kib: int | None = None
    parts: tuple[tuple[str, float], ...] = ()


class Failed(Exception):
    """The way did not do what it was asked."""


def nothing(_said: str) -> Reading:
    return Reading()


def own_words(said: str) -> Reading:
    """Of our own programs, which end with a line of JSON."""
    last = json.loads(said.splitlines()[-1])
    return Reading(last["seconds"], last.get("peak_kib"))


@dataclass(frozen=True)
class Command:
    argv: tuple[str, ...]
    read: Callable[[str], Reading] = nothing
    stdin: str = ""


def command(*argv: object, read: Callable[[str], Reading] = nothing, stdin: str = "") -> Command:
    return Command(tuple(str(word) for word in argv), read, stdin)


def script(job: Job, name: str, lines: Iterable[str]) -> Command:
    """A shell script, which ends where one of its commands fails."""
    return command("sh", "-e", job.keep(name, "\n".join(lines) + "\n"))


def named(_job: Job, namespace: str) -> str:
    return f"/run/netns/{namespace}"


@dataclass(frozen=True)
class Way:
    """``why_most`` is why no larger lab is built, ``note`` what a reader of the figures should know."""

    name: str
    title: str
    commands: Callable[[Job], dict[str, Command]]
    # Why it can't be tried on this machine, if so.
    missing: Callable[[], str | None] = lambda: None
    most: int = 1_000_000
    why_most: str = ""
    # Other kinds of labs would show nothing more.
    kinds: tuple[str, ...] = ("bridge", "chain", "grid")
    # It takes minutes: it is measured once, whatever the repeats.
    once: bool = False
    # The path of a namespace of its lab.
    path_of: Callable[[Job, str], str] = named
    note: str = ""
