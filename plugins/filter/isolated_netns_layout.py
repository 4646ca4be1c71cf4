# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: isolated_netns_layout
short_description: Work out the addresses, names and routes of an isolated namespace
version_added: 0.1.0
description:
  - Turns the variables of the role P(nslab.linux.isolated_netns#role) into the options of its tasks.
extends_documentation_fragment:
  - nslab.linux.layout
options:
  _input:
    description:
      - The variables of the role, by the part of the name after C(isolated_netns_).
        C(name), and those in the notes.
    type: dict
    required: true
seealso:
  - plugin: nslab.linux.bridge_lab_layout
    plugin_type: filter
author:
  - nslab contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Show which addresses an isolated namespace would have
  ansible.builtin.debug:
    msg: "{{ (values | nslab.linux.isolated_netns_layout).namespaces }}"
  vars:
    values:
      name: red
      subnet: 192.168.50.0/24
      uplink: [any]
      inbound: established
      ip_forward: interface
      nameservers: [host]
      processes: fail
      state: present
      check_mode: false
"""

RETURN = r"""
_value:
  description: The options of each task of the role, or C(problem) with an empty rest.
  type: dict
  sample:
    problem: ""
    state: present
    names: [red]
    rule_set: ns_red
    namespaces:
      red:
        addresses: [192.168.50.2/24]
        interface: eth0
        gateway: 192.168.50.1
        gateways: [192.168.50.1]
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.nslab.linux.plugins.module_utils._errors import Problem
from ansible_collections.nslab.linux.plugins.plugin_utils._host_view import read_host
from ansible_collections.nslab.linux.plugins.plugin_utils._layouts import isolated_netns


def isolated_netns_layout(values: object, seen: t.Sequence[t.Mapping[str, t.Any]] = ()) -> dict[str, t.Any]:
    if not isinstance(values, t.Mapping):
        raise AnsibleFilterError("isolated_netns_layout takes a dict of the role's variables")
    try:
        return {"problem": "", **isolated_netns(values, read_host(seen))}
    except Problem as problem:
        return {"problem": str(problem)}


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"isolated_netns_layout": isolated_netns_layout}
