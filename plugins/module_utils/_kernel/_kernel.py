# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one door to the kernel rooms: it looks where the planner says, and does what a plan says. It decides nothing."""

from __future__ import annotations

import dataclasses
import os
import platform
import typing as t

from .._message import Message
from .._values import IPAddress, IPNetwork, NamespaceRef, attachment_record
from .._world import (
    BRIDGE_NETFILTER,
    NAT_TABLE,
    End,
    FileState,
    ForeignTable,
    Link,
    NameEntry,
    NamespaceState,
    Need,
    NeedDirectory,
    NeedFile,
    NeedFirewall,
    NeedForwarding,
    NeedForwardingLinks,
    NeedHolders,
    NeedIfReadable,
    NeedLinks,
    NeedLinkSysctls,
    NeedNamespace,
    NeedNeighbours,
    NeedPeer,
    NeedProcesses,
    NeedSysctl,
    NeedTable,
    World,
)
from . import _files, _nft_presence, _processes, _sysctl
from ._namespaces import Namespaces, bound_files, names
from ._refusal import KernelRefused
from ._rtnetlink import Rtnetlink


class Kernel:
    """Open for the length of one task; `close` lets go of every descriptor."""

    def __init__(self) -> None:
        self.ended_by: str | None = None  # the signal by which the task is to end
        self.files = _files
        self.processes = _processes
        self.namespaces = Namespaces()
        self.rtnetlink = Rtnetlink(self.namespaces)
        self._vanishing: dict[str, list[tuple[NamespaceRef, str]]] = {}  # by the name that was taken away
        # For each viewer the ids by which it knows others, and the namespaces that it has not been asked for yet.
        self._walks: dict[NamespaceRef, tuple[dict[int, NamespaceRef], t.Iterator[NamespaceRef]]] = {}
        self._holding: dict[int, list[int]] | None = None  # who has which namespace open
        self._usual_switches: dict[str, dict[str, str]] = {}  # by namespace
        self._names: dict[str, dict[int, str]] = {}  # of links by index, by namespace

    def close(self) -> None:
        """Also the end of what a task removed: only now do its namespaces go, and with them links in others."""
        self.rtnetlink.close()  # a socket keeps its namespace alive
        self.namespaces.release()
        self.rtnetlink.await_gone(link for links in self._vanishing.values() for link in links)
        self.rtnetlink.close()
        self.namespaces.close()

    # doing

    def send(self, where: NamespaceRef, messages: t.Sequence[Message]) -> list[KernelRefused | None]:
        return self.rtnetlink.send(where, messages)

    def unbind(self, name: str, vanishing: t.Iterable[tuple[NamespaceRef, str]]) -> None:
        """Take a namespace's name away; ``vanishing`` are the links elsewhere that go when it does."""
        self.namespaces.unbind(name)
        self._vanishing[name] = list(vanishing)

    def rebind(self, name: str) -> None:
        self.namespaces.rebind(name)
        del self._vanishing[name]

    def record_attachment(self, name: str) -> None:
        """Remember that, and which, namespace was bound under ``name``."""
        key = self.namespaces.key(NamespaceRef("name", name))
        _files.write(attachment_record(name), FileState(f"{key}\n"))

    def write_sysctl(self, where: NamespaceRef, path: str, value: str) -> None:
        with self.namespaces.entered(where):
            _sysctl.write(path, value)

    def change_table(self, where: NamespaceRef, changes: t.Sequence[t.Any]) -> None:
        from . import _nftables  # a tenth of a second, which only ns_nat needs

        with self.namespaces.entered(where):
            _nftables.apply_changes(changes)

    def flush_conntrack(
        self,
        where: NamespaceRef,
        networks: t.Iterable[IPNetwork],
        published: t.Iterable[tuple[str, int, int, IPAddress]],
    ) -> None:
        from . import _conntrack

        with self.namespaces.entered(where):
            _conntrack.flush(networks, published)

    # looking

    def observe(self, world: World, needs: t.Iterable[Need]) -> None:
        """Read what is needed into ``world``."""
        if not world.seen:
            self.namespaces.refresh()
            self._walks.clear()
            self._usual_switches.clear()
            self._holding = None
            world.live_rename = _kernel_version() >= (6, 2)
        for need in sorted(needs, key=lambda need: _ORDER[type(_bare(need))]):
            if isinstance(need, NeedIfReadable):
                self._if_readable(world, need.need)
            else:
                _LOOK[type(need)](self, world, need)

    def _if_readable(self, world: World, need: Need) -> None:
        try:
            _LOOK[type(need)](self, world, need)
        except KernelRefused as refused:
            world.unread[need] = refused.text
        except OSError as error:
            world.unread[need] = error.strerror or str(error)
        except ImportError:
            world.unread[need] = "that takes pyroute2, which is not there"

    def _namespace(self, world: World, need: NeedNamespace) -> None:
        self._resolve(world, need.ref)

    def _resolve(self, world: World, ref: NamespaceRef) -> NamespaceState | None:
        if ref in world.keys:
            return world.at(ref)
        try:
            key = self.namespaces.key(ref)
        except OSError as error:
            world.keys[ref] = None
            world.faults[ref] = error.strerror or str(error)
            if ref.kind == "name":
                world.names[ref.value] = NameEntry("stale" if os.path.lexists(ref.path) else "missing")
            return None
        world.keys[ref] = key
        if ref.kind == "name":
            record = _files.read(attachment_record(ref.value))
            world.names[ref.value] = NameEntry("namespace", record is not None and record.content.strip() == key)
        inode = int(key.partition(":")[2])
        return world.namespaces.setdefault(key, NamespaceState(key, inode))

    def _links(self, world: World, need: NeedLinks) -> None:
        self._read_links(world, need.ref)

    def _read_links(self, world: World, ref: NamespaceRef) -> NamespaceState | None:
        state = self._resolve(world, ref)
        if state is None or state.links:
            return state
        self._names[state.key] = self.rtnetlink.read(ref, state)
        self._leave_out_vanishing(world, state)
        self._read_promotion(ref, state)
        return state

    def _leave_out_vanishing(self, world: World, state: NamespaceState) -> None:
        """Links that are only there because this task holds the removed namespaces of their far ends open."""
        links = [link for links in self._vanishing.values() for link in links]
        gone = {name for ref, name in links if self._resolve(world, ref) is state}
        if gone:
            for name in gone:
                state.links.pop(name, None)
            state.routes = [route for route in state.routes if gone.isdisjoint(route.devs)]

    def _read_promotion(self, ref: NamespaceRef, state: NamespaceState) -> None:
        """Whether secondaries are promoted matters only where there are some."""
        having = [link for link in state.links.values() if any(address.secondary for address in link.addresses)]
        if not having:
            return
        with self.namespaces.entered(ref):
            everywhere = _sysctl.read("net/ipv4/conf/all/promote_secondaries") == "1"
            for link in having:
                own = _sysctl.read(f"net/ipv4/conf/{link.name}/promote_secondaries") == "1"
                state.links[link.name] = dataclasses.replace(link, promote_secondaries=everywhere or own)

    def _peer(self, world: World, need: NeedPeer) -> None:
        state = self._read_links(world, need.ref)
        link = None if state is None else state.links.get(need.name)
        if state is None or link is None or link.peer_index is None or link.peer is not None:
            return
        home = state if link.peer_nsid is None else self._by_nsid(world, need, link.peer_nsid)
        if home is None:
            return
        peer = home.links.get(self._names[home.key].get(link.peer_index, ""))
        if peer is not None:
            _join(state, link, home, peer)

    def _by_nsid(self, world: World, need: NeedPeer, nsid: int) -> NamespaceState | None:
        """The namespace that the viewer knows by an id: the likely one, one observed, one with a name, a process's."""
        known, walk = self._walks.setdefault(need.ref, ({}, self._candidates(world)))
        if nsid not in known and self._resolve(world, need.likely) is not None:
            seen = self.rtnetlink.nsid(need.ref, need.likely)
            if seen is not None:
                known[seen] = need.likely
        while nsid not in known:
            candidate = next(walk, None)
            if candidate is None:
                return None
            if self._resolve(world, candidate) is not None:
                seen = self.rtnetlink.nsid(need.ref, candidate)
                if seen is not None:
                    known.setdefault(seen, candidate)
        return self._read_links(world, known[nsid])

    @staticmethod
    def _candidates(world: World) -> t.Iterator[NamespaceRef]:
        yield from [ref for ref, key in world.keys.items() if key is not None]
        yield from [ref for ref in (NamespaceRef("name", name) for name in names()) if ref not in world.keys]
        pids = [found[0] for key, found in _processes.by_namespace().items() if key not in world.namespaces]
        yield from [NamespaceRef("pid", str(pid)) for pid in pids]

    def _sysctl(self, world: World, need: NeedSysctl) -> None:
        state = self._resolve(world, need.ref)
        if state is not None:
            with self.namespaces.entered(need.ref):
                state.sysctls[need.path] = _sysctl.read(need.path)

    def _forwarding(self, world: World, need: NeedForwarding) -> None:
        state = self._resolve(world, need.ref)
        if state is not None:
            with self.namespaces.entered(need.ref):
                for path in _sysctl.forwarding_paths(need.version):
                    state.sysctls[path] = _sysctl.read(path)

    def _forwarding_links(self, world: World, need: NeedForwardingLinks) -> None:
        state = self._read_links(world, need.ref)
        if state is not None:
            state.sysctls.update(self.rtnetlink.forwarding(need.ref, self._names[state.key]))
            with self.namespaces.entered(need.ref):
                for path in _sysctl.forced_paths(state.links):
                    state.sysctls[path] = _sysctl.read(path)

    def _neighbours(self, world: World, need: NeedNeighbours) -> None:
        state = self._read_links(world, need.ref)
        if state is not None:
            state.neighbours = self.rtnetlink.neighbours(need.ref, self._names[state.key])

    def _link_sysctls(self, world: World, need: NeedLinkSysctls) -> None:
        state = self._read_links(world, need.ref)
        if state is not None and need.link in state.links:
            with self.namespaces.entered(need.ref):
                usual = self._usual_switches.setdefault(state.key, {}) or _sysctl.switches("default")
                self._usual_switches[state.key] = usual
                own = _sysctl.switches(need.link)
            unusual = tuple((path.format(need.link), value) for path, value in own.items() if usual.get(path) != value)
            state.links[need.link] = dataclasses.replace(state.links[need.link], sysctls=unusual)

    def _processes(self, world: World, need: NeedProcesses) -> None:
        state = self._resolve(world, need.ref)
        if state is not None and state.pids is None:
            found, mounts = _processes.by_namespace(), bound_files()
            for key, other in world.namespaces.items():
                other.pids = tuple(found.get(key, ()))
                other.mounts = tuple(mounts.get(other.inode or 0, ()))

    def _holders(self, world: World, need: NeedHolders) -> None:
        state = self._resolve(world, need.ref)
        if state is not None:
            if self._holding is None:
                self._holding = _processes.by_open_namespace()
            state.holders = tuple(self._holding.get(state.inode or 0, ()))

    def _table(self, world: World, need: NeedTable) -> None:
        state = self._resolve(world, need.ref)
        if state is not None:
            with self.namespaces.entered(need.ref):
                if not _nft_presence.has_table(*NAT_TABLE):
                    return
                from . import _nftables  # a third of a second with pyroute2, which most namespaces need not cost

                state.table = _nftables.read_table(*NAT_TABLE)

    def _firewall(self, world: World, need: NeedFirewall) -> None:
        from . import _nft_foreign, _xtables

        state = self._resolve(world, need.ref)
        if state is not None:
            with self.namespaces.entered(need.ref):
                state.firewall = (
                    *(ForeignTable(table) for table in _nft_foreign.read_forwarding(*NAT_TABLE)),
                    *(ForeignTable(table, legacy=True) for table in _xtables.read_forwarding()),
                )
                for path in BRIDGE_NETFILTER.values():
                    state.sysctls[path] = _sysctl.read(path)

    def _file(self, world: World, need: NeedFile) -> None:
        world.files[need.path] = _files.read(need.path)

    def _directory(self, world: World, need: NeedDirectory) -> None:
        world.directories[need.path] = _files.directory(need.path)


