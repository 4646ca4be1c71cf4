#!/usr/bin/python
# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ns_link
short_description: Move an existing interface into a namespace, set it up there, and give it back
version_added: 0.1.0
description:
  - Takes an interface that is there already, of any kind - a physical NIC, a macvlan, a tap, an end of a veth pair -
    and has it stand in the namespace, under the name and with the settings that are declared. It makes and removes no
    interface.
  - An interface that is where it shall be is changed in place, and only in what is declared and differs. What is left
    out is not managed. What has drifted since is put right by the next run, also when somebody has renamed the
    interface back to O(name) or moved it back to O(from).
  - Which interface is it? The one called O(rename), or else O(name), in O(netns). If there is none, the one called
    O(name) in O(from), which is then moved, and renamed in the same step, so that its old name never stands in the
    new namespace. If there is none either and O(from) is left out, the one called O(name) in O(netns), which is only
    renamed.
  - When both the first and the second are there, and are not one, it is an error that names them. The exception is a
    task with neither O(rename) nor O(from). It means the interface in O(netns), whatever bears the same name on the
    host.
  - No other interface is touched. Whatever stands on an interface that moves, such as a macvlan or a VLAN, stays
    where it is. The kernel forgets its MAC address in the filter of the interface, though, so that it may hear nothing
    until it has been set down and up again.
  - When a step fails, what the task has done so far is undone. The interface is where it was, with the addresses,
    routes, bridge and sysctls that it had.
extends_documentation_fragment:
  - nslab.linux.attributes
  - nslab.linux.attributes.changes
options:
  name:
    description:
      - Name of the interface where it comes from, 1 to 15 characters.
    type: str
    required: true
  netns:
    description:
      - The network namespace in which the interface shall be.
      - V(red) is the namespace of that name, bound at C(/run/netns/red); V(/proc/4711/ns/net) an absolute path;
        V(pid:4711) that of a process, such as that of a container; V(host), or leaving the option out, the one in
        which the module itself runs.
      - A named namespace that does not exist is an error; in check mode it is assumed to be coming, with a warning.
        A path or a process that does not exist is always an error.
    type: str
  from:
    description:
      - The network namespace in which to look besides, and to which O(state=absent) gives the interface back. Written
        as O(netns) is.
      - Left out, it is V(host), the namespace in which the module itself runs.
      - Given, it also says that an interface called O(name) in O(netns) is another one, if O(rename) differs.
      - A named namespace that does not exist matters only when the interface has to come from there, or to go there.
    type: str
  rename:
    description:
      - Name of the interface in O(netns), 1 to 15 characters. Left out, it keeps O(name).
    type: str
  addresses:
    description:
      - Static addresses of the interface, IPv4 or IPv6, in CIDR form such as V(10.0.0.1/24).
      - Left out, addresses are not managed. An empty list means that there shall be none, together with
        O(purge_addresses).
      - Only permanent addresses of global scope are looked at, never link-local ones nor those from DHCP or router
        advertisements.
    type: list
    elements: str
  purge_addresses:
    description:
      - Whether static addresses of the interface that are not in O(addresses) are removed. Of no effect while
        O(addresses) is left out. Others may have given an address to an interface that the task has not made, hence
        the default.
    type: bool
    default: false
  mac:
    description:
      - MAC address of the interface. Write it in quotes, since YAML reads some of them as a number.
    type: str
  mtu:
    description:
      - MTU of the interface, in bytes.
    type: int
  mtu_from:
    description:
      - Take the MTU over from another interface. Either the name of an interface in the namespace in which the module
        runs, or V(auto), the interface there that carries the default route (that of IPv4, else that of IPv6).
      - With V(auto) and no default route the MTU is left as it is.
    type: str
  up:
    description:
      - Whether the interface is up. It is down when it has been moved, so this is seldom left out.
    type: bool
  master:
    description:
      - Name of the bridge of which the interface is a port, in O(netns).
      - An empty string, V(""), means that it is no port.
    type: str
  promisc:
    description:
      - Whether the interface takes in all packets, whomever they are for.
    type: bool
  state:
    description:
      - V(present) has the interface in O(netns).
      - V(absent) gives it back. An interface called O(rename), or else O(name), in O(netns) is moved to O(from) under
        O(name), where it arrives down and without addresses; its MAC address, its MTU and whether it is promiscuous
        it keeps. When it is not in O(netns), or that namespace does not exist, there is nothing to do. The other options
        have no effect.
    type: str
    choices: [present, absent]
    default: present
  force:
    description:
      - Allow what may cut the host off. That is to move the interface that carries the host's default route, to rename
        it, to take it down, to change its MAC address or its bridge, and to remove addresses from it. A physical
        interface that is a port of the bridge which carries the route counts as well.
    type: bool
    default: false
