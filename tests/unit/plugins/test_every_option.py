# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every option of every module is documented as it is, and stands in an example or a test.

That names, types, defaults and choices are the same in both is what ansible-test sanity looks at.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

TOP = Path(__file__).parents[3]
MODULES = sorted(path for path in (TOP / "plugins/modules").glob("[!_]*.py"))
# What a number counts.
UNITS = re.compile(r"bytes|seconds|number|share|metric|port|how (often|many)|tries", re.IGNORECASE)


def text_of(module: Path, what: str) -> str:
    """A documentation block, read without importing the module."""
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == what:
            return ast.literal_eval(node.value)
    raise AssertionError(f"{module.stem} has no {what}")


def options_of(documentation: dict, prefix: str = ""):
    for name, said in (documentation.get("options") or documentation.get("suboptions") or {}).items():
        yield f"{prefix}{name}", said
        yield from options_of(said, f"{prefix}{name}.")


def option_cases():
    for module in MODULES:
        for name, said in options_of(yaml.safe_load(text_of(module, "DOCUMENTATION"))):
            yield pytest.param(module, name, said, id=f"{module.stem}-{name}")


@pytest.fixture(scope="module")
def tested() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted((TOP / "tests/kernel").glob("test_*.py")))


@pytest.mark.parametrize(("module", "name", "said"), list(option_cases()))
def test_an_option_is_explained_and_shown(module: Path, name: str, said: dict, tested: str):
    last = name.rpartition(".")[2]
    description = said["description"]
    explained = description if isinstance(description, str) else " ".join(description)
    assert explained
    if said["type"] in ("int", "float"):
        assert UNITS.search(explained), f"{name} of {module.stem} is a number of what? {explained}"
    assert re.search(rf"\b{re.escape(last)}\b", text_of(module, "EXAMPLES")) or re.search(
        rf"\b{re.escape(last)}\b[\"']?\s*[=:]", tested
    ), f"{name} of {module.stem} stands in no example and in no test"
