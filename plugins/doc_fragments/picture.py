# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the filters have in common that draw a lab."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  _input:
    description:
      - What is drawn. The definition of a lab, as O(nslab.linux.lab#module:definition) takes it with its C(name) in it, or a
        whole lab file of the inventory P(nslab.linux.lab#inventory). Or what M(nslab.linux.lab_info) returned, the whole
        result or its RV(nslab.linux.lab_info#module:namespaces).
      - Of a definition is drawn what the module would make of it on a host that does not know the lab yet, with the
        addresses that its subnets give.
      - Of what was seen is drawn all of it, or with O(definition) that lab alone, with what it is plugged to.
    type: dict
    required: true
  definition:
    description:
      - The definition with which what was seen is compared. What is declared and missing, what is there and not declared,
        and what is otherwise than declared stands out.
      - Compared are namespaces, bridges with their options, links with their ends, addresses, MTU and MAC, routes, the
        switches of forwarding, resolver files and NAT rule sets, as far as M(nslab.linux.lab_info) tells of them. As
        everywhere, an option that is left out is not compared.
      - What is there besides counts inside the namespaces of the lab and at its bridges, adopted ones too, and nowhere else.
        Addresses that came by router advertisements or DHCP do not, nor do routes of routing daemons.
      - Not allowed where a definition is drawn.
    type: dict
  title:
    description: What stands above the picture. Left out, it is the name of the lab, and nothing where there is none.
    type: str
notes:
  - A link that is down stands out, and so do ends of a link, or ports of a bridge, that do not have the same MTU, and a namespace
    that could not be read, with a definition or without.
  - The same input gives the same text. Processes, neighbours and inodes are not drawn, as they change by themselves.
  - Something wrong with the definition is an error that tells every fault with its place, as the module does.
  - Nothing is looked at on any host.
seealso:
  - module: nslab.linux.lab
  - module: nslab.linux.lab_info
  - plugin: nslab.linux.lab_svg
    plugin_type: filter
  - plugin: nslab.linux.lab_mermaid
    plugin_type: filter
  - plugin: nslab.linux.lab_page
    plugin_type: filter
"""
