# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Namespaces and links that a task builds on: they are there, or coming (check mode), or the task is refused."""

from __future__ import annotations

from .._engine import Draft
from .._errors import Problem
from .._values import NamespaceRef
from .._world import Link, NamespaceState, World

COMING = "coming"  # the kind of a link that is assumed to be coming, where the task does not say which it has to be


def empty_namespace(world: World, ref: NamespaceRef) -> NamespaceState:
    """Lay a namespace that is yet to be into the world: it holds nothing but a loopback that is down."""
    key = f"coming:{ref}"
    lo = Link("lo", "loopback", index=1, mac="00:00:00:00:00:00", mtu=65536)
    world.keys[ref] = key
    world.namespaces[key] = NamespaceState(key, links={"lo": lo})
    return world.namespaces[key]


def namespace_at(draft: Draft, ref: NamespaceRef) -> NamespaceState:
    """The namespace, which the task needs to be there."""
    state = draft.world.at(ref)
    if state is not None:
        return state
    if ref.kind != "name":
        raise Problem(
            f"namespace {ref} can't be used: {draft.world.faults[ref]}",
            "give the path of a network namespace, such as /run/netns/red, or the pid of a running process",
        )
    draft.expect(f"namespace {ref}", "create it first, with nslab.linux.netns")
    return empty_namespace(draft.world, ref)


def place(ref: NamespaceRef) -> str:
    """The namespace as the end of a phrase: "on the host", "in red"."""
    return "on the host" if ref.kind == "host" else f"in {ref}"


def link_at(draft: Draft, ref: NamespaceRef, name: str, role: str = "link", kind: str | None = None) -> Link:
    """The link, which the task needs to be there; ``kind`` is what it has to be, if that matters."""
    state = namespace_at(draft, ref)
    link = state.links.get(name)
    if link is None:
        draft.expect(f"{role} {name} {place(ref)}", "create it first, or check the name with 'ip link'")
        link = Link(name, kind or COMING, up=True)
        state.links[name] = link
    if kind is not None and link.kind != kind:
        raise Problem(
            f"{role} {name} {place(ref)} is no {kind}, but {described_kind(link)}",
            f"name a {kind}, or remove the other link",
        )
    return link


def described_kind(link: Link) -> str:
    return "a physical interface" if link.kind is None else f"a link of kind {link.kind}"
