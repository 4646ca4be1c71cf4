# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet: hosts made of namespaces that are reached over real ssh, as other machines are.

    host1  eth0 192.0.2.1/24 ──┐
    host2  eth0 192.0.2.2/24 ──┼── bridge fleet 192.0.2.254/24, and 198.51.100.1, the outside of outside.py
    ...                        ┘

Each host has every kind of namespace of its own but that of users, and a userland of Debian (userlands.py): odd ones
bookworm, even ones trixie. / is shared in the first two of four hosts, as under systemd, and private in the others. root,
ops, who may sudo, and plain, who may not, log in with the fleet's key.

All of it hangs on one process, the keeper: the first of a pid namespace in which all others are, with the bridge in its network
namespace. When it ends the kernel ends them all. The room is a directory with key, ssh_config, inventory.yml, ansible.cfg, logs.

In tests/ `python3 -m support.fleet up 5`, `down`, `hosts`, `start HOST`, `stop HOST`, `enter HOST COMMAND...`;
--room tells where. That is what `./dev fleet` calls.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from . import fleet_files, userlands
from .fleet_files import GATEWAY, HERE, MOST, NETWORK, OUTSIDE, FleetHost
from .processes import began_at, children

CACHE = HERE.parents[1] / ".cache"
PATIENCE = 120  # in seconds; a busy machine starts 50 hosts in less

# The first process in the room. The bridge has a MAC of its own: else it takes that of a port, and changes it when that host ends.
# What the outside sends comes from its address, as the answer to a datagram has to. SIGCHLD is ignored, so that no zombie stays.
KEEPER = """
set -eu
ip -batch - <<IP
link set dev lo up
address add {outside}/32 dev lo
link add name fleet address 02:00:00:00:00:fe type bridge
address add {gateway}/24 dev fleet noprefixroute
link set dev fleet up
route add {network}.0/24 dev fleet src {outside}
IP
{python} -I -S {here}/outside.py serve >{room}/outside &
trap '' CHLD
exec sleep infinity
"""


