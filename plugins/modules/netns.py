#!/usr/bin/python
# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: netns
short_description: Make, name and remove network namespaces
version_added: 0.1.0
description:
  - Makes network namespaces, each bound under its name at C(/run/netns), as C(ip netns add) does, so that C(ip -n
    NAME) and every other tool finds them. Any number of them in one task.
  - Brings the loopback interface up inside and sets sysctls there, if wanted.
  - Gives a name to a namespace that already lives, such as that of a container or a service, with O(attach).
  - Removes namespaces. Physical interfaces in a namespace that really ends are moved to the host first; virtual ones
    end with it, veth pairs at both ends.
  - Only the namespaces in O(name) are touched, and in them only C(lo) and the sysctls in O(sysctl). Other links, rules
    and routes in them, their files in C(/etc/netns), and the namespaces of other names are left as they are.
  - A namespace that exists is never made anew. If its loopback or a sysctl has drifted, that alone is mended.
extends_documentation_fragment:
  - nslab.linux.attributes
  - nslab.linux.attributes.changes
options:
  name:
    description:
      - Names of the namespaces.
      - A name is made of letters, digits and C(_ . + -), begins with a letter, a digit or C(_), has at most 200
        characters, and is not V(host).
    type: list
    elements: str
    required: true
  state:
    description:
      - V(present) makes those namespaces that do not exist and leaves the others as they are. A stale file of that
        name under C(/run/netns) that stands for no namespace, as a crash or a reboot may leave it, is replaced. So is a
        symbolic link that leads nowhere, as one made for a container that has ended.
      - V(absent) removes the name. The namespace ends with it unless something else still holds it, such as a
        process inside (see O(processes)) or another name. A stale file is removed. Of a symbolic link to a namespace
        the link is removed, and the namespace lives on.
    type: str
    choices: [present, absent]
    default: present
  loopback:
    description:
      - Whether the loopback interface C(lo) is up. It is down in a new namespace, and then not even C(127.0.0.1)
        answers.
      - V(false) takes C(lo) down.
    type: bool
    default: true
  sysctl:
    description:
      - Kernel settings inside the namespaces, name to value, such as C(net.ipv4.ip_forward).
      - Only C(net.*) is allowed, since only that is kept per namespace. A name may be written with dots or with
        slashes; use slashes when an interface in it has a dot, C(net/ipv4/conf/eth0.100/forwarding).
      - Values are numbers or texts in the unit of the setting, as in sysctl(8); V(true) and V(false) are 1 and 0. Write
        them as the kernel shows them, in decimal.
      - A setting that does not exist inside, or that only the host has (C(net.core.rmem_max)), is an error.
      - Settings not mentioned here are left as they are. Nothing is set when a namespace is removed.
    type: dict
  attach:
    description:
      - A living namespace to be bound under the one name in O(name), instead of making a new one. Either
        V(pid:4711), the namespace of that process, or an absolute path such as V(/run/docker/netns/ab12).
      - The namespace then outlives that process, for as long as it has the name.
      - It is an error if the name is bound to another namespace already, or if O(name) holds more than one name.
      - O(loopback) and O(sysctl) hold for it too. To leave what others have set up as it is, give O(loopback) the value
        that it has.
      - Only for O(state=present). To take the name away again use O(state=absent) with O(processes=ignore); the
        namespace lives on with its processes.
    type: str
  processes:
    description:
      - What O(state=absent) does when processes still run inside a namespace.
      - V(fail) refuses, naming them with their pids.
      - V(ignore) removes the name all the same. The namespace, with everything in it, ends when the last of them does.
      - V(terminate) ends them first, with SIGTERM, and with SIGKILL those that do not heed it. This cannot be
        undone, so it is done last; it is refused for a namespace that was attached, whose processes belong to others.
    type: str
    choices: [fail, ignore, terminate]
    default: fail
notes:
  - Namespaces do not outlive a reboot. Which of them were attached is remembered in C(/run/nslab) as long as they are.
  - A namespace that was not made under O(name) is unknown to C(ip netns list), but every module of this collection
    can reach it by path or pid.
seealso:
  - module: nslab.linux.veth
  - module: nslab.linux.ns_link
  - module: nslab.linux.ns_resolv
  - module: nslab.linux.lab
  - name: ip-netns(8)
    description: The command with which people do the same.
    link: https://man7.org/linux/man-pages/man8/ip-netns.8.html
  - name: network_namespaces(7)
    description: What a network namespace holds, and when it ends.
    link: https://man7.org/linux/man-pages/man7/network_namespaces.7.html
author:
  - nslab contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Make a namespace, with its loopback up
  nslab.linux.netns:
    name: red

- name: Make several in one task
  nslab.linux.netns:
    name: [red, green, blue]

- name: Make a router, a namespace that forwards
  nslab.linux.netns:
    name: router
    sysctl:
      net.ipv4.ip_forward: 1
      net.ipv6.conf.all.forwarding: 1

- name: Make a namespace that has no loopback
  nslab.linux.netns:
    name: dark
    loopback: false

- name: Give a namespace a second name
  nslab.linux.netns:
    name: router2
    attach: /run/netns/router

- name: Remove a namespace, but only if nothing runs in it
  nslab.linux.netns:
    name: dark
    state: absent

- name: Take the second name away, the namespace stays
  nslab.linux.netns:
    name: router2
    state: absent

- name: Remove the rest, and end what still runs there
  nslab.linux.netns:
    name: [red, green, blue, router]
    state: absent
    processes: terminate

# container_pid is what this says: docker inspect --format '{{.State.Pid}}' web
- name: Give the namespace of a running container a name
  nslab.linux.netns:
    name: web
    attach: pid:{{ container_pid }}

- name: Take the name away again, the container runs on
  nslab.linux.netns:
    name: web
    state: absent
    processes: ignore
"""

RETURN = r"""
namespaces:
  description: The namespaces in O(name), as they are after the task, in the same order. Empty for O(state=absent).
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name.
      type: str
      sample: red
    path:
      description: The file under which it is bound.
      type: str
      sample: /run/netns/red
    inode:
      description: The number that tells this namespace from every other that lives. Null in check mode for one that
        is not made yet.
      type: int
      sample: 4026532288
    pids:
      description: The processes inside. Null in check mode for one that is not made yet.
      type: list
      elements: int
      sample: []
  sample:
    - name: red
      path: /run/netns/red
      inode: 4026532288
      pids: []
operations:
  description: What was done, or would be in check mode, in order, each step as the command line that does the same.
    Joined by newlines they are a shell script. Empty when nothing is to be done.
  returned: success
  type: list
  elements: str
  sample:
    - ip netns add red
    - ip -n red link set dev lo up
rolled_back:
  description: Whether the task put back all that it had done before it failed.
  returned: failure after the first change
  type: bool
  sample: true
undone:
  description: The operations that were undone.
  returned: failure after the first change
  type: list
  elements: str
  sample:
    - ip netns add red
"""

from ansible_collections.nslab.linux.plugins.module_utils._module import run_module
from ansible_collections.nslab.linux.plugins.module_utils._resources._namespace import declare


def main() -> None:
    run_module(
        declare,
        argument_spec={
            "name": {"type": "list", "elements": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "loopback": {"type": "bool", "default": True},
            "sysctl": {"type": "dict"},
            "attach": {"type": "str"},
            "processes": {"type": "str", "choices": ["fail", "ignore", "terminate"], "default": "fail"},
        },
    )


if __name__ == "__main__":
    main()
