# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two namespaces that reach each other, and ns_probe let loose on them; the witnesses are ping, curl and getent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from . import runner
from .host import Host, inside
from .runner import Result, assert_one_line

Probe = dict[str, Any]

APART = """
import json, sys
sys.path[:0] = json.loads(sys.argv[1])
from support import runner
print(json.dumps(runner.run("ns_probe", {"probes": json.loads(sys.argv[2])})))
"""


class Pair:
    """red (10.0.0.1, fd00::1) and blue (10.0.0.2, fd00::2), joined by a veth, `eth0` in both; the host knows neither."""

    def __init__(self, host: Host) -> None:
        self.host = host
        host.sh("""
            ip netns add red
            ip netns add blue
            ip -n red link set dev lo up
            ip -n blue link set dev lo up
            ip -n red link add name eth0 type veth peer name eth0 netns blue
            ip -n red addr add 10.0.0.1/24 dev eth0
            ip -n blue addr add 10.0.0.2/24 dev eth0
            ip -n red addr add fd00::1/64 dev eth0 nodad
            ip -n blue addr add fd00::2/64 dev eth0 nodad
            ip -n red link set dev eth0 up
            ip -n blue link set dev eth0 up
        """)

    def run(self, *probes: Probe, check: bool = False) -> Result:
        """One task, after which the host is as before, no process is left and nothing is mounted."""
        before, mounts = self.host.snapshot(), Path("/proc/self/mountinfo").read_text(encoding="ascii")
        processes = children()
        result = runner.run("ns_probe", {"probes": list(probes)}, check=check)
        assert children() == processes, "a process was left"
        assert Path("/proc/self/mountinfo").read_text(encoding="ascii") == mounts
        changes = before.differences(self.host.snapshot())
        assert not changes, "ns_probe changed the host:\n" + "\n".join(changes)
        assert not result.changed
        if "probes" in result:
            assert [entry["what"] for entry in result["probes"]] == [what(probe) for probe in probes]
            assert [entry["from"] for entry in result["probes"]] == [probe.get("from", "host") for probe in probes]
        return result

    def meets(self, **probe: Any) -> dict[str, Any]:
        """The report of one probe that meets its expectation."""
        result = self.run(probe)
        assert not result.failed, result["msg"]
        (report,) = result["probes"]
        assert report["ok"] is True
        return dict(report)

    def fails(self, **probe: Any) -> dict[str, Any]:
        """The report of one probe that does not, tried once; the task's message has it too."""
        result = self.run({"retries": 0, "timeout": 1, **probe})
        assert result.failed, result
        (report,) = result["probes"]
        assert report["ok"] is False
        assert result["msg"] == (
            f"1 of 1 probes did not meet its expectation:\n  from {report['from']}  {report['what']}  {report['error']}"
        )
        return dict(report)

    def refuses(self, match: str, *probes: Probe, check: bool = False) -> None:
        """The task is refused in one line before anything is sent."""
        result = self.run(*probes, check=check)
        assert result.failed, result
        assert "probes" not in result
        assert_one_line(result)
        assert match in result["msg"], result["msg"]

    # The furniture

    def web(self, netns: str, port: int = 8080) -> None:
        """A web server on all addresses, of both families, that answers when this returns."""
        self.host.process_in(netns, f"exec {sys.executable} -m http.server --bind :: {port} >/dev/null")
        self.until(f"{inside(netns)} curl --silent --noproxy '*' --max-time 1 http://127.0.0.1:{port}/")

    def names(self, netns: str, *options: str) -> None:
        """A DNS server that answers when this returns: only what its options say, and `ready.test`."""
        words = ["--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root", "--pid-file="]
        self.host.process_in(
            netns, f"exec dnsmasq {' '.join(words)} --address=/ready.test/10.0.0.9 {' '.join(options)}"
        )
        self.resolv_conf("until-ready", "127.0.0.1")
        self.host.sh("ip netns attach until-ready $$" if netns == "host" else f"ip netns exec {netns} ip netns id")
        raise NotImplementedError

    def until(self, script: str) -> None:
        for _attempt in range(200):
            if self.host.try_sh(script):
                return
            time.sleep(0.05)
        raise AssertionError(f"this never succeeded: {script}")
