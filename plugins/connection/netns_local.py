# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: netns_local
short_description: Run tasks inside a network namespace of this machine
version_added: 0.1.0
author:
  - nslab contributors (!UNKNOWN)
description:
  - Runs any task, by any module, inside a named network namespace of the machine that runs Ansible, as C(ip netns exec
    NAME) would. Links, addresses, routes, sysctls of C(net.*), nftables, sockets and C(/sys/class/net) are the
    namespace's; where C(/etc/netns/NAME) has files such as C(resolv.conf) and C(hosts), they are those of C(/etc).
  - A namespace that does not exist makes the host unreachable, with a message that names it and those that do. Every
    command has to prove that it came from inside, so that none runs in the host's namespace unseen.
  - All else is the machine's own and is shared by all of its namespaces. Files, processes, users, packages, services
    (C(systemctl) asks the machine's systemd), the host name and the clock. A task that changes them changes the machine.
  - The login user is the one who runs Ansible; C(remote_user) is ignored.
extends_documentation_fragment:
  - nslab.linux.connection
  - nslab.linux.connection.local
  - connection_pipelining
requirements:
  - The command C(ip), of iproute2, on the machine.
  - For a user other than root, C(setpriv), of util-linux, and a C(sudo) that asks for no password.
notes:
  - Files are read and written inside, too. To fetch C(/etc/resolv.conf) fetches the namespace's.
  - C(/etc/resolv.conf) and the other files of C(/etc/netns/NAME) are bound over those of C(/etc). They can be written to
    but not replaced, as M(ansible.builtin.copy) and M(ansible.builtin.template) do (C(EBUSY)). Write
    C(/etc/netns/NAME/resolv.conf) outside instead, or use M(nslab.linux.ns_resolv).
  - Each command has a mount namespace of its own, that of C(ip netns exec). What a task mounts is gone after it.
  - Through C(sudo) go C(HOME), C(USER), C(LOGNAME), C(SHELL) and C(PATH) of the login user, and what sudoers keeps. For
    other variables use the keyword C(environment).
  - A delegated task runs in the namespace of the host that it was delegated to, also where O(netns) is made of
    C(inventory_hostname), which elsewhere goes on naming the host that delegates.
  - A task that starts a daemon leaves it in the namespace. It holds the namespace until it ends.
  - The action M(ansible.builtin.reboot) is refused, as over P(ansible.builtin.local#connection). It would be the machine.
seealso:
  - plugin: ansible.builtin.local
    plugin_type: connection
  - module: nslab.linux.netns
"""

EXAMPLES = r"""
---
# An inventory in which each host is a namespace of its own name, all of them of this machine.
namespaces:
  hosts:
    client:
    router:
    server:
  vars:
    ansible_connection: nslab.linux.netns_local
    ansible_netns: "{{ inventory_hostname }}"

---
# A play in it. The facts are those of the namespace.
- hosts: namespaces
  tasks:
    - name: Show the address and the gateway of each
      ansible.builtin.debug:
        msg: "{{ ansible_facts.default_ipv4.address }} by {{ ansible_facts.default_ipv4.gateway }}"

# One task of a play that runs elsewhere.
- hosts: localhost
  tasks:
    - name: Ask the server from the client
      ansible.builtin.uri:
        url: http://10.1.2.2/
      vars:
        ansible_connection: nslab.linux.netns_local
        ansible_netns: client
"""

import os
import shlex
import subprocess
import typing as t

from ansible.errors import AnsibleConnectionFailure, AnsibleError, AnsibleFileNotFound
from ansible.plugins.connection.local import Connection as Local
from ansible.utils.display import Display
from ansible.utils.path import unfrackpath

from ansible_collections.nslab.linux.plugins.module_utils._errors import Problem
from ansible_collections.nslab.linux.plugins.plugin_utils import _entering

display = Display()

HERE = "this machine"


class Connection(Local):
    """The local connection, with each command carried into the namespace.

    The name of the transport stays that of the local one: by it ansible-core knows that a reboot would be the machine's.
    """

    def _resolve_option_variables(self, variables: dict[str, t.Any], templar: t.Any) -> dict[str, t.Any]:
        """In a delegated task, too, inventory_hostname is the host that the options are of."""
        mended = {**variables, "inventory_hostname": _entering.asked_host(variables, self._play_context.remote_addr)}
        before, templar.available_variables = templar.available_variables, mended
        try:
            return super()._resolve_option_variables(mended, templar)
        finally:
            templar.available_variables = before

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        line = self._wrap(cmd)
        try:
            code, stdout, stderr = super().exec_command(line, in_data=in_data, sudoable=sudoable)
        except AnsibleConnectionFailure:
            raise
        except AnsibleError:
            # become waited in vain for its word of success. Either it was refused inside, or nobody got there.
            self._check()
            raise
        answer = self._from_inside(code, stdout, stderr)
        return code, answer.stdout, answer.stderr

    def put_file(self, in_path: str, out_path: str) -> None:
        source = unfrackpath(in_path, basedir=self.cwd)
        if not os.path.exists(source):
            raise AnsibleFileNotFound(f"file or module does not exist: {source}")
        with open(source, "rb") as file:
            self._transfer(f"exec cat >{shlex.quote(out_path)}", f"put {out_path}", stdin=file)

    def fetch_file(self, in_path: str, out_path: str) -> None:
        target = unfrackpath(out_path, basedir=self.cwd)
        try:
            with open(target, "wb") as file:
                self._transfer(f"exec cat {shlex.quote(in_path)}", f"fetch {in_path}", stdout=file)
        except AnsibleError:
            os.unlink(target)
            raise

    def _transfer(self, command: str, what: str, **streams: t.IO[bytes]) -> None:
        display.vvv(f"{what} in namespace {self.get_option('netns')}", host=self._play_context.remote_addr)
        code, _stdout, stderr = self._run(command, **streams)
        if code:
            raise AnsibleError(f"could not {what}: {stderr.decode('utf-8', 'replace').strip()}")

    def _check(self) -> None:
        """:raises AnsibleConnectionFailure: nobody can get in."""
        self._run("exit 0")

    def _run(self, command: str, **streams: t.IO[bytes]) -> tuple[int, bytes, bytes]:
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, **streams}
        done = subprocess.run(["/bin/sh", "-c", self._wrap(command)], check=False, stderr=subprocess.PIPE, **pipes)
        answer = self._from_inside(done.returncode, done.stdout or b"", done.stderr)
        return done.returncode, answer.stdout, answer.stderr

    def _wrap(self, command: str) -> str:
        try:
            return _entering.wrap(self.get_option("netns"), command, self.get_option("netns_sudo"))
        except Problem as problem:
            raise AnsibleConnectionFailure(str(problem)) from None

    def _from_inside(self, code: int, stdout: bytes, stderr: bytes) -> _entering.Answer:
        answer = _entering.read(stdout, stderr)
        if not answer.inside:
            netns, sudo = self.get_option("netns"), self.get_option("netns_sudo")
            user = "root" if os.geteuid() == 0 else self.default_user or str(os.geteuid())
            raise AnsibleConnectionFailure(_entering.why_outside(netns, HERE, user, sudo, code, answer))
        return answer
