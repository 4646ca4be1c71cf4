#!/usr/bin/python
# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: veth
short_description: Make, change, move and remove veth pairs
version_added: 0.1.0
description:
  - A veth pair is a cable of two interfaces. What goes in at one end comes out at the other. The ends may stand in
    different network namespaces, and an end may be a port of a bridge.
  - Makes one pair, with O(name) and O(peer), or many in one task, with O(pairs). Each end is made in its namespace,
    under its name and with its MAC address from the start.
  - Looks after both ends of a pair that exists - place, name, MAC address, MTU, addresses, bridge, up or down - and
    changes only what is declared and differs. What is left out is not managed.
  - Which link is the pair? The first end at its declared place, that is, a veth called O(name) in O(netns). Its
    peer, whatever it is called and wherever it is, is then renamed and moved to where O(peer) says. If the first end
    is not there, the link at the peer's declared place is the pair only when its other end bears the name O(name);
    that end is then moved. Any other link at one of the two places, or both there but of different pairs, is an
    error that names it.
  - No other interface is touched, nor the namespaces and bridges that the pair needs. They must exist. The bridge in
    C(master) gains a port, and the kernel may change its MAC address and its MTU with that, unless they were set by
    hand.
extends_documentation_fragment:
  - nslab.linux.attributes
  - nslab.linux.attributes.changes
  - nslab.linux.links
options:
  name: &name
    description:
      - Name of the first end, 1 to 15 characters.
    type: str
  netns:
    description:
      - The network namespace in which this end stands.
      - V(red) is the namespace of that name, bound at C(/run/netns/red); V(/proc/4711/ns/net) an absolute path;
        V(pid:4711) that of a process; V(host), or leaving the option out, the one in which the module itself runs.
      - A named namespace that does not exist is an error; in check mode it is assumed to be coming, with a warning.
        A path or a process that does not exist is always an error.
    type: str
  mac: &mac
    description:
      - MAC address of this end. Write it in quotes, since YAML reads some of them as a number.
      - Left out, the kernel chooses one for a new pair.
    type: str
  mtu: &mtu
    description:
      - MTU of this end, in bytes, 68 to 65535. It makes sense to give both ends the same.
      - Left out, a new pair has 1500, and that of an existing one is not managed.
    type: int
  mtu_from: &mtu_from
    description:
      - Take the MTU over from another interface, so that packets need not be fragmented on their way out. Either the
        name of an interface in the namespace in which the module runs, or V(auto), the interface there that carries
        the default route (that of IPv4, else that of IPv6).
      - With V(auto) and no default route the MTU is left as it is.
      - Excludes the option C(mtu) of the same end.
    type: str
  addresses: &addresses
    description:
      - Static addresses of this end, IPv4 or IPv6, in CIDR form such as V(10.0.0.1/24).
      - Left out, addresses are not managed. An empty list means that there shall be none.
      - Only permanent addresses of global scope are looked at, never link-local ones nor those from DHCP or router
        advertisements.
    type: list
    elements: str
  purge_addresses: &purge_addresses
    description:
      - Whether static addresses of this end that are not in its C(addresses) are removed. Of no effect while
        C(addresses) is left out.
    type: bool
    default: true
  up: &up
    description:
      - Whether this end is up. Packets pass only when both ends are.
    type: bool
    default: true
  master: &master
    description:
      - Name of the bridge of which this end is a port. The bridge is in the same namespace as this end.
      - Left out, it is not managed.
    type: str
  peer: &peer
    description:
      - The other end, with the same options as the first.
      - Required for O(state=present).
    type: dict
    suboptions:
      name:
        description:
          - Name of the other end, 1 to 15 characters. Required for O(state=present).
        type: str
      netns: &netns
        description:
          - The network namespace in which this end stands, as a name, an absolute path, V(pid:4711) or V(host).
          - Left out, it is V(host), the one in which the module itself runs.
        type: str
      mac: *mac
      mtu: *mtu
      mtu_from: *mtu_from
      addresses: *addresses
      purge_addresses: *purge_addresses
      up: *up
      master: *master
  pairs:
    description:
      - Many pairs, each with the options of one. They are planned and made together, which is much faster than a loop.
      - Excludes the options of a single pair. O(state) and O(force) hold for all.
    type: list
    elements: dict
    suboptions:
      name:
        description:
          - Name of the first end, 1 to 15 characters.
        type: str
        required: true
      netns: *netns
      mac: *mac
      mtu: *mtu
      mtu_from: *mtu_from
      addresses: *addresses
      purge_addresses: *purge_addresses
      up: *up
      master: *master
      peer: *peer
  state:
    description:
      - V(present) makes the pair, or changes the one that exists.
      - V(absent) removes the pair whose first end is called O(name) in O(netns). The peer need not be named. When
        that end is not there, or its namespace is gone, the pair is gone, since neither end lives without the other.
    type: str
    choices: [present, absent]
    default: present
  force:
    description:
      - Allow addresses to be removed from an end that carries the host's default route, which may cut the connection
        that Ansible uses.
    type: bool
    default: false
