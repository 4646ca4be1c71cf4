# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the playbooks for Molecule do: the options of each task, from the definition, the record and what there is."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.nslab.linux.plugins.module_utils._errors import Problem
from ansible_collections.nslab.linux.plugins.module_utils._values import NETNS_DIR
from ansible_collections.nslab.linux.plugins.plugin_utils._host_view import parse_record
from ansible_collections.nslab.linux.plugins.plugin_utils._lab_definition import Lab, Options, read_lab

VARIABLE = "nslab_lab"
_DEVICES = "/sys/class/net"


def molecule_layout(
    definition: t.Mapping[str, t.Any],
    platforms: t.Sequence[str],
    prefix: str,
    record: str | None,
    record_path: str,
    there: t.Collection[str],
) -> Options:
    """The options of the tasks that make the network; raises Problem for a definition that can't be.

    ``record`` is what an earlier run has left of it; ``there`` are the paths of the namespaces and links of the host. What
    is there and not in the record is somebody else's: it is neither taken over nor, later, removed.
    """
    lab = read_lab(definition, platforms, prefix, VARIABLE)
    before = _read(record, record_path)
    wanted = {
        "namespaces": list(lab.namespaces.values()),
        "bridges": [bridge.name for bridge in lab.bridges if bridge.netns is None],
        "links": _host_links(lab),
    }
    for kind, place in (("namespaces", NETNS_DIR), ("bridges", _DEVICES), ("links", _DEVICES)):
        for name in wanted[kind]:
            if f"{place}/{name}" in there and name not in before[kind]:
                raise Problem(
                    f"{VARIABLE}: {kind[:-1]} {name!r} exists on this machine and was not made for this scenario",
                    "remove it, or choose other names; nslab_prefix goes before those of the namespaces",
                )
    gone = {kind: [name for name in before[kind] if name not in wanted[kind]] for kind in wanted}
    union = {kind: [*wanted[kind], *gone[kind]] for kind in wanted}
    return {
        "namespaces": _alike(lab.loopback_and_sysctl),
        "pairs": list(lab.pairs),
        "bridges": [
            {"name": bridge.name, **bridge.place, **bridge.options, "ports": list(lab.ports.get(bridge.name, ()))}
            for bridge in lab.bridges
        ],
        "routes": list(lab.routes),
        "resolv": [{"netns": [name], **options} for name, options in lab.resolv.items()],
        "gone": _to_remove(gone),
        "record_before": _text(union),
        "record": _text(wanted),
    }


def molecule_remains(record: str | None, record_path: str) -> Options:
    """What the record says is to be removed; raises Problem when it can't be read."""
    return {"gone": _to_remove(_read(record, record_path))}


def _read(record: str | None, path: str) -> dict[str, list[str]]:
    recorded = parse_record(record, path)
    return {kind: list(recorded.get(kind, ())) for kind in ("namespaces", "bridges", "links")}


def _to_remove(gone: t.Mapping[str, list[str]]) -> Options:
    return {**gone, "links": [{"name": name} for name in gone["links"]]}


def _host_links(lab: Lab) -> list[str]:
    """The ends of veth pairs that are on the host."""
    return [end["name"] for pair in lab.pairs for end in (pair, pair["peer"]) if "netns" not in end]


def _alike(options: t.Mapping[str, Options]) -> list[Options]:
    """The namespaces that are made the same way, in one task each."""
    groups: dict[str, Options] = {}
    for name, one in options.items():
        groups.setdefault(json.dumps(one, sort_keys=True), {"name": [], **one})["name"].append(name)
    return list(groups.values())


def _text(record: t.Mapping[str, list[str]]) -> str:
    return json.dumps(record) + "\n"
