# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Forwarding switches that rule sets turn on, and the record by which the last user puts them back.

The record is /run/nslab/sysctls.json: by namespace and path of the sysctl, the value before, the value set, the rule sets that use
it, and, for the global switch, which other switches the kernel set along. It is written before a switch is touched.

Source: Documentation/networking/ip-sysctl.rst, inet_forward_change in net/ipv4/devinet.c.
"""

from __future__ import annotations

import dataclasses
import json
import typing as t

from .._engine import Draft
from .._errors import Problem
from .._values import RECORDS, NamespaceRef
from .._world import FileState, NamespaceState, Need, NeedFile, NeedForwarding, World
from ._file import DropFile, PutFile
from ._sysctl import SetSysctl, global_switch

RECORD = f"{RECORDS}/sysctls.json"
IP_FORWARD = "net/ipv4/ip_forward"
ON = "1"


@dataclasses.dataclass(frozen=True)
class Entry:
    """One switch. ``along`` are other sysctls, by path, to be written after it when it is put back."""

    former: str
    written: str
    users: tuple[str, ...]
    along: tuple[tuple[str, str], ...] = ()

    def as_json(self) -> dict[str, object]:
        shown: dict[str, object] = {"former": self.former, "written": self.written, "users": list(self.users)}
        return {**shown, "along": dict(self.along)} if self.along else shown


Entries = dict[str, Entry]


def forwarding_path(interface: str) -> str:
    return f"net/ipv4/conf/{interface}/forwarding"


def needs(where: NamespaceRef) -> tuple[Need, ...]:
    return (NeedForwarding(where, 4), NeedFile(RECORD))


def value(state: NamespaceState, path: str) -> str:
    """The value of a switch; that of a link which is yet to come is the default of new links."""
    found = state.sysctls.get(path)
    return found if found is not None else state.sysctls.get("net/ipv4/conf/default/forwarding") or "0"


def read_record(world: World) -> dict[str, Entries]:
    """By namespace, then by path."""
    state = world.files.get(RECORD)
    if state is None:
        return {}
    try:
        return {
            place: {
                path: Entry(
                    entry["former"], entry["written"], tuple(entry["users"]), tuple(entry.get("along", {}).items())
                )
                for path, entry in entries.items()
            }
            for place, entries in json.loads(state.content).items()
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Problem(
            f"the record {RECORD} can't be read",
            "restore it, or remove it, and set the forwarding sysctls back by hand",
        ) from None


def recorded(world: World, where: NamespaceRef) -> Entries:
    return read_record(world).get(str(where), {})


@dataclasses.dataclass(frozen=True)
class Switching:
    """How the switches of one namespace change, for one user: what the record says before, during and after."""

    where: NamespaceRef
    user: str
    before: Entries
    during: Entries
    after: Entries
    observed: NamespaceState

    @property
    def guarded(self) -> tuple[str, ...]:
        """The links on which we turned forwarding on while the host forwards nothing else."""
        if self._ip_forward_then() != "0":
            return ()
        return tuple(path.split("/")[3] for path in sorted(self.after) if path.startswith("net/ipv4/conf/"))

    def _ip_forward_then(self) -> str:
        """The global switch as this change leaves it."""
        current, released = value(self.observed, IP_FORWARD), self.before.get(IP_FORWARD)
        if IP_FORWARD in self.after:
            return self.after[IP_FORWARD].written
        return released.former if released is not None and current == released.written else current

    def write_ahead(self, draft: Draft) -> None:
        _write(draft, self.where, self.during)

    def turn(self, draft: Draft) -> None:
        """Put back what nobody uses any more, then turn on what is used."""
        state = draft.world.state(self.where)
        # The global switch last: whoever turns it on wants all of them on.
        released = sorted((path for path in self.before if path not in self.after), key=lambda path: path == IP_FORWARD)
        for path in released:
            self._put_back(draft, state, path)
        held = [path for path in self.after if self._is_held(path)]
        for path in sorted(held, key=lambda path: path != IP_FORWARD):
            if value(state, path) != self.after[path].written:
                draft.do(SetSysctl(self.where, path, self.after[path].written))

    def settle(self, draft: Draft) -> None:
        _write(draft, self.where, self.after)

    def _is_held(self, path: str) -> bool:
        """Ours, or another user's that was as he wanted it and that the kernel may have reset along with a global one."""
        entry = self.after[path]
        return self.user in entry.users or value(self.observed, path) == entry.written

    def _put_back(self, draft: Draft, state: NamespaceState, path: str) -> None:
        entry = self.before[path]
        current = state.sysctls.get(path)
        if current is None or current != entry.written or current == entry.former:
            return  # the link is gone, or somebody else has changed it since
        if global_switch(path) is None and IP_FORWARD in self.after:
            return  # the global switch, which is ours now, has it on
        draft.do(SetSysctl(self.where, path, entry.former))
        for other, former in entry.along:
            if other not in self.after and state.sysctls.get(other) not in (None, former):
                draft.do(SetSysctl(self.where, other, former))


