# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection netns_local: what runs, runs inside, told by the inode of the namespace and never by success alone."""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible import constants
from ansible.errors import AnsibleConnectionFailure, AnsibleError, AnsibleFileNotFound
from ansible.playbook.play_context import PlayContext
from ansible.plugins.become import sudo
from ansible.plugins.connection import local

from ansible_collections.nslab.linux.plugins.connection.netns_local import Connection

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.ansible_runs import Ansible
from support.host import MODULE, Host, a_host
from support.inside import BYTES, GROUND, NAMESERVER, WHERE, Plays, Seen, assert_inside, assert_unreachable, every_kind
from support.sandbox import MARK, marked_processes, sandbox, why_impossible

NOBODY = pwd.getpwnam("nobody")


@pytest.fixture
def host() -> Iterator[Host]:
    """A host with a namespace `red` that has an address, a gateway and resolver files, and one called `blue`."""
    if reason := why_impossible():
        pytest.skip(reason)
    with sandbox(), a_host(MODULE) as made:
        made.sh(GROUND)
        yield made


def namespace(netns: str = "red") -> str:
    return f"net:[{Path(f'/run/netns/{netns}').stat().st_ino}]"


@pytest.fixture
def plays(tmp_path: Path, ansible_runs: Ansible) -> Plays:
    (tmp_path / "room").mkdir()
    variables = {
        "ansible_connection": "nslab.linux.netns_local",
        "ansible_netns": "{{ inventory_hostname }}",
        "ansible_python_interpreter": sys.executable,
        "ansible_remote_tmp": str(tmp_path / "remote"),
        "ansible_async_dir": str(tmp_path / "jobs"),
    }
    hosts: dict[str, Any] = {"red": {}, "blue": {}, "green": {}, "red.a": {}}
    return Plays(ansible_runs, tmp_path, {"all": {"hosts": hosts, "vars": variables}})


def test_every_kind_of_task_runs_inside_and_the_host_of_a_missing_namespace_is_unreachable(
    host: Host, plays: Plays
) -> None:
    here, room, fetched = os.readlink("/proc/self/ns/net"), plays.directory / "room", plays.directory / "fetched"
    serve = {
        "ansible.builtin.command": f"{sys.executable} -m http.server --directory {room} 8080", "async": 60, "poll": 0
    }  # fmt: skip

    results, output = plays.run(("red,green", every_kind(str(room), serve, str(fetched))))

    # What watches over a task in the background outlives it by some seconds; what serves the room until it is ended.
    served = [pid for pid, command in marked_processes(os.environ[MARK]).items() if "http.server" in command]
    assert {os.readlink(f"/proc/{pid}/ns/net") for pid in served} == {namespace()} != {here}
    for pid in served:
        os.kill(pid, signal.SIGTERM)
    host.wait_for(lambda: not marked_processes(os.environ[MARK]))
    seen = Seen(
        red=namespace(), blue=namespace("blue"), user="root", home=os.environ["HOME"],
        groups=subprocess.check_output(["id", "-G"], text=True).strip(), hosts=Path("/etc/netns/red/hosts").read_text(),
    )  # fmt: skip
    assert_inside("red", results["red"], seen, fetched)
    raw = results["red"]["raw"]
    assert (raw["stdout_lines"], raw["stderr"]) == ([namespace()], "said\n")
    assert ((room / "copied").read_bytes(), (room / "copied").stat().st_mode & 0o777) == (BYTES, 0o600)
    assert_unreachable(output, "green", "namespace 'green' does not exist on this machine: there are blue, red")
    assert re.search(r"^red .*unreachable=0 +failed=0 ", output, re.MULTILINE), output


