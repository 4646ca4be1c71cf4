#!/usr/bin/python
# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ns_nat
short_description: Let namespaces out to the network through NAT
version_added: 0.1.0
description:
  - Makes a router of the host, or of a namespace, so that what is behind it reaches the outside although no one out
    there has a route back. Packets that leave by the uplink get the router's own address (masquerading), or one that
    is chosen. With O(publish) services behind the router are reached at a port of the router.
  - One task is one rule set with a O(name). A router may have many, for different networks behind it. Both families
    are handled, IPv4 and IPv6.
  - Sets two things. Firewall rules in an nftables table of our own, C(inet nslab), changed in one step so that no
    packet meets half of them; and the kernel's switches that let a router forward.
  - The firewall part lets the interfaces O(inside) talk to each other and to the uplink, and lets from the uplink in
    what O(inbound) and O(publish) allow.
  - Rules, chains and tables of others are never changed. Switches that a rule set turned on are recorded under
    C(/run/nslab), with the rule sets that use them; the last one to be removed puts them back, if nobody has changed
    them since.
  - After a change, what the kernel remembers of the flows concerned (conntrack) is flushed, so that they meet the new
    rules with their next packet.
  - When a step fails, what the task has done so far is undone.
extends_documentation_fragment:
  - nslab.linux.attributes
  - nslab.linux.attributes.changes
  - nslab.linux.netns
requirements:
  - nf_tables in the kernel of the managed host; the command C(nft) is not needed
options:
  name:
    description:
      - Name of the rule set, 1 to 24 of C(a-z), C(0-9) and C(_). It is the identity by which a later task finds it,
        and is written in a comment beside each of its rules.
    type: str
    required: true
  state:
    description:
      - V(present) makes the rule set, or changes the one of that name to what is declared.
      - V(absent) removes it. O(name) and O(netns) are enough.
    type: str
    choices: [present, absent]
    default: present
  sources:
    description:
      - Networks behind the router whose packets get its address, in CIDR form, IPv4 and IPv6.
      - Left out, it is every network on the interfaces O(inside); of IPv4, and of IPv6 if one of these interfaces has
        an address of it that is not link-local.
      - One of O(sources) and O(inside) is required for O(state=present).
    type: list
    elements: str
  inside:
    description:
      - Interfaces of the router towards the networks behind it, such as a bridge.
      - Left out, they are found out, as the interfaces that have an address in O(sources) or a route to them.
      - An interface belongs to one rule set. It is an error, which names the other, to use it in a second.
    type: list
    elements: str
  uplink:
    description:
      - Interfaces of the router towards the outside, by name.
      - V(auto) is the one that carries the default route at the time of the task, for each family its own. If only
        one of two families has a default route, the other has no way out, and a warning says so.
      - V(any) is every interface that is not O(inside).
    type: list
    elements: str
    default: [auto]
  mode:
    description:
      - V(masquerade) gives packets that leave the address that the uplink has at that time.
      - V(snat) gives them an address of O(to_source), which does not change with the uplink's.
      - V(none) leaves addresses as they are. It only forwards, and is for networks to which the outside has a route.
    type: str
    choices: [masquerade, snat, none]
    default: masquerade
  to_source:
    description:
      - The addresses that packets get with O(mode=snat), at most one of each family. One is needed for each family in
        O(sources).
      - An address that no link of the router holds has to be routed to it by somebody else; a warning says so.
    type: list
    elements: str
  inbound:
    description:
      - What may come in from the uplink.
      - V(established) is answers to what was asked from inside. New connections are rejected, so that who tries is told.
      - V(any) is new connections too.
    type: str
    choices: [established, any]
    default: established
  publish:
    description:
      - Services behind the router that are reached at a port of the router, from outside, from the router itself, and
        from the interfaces O(inside) (where the router's address stands for the client's, or the answer would not find
        back).
      - What the rule set published before and is not listed any more is taken back; with an empty list that is all. Left
        out, it is not managed.
      - A port has one target. It is an error, which names the other, to publish it twice, in another rule set too.
      - At C(127.0.0.1) and C(::1) nothing is published, since the kernel forwards nothing from there.
      - A service of the router itself that listens on such a port is no longer reached there.
    type: list
    elements: dict
    suboptions:
      protocol:
        description:
          - The transport protocol.
        type: str
        choices: [tcp, udp]
        default: tcp
      port:
        description:
          - The port of the router, V(8080), or a range, V(5000-5010).
        type: str
        required: true
      address:
        description:
          - The address of the router at which the port is published, of the family of O(publish[].to).
          - Left out, it is any of the router's.
        type: str
      to:
        description:
          - The address of the service, IPv4 or IPv6, in O(sources) if these are given.
        type: str
        required: true
      to_port:
        description:
          - The port of the service. For a range it is the first, or a range of as many; at most 1024 ports lead to
            other numbers than their own.
          - Left out, the port number stays the same.
        type: str
  ip_forward:
    description:
      - How the kernel is told to forward, for the families in use.
      - V(interface) turns it on only for O(inside) and the uplink (C(net.ipv4.conf.NAME.forwarding),
        C(net.ipv6.conf.NAME.force_forwarding)). Where this turned it on for the uplink, new connections that enter
        there for anything but O(inside) are dropped, so that the host does not become a router for its neighbours.
      - Before Linux 6.17 the kernel has no such switch for IPv6. There C(net.ipv6.conf.all.forwarding) is turned on,
        with a warning.
      - V(global) turns on C(net.ipv4.ip_forward) and C(net.ipv6.conf.all.forwarding), that is, all interfaces.
      - A link that takes router advertisements would lose its IPv6 default route when
        C(net.ipv6.conf.all.forwarding) is turned on. Its C(accept_ra) is set to 2 first, with a warning.
      - V(keep) turns on no switch. Use it if forwarding is on already or managed elsewhere. What the rule set turned on
        before is put back.
    type: str
    choices: [interface, global, keep]
    default: interface
  firewall:
    description:
      - What is done when a chain of another firewall (Docker's, firewalld's, ufw's, a policy or rule of nftables,
        iptables-nft or iptables-legacy) would drop or reject what this rule set is to let pass. An accept of ours is of
        no use against that.
      - V(auto) warns, with the name of the chain and the commands that let it pass there. Nothing is changed in it.
      - V(fail) refuses, before anything is changed, where that is certain; where it only might, it warns.
      - V(ignore) does not look.
    type: str
    choices: [auto, ignore, fail]
    default: auto
