# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Ansible side of ns_probe: a list of options in, a list of reports out."""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ._errors import Problem
from ._kernel._inside import descriptor
from ._kernel._namespaces import Namespaces
from ._kernel._probes import Batch, rehearse, run
from ._probe import Probe, failure_text, parse_probes, report
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
        batches, missing = _batches(namespaces, probes)
        if missing:
            _tell_missing(module, missing)
        if batches:
            rehearse(batches)
        outcomes = {} if module.check_mode else run(batches)
    finally:
        namespaces.close()
    return [report(probe, outcomes.get(place)) for place, probe in enumerate(probes)]


def _batches(namespaces: Namespaces, probes: t.Sequence[Probe]) -> tuple[list[Batch], list[NamespaceRef]]:
    """The probes by namespace, in the order in which these are first named; and the names that nobody has made."""
    by_origin: dict[NamespaceRef, list[tuple[int, Probe]]] = {}
    for place, probe in enumerate(probes):
        by_origin.setdefault(probe.origin, []).append((place, probe))
    batches, missing = [], []
    for origin, places in by_origin.items():
        fd = descriptor(namespaces, origin)
        if fd is None:
            missing.append(origin)
        else:
            batches.append(Batch(origin, fd, tuple(places)))
    return batches, missing


def _tell_missing(module: AnsibleModule, missing: t.Sequence[NamespaceRef]) -> None:
    names = ", ".join(str(ref) for ref in missing)
    subject = f"namespace {names} does" if len(missing) == 1 else f"namespaces {names} do"
    if not module.check_mode:
        raise Problem(f"{subject} not exist", "make it first, with nslab.linux.netns")
    module.warn(f"{subject} not exist yet and {'is' if len(missing) == 1 else 'are'} assumed to be coming")
