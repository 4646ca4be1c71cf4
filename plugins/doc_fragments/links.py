# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What holds for every interface that a module makes, with its name, its addresses and its MTU."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
notes:
  - Interface names are made of letters, digits and C(_ . @ + -), begin with a letter, a digit or C(_), have 1 to 15
    characters, and are neither C(all) nor C(default). A longer one is refused before anything is touched.
  - Addresses are compared if they are static, that is, permanent and of global scope. Others (from DHCP or router
    advertisements, link-local, those that the kernel makes) are never looked at, and can't be declared. An address that
    is there with a lifetime and is declared becomes permanent.
  - When the kernel drops a secondary IPv4 address along with its primary, the secondary is put back. Routes that go
    with an address are put back too, as long as their gateway can still be reached; those that can't be are named in a
    warning.
  - An MTU is given in bytes, 68 to 65535. IPv6 needs 1280 or more. A smaller MTU is refused while the interface has
    static IPv6 addresses or is to get some.
  - An IPv6 address is usable at once, without a check for duplicates, since the subnets are taken to be the lab's own.
  - What the module makes does not outlive a reboot.
"""
