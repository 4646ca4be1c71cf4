#!/usr/bin/python
# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: bridge
short_description: Make, change and remove bridges
version_added: 0.1.0
description:
  - A bridge is a switch of interfaces. What stands in one namespace with it can be a port of it, and with an address
    of its own it is the gateway of all that is plugged in.
  - Makes a bridge, or changes only what is declared of an existing one and differs. What is left out is not managed.
  - Plugs existing interfaces in, with O(ports). The other way round, an end of a veth pair is plugged in when it is
    made, with O(nslab.linux.veth#module:master); it is enough to say it at one of the two places.
  - An interface of that name that is no bridge is an error that says what it is. No other interface is touched but
    those in O(ports) and, with O(purge_ports), the ports that are not.
  - The ports must exist. A port keeps its own addresses, MTU and MAC address, and is not set up.
extends_documentation_fragment:
  - nslab.linux.attributes
  - nslab.linux.attributes.changes
  - nslab.linux.links
  - nslab.linux.netns
options:
  name:
    description:
      - Name of the bridge, 1 to 15 characters.
    type: str
    required: true
  state:
    description:
      - V(present) makes the bridge, or changes the one that exists.
      - V(absent) removes it. Its ports stay, plugged into nothing. A bridge that has ports which are not in O(ports)
        is removed only with O(force).
    type: str
    choices: [present, absent]
    default: present
  addresses:
    description:
      - Static addresses of the bridge, IPv4 or IPv6, in CIDR form such as V(10.0.0.1/24).
      - Left out, addresses are not managed. An empty list means that there shall be none.
      - Only permanent addresses of global scope are looked at, never link-local ones nor those from DHCP or router
        advertisements.
    type: list
    elements: str
  purge_addresses:
    description:
      - Whether static addresses of the bridge that are not in O(addresses) are removed. Of no effect while
        O(addresses) is left out.
    type: bool
    default: true
  mac:
    description:
      - MAC address of the bridge. Write it in quotes, since YAML reads some of them as a number.
      - Left out, the kernel chooses one for a new bridge.
    type: str
  mtu:
    description:
      - MTU of the bridge, in bytes, 68 to 65535.
      - Left out, it is not managed, and the kernel keeps it at the lowest of the ports.
    type: int
  mtu_from:
    description:
      - Take the MTU over from another interface, so that packets need not be fragmented on their way out. Either the
        name of an interface in the namespace in which the module runs, or V(auto), the interface there that carries
        the default route (that of IPv4, else that of IPv6).
      - With V(auto) and no default route the MTU is left as it is.
    type: str
  up:
    description:
      - Whether the bridge is up.
    type: bool
    default: true
  stp:
    description:
      - Whether the spanning tree protocol runs, which is needed when bridges are joined in a ring. Off in a new bridge.
    type: bool
  forward_delay:
    description:
      - Seconds that a new port listens, and again learns, before it forwards. With O(stp) off a port forwards at
        once. The kernel starts with 15, and takes 2 to 30 while O(stp) is on.
      - Fractions down to a hundredth of a second count, 42949672 seconds at the most.
    type: float
  ageing_time:
    description:
      - Seconds after which a MAC address that was not heard again is forgotten. The kernel starts with 300. With 0 a
        bridge learns nothing, and floods.
      - Fractions down to a hundredth of a second count, 42949672 seconds at the most.
    type: float
  multicast_snooping:
    description:
      - Whether the bridge learns which ports want which multicast, instead of sending it to all. On in a new bridge.
    type: bool
  ports:
    description:
      - Names of interfaces in the same namespace that are ports of the bridge. At most 1023, which is the kernel's
        limit.
      - An interface that is a port of another bridge is moved over.
      - The interface that carries the host's default route is refused without O(force), since the host would lose its
        connection.
    type: list
    elements: str
  purge_ports:
    description:
      - Whether ports that are not in O(ports) are unplugged. Of no effect while O(ports) is left out.
    type: bool
    default: false
  force:
    description:
      - Allow what may cut the host off or pull something away under others. That is to plug in the interface that
        carries the host's default route, to remove addresses from a bridge that carries it, and to remove a bridge
        that has ports which are not in O(ports).
    type: bool
    default: false
notes:
  - A new bridge is brought up after all its ports are in place. A bridge without a port that is up has no carrier,
    and its state is V(down).
  - A bridge that loses its last port loses the MAC address that it had from it, unless O(mac) is declared.
seealso:
  - module: nslab.linux.veth
  - module: nslab.linux.ns_nat
  - module: nslab.linux.lab
  - name: bridge(8)
    description: The command with which people look at bridges.
    link: https://man7.org/linux/man-pages/man8/bridge.8.html
  - name: ip-link(8)
    description: The command with which people make them; see bridge there for the options.
    link: https://man7.org/linux/man-pages/man8/ip-link.8.html
author:
  - nslab contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: A bridge with an address, on the host
  nslab.linux.bridge:
    name: br0
    addresses: [10.1.0.1/24, "fd00:1::1/64"]

- name: Namespaces to plug in
  nslab.linux.netns:
    name: [red, blue]

- name: Plug them in, each by a veth pair
  nslab.linux.veth:
    pairs:
      - name: br0-red
        master: br0
        peer: {name: eth0, netns: red, addresses: [10.1.0.2/24]}
      - name: br0-blue
        master: br0
        peer: {name: eth0, netns: blue, addresses: [10.1.0.3/24]}

- name: The same bridge, tuned
  nslab.linux.bridge:
    name: br0
    stp: false
    forward_delay: 2
    ageing_time: 60
    multicast_snooping: false

- name: The same bridge, with the MTU of the interface that leads to the internet
  nslab.linux.bridge:
    name: br0
    mac: "52:54:00:12:34:00"
    mtu_from: auto

- name: A bridge that has exactly these ports
  nslab.linux.bridge:
    name: br0
    ports: [br0-red, br0-blue]
    purge_ports: true

- name: A switch without an address, in a namespace of its own
  nslab.linux.netns:
    name: switch

- name: Cables into the switch
  nslab.linux.veth:
    pairs:
      - {name: port1, netns: switch, peer: {name: eth1, netns: red, addresses: [10.2.0.1/24]}}
      - {name: port2, netns: switch, peer: {name: eth1, netns: blue, addresses: [10.2.0.2/24]}}

- name: The switch itself
  nslab.linux.bridge:
    name: br0
    netns: switch
    addresses: []
    ports: [port1, port2]

- name: Unplug all ports
  nslab.linux.bridge:
    name: br0
    netns: switch
    ports: []
    purge_ports: true

- name: Remove a bridge, naming the ports that are known to be in it
  nslab.linux.bridge:
    name: br0
    ports: [br0-red, br0-blue]
    state: absent
"""

RETURN = r"""
bridge:
  description: The bridge as it is after the task. Null for O(state=absent).
  returned: success
  type: dict
  contains:
    name:
      description: Name of the bridge.
      type: str
    netns:
      description: The namespace it stands in, by name, V(host), or, if it has no name, path, pid or inode.
      type: str
    kind:
      description: Kind of link.
      type: str
      sample: bridge
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
      description: Operational state as the kernel sees it, such as V(up) or V(down).
      type: str
    master:
      description: Always null, since a bridge is no port of another.
      type: str
    addresses:
      description: Static addresses in CIDR form.
      type: list
      elements: str
    peer:
      description: Always null, since only veth pairs have one.
      type: dict
    stp:
      description: Whether the spanning tree protocol runs.
      type: bool
    forward_delay:
      description: Seconds.
      type: float
    ageing_time:
      description: Seconds.
      type: float
    multicast_snooping:
      description: Whether multicast goes only where it is wanted.
      type: bool
    ports:
      description: Names of the ports, sorted.
      type: list
      elements: str
  sample:
    name: br0
    netns: host
    kind: bridge
    index: 5
    mac: 0a:58:9c:11:72:d3
    mtu: 1500
    up: true
    state: up
    master: null
    addresses: [10.1.0.1/24]
    peer: null
    stp: false
    forward_delay: 15.0
    ageing_time: 300.0
    multicast_snooping: true
    ports: [br0-blue, br0-red]
operations:
  description: What was done, or would be in check mode, in order, each step as the command line that does the same.
    Joined by newlines they are a shell script. Empty when nothing is to be done.
  returned: success
  type: list
  elements: str
  sample:
    - ip link add name br0 type bridge
    - ip addr add 10.1.0.1/24 dev br0
    - ip link set dev br0 up
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
    - ip link add name br0 type bridge
"""

from ansible_collections.nslab.linux.plugins.module_utils._module import run_module
from ansible_collections.nslab.linux.plugins.module_utils._resources._bridge import declare


def main() -> None:
    run_module(
        declare,
        argument_spec={
            "name": {"type": "str", "required": True},
            "netns": {"type": "str"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "addresses": {"type": "list", "elements": "str"},
            "purge_addresses": {"type": "bool", "default": True},
            "mac": {"type": "str"},
            "mtu": {"type": "int"},
            "mtu_from": {"type": "str"},
            "up": {"type": "bool", "default": True},
            "stp": {"type": "bool"},
            "forward_delay": {"type": "float"},
            "ageing_time": {"type": "float"},
            "multicast_snooping": {"type": "bool"},
            "ports": {"type": "list", "elements": "str"},
            "purge_ports": {"type": "bool", "default": False},
            "force": {"type": "bool", "default": False},
        },
        mutually_exclusive=[("mtu", "mtu_from")],
    )


if __name__ == "__main__":
    main()
