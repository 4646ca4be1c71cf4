# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection netns, over real ssh: what runs, runs inside, told by the inode of the namespace and never by success alone."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleConnectionFailure, AnsibleError, AnsibleFileNotFound
from ansible.playbook.play_context import PlayContext
from ansible.plugins.become import sudo
from ansible.plugins.connection import ssh

from ansible_collections.nslab.linux.plugins.connection.netns import Connection

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.ansible_runs import Ansible
from support.fleet import Fleet, FleetHost
from support.inside import BYTES, GROUND, WHERE, Plays, Seen, assert_inside, assert_unreachable, every_kind

USERS = """
chmod 1777 /srv
echo ops:secret | chpasswd
echo 'ops ALL=(root) NOPASSWD: ALL, (nobody) PASSWD: ALL' >/etc/sudoers.d/ops
"""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Two hosts, each with the namespaces `red` and `blue`."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to make hosts of namespaces")
    made = Fleet(tmp_path_factory.mktemp("fleet") / "room")
    made.up(2, bytecode=True)
    try:
        for host in made.hosts:
            made.said(host, GROUND + USERS)
        yield made
    finally:
        made.down()


@pytest.fixture(scope="module")
def ansible(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ansible]:
    started = Ansible(tmp_path_factory.mktemp("ansible"))
    yield started
    started.end()


@pytest.fixture
def plays(fleet: Fleet, tmp_path: Path, ansible: Ansible) -> Plays:
    """The namespaces of host1 as root with pipelining and those of host2 as ops without."""
    first, second = (host.address for host in fleet.hosts)
    known = yaml.safe_load((fleet.room / "inventory.yml").read_text())["fleet"]["vars"]
    variables = {
        **known,
        "ansible_connection": "nslab.linux.netns",
        "ansible_netns": "{{ inventory_hostname }}",
        "ansible_host": first,
        "ansible_control_path_dir": str(sockets(fleet)),
        # Longer than any test; they end with the fleet.
        "ansible_ssh_args": "-o ControlMaster=auto -o ControlPersist=600s",
    }
    by_ops = {
        "ansible_host": second,
        "ansible_user": "ops",
        "ansible_netns": "red",
        "ansible_pipelining": False,
        "ansible_become_password": "secret",
    }
    hosts = {
        "red": {},
        "blue": {},
        "green": {},
        "by_ops": by_ops,
        "by_plain": {**by_ops, "ansible_user": "plain"},
    }
    return Plays(ansible, tmp_path, {"all": {"hosts": hosts, "vars": variables}})


class By:
    """A connection of one's own, without a play: what ansible-core would make of these options."""

    def __init__(self, fleet: Fleet, netns: str = "red", **options: Any) -> None:
        known = yaml.safe_load(ssh.DOCUMENTATION)["options"]
        told = {
            "host": fleet.hosts[0].address,
            "ssh_common_args": f"-F {fleet.room}/ssh_config",
            "control_path_dir": str(sockets(fleet)),
            "pipelining": True,
            "netns": netns,
            "netns_sudo": "sudo -n",
        }
        self.connection = Connection(PlayContext())
        self.connection._options = {
            **{name: option.get("default") for name, option in known.items()},
            **told,
            **options,
        }

    def become(self, command: str, password: str | None) -> None:
        """Run it as another user, who may ask for a password, with more to send than a pipe takes."""
        plugin = sudo.BecomeModule()
        plugin._options = {"become_user": "nobody", "become_pass": password, "become_flags": "-H", "become_exe": None}
        plugin._options["sudo_chdir"] = None
        self.connection.set_become_plugin(plugin)
        self.connection._shell.executable = "/bin/sh"
        line = plugin.build_become_command(command, self.connection._shell)
        self.connection.exec_command(line, in_data=BYTES)


def sockets(fleet: Fleet) -> Path:
    return Path((fleet.room / "sockets").read_text().strip())


def seen(fleet: Fleet, host: FleetHost, user: str) -> Seen:
    """As the host tells past ssh."""
    inodes = fleet.said(host, "stat -L -c %i /run/netns/red /run/netns/blue").split()
    red, blue = (f"net:[{inode}]" for inode in inodes)
    said = fleet.said(host, f"id -G {user}; echo ~{user}; cat /etc/netns/red/hosts").split("\n", 2)
    return Seen(red=red, blue=blue, user=user, groups=said[0], home=said[1], hosts=said[2])


