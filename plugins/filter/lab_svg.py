# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: lab_svg
short_description: Draw a lab as SVG
version_added: 0.1.0
description:
  - Draws the namespaces, bridges and links of a lab with their addresses, from its definition or from what there is on a
    host, as one SVG element that needs no other file.
  - It is drawn light or dark, as the reader's system is. What stands out has a sign and a text, not a colour alone.
extends_documentation_fragment:
  - nslab.linux.picture
options:
  prefix:
    description:
      - What goes before every C(id) in the picture, so that several stand in one page. Behind it nodes are called
        C(node-0), C(node-1) and so on, links C(wire-0), C(wire-1) and so on.
    type: str
    default: ""
author:
  - nslab contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Draw a lab before it is made
  ansible.builtin.copy:
    content: "{{ office | nslab.linux.lab_svg }}"
    dest: ./office.svg
    mode: "0644"
  delegate_to: localhost

- name: See what there is
  nslab.linux.lab_info:
  register: seen

- name: Draw it, and what is otherwise than declared
  ansible.builtin.copy:
    content: "{{ seen | nslab.linux.lab_svg(definition=office, title=inventory_hostname) }}"
    dest: ./office_on_{{ inventory_hostname }}.svg
    mode: "0644"
  delegate_to: localhost
"""

RETURN = r"""
_value:
  description: The picture, an C(<svg>) element without an XML declaration.
  type: str
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.nslab.linux.plugins.module_utils._errors import Problem
from ansible_collections.nslab.linux.plugins.plugin_utils._scene import picture_of
from ansible_collections.nslab.linux.plugins.plugin_utils._svg import draw_svg


def lab_svg(value: object, definition: object = None, title: str | None = None, prefix: str = "") -> str:
    try:
        return draw_svg(picture_of(value, definition, title), prefix=prefix)
    except Problem as problem:
        raise AnsibleFilterError(f"lab_svg: {problem}") from None


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"lab_svg": lab_svg}