notes:
  - Not touched are the tables, chains and rules of others, their flows, the bridge's switches
    C(net.bridge.bridge-nf-call-*), and every other interface. Nothing is opened in another firewall.
  - The interfaces and the default route that the task needs must exist. In check mode a missing one is assumed to be
    coming, with a warning.
  - What has drifted (a rule gone or added in our chains, a switch turned off, another default route) is put right by
    the next run, which changes only that.
  - Look at the rules with C(nft list table inet nslab).
  - In a printed operation, flows are flushed with C(conntrack) of conntrack-tools; the module itself does not need it.
  - With C(net.bridge.bridge-nf-call-iptables) on, a service that is plugged into a bridge does not reach itself by its
    published port; its neighbours do.
  - The rules do not outlive a reboot.
seealso:
  - module: nslab.linux.ns_route
  - module: nslab.linux.bridge
  - module: nslab.linux.ns_resolv
  - module: nslab.linux.lab
  - name: nft(8)
    description: The command with which people write such rules.
    link: https://man7.org/linux/man-pages/man8/nft.8.html
  - name: IP sysctl
    description: What the kernel's switches mean.
    link: https://docs.kernel.org/networking/ip-sysctl.html
author:
  - nslab contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: A namespace
  nslab.linux.netns:
    name: red

- name: A cable to it
  nslab.linux.veth:
    name: to-red
    addresses: [10.1.0.1/24]
    peer: {name: eth0, netns: red, addresses: [10.1.0.2/24]}

- name: Its default route
  nslab.linux.ns_route:
    netns: red
    routes:
      - {dst: default, via: 10.1.0.1}

- name: Let it out
  nslab.linux.ns_nat:
    name: red
    sources: [10.1.0.0/24]

- name: The same, saying all
  nslab.linux.ns_nat:
    name: red
    sources: [10.1.0.0/24]
    inside: [to-red]
    uplink: [auto]
    mode: masquerade
    inbound: established
    ip_forward: interface

- name: A bridge with a network of its own
  nslab.linux.bridge:
    name: br0
    addresses: [10.2.0.1/24]

- name: Let out all that is plugged into the bridge, by whatever interface leads there
  nslab.linux.ns_nat:
    name: lab
    inside: [br0]
    uplink: [any]

- name: A namespace that is a router itself, between a network behind it and the cable to the host
  nslab.linux.netns:
    name: [router, blue]

- name: Its cables
  nslab.linux.veth:
    pairs:
      - name: to-router
        addresses: [10.3.0.1/30]
        peer: {name: wan, netns: router, addresses: [10.3.0.2/30]}
      - name: eth0
        netns: blue
        addresses: [10.4.0.2/24]
        peer: {name: lan, netns: router, addresses: [10.4.0.1/24]}

- name: The routes
  nslab.linux.ns_route:
    routes:
      - {netns: router, dst: default, via: 10.3.0.1}
      - {netns: blue, dst: default, via: 10.4.0.1}

- name: NAT in the router
  nslab.linux.ns_nat:
    name: lan
    netns: router
    inside: [lan]
    uplink: [wan]

- name: And on the host, for the router
  nslab.linux.ns_nat:
    name: router
    sources: [10.3.0.0/30]

- name: Forward without NAT, and let new connections in
  nslab.linux.ns_nat:
    name: lan
    netns: router
    inside: [lan]
    uplink: [wan]
    mode: none
    inbound: any

