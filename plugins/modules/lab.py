#!/usr/bin/python
# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: lab
short_description: Make, change and remove a whole lab of network namespaces
version_added: 0.1.0
description:
  - Takes a whole lab as one value.
options:
  name:
    description: Name of the lab.
    type: str
"""

EXAMPLES = r"""
"""

RETURN = r"""
"""

from ansible_collections.nslab.linux.plugins.module_utils._module import run_module
from ansible_collections.nslab.linux.plugins.module_utils._resources._lab import declare


def main() -> None:
    run_module(
        declare,
        argument_spec={
            "name": {"type": "str"},
            "definition": {"type": "dict"},
            "prefix": {"type": "str"},
            "namespaces": {"type": "dict"},
            "bridges": {"type": "dict"},
            "links": {"type": "list", "elements": "dict"},
            "nat": {"type": "list", "elements": "dict"},
            "nodes": {"type": "raw"},
            "defaults": {"type": "dict"},
            "hosts": {"type": "bool"},
            "overlap": {"type": "bool"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "prune": {"type": "bool", "default": True},
            "adopt": {"type": "bool", "default": False},
            "processes": {"type": "str", "choices": ["fail", "ignore", "terminate"], "default": "fail"},
        },
        required_one_of=[("name", "definition")],
    )


if __name__ == "__main__":
    main()
