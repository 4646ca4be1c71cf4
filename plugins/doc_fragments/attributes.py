# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every module of the collection needs and promises."""

from __future__ import annotations


class ModuleDocFragment:
    # What holds for every module, also for one that changes nothing.
    DOCUMENTATION = r"""
options: {}
requirements:
  - Python 3.9 or later on the managed host
  - pyroute2 0.7.2 or later on the managed host (package C(python3-pyroute2) on Debian, Ubuntu, Fedora and openSUSE,
    C(python-pyroute2) on Arch Linux, C(py3-pyroute2) on Alpine Linux, or C(pip install pyroute2))
  - the capabilities CAP_NET_ADMIN and CAP_SYS_ADMIN on the managed host; C(become=true) gives them
attributes:
  platform:
    description: The systems that can be managed.
    platforms: linux
    support: full
  action_group:
    description: Use C(group/nslab.linux.nslab) in C(module_defaults) to set defaults for this and every other module of
      the collection.
    support: full
    membership:
      - nslab.linux.nslab
"""

    # What holds for every module that can change something: all of it is read off one plan.
    CHANGES = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode, changes nothing there, and returns what the run would return. The changes
      come from the same plan that a real run carries out. What only the kernel chooses (an interface's index, a
      random MAC address, an inode, link-local addresses) is null.
    support: full
  diff_mode:
    description: Returns the objects that the task governs as they are before and after it, as YAML text.
    support: full
  idempotent:
    description: A second run with the same options changes nothing and reports C(changed=false). What has drifted
      since is put right, and nothing else is touched.
    support: full
notes:
  - In check mode what the task builds on and what is not there yet - a namespace given by name, an interface, the
    address that makes a gateway reachable - is assumed to be coming, with a warning, so that a whole playbook can be
    checked on a host where nothing is. Outside check mode it is an error. A path or a process that does not exist is
    always an error.
  - All options are checked, and all that the task builds on is looked for, before the first change. When a step fails
    after that, what the task has done is undone, the last step first, and the failure returns C(rolled_back) and
    C(undone). After the changes the state is read once more; what does not hold by then is such a failure too.
  - Tasks on one host wait for each other, so that no two of them change it at the same time.
"""
