# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a lab has made on a host, as it stands in its ledger.

The ledger is a journal, /run/nslab/lab.NAME: a line `+ kind identity...: value` before something is made, a line
`- kind identity...` once it is gone. So whatever was made by a run that was killed at any point is in it, and nothing else
is. The resolver files outlive a reboot, and stand in /var/lib/nslab/lab.NAME besides.

    namespace NAME                          files NAME                  the resolver files of a namespace
    bridge WHERE NAME                       rules WHERE NAME            a NAT rule set
    veth WHERE NAME WHERE NAME: NODE NODE   network CIDR                one that the lab takes on its host
    addresses WHERE NAME: CIDR ...          route WHERE DST TABLE METRIC
    port WHERE BRIDGE NAME                  an interface that was there

WHERE is the name of a namespace, or host.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._engine import Draft
from .._values import LASTING_RECORDS, RECORDS
from .._world import FileState, Need, NeedDirectory, NeedFile, World
from ._file import AppendToFile, DropDirectory, DropFile, MakeDirectory, PutFile

_PREFIX = "lab."
_LASTING_KINDS = ("files",)

Key = tuple[str, ...]
Entries = dict[Key, str]


def parse_journal(text: str) -> Entries:
    """The entries that hold at its end; a last line that was cut off is none."""
    entries: Entries = {}
    for line in text.splitlines(keepends=True):
        if not line.endswith("\n"):
            break
        sign, _space, rest = line[:-1].partition(" ")
        words, _colon, value = rest.partition(": ")
        key = tuple(words.split(" "))
        if sign == "+":
            entries[key] = value
        elif sign == "-":
            entries.pop(key, None)
    return entries


def journal_lines(entries: Entries, gone: t.Iterable[Key] = ()) -> str:
    added = [f"+ {' '.join(key)}{f': {value}' if value else ''}\n" for key, value in entries.items()]
    return "".join([*added, *(f"- {' '.join(key)}\n" for key in gone)])


def _paths(world: World) -> list[str]:
    """The ledgers of all labs that are on the host."""
    records = world.directories.get(RECORDS)
    return [f"{RECORDS}/{name}" for name in (() if records is None else records.names) if name.startswith(_PREFIX)]


def ledger_needs(world: World) -> list[Need]:
    """For `labs`."""
    return [NeedDirectory(RECORDS), *(NeedFile(path) for path in _paths(world))]


def labs(world: World) -> dict[str, Entries]:
    """What each lab on the host has made, by its name."""
    files = {path[len(f"{RECORDS}/{_PREFIX}") :]: world.files.get(path) for path in _paths(world)}
    return {name: parse_journal(file.content) for name, file in files.items() if file is not None}


def places(entries: Entries) -> list[str]:
    """Every WHERE of a ledger, in its order."""
    found: list[str] = []
    for kind, *identity in entries:
        if kind == "veth":
            found += [identity[0], identity[2]]
        elif kind != "network":
            found.append(identity[0])
    return list(dict.fromkeys(found))


@dataclasses.dataclass(frozen=True)
class Ledger:
    """The ledger of the lab ``name``."""

    name: str

    @property
    def path(self) -> str:
        return f"{RECORDS}/{_PREFIX}{self.name}"

    @property
    def lasting_path(self) -> str:
        return f"{LASTING_RECORDS}/{_PREFIX}{self.name}"

    def needs(self, world: World) -> list[Need]:
        """Those of the other labs too, which say what networks they take."""
        found: list[Need] = [NeedFile(self.path), NeedFile(self.lasting_path)]
        found += [NeedDirectory(RECORDS), NeedDirectory(LASTING_RECORDS)]
        return found + [NeedFile(path) for path in self._others(world)]

    def is_read(self, world: World) -> bool:
        return self.path in world.files and self.lasting_path in world.files

    def texts(self, world: World) -> tuple[str, str]:
        """As it stands, and the part of it that outlives a reboot."""
        files = (world.files[self.path], world.files[self.lasting_path])
        return t.cast("tuple[str, str]", tuple("" if file is None else file.content for file in files))

    def entries(self, world: World) -> Entries:
        text, lasting = self.texts(world)
        return {**parse_journal(lasting), **parse_journal(text)}

    def networks_of_others(self, world: World) -> dict[str, list[str]]:
        """By the name of the lab."""
        found: dict[str, list[str]] = {}
        for path in self._others(world):
            file = world.files.get(path)
            entries = {} if file is None else parse_journal(file.content)
            found[path[len(f"{RECORDS}/{_PREFIX}") :]] = [key[1] for key in entries if key[0] == "network"]
        return found

    def _others(self, world: World) -> list[str]:
        return [path for path in _paths(world) if path != self.path]

    # What is about to be, and what is

    def write_ahead(self, draft: Draft, wanted: Entries) -> None:
        """Before anything is made."""
        lasting = {key: value for key, value in wanted.items() if key[0] in _LASTING_KINDS}
        if lasting and draft.world.directories[LASTING_RECORDS] is None:
            draft.do(MakeDirectory(LASTING_RECORDS))
        for path, entries in ((self.lasting_path, lasting), (self.path, wanted)):
            file = draft.world.files[path]
            now = {} if file is None else parse_journal(file.content)
            _append(draft, path, {key: value for key, value in entries.items() if now.get(key) != value})

    def settle(self, draft: Draft, wanted: Entries) -> None:
        """After all was made, and what is no longer wanted is gone."""
        for path in (self.path, self.lasting_path):
            file = draft.world.files[path]
            now = {} if file is None else parse_journal(file.content)
            left = {key: value for key, value in now.items() if key in wanted}
            if file is None or left == now:
                continue
            if left:
                _append(draft, path, {}, [key for key in now if key not in left])
                continue
            draft.do(DropFile(path))
            folder = draft.world.directories[LASTING_RECORDS]
            if path == self.lasting_path and folder is not None and folder.names == (f"{_PREFIX}{self.name}",):
                draft.do(DropDirectory(LASTING_RECORDS))


def _append(draft: Draft, path: str, entries: Entries, gone: t.Sequence[Key] = ()) -> None:
    if not entries and not gone:
        return
    lines = journal_lines(entries, gone)
    file = draft.world.files[path]
    if file is None:
        draft.do(PutFile(path, FileState(lines)))
        return
    now = parse_journal(file.content)
    left = {key: value for key, value in {**now, **entries}.items() if key not in gone}
    # Written anew, too, where a run was killed in the middle of a line.
    if not file.content.endswith("\n") or file.content.count("\n") > 2 * len(left) + 1000:
        draft.do(PutFile(path, dataclasses.replace(file, content=journal_lines(left))))
    else:
        draft.do(AppendToFile(path, lines))