def test_every_kind_of_task_runs_inside_and_who_gets_nowhere_is_unreachable(fleet: Fleet, plays: Plays) -> None:
    serve = {"ansible.builtin.service": {"name": "page", "state": "started"}, "become": True}
    fetched = plays.directory / "fetched-{{ inventory_hostname }}"

    found, output = plays.run(("red,by_ops,green,by_plain", every_kind("/srv", serve, str(fetched))))

    for name, host, user in zip(("red", "by_ops"), fleet.hosts, ("root", "ops")):
        here = fleet.said(host, WHERE).strip()
        # To blue it was delegated, and that is a host of the inventory, with its own address and user.
        there = replace(seen(fleet, host, user), blue=seen(fleet, fleet.hosts[0], user).blue)
        assert here not in (there.red, there.blue)
        assert_inside(name, found[name], there, plays.directory / f"fetched-{name}")
        said = fleet.said(host, f"readlink /proc/$(cat /run/page.pid)/ns/net; stat -c '%a %U %s' /srv/copied; {WHERE}")
        assert said.splitlines() == [there.red, f"600 {user} {len(BYTES)}", here]
    assert_unreachable(output, "green", r"namespace 'green' does not exist on 192\.0\.2\.1: there are blue, red")
    assert_unreachable(
        output, "by_plain",
        r"namespace 'red' of 192\.0\.2\.2 can't be entered as plain: sudo: a password is required; what makes plain root is "
        r"'sudo -n' \(ansible_netns_sudo\), allow it or log in as root",
    )  # fmt: skip
    # One for each host and user, whatever the namespaces.
    assert len(list(sockets(fleet).iterdir())) == 3


def test_pipelining_and_terminals_may_be_as_they_like(fleet: Fleet, plays: Plays) -> None:
    tasks: list[dict[str, Any]] = [
        {"name": "command", "ansible.builtin.command": WHERE, "become": True},
        {"name": "copy", "ansible.builtin.copy": {"src": "bytes", "dest": "/srv/by-{{ inventory_hostname }}"}},
        {"name": "delegated", "ansible.builtin.command": WHERE, "delegate_to": "red"},
    ]
    swapped = "{{ inventory_hostname == 'by_ops' }}"

    found, _output = plays.run(("blue,by_ops", tasks), ansible_pipelining=swapped, ansible_ssh_extra_args="-tt")

    first, second = (seen(fleet, host, "ops") for host in fleet.hosts)
    for name, host, inside in zip(("blue", "by_ops"), fleet.hosts, (first.blue, second.red)):
        assert found[name]["command"]["stdout"] == inside
        assert found[name]["delegated"]["stdout"] == first.red
        assert fleet.said(host, f"sha1sum </srv/by-{name}").split()[0] == found[name]["copy"]["checksum"]


@pytest.mark.parametrize("user", ["root", "ops"])
def test_files_are_put_and_fetched_inside_as_the_user(fleet: Fleet, tmp_path: Path, user: str) -> None:
    host = fleet.hosts[0]
    source, target, name = tmp_path / "it's here", tmp_path / "fetched", '/srv/it\'s "$HOME"'
    # A terminal that is asked for changes no byte.
    red = By(fleet, remote_user=user, ssh_args="-tt -C -o ControlMaster=auto -o ControlPersist=60s").connection
    red._piece = len(BYTES)
    for content in (BYTES * 2, BYTES * 2 + b"\n", b"", b"."):
        source.write_bytes(content)
        red.put_file(str(source), name)
        red.fetch_file(name, str(target))
        assert target.read_bytes() == content
        said = fleet.said(host, "cd /srv && stat -c '%U %s %n' it*; rm it*").strip()
        assert said == f"{user} {len(content)} {Path(name).name}"
    red.fetch_file("/sys/class/net/eth7/address", str(target))
    assert target.read_text() == fleet.said(host, "ip netns exec red cat /sys/class/net/eth7/address")
    red.fetch_file("/etc/resolv.conf", str(target))
    assert target.read_text() == fleet.said(host, "cat /etc/netns/red/resolv.conf")
    target.unlink()
    with pytest.raises(AnsibleError, match=r"could not fetch /nowhere: .*No such file"):
        red.fetch_file("/nowhere", str(target))
    assert not target.exists()
    with pytest.raises(AnsibleError, match=r"could not put /nowhere/at/all: .*(nonexistent|No such)"):
        red.put_file(str(source), "/nowhere/at/all")
    with pytest.raises(AnsibleFileNotFound):
        red.put_file(str(tmp_path / "missing"), name)
    if user != "root":
        with pytest.raises(AnsibleError, match=r"could not put /etc/hosts: .*Permission denied"):
            red.put_file(str(source), "/etc/hosts")


