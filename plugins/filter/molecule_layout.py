# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: molecule_layout
short_description: Work out the tasks that make the network of a Molecule scenario
version_added: 0.1.0
description:
  - Turns the definition of a network, as the playbook C(nslab.linux.molecule_create) takes it in the variable
    C(nslab_lab), into the options of the playbook's tasks. There is no need to use it by hand, but it shows what becomes
    of a definition.
  - A definition that can't be is not an error of the filter but is returned as C(problem), in one line that names the
    path in the definition, so that the playbook can refuse it before anything is touched.
options:
  _input:
    description:
      - C(namespaces), a dict by name, each with C(loopback), C(sysctl), C(routes) (as M(nslab.linux.ns_route) takes
        them) and C(resolv) (as M(nslab.linux.ns_resolv)).
      - C(bridges), a dict by name, each with the options of M(nslab.linux.bridge) save C(ports), which follow from the
        links, C(purge_ports), C(mtu_from) and C(force); C(netns) is one of the namespaces, left out the host.
      - C(links), a list, each with two C(endpoints) and perhaps C(mtu). An endpoint is C(node:interface), or a dict with
        C(node), C(interface), C(addresses), C(mac), C(mtu) and C(up). A node is one of the namespaces or bridges, or
        C(host). At a bridge or the host the interface may be left out, and is named by a hash.
      - Left out altogether, the layout is that of a removal.
    type: dict
    required: true
  platforms:
    description:
      - Names of namespaces beside those in the definition, the platforms of C(molecule.yml).
    type: list
    elements: str
    default: []
  prefix:
    description:
      - What goes before the name of each namespace, to make its name on the host.
    type: str
    default: ""
  record:
    description:
      - The text of the record of what was made for the scenario before. None when nothing was.
    type: str
  record_path:
    description:
      - Where the record is, for messages.
    type: str
    default: ""
  there:
    description:
      - Paths below C(/run/netns) and C(/sys/class/net), of what the host has.
    type: list
    elements: str
    default: []
author:
  - nslab contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Show what becomes of a definition
  ansible.builtin.debug:
    msg: "{{ lab | nslab.linux.molecule_layout }}"
  vars:
    lab:
      namespaces:
        client: {routes: [{dst: default, via: 10.1.1.1}]}
        router: {sysctl: {net.ipv4.ip_forward: 1}}
      links:
        - endpoints:
            - {node: client, interface: eth0, addresses: [10.1.1.2/24]}
            - {node: router, interface: eth0, addresses: [10.1.1.1/24]}
"""

RETURN = r"""
_value:
  description: The options of each task of the playbook, or C(problem) with an empty rest.
  type: dict
  sample:
    problem: ""
    namespaces:
      - name: [client]
      - name: [router]
        sysctl:
          net.ipv4.ip_forward: "1"
    pairs:
      - name: eth0
        netns: client
        addresses: [10.1.1.2/24]
        peer:
          name: eth0
          netns: router
          addresses: [10.1.1.1/24]
    routes:
      - netns: client
        dst: default
        via: 10.1.1.1
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.nslab.linux.plugins.module_utils._errors import Problem
from ansible_collections.nslab.linux.plugins.plugin_utils import _molecule


def molecule_layout(
    definition: object,
    platforms: t.Sequence[str] = (),
    prefix: str = "",
    record: str | None = None,
    record_path: str = "",
    there: t.Sequence[str] = (),
) -> dict[str, t.Any]:
    if definition is not None and not isinstance(definition, t.Mapping):
        raise AnsibleFilterError(f"{_molecule.VARIABLE} is no dict: write namespaces: and links: in it")
    try:
        if definition is None:
            return {"problem": "", **_molecule.molecule_remains(record, record_path)}
        layout = _molecule.molecule_layout(definition, platforms, prefix, record, record_path, set(there))
        return {"problem": "", **layout}
    except Problem as problem:
        return {"problem": str(problem)}


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"molecule_layout": molecule_layout}
