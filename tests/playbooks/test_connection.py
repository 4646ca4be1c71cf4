# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection netns_local: what runs, runs inside, told by the inode of the namespace and never by success alone."""

from __future__ import annotations

import importlib
import json
import os
import pwd
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleConnectionFailure, AnsibleError, AnsibleFileNotFound
from ansible.playbook.play_context import PlayContext

from ansible_collections.nslab.linux.plugins.connection.netns_local import Connection

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.host import MODULE, Host, a_host
from support.sandbox import MARK, marked_processes, sandbox, why_impossible

COLLECTION = Path(next(iter(importlib.import_module("ansible_collections.nslab.linux").__path__)))
WHERE = "readlink /proc/self/ns/net"
NOBODY = pwd.getpwnam("nobody")
NAMESERVER = "nameserver 10.9.0.53\n"


@pytest.fixture
def host() -> Iterator[Host]:
    """A host with a namespace `red` that has an address, a gateway and resolver files, and one called `blue`."""
    if reason := why_impossible():
        pytest.skip(reason)
    with sandbox(), a_host(MODULE) as made:
        made.sh(
            "ip netns add red; ip netns add blue; ip link add r type veth peer name eth7 netns red; ip link set r up; "
            "ip -n red link set eth7 up; ip -n red address add 10.9.0.2/24 dev eth7; ip -n red link set lo up; "
            "ip -n red route add default via 10.9.0.1; mkdir -p /etc/netns/red; "
            "echo '10.9.0.9 only-inside' >/etc/netns/red/hosts"
        )
        Path("/etc/netns/red/resolv.conf").write_text(NAMESERVER)
        yield made


def namespace(netns: str = "red") -> str:
    return f"net:[{Path(f'/run/netns/{netns}').stat().st_ino}]"


