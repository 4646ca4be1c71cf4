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
"""

    # With a type: what is plainly assigned here, ansible-test takes for text to be read as it stands.
    LOCAL: str = _of_core(local.DOCUMENTATION)
    SSH: str = _of_core(ssh.DOCUMENTATION, _OF_TRANSFERS)
