# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sysctls of a network namespace.

Source: sysctl(8), Documentation/networking/ip-sysctl.rst, net/ipv4/devinet.c, net/ipv6/addrconf.c.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from .._engine import Draft
from .._errors import Problem
from .._operation import Call, Operation, inside
from .._values import NamespaceRef
from .._world import NamespaceState, Need, NeedForwarding, NeedSysctl, World
from ._place import namespace_at, place

if t.TYPE_CHECKING:
    from .._kernel._kernel import Kernel

_GLOBAL = re.compile(r"net/ipv(4)/ip_forward\Z|net/ipv([46])/conf/all/forwarding\Z")
_FORCED = re.compile(r"net/ipv6/conf/(?!all/|default/)[^/]+/force_forwarding\Z")
_OF_A_LINK = re.compile(r"net/(?:ipv[46]|mpls)/(?:conf|neigh)/(?!all/|default/)([^/]+)/")
_ACCEPT_REDIRECTS = "net/ipv4/conf/all/accept_redirects"


def global_switch(path: str) -> int | None:
    """4 or 6 where the sysctl is the global switch of forwarding, which sets that of every link along; else None."""
    match = _GLOBAL.match(path)
    return int(match.group(1) or match.group(2)) if match else None


def _former(state: NamespaceState, path: str) -> str | None:
    """The value of a sysctl before it is set: that of a link which the task makes is what new links get."""
    found, link = state.sysctls.get(path), of_a_link(path)
    if found is not None or link is None or link not in state.links:
        return found
    return state.sysctls.get(path.replace(f"/{link}/", "/default/", 1))


def of_a_link(path: str) -> str | None:
    """The link that a sysctl belongs to; ``all`` and ``default`` are none."""
    match = _OF_A_LINK.match(path)
    return match.group(1) if match else None


@dataclasses.dataclass(frozen=True)
class SetSysctl(Call):
    where: NamespaceRef
    path: str
    value: str

    @property
    def command(self) -> str:
        return inside(self.where, "sysctl", "-w", f"{self.path}={self.value}")

    @property
    def purpose(self) -> str:
        return f"set sysctl {self.path} {place(self.where)} to {self.value}"

    def run(self, kernel: Kernel) -> None:
        kernel.write_sysctl(self.where, self.path, self.value)

    def simulate(self, world: World) -> None:
        state = world.state(self.where)
        state.sysctls.update(self._reset(state))
        state.sysctls[self.path] = self.value

    def _reset(self, state: NamespaceState) -> list[tuple[str, str]]:
        """What the kernel sets along with the global switch, when that changes."""
        version = global_switch(self.path)
        if version is None or state.sysctls.get(self.path) == self.value:
            return []
        known = re.compile(rf"net/ipv{version}/conf/[^/]+/forwarding\Z|net/ipv{version}/ip_forward\Z")
        found = [(path, self.value) for path in state.sysctls if known.match(path)]
        if version == 6 and self.value == "0":
            found += [(path, "0") for path in state.sysctls if _FORCED.match(path)]
        if version == 4 and _ACCEPT_REDIRECTS in state.sysctls:
            found.append((_ACCEPT_REDIRECTS, "0" if self.value != "0" else "1"))
        return found

    def invert(self, world: World) -> tuple[Operation, ...]:
        state = world.state(self.where)
        former = _former(state, self.path)
        if former is None:
            return ()
        after = world.excerpt(state.key)
        SetSysctl(self.where, self.path, self.value).simulate(after)
        SetSysctl(self.where, self.path, former).simulate(after)
        restored = after.namespaces[state.key].sysctls
        others = [
            SetSysctl(self.where, path, value)
            for path, value in state.sysctls.items()
            if value is not None and restored.get(path) != value and global_switch(path) is None
        ]
        return (SetSysctl(self.where, self.path, former), *others)


@dataclasses.dataclass(frozen=True)
class Sysctls:
    """Values of sysctls in one namespace, by path below /proc/sys."""

    where: NamespaceRef
    values: t.Mapping[str, str]

    def needs(self, world: World) -> t.Iterable[Need]:
        switches = {global_switch(path) for path in self.values} - {None}
        return (
            *(NeedForwarding(self.where, version) for version in switches if version is not None),
            *(NeedSysctl(self.where, path) for path in self.values),
        )

    def plan(self, draft: Draft) -> None:
        state = namespace_at(draft, self.where)
        # The global switches first, as they set those of the links along.
        for path in sorted(self.values, key=lambda path: global_switch(path) is None):
            if path in state.sysctls and state.sysctls[path] is None and not _is_coming(state, of_a_link(path)):
                raise Problem(
                    f"sysctl {path} does not exist {place(self.where)}",
                    "check its name, and that the kernel has the module and the link that it belongs to",
                )
            if state.sysctls.get(path) != self.values[path]:
                draft.do(SetSysctl(self.where, path, self.values[path]))


def forget_sysctls(state: NamespaceState, *links: str) -> None:
    """The links are, by the plan, others than those that were looked at under these names, or than the lack of one."""
    for path in [path for path in state.sysctls if of_a_link(path) in links]:
        del state.sysctls[path]


def _is_coming(state: NamespaceState, link: str | None) -> bool:
    """Whether a link is there by the plan and not yet in the kernel."""
    return link is not None and link in state.links and state.links[link].index is None
