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
  - Takes a whole lab as one value - namespaces, bridges, the links between them, addresses, routes, NAT, name
    resolution - and makes it so in one task, all or nothing. A lab that is there is changed in place. What no longer
    stands in the definition is removed, and nothing else.
  - The parts mean what they mean in the modules that make them one by one, M(nslab.linux.netns),
    M(nslab.linux.bridge), M(nslab.linux.veth), M(nslab.linux.ns_route), M(nslab.linux.ns_nat) and
    M(nslab.linux.ns_resolv). An option that is left out is not managed.
  - A node is what a link leads to. It is a namespace, a bridge, or V(host), the namespace in which the module itself
    runs. A node is named once, over namespaces and bridges.
  - A link is a veth pair. It is written as in containerlab, C(endpoints) with two times V(node:interface), C(mtu),
    and the long form with C(node), C(interface) and C(mac), so that the links of such a topology can be taken as they
    stand.
  - The whole definition is checked before anything is touched, with what other labs and the host have, and all that
    is wrong with it is told at once, each fault with its place in the definition (RV(errors)). A node that does not
    exist, an endpoint that is used twice, an address or a network that occurs twice, a gateway that no link reaches,
    a port too many, names that clash, a key that is not known.
  - What the lab has made is remembered on the host, in its ledger C(/run/nslab/lab.NAME). By that a later run knows
    what is the lab's own. It is a journal, written before a thing is made and after it is gone, so that what a run
    had made which was killed is known too, and the next one completes it, or, with O(state=absent), removes it.
extends_documentation_fragment:
  - nslab.linux.attributes
  - nslab.linux.attributes.changes
  - nslab.linux.links
requirements:
  - nf_tables in the kernel of the managed host, for O(nat)