def switching(world: World, where: NamespaceRef, user: str, wanted: t.Sequence[str]) -> Switching:
    """What it takes that ``user`` has the switches ``wanted`` on, and no others through him."""
    state = world.at(where)
    observed = NamespaceState("") if state is None else state.copy()
    before = recorded(world, where)
    after: Entries = {}
    for path, entry in before.items():
        users = tuple(each for each in entry.users if each != user)
        if path in wanted:
            users = entry.users if user in entry.users else (*entry.users, user)
        if users:
            after[path] = dataclasses.replace(entry, users=users)
    left = _released(observed, {path: entry for path, entry in before.items() if path not in after})
    for path in wanted:
        if path not in after and value(left, path) != ON:
            along = tuple((other, old) for other, old in _along(left, path) if other not in after)
            after[path] = Entry(value(left, path), ON, (user,), along)
    return Switching(where, user, before, {**before, **after}, after, observed)


def _released(state: NamespaceState, entries: Entries) -> NamespaceState:
    """The switches as they would be without those that we turned on for nobody else: what is recorded as former is this."""
    for path in sorted(entries, key=lambda path: path != IP_FORWARD):
        entry = entries[path]
        if state.sysctls.get(path) == entry.written:
            state = _written(state, path, entry.former)
            state.sysctls.update(entry.along)
    return state


def _along(state: NamespaceState, path: str) -> list[tuple[str, str]]:
    """What a write of the switch and one back would leave different."""
    if global_switch(path) is None:
        return []
    left = _written(_written(state, path, ON), path, state.sysctls.get(path) or "0").sysctls
    return [(other, old) for other, old in state.sysctls.items() if old is not None and left[other] != old]


def _written(state: NamespaceState, path: str, new: str) -> NamespaceState:
    """A copy of the state after a write, with all that the kernel sets along."""
    ref = NamespaceRef("path", "/")
    scratch = World(keys={ref: state.key}, namespaces={state.key: state.copy()})
    SetSysctl(ref, path, new).simulate(scratch)
    return scratch.namespaces[state.key]


def shown_record(world: World) -> str | None:
    """The record's text, for a diff."""
    state = world.files.get(RECORD)
    return None if state is None else state.content


def _write(draft: Draft, where: NamespaceRef, entries: Entries) -> None:
    everywhere = {**read_record(draft.world), str(where): entries}
    shown = {
        place: {path: entry.as_json() for path, entry in sorted(found.items())}
        for place, found in sorted(everywhere.items())
        if found
    }
    if not shown:
        if draft.world.files.get(RECORD) is not None:
            draft.do(DropFile(RECORD))
        return
    wanted = FileState(json.dumps(shown, indent=2) + "\n")
    if draft.world.files.get(RECORD) != wanted:
        draft.do(PutFile(RECORD, wanted))
