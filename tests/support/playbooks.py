# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs ansible-playbook many times and pays for its beginning once.

Each run of it begins with more than a second of imports, and with putting together every module that it sends, which
come out the same every time: together a third of all that a short play costs. Here one process imports them, with the
configuration of its environment, and each run is a fork of it: with the command's own entry point, and with the arguments,
environment, directory, streams, network and mounts of the caller. The modules that were put together are kept where all
runs find them, and so is their bytecode (see bytecode/), beside the socket. All else is new in each run.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

# In seconds; longer than a gate may take, so that nobody who calls is too late.
IDLE = 1800
NAMESPACES = ("net", "mnt")
END = "end"
BYTECODE = Path(__file__).parent / "bytecode"


def start(address: str, log: IO[bytes], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """The process, which listens at the socket `address` until it is told to end, or nobody calls."""
    words = [sys.executable, __file__, address]
    return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", env=environment)


def connect(address: str, server: subprocess.Popen[bytes] | None = None) -> socket.socket | None:
    """None when nobody listens; one that was just started is waited for."""
    connection = socket.socket(socket.AF_UNIX)
    while True:
        try:
            connection.connect(address)
            return connection
        except (FileNotFoundError, ConnectionRefusedError):
            if server is None or server.poll() is not None:
                return None
            time.sleep(0.05)


def ask(
    connection: socket.socket,
    words: Sequence[str],
    directory: str,
    environment: Mapping[str, str],
    streams: Sequence[int],
) -> int:
    """The exit code of a run with these streams: input, output and errors. 1 where there was no answer, as to `END`."""
    places = [os.open(f"/proc/self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in NAMESPACES]
    request = json.dumps({"words": words, "directory": directory, "environment": dict(environment)}).encode()
    socket.send_fds(connection, [b"%08d" % len(request)], [*streams, *places])
    connection.sendall(request)
    answer = connection.recv(16)
    for place in places:
        os.close(place)
    return int(answer) if answer else 1


def serve(address: str) -> None:
    from ansible.cli import playbook
    from ansible.executor import task_queue_manager  # noqa: F401  (what a run imports when it begins)
    from ansible.plugins import loader  # noqa: F401

    listening = socket.socket(socket.AF_UNIX)
    listening.bind(address)
    listening.listen()
    listening.settimeout(IDLE)
    kept = Path(address).resolve().with_name("bytecode")
    kept.mkdir(mode=0o700, exist_ok=True)
    while True:
        try:
            caller, _address = listening.accept()
        except TimeoutError:
            break
        caller.settimeout(None)
        head, descriptors, _flags, _sender = socket.recv_fds(caller, 8, 3 + len(NAMESPACES))
        request = json.loads(caller.recv(int(head), socket.MSG_WAITALL))
        if request["words"] == [END]:
            break
        pid = os.fork()
        if pid == 0:
            run(playbook, request, descriptors, kept)
        for descriptor in descriptors:
            os.close(descriptor)
        _pid, status = os.waitpid(pid, 0)
        caller.sendall(str(os.waitstatus_to_exitcode(status)).encode())
        caller.close()
    os.unlink(address)


def run(playbook: Any, request: Mapping[str, Any], descriptors: Sequence[int], kept: Path) -> None:
    """Never returns: what was imported, and put together, belongs to the process that has forked this one."""
    code: Any = 1
    try:
        for stream, descriptor in enumerate(descriptors[:3]):
            os.dup2(descriptor, stream)
        libc = ctypes.CDLL(None, use_errno=True)
        for kind, namespace in zip(NAMESPACES, descriptors[3:]):
            if libc.setns(namespace, 0):
                raise OSError(ctypes.get_errno(), f"setns {kind}")
        for descriptor in descriptors:
            os.close(descriptor)
        os.environ.clear()
        os.environ.update(request["environment"])
        paths = [str(BYTECODE), *filter(None, [os.environ.get("PYTHONPATH")])]
        os.environ.update(PYTHONPATH=os.pathsep.join(paths), NSLAB_BYTECODE=str(kept))
        os.chdir(request["directory"])
        playbook.main(["ansible-playbook", *request["words"]])
        code = 0
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1])