options:
  name:
    description:
      - Name of the lab, the identity by which a later task finds it. It is made like that of a namespace, of letters,
        digits and C(_ . + -), and has at most 64 characters.
      - Required, here or in O(definition).
    type: str
  definition:
    description:
      - O(name), O(prefix), O(namespaces), O(nodes), O(bridges), O(links), O(nat), O(defaults), O(hosts) and
        O(overlap) as one dict, for a lab that stands in a file or a variable. Whatever is not in it may be given
        beside it. A key that is given in both places with two values is an error.
    type: dict
  prefix:
    description:
      - What goes before the names of the lab's namespaces on the host. With V(a-) the node V(web) is the namespace
        C(a-web). In the definition it is called V(web) all the same, and so it is in the results and in the files of
        O(hosts). Bridges and interfaces keep their names.
      - Left out, it is nothing. With another one the namespaces are others and made anew; the links are moved there.
    type: str
  namespaces:
    description:
      - The namespaces, a dict of their options by name. V({}) or nothing at all is a namespace with its loopback up.
      - C(loopback) - whether C(lo) is up, V(true) if left out.
      - C(sysctl) - kernel settings inside, name to value, as in O(nslab.linux.netns#module:sysctl). Those of a link,
        such as C(net.ipv4.conf.eth0.rp_filter), are set when the link is there. One that is no longer declared keeps
        its value, since nobody knows which one it should have.
      - C(routes) - a list of routes as in O(nslab.linux.ns_route#module:routes), each with C(dst) (V(default) or
        CIDR) and C(via), C(dev), C(src), C(metric) (a number, lower ones win), C(table) (a number, or V(main)),
        C(scope), C(type) (V(unicast), V(blackhole), V(unreachable), V(prohibit)), C(onlink), C(mtu) (bytes), or
        C(nexthops), a list of C(via), C(dev) and C(weight) (shares). A route is known by its destination, table and
        metric; other routes are left as they are.
      - C(resolv) - how names are resolved inside, C(nameservers), C(search), C(options) and C(hosts) (name to address
        or addresses) as in M(nslab.linux.ns_resolv). The word V(host) among C(nameservers) stands for those of the
        host.
    type: dict
  nodes:
    description:
      - Many namespaces that are alike, one dict or a list of such.
      - C(count) - their number, 0 to 65535. Required.
      - C(prefix) - what goes before their numbers, V(ns) if left out. They are called C(ns1), C(ns2) and so on.
      - C(bridge) - a bridge of the lab into which each of them is plugged.
      - C(interface) - what the interface inside that leads to this bridge is called, V(eth0) if left out.
      - C(loopback), C(sysctl), C(routes), C(resolv) - as in O(namespaces), for each of them. What O(namespaces) says
        of one of these namespaces besides goes before.
    type: raw
  bridges:
    description:
      - The bridges, a dict of their options by name, which is that of the interface, 1 to 15 characters.
      - C(netns) - the namespace of the lab in which the bridge stands. Left out, it stands on the host.
      - C(subnet) - a network as CIDR, or a list of one of each family. Who is plugged in has an address of it, see
        O(links).
      - C(addresses), C(purge_addresses) (V(true) if left out), C(mac), C(mtu) (bytes), C(mtu_from), C(up) (V(true) if
        left out), C(stp), C(forward_delay) and C(ageing_time) (seconds), C(multicast_snooping), C(ports),
        C(purge_ports) (V(false) if left out), C(force) - as in M(nslab.linux.bridge).
      - Links of the lab are plugged in by their endpoints. C(ports) is for interfaces that others made; they are
        unplugged when they are no longer declared, and when the bridge goes. As long as another one is plugged in by
        hand, the bridge is not removed, and the task says so.
      - A new bridge without C(mac) gets one that is derived from C(/etc/machine-id), the lab, its namespace and its
        name, so that it stays the same whatever is plugged in later. That of a bridge that is there is left.
    type: dict
  links:
    description:
      - The links, a list.
      - C(endpoints) - the two ends. Required. An end is a text, V(web:eth0), or a dict, C(node) and C(interface) with
        C(addresses), C(purge_addresses) (V(true) if left out), C(mac), C(mtu) (bytes), C(mtu_from) and C(up) (V(true)
        if left out) as in M(nslab.linux.veth).
      - An end at a bridge is a port of it and stands in the bridge's namespace. It has no addresses; the bridge has.
        An end at V(host) is on the host.
      - At a bridge and at V(host) the interface may be left out (V(br0), or a dict with C(node) alone). It is then
        called C(v) and ten hexadecimal digits, a hash of the name of the lab and of node and interface of the other
        end, so that it stays the same when links are added or put in another order.
      - C(mtu) (bytes), C(mtu_from) - of both ends.
      - C(subnet) - a network as CIDR, or a list of one of each family. The first end has its first address, the
        second the next.
      - C(type) - V(veth), which goes without saying. C(labels) and C(vars), which containerlab has, mean nothing
        here. Links of its other types are refused.
      - Addresses of a C(subnet) are given out in the order of the definition. Of a bridge's the bridge itself has the
        first, then come the far ends of its links, those of O(nodes) before those of O(links). An end that declares
        C(addresses) of the same family, or none with an empty list, keeps to these. So does a bridge that declares
        one in the subnet. What is declared anywhere is not given out. The first address of an IPv4 network and the
        last are left out, and of an IPv6 network the first, but for V(/31) and V(/127).
      - Who has got an address keeps it, since the ledger remembers which, until a reboot. A node that is added,
        removed or put in another place changes nobody else's address.
      - A link that is renamed, or moved to another node, at one end or both, is moved and not made anew, as long as
        one of its ends, or the two nodes that it joins, are as they were. It takes addresses of its C(subnet) along.
    type: list
    elements: dict
  nat:
    description:
      - Rule sets as in M(nslab.linux.ns_nat), a list of dicts. Their names are derived from that of the lab,
        C(lab_NAME) for the first of a router, if that is a name there, else a hash.
      - C(netns) - the namespace of the lab that is the router. Left out, it is the host.
      - C(sources), C(inside), C(uplink) (V([auto]) if left out), C(mode) (V(masquerade), V(snat), V(none)),
        C(to_source), C(inbound) (V(established), V(any)), C(publish) (a list of C(protocol), C(port), C(address),
        C(to) and C(to_port)), C(ip_forward) (V(interface), V(global), V(keep)), C(firewall) (V(auto), V(ignore),
        V(fail)) - as there, with the same defaults.
      - With neither C(sources) nor C(inside), C(inside) is the interfaces of the lab in that place which lead into
        the lab. Not the uplinks that are named, not the one that leads to the host, and not that of the router's own
        default route.
    type: list
    elements: dict
  defaults:
    description:
      - What holds for all that say nothing else.
      - C(namespaces) - C(loopback), C(sysctl), C(routes) and C(resolv) of each namespace. Sysctls add up; the others
        are one thing each, taken or replaced as a whole.
      - C(bridges) - the options of each bridge but C(addresses), C(subnet), C(mac) and C(ports).
      - C(links) - C(mtu) (bytes) or C(mtu_from) of each link.
    type: dict
  hosts:
    description:
      - Whether every namespace knows every other by the name of its node. C(/etc/netns/NAME/hosts) then has all of
        their addresses, IPv4 and IPv6, and the C(hosts) of its own C(resolv).
      - Left out, it is V(false).
    type: bool
  overlap:
    description:
      - Whether addresses and networks that occur twice are meant, as long as they are in different segments (what
        links and bridges join) and in different namespaces. Left out, it is V(false), and they are refused.
      - Networks that other labs or the host use are refused in either case.
    type: bool
  state:
    description:
      - V(present) makes the lab, or changes the one of that name to what is declared.
      - V(absent) removes what the lab has made. Its O(name) is enough. Other options of the definition are not looked
        at.
    type: str
    choices: [present, absent]
    default: present
  prune:
    description:
      - Whether what an earlier run of the same lab made, and what this definition no longer has, is removed. The
        namespaces, bridges, links, addresses, routes, rule sets and resolver files in its ledger are meant, and
        nothing else.
      - With V(false) it stays, and stays in the ledger, so that a later run may remove it.
    type: bool
    default: true
  adopt:
    description:
      - What is done with a namespace, a bridge, a link, a rule set or a resolver file that exists, and that is not in
        the ledger of this lab.
      - V(false) refuses it, as one that belongs to somebody else.
      - V(true) takes it, and sets what is declared of it. It does not come into the ledger, so neither O(prune) nor
        O(state=absent) ever removes it; only what was added to it is. Addresses that it has and that are not declared
        are left, whatever C(purge_addresses) says. A later run needs V(true) as well.
    type: bool
    default: false
  processes:
    description:
      - What is done when processes still run inside a namespace that is to be removed.
      - V(fail) refuses, naming them with their pids, before anything is changed.
      - V(ignore) removes the name all the same. The namespace ends when the last of them does. Its links go at once.
      - V(terminate) ends them, with SIGTERM, and with SIGKILL those that do not heed it. This cannot be undone, so it
        is done last.
    type: str
    choices: [fail, ignore, terminate]
    default: fail
notes:
  - The task is one transaction. A step that fails, whichever, undoes all that came before it, in every namespace, and
    RV(undone) names it.
  - A run that is killed leaves what it had made so far, and all of that is in the ledger. The same task completes it,
    and O(state=absent) removes it. The kernel's state goes with a reboot or a power cut, and the ledger with it; the
    same task then makes the lab anew. The files in C(/etc/netns) stay, and that they are the lab's stands in
    C(/var/lib/nslab/lab.NAME), so that they are not taken for somebody else's and O(state=absent) finds them.
  - Not touched are namespaces, links, addresses, routes, rules and files that are not in the definition or the
    ledger, and sysctls that are not declared. Exceptions are addresses that somebody else adds to a link or a bridge
    whose addresses are declared or given by a C(subnet) (see C(purge_addresses)), and the switches of
    M(nslab.linux.ns_nat).
  - A network on the host must be nobody else's. It is refused if another lab has it, or the host an address in it or
    a route to it by a link that is not the lab's.
  - Changes are the smallest that lead there. A link that is added to a lab of hundreds touches nothing but itself;
    who talks meanwhile is not interrupted.
  - With C(--diff) what changes is shown, and nothing else, grouped by namespace, the host last.
  - Messages for the kernel are put together in few sends, and a bridge is set up last, so that the time for a
    namespace does not grow with their number; C(benchmarks) has figures. What took how long is returned as
    RV(timings). pyroute2 is needed only for O(nat), but has to be there.
  - A kernel takes at most 1023 ports at one bridge. For more, join two bridges by a link.
seealso:
  - module: nslab.linux.netns
  - module: nslab.linux.bridge
  - module: nslab.linux.veth
  - module: nslab.linux.ns_route
  - module: nslab.linux.ns_nat
  - module: nslab.linux.ns_resolv
  - module: nslab.linux.ns_probe
  - name: The definition of a containerlab topology
    description: Where the notation of links comes from.
    link: https://containerlab.dev/manual/topo-def-file/
author:
  - nslab contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: A web server and its database behind the address of the host
  nslab.linux.lab:
    name: two_tier
    namespaces:
      web: {routes: [{dst: default, via: 10.1.0.1}], resolv: {nameservers: [host]}}
      db: {sysctl: {net.ipv4.ip_forward: "1"}}
    bridges:
      br0: {addresses: [10.1.0.1/24]}
    links:
      - endpoints: [{node: web, interface: eth0, addresses: [10.1.0.10/24]}, {node: br0}]
      - endpoints: ["web:eth1", "db:eth0"]
        mtu: 1400
    nat:
      - sources: [10.1.0.0/24]

- name: The same lab, changed in place - a cache more, and a smaller MTU
  nslab.linux.lab:
    name: two_tier
    namespaces:
      web: {routes: [{dst: default, via: 10.1.0.1}], resolv: {nameservers: [host]}}
      db: {sysctl: {net.ipv4.ip_forward: "1"}}
      cache: {}
    bridges:
      br0: {addresses: [10.1.0.1/24]}
    links:
      - endpoints: [{node: web, interface: eth0, addresses: [10.1.0.10/24]}, {node: br0}]
      - endpoints: ["web:eth1", "db:eth0"]
        mtu: 1300
      - endpoints: [{node: cache, interface: eth0, addresses: [10.1.0.11/24]}, {node: br0}]
    nat:
      - sources: [10.1.0.0/24]

- name: An office on a bridge, dual stack, with NAT, addresses by themselves, and names for everybody
  nslab.linux.lab:
    name: office
    nodes:
      count: 3
      prefix: pc
      bridge: office0
      routes: [{dst: default, via: 10.2.0.1}, {dst: default, via: "fd00:2::1"}]
    bridges:
      office0: {subnet: [10.2.0.0/24, "fd00:2::/64"]}
    nat:
      - sources: [10.2.0.0/24, "fd00:2::/64"]
    defaults:
      namespaces: {resolv: {nameservers: [host]}}
    hosts: true

- name: Routers in a row, in the notation of containerlab
  nslab.linux.lab:
    name: row
    namespaces:
      client: {routes: [{dst: default, via: 10.3.1.2}]}
      router: {sysctl: {net.ipv4.ip_forward: 1}}
      server: {routes: [{dst: default, via: 10.3.2.1}]}
    links:
      - endpoints: ["client:eth1", "router:eth1"]
        subnet: 10.3.1.0/30
      - endpoints: ["router:eth2", "server:eth1"]
        subnet: 10.3.2.0/30

- name: Plug somebody into that router, and leave the rest of the lab as it is
  nslab.linux.lab:
    name: row
    namespaces: {router: {}, guest: {routes: [{dst: default, via: 10.3.3.2}]}}
    links:
      - endpoints: ["guest:eth1", "router:eth3"]
        subnet: 10.3.3.0/30
    prune: false

- name: Two customers with the same addresses, kept apart
  nslab.linux.lab:
    name: customers
    prefix: customer-
    namespaces: {a1: {}, a2: {}, b1: {}, b2: {}}
    links:
      - {endpoints: ["a1:eth0", "a2:eth0"], subnet: 10.4.0.0/30}
      - {endpoints: ["b1:eth0", "b2:eth0"], subnet: 10.4.0.0/30}
    overlap: true

- name: A lab that stands in a file
  nslab.linux.lab:
    definition: "{{ lookup('ansible.builtin.file', 'ring.yml') | from_yaml }}"

- name: The nodes and links of a containerlab topology
  nslab.linux.lab:
    name: topology
    prefix: clab-
    namespaces: "{{ dict(clab.topology.nodes | product([{}])) }}"
    links: "{{ clab.topology.links }}"
  vars:
    clab: "{{ lookup('ansible.builtin.file', 'topology.clab.yml') | from_yaml }}"

- name: A bridge that is there before the lab
  nslab.linux.bridge:
    name: lan0
    addresses: [10.5.0.254/24]

- name: Plug namespaces into it; the bridge is never removed
  nslab.linux.lab:
    name: guests
    nodes: {count: 2, prefix: guest, bridge: lan0}
    bridges:
      lan0: {subnet: 10.5.0.0/24}
    adopt: true

- name: Remove a lab, and end what still runs in it
  nslab.linux.lab:
    name: office
    state: absent
    processes: terminate

- name: Remove another; the bridge that it adopted stays
  nslab.linux.lab:
    name: guests
    state: absent
"""

RETURN = r"""
lab:
  description: The lab as it is after the task. Null for O(state=absent).
  returned: success
  type: dict
  contains:
    name:
      description: Name of the lab.
      type: str
    namespaces:
      description: The namespaces, by node.
      type: dict
      contains:
        name:
          description: The name that the namespace has on the host, with O(prefix).
          type: str
        path:
          description: The file under which it is bound.
          type: str
        inode:
          description: The number that tells this namespace from every other that lives. Null in check mode for one that
            is not made yet.
          type: int
        links:
          description: The interfaces inside that belong to links of the lab, by name, each as in RV(lab.links).
          type: dict
    bridges:
      description: The bridges, by name, each as in RV(nslab.linux.bridge#module:bridge).
      type: dict
      contains:
        name:
          description: Name of the bridge.
          type: str
        netns:
          description: The namespace it stands in, by its name on the host, or V(host).
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
          description: Static addresses in CIDR form, those of its C(subnet) among them.
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
    links:
      description: Each end of each link, by node and interface, V(web:eth0).
      type: dict
      contains:
        name:
          description: Name of the interface.
          type: str
        netns:
          description: The namespace it stands in, by its name on the host, or V(host).
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
          description: Static addresses in CIDR form, those of a C(subnet) among them.
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
  sample:
    name: two_tier
    namespaces:
      web:
        name: web
        path: /run/netns/web
        inode: 4026532288
        links:
          eth0: &eth0
            name: eth0
            netns: web
            kind: veth
            index: 2
            mac: ea:2e:07:82:31:9d
            mtu: 1500
            up: true
            state: up
            master: null
            addresses: [10.1.0.10/24]
            peer: {name: v58d25618c3, netns: host}
    bridges:
      br0:
        name: br0
        netns: host
        kind: bridge
        index: 4
        mac: 02:b4:41:cf:7b:f1
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
        ports: [v58d25618c3]
    links:
      web:eth0: *eth0
      br0:v58d25618c3:
        name: v58d25618c3
        netns: host
        kind: veth
        index: 5
        mac: 86:f3:6a:39:8f:50
        mtu: 1500
        up: true
        state: up
        master: br0
        addresses: []
        peer: {name: eth0, netns: web}
timings:
  description: The seconds that the module's work took, phase by phase. Not among them is what Ansible needs to bring the
    module to the host and to start it.
  returned: success
  type: dict
  contains:
    observe:
      description: Reading the state of the kernel and the ledger.
      type: float
    plan:
      description: Checking the definition against it, and planning.
      type: float
    apply:
      description: Carrying the plan out. Only where something was changed.
      type: float
    verify:
      description: Reading the state once more, to see that it holds. Only where something was changed.
      type: float
    total:
      description: All of it.
      type: float
  sample: {observe: 0.013712, plan: 0.023835, apply: 0.213972, verify: 0.098306, total: 0.349825}
operations:
  description: What was done, or would be in check mode, in order, each step as the command line that does the same.
    Joined by newlines they are a shell script. Empty when nothing is to be done.
  returned: success
  type: list
  elements: str
  sample:
    - ip netns add web
    - ip link add name br0 address 02:b4:41:cf:7b:f1 type bridge
    - ip link add name v58d25618c3 master br0 type veth peer name eth0 netns web
    - ip -n web link set dev lo up
    - ip -n web addr add 10.1.0.10/24 dev eth0
    - ip -n web link set dev eth0 up
    - ip link set dev v58d25618c3 up
    - ip addr add 10.1.0.1/24 dev br0
    - ip link set dev br0 up
errors:
  description: All that is wrong with the definition, or stands in its way on the host.
  returned: failure before the first change
  type: list
  elements: dict
  contains:
    path:
      description: The place in the definition. Empty for what the ledger has and the definition has not.
      type: str
    text:
      description: What is wrong, and what to do.
      type: str
  sample:
    - path: links[1].endpoints[0]
      text: "no namespace or bridge is called 'wbe': did you mean web? there are host, web, db, br0"
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
    - ip netns add web
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
