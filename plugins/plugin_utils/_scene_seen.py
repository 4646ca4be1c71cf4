# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture of what lab_info saw, with what stands out in it, and how it differs from a definition."""

from __future__ import annotations

import dataclasses
import ipaddress
import typing as t

from ansible_collections.nslab.linux.plugins.module_utils._errors import Problem
from ansible_collections.nslab.linux.plugins.module_utils._lab import Lab
from ansible_collections.nslab.linux.plugins.plugin_utils._picture import Node, Picture, Wire
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_defined import DefinedScene, lab_of
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_drift import Drift, compare, places_of
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_marks import Marks
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_nodes import Nodes
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_scope import Scope
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_sight import Sight, read_sight
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_wires import Wires
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_words import (
    HOST_KEY,
    OUTSIDE_KEY,
    OUTSIDE_NODE,
    Place,
    bridge_key,
    listed,
    natural,
)


def picture_of_seen(namespaces: object, definition: object = None, name: str = "") -> Picture:
    """What ``lab_info`` returned. With a definition its lab alone, and all that is otherwise than declared. Raises Problem."""
    wanted = None if definition is None else lab_of(definition)
    try:
        return _compared(namespaces, wanted, definition, name)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        # A host may answer with anything, and does not keep the others from their page.
        said = f"{type(error).__name__} {error}"
        raise Problem(
            f"this is not what nslab.linux.lab_info returns ({said})", "give it as it was registered"
        ) from None


def _compared(namespaces: object, wanted: Lab | None, definition: object, name: str) -> Picture:
    """``wanted`` is the lab of the definition as on a host that knows nothing of it."""
    marks = Marks()
    if wanted is None:
        return _picture(Scope(read_sight(namespaces), marks), Drift(), name)
    sight = read_sight(namespaces, {each.name for each in wanted.namespaces})
    lab = lab_of(definition, _remembered(sight))
    return _picture(Scope(sight, marks, lab), compare(lab, sight, marks), name or lab.name)


def _remembered(sight: Sight) -> dict[Place, t.Any]:
    """Which addresses the lab has given, by its ledger; where that is not told, those that are there."""
    found: dict[Place, t.Any] = {}
    for where, namespace in sight.namespaces.items():
        if namespace is not None:
            given: t.Mapping[str, t.Sequence[str]] | None = namespace.given
            if given is None:
                given = {name: link.addresses for name, link in (namespace.links or {}).items() if name != "lo"}
            for name, texts in given.items():
                found[where, str(name)] = tuple(ipaddress.ip_interface(text) for text in texts)
    return found


def _picture(scope: Scope, drift: Drift, name: str) -> Picture:
    cables = scope.cables(drift.cables)
    shown = scope.bridges_shown(cables)
    made = Wires(scope)
    wires = [made.cable(cable) for cable in cables]
    defined = None if scope.lab is None else DefinedScene(scope.lab)
    if defined is not None:
        for link in drift.links:
            wires.append(
                dataclasses.replace(defined.wire(link), marks=scope.marks.of_cable(frozenset(places_of(link))))
            )
        keys = {bridge_key(str(each.bridge.where), each.bridge.name) for each in drift.bridges}
        wires += [wire for wire in defined.stands() if wire.ends[0].node in keys]
    for place in shown:
        wires += made.of_bridge(place)
    wires += made.uplinks(frozenset(shown), frozenset(place for cable in cables for place in cable))
    nodes = _nodes(scope, drift, defined, shown, wires)
    return Picture(name, tuple(nodes), tuple(wires), (), tuple(_notes(scope, {each.key for each in nodes})), True)


def _nodes(
    scope: Scope, drift: Drift, defined: DefinedScene | None, shown: t.Sequence[Place], wires: t.Sequence[Wire]
) -> list[Node]:
    """The host, the outside and the bridges of the host; each namespace with its bridges; to whom else wires lead."""
    made = Nodes(scope)
    lost: dict[str, Node] = {}
    bridges: dict[str, list[Node]] = {}
    for place in shown:
        bridges.setdefault(place[0], []).append(made.bridge(place))
    if defined is not None:
        lost = {each.name: defined.namespace(each) for each in defined.lab.namespaces if each.name in drift.namespaces}
        for each in drift.bridges:
            bridges.setdefault(str(each.bridge.where), []).append(defined.bridge(each))
    ends = [end.node for wire in wires for end in wire.ends]
    leads = frozenset(ends)
    nodes: list[Node] = []
    if HOST_KEY in leads or scope.rule_sets(HOST_KEY) or scope.marks.of_node(HOST_KEY):
        nodes.append(made.namespace(HOST_KEY))
    nodes += [OUTSIDE_NODE] if OUTSIDE_KEY in leads else []
    nodes += bridges.pop(HOST_KEY, [])
    for where in scope.own:
        if where in lost or where in scope.sight.namespaces:
            nodes.append(lost[where] if where in lost else made.namespace(where))
        nodes += bridges.pop(where, [])
    known = {each.key for each in nodes} | {node.key for each in bridges.values() for node in each}
    others = {*(key for key in leads if key not in known), *bridges}
    for where in sorted(others - {each.key for each in nodes}, key=natural):
        nodes += [made.namespace(where, whole=False), *bridges.get(where, ())]
    return [_marked(scope, drift, node) for node in nodes]


def _marked(scope: Scope, drift: Drift, node: Node) -> Node:
    """What is drawn from the definition has no marks yet."""
    gone = {bridge_key(str(each.bridge.where), each.bridge.name) for each in drift.bridges}
    if node.key in gone or node.key in drift.namespaces:
        return dataclasses.replace(node, marks=scope.marks.of_node(node.key))
    return node


def _notes(scope: Scope, drawn: t.Container[str]) -> t.Iterator[str]:
    for name, first in scope.sight.others.items():
        yield f"{name} is another name of {first}"
    others = [name for name in scope.sight.namespaces if name not in drawn and name != HOST_KEY]
    if others:
        yield f"not of this lab: {listed(sorted(others, key=natural))}"
    if scope.lab is None and not any(name != HOST_KEY for name in scope.sight.namespaces):
        yield "there are no namespaces"
