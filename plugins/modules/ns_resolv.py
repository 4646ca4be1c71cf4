#!/usr/bin/python
# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ns_resolv
short_description: Say how names are resolved in a network namespace
version_added: 0.1.0
description:
  - Writes C(/etc/netns/NAME/resolv.conf) and C(/etc/netns/NAME/hosts) for one or more namespaces. C(ip netns exec
    NAME) shows them to what it runs as C(/etc/resolv.conf) and C(/etc/hosts).
  - Needed because a namespace is not reached by the host's own resolver. On most hosts today C(/etc/resolv.conf) names
    C(127.0.0.53), and inside a namespace nothing listens there.
  - C(resolv.conf) is written when O(nameservers), O(search) or O(options) is given. What is left out of the three keeps
    what the file says. C(hosts) is written when O(hosts) is given, and then holds these and the lines of localhost. The
    other file is left as it is.
  - The files are replaced at once (a reader sees the old or the new one, never half of it), with mode 0644 in a
    directory of mode 0755, so that users other than root can resolve names too.
  - The namespaces need not exist. No other file in C(/etc/netns/NAME) is touched, nor any of the host's own.
  - A file that says what is declared is left as it is, comments and all. One that differs is written anew, and then
    holds nothing but C(search), C(nameserver) and C(options) lines.
  - A symbolic link that leads to what is declared is left too. Otherwise the link is replaced by a file, and what it
    leads to is not touched.
extends_documentation_fragment:
  - nslab.linux.attributes
  - nslab.linux.attributes.changes
options:
  netns:
    description:
      - Names of the namespaces. Only names, since C(ip netns exec) looks for the files under the name.
    type: list
    elements: str
    required: true
  nameservers:
    description:
      - IP addresses of DNS servers, in the order in which they are asked. They must be reachable from within the
        namespace. The C library asks at most three.
      - The word V(host) stands for those that the host itself asks in the end. A resolver on the host's own loopback
        is never among them, since a namespace cannot reach it; what that resolver asks is taken instead, as
        systemd-resolved and NetworkManager note it in C(/run/systemd/resolve/resolv.conf) and
        C(/run/NetworkManager/no-stub-resolv.conf). It is an error if none is found.
      - Other servers may stand beside the word. When the host changes its own, the next run follows.
      - An empty list means none.
    type: list
    elements: str
  search:
    description:
      - Domains in which a short name is looked for, in this order. An empty list means none.
    type: list
    elements: str
  options:
    description:
      - Options of the resolver, as in resolv.conf(5), such as V(ndots:2). An empty list means none.
    type: list
    elements: str
  hosts:
    description:
      - Names that are known without asking a server, each with its address or a list of addresses, IPv4 or IPv6.
      - An empty dict writes the lines of localhost alone.
    type: dict
  state:
    description:
      - V(present) writes the files.
      - V(absent) removes both files, and the directory when nothing else is in it.
    type: str
    choices: [present, absent]
    default: present
notes:
  - The task builds on no namespace and no interface, so check mode has nothing to assume.
  - The files outlive a reboot. They take effect for programs that are started afterwards.
  - Services started by systemd with C(NetworkNamespacePath=) do not see the files unless their unit binds them with
    C(BindReadOnlyPaths=).
seealso:
  - module: nslab.linux.netns
  - module: nslab.linux.ns_probe
  - module: nslab.linux.lab
  - name: ip-netns(8)
    description: How C(ip netns exec) uses the files.
    link: https://man7.org/linux/man-pages/man8/ip-netns.8.html
  - name: resolv.conf(5)
    description: What the options mean.
    link: https://man7.org/linux/man-pages/man5/resolv.conf.5.html
  - name: hosts(5)
    description: The other file.
    link: https://man7.org/linux/man-pages/man5/hosts.5.html
author:
  - nslab contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Namespaces to resolve names in
  nslab.linux.netns:
    name: [red, blue]

- name: Resolve names with a public server
  nslab.linux.ns_resolv:
    netns: red
    nameservers: [192.0.2.53]

- name: The same for several namespaces, with search domains and options
  nslab.linux.ns_resolv:
    netns: [red, blue]
    nameservers: [192.0.2.53, "2001:db8::53"]
    search: [lab.example.com, example.com]
    options: ["ndots:2", "timeout:1"]

- name: Ask the servers that the host asks, and one more if they do not answer
  nslab.linux.ns_resolv:
    netns: red
    nameservers: [host, 192.0.2.53]

- name: Look for no short names any more, the servers stay
  nslab.linux.ns_resolv:
    netns: blue
    search: []

- name: Names that the namespaces of a lab know each other by
  nslab.linux.ns_resolv:
    netns: [red, blue]
    hosts:
      red: 10.1.0.2
      blue: [10.1.0.3, "fd00:1::3"]

- name: Remove what was written
  nslab.linux.ns_resolv:
    netns: [red, blue]
    state: absent
"""

RETURN = r"""
files:
  description: The files of the namespaces, as they are after the task. Empty for O(state=absent).
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: The file.
      type: str
    content:
      description: What it holds.
      type: str
    mode:
      description: Its permissions, in octal.
      type: str
  sample:
    - path: /etc/netns/red/resolv.conf
      content: |
        nameserver 192.0.2.53
      mode: "0644"
operations:
  description: What was done, or would be in check mode, in order, each step as the command line that does the same.
    Joined by newlines they are a shell script. Empty when nothing is to be done.
  returned: success
  type: list
  elements: str
  sample:
    - install -d -m 0755 /etc/netns/red
    - |-
      install -m 0644 /dev/stdin /etc/netns/red/resolv.conf <<'EOF'
      nameserver 192.0.2.53
      EOF
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
    - install -d -m 0755 /etc/netns/red
"""

from ansible_collections.nslab.linux.plugins.module_utils._module import run_module
from ansible_collections.nslab.linux.plugins.module_utils._resources._resolv import declare


def main() -> None:
    run_module(
        declare,
        argument_spec={
            "netns": {"type": "list", "elements": "str", "required": True},
            "nameservers": {"type": "list", "elements": "str"},
            "search": {"type": "list", "elements": "str"},
            "options": {"type": "list", "elements": "str"},
            "hosts": {"type": "dict"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        required_if=[("state", "present", ("nameservers", "search", "options", "hosts"), True)],
    )


if __name__ == "__main__":
    main()
