#!/usr/bin/python
# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ns_route
short_description: Add, change and remove routes in network namespaces
version_added: 0.1.0
description:
  - Adds, changes and removes routes, IPv4 and IPv6, in one or several namespaces or on the host. Any number of them
    in one task.
  - A route is identified as in the kernel, by its family, destination, table and metric. So there is one route to
    V(10.9.0.0/16) with metric 0 in table C(main), whatever gateway it has.
  - The type, gateway, interface and next hops of a route are one unit. When one of them differs, the route is
    replaced in place by what is declared, without a moment in which there is none. Other fields that are left out
    keep the value they have.
  - Routes that the task does not name are not touched, unless O(purge_routes) is set. Addresses, links and the rules
    by which the kernel chooses a table (C(ip rule)) never are.
  - The namespace, the interfaces by which routes leave, and the addresses that make gateways reachable must be there,
    and the interfaces up. Other routes of the same task count too, in any order.
extends_documentation_fragment:
  - nslab.linux.attributes
  - nslab.linux.attributes.changes
  - nslab.linux.netns
options:
  routes:
    description:
      - The routes.
    type: list
    elements: dict
    required: true
    suboptions:
      dst:
        description:
          - Destination, in CIDR form, such as V(10.9.0.0/16) or V(fd00:9::/48). A bare address is that one host.
          - V(default) is the default route of the family of O(routes[].via) or O(routes[].src), and without them
            that of IPv4. V(0.0.0.0/0) and V(::/0) say the family.
        type: str
        required: true
      via:
        description:
          - Address of the gateway. It must be reachable through an interface of the namespace, unless
            O(routes[].onlink) is set. It is of the family of the destination, and no address of the namespace itself.
            A link-local one needs O(routes[].dev).
        type: str
      dev:
        description:
          - Interface by which packets leave. Left out, the kernel takes the one through which the gateway is reached.
        type: str
      src:
        description:
          - The address that the namespace uses for packets of its own on this route. It must be one of its addresses.
        type: str
      metric:
        description:
          - Of several routes to one destination that with the lowest metric is used. Part of what identifies a route.
          - A number from 0 to 4294967295. Left out, it is 0 for IPv4 and 1024 for IPv6, as in the kernel, which takes 0
            for 1024 there.
        type: int
      table:
        description:
          - Routing table, a number from 1 to 4294967295, or V(main), V(local) or V(default). Part of what identifies
            a route. Names in C(/etc/iproute2/rt_tables) are not known.
        type: str
        default: main
      scope:
        description:
          - How far the destination is, V(global), V(link), V(host), V(nowhere) or a number. Only for IPv4.
          - Left out, the kernel's rule is followed for a new route, which is V(global) with a gateway and V(link)
            without. It is kept from the route that is there unless it does not go with the gateway declared.
        type: str
      type:
        description:
          - V(unicast) sends packets on. The others have no gateway and stop them. V(blackhole) does so silently,
            V(unreachable) and V(prohibit) with an answer to the sender.
          - Left out, it is V(unicast) for O(state=present), and any for O(state=absent).
        type: str
        choices: [unicast, blackhole, unreachable, prohibit]
      onlink:
        description:
          - Take the gateway for reachable through O(routes[].dev), even if no address there says so.
        type: bool
      mtu:
        description:
          - Largest packet on this route, in bytes, 68 to 65520. Not for a route that stops packets.
        type: int
      nexthops:
        description:
          - Several gateways among which the traffic is shared, instead of O(routes[].via) and O(routes[].dev). In any
            order. With a single one it is a route like any other.
          - IPv6 wants a gateway in each.
        type: list
        elements: dict
        suboptions:
          via:
            description:
              - Address of the gateway.
            type: str
          dev:
            description:
              - Interface by which packets leave.
            type: str
          weight:
            description:
              - Share of the traffic in proportion to that of the others, 1 to 256.
            type: int
            default: 1
      netns:
        description:
          - The namespace of this route, if it is another than O(netns) says. With it one task serves many namespaces.
        type: str
  state:
    description:
      - V(present) adds the routes, or changes those that exist.
      - V(absent) removes them. A route is found by what identifies it, and each other field that is given must match
        too.
    type: str
    choices: [present, absent]
    default: present
  purge_routes:
    description:
      - Whether other routes are removed, in each namespace of O(routes) from the tables that are named there. When
        O(routes) is empty, that is table C(main) of O(netns).
      - Only routes of protocols C(boot) and C(static) are looked at, that is, those that people and tools add. What
        the kernel makes for the addresses of interfaces, and what DHCP, router advertisements and routing daemons
        add, stays.
    type: bool
    default: false