# In the order in which they build on each other.
_LOOK: dict[type, t.Callable[[Kernel, World, t.Any], None]] = {
    NeedNamespace: Kernel._namespace,
    NeedLinks: Kernel._links,
    NeedPeer: Kernel._peer,
    NeedSysctl: Kernel._sysctl,
    NeedForwarding: Kernel._forwarding,
    NeedForwardingLinks: Kernel._forwarding_links,
    NeedNeighbours: Kernel._neighbours,
    NeedLinkSysctls: Kernel._link_sysctls,
    NeedProcesses: Kernel._processes,
    NeedHolders: Kernel._holders,
    NeedTable: Kernel._table,
    NeedFirewall: Kernel._firewall,
    NeedFile: Kernel._file,
    NeedDirectory: Kernel._directory,
}
_ORDER = {kind: place for place, kind in enumerate(_LOOK)}


def _bare(need: Need) -> Need:
    return need.need if isinstance(need, NeedIfReadable) else need


def _join(state: NamespaceState, link: Link, home: NamespaceState, peer: Link) -> None:
    """Let each end of a veth know the other."""
    state.links[link.name] = dataclasses.replace(link, peer=End(home.key, peer.name))
    home.links[peer.name] = dataclasses.replace(home.links[peer.name], peer=End(state.key, link.name))


def _kernel_version() -> tuple[int, int]:
    major, _dot, rest = platform.release().partition(".")
    minor = "".join(digit for digit in rest.partition(".")[0] if digit.isdigit())
    return int(major), int(minor or 0)
