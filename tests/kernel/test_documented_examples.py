# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples in the documentation of the modules, put through all that is to hold for any run.

That they run as they stand, templates included, is shown with the real ansible-playbook in tests/playbooks.
"""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.given import interfaces_of_others
from support.host import Host, Make

MODULES = sorted(path.stem for path in (Path(__file__).parents[2] / "plugins/modules").glob("[!_]*.py"))
COLLECTION = "nslab.linux."
LOOKING = ("lab_info", "ns_probe")  # the modules that have no plan
HOST_END = re.compile("v[0-9a-f]{10}")


def tasks(module: str) -> list[tuple[str, dict[str, Any]]]:
    """Module and arguments of each example; those that only look, or are made by a template, are left out."""
    documentation = importlib.import_module(f"ansible_collections.nslab.linux.plugins.modules.{module}")
    found = [
        (key.removeprefix(COLLECTION), value)
        for task in yaml.safe_load(documentation.EXAMPLES)
        for key, value in task.items()
        if key.startswith(COLLECTION)
    ]
    return [
        (name, arguments) for name, arguments in found if name not in LOOKING and '"{{' not in json.dumps(arguments)
    ]


def furnished(host: Host, make_outside: Make, module: str) -> list[tuple[str, dict[str, Any]]]:
    """The examples of the module, on a host that has what they take as given."""
    make_outside(ipv6=True)
    container = host.unnamed_namespace(label="container")
    if module == "ns_link":
        interfaces_of_others(host)
    return [
        (name, json.loads(json.dumps(arguments).replace("{{ container_pid }}", str(container))))
        for name, arguments in tasks(module)
    ]


def adrift(host: Host) -> list[str]:
    """Host ends of labs that are gone: the kernel takes a namespace apart some time after its name is."""
    ledgers = "".join(path.read_text() for path in Path("/run/nslab").glob("lab.*"))
    return [name for name in host.links() if HOST_END.fullmatch(name) and name not in ledgers]


@pytest.mark.parametrize("module", [module for module in MODULES if module not in LOOKING])
def test_the_examples_hold(host: Host, make_outside: Make, module: str) -> None:
    """Without failures at each step, which every module's own tests provoke."""
    for name, arguments in furnished(host, make_outside, module):
        host.apply(name, faulty=False, settled=lambda: not adrift(host), **arguments)


@pytest.mark.once
@pytest.mark.parametrize("module", [module for module in MODULES if module not in LOOKING])
def test_the_examples_are_foretold_where_nothing_is(host: Host, make_outside: Make, module: str) -> None:
    """All of them, one behind the other: what the first would have made is assumed to be coming."""
    for name, arguments in furnished(host, make_outside, module):
        host.check(name, **arguments)
