# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The namespaces of a lab as hosts of an inventory: how they are named, and what the definition says of each. Pure."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.nslab.linux.plugins.module_utils._errors import Problem
from ansible_collections.nslab.linux.plugins.module_utils._lab import Fault, Lab
from ansible_collections.nslab.linux.plugins.module_utils._lab_addresses import addressed, judge
from ansible_collections.nslab.linux.plugins.module_utils._lab_definition import read_lab
from ansible_collections.nslab.linux.plugins.module_utils._lab_options import below, shown
from ansible_collections.nslab.linux.plugins.module_utils._lab_segments import holders
from ansible_collections.nslab.linux.plugins.module_utils._resources._lab import Faults

EVERY_NAMESPACE = "nslab_namespaces"
OF_THIS_MACHINE = "localhost"
# They are printed with each command, of each host of a fleet.
_MOST_FAULTS = 20
# What means the machine itself to Ansible.
_MACHINE = ("localhost", "127.0.0.1", "::1")


@dataclasses.dataclass(frozen=True)
class LabHost:
    """A namespace, with what its definition says of it: addresses and the node at the far end by interface, and so on."""

    node: str
    netns: str
    addresses: dict[str, list[str]]
    peers: dict[str, str]
    bridges: list[str]
    sysctl: dict[str, str]

    def variables(self, lab: str, parent: str) -> dict[str, t.Any]:
        return {
            "ansible_netns": self.netns,
            "nslab_node": self.node,
            "nslab_lab_name": lab,
            "nslab_parent": parent,
            "nslab_addresses": self.addresses,
            "nslab_peers": self.peers,
            "nslab_bridges": self.bridges,
            "nslab_sysctl": self.sysctl,
        }


def read_hosts(definition: object, path: str) -> tuple[str, tuple[LabHost, ...]]:
    """The name of the lab that this defines, and its namespaces. ``path`` is where it stands, for the faults.

    :raises Problem: something is wrong with it.
    """
    if not isinstance(definition, t.Mapping):
        raise Problem(
            f"{path}: {shown(definition)} is no dict", "write the definition of a lab, name and namespaces and so on"
        )
    lab, faults = read_lab("", definition)
    dealt, without_room = addressed(lab, {})
    every = [*faults, *without_room, *judge(dealt)]
    if every:
        first = [Fault(below(path, fault.path) if fault.path else path, fault.text) for fault in every[:_MOST_FAULTS]]
        more = len(every) - len(first)
        raise Problem(
            f"{Faults(lab.name, first)}{f'; and {more} more, which a task of nslab.linux.lab tells' if more else ''}"
        )
    return lab.name, tuple(_hosts(dealt))


def _hosts(lab: Lab) -> t.Iterator[LabHost]:
    made = {
        each.node: LabHost(each.node, each.name, {}, {}, [], {_dotted(path): value for path, value in each.sysctls})
        for each in lab.namespaces
    }
    for holder in holders(lab):
        if holder.node in made:
            made[holder.node].addresses[holder.key[1]] = [str(one) for one in holder.addresses or ()]
    for link in lab.links:
        for end, far in (link.ends, link.ends[::-1]):
            if end.node not in made:
                continue
            host = made[end.node]
            host.peers[end.end.name] = far.node
            if far.end.master is not None and far.node not in host.bridges:
                host.bridges.append(far.node)
    yield from made.values()


def _dotted(path: str) -> str:
    """As most people write it; sysctl(8) swaps the two signs, so that names of interfaces may have dots."""
    return path.translate(str.maketrans("./", "/."))


def host_name(node: str, parent: str | None) -> str:
    return node if parent is None else f"{node}@{parent}"


def check_names(
    lab: str,
    names: t.Mapping[str, str],
    taken: t.Mapping[str, str],
    groups: t.Container[str],
) -> None:
    """That the hosts ``names``, by the name in the inventory the node, can be told from all else that is in there.

    ``taken`` are the hosts that are there, with the file that each is from.

    :raises Problem: one can't.
    """
    for name, node in names.items():
        would_be = f"namespace {node} of lab {lab} would be the host {name}"
        if name in _MACHINE:
            raise Problem(f"{would_be}, which is this machine", "rename it")
        if name in groups:
            raise Problem(f"{would_be}, and a group is called so", "rename one of the two")
        if name in taken:
            raise Problem(
                f"{would_be}, which is there already, by {taken[name]}",
                "rename it, or use inventories of their own; a file that only says more of the namespace goes after this one",
            )
