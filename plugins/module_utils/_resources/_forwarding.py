# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Forwarding switches that rule sets turn on, and the record by which the last user puts them back.

The record is /run/nslab/sysctls.json: by namespace and path of the sysctl, the value before, the value set, the rule sets that use
it, and, for a global switch, which other switches the kernel set along. It is written before a switch is touched.

For IPv6 the kernel has a switch for each link, force_forwarding, since Linux 6.17; before, only the global one is of effect. With that a
link whose accept_ra is 1 loses what routers advertise to it, its default route among it, unless accept_ra is 2.

Source: Documentation/networking/ip-sysctl.rst, inet_forward_change in net/ipv4/devinet.c, addrconf_fixup_forwarding in
net/ipv6/addrconf.c.
"""

from __future__ import annotations

import dataclasses
import json
import typing as t

from .._engine import Draft
from .._errors import Problem
from .._values import HOST, RECORDS, NamespaceRef
from .._world import PROTO_RA, FileState, NamespaceState, Need, NeedFile, NeedForwarding, World
from ._file import DropFile, PutFile
from ._place import place
from ._sysctl import SetSysctl, global_switch

RECORD = f"{RECORDS}/sysctls.json"
GLOBAL = {4: "net/ipv4/ip_forward", 6: "net/ipv6/conf/all/forwarding"}
ON = "1"
_OF_A_LINK = {4: "net/ipv4/conf/{}/forwarding", 6: "net/ipv6/conf/{}/force_forwarding"}
_ACCEPT_RA = "net/ipv6/conf/{}/accept_ra"
_EVEN_IF_FORWARDING = "2"


@dataclasses.dataclass(frozen=True)
class Entry:
    """One switch. ``along`` are other sysctls, by path, to be written after it when it is put back.

    ``guards`` are, by user, the uplinks on which nothing else may be forwarded although the switch, being a global one, lets it.
    """

    former: str
    written: str
    users: tuple[str, ...]
    along: tuple[tuple[str, str], ...] = ()
    guards: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def as_json(self) -> dict[str, object]:
        shown: dict[str, object] = {"former": self.former, "written": self.written, "users": list(self.users)}
        if self.along:
            shown["along"] = dict(self.along)
        if self.guards:
            shown["guards"] = {user: list(links) for user, links in self.guards}
        return shown

    @staticmethod
    def from_json(shown: t.Mapping[str, t.Any]) -> Entry:
        guards = tuple((user, tuple(links)) for user, links in shown.get("guards", {}).items())
        along = tuple(shown.get("along", {}).items())
        return Entry(shown["former"], shown["written"], tuple(shown["users"]), along, guards)

    def used_by(self, user: str, guards: tuple[str, ...] | None) -> Entry:
        """With the user among its users; ``guards`` None: no longer among them."""
        users = tuple(each for each in self.users if each != user)
        if guards is not None:
            users = self.users if user in self.users else (*users, user)
        # In its place, so that who runs again leaves the record as it is.
        kept = {**dict(self.guards), user: guards or ()}
        return dataclasses.replace(self, users=users, guards=tuple(each for each in kept.items() if each[1]))


Entries = dict[str, Entry]


@dataclasses.dataclass(frozen=True)
class Wanted:
    """The values that a user of the switches wants, by path; and the uplinks to guard, by the global switch that opens them."""

    values: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    guards: t.Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    def and_also(self, other: Wanted) -> Wanted:
        return Wanted({**self.values, **other.values}, {**self.guards, **other.guards})


def needs(world: World, where: NamespaceRef, versions: t.Collection[int]) -> tuple[Need, ...]:
    """Those of the families in use, and of those that the record speaks of."""
    recorded_too = {6 for path in recorded(world, where) if path.startswith("net/ipv6/")}
    return (*(NeedForwarding(where, version) for version in sorted({4, *versions, *recorded_too})), NeedFile(RECORD))


Known = t.Mapping[str, t.Optional[str]]


def known_switches(world: World, state: NamespaceState) -> Known:
    """Those by which it is told which ones the kernel has, if any were looked at.

    Of a namespace that is yet to come none are known but what is about to be set; it will have those of the host.
    """
    telling = state if state.inode is not None else world.at(HOST)
    return {} if telling is None else telling.sysctls


def for_links(known: Known, version: int, inside: t.Iterable[str], uplinks: tuple[str, ...]) -> Wanted:
    """Only these links forward, or, where the kernel has no switch for that, all."""
    if version == 6 and known and _OF_A_LINK[6].format("default") not in known:
        return Wanted({GLOBAL[6]: ON}, {GLOBAL[6]: uplinks})
    return Wanted({_OF_A_LINK[version].format(name): ON for name in dict.fromkeys((*inside, *uplinks))})


def with_advertisements_kept(state: NamespaceState, record: Entries, wanted: Wanted) -> Wanted:
    """If the global switch of IPv6 is wanted, the links that live by router advertisements have to take them all the same."""
    if GLOBAL[6] not in wanted.values:
        return wanted
    taking = {dev for route in state.routes if route.protocol == PROTO_RA for dev in route.devs}
    taking |= {
        link.name for link in state.links.values() if any(a.ip.version == 6 and a.lifetime for a in link.addresses)
    }
    paths = [_ACCEPT_RA.format(name) for name in sorted(taking)]
    kept = {path: _EVEN_IF_FORWARDING for path in paths if state.sysctls.get(path) == ON or path in record}
    # What is on is not asked for again: the routes may be gone for a moment.
    kept.update({path: entry.written for path, entry in record.items() if path.endswith("/accept_ra")})
    return dataclasses.replace(wanted, values={**kept, **wanted.values})


def value(state: NamespaceState, path: str) -> str:
    """The value of a switch; that of a link which is yet to come is the default of new links."""
    found = state.sysctls.get(path)
    if found is not None:
        return found
    parts = path.split("/")
    usual = "/".join([*parts[:3], "default", *parts[4:]]) if parts[2] == "conf" else path
    return state.sysctls.get(usual) or "0"


def _rank(path: str) -> int:
    """The order in which switches are turned on; they are put back in reverse."""
    if path.endswith("/accept_ra"):
        return 0
    return 1 if path in GLOBAL.values() else 2


def _version(path: str) -> int:
    return 6 if path.startswith("net/ipv6/") else 4


def read_record(world: World) -> dict[str, Entries]:
    """By namespace, then by path."""
    state = world.files.get(RECORD)
    if state is None:
        return {}
    try:
        return {
            place: {path: Entry.from_json(entry) for path, entry in entries.items()}
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

    def guarded(self, version: int) -> tuple[str, ...]:
        """The links that forward because of us while the host would forward nothing."""
        entry = self.after.get(GLOBAL[version])
        if entry is not None:
            return tuple(sorted({link for _user, links in entry.guards for link in links}))
        if self._global_then(version) != "0":
            return ()
        head, tail = _OF_A_LINK[version].split("{}")
        return tuple(
            path[len(head) : -len(tail)] for path in sorted(self.after) if path.startswith(head) and path.endswith(tail)
        )

    def _global_then(self, version: int) -> str:
        """The global switch, which this change does not hold, as it leaves it."""
        path = GLOBAL[version]
        current, released = value(self.observed, path), self.before.get(path)
        return released.former if released is not None and current == released.written else current

    def write_ahead(self, draft: Draft) -> None:
        _write(draft, self.where, self.during)

    def turn(self, draft: Draft) -> None:
        """Put back what nobody uses any more, then turn on what is used."""
        state = draft.world.state(self.where)
        for path in sorted(self.before, key=_rank, reverse=True):
            if path not in self.after:
                self._put_back(draft, state, path)
        for path in sorted(self.after, key=_rank):
            if self._is_held(path) and value(state, path) != self.after[path].written:
                self._warn_of(draft, path)
                draft.do(SetSysctl(self.where, path, self.after[path].written))

    def _warn_of(self, draft: Draft, path: str) -> None:
        if self.after[path].guards and path == GLOBAL[6]:
            draft.warn(
                f"this kernel has no switch for IPv6 forwarding of one link: {path} is turned on {place(self.where)}, which is for all"
            )
        if path.endswith("/accept_ra"):
            draft.warn(
                f"{path} is set to {self.after[path].written} {place(self.where)}, so that the link goes on to take router"
                " advertisements although IPv6 is forwarded"
            )

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
        if _version(path) == 4 and GLOBAL[4] in self.after:
            return  # the global switch, which is ours now, has it on
        draft.do(SetSysctl(self.where, path, entry.former))
        for other, former in entry.along:
            if other not in self.after and state.sysctls.get(other) not in (None, former):
                draft.do(SetSysctl(self.where, other, former))


def switching(world: World, where: NamespaceRef, user: str, wanted: Wanted) -> Switching:
    """What it takes that ``user`` has the switches as ``wanted``, and no others through him."""
    state = world.at(where)
    observed = NamespaceState("") if state is None else state.copy()
    before = recorded(world, where)
    after: Entries = {}
    for path, entry in before.items():
        kept = entry.used_by(user, wanted.guards.get(path, ()) if path in wanted.values else None)
        if kept.users:
            after[path] = kept
    left = _released(observed, {path: entry for path, entry in before.items() if path not in after})
    # A switch may be on with another's global one alone; it is to outlast that.
    alone = _released(observed, before)
    for path, value_wanted in wanted.values.items():
        former = next((value(each, path) for each in (left, alone) if value(each, path) != value_wanted), None)
        if path not in after and former is not None:
            along = tuple((other, old) for other, old in _along(left, path) if other not in after)
            fresh = Entry(former, value_wanted, (), along)
            after[path] = fresh.used_by(user, wanted.guards.get(path, ()))
    return Switching(where, user, before, {**before, **after}, after, observed)


def _released(state: NamespaceState, entries: Entries) -> NamespaceState:
    """The switches as they would be without those that we turned on for nobody else: what is recorded as former is this."""
    for path in sorted(entries, key=_rank):
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
