# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: lab_mermaid
short_description: Draw a lab as a Mermaid diagram
version_added: 0.1.0
description:
  - Draws the namespaces, bridges and links of a lab with their addresses, from its definition or from what there is on a
    host, as the text of a Mermaid flowchart. Code forges and wikis show it as a picture where it stands in Markdown.
  - P(nslab.linux.lab_svg#filter) draws the same with more in it, and needs nobody to render it.
extends_documentation_fragment:
  - nslab.linux.picture
author:
  - nslab contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Put the picture of a lab into a page of documentation
  ansible.builtin.copy:
    content: |
      # The office

      ```mermaid
      {{ office | nslab.linux.lab_mermaid }}
      ```
    dest: ./office.md
    mode: "0644"
  delegate_to: localhost
"""

RETURN = r"""
_value:
  description: The diagram.
  type: str
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.nslab.linux.plugins.module_utils._errors import Problem
from ansible_collections.nslab.linux.plugins.plugin_utils._mermaid import draw_mermaid
from ansible_collections.nslab.linux.plugins.plugin_utils._scene import picture_of


def lab_mermaid(value: object, definition: object = None, title: str | None = None) -> str:
    try:
        return draw_mermaid(picture_of(value, definition, title))
    except Problem as problem:
        raise AnsibleFilterError(f"lab_mermaid: {problem}") from None


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"lab_mermaid": lab_mermaid}
