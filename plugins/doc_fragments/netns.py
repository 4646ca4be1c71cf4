# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a network namespace is named, wherever one is."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  netns:
    description:
      - The network namespace in which the task works.
      - V(red), a name, is the namespace bound at C(/run/netns/red), as C(ip netns add red) makes it. A name is made of
        letters, digits and C(_ . + -), begins with a letter, a digit or C(_), and has at most 200 characters.
      - V(/proc/4711/ns/net), an absolute path, is whatever namespace that file stands for.
      - V(pid:4711) is the namespace of that process.
      - V(host) is the namespace in which the module itself runs, which is also what leaving the option out means.
      - A named namespace that does not exist is an error; in check mode it is assumed to be coming, with a warning.
        A path or a process that does not exist is always an error.
    type: str
"""