def test_without_pipelining_the_modules_lie_in_files_and_run_inside_too(host: Host, plays: Plays) -> None:
    room = plays.directory / "room"
    tasks: list[dict[str, Any]] = [
        {"name": "command", "ansible.builtin.command": f"sh -c '{WHERE}; cat /etc/resolv.conf'"},
        {"name": "copy", "ansible.builtin.copy": {"content": "copied\n", "dest": f"{room}/copied"}},
        {"name": "reboot", "ansible.builtin.reboot": {}, "ignore_errors": True},
        {
            "name": "delegated",
            "ansible.builtin.raw": WHERE,
            "delegate_to": "{{ item }}",
            "loop": ["red.a", "red", "blue"],
        },
    ]
    host.sh("ip netns add red.a")

    found, _output = plays.run(("red", tasks), ansible_pipelining=False, ansible_host="localhost")

    results = found["red"]
    # Of one address, and with one short name.
    inside = [each["stdout"].strip() for each in results["delegated"]["results"]]
    assert inside == [namespace("red.a"), namespace(), namespace("blue")]
    assert results["command"]["stdout"] == f"{namespace()}\n{NAMESERVER}".strip()
    assert (room / "copied").read_text() == "copied\n"
    assert "would reboot the control node" in results["reboot"]["msg"]


def connection(netns: str = "red") -> Connection:
    made = Connection(PlayContext())
    made._options = {"netns": netns, "netns_sudo": "sudo -n", "pipelining": False}
    return made


