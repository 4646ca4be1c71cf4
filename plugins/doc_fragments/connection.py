# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of the connections into a namespace, and those of the connections of ansible-core that they extend."""

from __future__ import annotations

import json
import typing as t

import yaml
from ansible.plugins.connection import local, ssh


def _of_core(documentation: str, without_effect: tuple[str, ...] = ()) -> str:
    """The options as the ansible-core at hand has them: its code asks for each by name, and versions differ."""
    options = yaml.safe_load(documentation).get("options", {})
    for name, option in options.items():
        if name in without_effect:
            option["description"] = "Has no effect here, where files go through commands inside the namespace."
    return json.dumps({"options": _unversioned(options)})


def _unversioned(value: t.Any) -> t.Any:
    """Without the versions of ansible-core, which would be taken for versions of this collection."""
    if isinstance(value, dict):
        return {key: _unversioned(inner) for key, inner in value.items() if key != "version_added"}
    return [_unversioned(inner) for inner in value] if isinstance(value, list) else value


_OF_TRANSFERS = (
    "scp_executable", "scp_extra_args", "sftp_batch_mode", "sftp_executable", "sftp_extra_args", "ssh_transfer_method",
)  # fmt: skip


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  netns:
    description:
      - Name of the network namespace in which the tasks run, as C(ip netns list) shows it.
      - There is no default, and V(host) is refused, so that no task runs in the host's namespace instead.
    type: str
    required: true
    vars:
      - name: ansible_netns
  netns_sudo:
    description:
      - What a login user other than root puts before a command to be root, since only root may enter a namespace. The
        command itself runs as the login user again, so that C(become) works inside as it does outside.
      - It has to work without a password.
    type: str
    default: sudo -n
    vars:
      - name: ansible_netns_sudo
notes:
  - C(/etc/resolv.conf) and the other files of C(/etc/netns/NAME) are bound over those of C(/etc). They can be written to
    but not replaced, as M(ansible.builtin.copy) and M(ansible.builtin.template) do (C(EBUSY)). Write
    C(/etc/netns/NAME/resolv.conf) outside instead, or use M(nslab.linux.ns_resolv).
  - Each command has a mount namespace of its own, that of C(ip netns exec). What a task mounts is gone after it.
  - Through C(sudo) go C(HOME), C(USER), C(LOGNAME), C(SHELL), C(PATH), C(XDG_RUNTIME_DIR), C(SSH_AUTH_SOCK), C(SSH_CLIENT) and
    C(SSH_CONNECTION) of the login user, and what sudoers keeps. For other variables use the keyword C(environment).
  - C(sudo) looks up the name of the host. Where a namespace has a C(hosts) of its own without that name, and no name server
    that answers, C(become) inside waits for the resolver. Give the name in that C(hosts), too.
  - A delegated task runs in the namespace of the host that it was delegated to, also where O(netns) is made of
    C(inventory_hostname), which elsewhere goes on naming the host that delegates.
  - A task that starts a daemon leaves it in the namespace. It holds the namespace until it ends.
"""

    # With a type: what is plainly assigned here, ansible-test takes for text to be read as it stands.
    LOCAL: str = _of_core(local.DOCUMENTATION)
    SSH: str = _of_core(ssh.DOCUMENTATION, _OF_TRANSFERS)
