# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook of examples/labs makes a lab from a file, and removes it; the labs themselves are tested without Ansible."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.ansible_runs import Ansible
from support.host import MODULE, a_host, assert_same
from support.sandbox import sandbox, why_impossible

LABS = Path(__file__).parents[2] / "examples" / "labs"
RECAP = re.compile(r"^localhost +: ok=\d+ +changed=(\d+) .* failed=(\d+) ", re.MULTILINE)


def test_a_lab_is_made_from_its_file_and_removed(ansible_runs: Ansible) -> None:
    if reason := why_impossible():
        pytest.skip(reason)
    with sandbox(), a_host(MODULE) as host:
        before = host.snapshot()

        def run(*words: str) -> str:
            done = ansible_runs.playbook("make.yml", "-e", "lab=joined_bridges", *words, directory=LABS)
            recap = RECAP.search(done.output)
            assert recap, done.output
            assert recap[2] == "0", done.output
            return recap[1]

        assert run("--check", "--diff") == "1"
        assert_same(before, host.snapshot(), "check mode")
        assert run() == "1"
        assert host.ping("10.208.0.22", "a1")
        assert run() == "0"
        assert run("-e", "state=absent") == "1"
        assert_same(before, host.snapshot(), "the playbook, with state=absent,")
