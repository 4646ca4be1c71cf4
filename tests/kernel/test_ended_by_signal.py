# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A task that is told to end, as when the connection is lost, takes back what it has done."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

MODULE = "ansible_collections.nslab.linux.plugins.modules.lab"
LAB = {"name": "ended", "nodes": {"count": 400, "bridge": "br0"}, "bridges": {"br0": {"subnet": "10.9.0.0/16"}}}


@pytest.mark.by_module
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_task_that_is_ended_leaves_nothing_half_made(host, number):
    process = subprocess.Popen(
        [sys.executable, "-m", MODULE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": LAB}))
    process.stdin.close()
    while not Path("/run/netns/ns20").exists():
        time.sleep(0.001)
    process.send_signal(number)
    said = json.loads(process.stdout.read())
    process.wait()

    assert said["msg"].startswith(f"the task was ended by {number.name}"), said["msg"]
    assert said["rolled_back"] and "ip netns add ns20" in said["undone"]
    links = json.loads(subprocess.run(["ip", "-j", "link"], capture_output=True, check=True).stdout)
    assert [link["ifname"] for link in links] == ["lo"]
    assert subprocess.run(["ip", "netns"], capture_output=True, check=True).stdout == b""
    assert not Path("/run/nslab").exists()
