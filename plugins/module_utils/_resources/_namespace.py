# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Named network namespaces: made new, bound from a living one, and ended. Source: ip-netns(8), network_namespaces(7)."""

from __future__ import annotations

import dataclasses
import functools
import shlex
import typing as t

from .._engine import Declaration, Draft, Resource
from .._errors import Problem
from .._values import (
    HOST,
    NamespaceRef,
    attachment_record,
    parse_namespace,
    parse_namespace_name,
    parse_sysctl,
    parse_sysctl_value,
)
from .._world import NameEntry, NamespaceState, Need, NeedFile, NeedHolders, NeedLinks, NeedPeer, NeedProcesses, World
from ._binding import (
    AddNamespace,
    BindNamespace,
    DropNamespace,
    EndProcesses,
    RecordAttachment,
    name_ref,
)
from ._file import DropFile
from ._link import Up
from ._linking import MoveLink
from ._place import namespace_at
from ._sysctl import Sysctls


@dataclasses.dataclass(frozen=True)
class Namespace:
    """That a name is bound to a network namespace: a new one, or the living one to ``attach``."""

    name: str
    attach: NamespaceRef | None = None

    def needs(self, world: World) -> t.Iterable[Need]:
        found: list[Need] = [NeedLinks(name_ref(self.name)), NeedProcesses(name_ref(self.name))]
        if self.attach is not None:
            found += [NeedLinks(self.attach), NeedFile(attachment_record(self.name))]
        entry = world.names.get(self.name)
        return found + ([NeedFile(name_ref(self.name).path)] if entry is not None and entry.state == "stale" else [])

    def plan(self, draft: Draft) -> None:
        world, ref = draft.world, name_ref(self.name)
        if self.attach is not None:
            namespace_at(draft, self.attach)
        if world.names[self.name].state == "stale":
            remove_stale(draft, self.name)
        if world.names[self.name].state == "missing":
            draft.do(AddNamespace(self.name) if self.attach is None else BindNamespace(self.name, self.attach))
        if self.attach is None:
            return
        if world.keys[ref] != world.keys[self.attach]:
            raise Problem(
                f"namespace {self.name} exists and is another one than that of {self.attach}",
                "choose another name, or remove the namespace first",
            )
        if not world.names[self.name].attached:
            draft.do(RecordAttachment(self.name))


def remove_stale(draft: Draft, name: str) -> None:
    """A file that is no namespace lies under /run/netns: left by a crash, or by a boot without a tmpfs."""
    path = name_ref(name).path
    if draft.world.files.get(path) is None:
        raise Problem(f"{path} is neither a namespace nor a plain file", "look what it is, and remove it")
    draft.do(DropFile(path))
    draft.world.names[name] = NameEntry("missing")
    draft.world.keys[name_ref(name)] = None


@dataclasses.dataclass(frozen=True)
class Ended:
    """That the names are bound to nothing; ``processes`` says what to do with those inside: fail, ignore, terminate.

    ``likely`` says of links, by namespace and name, where their other ends probably are; of the others it is the host.
    """

    names: tuple[str, ...]
    processes: str
    likely: t.Mapping[tuple[str, str], NamespaceRef] = dataclasses.field(default_factory=dict)

    def needs(self, world: World) -> t.Iterable[Need]:
        found: list[Need] = [NeedLinks(HOST)]
        for name in self.names:
            ref, entry = name_ref(name), world.names.get(name)
            found += [NeedLinks(ref), NeedProcesses(ref), NeedHolders(ref), NeedFile(ref.path)]
            if entry is not None and entry.attached:
                found.append(NeedFile(attachment_record(name)))
            state = world.at(ref)
            veths = [] if state is None else [link.name for link in state.links.values() if link.kind == "veth"]
            found += [NeedPeer(ref, veth, self.likely.get((name, veth), HOST)) for veth in veths]
        return found

    def plan(self, draft: Draft) -> None:
        doomed: list[int] = []
        ours = set(self.names)
        staying = {key for ref, key in draft.world.keys.items() if ref.kind != "name" or ref.value not in ours}
        for name in self.names:
            entry = draft.world.names[name]
            if entry.state == "stale":
                remove_stale(draft, name)
            elif entry.state == "namespace":
                doomed += self._end(draft, name, entry, staying)
        if doomed:
            draft.do(EndProcesses(tuple(doomed)))

    def _end(self, draft: Draft, name: str, entry: NameEntry, staying: t.Collection[str | None]) -> tuple[int, ...]:
        state = draft.world.state(name_ref(name))
        pids = state.pids or ()
        linked = draft.world.files.get(name_ref(name).path) is not None
        self._judge(draft, name, pids, entry.attached or linked)
        if linked:  # a symbolic link to a namespace, which lives on wherever that is
            remove_stale(draft, name)
            return ()
        vanishing: list[tuple[NamespaceRef, str]] = []
        if self.ends(draft.world, name):
            vanishing = _far_ends(draft.world, state, staying)
            self._save_physical(draft, name, state)
        draft.do(DropNamespace(name, tuple(vanishing)))
        if entry.attached:
            draft.do(DropFile(attachment_record(name)))
        return pids if self.processes == "terminate" else ()

    def ends(self, world: World, name: str) -> bool:
        """Whether the namespace goes with its name, and does not live on by something that holds it."""
        state = world.state(name_ref(name))
        elsewhere = any(point not in self._paths for point in state.mounts)
        held = elsewhere or bool(state.holders) or world.names[name].attached
        return not held and (not state.pids or self.processes == "terminate")

    @functools.cached_property
    def _paths(self) -> frozenset[str]:
        return frozenset(name_ref(each).path for each in self.names)

    def _judge(self, draft: Draft, name: str, pids: tuple[int, ...], attached: bool) -> None:
        shown = ", ".join(map(str, pids[:10])) + (", ..." if len(pids) > 10 else "")
        if pids and self.processes == "fail":
            raise Problem(
                f"namespace {name} still has processes in it (pid {shown})",
                "end them, or set processes: ignore (they keep the namespace alive) or processes: terminate",
            )
        foreign = attached or draft.world.keys[name_ref(name)] == draft.world.keys.get(HOST)
        if pids and self.processes == "terminate" and foreign:
            raise Problem(
                f"namespace {name} was attached, and its processes (pid {shown}) are not the collection's to end",
                "set processes: ignore, which takes only the name away",
            )

    def _save_physical(self, draft: Draft, name: str, state: NamespaceState) -> None:
        """Physical interfaces would fall to the initial namespace of the machine, under a name of the kernel's choice."""
        host = draft.world.at(HOST)
        for link in list(state.links.values()):
            if link.kind is None:
                if host is not None and link.name in host.links:
                    raise Problem(
                        f"the physical interface {link.name} in {name} can't be given back: the host has a link of that"
                        " name",
                        "rename one of the two",
                    )
                draft.do(MoveLink(name_ref(name), link.name, HOST, link.name))