def as_nobody(do: Callable[[Connection], Any]) -> Any:
    """What that makes of a connection when the one who runs Ansible is nobody, with no right to read anything here."""
    made = connection()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.environ.update(HOME="/run/nobody", USER="nobody", LOGNAME="nobody", SHELL="/bin/sh")
        os.setgroups([20, NOBODY.pw_gid])
        os.setresgid(*[NOBODY.pw_gid] * 3)
        os.setresuid(*[NOBODY.pw_uid] * 3)
        made.default_user = "nobody"
        try:
            said = do(made)
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(writing, json.dumps(said).encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(pid, 0)
    with open(reading, "rb") as stream:
        return json.load(stream)


def use_a_password(red: Connection) -> str:
    become = sudo.BecomeModule()
    become._options = {"become_user": "daemon", "become_pass": "secret", "become_flags": "-H -S"}
    become._options.update(become_exe=None, sudo_chdir=None)
    known = yaml.safe_load(local.DOCUMENTATION)["options"]
    red._load_name = "netns_local"
    constants.config.initialize_plugin_configuration_definitions("connection", "netns_local", known)
    red._options.update(become_success_timeout=10, become_strip_preamble=True)
    red.set_become_plugin(become)
    red._shell.executable = "/bin/sh"
    code, out, err = red.exec_command(become.build_become_command(f"{WHERE}; id -un; exit 7", red._shell))
    assert (code, err) == (7, b"")
    return out.decode()


def test_an_ordinary_user_enters_by_sudo_and_is_that_user_inside(host: Host, tmp_path: Path) -> None:
    if shutil.which("sudo") is None:
        pytest.skip("needs sudo")
    allowed, source, put = Path("/etc/sudoers.d/nslab"), Path("/run/source"), Path("/run/nobody/put")
    allowed.write_text("nobody ALL=(ALL) NOPASSWD: ALL\n")
    allowed.chmod(0o440)
    put.parent.mkdir()
    os.chown(put.parent, NOBODY.pw_uid, NOBODY.pw_gid)
    source.write_text("put")

    def use(red: Connection) -> list[str]:
        red.put_file(str(source), str(put))
        _code, out, err = red.exec_command(
            f'{WHERE}; id -u; id -g; id -G; echo "$HOME $USER $LOGNAME $SHELL $PATH"; env'
        )
        _code, risen, _err = red.exec_command(f"sudo -n sh -c '{WHERE}; id -u'")
        return [out.decode(), risen.decode(), err.decode()]

    out, risen, err = as_nobody(use)

    uid, gid = str(NOBODY.pw_uid), str(NOBODY.pw_gid)
    plain = [namespace(), uid, gid, f"{gid} 20", f"/run/nobody nobody nobody /bin/sh {os.environ['PATH']}"]
    assert out.splitlines()[:5] == plain
    assert "SUDO_" not in out
    assert (risen.split(), err) == ([namespace(), "0"], "")
    assert (put.read_text(), put.stat().st_uid) == ("put", NOBODY.pw_uid)

    # become asks for a password, and ansible-core drops what was said before it.
    allowed.write_text("nobody ALL=(root) NOPASSWD: ALL, (daemon) PASSWD: ALL\n")
    subprocess.run(["chpasswd"], input="nobody:secret", text=True, check=True)
    assert as_nobody(use_a_password) == f"{namespace()}\ndaemon\n"

    allowed.unlink()
    assert as_nobody(use).startswith(
        "AnsibleConnectionFailure: namespace 'red' of this machine can't be entered as nobody: sudo: a password is "
        "required; what makes nobody root is 'sudo -n' (ansible_netns_sudo), allow it"
    )


def test_files_are_put_and_fetched_inside(host: Host, tmp_path: Path) -> None:
    red, hosts = connection(), Path("/etc/hosts").read_bytes()
    source, target = tmp_path / "it's here", tmp_path / "fetched"
    source.write_bytes(bytes(range(256)) * 5000)

    red.put_file(str(source), "/etc/hosts")
    red.fetch_file("/etc/hosts", str(target))

    assert Path("/etc/hosts").read_bytes() == hosts
    assert Path("/etc/netns/red/hosts").read_bytes() == source.read_bytes() == target.read_bytes()
    red.fetch_file("/sys/class/net/eth7/address", str(target))
    assert target.read_text().strip() == host.link("eth7", "red")["address"]
    with pytest.raises(AnsibleError, match=r"could not fetch /nowhere: .*No such file"):
        red.fetch_file("/nowhere", str(target))
    with pytest.raises(AnsibleError, match=r"could not put /nowhere/at/all: .*(nonexistent|No such)"):
        red.put_file(str(source), "/nowhere/at/all")
    with pytest.raises(AnsibleFileNotFound):
        red.put_file(str(tmp_path / "missing"), "/etc/hosts")


def test_nobody_gets_into_what_is_no_namespace_by_any_way(host: Host, tmp_path: Path, monkeypatch: Any) -> None:
    host.sh("touch /run/netns/stale /run/netns/mine; mount --bind /proc/self/ns/net /run/netns/mine")
    source, witness = tmp_path / "source", tmp_path / "ran"
    source.touch()
    for netns, why in (
        ("green", "namespace 'green' does not exist on this machine: there are blue, mine, red, stale"),
        ("mine", "namespace 'mine' of this machine is the one in which the login is"),
        ("stale", "/run/netns/stale of this machine is a file but no namespace: remove it"),
        ("host", "a namespace can't be named 'host'"),
        ("../../proc/self/ns/net", "is not allowed"),
        ("/proc/self/ns/net", "is not allowed"),
        ("", "is not allowed"),
    ):
        made = connection(netns)
        for action in (
            lambda made=made: made.exec_command(f"touch {witness}"),
            lambda made=made: made.put_file(str(source), str(witness)),
            lambda made=made: made.fetch_file(str(source), str(tmp_path / "fetched")),
        ):
            with pytest.raises(AnsibleConnectionFailure, match=re.escape(why)):
                action()
    assert not witness.exists()
    # By its path; and what the command says and returns is its own, even if it speaks as the way in does.
    code, out, err = connection("/run/netns/red").exec_command(f"{WHERE}; echo nslab: inside >&2; exit 255")
    assert (code, out.decode().strip(), err) == (255, namespace(), b"nslab: inside\n")
    monkeypatch.setattr("ansible_collections.nslab.linux.plugins.plugin_utils._entering._ENTER", 'exec /bin/sh -c "$2"')
    with pytest.raises(AnsibleConnectionFailure, match="can't be entered as root"):
        connection().exec_command("true")
