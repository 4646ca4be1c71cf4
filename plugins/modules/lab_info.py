#!/usr/bin/python
# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: lab_info
short_description: See what there is in network namespaces
version_added: 0.1.0
description:
  - Reads, of every network namespace that has a name and of the host, the links with their addresses and where each veth leads, the
    routes, the neighbours, the NAT rule sets, the resolver files, the forwarding switches and the processes, and returns all
    of it as one dict.
  - Whoever made it, by hand, by C(ip netns) or by a module of this collection. What a lab made says so.
  - Changes nothing, and waits for nobody, a task that is changing the host included. What can't be read is null, never empty,
    and a warning says why. A namespace that can't be read, such as one that has gone meanwhile, does not fail the task.
  - A thousand namespaces take a second or two.
options:
  netns:
    description:
      - The namespaces to be looked at, each given by its name, by an absolute path such as V(/proc/4711/ns/net), as V(pid:4711),
        or as V(host), the namespace in which the module itself runs.
      - If it is left out, those are all that stand under C(/run/netns), and the host.
    type: list
    elements: str
  lab:
    description:
      - The name of a lab that was made by M(nslab.linux.lab). Its namespaces are looked at, those of others to which it has
        plugged something, and the host.
      - An error if no such lab is on the host.
    type: str
attributes:
  check_mode:
    description: Can run in check mode, where it does the same.
    support: full
  diff_mode:
    description: Nothing is changed, so there is nothing to show.
    support: N/A
  idempotent:
    description: Nothing is changed, however often it runs.
    support: full
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
requirements:
  - Python 3.9 or later on the managed host
  - pyroute2 0.7.2 or later on the managed host to read NAT rule sets, where there are some; the rest needs none
  - the capabilities CAP_NET_ADMIN and CAP_SYS_ADMIN on the managed host; C(become=true) gives them
notes:
  - Namespaces stand in the order of their names, the host first, with O(netns) in the order of that list; links in the order in
    which they were made; routes by family, table and destination; neighbours by link and address.
  - A namespace that has several names appears under each of them. Where it is named as that of a peer, that is by the first of its names.
  - The namespaces are read one after the other. While a lab is being made or changed, one of them may be seen as it was before
    and the next as it is after. A reading that the kernel interrupts because something changed is made anew.
seealso:
  - module: nslab.linux.lab
  - module: nslab.linux.ns_probe
  - name: ip-netns(8)
    description: The command with which people look into a namespace.
    link: https://man7.org/linux/man-pages/man8/ip-netns.8.html
author:
  - nslab contributors (!UNKNOWN)
"""

EXAMPLES = r"""
# The namespaces web and db hang on the bridge br0 of the host, which is the lab two_tier.
- name: See all namespaces and the host
  nslab.linux.lab_info:
  register: seen

- name: Nobody has left a link down, and every namespace knows its nameserver
  ansible.builtin.assert:
    that:
      - seen.namespaces.values() | select | map(attribute='links') | map('dict2items') | flatten | rejectattr('value.up') | length == 0
      - seen.namespaces.web.resolv.nameservers == ['192.0.2.53']

- name: See some of them, one of which is that of a container
  nslab.linux.lab_info:
    netns: [web, "pid:{{ container_pid }}"]

- name: See what belongs to a lab
  nslab.linux.lab_info:
    lab: two_tier
  register: lab

- name: Tell where the cables end
  ansible.builtin.debug:
    msg: "{{ item.netns }} {{ item.name }} leads to {{ item.peer.netns }} {{ item.peer.name }}"
  loop: "{{ lab.namespaces.values() | select | map(attribute='links') | map('dict2items') | flatten | map(attribute='value')
    | selectattr('peer') }}"
  loop_control:
    label: "{{ item.netns }} {{ item.name }}"

- name: Wait until nobody runs in there any more
  nslab.linux.lab_info:
    netns: [db]
  register: look
  until: look.namespaces.db is none or look.namespaces.db.pids == []
  retries: 30
  delay: 1