notes:
  - Interface names are made of letters, digits and C(_ . @ + -), begin with a letter, a digit or C(_), have 1 to 15
    characters, and are neither C(all) nor C(default). A longer one is refused before anything is touched. The
    alternative names that an interface may have (C(altname)) do not name it here, and can't be its O(rename).
  - When an interface is moved to another namespace the kernel takes its addresses, its routes, its bridge, its sysctls
    and its queueing disciplines from it, and takes it down. What is declared is given to it again. Static addresses, a
    bridge, routes, sysctls and being up that are lost because the task does not declare them are named in a warning.
  - Queueing disciplines, and what was set of it as a port of a bridge, are not known here. They are lost also when a
    task that had moved it fails and is undone.
  - It keeps its MAC address, its MTU, and whether it is promiscuous; its index too, unless another has it there.
  - Some interfaces can't be moved, C(lo) and bridges among them. That is refused before anything is touched. A wireless
    interface moves with its phy only (C(iw phy)).
  - Some drivers take a new MAC address only while the interface is down. When the kernel answers that the device is
    busy, run the task with O(up=false) first. An interface that is moved is down when it gets its MAC address.
  - IPv6 addresses are checked for duplicates before they can be used, which takes a second or two, except on a veth,
    as its far end is known.
  - In check mode an interface that is nowhere is assumed to be coming, in O(from), with a warning.
  - When a namespace ends, a macvlan, a tap or a veth in it ends too. A physical interface goes back to the machine,
    which M(nslab.linux.netns) takes care of. Give back first what is still needed.
  - What the task does does not outlive a reboot.
seealso:
  - module: nslab.linux.netns
  - module: nslab.linux.veth
  - module: nslab.linux.bridge
  - module: nslab.linux.ns_route
  - module: nslab.linux.lab
  - name: ip-link(8)
    description: The command with which people do the same, see C(ip link set ... netns).
    link: https://man7.org/linux/man-pages/man8/ip-link.8.html
author:
  - nslab contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: A namespace for the interfaces
  nslab.linux.netns:
    name: red

# On the host there is a macvlan: ip link add link eth0 name mv0 type macvlan mode bridge
- name: A macvlan in a namespace, which makes it a machine of its own in the LAN of the host
  nslab.linux.ns_link:
    name: mv0
    netns: red
    addresses: [192.0.2.77/24, "2001:db8::77/64"]
    up: true

# And a second network card.
- name: A physical network card in a namespace, under a name that says what it is for
  nslab.linux.ns_link:
    name: eth1
    netns: red
    rename: wan
    addresses: [203.0.113.7/24]
    mtu: 1400
    up: true

- name: The way out by it
  nslab.linux.ns_route:
    netns: red
    routes:
      - {dst: default, via: 203.0.113.1}

- name: The same card with another MAC address and exactly these addresses
  nslab.linux.ns_link:
    name: eth1
    netns: red
    rename: wan
    mac: "52:54:00:12:34:07"
    addresses: [203.0.113.7/24, 203.0.113.8/24]
    purge_addresses: true

