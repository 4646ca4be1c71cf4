# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks in the README run as a newcomer would run them: checked first, then run, then run again."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.ansible_runs import CONFIGURATION, Ansible
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


def blocks(name: str, kind: str = "yaml") -> list[str]:
    """The blocks in the README from where it tells to save the first as `name`, as far as its section goes."""
    _before, *after = re.split(rf"Save\s+it\s+as\s+`{re.escape(name)}`", README.read_text(encoding="utf-8"))
    found: list[str] = re.findall(rf"```{kind}\n(.*?)```", after[0].partition("\n## ")[0], re.DOTALL)
    assert found, f"the README shows no {name}"
    return found


class Play:
    """Runs a playbook beside which nothing is configured, and tells what was said."""

    def __init__(self, ansible: Ansible, directory: Path, *words: str) -> None:
        self._ansible = ansible
        self._directory = directory
        self._words = words

    def __call__(self, *words: str, fails: bool = False) -> str:
        interpreter = f"ansible_python_interpreter={sys.executable}"
        done = self._ansible.playbook("-e", interpreter, *self._words, *words, directory=self._directory)
        assert (done.returncode != 0) == fails, done.output
        return done.output


def ansible(directory: Path, *words: str) -> str:
    """The command for one task; what it said."""
    environment = {
        **os.environ,
        **CONFIGURATION,
        "ANSIBLE_HOME": str(directory),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    done = subprocess.run(
        ["ansible", *words], cwd=directory, capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_readmes_playbook_is_checked_run_and_run_again(host: Host, tmp_path: Path, ansible_runs: Ansible) -> None:
    book = tmp_path / "lab.yml"
    play = Play(ansible_runs, tmp_path, book.name)
    book.write_text(blocks("lab.yml")[0], encoding="utf-8")
    before = host.snapshot()

    foretold = play("--check", "--diff")
    assert not before.differences(host.snapshot())
    assert "changed=6" in foretold

    assert "changed=6" in play()
    assert host.ping("10.1.0.11", "red")
    assert host.sh("ip netns exec blue curl -s --max-time 5 http://web.example/").strip() == "198.51.100.2"

    assert "changed=0" in play()


def test_the_readmes_lab_file_is_built_used_drawn_changed_and_removed(
    host: Host, tmp_path: Path, ansible_runs: Ansible
) -> None:
    file = tmp_path / "office.nslab.yml"
    play = Play(ansible_runs, tmp_path, "-i", file.name, "nslab.linux.lab")
    picture = Play(ansible_runs, tmp_path, "-i", file.name, "nslab.linux.picture")
    whole, printer = blocks(file.name)
    shown, mistakes = blocks(file.name, "text")
    before = host.snapshot()

    file.write_text(whole, encoding="utf-8")
    foretold = play("--check", "--diff")
    assert not before.differences(host.snapshot())
    assert shown.removesuffix("...\n") in foretold

    assert "changed=1" in play()
    assert "changed=0" in play()

    # Each command is put inside as it stands there, but for the site, which is that of this test's outside.
    said = [
        ansible(
            tmp_path,
            *shlex.split(line.removeprefix("# ansible ").replace("https://www.example.com", "http://web.example/")),
        )
        for line in "".join(blocks(file.name, "console")).splitlines()
        if line.startswith("# ansible -i")
    ]
    everybody, ping, fetched, facts = said
    assert everybody.count("SUCCESS") == 3
    assert "64 bytes from desk3 (10.2.0.4)" in ping
    assert "HTTP/1.0 200 OK" in fetched
    assert re.search(r'"address": "10\.2\.0\.3".*"gateway": "10\.2\.0\.1"', facts, re.DOTALL)

    picture()
    page = tmp_path / "nslab.html"
    assert "nothing stands out" in page.read_text(encoding="utf-8")
    host.sh("ip -n desk2 link set eth0 down")
    picture()
    assert "desk2: eth0 is down" in page.read_text(encoding="utf-8")
    assert "changed=1" in play()

    file.write_text(whole + printer, encoding="utf-8")
    changes = play("--diff")
    assert "+      10.2.0.5 printer" in changes
    assert not re.search(r"^[+-].*desk", changes.partition("+printer:")[0], re.MULTILINE)

    file.write_text(
        (whole + printer).replace("bridge: office0", "bridge: ofice0").replace("printer:eth0", "printer"),
        encoding="utf-8",
    )
    assert " ".join(mistakes.split()) in " ".join(play(fails=True).split())

    file.write_text(whole, encoding="utf-8")
    play("-e", "nslab_state=absent")
    page.unlink()
    host.wait_for(lambda: not before.differences(host.snapshot()))
