# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of labs of every shape, for tests and for the eye; some of what they show stands out."""

from __future__ import annotations

import dataclasses

from ansible_collections.nslab.linux.plugins.plugin_utils._picture import (
    BRIDGE,
    CHANGED,
    DOWN,
    EXTRA,
    HOST,
    MISSING,
    MTU,
    NAMESPACE,
    OUTSIDE,
    UNREAD,
    End,
    Mark,
    Nat,
    Node,
    Picture,
    Wire,
)


def namespace(name, **more):
    return Node(name, name, NAMESPACE, **more)


def wire(one, other, up=True, **more):
    """Each end is written ``node``, ``node interface`` or ``node interface address ...``."""
    ends = []
    for text in (one, other):
        node, *words = text.split()
        ends.append(End(node, words[0] if words else "", tuple(words[1:]), mtu=1500, up=up))
    return Wire((ends[0], ends[1]), **more)


def on_bridge(bridge, number, subnet="10.0"):
    """The wire of the Nth namespace on a bridge."""
    address = f"{subnet}.{number // 200}.{number % 200 + 2}/16"
    return wire(f"n{number} eth0 {address}", f"{bridge} veth{number}")


def star(count):
    nodes = [Node("br0", "br0", BRIDGE, lines=("10.0.0.1/16",)), *(namespace(f"n{n}") for n in range(count - 1))]
    return Picture("star", tuple(nodes), tuple(on_bridge("br0", n) for n in range(count - 1)))


def routed(count):
    """Two bridges and a router."""
    half = (count - 3) // 2
    nodes = [namespace("router"), Node("lan1", "lan1", BRIDGE), Node("lan2", "lan2", BRIDGE)]
    nodes += [namespace(f"n{n}") for n in range(count - 3)]
    wires = [wire("router eth0 10.1.0.1/16", "lan1 r0"), wire("router eth1 10.2.0.1/16", "lan2 r1")]
    wires += [on_bridge("lan1" if n < half else "lan2", n, "10.1" if n < half else "10.2") for n in range(count - 3)]
    return Picture("two bridges and a router", tuple(nodes), tuple(wires))


def chain(count):
    nodes = [namespace(f"r{n}") for n in range(count)]
    wires = [
        wire(f"r{n} right 10.{n // 200}.{n % 200}.1/30", f"r{n + 1} left 10.{n // 200}.{n % 200}.2/30")
        for n in range(count - 1)
    ]
    return Picture("chain", tuple(nodes), tuple(wires))


def ring(count):
    whole = chain(count)
    closing = wire(f"r{count - 1} right 10.9.9.1/30", "r0 left 10.9.9.2/30")
    return dataclasses.replace(whole, name="ring", wires=(*whole.wires, closing))


def mesh(count):
    """Each linked to each, up to eight; beyond that a grid."""
    if count > 8:
        side = int(count**0.5)
        nodes = [namespace(f"m{x}-{y}") for x in range(side) for y in range(side)]
        wires = [wire(f"m{x}-{y} east", f"m{x + 1}-{y} west") for x in range(side - 1) for y in range(side)]
        wires += [wire(f"m{x}-{y} south", f"m{x}-{y + 1} north") for x in range(side) for y in range(side - 1)]
        return Picture("grid", tuple(nodes), tuple(wires))
    wires = [
        wire(f"m{one} to{other} 10.{one}.{other}.1/30", f"m{other} to{one} 10.{one}.{other}.2/30")
        for one in range(count)
        for other in range(one + 1, count)
    ]
    return Picture("mesh", tuple(namespace(f"m{n}") for n in range(count)), tuple(wires))


