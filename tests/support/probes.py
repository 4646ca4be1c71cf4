# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two namespaces that reach each other, and ns_probe let loose on them; the witnesses are ping, curl and getent."""

from __future__ import annotations

import json
import os
import shlex
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
        """One task, after which no process is left and nothing is mounted."""
        mounts, processes = mountinfo(), children()
        result = runner.run("ns_probe", {"probes": list(probes)}, check=check)
        assert children() == processes, "a process was left"
        assert mountinfo() == mounts
        assert not result.get("changed")
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

    def web(self, netns: str, port: int = 8080) -> int:
        """The pid of a web server on all addresses, of both families, that answers when this returns."""
        program = f"echo; exec {sys.executable} -m http.server --bind :: {port} >/dev/null"
        pid = self.host.process_in(netns, program)
        self.until(f"{inside(netns)} curl --silent --noproxy '*' --max-time 1 http://127.0.0.1:{port}/")
        return pid

    def echo(self, netns: str, port: int, answer: str = "said") -> None:
        """A UDP server of both families; what it answers is an expression of what was `said`, and of the `client`."""
        program = f"""
import ipaddress, socket
sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
sock.bind(("::", {port}))
print(flush=True)
while True:
    said, address = sock.recvfrom(9999)
    client = ipaddress.ip_address(address[0])
    client = str(client.ipv4_mapped or client).encode()
    sock.sendto({answer}, address)
"""
        self.host.process_in(netns, f"exec {sys.executable} -S -c {shlex.quote(program)}")

    def shut(self, netns: str, hook: str, match: str) -> None:
        """A firewall that drops what matches."""
        self.host.sh(f"""
            {inside(netns)} nft add table inet wall
            {inside(netns)} nft add chain inet wall {hook}put '{{ type filter hook {hook}put priority 0; }}'
            {inside(netns)} nft add rule inet wall {hook}put {match} drop
        """)

    def sockets(self, netns: str) -> list[str]:
        """What ss sees there, in whatever state."""
        return sorted(self.host.sh(f"{inside(netns)} ss --no-header --tcp --udp --all --numeric").splitlines())

    def names(self, *options: str) -> None:
        """A DNS server in blue that red uses: it knows what its options say, and ready.test."""
        words = ["--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root", "--pid-file="]
        options = ("--address=/ready.test/10.0.0.9", *options)
        self.host.process_in("blue", f"echo; exec dnsmasq {' '.join([*words, *options])}")
        self.files("red", resolv_conf="nameserver 10.0.0.2", hosts="")
        self.until("ip netns exec red timeout 2 getent ahosts ready.test")

    def files(self, netns: str, **files: str) -> None:
        """Its own resolv.conf and hosts."""
        directory = Path("/etc/netns", netns)
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (directory / name.replace("_", ".")).write_text(f"{text}\n", encoding="ascii")

    def deaf(self, *addresses: str) -> None:
        """More addresses of blue, which drops whatever comes for them."""
        self.host.sh(f"""
            {inside("blue")} nft add table inet deaf
            {inside("blue")} nft add chain inet deaf in '{{ type filter hook input priority 0; }}'
        """)
        for address in addresses:
            family, length, nodad = ("ip6", 64, "nodad") if ":" in address else ("ip", 24, "")
            self.host.sh(f"""
                {inside("blue")} nft add rule inet deaf in {family} daddr {address} drop
                ip -n blue addr add {address}/{length} dev eth0 {nodad}
            """)

    def count(self, netns: str, match: str, then: str = "") -> None:
        """Counts the packets that leave the namespace and match."""
        self.host.sh(f"""
            {inside(netns)} nft add table inet witness
            {inside(netns)} nft add chain inet witness out '{{ type filter hook output priority 0; }}'
            {inside(netns)} nft add rule inet witness out {match} counter {then}
        """)

    def counted(self, netns: str) -> int:
        (rule,) = [entry["rule"] for entry in self.host.ruleset(netns) if "rule" in entry]
        return sum(part["counter"]["packets"] for part in rule["expr"] if "counter" in part)

    def until(self, script: str) -> None:
        until(self.host, script)


def until(host: Host, script: str) -> None:
    for _attempt in range(200):
        if host.try_sh(script):
            return
        time.sleep(0.05)
    raise AssertionError(f"this never succeeded: {script}")


def what(probe: Probe) -> str:
    """A probe as it is returned, for those whose option is written as the collection writes it."""
    return next(f"{kind} {probe[kind]}" for kind in ("ping", "tcp", "udp", "resolve") if probe.get(kind))


def mountinfo() -> str:
    return Path("/proc/self/mountinfo").read_text(encoding="ascii")


def children() -> set[str]:
    """The processes that this one has started, those that ended and wait for us too."""
    return {pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()}


def listener() -> int:
    """Called by a process that probes: the first child of the module is the one that listens."""
    module = os.getppid()
    return min(int(pid) for pid in Path(f"/proc/{module}/task/{module}/children").read_text().split())


def apart(probes: list[Probe], *prefix: str) -> Result:
    """The same in a process of its own, which is started by other words, such as setpriv and its options."""
    done = subprocess.run(
        [*prefix, sys.executable, "-c", APART, json.dumps(sys.path), json.dumps(probes)],
        check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Result(json.loads(done.stdout))