# And a tap: ip tuntap add mode tap name tap0
- name: A tap as second interface of a running container, whose process is known
  nslab.linux.ns_link:
    name: tap0
    netns: "pid:{{ container_pid }}"
    rename: eth1
    addresses: [10.5.0.2/24]
    up: true

- name: Give the tap back to the host, under its own name
  nslab.linux.ns_link:
    name: tap0
    netns: "pid:{{ container_pid }}"
    rename: eth1
    state: absent

- name: A bridge for the tap
  nslab.linux.bridge:
    name: br0

- name: Plug the tap in, where it is, and have it listen to everything
  nslab.linux.ns_link:
    name: tap0
    master: br0
    promisc: true
    up: true

- name: Hand an interface on, from one namespace to another
  nslab.linux.ns_link:
    name: mv0
    from: red
    netns: "pid:{{ container_pid }}"

- name: Give the macvlan back to the host
  nslab.linux.ns_link:
    name: mv0
    netns: "pid:{{ container_pid }}"
    state: absent

- name: Give the card back before its namespace goes
  nslab.linux.ns_link:
    name: eth1
    netns: red
    rename: wan
    state: absent
"""

RETURN = r"""
link:
  description: The interface as it is after the task. For O(state=absent) where it was given back; null if there is none.
  returned: success
  type: dict
  contains:
    name:
      description: Name of the interface.
      type: str
    netns:
      description: The namespace it stands in, by name, V(host), or, if it has no name, path or pid.
      type: str
    kind:
      description: Kind of link; null for a physical one.
      type: str
      sample: macvlan
    index:
      description: The kernel's number of the interface. Null in check mode if it is moved.
      type: int
    mac:
      description: MAC address; null if it has none.
      type: str
    mtu:
      description: MTU in bytes.
      type: int
    up:
      description: Whether it is set up.
      type: bool
    state:
      description: Operational state as the kernel sees it, such as V(up), V(down) or V(unknown).
      type: str
    master:
      description: The bridge it is a port of, or null.
      type: str
    addresses:
      description: Static addresses in CIDR form.
      type: list
      elements: str
    peer:
      description: The other end of a veth, its C(name) and its C(netns); null for any other kind.
      type: dict
    promisc:
      description: Whether it is set to take in all packets.
      type: bool
  sample:
    name: eth1
    netns: pid:4711
    kind: tun
    index: 9
    mac: 9e:0b:55:3f:02:d8
    mtu: 1500
    up: true
    state: down
    master: null
    addresses: [10.5.0.2/24]
    peer: null
    promisc: false
operations:
  description: What was done, or would be in check mode, in order, each step as the command line that does the same.
    Joined by newlines they are a shell script. Empty when nothing is to be done.
  returned: success
  type: list
  elements: str
  sample:
    - ip link set dev tap0 netns /proc/4711/ns/net
    - nsenter --net=/proc/4711/ns/net ip link set dev tap0 name eth1
    - nsenter --net=/proc/4711/ns/net ip addr add 10.5.0.2/24 dev eth1
    - nsenter --net=/proc/4711/ns/net ip link set dev eth1 up
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
    - ip link set dev tap0 netns /proc/4711/ns/net
"""

from ansible_collections.nslab.linux.plugins.module_utils._module import run_module
from ansible_collections.nslab.linux.plugins.module_utils._resources._ns_link import declare


def main() -> None:
    run_module(
        declare,
        argument_spec={
            "name": {"type": "str", "required": True},
            "netns": {"type": "str"},
            "from": {"type": "str"},
            "rename": {"type": "str"},
            "addresses": {"type": "list", "elements": "str"},
            "purge_addresses": {"type": "bool", "default": False},
            "mac": {"type": "str"},
            "mtu": {"type": "int"},
            "mtu_from": {"type": "str"},
            "up": {"type": "bool"},
            "master": {"type": "str"},
            "promisc": {"type": "bool"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "force": {"type": "bool", "default": False},
        },
        mutually_exclusive=[("mtu", "mtu_from")],
    )


if __name__ == "__main__":
    main()
