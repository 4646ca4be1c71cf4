# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs ansible-playbook many times and pays for its beginning once.

Each run of it begins with more than a second of imports, and with putting together every module that it sends, which
come out the same every time: together a third of all that a short play costs. Here one process imports them, and each
run is a fork of it, with the command's own entry point and arguments, in the network and the mount namespace of the
test. The modules that were put together are kept where all runs find them. All else is new in each run.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
        self._output = home / "output"
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=home,
            env={
                **os.environ,
                **CONFIGURATION,
                "ANSIBLE_CONFIG": str(home / "ansible.cfg"),
                "ANSIBLE_HOME": str(home),
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            },
        )

    def playbook(self, *words: str, directory: Path, **environment: str) -> Done:
        """A run of it with these arguments, begun in the directory, on the host where the caller is.

        ``environment`` is beside what holds for all runs, and comes too late for what configures Ansible.
        """
        request = {
            "pid": os.getpid(), "directory": str(directory), "words": words, "environment": environment,
            "output": str(self._output),
        }  # fmt: skip
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the process that runs ansible-playbook has ended"
        return Done(json.loads(answer), self._output.read_text(encoding="utf-8"))

    def end(self) -> None:
        self._process.communicate()


def serve() -> None:
    """Answers each request, a line of JSON, with the exit code of the run."""
    from ansible.cli import playbook
    from ansible.executor import task_queue_manager  # noqa: F401  (what a run imports when it begins)
    from ansible.plugins import loader  # noqa: F401

    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            run(playbook, request)
        _pid, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def run(playbook: Any, request: dict[str, Any]) -> None:
    """Never returns."""
    code: Any = 1
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        for kind in ("net", "mnt"):
            namespace = os.open(f"/proc/{request['pid']}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)
            if libc.setns(namespace, 0):
                raise OSError(ctypes.get_errno(), f"setns {kind}")
            os.close(namespace)
        os.chdir(request["directory"])
        os.environ.update(request["environment"])
        output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for stream, descriptor in ((os.open(os.devnull, os.O_RDONLY), 0), (output, 1), (output, 2)):
            os.dup2(stream, descriptor)
        playbook.main(["ansible-playbook", *request["words"]])
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # What was imported, and put together, belongs to the process that has forked this one.
        os._exit(code)


if __name__ == "__main__":
    serve()