def _far_ends(world: World, state: NamespaceState, staying: t.Collection[str | None]) -> list[tuple[NamespaceRef, str]]:
    """The other ends of the veths in a namespace, so far as they are in one that stays."""
    peers = [link.peer for link in state.links.values() if link.peer is not None]
    return [(world.reference(peer.namespace), peer.name) for peer in peers if peer.namespace in staying]


# from the options of the module


def _attach(text: str | None, names: t.Sequence[str]) -> NamespaceRef | None:
    if text is None:
        return None
    ref = parse_namespace(text)
    if not text.startswith(("/", "pid:")):
        raise Problem(f"attach takes no {text!r}", "give pid:N or the absolute path of a living namespace")
    if len(names) != 1:
        raise Problem(f"attach goes with one name, and the task gives {len(names)}", "use a task for each")
    if ref == name_ref(names[0]):
        raise Problem(f"namespace {ref} can't be attached to its own name", "leave attach out, or give another name")
    return ref


def parse_sysctls(given: t.Mapping[str, t.Any]) -> dict[str, str]:
    """The values by path.

    :raises Problem: a name is none of the network's, or is given twice.
    """
    values: dict[str, str] = {}
    for name, value in given.items():
        path, text = parse_sysctl(name), parse_sysctl_value(name, value)
        if values.setdefault(path, text) != text:
            raise Problem(f"sysctl {name} is given two values, {values[path]} and {text}", "write it once")
    return values


def declare(params: t.Mapping[str, t.Any]) -> Declaration:
    """Namespaces by name, each with its loopback and its sysctls."""
    names = tuple(dict.fromkeys(parse_namespace_name(name) for name in params["name"]))
    if not names:
        raise Problem("no namespace is named", "give at least one name")
    values = parse_sysctls(params.get("sysctl") or {})
    attach = _attach(params.get("attach"), names)
    resources: list[Resource]
    if params["state"] == "absent":
        resources = [Ended(names, params.get("processes") or "fail")]
    else:
        resources = [Namespace(name, attach) for name in names]
        for name in names:
            if values:
                resources.append(Sysctls(name_ref(name), values))
            if params.get("loopback") is not None:
                resources.append(Up(name_ref(name), "lo", params["loopback"]))

    def report(world: World) -> dict[str, object]:
        return {"namespaces": [shown for shown in (_report(world, name) for name in names) if shown is not None]}

    shown = ", ".join(shlex.quote(name) for name in names[:3]) + (", ..." if len(names) > 3 else "")

    def governed(world: World) -> object:
        return {name: _governed(world, name, values) for name in names}

    return Declaration(resources, report, f"namespace {shown}", governed)


def _report(world: World, name: str) -> dict[str, object] | None:
    state = world.at(name_ref(name))
    if state is None or world.names[name].state != "namespace":
        return None
    return {
        "name": name,
        "path": name_ref(name).path,
        "inode": state.inode,
        "pids": None if state.pids is None else list(state.pids),
    }


def _governed(world: World, name: str, values: t.Mapping[str, str]) -> dict[str, object] | str:
    """What a task may change of a namespace: whether it is there, its loopback, the sysctls named."""
    state = world.at(name_ref(name))
    if state is None:
        return world.names[name].state
    lo = state.links.get("lo")
    return {
        "attached": world.names[name].attached,
        "loopback": "up" if lo is not None and lo.up else "down",
        "links": sorted(link.name for link in state.links.values() if link.kind is None),
        "sysctl": {path: state.sysctls.get(path) for path in values},
    }
