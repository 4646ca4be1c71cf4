# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every example in the documentation of the modules works as it stands, in the order in which it stands."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import runner
from support.host import Host, Make

MODULES = sorted(path.stem for path in (Path(__file__).parents[2] / "plugins/modules").glob("[!_]*.py"))
COLLECTION = "nslab.linux."
# Of a task, what says nothing about the module's options.
ABOUT_THE_TASK = {"name", "register", "ignore_errors", "check_mode", "diff", "when"}


def tasks(module: str) -> list[dict[str, Any]]:
    documentation = importlib.import_module(f"ansible_collections.nslab.linux.plugins.modules.{module}")
    found = yaml.safe_load(documentation.EXAMPLES)
    assert isinstance(found, list), f"the examples of {module} are no list of tasks"
    return found


def with_variables(value: Any, variables: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: with_variables(inner, variables) for key, inner in value.items()}
    if isinstance(value, list):
        return [with_variables(inner, variables) for inner in value]
    if isinstance(value, str):
        return re.sub(r"{{ *(\w+) *}}", lambda match: variables[match[1]], value)
    return value


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_work(host: Host, make_outside: Make, module: str) -> None:
    make_outside(ipv6=True)
    variables = {"container_pid": str(host.unnamed_namespace(label="container"))}
    own = 0
    for task in tasks(module):
        ((name, arguments),) = [(key, value) for key, value in task.items() if key not in ABOUT_THE_TASK]
        assert task["name"], f"a task of {module} has no name"
        assert name.startswith(COLLECTION), f"{name} is no module of this collection"
        short = name.removeprefix(COLLECTION)
        own += short == module
        filled = with_variables(arguments, variables)
        if short == "ns_probe":
            result = runner.run(short, filled)
            assert not result.failed, f"{task['name']}: {result['msg']}"
        else:
            host.changed(short, faulty=False, **filled)
    assert own, f"the examples of {module} do not use it"


@pytest.mark.parametrize("module", MODULES)
def test_every_option_stands_in_the_documentation_and_in_the_argument_spec(module: str) -> None:
    source = (Path(__file__).parents[2] / f"plugins/modules/{module}.py").read_text()
    documentation = importlib.import_module(f"ansible_collections.nslab.linux.plugins.modules.{module}")
    documented = yaml.safe_load(documentation.DOCUMENTATION)
    for option in documented["options"]:
        assert f'"{option}"' in source, f"{option} of {module} is documented but not declared"
