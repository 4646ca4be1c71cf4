# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Ansible side of ns_probe: a list of options in, a list of reports out."""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ._errors import Problem
from ._kernel._inside import descriptor
from ._kernel._listening import Place
from ._kernel._namespaces import Namespaces
from ._kernel._probes import Batch, rehearse, run
from ._probe import Probe, doors, failure_text, report
from ._probe_grammar import parse_probes
from ._values import NamespaceRef


def run_module(argument_spec: dict[str, t.Any]) -> None:
    module = AnsibleModule(argument_spec=argument_spec, supports_check_mode=True)
    try:
        reports = _probe(module)
    except Problem as problem:
        module.fail_json(msg=str(problem))
        return
    # In check mode nothing was sent, so nothing failed.
    text = None if module.check_mode else failure_text(reports)
    if text is None:
        module.exit_json(changed=False, probes=reports)
    else:
        module.fail_json(msg=text, changed=False, probes=reports)


def _probe(module: AnsibleModule) -> list[dict[str, t.Any]]:
    probes = parse_probes(module.params["probes"])
    namespaces = Namespaces()
    try:
        found, missing = _look_up(namespaces, probes)
        if missing:
            _tell_missing(module, missing)
        batches = _batches(probes, found)
        if batches:
            rehearse(batches)
        outcomes = {} if module.check_mode else run(batches, _far_ends(probes, found))
    finally:
        namespaces.close()
    return [report(probe, outcomes.get(place)) for place, probe in enumerate(probes)]


def _look_up(namespaces: Namespaces, probes: t.Sequence[Probe]) -> tuple[dict[NamespaceRef, int], list[NamespaceRef]]:
    """The descriptors of all namespaces that are named, in the order of the task; and the names that nobody has made."""
    named = [ref for probe in probes for ref in (probe.origin, probe.far_end and probe.far_end.where) if ref]
    found, missing = {}, []
    for ref in dict.fromkeys(named):
        fd = descriptor(namespaces, ref)
        if fd is None:
            missing.append(ref)
        else:
            found[ref] = fd
    return found, missing


def _batches(probes: t.Sequence[Probe], found: t.Mapping[NamespaceRef, int]) -> list[Batch]:
    """The probes by namespace; one in which there are only far ends has none."""
    by_origin: dict[NamespaceRef, list[tuple[int, Probe]]] = {ref: [] for ref in found}
    for place, probe in enumerate(probes):
        if probe.origin in found:
            by_origin[probe.origin].append((place, probe))
    return [Batch(origin, found[origin], tuple(places)) for origin, places in by_origin.items()]


def _far_ends(probes: t.Sequence[Probe], found: t.Mapping[NamespaceRef, int]) -> list[Place]:
    return [Place(door, found[door.where]) for door in dict.fromkeys(door for probe in probes for door in doors(probe))]


def _tell_missing(module: AnsibleModule, missing: t.Sequence[NamespaceRef]) -> None:
    names = ", ".join(str(ref) for ref in missing)
    subject = f"namespace {names} does" if len(missing) == 1 else f"namespaces {names} do"
    if not module.check_mode:
        raise Problem(f"{subject} not exist", "make it first, with nslab.linux.netns")
    module.warn(f"{subject} not exist yet and {'is' if len(missing) == 1 else 'are'} assumed to be coming")
