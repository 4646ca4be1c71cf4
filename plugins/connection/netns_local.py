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
    command has to prove that it came from inside, so that none runs in the host's namespace unseen. Also refused is a
    name that leads to the namespace in which Ansible itself runs.
  - All else is the machine's own and is shared by all of its namespaces. Files, processes, users, packages, services
    (C(systemctl) asks the machine's systemd), the host name and the clock. A task that changes them changes the machine.
  - The login user is the one who runs Ansible; C(remote_user) is ignored.
extends_documentation_fragment:
  - nslab.linux.connection
  - nslab.linux.connection.local
  - connection_pipelining
requirements:
  - The command C(ip), of iproute2, on the machine.
  - For a user other than root, C(setpriv), of util-linux, and a C(sudo) that lets the user run C(/bin/sh) as root and asks
    for no password.
notes:
  - Files are read and written inside, too. To fetch C(/etc/resolv.conf) fetches the namespace's.
  - The action M(ansible.builtin.reboot) is refused, as over P(ansible.builtin.local#connection). It would be the machine.
seealso:
  - plugin: ansible.builtin.local
    plugin_type: connection
  - plugin: nslab.linux.netns
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
import subprocess
import typing as t

from ansible.plugins.connection.local import Connection as Local
from ansible.utils.path import unfrackpath

from ansible_collections.nslab.linux.plugins.plugin_utils import _entering
from ansible_collections.nslab.linux.plugins.plugin_utils._inside import Inside


class Connection(Inside, Local):
    """The local connection, with each command carried into the namespace.

    The name of the transport stays that of the local one: by it ansible-core knows that a reboot would be the machine's.
    """

    _arrived = False

    def _host_name(self) -> str:
        return "this machine"

    def _login_user(self) -> str:
        return "root" if os.geteuid() == 0 else self.default_user or str(os.geteuid())

    def put_file(self, in_path: str, out_path: str) -> None:
        super().put_file(unfrackpath(in_path, basedir=self.cwd), out_path)

    def fetch_file(self, in_path: str, out_path: str) -> None:
        super().fetch_file(in_path, unfrackpath(out_path, basedir=self.cwd))

    def _exec_plainly(
        self, command: str, stdin: t.IO[bytes] | None = None, stdout: t.IO[bytes] | None = None
    ) -> tuple[int, bytes, bytes]:
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            check=False,
            stdin=stdin or subprocess.DEVNULL,
            stdout=stdout or subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        return done.returncode, done.stdout or b"", done.stderr

    def _ensure_become_success(self, *args: t.Any) -> tuple[bytes, bytes]:
        """Of what is said before a password is asked for ansible-core drops all, and our line with it: it is read first."""
        strip = self.become and self.get_option("become_strip_preamble")
        if not strip:
            return super()._ensure_become_success(*args)
        self.set_option("become_strip_preamble", False)
        try:
            answer = _entering.read(*super()._ensure_become_success(*args))
        finally:
            self.set_option("become_strip_preamble", strip)
        self._arrived = answer.inside
        if not self.become.success:
            return answer.stdout, answer.stderr
        stdout = self.become.strip_become_success(self.become.strip_become_prompt(answer.stdout))
        return stdout, self.become.strip_become_prompt(answer.stderr)

    def _read(self, stdout: bytes, stderr: bytes) -> _entering.Answer:
        arrived, self._arrived = self._arrived, False
        return _entering.Answer(True, stdout, stderr) if arrived else super()._read(stdout, stderr)