notes:
  - When an end is moved to another namespace the kernel drops its addresses, its routes and its bridge. Addresses and a
    bridge that are declared are given again.
  - A pair whose first end was renamed is not found. The peer, then, is in the way, and the error names both.
  - To unplug an end from a bridge use M(nslab.linux.bridge) with C(purge_ports), or M(nslab.linux.ns_link).
seealso:
  - module: nslab.linux.netns
  - module: nslab.linux.bridge
  - module: nslab.linux.ns_link
  - module: nslab.linux.ns_route
  - module: nslab.linux.lab
  - name: veth(4)
    description: How the kernel describes the pair.
    link: https://man7.org/linux/man-pages/man4/veth.4.html
  - name: ip-link(8)
    description: The command with which people do the same.
    link: https://man7.org/linux/man-pages/man8/ip-link.8.html
author:
  - nslab contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Two namespaces to play with
  nslab.linux.netns:
    name: [red, blue]

- name: Join the host and a namespace
  nslab.linux.veth:
    name: to-red
    addresses: [10.1.0.1/24]
    peer:
      name: eth0
      netns: red
      addresses: [10.1.0.2/24]

- name: Join two namespaces, dual stack, with fixed MAC addresses
  nslab.linux.veth:
    name: to-blue
    netns: red
    mac: "52:54:00:12:34:01"
    mtu: 1400
    addresses: [10.2.0.1/30, "fd00:2::1/64"]
    peer:
      name: to-red
      netns: blue
      mac: "52:54:00:12:34:02"
      mtu: 1400
      addresses: [10.2.0.2/30, "fd00:2::2/64"]

- name: A bridge to be a port of
  nslab.linux.bridge:
    name: br0
    addresses: [10.3.0.1/24]

- name: Plug many namespaces into the bridge, in one task
  nslab.linux.veth:
    pairs:
      - name: br0-red
        master: br0
        peer:
          name: eth1
          netns: red
          addresses: [10.3.0.2/24]
      - name: br0-blue
        master: br0
        peer:
          name: eth1
          netns: blue
          addresses: [10.3.0.3/24]

- name: The same for a list of any length
  nslab.linux.veth:
    pairs: "{{ pairs_as_text | from_yaml }}"
  vars:
    pairs_as_text: |
      {% for netns in ['red', 'blue'] %}
      - name: br0-{{ netns }}
        master: br0
        peer: {name: eth1, netns: {{ netns }}, addresses: [10.3.0.{{ loop.index + 1 }}/24]}
      {% endfor %}

# container_pid is what this says: docker inspect --format '{{.State.Pid}}' web
- name: Give a running container a second interface, dual stack, plugged into the bridge
  nslab.linux.veth:
    name: br0-web
    master: br0
    peer:
      name: eth1
      netns: pid:{{ container_pid }}
      mtu: 1400
      addresses: [10.3.0.9/24, "fd00:3::9/64"]

- name: Take over the MTU of the interface that leads to the internet
  nslab.linux.veth:
    name: to-red
    mtu_from: auto
    peer:
      name: eth0
      netns: red
      mtu_from: auto

- name: Move the far end to another namespace and rename it, the pair stays the same
  nslab.linux.veth:
    name: to-red
    peer:
      name: eth2
      netns: blue
      addresses: [10.1.0.3/24]

