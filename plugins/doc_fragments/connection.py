# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of the connections into a namespace, and those of the connections of ansible-core that they extend."""

from __future__ import annotations

import json

import yaml
from ansible.plugins.connection import local


def _of_core(documentation: str) -> str:
    """The options as the ansible-core at hand has them: its code asks for each by name, and versions differ."""
    options = yaml.safe_load(documentation).get("options", {})
    for option in options.values():
        # The version of ansible-core, which would be taken for one of this collection.
        option.pop("version_added", None)
    return json.dumps({"options": options})


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
