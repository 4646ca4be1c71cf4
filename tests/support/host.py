# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host to run modules on, and the discipline that every run of a module is put through."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from . import faults, runner, snapshot
from . import outside as simulation
from .runner import Result, assert_one_line

MODULE = "module"  # what a plan says is done by the module
SCRIPT = "script"  # the printed operations are run by a shell instead

# The safe one; where PyYAML was built with libyaml, that, which takes a tenth of the time.
YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Host:
    """The sandbox as a test sees it: `host` and the namespaces in it.

    A namespace is given by its name, by a path, as `pid:4711`, or as `host`.
    """

    def __init__(self, way: str, rules: bool = True) -> None:
        """`way` is how plans are carried out; `rules` whether snapshots look at nftables, which takes a third of them."""
        self.way = way
        self._rules = rules
        self._processes: list[subprocess.Popen[bytes]] = []
        self._watched: dict[str, str] = {}
        self._sysctls: list[str] = []

    # Running modules

    def check(self, module: str, **arguments: Any) -> Result:
        """A run in check mode, which changes nothing."""
        return self._check(module, arguments, self.snapshot())

    def _check(self, module: str, arguments: dict[str, Any], before: snapshot.Snapshot) -> Result:
        result = runner.run(module, arguments, check=True)
        assert not result.failed, f"{module} refused in check mode: {result['msg']}"
        self._assert_unchanged(before, f"{module} in check mode")
        assert result.changed == bool(result.operations), result
        assert bool(diff_texts(result)) == result.changed, (
            f"changed is {result.changed}, the diff says {diff_texts(result)}"
        )
        return result

    def apply(
        self, module: str, *, faulty: bool = True, settled: Callable[[], bool] = lambda: True, **arguments: Any
    ) -> Result:
        """A run that succeeds, with all that is to hold for any run.

        Check mode foretells it; each of its operations may fail and the host is as before; it does what was foretold,
        or the foretold operations do it in a shell; once more, it has nothing to do. `faulty=False` leaves out the
        failures, for operations that can't be undone. `settled` is waited for where the kernel goes on by itself, as
        with the links of a namespace that has ended.
        """
        before = self.snapshot()
        foretold = self._check(module, arguments, before)
        if faulty and self.way == MODULE:
            self._fail_everywhere(module, arguments, foretold.operations, before)
        result = self._carry_out(module, arguments, foretold)
        self.wait_for(settled)
        after = self.snapshot()
        if not foretold.changed:
            assert_same(before, after, f"{module}, which reported no change,")
        again = self._check(module, arguments, after)
        assert not again.operations, f"still to do: {again.operations}, after {foretold.operations}"
        again = runner.run(module, arguments)
        assert not again.failed, f"{module} once more: {again['msg']}"
        assert not again.operations
        assert not again.changed
        self._assert_unchanged(after, f"{module} once more")
        assert_foretold(foretold.state, result.state if self.way == MODULE else again.state)
        if self.way == SCRIPT:
            result = Result({**again, **{key: foretold[key] for key in ("changed", "operations", "diff")}})
        return result

    def _carry_out(self, module: str, arguments: dict[str, Any], foretold: Result) -> Result:
        if self.way == SCRIPT:
            self.sh("\n".join(foretold.operations))
            return foretold
        result = runner.run(module, arguments)
        assert not result.failed, f"{module} failed: {result['msg']}"
        assert result.operations == foretold.operations
        assert result.changed == foretold.changed
        assert diff_texts(result) == diff_texts(foretold)
        return result

    def _fail_everywhere(
        self, module: str, arguments: dict[str, Any], foretold: list[str], before: snapshot.Snapshot
    ) -> None:
        for place in faults.places(foretold):
            with faults.failing(place):
                result = runner.run(module, arguments)
            where = f"{module}, failing at {place}"
            assert result.failed, f"{where}, reported success"
            assert_one_line(result)
            self._assert_unchanged(before, f"{where}: {result['msg']}")
            assert result.get("rolled_back") is True, f"{where}, was not rolled back: {result}"
            others = list(foretold)
            if place.command in others:
                others.remove(place.command)
            assert set(result["undone"]) <= set(others), f"{where}, undid what was not done: {result['undone']}"

    def unchanged(self, module: str, **arguments: Any) -> Result:
        """A run that finds everything as declared."""
        result = self.apply(module, **arguments)
        assert not result.changed, result.operations
        return result

    def changed(self, module: str, **arguments: Any) -> Result:
        """A run that has something to do."""
        result = self.apply(module, **arguments)
        assert result.changed
        return result

    def refuse(self, module: str, match: str, *, in_check_mode: bool = True, **arguments: Any) -> Result:
        """A run that is refused in one line for people, whose text `match` (a regular expression) finds.

        In check mode too, except where a parent that is missing may be assumed to be coming.
        """
        before = self.snapshot()
        for check in (True, False):
            result = runner.run(module, arguments, check=check)
            self._assert_unchanged(before, f"{module}, which was to refuse,")
            if check and not in_check_mode:
                assert not result.failed, f"{module} refused in check mode: {result['msg']}"
                continue
            assert result.failed, f"{module} accepted it and would do {result.get('operations')}"
            assert_one_line(result)
            assert re.search(match, result["msg"], re.IGNORECASE), f"{match!r} is not in: {result['msg']}"
        return result

    @staticmethod
    def wait_for(condition: Callable[[], bool], seconds: float = 10) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "what was waited for did not come"
            time.sleep(0.01)

    # Looking, always with foreign tools

    def snapshot(self) -> snapshot.Snapshot:
        return snapshot.take(self._watched, tuple(self._sysctls), self._rules)

    def _assert_unchanged(self, before: snapshot.Snapshot, what: str) -> None:
        assert_same(before, self.snapshot(), what)

    def watch_sysctl(self, *paths: str) -> None:
        """Have these sysctls (paths below /proc/sys) compared as well, in every namespace."""
        self._sysctls += paths

    def sh(self, script: str) -> str:
        """Standard output of a shell script; the test fails where the script does."""
        # The script is its shell's argument: on its standard input here documents and commands would compete for it.
        done = self._shell(script)
        assert done.returncode == 0, f"exit code {done.returncode}: {done.stderr.strip()}\nof the script\n{script}"
        return done.stdout

    def try_sh(self, script: str) -> bool:
        """Whether a shell script succeeds."""
        return self._shell(script).returncode == 0

    @staticmethod
    def _shell(script: str) -> subprocess.CompletedProcess[str]:
        words = ["sh", "-e", "-c", script]
        return subprocess.run(words, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)

    def ip(self, words: str, netns: str = "host") -> Any:
        """What `ip -j` says."""
        return json.loads(self.sh(f"{inside(netns)} ip -j -d {words}") or "[]")

    def namespaces(self) -> list[str]:
        """The names that `ip netns` knows."""
        return sorted(line.split()[0] for line in self.sh("ip netns list").splitlines())

    def links(self, netns: str = "host") -> list[str]:
        """The names of all links but lo."""
        return sorted(link["ifname"] for link in self.ip("link show", netns) if link["ifname"] != "lo")

    def link(self, name: str, netns: str = "host") -> dict[str, Any]:
        found: dict[str, Any] = self.ip(f"link show dev {name}", netns)[0]
        return found

    def has_link(self, name: str, netns: str = "host") -> bool:
        return name in self.links(netns)

    def is_up(self, name: str, netns: str = "host") -> bool:
        return "UP" in self.link(name, netns)["flags"]

    def addresses(self, name: str, netns: str = "host") -> list[str]:
        """Those of global scope, in the kernel's order."""
        found = self.ip(f"addr show dev {name} scope global", netns)
        entries = [entry for seen in found for entry in seen.get("addr_info", [])]
        return [f"{entry['local']}/{entry['prefixlen']}" for entry in entries if entry.get("local")]

    def routes(self, netns: str = "host", family: int = 4, table: str = "main") -> list[dict[str, Any]]:
        """Those that somebody set."""
        found: list[dict[str, Any]] = self.ip(f"-{family} route show table {table}", netns)
        return [route for route in found if route.get("protocol") != "kernel"]

    def sysctl(self, path: str, netns: str = "host") -> str:
        return self.sh(f"{inside(netns)} cat /proc/sys/{path}").strip()

    def ruleset(self, netns: str = "host") -> list[dict[str, Any]]:
        """The objects that `nft -j` lists, without those that only say its version."""
        objects = json.loads(self.sh(f"{inside(netns)} nft -j list ruleset"))["nftables"]
        return [entry for entry in objects if "metainfo" not in entry]

    # Traffic

    def ping(self, address: str, netns: str = "host", source: str | None = None) -> bool:
        family = f"-{ipaddress.ip_address(address).version}"
        by = f"-I {source}" if source else ""
        # Several attempts: the first may meet an address whose duplicate detection is not through.
        return any(self.try_sh(f"{inside(netns)} ping -n -q {family} {by} -c 1 -W 1 {address}") for _try in range(4))

    @contextlib.contextmanager
    def pinging(self, address: str, netns: str = "host") -> Iterator[None]:
        """Pings all through the block, every 2 ms; the test fails if an answer is missing."""
        started = subprocess.Popen(
            [*inside(netns).split(), "ping", "-n", "-q", "-i", "0.002", address],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            yield
        finally:
            started.send_signal(signal.SIGINT)
            out, _errors = started.communicate()
        counts = re.search(r"(\d+) packets transmitted, (\d+) received", out)
        assert counts, out
        sent, received = int(counts[1]), int(counts[2])
        assert received
        # The last one may be on its way still.
        assert sent - received <= 1, out

    @contextlib.contextmanager
    def monitoring_routes(self, netns: str = "host") -> Iterator[list[str]]:
        """The lines of `ip monitor route` for what happens in the block; they are there when it has ended."""
        log = Path("/run/monitor.log")
        with log.open("w") as out:
            words = [*inside(netns).split(), "stdbuf", "-oL", "ip", "-o", "monitor", "route"]
            started = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out)
        lines: list[str] = []
        try:
            self._mark(log, "192.0.2.77", netns)
            yield lines
            self._mark(log, "192.0.2.78", netns)
        finally:
            started.terminate()
            started.wait()
        lines += [line for line in log.read_text().splitlines() if "192.0.2.7" not in line]
        log.unlink()

    def _mark(self, log: Path, address: str, netns: str) -> None:
        """Makes a route and removes it until the monitor has told of it, and so of all before it."""
        ip = f"{inside(netns)} ip route"
        while f"Deleted blackhole {address}" not in log.read_text():
            self.sh(f"{ip} add blackhole {address}; {ip} delete blackhole {address}")

    def no_ping(self, address: str, netns: str = "host") -> bool:
        return not self.try_sh(f"{inside(netns)} ping -n -q -c 1 -W 1 {address}")

    def fetch(self, url: str, netns: str = "host", patience: float = 2) -> str | None:
        """The page, or None when none came in so many seconds."""
        done = subprocess.run(
            ["sh", "-c", f"{inside(netns)} curl --silent --noproxy '*' --globoff --max-time {patience} '{url}'"],
            check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return done.stdout.strip() if done.returncode == 0 else None

    # Furnishing

    def process_in(self, netns: str, program: str = "echo; exec sleep 600", ready: str = "") -> int:
        """The pid of a process that lives in a namespace until the test ends; `ready` is the first line it writes."""
        words = ["sh", "-c", program]
        where = netns_path(netns)
        started = subprocess.Popen(
            [*(["nsenter", f"--net={where}"] if where else []), *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._keep(started, ready)
        return started.pid

    def web_server(self, netns: str) -> None:
        """A web server in a namespace that answers with the address of its client, until the test ends."""
        program = Path(__file__).with_name("outside.py")
        self.process_in(netns, f"exec '{sys.executable}' -S '{program}' serve", ready="listening")

    def unnamed_namespace(self, *, label: str = "unnamed") -> int:
        """The pid of a process in a new network namespace that has no name; snapshots look at it under its label."""
        started = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "ip link set dev lo up; echo; exec sleep 600"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._keep(started)
        self._watched[label] = f"/proc/{started.pid}/ns/net"
        return started.pid

    def _keep(self, started: subprocess.Popen[bytes], ready: str = "") -> None:
        assert started.stdout is not None
        assert started.stdout.readline().decode() == f"{ready}\n", "the process did not start"
        self._processes.append(started)

    def end(self, pid: int) -> None:
        """End a process that was started here."""
        for process in self._processes:
            if process.pid == pid:
                process.kill()
                process.wait()
        self._watched = {name: path for name, path in self._watched.items() if not path.startswith(f"/proc/{pid}/")}

    def alive(self, pid: int) -> bool:
        return next(process for process in self._processes if process.pid == pid).poll() is None

    def end_all(self) -> None:
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()


class Outside:
    """The simulated outside of outside.py on a host."""

    HOST4, OUTSIDE4 = "198.51.100.2", "198.51.100.1"
    HOST6, OUTSIDE6 = "2001:db8:51::2", "2001:db8:51::1"
    WEB = f"http://{OUTSIDE4}/"
    WEB6 = f"http://[{OUTSIDE6}]/"

    def __init__(self, ipv6: bool) -> None:
        self._server = simulation.up(ipv6)

    def remove(self) -> None:
        simulation.down()
        os.waitpid(self._server, 0)


@contextlib.contextmanager
def a_host(way: str, rules: bool = True) -> Iterator[Host]:
    host = Host(way, rules)
    try:
        yield host
    finally:
        host.end_all()


def inside(netns: str) -> str:
    """The words that run a command in a namespace."""
    path = netns_path(netns)
    return f"nsenter --net={path}" if path else ""


def netns_path(netns: str) -> str:
    if netns == "host":
        return ""
    if netns.startswith("pid:"):
        return f"/proc/{netns[4:]}/ns/net"
    return netns if netns.startswith("/") else f"/run/netns/{netns}"


def assert_same(before: snapshot.Snapshot, after: snapshot.Snapshot, what: str) -> None:
    changes = before.differences(after)
    assert not changes, f"{what} left the host changed:\n" + "\n".join(changes)


def diff_texts(result: Result) -> list[tuple[str, str]]:
    """Before and after of each object in the diff; what is equal in both is no difference."""
    diff = result.get("diff") or []
    texts = [(part["before"], part["after"]) for part in (diff if isinstance(diff, list) else [diff])]
    for text in (text for pair in texts for text in pair):
        yaml.load(text, Loader=YAML_LOADER)
    return [pair for pair in texts if pair[0] != pair[1]]


def assert_foretold(foretold: Any, real: Any, place: str = "state") -> None:
    """What check mode said of the state holds, save where it said null: there only the kernel could tell."""
    if foretold is None:
        return
    if isinstance(foretold, dict) and isinstance(real, dict):
        assert foretold.keys() == real.keys(), f"{place}: foretold {sorted(foretold)}, is {sorted(real)}"
        for key, value in foretold.items():
            if key == "state" and "kind" in foretold:
                continue  # of a link: whether it has carrier shows some time after it was brought up
            if key == "addresses":
                # The kernel lists the newest IPv6 address first.
                value, real[key] = sorted(value), sorted(real[key])
            assert_foretold(value, real[key], f"{place}.{key}")
    elif isinstance(foretold, list) and isinstance(real, list):
        assert len(foretold) == len(real), f"{place}: foretold {foretold}, is {real}"
        for number, (one, other) in enumerate(zip(foretold, real)):
            assert_foretold(one, other, f"{place}[{number}]")
    else:
        assert foretold == real, f"{place}: foretold {foretold!r}, is {real!r}"


Make = Callable[..., Outside]
