# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the filters have in common that work out the layout of a role."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  seen:
    description:
      - What the role has read of the host, the results of a loop of M(ansible.builtin.slurp) over C(/proc/net/route),
        C(/proc/net/ipv6_route), C(/proc/net/dev), and over the record of the lab where the role keeps one. Files that
        are left out are not looked at.
    type: list
    elements: dict
    default: []
notes:
  - The filter does the role's arithmetic. There is no need to use it by hand, but it shows which addresses there would
    be.
  - A value that can't be is not an error of the filter but is returned as C(problem), in one line, so that the role can
    refuse it before anything is touched.
  - Besides those that are the role's own, the input holds C(subnet), C(uplink), C(inbound), C(publish), C(firewall),
    C(ip_forward), C(mtu), C(nameservers), C(processes) and C(state), which mean what they mean in the role, and
    C(check_mode), whether the role runs in check mode.
"""
