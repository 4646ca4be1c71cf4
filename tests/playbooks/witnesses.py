# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What foreign tools see after the examples of the documentation: the promise of each, as somebody else tells it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from support.host import Outside

CONTAINER = "nsenter --net=/proc/{{ container_pid }}/ns/net"


@dataclasses.dataclass(frozen=True)
class Witness:
    """After an example, `found` sees in what this command prints (JSON, or a text) what was promised."""

    module: str
    example: str
    command: str
    found: Callable[[Any], bool]


def has_address(*addresses: str) -> Callable[[Any], bool]:
    return lambda links: (
        {
            f"{address['local']}/{address['prefixlen']}"
            for address in links[0]["addr_info"]
            if address["scope"] == "global"
        }
        == set(addresses)
    )


def names(*expected: str) -> Callable[[Any], bool]:
    """These names are in the listing, and those that begin with an exclamation mark are not."""
    wanted = {name for name in expected if not name.startswith("!")}
    unwanted = {name[1:] for name in expected if name.startswith("!")}

    def found(listing: Any) -> bool:
        seen = {entry.get("name") or entry["ifname"] for entry in listing}
        return wanted <= seen and not unwanted & seen

    return found


def routes(**fields: Any) -> Callable[[Any], bool]:
    """The listing is of one route, which has these fields."""
    return lambda listing: len(listing) == 1 and fields.items() <= listing[0].items()


