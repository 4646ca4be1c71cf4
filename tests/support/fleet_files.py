# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person, and Ansible, need to reach the hosts of a fleet: the files of its room, see fleet.py."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import userlands

HERE = Path(__file__).resolve().parent
NETWORK, GATEWAY, OUTSIDE = "192.0.2", "192.0.2.254", "198.51.100.1"
MOST = 200

SSH_CONFIG = """\
{aliases}
Host host* {network}.*
    User root
    IdentityFile "{room}/key"
    IdentitiesOnly yes
    UserKnownHostsFile "{room}/known_hosts"
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
    ProxyUseFdpass yes
    ProxyCommand nsenter --net=/proc/{keeper}/ns/net -- "{python}" -I -S "{here}/fleet_connect.py" %h %p
    ServerAliveInterval 5
    ServerAliveCountMax 6
    LogLevel ERROR
"""

ANSIBLE_CFG = """\
[defaults]
inventory = {room}/inventory.yml
home = {room}/ansible
forks = {forks}
retry_files_enabled = false
interpreter_python = /usr/bin/python3

[connection]
pipelining = true

[ssh_connection]
control_path_dir = {sockets}
"""


@dataclass(frozen=True)
class FleetHost:
    number: int

    @property
    def name(self) -> str:
        return f"host{self.number}"

    @property
    def address(self) -> str:
        return f"{NETWORK}.{self.number}"

    @property
    def userland(self) -> str:
        return userlands.RELEASES[(self.number - 1) % 2]

    @property
    def propagation(self) -> str:
        return ("shared", "private")[(self.number - 1) % 4 // 2]


def write(room: Path, hosts: Sequence[FleetHost], keeper: int) -> None:
    for name in ("key", "host_key"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "fleet", "-f", str(room / name)]
        subprocess.run(words, check=True, stdin=subprocess.DEVNULL)
    public = (room / "host_key.pub").read_text(encoding="ascii")
    # The path of a socket has to be short.
    sockets = tempfile.mkdtemp(prefix="fleet")
    (room / "sockets").write_text(f"{sockets}\n", encoding="utf-8")
    aliases = "".join(f"Host {host.name}\n    HostName {host.address}\n" for host in hosts)
    names = {"room": room, "keeper": keeper, "python": sys.executable, "here": HERE, "network": NETWORK}
    files = {
        "known_hosts": f"host*,{NETWORK}.* {public}",
        "ssh_config": SSH_CONFIG.format(aliases=aliases, **names),
        "ansible.cfg": ANSIBLE_CFG.format(room=room, forks=max(5, len(hosts)), sockets=sockets),
        "inventory.yml": json.dumps(inventory(room, hosts), indent=2) + "\n",
    }
    for name, text in files.items():
        (room / name).write_text(text, encoding="utf-8")


def inventory(room: Path, hosts: Sequence[FleetHost]) -> dict[str, object]:
    groups: dict[str, dict[str, dict[str, None]]] = {}
    for host in hosts:
        for group in (host.userland, host.propagation):
            groups.setdefault(group, {"hosts": {}})["hosts"][host.name] = None
    return {
        "fleet": {
            "hosts": {host.name: {"ansible_host": host.address} for host in hosts},
            "children": groups,
            "vars": {
                # Not the user, so that -u has a say.
                "ansible_ssh_common_args": f"-F {shlex.quote(str(room / 'ssh_config'))}",
                "ansible_python_interpreter": "/usr/bin/python3",
            },
        }
    }