def clos(count):
    """Spines, leaves, and on each leaf a bridge inside of it with servers."""
    spines = 2 if count < 10 else 4
    leaves = max(2, (count - spines) // 8)
    servers = max(1, (count - spines - 2 * leaves) // leaves)
    nodes = [namespace(f"spine{n}") for n in range(spines)]
    wires = []
    for leaf in range(leaves):
        name, bridge = f"leaf{leaf}", f"leaf{leaf}/br0"
        nodes += [namespace(name), Node(bridge, "br0", BRIDGE, inside=name, lines=(f"10.{leaf}.0.1/24",))]
        wires.append(Wire((End(bridge), End(name, "br0", (f"10.{leaf}.0.1/24",), up=True)), cable=False))
        wires += [
            wire(f"spine{n} swp{leaf} 172.16.{leaf}.{4 * n + 1}/30", f"{name} up{n} 172.16.{leaf}.{4 * n + 2}/30")
            for n in range(spines)
        ]
        for server in range(servers):
            nodes.append(namespace(f"s{leaf}-{server}"))
            wires.append(wire(f"s{leaf}-{server} eth0 10.{leaf}.0.{server + 2}/24", f"{bridge} port{server}"))
    return Picture("clos", tuple(nodes), tuple(wires))


def ecmp(count):
    """As many ways as there are namespaces, but for those at the ends."""
    middle = max(1, count - 4)
    nodes = [namespace(name) for name in ("src", "r1", "r2", "dst")] + [namespace(f"way{n}") for n in range(middle)]
    wires = [wire("src eth0 10.0.0.2/24", "r1 eth0 10.0.0.1/24"), wire("dst eth0 10.9.0.2/24", "r2 eth0 10.9.0.1/24")]
    wires += [wire(f"r1 a{n} 10.1.{n}.1/30", f"way{n} left 10.1.{n}.2/30") for n in range(middle)]
    wires += [wire(f"way{n} right 10.2.{n}.1/30", f"r2 b{n} 10.2.{n}.2/30") for n in range(middle)]
    return Picture("ecmp", tuple(nodes), tuple(wires))


def twice(count):
    """Each namespace is on two bridges; a few are on one."""
    nodes = [Node("data", "data", BRIDGE), Node("management", "management", BRIDGE, lines=("192.0.2.1/24",))]
    nodes += [namespace(f"n{n}") for n in range(count - 2)]
    wires = [wire(f"n{n} eth0 10.0.{n // 200}.{n % 200}/16", f"data d{n}") for n in range(count - 2) if n % 7]
    wires += [wire(f"n{n} eth1 10.8.{n // 200}.{n % 200}/16", f"management m{n}") for n in range(count - 2)]
    return Picture("two networks", tuple(nodes), tuple(wires))


def isolated(count):
    return Picture("isolated", tuple(namespace(f"n{n}") for n in range(count)))


def pairs(count):
    nodes = [namespace(f"n{n}") for n in range(count)]
    wires = [wire(f"n{n} eth0 10.0.{n}.1/30", f"n{n + 1} eth0 10.0.{n}.2/30") for n in range(0, count - 1, 2)]
    return Picture("pairs", tuple(nodes), tuple(wires))


def hub(count):
    """A host with a link to each namespace, and no bridge."""
    nodes = [Node("host", "host", HOST), *(namespace(f"n{n}") for n in range(count - 1))]
    wires = [
        wire(f"host v{n} 10.{n // 200}.{n % 200}.1/30", f"n{n} eth0 10.{n // 200}.{n % 200}.2/30")
        for n in range(count - 1)
    ]
    return Picture("point to point", tuple(nodes), tuple(wires))


def parallel(count):
    """Two links between the same two, all along a chain, and a link from a namespace to itself."""
    nodes = [namespace(f"r{n}") for n in range(count)]
    wires = [wire(f"r{n} a{n}", f"r{n + 1} b{n}") for n in range(count - 1)]
    wires += [wire(f"r{n} c{n} 10.0.{n}.1/24", f"r{n + 1} d{n} 10.0.{n}.2/24") for n in range(count - 1)]
    return Picture("parallel", tuple(nodes), (*wires, wire("r0 x", "r0 y")))


def docker(count):
    """A bridge on a host that masquerades, and the outside."""
    nodes = [
        Node("host", "host", HOST, nat=(Nat("10.213.0.0/16 as eth0", ("tcp 8080 to 10.213.0.2:80",)),)),
        Node("(outside)", "outside", OUTSIDE),
        Node("host/nslab0", "nslab0", BRIDGE, lines=("10.213.0.1/16",)),
        *(namespace(f"n{n}") for n in range(count - 3)),
    ]
    wires = [
        Wire((End("host/nslab0"), End("host", "nslab0", ("10.213.0.1/16",), up=True)), cable=False),
        Wire((End("host", "eth0", ("198.51.100.2/24",), up=True), End("(outside)")), cable=False),
        *(on_bridge("host/nslab0", n, "10.213") for n in range(count - 3)),
    ]
    return Picture("docker0-style", tuple(nodes), tuple(wires), observed=True)


def office(count):
    """Several networks behind one router with an uplink, a bridge inside of a namespace, and some that are alone."""
    networks = max(2, count // 14)
    nodes = [Node("(outside)", "outside", OUTSIDE), Node("host", "host", HOST)]
    nodes.append(
        namespace(
            "router", nat=(Nat("10.0.0.0/8 as wan", ("tcp 443 to 10.1.0.2:443",)),), lines=("default via 192.0.2.1",)
        )
    )
    wires = [
        Wire((End("(outside)"), End("host", "eth0", ("198.51.100.2/24",), up=True)), cable=False),
        wire("host v-router 192.0.2.1/30", "router wan 192.0.2.2/30 2001:db8::2/64"),
    ]
    nodes += [Node(f"lan{n}", f"lan{n}", BRIDGE) for n in range(networks)]
    wires += [wire(f"router eth{n} 10.{n}.0.1/16 2001:db8:{n}::1/64", f"lan{n} uplink") for n in range(networks)]
    rest = count - len(nodes)
    for number in range(rest):
        nodes.append(namespace(f"n{number}"))
        if number % 29 != 28:
            lan = number % networks
            wires.append(
                wire(
                    f"n{number} eth0 10.{lan}.1.{number % 250}/16 2001:db8:{lan}::{number:x}/64", f"lan{lan} p{number}"
                )
            )
    return Picture("office", tuple(nodes), tuple(wires))


SHAPES = {
    make.__name__: make
    for make in (star, routed, chain, ring, mesh, clos, ecmp, twice, isolated, pairs, hub, parallel, docker, office)
}


def marked(picture):
    """With something wrong with every few wires and nodes, of each kind in turn."""
    wires = []
    for number, one in enumerate(picture.wires):
        first, second = one.ends
        kind = number % 9
        if kind == 1:
            first = dataclasses.replace(first, up=False, marks=(Mark(DOWN, f"{first.interface or 'it'} is down"),))
        elif kind == 2:
            second = dataclasses.replace(second, up=False)
        elif kind == 3:
            first = dataclasses.replace(first, mtu=1400)
            one = dataclasses.replace(one, marks=(Mark(MTU, "mtu 1400 here, 1500 there"),))
        elif kind == 5:
            first, second = (dataclasses.replace(end, up=None) for end in one.ends)
            one = dataclasses.replace(one, marks=(Mark(MISSING, "declared, and missing"),))
        elif kind == 6:
            one = dataclasses.replace(one, marks=(Mark(EXTRA, "extra: not declared"),))
        elif kind == 7:
            second = dataclasses.replace(second, marks=(Mark(CHANGED, "changed: 10.0.0.9/24 instead of 10.0.0.2/24"),))
        wires.append(dataclasses.replace(one, ends=(first, second)))
    kinds = {3: MISSING, 4: EXTRA, 5: UNREAD, 9: CHANGED}
    nodes = []
    for number, node in enumerate(picture.nodes):
        kind = kinds.get(number % 12)
        nodes.append(dataclasses.replace(node, marks=(Mark(kind, ""),)) if kind else node)
    return dataclasses.replace(
        picture,
        nodes=tuple(nodes),
        wires=tuple(wires),
        marks=(Mark(EXTRA, "extra rule set web"),),
        notes=("A sysctl is not as declared: net.ipv4.ip_forward is 0 in router.",),
        observed=True,
    )