- name: Pull the plug
  nslab.linux.veth:
    name: to-blue
    netns: red
    up: false
    peer:
      name: to-red
      netns: blue

- name: Remove pairs
  nslab.linux.veth:
    pairs:
      - name: br0-red
      - name: br0-blue
    state: absent

- name: Take the interface away from the container, by the end on the host
  nslab.linux.veth:
    name: br0-web
    state: absent

- name: Remove a single pair, by its first end
  nslab.linux.veth:
    name: to-blue
    netns: red
    state: absent
"""

RETURN = r"""
pairs:
  description: The pairs, in the order of the task, each a list of its two ends, the first end first. Empty for
    O(state=absent).
  returned: success
  type: list
  elements: list
  sample:
    - - name: to-red
        netns: host
        kind: veth
        index: 7
        mac: 1e:5d:0a:6f:9b:11
        mtu: 1500
        up: true
        state: up
        master: null
        addresses: [10.1.0.1/24]
        peer: {name: eth0, netns: red}
      - name: eth0
        netns: red
        kind: veth
        index: 2
        mac: 72:b3:4c:08:e1:42
        mtu: 1500
        up: true
        state: up
        master: null
        addresses: [10.1.0.2/24]
        peer: {name: to-red, netns: host}
  contains:
    name:
      description: Name of the interface.
      type: str
    netns:
      description: The namespace it stands in, by name, V(host), or, if it has no name, path, pid or inode.
      type: str
    kind:
      description: Kind of link.
      type: str
      sample: veth
    index:
      description: The kernel's number of the interface. Null in check mode for one that is not made yet.
      type: int
    mac:
      description: MAC address. Null in check mode if the kernel is yet to choose it.
      type: str
    mtu:
      description: MTU in bytes.
      type: int
    up:
      description: Whether it is set up.
      type: bool
    state:
      description: Operational state as the kernel sees it, such as V(up), V(down) or V(lowerlayerdown).
      type: str
    master:
      description: The bridge it is a port of, or null.
      type: str
    addresses:
      description: Static addresses in CIDR form.
      type: list
      elements: str
    peer:
      description: The other end.
      type: dict
      contains:
        name:
          description: Name of the other end.
          type: str
        netns:
          description: The namespace in which the other end stands.
          type: str
operations:
  description: What was done, or would be in check mode, in order, each step as the command line that does the same.
    Joined by newlines they are a shell script. Empty when nothing is to be done.
  returned: success
  type: list
  elements: str
  sample:
    - ip link add name to-red type veth peer name eth0 netns red
    - ip addr add 10.1.0.1/24 dev to-red
    - ip -n red addr add 10.1.0.2/24 dev eth0
    - ip link set dev to-red up
    - ip -n red link set dev eth0 up
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
    - ip link add name to-red type veth peer name eth0 netns red
"""

from ansible_collections.nslab.linux.plugins.module_utils._module import run_module
from ansible_collections.nslab.linux.plugins.module_utils._resources._veth import declare

END = {
    "name": {"type": "str"},
    "netns": {"type": "str"},
    "mac": {"type": "str"},
    "mtu": {"type": "int"},
    "mtu_from": {"type": "str"},
    "addresses": {"type": "list", "elements": "str"},
    "purge_addresses": {"type": "bool", "default": True},
    "up": {"type": "bool", "default": True},
    "master": {"type": "str"},
}
ONE_MTU = [("mtu", "mtu_from")]
PEER = {"type": "dict", "options": END, "mutually_exclusive": ONE_MTU}
PAIR = {**END, "name": {"type": "str", "required": True}, "peer": PEER}


def main() -> None:
    run_module(
        declare,
        argument_spec={
            **END,
            "peer": PEER,
            "pairs": {"type": "list", "elements": "dict", "options": PAIR, "mutually_exclusive": ONE_MTU},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "force": {"type": "bool", "default": False},
        },
        mutually_exclusive=[*ONE_MTU, *(("pairs", option) for option in [*END, "peer"])],
        required_one_of=[("name", "pairs")],
    )


if __name__ == "__main__":
    main()