- name: Publish a web server in blue at port 8080 of the router, and its DNS at one address
  nslab.linux.ns_nat:
    name: lan
    netns: router
    inside: [lan]
    uplink: [wan]
    publish:
      - {port: "8080", to: 10.4.0.2, to_port: "80"}
      - {port: "53", protocol: udp, address: 10.3.0.2, to: 10.4.0.2}

- name: A dual stack bridge
  nslab.linux.bridge:
    name: br1
    addresses: [10.5.0.1/24, "fd00:5::1/64"]

- name: Let both families out, the published service too
  nslab.linux.ns_nat:
    name: dual
    sources: [10.5.0.0/24, "fd00:5::/64"]
    publish:
      - {port: "443", to: 10.5.0.2}
      - {port: "443", to: "fd00:5::2"}

- name: Give what leaves an address that stays
  nslab.linux.ns_nat:
    name: lab
    inside: [br0]
    mode: snat
    to_source: [198.51.100.2]

- name: Remove a rule set
  nslab.linux.ns_nat:
    name: red
    state: absent
"""

RETURN = r"""
nat:
  description: The rule set as it is after the task. Null for O(state=absent).
  returned: success
  type: dict
  contains:
    uplink:
      description: The uplinks that are used, for each family.
      type: dict
      contains:
        ipv4:
          description: Names of the interfaces. Empty when every interface that is not O(inside) is one, and when the
            rule set does not handle the family.
          type: list
          elements: str
        ipv6:
          description: As RV(nat.uplink.ipv4).
          type: list
          elements: str
    rules:
      description: The rules of this rule set, as C(nft) writes them, and the elements of the maps of published ports.
      type: list
      elements: str
    sysctls:
      description: The kernel's switches that this rule set uses, each with its value.
      type: dict
    blockers:
      description: The chains of other firewalls that would stop flows of this rule set. Null with O(firewall=ignore).
      type: list
      elements: dict
      contains:
        chain:
          description: Family, table and name of the chain.
          type: str
          sample: ip filter FORWARD
        backend:
          description: V(nftables), V(iptables-nft) or V(iptables-legacy).
          type: str
        manager:
          description: Whose it is, as far as its name tells, such as V(docker), V(firewalld), V(ufw). Null if it does not.
          type: str
        action:
          description: What it does, V(drop) or V(reject), or the word of a verdict of which nobody knows what it does.
          type: str
        why:
          description: The rule, or V(policy drop).
          type: str
        certain:
          description: Whether all of a flow ends there. Otherwise it might, depending on what the chain asks.
          type: bool
        flows:
          description: Which ones are stopped, by interfaces and family.
          type: list
          elements: str
          sample: [br0 -> eth0 (ipv4)]
        done:
          description: What was done about it. Always null, since nothing is.
          type: str
  sample:
    uplink: {ipv4: [eth0], ipv6: []}
    rules:
      - ip saddr 10.1.0.0/24 masquerade comment "nslab:red:masquerade"
    sysctls:
      net/ipv4/conf/eth0/forwarding: "1"
      net/ipv4/conf/to-red/forwarding: "1"
    blockers: []
operations:
  description: What was done, or would be in check mode, in order, each step as the command line that does the same.
    Joined by newlines they are a shell script. Empty when nothing is to be done.
  returned: success
  type: list
  elements: str
  sample:
    - sysctl -w net/ipv4/conf/to-red/forwarding=1
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
    - sysctl -w net/ipv4/conf/to-red/forwarding=1
"""

from ansible_collections.nslab.linux.plugins.module_utils._module import run_module
from ansible_collections.nslab.linux.plugins.module_utils._resources._nat import declare


def main() -> None:
    run_module(
        declare,
        argument_spec={
            "name": {"type": "str", "required": True},
            "netns": {"type": "str"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "sources": {"type": "list", "elements": "str"},
            "inside": {"type": "list", "elements": "str"},
            "uplink": {"type": "list", "elements": "str", "default": ["auto"]},
            "mode": {"type": "str", "choices": ["masquerade", "snat", "none"], "default": "masquerade"},
            "to_source": {"type": "list", "elements": "str"},
            "inbound": {"type": "str", "choices": ["established", "any"], "default": "established"},
            "publish": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "protocol": {"type": "str", "choices": ["tcp", "udp"], "default": "tcp"},
                    "port": {"type": "str", "required": True},
                    "address": {"type": "str"},
                    "to": {"type": "str", "required": True},
                    "to_port": {"type": "str"},
                },
            },
            "ip_forward": {"type": "str", "choices": ["interface", "global", "keep"], "default": "interface"},
            "firewall": {"type": "str", "choices": ["auto", "ignore", "fail"], "default": "auto"},
        },
        required_if=[("state", "present", ("sources", "inside"), True)],
    )


if __name__ == "__main__":
    main()