WITNESSES = [
    Witness("netns", "Make a namespace, with its loopback up", "ip -n red -j addr show dev lo",
            lambda links: "UP" in links[0]["flags"]),
    Witness("netns", "Make several in one task", "ip -j netns list", names("red", "green", "blue")),
    Witness("netns", "Make a router, a namespace that forwards",
            "ip netns exec router cat /proc/sys/net/ipv4/ip_forward", lambda value: value == 1),
    Witness("netns", "Make a namespace that has no loopback", "ip -n dark -j addr show dev lo",
            lambda links: "UP" not in links[0]["flags"]),
    Witness("netns", "Give a namespace a second name", "ip -j netns list", names("router", "router2")),
    Witness("netns", "Take the second name away, the namespace stays", "ip -j netns list", names("router", "!router2")),
    Witness("netns", "Remove the rest, and end what still runs there", "ip -j netns list",
            names("!red", "!green", "!blue", "!router", "!dark")),
    Witness("netns", "Give the namespace of a running container a name", "ip -j netns list", names("web")),
    Witness("netns", "Take the name away again, the container runs on", "ip -j netns list || echo []", names("!web")),
    Witness("veth", "Join the host and a namespace", "ip -n red -j addr show dev eth0", has_address("10.1.0.2/24")),
    Witness("veth", "Join two namespaces, dual stack, with fixed MAC addresses", "ip -n blue -j addr show dev to-red",
            has_address("10.2.0.2/30", "fd00:2::2/64")),
    Witness("veth", "Join two namespaces, dual stack, with fixed MAC addresses", "ip -n red -j link show dev to-blue",
            lambda links: (links[0]["address"], links[0]["mtu"]) == ("52:54:00:12:34:01", 1400)),
    Witness("veth", "Plug many namespaces into the bridge, in one task", "ip -j link show master br0",
            names("br0-red", "br0-blue")),
    Witness("veth", "Give a running container a second interface, dual stack, plugged into the bridge",
            "nsenter --net=/proc/{{ container_pid }}/ns/net ip -j addr show dev eth1",
            has_address("10.3.0.9/24", "fd00:3::9/64")),
    Witness("veth", "Give a running container a second interface, dual stack, plugged into the bridge",
            "ip -j link show master br0", names("br0-web")),
    Witness("veth", "Take the interface away from the container, by the end on the host", "ip -j link show",
            names("!br0-web")),
    Witness("veth", "Take over the MTU of the interface that leads to the internet", "ip -n red -j link show dev eth0",
            lambda links: links[0]["mtu"] == 1442),
    Witness("veth", "Move the far end to another namespace and rename it, the pair stays the same",
            "ip -n blue -j addr show dev eth2", has_address("10.1.0.3/24")),
    Witness("veth", "Pull the plug", "ip -n red -j link show dev to-blue",
            lambda links: "UP" not in links[0]["flags"]),
    Witness("veth", "Remove pairs", "ip -j link show", names("br0", "!br0-red", "!br0-blue")),
    Witness("veth", "Remove a single pair, by its first end", "ip -n blue -j link show", names("!to-red")),
    Witness("bridge", "A bridge with an address, on the host", "ip -j addr show dev br0",
            has_address("10.1.0.1/24", "fd00:1::1/64")),
    Witness("bridge", "The same bridge, tuned", "ip -j -d link show dev br0",
            lambda links: links[0]["linkinfo"]["info_data"]["ageing_time"] == 6000
            and links[0]["linkinfo"]["info_data"]["forward_delay"] == 200
            and links[0]["linkinfo"]["info_data"]["mcast_snooping"] == 0),
    Witness("bridge", "The same bridge, with the MTU of the interface that leads to the internet",
            "ip -j link show dev br0",
            lambda links: (links[0]["mtu"], links[0]["address"]) == (1442, "52:54:00:12:34:00")),
    Witness("bridge", "The switch itself", "ip -n switch -j link show master br0", names("port1", "port2")),
    Witness("bridge", "Unplug all ports", "ip -n switch -j link show", names("br0", "port1", "port2")),
    Witness("bridge", "Unplug all ports", "ip -n switch -j link show master br0", lambda ports: not ports),
    Witness("bridge", "Remove a bridge, naming the ports that are known to be in it", "ip -j link show",
            names("!br0", "br0-red", "br0-blue")),
    Witness("ns_link", "A macvlan in a namespace, which makes it a machine of its own in the LAN of the host",
            "ip -n red -j addr show dev mv0", has_address("192.0.2.77/24", "2001:db8::77/64")),
    Witness("ns_link", "A physical network card in a namespace, under a name that says what it is for",
            "ip -n red -j addr show dev wan",
            lambda links: has_address("203.0.113.7/24")(links) and links[0]["mtu"] == 1400 and "UP" in links[0]["flags"]),
    Witness("ns_link", "The same card with another MAC address and exactly these addresses",
            "ip -n red -j addr show dev wan",
            lambda links: has_address("203.0.113.7/24", "203.0.113.8/24")(links)
            and links[0]["address"] == "52:54:00:12:34:07"),
    Witness("ns_link", "A tap as second interface of a running container, whose process is known",
            f"{CONTAINER} ip -j addr show dev eth1", has_address("10.5.0.2/24")),
    Witness("ns_link", "Give the tap back to the host, under its own name", "ip -j link show", names("tap0")),
    Witness("ns_link", "Plug the tap in, where it is, and have it listen to everything",
            "ip -j link show master br0",
            lambda ports: [port["ifname"] for port in ports] == ["tap0"] and {"PROMISC", "UP"} <= set(ports[0]["flags"])),
    Witness("ns_link", "Hand an interface on, from one namespace to another", f"{CONTAINER} ip -j link show",
            names("mv0")),
    Witness("ns_link", "Give the macvlan back to the host", "ip -j link show", names("mv0")),
    Witness("ns_link", "Give the card back before its namespace goes", "ip -j link show", names("eth1")),
    Witness("ns_route", "A default route in a namespace", "ip -n red -j route show default",
            routes(gateway="10.1.0.1", dev="eth0")),
    Witness("ns_route", "Default routes of both families in many namespaces, in one task",
            "ip -n blue -6 -j route show default", routes(gateway="fd00:2::1", dev="eth0")),
    Witness("ns_route", "A network behind a gateway, with a smaller MTU and the address to be used",
            "ip -n red -j route show 10.9.0.0/16",
            routes(gateway="10.1.0.1", prefsrc="10.1.0.2", metrics=[{"mtu": 1400}])),
    Witness("ns_route", "A second route to the same network, used when the first is gone",
            "ip -n red -j route show 10.9.0.0/16 metric 100", routes(gateway="10.1.0.3")),
    Witness("ns_route", "Share traffic among two gateways, three parts to one",
            "ip -n router -j route show 10.8.0.0/16",
            lambda found: [(hop["gateway"], hop["weight"]) for hop in found[0]["nexthops"]]
            == [("10.1.0.2", 3), ("10.2.0.2", 1)]),
    Witness("ns_route", "Drop what goes to a network, and refuse what goes to another",
            "ip -n router -j -d route show type blackhole", routes(dst="192.0.2.0/24")),
    Witness("ns_route", "A gateway that is on the cable although no address says so, in a table of its own",
            "ip -n blue -j route show table 100", routes(gateway="198.51.100.1", flags=["onlink"])),
    Witness("ns_route", "A table of its own for what comes from one address, of both families, that ends in a dead end",
            "ip -n red -6 -j -d route show table 200",
            lambda found: [(route["type"], route.get("gateway")) for route in found]
            == [("unicast", "fe80::1"), ("unreachable", None)]),
    Witness("ns_route", "These routes and no others, apart from those that the kernel makes",
            "ip -n red -j route show", lambda found: {route["dst"] for route in found} == {"default", "10.1.0.0/24"}),
    Witness("ns_route", "Remove a route, whatever gateway it has", "ip -n router -j route show 10.8.0.0/16",
            lambda found: not found),
    Witness("ns_route", "Remove the default route, but only if it goes by this gateway",
            "ip -n blue -j route show default", lambda found: not found),
    Witness("ns_nat", "Let it out", f"ip netns exec red curl --silent --max-time 5 {Outside.WEB}",
            lambda seen: seen == Outside.HOST4),
    Witness("ns_nat", "And on the host, for the router",
            f"ip netns exec blue curl --silent --max-time 5 {Outside.WEB}",
            lambda seen: seen == Outside.HOST4),
    Witness("ns_nat", "Publish a web server in blue at port 8080 of the router, and its DNS at one address",
            "ip netns exec router nft list table inet nslab | grep -cE "
            "'tcp . 8080 .* 10.4.0.2 . 80|ip daddr 10.3.0.2 udp dport 53 dnat ip to 10.4.0.2'",
            lambda count: count == 2),
    Witness("ns_nat", "Let both families out, the published service too",
            "nft list map inet nslab publish6", lambda text: "fd00:5::2 . 443" in text),
    Witness("ns_nat", "Give what leaves an address that stays",
            "nft list chain inet nslab post_lab", lambda text: "snat ip to 198.51.100.2" in text),
    Witness("ns_resolv", "Resolve names with a public server", "ip netns exec red cat /etc/resolv.conf",
            lambda text: text == "nameserver 192.0.2.53"),
    Witness("ns_resolv", "The same for several namespaces, with search domains and options",
            "ip netns exec blue cat /etc/resolv.conf",
            lambda text: {"nameserver 192.0.2.53", "nameserver 2001:db8::53", "search lab.example.com example.com"}
            <= set(text.splitlines())
            and "ndots:2" in text),
    Witness("ns_resolv", "Ask the servers that the host asks, and one more if they do not answer",
            "ip netns exec red grep ^nameserver /etc/resolv.conf",
            lambda text: text == f"nameserver {Outside.OUTSIDE4}\nnameserver 192.0.2.53"),
    Witness("ns_resolv", "Look for no short names any more, the servers stay", "ip netns exec blue cat /etc/resolv.conf",
            lambda text: "search" not in text and "nameserver 192.0.2.53" in text),
    Witness("ns_resolv", "Names that the namespaces of a lab know each other by",
            "ip netns exec blue getent hosts red localhost",
            lambda text: "10.1.0.2" in text and ("127.0.0.1" in text or "::1" in text)),
    Witness("ns_resolv", "Remove what was written", "ls /etc/netns | wc -l", lambda count: count == 0),
    Witness("lab", "A web server and its database behind the address of the host",
            f"ip netns exec web curl --silent --max-time 5 {Outside.WEB}", lambda seen: seen == Outside.HOST4),
    Witness("lab", "A web server and its database behind the address of the host",
            "ip -n db -j link show dev eth0", lambda links: links[0]["mtu"] == 1400),
    Witness("lab", "The same lab, changed in place - a cache more, and a smaller MTU",
            "ip -n db -j link show dev eth0", lambda links: links[0]["mtu"] == 1300),
    Witness("lab", "The same lab, changed in place - a cache more, and a smaller MTU",
            "ip netns exec cache ping -c 1 -W 2 10.1.0.10", lambda said: ", 0% packet loss" in said),
    Witness("lab", "An office on a bridge, dual stack, with NAT, addresses by themselves, and names for everybody",
            "ip -n pc3 -j addr show dev eth0", has_address("10.2.0.4/24", "fd00:2::4/64")),
    Witness("lab", "An office on a bridge, dual stack, with NAT, addresses by themselves, and names for everybody",
            "ip netns exec pc1 ping -6 -c 1 -W 2 pc2", lambda said: "fd00:2::3" in said and ", 0% packet loss" in said),
    Witness("lab", "An office on a bridge, dual stack, with NAT, addresses by themselves, and names for everybody",
            "ip netns exec pc2 curl --silent --max-time 5 -6 http://web.example/", lambda seen: seen == Outside.HOST6),
    Witness("lab", "Routers in a row, in the notation of containerlab",
            "ip netns exec client ping -c 1 -W 2 10.3.2.2", lambda said: ", 0% packet loss" in said),
    Witness("lab", "Plug somebody into that router, and leave the rest of the lab as it is",
            "ip netns exec guest ping -c 1 -W 2 10.3.2.1", lambda said: ", 0% packet loss" in said),
    Witness("lab", "Plug somebody into that router, and leave the rest of the lab as it is",
            "ip -n server -j addr show dev eth1", has_address("10.3.2.2/30")),
    Witness("lab", "Two customers with the same addresses, kept apart", "ip -j netns list",
            names("customer-a1", "customer-a2", "customer-b1", "customer-b2", "!a1")),
    Witness("lab", "Two customers with the same addresses, kept apart", "ip -n customer-b2 -j addr show dev eth0",
            has_address("10.4.0.2/30")),
    Witness("lab", "A lab that stands in a file", "ip -n r3 -j addr show dev eth1", has_address("10.6.3.2/30")),
    Witness("lab", "The nodes and links of a containerlab topology", "ip -n clab-left -j link show dev eth2",
            lambda links: (links[0]["address"], links[0]["mtu"]) == ("52:54:00:12:34:56", 1400)),
    Witness("lab", "Plug namespaces into it; the bridge is never removed", "ip -n guest2 -j addr show dev eth0",
            has_address("10.5.0.3/24")),
    Witness("lab", "Plug namespaces into it; the bridge is never removed", "ip -j addr show dev lan0",
            has_address("10.5.0.254/24", "10.5.0.1/24")),
    Witness("lab", "Remove a lab, and end what still runs in it", "ip -j netns list",
            names("web", "!pc1", "!pc2", "!pc3")),
    Witness("lab", "Remove a lab, and end what still runs in it", "ip -j link show", names("br0", "!office0")),
    Witness("lab", "Remove another; the bridge that it adopted stays", "ip -j addr show dev lan0",
            has_address("10.5.0.254/24")),
    Witness("lab", "Remove another; the bridge that it adopted stays", "ip -j link show master lan0",
            lambda ports: not ports),
    Witness("lab_info", "See all namespaces and the host",
            "ip -j addr show to {{ seen.namespaces.host.links.br0.addresses[0] }}",
            lambda links: [link["ifname"] for link in links if link] == ["br0"]),
    Witness("lab_info", "See what belongs to a lab",
            "ip -j link show dev {{ lab.namespaces.web.links.eth0.peer.name }}",
            lambda links: (links[0]["master"], links[0]["link_netnsid"] >= 0) == ("br0", True)),
]  # fmt: skip
