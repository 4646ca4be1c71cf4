# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: netns
short_description: Run tasks inside a network namespace of a host that is reached by ssh
version_added: 0.1.0
author:
  - nslab contributors (!UNKNOWN)
description:
  - Runs any task, by any module, inside a named network namespace of a host, as C(ip netns exec NAME) on that host
    would. The host is reached as over P(ansible.builtin.ssh#connection), with all of its options. Links, addresses,
    routes, sysctls of C(net.*), nftables, sockets and C(/sys/class/net) are the namespace's; where C(/etc/netns/NAME)
    has files such as C(resolv.conf) and C(hosts), they are those of C(/etc).
  - A namespace that does not exist makes the host unreachable, with a message that names it and those that do. Every
    command has to prove that it came from inside, so that none runs in the host's namespace unseen. Also refused is a
    name that leads to the namespace in which the login itself is.
  - All else is the host's own and is shared by all of its namespaces. Files, processes, users, packages, services
    (C(systemctl) asks the host's systemd), the host name and the clock. A task that changes them changes the host.
  - Root enters by itself, any other login user by O(netns_sudo). The command then runs as the login user again.
extends_documentation_fragment:
  - nslab.linux.connection
  - nslab.linux.connection.ssh
  - connection_pipelining
requirements:
  - The command C(ip), of iproute2, on the host.
  - For a user other than root, on the host, C(setpriv), of util-linux, and a C(sudo) that lets the user run C(/bin/sh) as
    root and asks for no password.
notes:
  - Set C(ansible_host) for each host of the inventory, to the address of the one on which the namespace is. Where it is
    missing, ssh looks for a host of the inventory's name.
  - Hosts of the inventory that are namespaces of one host share one ssh connection to it (C(ControlPersist)), with each
    other and with P(ansible.builtin.ssh#connection). To reset the connection of one (C(meta) reset_connection) closes
    that of all, which the next task opens again.
  - Files are read and written inside, too, as the login user. To fetch C(/etc/resolv.conf) fetches the namespace's. They
    go through commands, as with the transfer method V(piped), and neither sftp nor scp is run. A file that is put
    passes as a whole through the memory of the machine that runs Ansible.
  - The action M(ansible.builtin.reboot) reboots the host, and with it go all of its namespaces.
  - What opens an ssh connection of its own does not pass by this one. M(ansible.posix.synchronize) therefore refuses.
  - As over ssh, a command that exits with 255 looks like a lost connection.
seealso:
  - plugin: ansible.builtin.ssh
    plugin_type: connection
  - plugin: nslab.linux.netns_local
    plugin_type: connection
  - module: nslab.linux.netns
"""

EXAMPLES = r"""
---
# An inventory in which each host is a namespace of its own name, two of them on web1 and one on web2.
namespaces:
  children:
    on_web1:
      hosts:
        client:
        router:
      vars:
        ansible_host: web1.example.com
    on_web2:
      hosts:
        server:
      vars:
        ansible_host: web2.example.com
  vars:
    ansible_connection: nslab.linux.netns
    ansible_netns: "{{ inventory_hostname }}"
    ansible_user: ops

---
# A play in it. The facts are those of the namespace, and become works as it does outside.
- hosts: namespaces
  tasks:
    - name: Show the address and the gateway of each
      ansible.builtin.debug:
        msg: "{{ ansible_facts.default_ipv4.address }} by {{ ansible_facts.default_ipv4.gateway }}"

    - name: Listen on a port that only root may take
      ansible.builtin.command: nc -lk -p 80
      become: true
      async: 600
      poll: 0

# One task of a play that runs on the host itself.
- hosts: web1.example.com
  tasks:
    - name: Ask the server from the client
      ansible.builtin.uri:
        url: http://10.1.2.2/
      vars:
        ansible_connection: nslab.linux.netns
        ansible_netns: client
"""

import typing as t

from ansible.plugins.connection.ssh import Connection as Ssh

from ansible_collections.nslab.linux.plugins.plugin_utils._inside import Inside


class Connection(Inside, Ssh):
    """The ssh connection, with each command carried into the namespace.

    The ssh connection that is kept open is that to the host: its path is made of host, port and user, as for Ssh.
    """

    # Its own, since by the name of Ssh others know that they may open one themselves, which would lead to the host.
    transport = "nslab.linux.netns"
    # In bytes. Of what a command says ansible-core copies all that it has with each read: of a large file for minutes.
    _piece = 2 << 20

    def _host_name(self) -> str:
        return str(self.host)

    def _login_user(self) -> str:
        return self.get_option("remote_user") or "the login user"

    def _exec_plainly(
        self, command: str, stdin: t.IO[bytes] | None = None, stdout: t.IO[bytes] | None = None
    ) -> tuple[int, bytes, bytes]:
        data = stdin.read() if stdin else b""
        if not data:
            # Without data ssh gets a terminal that never ends.
            command = f"{command} </dev/null"
        self.host = self.get_option("host") or self._play_context.remote_addr
        # -T over any -t among the arguments of ssh: a terminal changes the ends of lines.
        words = self._build_command(self.get_option("ssh_executable"), "ssh", "-T", self.host, command)
        code, out, err = self._run(words, data, sudoable=False)
        if stdout:
            stdout.write(out)
            out = b""
        return code, out, err

    def _fetch(self, name: str, what: str, file: t.IO[bytes]) -> None:
        end = self._piece
        self._transfer(f"exec head -c {self._piece} <{name}", what, stdout=file)
        while file.tell() == end:
            # Of the pipe alone nobody would hear that the file has gone meanwhile.
            self._transfer(f"{{ tail -c +{end + 1} | head -c {self._piece}; }} <{name}", what, stdout=file)
            end += self._piece
