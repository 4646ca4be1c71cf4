# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-playbook for tests, in the network and the mount namespace of each; see playbooks.py for how it is run."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from . import playbooks

COLLECTIONS = Path(__file__).parents[2] / ".cache"
CONFIGURATION = {
    "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
    "ANSIBLE_LOCALHOST_WARNING": "false",
    "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
    "ANSIBLE_NOCOLOR": "true",
    # One process for a task instead of three.
    "ANSIBLE_PIPELINING": "true",
}


@dataclass(frozen=True)
class Done:
    returncode: int
    output: str


class Ansible:
    """ansible-playbook with a configuration of its own, which holds for all runs: Ansible reads it when it is imported."""

    def __init__(self, home: Path) -> None:
        """Start it, outside of any sandbox; `home` is where it keeps its files."""
        (home / "ansible.cfg").touch()
        self._home = home
        self._environment = {
            **os.environ,
            **CONFIGURATION,
            "ANSIBLE_CONFIG": str(home / "ansible.cfg"),
            "ANSIBLE_HOME": str(home),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        with open(home / "log", "wb") as log:
            self._process = playbooks.start(str(home / "socket"), log, self._environment)

    def playbook(self, *words: str, directory: Path, **environment: str) -> Done:
        """A run of it with these arguments, begun in the directory, on the host where the caller is.

        ``environment`` is beside what holds for all runs, and comes too late for what configures Ansible.
        """
        connection = playbooks.connect(str(self._home / "socket"), self._process)
        assert connection, f"the process that runs ansible-playbook has ended, see {self._home}/log"
        output = self._home / "output"
        with connection, open(os.devnull, "rb") as nothing, open(output, "wb") as out:
            streams = [nothing.fileno(), out.fileno(), out.fileno()]
            code = playbooks.ask(connection, words, str(directory), {**self._environment, **environment}, streams)
        return Done(code, output.read_text(encoding="utf-8"))

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