notes:
  - The routes to the networks of an interface's own addresses are made by the kernel. They need not be declared.
  - The kernel drops a route when its interface goes down or away. Run the task again, or put it after the one that
    brings the interface up.
  - A route with fields that have no option here (a congestion window, say) keeps them when it is replaced.
  - Of IPv6 the kernel takes several routes of one identity, if they leave by different interfaces. Then the one that
    fits best is meant; O(purge_routes) removes the others, and O(state=absent) all that match.
  - Routes do not outlive a reboot.
seealso:
  - module: nslab.linux.netns
  - module: nslab.linux.ns_nat
  - module: nslab.linux.lab
  - name: ip-route(8)
    description: The command with which people do the same.
    link: https://man7.org/linux/man-pages/man8/ip-route.8.html
author:
  - nslab contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Two namespaces behind a router
  nslab.linux.netns:
    name: [red, router, blue]
    sysctl:
      net.ipv4.ip_forward: 1
      net.ipv6.conf.all.forwarding: 1

- name: Cables to the router
  nslab.linux.veth:
    pairs:
      - name: eth0
        netns: red
        addresses: [10.1.0.2/24, "fd00:1::2/64"]
        peer: {name: to-red, netns: router, addresses: [10.1.0.1/24, "fd00:1::1/64"]}
      - name: eth0
        netns: blue
        addresses: [10.2.0.2/24, "fd00:2::2/64"]
        peer: {name: to-blue, netns: router, addresses: [10.2.0.1/24, "fd00:2::1/64"]}

- name: A default route in a namespace
  nslab.linux.ns_route:
    netns: red
    routes:
      - dst: default
        via: 10.1.0.1

- name: Default routes of both families in many namespaces, in one task
  nslab.linux.ns_route:
    routes:
      - {netns: red, dst: default, via: 10.1.0.1}
      - {netns: red, dst: default, via: "fd00:1::1"}
      - {netns: blue, dst: default, via: 10.2.0.1}
      - {netns: blue, dst: default, via: "fd00:2::1"}

- name: A network behind a gateway, with a smaller MTU and the address to be used
  nslab.linux.ns_route:
    netns: red
    routes:
      - dst: 10.9.0.0/16
        via: 10.1.0.1
        dev: eth0
        src: 10.1.0.2
        mtu: 1400

- name: A second route to the same network, used when the first is gone
  nslab.linux.ns_route:
    netns: red
    routes:
      - dst: 10.9.0.0/16
        via: 10.1.0.3
        metric: 100

- name: Share traffic among two gateways, three parts to one
  nslab.linux.ns_route:
    netns: router
    routes:
      - dst: 10.8.0.0/16
        nexthops:
          - {via: 10.1.0.2, weight: 3}
          - {via: 10.2.0.2}

- name: Drop what goes to a network, and refuse what goes to another
  nslab.linux.ns_route:
    netns: router
    routes:
      - {dst: 192.0.2.0/24, type: blackhole}
      - {dst: "2001:db8::/32", type: prohibit}

- name: A gateway that is on the cable although no address says so, in a table of its own
  nslab.linux.ns_route:
    netns: blue
    routes:
      - dst: default
        via: 198.51.100.1
        dev: eth0
        onlink: true
        table: 100