class Plays:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "ansible.cfg").touch()
        variables = {
            "ansible_connection": "nslab.linux.netns_local",
            "ansible_netns": "{{ inventory_hostname }}",
            "ansible_python_interpreter": sys.executable,
        }
        hosts = {"red": {}, "blue": {}, "green": {}}
        (directory / "inventory.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts, "vars": variables}}))

    def run(self, tasks: list[dict[str, Any]], hosts: str = "red", **environment: str) -> tuple[dict[str, Any], str]:
        """The results of the tasks by their names, and what was printed. The tasks run until one host is lost."""
        found = self.directory / "results.json"
        found.unlink(missing_ok=True)
        named = [{**task, "register": f"task{number}"} for number, task in enumerate(tasks)]
        results = ", ".join(
            f"'{task['name']}': task{number}" for number, task in enumerate(tasks) if "ansible.builtin.meta" not in task
        )
        keep = {
            "ansible.builtin.raw": f"cat >{found} <<'END_OF_RESULTS'\n{{{{ {{{results}}} | to_json }}}}\nEND_OF_RESULTS\n"
        }
        play = {"hosts": hosts, "gather_facts": False, "tasks": [*named, keep]}
        (self.directory / "playbook.yml").write_text(yaml.safe_dump([play], sort_keys=False))
        done = subprocess.run(
            [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "inventory.yml", "playbook.yml"],
            check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd=self.directory,
            env={
                **os.environ,
                "HOME": str(self.directory),
                "ANSIBLE_COLLECTIONS_PATH": str(COLLECTION.parents[2]),
                "ANSIBLE_CONFIG": str(self.directory / "ansible.cfg"),
                "ANSIBLE_HOME": str(self.directory / "home"),
                "ANSIBLE_REMOTE_TMP": str(self.directory / "remote"),
                "ANSIBLE_ASYNC_DIR": str(self.directory / "jobs"),
                "ANSIBLE_NOCOLOR": "true",
                **environment,
            },
        )  # fmt: skip
        output = done.stdout + done.stderr
        assert "Traceback" not in output, output
        assert found.exists() != ("red: UNREACHABLE" in output), output
        return json.loads(found.read_text()) if found.exists() else {}, output


@pytest.fixture
def plays(tmp_path: Path) -> Plays:
    return Plays(tmp_path)


def test_every_kind_of_task_runs_inside_and_the_host_of_a_missing_namespace_is_unreachable(
    host: Host, plays: Plays
) -> None:
    here, room = os.readlink("/proc/self/ns/net"), plays.directory
    (room / "where.sh").write_text(f"#!/bin/sh\n{WHERE}\necho $1\necho said >&2\nexit 4\n")
    (room / "where.j2").write_text("{{ inventory_hostname }} has {{ ansible_facts.default_ipv4.interface }}\n")
    tasks: list[dict[str, Any]] = [
        {"name": "command", "ansible.builtin.command": WHERE},
        {"name": "shell", "ansible.builtin.shell": f"{WHERE}; cat; ls /sys/class/net", "args": {"stdin": "öffentlich"}},
        {"name": "raw", "ansible.builtin.raw": f"{WHERE}; echo said >&2; exit 3", "failed_when": False},
        {"name": "script", "ansible.builtin.script": "where.sh word", "failed_when": False},
        {"name": "setup", "ansible.builtin.setup": {"gather_subset": ["!all", "!min", "network"]}},
        {"name": "template", "ansible.builtin.template": {"src": "where.j2", "dest": f"{room}/made"}},
        {"name": "copy", "ansible.builtin.copy": {"content": "copied\n", "dest": f"{room}/copied", "mode": "0600"}},
        {"name": "slurp", "ansible.builtin.slurp": {"src": "/etc/resolv.conf"}},
        {"name": "fetch", "ansible.builtin.fetch": {"src": "/etc/hosts", "dest": f"{room}/fetched", "flat": True}},
        {"name": "polled", "ansible.builtin.command": WHERE, "async": 30, "poll": 1},
        {"name": "started", "ansible.builtin.shell": f"sleep 0.2; {WHERE}", "async": 30, "poll": 0},
        {
            "name": "async_status", "ansible.builtin.async_status": {"jid": "{{ task10.ansible_job_id }}"},
            "until": "task11.finished", "retries": 100, "delay": 0.1,
        },
        {
            "name": "become", "ansible.builtin.raw": f"{WHERE}; id -un; id -G", "become": True, "become_user": "nobody",
            "become_method": "ansible.builtin.su", "become_flags": "-s /bin/sh",
        },
        {"name": "resolver", "ansible.builtin.command": "getent hosts only-inside"},
    ]  # fmt: skip

    results, output = plays.run(tasks, "red,green", ANSIBLE_PIPELINING="true")

    # What watches over a task in the background outlives it by some seconds.
    host.wait_for(lambda: not marked_processes(os.environ[MARK]))
    assert namespace() != here
    for name in ("command", "shell", "raw", "script", "polled", "async_status", "become"):
        assert results[name]["stdout"].splitlines()[0] == namespace(), f"{name}: {results[name]}"
    assert results["shell"]["stdout"].splitlines()[1:] == ["öffentlich", "eth7", "lo"]
    assert (results["raw"]["rc"], results["raw"]["stderr"]) == (3, "said\n")
    assert (results["script"]["rc"], results["script"]["stdout_lines"][1:]) == (4, ["word"])
    assert results["script"]["stderr"] == "said\n"
    facts = results["setup"]["ansible_facts"]
    assert (facts["ansible_default_ipv4"]["address"], facts["ansible_default_ipv4"]["gateway"]) == (
        "10.9.0.2",
        "10.9.0.1",
    )
    assert sorted(facts["ansible_interfaces"]) == ["eth7", "lo"]
    assert (room / "made").read_text() == "red has eth7\n"
    assert ((room / "copied").read_text(), (room / "copied").stat().st_mode & 0o777) == ("copied\n", 0o600)
    assert results["slurp"]["content"] == "bmFtZXNlcnZlciAxMC45LjAuNTMK"  # of NAMESERVER
    assert (room / "fetched").read_text() == "10.9.0.9 only-inside\n"
    assert results["become"]["stdout_lines"][1] == "nobody"
    assert results["resolver"]["stdout"].split() == ["10.9.0.9", "only-inside"]
    assert re.search(
        r"green.*UNREACHABLE.*namespace 'green' does not exist on this machine: there are blue, red", output
    )
    assert re.search(r"^red .*unreachable=0 +failed=0 ", output, re.MULTILINE), output
    assert re.search(r"^green .*ok=0 .*unreachable=1 +failed=0 ", output, re.MULTILINE), output


def test_without_pipelining_the_modules_lie_in_files_and_run_inside_too(host: Host, plays: Plays) -> None:
    room = plays.directory
    tasks: list[dict[str, Any]] = [
        {"name": "command", "ansible.builtin.command": f"sh -c '{WHERE}; cat /etc/resolv.conf'"},
        {"name": "copy", "ansible.builtin.copy": {"content": "copied\n", "dest": f"{room}/copied"}},
        {"name": "delegated", "ansible.builtin.command": WHERE, "delegate_to": "blue"},
        {"name": "reset", "ansible.builtin.meta": "reset_connection"},
        {"name": "reboot", "ansible.builtin.reboot": {}, "ignore_errors": True},
    ]

    results, _output = plays.run(tasks, ANSIBLE_PIPELINING="false")

    assert results["command"]["stdout"] == f"{namespace()}\n{NAMESERVER}".strip()
    assert (room / "copied").read_text() == "copied\n"
    assert results["delegated"]["stdout"] == namespace("blue") != namespace("red")
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
    Path("/run/netns/stale").touch()
    source, witness = tmp_path / "source", tmp_path / "ran"
    source.touch()
    for netns, why in (
        ("green", "namespace 'green' does not exist on this machine: there are blue, red, stale"),
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
    code, out, err = connection("/run/netns/red").exec_command(f"{WHERE}; echo nslab: inside >&2; exit 213")
    assert (code, out.decode().strip(), err) == (213, namespace(), b"nslab: inside\n")
    monkeypatch.setattr("ansible_collections.nslab.linux.plugins.plugin_utils._entering._ENTER", 'exec /bin/sh -c "$2"')
    with pytest.raises(AnsibleConnectionFailure, match="can't be entered as root"):
        connection().exec_command("true")
