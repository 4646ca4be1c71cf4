# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: bridge_lab_layout
short_description: Work out the addresses, names and routes of a bridge lab
version_added: 0.1.0
description:
  - Turns the variables of the role P(nslab.linux.bridge_lab#role) into the options of its tasks.
extends_documentation_fragment:
  - nslab.linux.layout
options:
  _input:
    description:
      - The variables of the role, by the part of the name after C(bridge_lab_).
        C(bridge), C(count) or C(names), C(prefix), C(nat), and those in the notes.
    type: dict
    required: true
seealso:
  - plugin: nslab.linux.isolated_netns_layout
    plugin_type: filter
author:
  - nslab contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Show which address falls to which namespace of a lab
  ansible.builtin.debug:
    msg: "{{ (lab | nslab.linux.bridge_lab_layout).namespaces }}"
  vars:
    lab:
      bridge: nslab0
      subnet: 10.213.0.0/16
      count: 3
      prefix: ns
      nat: true
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
    bridge: nslab0
    names: [ns1]
    rule_set: lab_nslab0
    bridge_addresses: [10.213.0.1/16]
    namespaces:
      ns1:
        addresses: [10.213.0.2/16]
        interface: eth0
        gateway: 10.213.0.1
        gateways: [10.213.0.1]
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.nslab.linux.plugins.module_utils._errors import Problem
from ansible_collections.nslab.linux.plugins.plugin_utils._host_view import read_host
from ansible_collections.nslab.linux.plugins.plugin_utils._layouts import bridge_lab


def bridge_lab_layout(values: object, seen: t.Sequence[t.Mapping[str, t.Any]] = ()) -> dict[str, t.Any]:
    if not isinstance(values, t.Mapping):
        raise AnsibleFilterError("bridge_lab_layout takes a dict of the role's variables")
    try:
        return {"problem": "", **bridge_lab(values, read_host(seen))}
    except Problem as problem:
        return {"problem": str(problem)}


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"bridge_lab_layout": bridge_lab_layout}
