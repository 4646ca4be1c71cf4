# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook nslab.linux.fleet where no host is touched; what it does with those that are is told in tests/fleet."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from support.ansible_runs import Ansible

HOSTS = {"none": {}, "other": {}, "wrong": {"nslab_lab": "{{ labs[site] }}"}}


def test_a_definition_that_cannot_be_rendered_is_no_missing_one(ansible_runs: Ansible, tmp_path: Path) -> None:
    inventory = {"all": {"hosts": HOSTS, "vars": {"ansible_connection": "local"}}}
    (tmp_path / "hosts.json").write_text(json.dumps(inventory), encoding="utf-8")

    done = ansible_runs.playbook("-i", "hosts.json", "nslab.linux.fleet", directory=tmp_path)

    assert done.returncode == 2, done.output
    (said,) = re.findall(r'"msg": (\[.*?\])\n', done.output, re.DOTALL)
    assert json.loads(said) == [
        "none: has no nslab_lab",
        "other: has no nslab_lab",
        "wrong: failed, and is as before",
        "mend what is said above of these, and run again with --limit wrong",
    ]
    assert re.search(r"^fatal: \[wrong\]: FAILED! .*'labs' is undefined", done.output, re.MULTILINE), done.output