"""

RETURN = r"""
namespaces:
  description: What was seen, by the name of each namespace as it was given, V(host) for the host. Null for one that can't be read.
  returned: success
  type: dict
  contains:
    path:
      description: The file by which the namespace is reached. Null for the host.
      type: str
      sample: /run/netns/web
    inode:
      description: The number by which the kernel knows the namespace, as C(readlink /proc/self/ns/net) shows it inside.
      type: int
      sample: 4026532281
    lab:
      description: The lab that made the namespace, by its ledger. Null if none did, and for one that is given by path or process.
      type: str
      sample: two_tier
    lab_addresses:
      description: The addresses that labs have given to links here, by the name of the link, as their ledgers remember. Run again, a
        lab gives the same; what a link has by now stands in its C(addresses).
      type: dict
      sample: {eth0: [10.1.0.10/24]}
    links:
      description: The links by name, in the order of their indexes.
      type: dict
      contains:
        name:
          description: Name of the link.
          type: str
          sample: eth0
        netns:
          description: The namespace, as it was given.
          type: str
          sample: web
        kind:
          description: Kind of the link as the kernel calls it, V(loopback) for C(lo), null for a physical one.
          type: str
          sample: veth
        index:
          description: Index of the link in its namespace.
          type: int
          sample: 2
        mac:
          description: MAC address. Null for a link that has none.
          type: str
          sample: "52:54:00:12:34:01"
        mtu:
          description: Largest packet in bytes.
          type: int
          sample: 1500
        up:
          description: Whether it is set up.
          type: bool
          sample: true
        state:
          description: Operational state as the kernel calls it, V(up), V(down), V(lowerlayerdown), V(unknown) and others.
          type: str
          sample: up
        master:
          description: The bridge, or other master, that it is a port of. Null if it is none.
          type: str
          sample: null
        addresses:
          description: Its addresses in CIDR form, without link-local ones.
          type: list
          elements: str
          sample: [10.1.0.10/24]
        peer:
          description: The other end of a veth. Null for other links, and where that end is in a namespace that has neither a
            name nor a process in it that can be seen.
          type: dict
          contains:
            name:
              description: Name of the other end.
              type: str
              sample: v5c1fa2b077
            netns:
              description: The namespace in which it is, V(host), its first name, its path, or C(pid:) with the number of a
                process inside.
              type: str
              sample: host
        stp:
          description: Of a bridge alone, whether it speaks the spanning tree protocol.
          type: bool
          sample: false
        forward_delay:
          description: Of a bridge alone, for how many seconds a new port listens and learns.
          type: float
          sample: 15.0
        ageing_time:
          description: Of a bridge alone, after how many seconds it forgets a MAC address.
          type: float
          sample: 300.0
        multicast_snooping:
          description: Of a bridge alone, whether multicast goes only to those who asked for it.
          type: bool
          sample: true
        ports:
          description: Of a bridge alone, the names of its ports.
          type: list
          elements: str
          sample: [v5c1fa2b077, v93bc0d1e52]
    routes:
      description: The routes of all tables, but for those by which the kernel finds its own addresses.
      type: list
      elements: dict
      contains:
        netns:
          description: The namespace, as it was given.
          type: str
          sample: web
        family:
          description: V(ipv4) or V(ipv6).
          type: str
          sample: ipv4
        dst:
          description: Destination, V(default) for everything.
          type: str
          sample: default
        via:
          description: Gateway. Null if there is none.
          type: str
          sample: 10.1.0.1
        dev:
          description: The link. Null for a route with nexthops, or one that drops packets.
          type: str
          sample: eth0
        src:
          description: Preferred source address. Null if none is set.
          type: str
          sample: null
        metric:
          description: Metric.
          type: int
          sample: 0
        table:
          description: Table, by name for V(main), V(default) and V(local), else its number.
          type: str
          sample: main
        scope:
          description: Scope.
          type: str
          sample: global
        type:
          description: Type, V(unicast), V(blackhole), V(unreachable), V(prohibit) and others.
          type: str
          sample: unicast
        onlink:
          description: Whether the gateway is taken to be on the link.
          type: bool
          sample: false
        mtu:
          description: MTU in bytes. Null if none is set.
          type: int
          sample: null
        nexthops:
          description: The nexthops of a route that has several.
          type: list
          elements: dict
          contains:
            via:
              description: Gateway. Null if there is none.
              type: str
            dev:
              description: The link.
              type: str
            weight:
              description: Share of the traffic.
              type: int
          sample: []
        protocol:
          description: Who made it, V(kernel) for what comes with an address, V(boot) and V(static) for what somebody typed, V(ra) for what a
            router advertised, V(dhcp), else the number of a routing daemon.
          type: str
          sample: boot
    neighbours:
      description: The neighbours, as C(ip neigh) shows them.
      type: list
      elements: dict
      contains:
        dst:
          description: Address.
          type: str
          sample: 10.1.0.1
        dev:
          description: The link behind which it is.
          type: str
          sample: eth0
        mac:
          description: Its MAC address. Null while it has not answered.
          type: str
          sample: "52:54:00:12:34:02"
        state:
          description: V(reachable), V(stale), V(delay), V(probe), V(incomplete), V(failed) or V(permanent).
          type: str
          sample: reachable
    nat:
      description: The rule sets of M(nslab.linux.ns_nat) by name, those of labs among them, as their table in nftables tells. Empty
        where there is none.
      type: dict
      contains:
        inside:
          description: The inside interfaces.
          type: list
          elements: str
          sample: [br0]
        uplink:
          description: For each family the interfaces on which packets get another address, V(any) among them if that is so on
            all. Empty where they keep theirs.
          type: dict
          contains:
            ipv4:
              description: Those of IPv4.
              type: list
              elements: str
              sample: [eth0]
            ipv6:
              description: Those of IPv6.
              type: list
              elements: str
              sample: []
        sources:
          description: The networks whose packets get another address. Empty where none was given.
          type: list
          elements: str
          sample: [10.1.0.0/24]
        to_source:
          description: The addresses that packets get, at most one of each family. Empty where it is that of the uplink.
          type: list
          elements: str
          sample: []
        inbound:
          description: Whether only answers are let in, V(established), or new flows too, V(any).
          type: str
          sample: established
        publish:
          description: The published services.
          type: list
          elements: dict
          contains:
            protocol:
              description: V(tcp) or V(udp).
              type: str
              sample: tcp
            port:
              description: Port of the router, or the range.
              type: str
              sample: "8080"
            address:
              description: Address of the router. Null for any.
              type: str
              sample: null
            to:
              description: Address of the service.
              type: str
              sample: 10.1.0.10
            to_port:
              description: Port of the service, or the range.
              type: str
              sample: "80"
        rules:
          description: Its rules and map elements, as C(nft) writes them.
          type: list
          elements: str
          sample:
            - ip saddr 10.1.0.0/24 oifname "eth0" masquerade comment "nslab:two_tier:masquerade"
    resolv:
      description: What C(/etc/netns/NAME/resolv.conf) and C(/etc/netns/NAME/hosts) say, for the host C(/etc/resolv.conf)
        and C(/etc/hosts). Null where there is neither, as for a namespace given by path or by process.
      type: dict
      contains:
        nameservers:
          description: The nameservers. Null where there is no C(resolv.conf).
          type: list
          elements: str
          sample: [192.0.2.53]
        search:
          description: The search domains. Null where there is no C(resolv.conf).
          type: list
          elements: str
          sample: [example.com]
        options:
          description: The options. Null where there is no C(resolv.conf).
          type: list
          elements: str
          sample: ["ndots:2"]
        hosts:
          description: The addresses by host name. Null where there is no C(hosts).
          type: dict
          sample: {localhost: [127.0.0.1, "::1"], db: [10.1.0.11]}
    sysctls:
      description: The forwarding switches by their path below C(/proc/sys). The two global ones, V(net/ipv4/ip_forward) and
        V(net/ipv6/conf/all/forwarding), always, null where the kernel has none; those of links, C(forwarding) and
        C(force_forwarding), where they are on.
      type: dict
      sample: {net/ipv4/ip_forward: "0", net/ipv6/conf/all/forwarding: "0", net/ipv4/conf/br0/forwarding: "1"}
    pids:
      description: The processes inside, the module's own among those of the host.
      type: list
      elements: int
      sample: [4711]
  sample:
    web:
      path: /run/netns/web
      inode: 4026532281
      lab: two_tier
      lab_addresses: {eth0: [10.1.0.10/24]}
      links:
        eth0:
          name: eth0
          netns: web
          kind: veth
          index: 2
          mac: "52:54:00:12:34:01"
          mtu: 1500
          up: true
          state: up
          master: null
          addresses: [10.1.0.10/24]
          peer: {name: v5c1fa2b077, netns: host}
      routes:
        - netns: web
          dst: default
          via: 10.1.0.1
          dev: eth0
          src: null
          metric: 0
          table: main
          scope: global
          type: unicast
          onlink: false
          mtu: null
          nexthops: []
          family: ipv4
          protocol: boot
      neighbours:
        - {dst: 10.1.0.1, dev: eth0, mac: "52:54:00:12:34:02", state: reachable}
      nat: {}
      resolv: {nameservers: [192.0.2.53], search: [], options: [], hosts: null}
      sysctls: {net/ipv4/ip_forward: "0", net/ipv6/conf/all/forwarding: "0"}
      pids: [4711]
"""

from ansible_collections.nslab.linux.plugins.module_utils._module import run_look
from ansible_collections.nslab.linux.plugins.module_utils._resources._lab_info import declare


def main() -> None:
    run_look(
        declare,
        argument_spec={
            "netns": {"type": "list", "elements": "str"},
            "lab": {"type": "str"},
        },
        mutually_exclusive=[("netns", "lab")],
    )


if __name__ == "__main__":
    main()
