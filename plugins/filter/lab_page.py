# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: lab_page
short_description: Draw the labs of many hosts as one HTML page
version_added: 0.1.0
description:
  - Makes one HTML page of what there is on many hosts, with a table that says of each host what stands out, and the
    pictures below. The playbook C(nslab.linux.picture) writes it; this is what it does with what it has gathered.
  - The page is one file. It loads nothing, runs no script, says so in a content security policy of its own, and is read in
    the browser from the disk. It is light or dark as the reader's system is.
options:
  _input:
    description:
      - By the name of each host a dict.
      - C(seen) - what M(nslab.linux.lab_info) returned there. A result that failed, or of a host that was unreachable, is
        told as such.
      - C(definitions) - a list of definitions of labs on that host, each of which is drawn and compared as
        P(nslab.linux.lab_svg#filter) does with its O(nslab.linux.lab_svg#filter:definition). Left out or empty, what there
        is is drawn as it is. One that is wrong is told in the page.
    type: dict
    required: true
  title:
    description: Heading of the page.
    type: str
    default: Network namespaces
notes:
  - The same input gives the same page; there is no time in it.
  - All that comes from hosts, such as names of links, is escaped.
seealso:
  - module: nslab.linux.lab_info
  - plugin: nslab.linux.lab_svg
    plugin_type: filter
author:
  - nslab contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: See what there is
  nslab.linux.lab_info:
  register: seen

- name: Draw two hosts on one page, the first of which should be as declared
  ansible.builtin.copy:
    content: "{{ pictures | nslab.linux.lab_page(title='Office') }}"
    dest: ./office.html
    mode: "0644"
  vars:
    pictures:
      web1: {seen: "{{ hostvars.web1.seen }}", definitions: ["{{ office }}"]}
      web2: {seen: "{{ hostvars.web2.seen }}"}
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
_value:
  description: The page.
  type: str
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.nslab.linux.plugins.module_utils._errors import Problem
from ansible_collections.nslab.linux.plugins.plugin_utils._page import draw_page


def lab_page(value: object, title: str = "Network namespaces") -> str:
    if not isinstance(value, t.Mapping):
        raise AnsibleFilterError("lab_page takes a dict with a dict for each host")
    try:
        return draw_page(value, title)
    except Problem as problem:
        raise AnsibleFilterError(f"lab_page: {problem}") from None


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"lab_page": lab_page}