class Fleet:
    """The fleet in a room, whoever has made it."""

    def __init__(self, room: Path = CACHE / "fleet", lands: Path = CACHE / "userlands") -> None:
        self.room = room.resolve()
        self.lands = lands.resolve()

    @property
    def hosts(self) -> list[FleetHost]:
        return [FleetHost(number) for number in range(1, int(self._said("hosts") or 0) + 1)]

    @property
    def keeper(self) -> int | None:
        """The pid of the keeper, if it is alive; a number alone may be another process's by now."""
        pid, _space, began = self._said("keeper").partition(" ")
        return int(pid) if pid and began == began_at(int(pid)) else None

    def up(self, count: int, bytecode: bool = False) -> None:
        """Ends a fleet that is there, and makes one of `count` hosts, all of which can be reached when it returns.

        With `bytecode` their Pythons, if started by ssh, keep what they compile (see bytecode/), beside the userlands, which
        halves what a task costs.
        """
        if os.geteuid() != 0:
            raise SystemExit("fleet: root only, to make namespaces and mounts")
        if not 1 <= count <= MOST:
            raise SystemExit(f"fleet: 1 to {MOST} hosts, not {count}")
        self.down()
        userlands.make(self.lands)
        (self.room / "root").mkdir(parents=True)
        if bytecode:
            (self.lands / "bytecode").mkdir(exist_ok=True)
            (self.room / "bytecode").symlink_to(self.lands / "bytecode")
        self.room.chmod(0o700)
        try:
            keeper = self._keep()
            (self.room / "hosts").write_text(f"{count}\n", encoding="ascii")
            fleet_files.write(self.room, self.hosts, keeper)
            self.start(*self.hosts)
            self._wait(lambda: self._said("outside") == "listening", "the outside does not serve")
        except BaseException:
            self.down()
            raise

    def down(self) -> None:
        """Ends all; what is gone already is no error."""
        keeper = self.keeper
        if keeper is not None:
            # While the network stands, so that the sockets of those who are connected are closed.
            self.stop(*(host for host in self.hosts if self.pid(host)))
            os.kill(keeper, signal.SIGKILL)
            self._wait(lambda: self.keeper is None, f"the keeper {keeper} does not end")
        sockets = self._said("sockets")
        if sockets:
            shutil.rmtree(sockets, ignore_errors=True)
        shutil.rmtree(self.room, ignore_errors=True)

    def start(self, *hosts: FleetHost) -> None:
        """Starts hosts of the fleet that do not run, anew: with nothing of what was in them."""
        for host in hosts:
            self._boot(host)
        for host in hosts:
            self._wait(lambda host=host: self.pid(host), f"{host.name} does not start")  # type: ignore[misc]
        # A port left by one that was cut off goes with its other end, but some time later.
        ports = [
            f"link add name {host.name} master fleet up type veth peer name eth0 netns {self.pid(host)}"
            for host in hosts
        ]
        self._in_network(["ip", "-batch", "-"], "\n".join(ports))
        for host in hosts:
            self._wait(lambda host=host: self._greets(host), f"sshd of {host.name} does not answer", host)  # type: ignore[misc]

    def stop(self, *hosts: FleetHost) -> None:
        """Ends hosts, as if each was switched off, but that its connections are closed."""
        pids = [pid for pid in map(self.pid, hosts) if pid]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            self._wait(lambda pid=pid: began_at(pid) is None, f"the host of pid {pid} does not end")  # type: ignore[misc]
        ports = [f"link delete dev {host.name}" for host in hosts]
        self._in_network(["ip", "-force", "-batch", "-"], "\n".join(ports), check=False)

    def pid(self, host: FleetHost) -> int | None:
        """The pid of the host's first process: the one child of that child of the keeper which has its name."""
        for child in children(self.keeper):
            with contextlib.suppress(OSError):
                if Path(f"/proc/{child}/cmdline").read_bytes().endswith(f"\0{host.name}\0".encode()):
                    return next(iter(children(child)), None)
        return None

    def pids(self) -> list[int]:
        """All processes of the fleet, the keeper first."""
        found = [self.keeper] if self.keeper else []
        for pid in found:
            found += children(pid)
        return found

    def enter(self, host: FleetHost, words: Sequence[str]) -> list[str]:
        """The command that runs `words` on the host, past ssh: for witnesses, and for what breaks things."""
        pid = self.pid(host)
        if pid is None:
            raise SystemExit(f"fleet: {host.name} does not run")
        path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return ["nsenter", f"--target={pid}", "--all", "--", "env", "-i", path, "TERM=linux", "HOME=/root", *words]

    def said(self, host: FleetHost, script: str) -> str:
        """What a shell script says on the host."""
        done = subprocess.run(self.enter(host, ["sh", "-euc", script]), check=False, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{host.name}: {script}: {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def in_network(self, words: Sequence[str]) -> list[str]:
        """The command that runs `words` in the namespace that joins the hosts."""
        return ["nsenter", f"--net=/proc/{self.keeper}/ns/net", "--", *words]

    def _in_network(self, words: Sequence[str], text: str, check: bool = True) -> None:
        done = subprocess.run(self.in_network(words), check=False, input=text + "\n", capture_output=True, text=True)
        if check and done.returncode:
            raise SystemExit(f"fleet: {' '.join(words)}: {' '.join(done.stderr.split())}")

    def _keep(self) -> int:
        script = KEEPER.format(
            outside=OUTSIDE,
            gateway=GATEWAY,
            network=NETWORK,
            python=shlex.quote(sys.executable),
            here=shlex.quote(str(HERE)),
            room=shlex.quote(str(self.room)),
        )
        words = [
            "unshare",
            "--net",
            "--mount",
            "--pid",
            "--propagation=private",
            "--fork",
            "--kill-child",
            "sh",
            "-c",
            script,
        ]
        with open(self.room / "log", "wb") as log:
            parent = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True
            )
        # It runs on, which Popen would complain of.
        parent.returncode = 0
        self._wait(lambda: children(parent.pid), "the keeper does not start")
        (keeper,) = children(parent.pid)
        (self.room / "keeper").write_text(f"{keeper} {began_at(keeper)}\n", encoding="ascii")
        # It has made the bridge by the time that it sleeps.
        self._wait(
            lambda: Path(f"/proc/{keeper}/comm").read_text(encoding="ascii") == "sleep\n",
            "the network does not come up",
        )
        return keeper

    def _boot(self, host: FleetHost) -> None:
        if self.pid(host):
            raise SystemExit(f"fleet: {host.name} runs already")
        words = ["nsenter", f"--target={self.keeper}", "--net", "--mount", "--pid", "--", "setsid", "--fork"]
        words += [
            "unshare",
            "--net",
            "--mount",
            "--pid",
            "--uts",
            "--ipc",
            "--cgroup",
            "--propagation=private",
            "--fork",
            "--kill-child",
        ]
        words += [str(HERE / "fleet_host.sh"), str(self.room), str(self.lands / host.userland), host.address, GATEWAY]
        with open(self.room / f"{host.name}.log", "wb") as log:
            subprocess.run(
                [*words, host.propagation, host.name], check=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _greets(self, host: FleetHost) -> bool:
        script = HERE / "fleet_connect.py"
        ours, theirs = socket.socketpair()
        with ours, theirs:
            words = self.in_network([sys.executable, "-I", "-S", str(script), host.address, "22"])
            if subprocess.run(words, check=False, stdout=theirs.fileno(), stderr=subprocess.DEVNULL).returncode:
                return False
            _data, (descriptor,), _flags, _address = socket.recv_fds(ours, 1, 1)
            with socket.socket(fileno=descriptor) as connection:
                return connection.recv(4) == b"SSH-"

    def _said(self, name: str) -> str:
        try:
            return (self.room / name).read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return ""

    def _wait(self, done: Callable[[], object], complaint: str, host: FleetHost | None = None) -> None:
        until = time.monotonic() + PATIENCE
        while not done():
            if time.monotonic() > until or (host and not self.pid(host)):
                log = self._said(f"{host.name}.log" if host else "log")
                raise SystemExit(f"fleet: {complaint}{': ' if log else ''}{log}")
            time.sleep(0.02)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--room", type=Path, default=CACHE / "fleet", help="a directory that is made for it")
    does = parser.add_subparsers(dest="do", required=True)
    up = does.add_parser("up", help="make hosts")
    up.add_argument("count", type=int, nargs="?", default=5)
    up.add_argument("--bytecode", action="store_true", help="let them keep what they compile")
    does.add_parser("down", help="end all")
    does.add_parser("hosts", help="list them")
    for verb in ("start", "stop"):
        does.add_parser(verb, help=f"{verb} one").add_argument("host")
    enter = does.add_parser("enter", help="run a command on one, past ssh")
    enter.add_argument("host")
    enter.add_argument("words", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    fleet = Fleet(options.room)
    if options.do == "up":
        fleet.up(options.count, options.bytecode)
    elif options.do == "down":
        fleet.down()
    elif options.do == "hosts":
        for host in fleet.hosts:
            print(host.name, host.address, host.userland, host.propagation, "up" if fleet.pid(host) else "down")
    else:
        named = next((host for host in fleet.hosts if host.name == options.host), None)
        if named is None:
            raise SystemExit(f"fleet: no such host: {options.host}")
        if options.do == "enter":
            words = fleet.enter(named, options.words or ["bash"])
            os.execvp(words[0], words)
        getattr(fleet, options.do)(named)


if __name__ == "__main__":
    main()
