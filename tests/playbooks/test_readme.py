# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook in the README runs as a newcomer would run it: checked first, then run, then run again."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.host import MODULE, Host, Outside, a_host
from support.sandbox import sandbox, why_impossible

COLLECTION = Path(next(iter(importlib.import_module("ansible_collections.nslab.linux").__path__)))
README = COLLECTION / "README.md"


@pytest.fixture
def host() -> Iterator[Host]:
    if reason := why_impossible():
        pytest.skip(reason)
    with sandbox(), a_host(MODULE) as made:
        outside = Outside(ipv6=False)
        yield made
        outside.remove()


def lab() -> str:
    """The YAML block that the README tells to save as lab.yml."""
    after = README.read_text(encoding="utf-8").partition("Save it as `lab.yml`")[2]
    block = re.search(r"```yaml\n(.*?)```", after, re.DOTALL)
    assert block, "the README shows no lab.yml"
    return block[1]


def play(book: Path, *words: str) -> str:
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTION.parents[2]),
        "ANSIBLE_HOME": str(book.parent / "home"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_NOCOLOR": "1",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    command = ["ansible-playbook", "-e", f"ansible_python_interpreter={sys.executable}", *words, str(book)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_readmes_playbook_is_checked_run_and_run_again(host: Host, tmp_path: Path) -> None:
    book = tmp_path / "lab.yml"
    book.write_text(lab(), encoding="utf-8")
    before = host.snapshot()

    foretold = play(book, "--check", "--diff")
    assert not before.differences(host.snapshot())
    assert "changed=6" in foretold

    assert "changed=6" in play(book)
    assert host.ping("10.1.0.11", "red")
    assert host.sh("ip netns exec blue curl -s --max-time 5 http://web.example/").strip() == "198.51.100.2"

    assert "changed=0" in play(book)