def test_nobody_gets_into_what_is_no_namespace_by_any_way(fleet: Fleet, tmp_path: Path) -> None:
    """And what is refused is said also to who has much to send, or waits for the word of become."""
    host = fleet.hosts[0]
    fleet.said(host, "touch /run/netns/stale /run/netns/mine; mount --bind /proc/self/ns/net /run/netns/mine")
    source = tmp_path / "source"
    source.write_bytes(BYTES)
    there = "namespace 'green' does not exist on 192.0.2.1: there are blue, mine, red, stale"
    refused = "namespace 'red' of 192.0.2.1 can't be entered as plain: sudo: a password is required"
    for why, by in (
        (there, By(fleet, "green")),
        (there, By(fleet, "green", remote_user="ops")),
        (there, By(fleet, "green", reconnection_retries=1)),
        (refused, By(fleet, remote_user="plain")),
        ("namespace 'red' of 192.0.2.1 can't be entered as ops: ", By(fleet, remote_user="ops", netns_sudo="")),
        ("/run/netns/stale of 192.0.2.1 is a file but no namespace: remove it", By(fleet, "stale")),
        ("namespace 'mine' of 192.0.2.1 is the one in which the login is", By(fleet, "mine")),
        ("a namespace can't be named 'host'", By(fleet, "host")),
        ("is not allowed", By(fleet, "/proc/1/ns/net")),
        ("is not allowed", By(fleet, "pid:1")),
        ("ansible_netns is None", By(fleet, None)),
    ):
        made = by.connection
        for action in (
            lambda made=made: made.exec_command("touch /srv/ran"),
            lambda made=made: made.exec_command("touch /srv/ran; cat", in_data=BYTES * 10, sudoable=False),
            lambda made=made: made.put_file(str(source), "/srv/ran"),
            lambda made=made: made.fetch_file("/etc/passwd", str(tmp_path / "fetched")),
            lambda by=by: by.become("touch /srv/ran", "secret"),
            lambda by=by: by.become("touch /srv/ran", None),
        ):
            with pytest.raises(AnsibleConnectionFailure, match=re.escape(why)):
                action()
    fleet.said(host, "test ! -e /srv/ran; umount /run/netns/mine; rm /run/netns/mine /run/netns/stale")


def test_what_is_said_on_the_way_in_is_told_from_what_is_said_inside(fleet: Fleet) -> None:
    host = fleet.hosts[1]
    there = seen(fleet, host, "ops")
    options = {"host": host.address, "remote_user": "ops"}
    # Without an end of line, as a server's banner or a shell's file may be; and a /run/netns that is closed to others.
    fleet.said(host, "printf 'printf welcome >&2\n' >~ops/.bashrc; chmod 0700 /run/netns")
    red = By(fleet, **options).connection

    code, out, err = red.exec_command(f"{WHERE}; echo nslab: inside >&2; exit 213", sudoable=False)

    assert (code, out.decode().strip(), err) == (213, there.red, b"welcomenslab: inside\n")
    # By that name others, as rsync, would open a connection themselves, which leads to the host.
    assert Connection.transport != ssh.Connection.transport
    # By its path.
    assert By(fleet, "/run/netns/red", **options).connection.exec_command(WHERE, sudoable=False)[1] == out
    variables = By(fleet, ssh_extra_args="-A", **options).connection.exec_command("env", sudoable=False)[1].decode()
    assert re.search("^SSH_CONNECTION=", variables, re.MULTILINE)
    # An ip that leads nowhere.
    fleet.said(host, "printf '#!/bin/sh\nshift 3; exec \"$@\"\n' >/usr/local/bin/ip; chmod +x /usr/local/bin/ip")
    with pytest.raises(
        AnsibleConnectionFailure, match=r"'ip netns exec red' of 192.0.2.2 did not lead into /run/netns/red"
    ):
        red.exec_command("touch /srv/ran")
    fleet.said(host, "rm /usr/local/bin/ip; test ! -e /srv/ran")