- name: A table of its own for what comes from one address, of both families, that ends in a dead end
  nslab.linux.ns_route:
    routes:
      - {netns: red, dst: default, via: 10.1.0.1, table: 200}
      - {netns: red, dst: default, type: unreachable, metric: 9999, table: 200}
      - {netns: red, dst: "::/0", via: "fe80::1", dev: eth0, table: 200}
      - {netns: red, dst: "::/0", type: unreachable, metric: 9999, table: 200}

- name: These routes and no others, apart from those that the kernel makes
  nslab.linux.ns_route:
    netns: red
    routes:
      - {dst: default, via: 10.1.0.1}
      - {dst: default, via: "fd00:1::1"}
    purge_routes: true

- name: Remove a route, whatever gateway it has
  nslab.linux.ns_route:
    netns: router
    routes:
      - dst: 10.8.0.0/16
    state: absent

- name: Remove the default route, but only if it goes by this gateway
  nslab.linux.ns_route:
    netns: blue
    routes:
      - dst: default
        via: 10.2.0.1
    state: absent
"""

RETURN = r"""
routes:
  description: The routes in O(routes), as they are after the task. Empty for O(state=absent).
  returned: success
  type: list
  elements: dict
  contains:
    netns:
      description: The namespace, by name, V(host), or, if it has no name, path, pid or inode.
      type: str
    dst:
      description: Destination in CIDR form, or V(default).
      type: str
    via:
      description: Address of the gateway, or null.
      type: str
    dev:
      description: Interface by which packets leave, or null.
      type: str
    src:
      description: The address used for packets of its own, or null.
      type: str
    metric:
      description: Metric.
      type: int
    table:
      description: Routing table, a number or V(main), V(local) or V(default).
      type: str
    scope:
      description: Scope, a word or a number.
      type: str
    type:
      description: Type of the route.
      type: str
    onlink:
      description: Whether the gateway is taken for reachable.
      type: bool
    mtu:
      description: Largest packet in bytes, or null.
      type: int
    nexthops:
      description: The gateways, if there are several. Otherwise empty.
      type: list
      elements: dict
      contains:
        via:
          description: Address of the gateway, or null.
          type: str
        dev:
          description: Interface.
          type: str
        weight:
          description: Share of the traffic.
          type: int
  sample:
    - netns: red
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
operations:
  description: What was done, or would be in check mode, in order, each step as the command line that does the same.
    Joined by newlines they are a shell script. Empty when nothing is to be done.
  returned: success
  type: list
  elements: str
  sample:
    - ip -n red route add default via 10.1.0.1
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
    - ip -n red route add default via 10.1.0.1
"""

from ansible_collections.nslab.linux.plugins.module_utils._module import run_module
from ansible_collections.nslab.linux.plugins.module_utils._resources._route import declare

NEXTHOP = {
    "via": {"type": "str"},
    "dev": {"type": "str"},
    "weight": {"type": "int", "default": 1},
}
ROUTE = {
    "dst": {"type": "str", "required": True},
    "via": {"type": "str"},
    "dev": {"type": "str"},
    "src": {"type": "str"},
    "metric": {"type": "int"},
    "table": {"type": "str", "default": "main"},
    "scope": {"type": "str"},
    "type": {"type": "str", "choices": ["unicast", "blackhole", "unreachable", "prohibit"]},
    "onlink": {"type": "bool"},
    "mtu": {"type": "int"},
    "nexthops": {
        "type": "list",
        "elements": "dict",
        "options": NEXTHOP,
        "required_one_of": [("via", "dev")],
    },
    "netns": {"type": "str"},
}


def main() -> None:
    run_module(
        declare,
        argument_spec={
            "netns": {"type": "str"},
            "routes": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": ROUTE,
                "mutually_exclusive": [("nexthops", "via"), ("nexthops", "dev"), ("nexthops", "onlink")],
            },
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "purge_routes": {"type": "bool", "default": False},
        },
    )


if __name__ == "__main__":
    main()
