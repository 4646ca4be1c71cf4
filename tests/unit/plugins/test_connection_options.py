# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connections have every option of those of the ansible-core at hand, as its code asks for them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml
from ansible.plugins.connection import local, ssh
from ansible.plugins.doc_fragments.connection_pipelining import ModuleDocFragment as Pipelining

from ansible_collections.nslab.linux.plugins.doc_fragments.connection import ModuleDocFragment as Fragment

TOP = Path(__file__).parents[3]
OF_FRAGMENTS = {
    "nslab.linux.connection": Fragment.DOCUMENTATION,
    "nslab.linux.connection.local": Fragment.LOCAL,
    "nslab.linux.connection.ssh": Fragment.SSH,
    "connection_pipelining": Pipelining.DOCUMENTATION,
}


def options(documentation: str) -> dict:
    """Those that it has itself, and those of its fragments."""
    said = yaml.safe_load(documentation)
    found = dict(said.get("options") or {})
    for name in said.get("extends_documentation_fragment") or ():
        found.update(yaml.safe_load(OF_FRAGMENTS[name])["options"])
    return found


def page(name: str) -> str:
    for node in ast.parse((TOP / f"plugins/connection/{name}.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "DOCUMENTATION":
            return ast.literal_eval(node.value)
    raise AssertionError(f"{name} has no DOCUMENTATION")


def ways(entries: list) -> list:
    return [{key: value for key, value in entry.items() if key != "version_added"} for entry in entries or ()]


@pytest.mark.parametrize(("name", "core"), [("netns", ssh), ("netns_local", local)])
def test_an_option_of_the_connection_of_core_is_that_of_ours(name, core):
    ours, theirs = options(page(name)), options(core.DOCUMENTATION)
    assert ours.keys() - theirs.keys() == {"netns", "netns_sudo"}
    assert theirs.keys() <= ours.keys()
    assert ours["pipelining"]["type"] in ("bool", "boolean")
    for option, said in theirs.items():
        for key in ("type", "elements", "default", "choices", "required", "cli"):
            assert ours[option].get(key) == said.get(key), f"{option}.{key}"
        for way in ("vars", "ini", "env"):
            assert ways(ours[option].get(way)) == ways(said.get(way)), f"{option}.{way}"
    assert "version_added" not in Fragment.SSH + Fragment.LOCAL


def test_options_of_transfers_say_that_they_have_no_effect():
    said = options(page("netns"))
    without = {name for name, option in said.items() if "no effect" in str(option["description"])}
    assert without == {
        name for name in said if name.startswith(("scp_", "sftp_")) or name == "ssh_transfer_method"
    }  # fmt: skip
