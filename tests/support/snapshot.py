# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a host and its namespaces as foreign tools tell it, in a form in which two states can be compared.

Left out is what the kernel settles by itself and in its own time (carrier, duplicate address detection, link-local
addresses and their routes, spanning tree timers) and what only it chooses (indexes, handles, port numbers).
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import re
import stat
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .sandbox import entered

BATCH = "netns list-id\naddr show\nroute show table all\nrule show\n"
# Of the switches of every link those that a lab may come to touch: all of them would take longer than all else.
SWITCHES = {
    "ipv4": (
        "forwarding",
        "accept_redirects",
        "rp_filter",
        "proxy_arp",
        "arp_ignore",
        "promote_secondaries",
        "route_localnet",
    ),
    "ipv6": ("forwarding", "force_forwarding", "accept_ra", "accept_dad", "disable_ipv6", "keep_addr_on_down"),
}
FILES = (Path("/etc/netns"), Path("/run/netns"), Path("/run/nslab"), Path("/var/lib/nslab"))
# A lock says who runs, not how the host is set up.
NO_STATE = re.compile(r"^/run/nslab/[^/]*lock[^/]*$")

OF_THE_KERNEL = {
    "operstate", "link_netnsid", "link_index", "ifindex", "link", "link_netns",
    "valid_life_time", "preferred_life_time", "tentative", "dadfailed",
    "state", "id", "no", "designated_port", "designated_cost", "root_id", "root_port", "root_path_cost",
    "topology_change", "topology_change_detected", "topology_change_ack", "config_pending",
    "hello_timer", "tcn_timer", "topology_change_timer", "gc_timer", "hold_timer", "message_age_timer",
    "forward_delay_timer", "multicast_router", "altnames", "bridge_id", "tso_max_size", "tso_max_segs",
}  # fmt: skip
LINK_FLAGS = {"UP", "PROMISC", "ALLMULTI", "NOARP"}
# What the kernel gives a link itself when it first comes up; it keeps that when it goes down.
OWN_QDISCS = {"noop", "noqueue", "pfifo_fast", "fq_codel", "mq"}
SET_BY_HAND = "3"  # NET_ADDR_SET of linux/netdevice.h


class Chosen(str):
    """A value that the kernel has chosen, and may choose anew: it is as good as any other after it."""

    __slots__ = ()


@dataclass
class Snapshot:
    """`state` is to be compared; `indexes` ((namespace, link): index) stands beside it for whom it concerns."""

    state: dict[str, Any]
    indexes: dict[tuple[str, str], int] = field(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Snapshot) and not self.differences(other)

    def differences(self, other: Snapshot) -> list[str]:
        """Each place where the other differs, as `place: here -> there`."""
        return differences(self.state, other.state)


def take(namespaces: dict[str, str], sysctls: tuple[str, ...] = (), rules: bool = True) -> Snapshot:
    """Looks at the host and at the `namespaces` (name to path) besides the named ones.

    `sysctls` are paths below /proc/sys to be compared besides SWITCHES; `rules` says whether to look at nftables.
    """
    paths = {"host": "", **namespaces}
    files = read_files()
    for path, content in files.items():
        if path.startswith("/run/netns/") and content.startswith("namespace "):
            paths[path[len("/run/netns/") :]] = path
    looking, switches = {}, {}
    for name, path in paths.items():
        with entered(path):
            looking[name] = [witness("ip", "-j", "-d", "-b", "-")]
            if rules:
                looking[name].append(witness("nft", "-j", "list", "ruleset"))
            switches[name] = read_switches(sysctls)
    raw = {}
    for name, witnesses in looking.items():
        out, *ruleset = [tell(one, name) for one in witnesses]
        raw[name] = {
            **parse(out),
            "nft": json.loads(ruleset[0])["nftables"] if ruleset else [],
            "sysctls": switches[name],
            "address_types": address_types(paths[name]) if '"bridge"' in out else {},
        }
    indexes = {(name, link["ifname"]): link["ifindex"] for name, seen in raw.items() for link in seen["links"]}
    state: dict[str, Any] = {"files": files}
    state.update({name: normalise(name, seen, raw) for name, seen in raw.items()})
    return Snapshot(state, indexes)


def witness(*words: str) -> subprocess.Popen[str]:
    """Starts a tool in the namespace where this thread is, so that all look at once."""
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def tell(started: subprocess.Popen[str], name: str) -> str:
    out, err = started.communicate(BATCH)
    assert started.returncode == 0, f"a witness failed in {name}: {err}"
    return out


def read_switches(more: tuple[str, ...]) -> dict[str, str]:
    """Path to value in the namespace where this thread is."""
    top = "/proc/sys/net"
    paths = [f"{top}/ipv4/ip_forward", *(f"/proc/sys/{path}" for path in more)]
    for family, names in SWITCHES.items():
        for link in os.listdir(f"{top}/{family}/conf"):
            paths += [f"{top}/{family}/conf/{link}/{name}" for name in names]
    found = {}
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            found[path] = read_switch(path)
    return found


def read_switch(path: str) -> str:
    """Tens of thousands are read in a minute of tests, hence with as few calls as can be."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, 4096).decode().strip()
    finally:
        os.close(descriptor)


def address_types(path: str) -> dict[str, str]:
    """Of each link in a namespace, where its MAC address comes from (NET_ADDR_*), which only its sysfs tells."""
    if not path:
        return {link.name: kind for link in Path("/sys/class/net").iterdir() if (kind := address_type(link))}
    look = "mount -t sysfs sysfs /sys; grep -s '' /sys/class/net/*/addr_assign_type"
    words = ["nsenter", f"--net={path}", "unshare", "--mount", "sh", "-c", look]
    lines = subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()
    return {line.split("/")[4]: line.rpartition(":")[2] for line in lines}


def address_type(link: Path) -> str | None:
    """None for what is no link, or gone."""
    try:
        return read_switch(str(link / "addr_assign_type"))
    except OSError:
        return None


def parse(out: str) -> dict[str, Any]:
    """One document for each line of BATCH."""
    decoder = json.JSONDecoder()
    documents, position = [], 0
    while position < len(out):
        document, position = decoder.raw_decode(out, position)
        documents.append(document)
        while position < len(out) and out[position].isspace():
            position += 1
    nsids, links, routes, rules = documents
    return {
        "nsids": {entry["nsid"]: entry.get("name") for entry in nsids},
        "links": [link for link in links if link],
        "routes": routes,
        "rules": rules,
    }


def normalise(name: str, seen: dict[str, Any], all_seen: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        "links": {link["ifname"]: normal_link(name, link, seen, all_seen) for link in seen["links"]},
        "routes": sorted(
            (normal_route(route) for route in seen["routes"] if not made_by_the_kernel(route)),
            key=lambda route: json.dumps(route, sort_keys=True),
        ),
        "rules": seen["rules"],
        "nft": ruleset(seen["nft"]),
        "sysctls": seen["sysctls"],
    }


def normal_link(name: str, link: dict[str, Any], seen: dict[str, Any], all_seen: dict[str, Any]) -> dict[str, Any]:
    normal = strip(link)
    addresses = [
        address
        for address in normal.pop("addr_info", [])
        if address.get("local")
        and not made_of_a_mac(address["local"])
        # The kernel gives lo its own when it comes up, and leaves the IPv4 one when it goes down.
        and not (link["ifname"] == "lo" and address["scope"] == "host")
    ]
    # In a subnet of IPv4 the order tells primary and secondaries; between subnets it does not matter, nor in IPv6.
    normal["addresses"] = sorted(addresses, key=lambda address: str(subnet_of(address)))
    normal["flags"] = sorted(LINK_FLAGS & set(link["flags"]))
    if normal.get("qdisc") in OWN_QDISCS:
        del normal["qdisc"]
    if (
        link.get("linkinfo", {}).get("info_kind") == "bridge"
        and seen["address_types"].get(link["ifname"]) != SET_BY_HAND
    ):
        # A bridge takes over the address of a port, and keeps none when the last is gone.
        normal["address"] = Chosen(link["address"])
    if link.get("link_index"):
        normal["peer"] = peer_of(name, link, seen, all_seen)
    return normal


def peer_of(name: str, link: dict[str, Any], seen: dict[str, Any], all_seen: dict[str, Any]) -> list[str]:
    """Where the other end of a veth is: one place, or all that it can be if its namespace has no name here."""
    if "link_netnsid" in link:
        known = seen["nsids"].get(link["link_netnsid"])
        places = [known] if known in all_seen else [other for other in all_seen if other != name]
    else:
        places = [name]
    return sorted(
        f"{place}:{candidate['ifname']}"
        for place in places
        for candidate in all_seen[place]["links"]
        if candidate["ifindex"] == link["link_index"] and candidate.get("link_index") == link["ifindex"]
        # Indexes are the same by chance too: the other end does not lead to a namespace of another name.
        if place == name or all_seen[place]["nsids"].get(candidate.get("link_netnsid")) in (name, None)
    )


def subnet_of(address: dict[str, Any]) -> object:
    interface = ipaddress.ip_interface(f"{address['local']}/{address['prefixlen']}")
    return interface.network if interface.version == 4 else interface


def made_of_a_mac(address: str) -> bool:
    """Whether it is a link-local address as the kernel makes it, EUI-64 (RFC 4291); the MAC may have changed since."""
    parsed = ipaddress.ip_address(address)
    return parsed.is_link_local and parsed.version == 6 and parsed.packed[11:13] == b"\xff\xfe"


def made_by_the_kernel(route: dict[str, Any]) -> bool:
    """IPv6 routes that come when an address has passed its duplicate detection, or with link-local addresses."""
    six = ":" in str(route["dst"]) or "pref" in route
    if not six or route.get("protocol") != "kernel":
        return False
    return route.get("table") == "local" or route["dst"] in ("fe80::/64", "ff00::/8")


def normal_route(route: dict[str, Any]) -> dict[str, Any]:
    normal = {key: value for key, value in route.items() if key != "expires"}
    normal["flags"] = sorted(flag for flag in route.get("flags", []) if flag not in ("linkdown", "dead"))
    normal["nexthops"] = [
        {**hop, "flags": [flag for flag in hop.get("flags", []) if flag not in ("linkdown", "dead")]}
        for hop in route.get("nexthops", [])
    ]
    return normal


def strip(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: strip(inner) for key, inner in value.items() if key not in OF_THE_KERNEL}
    if isinstance(value, list):
        return [strip(inner) for inner in value]
    return value


def ruleset(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Each table, chain and map by its name, and of each chain its rules in their order; that of the rest is of no matter."""
    found: dict[str, Any] = {}
    for entry in entries:
        ((kind, value),) = entry.items()
        if kind == "metainfo":
            continue
        owner = value.get("chain") or value["name"]
        key = " ".join([kind, value["family"], value.get("table", ""), owner])
        value = without_handles(value)
        if kind == "rule":
            found.setdefault(key, []).append(value)
        else:
            if "elem" in value:
                value["elem"] = sorted(value["elem"], key=lambda element: json.dumps(element, sort_keys=True))
            found[key] = value
    return found


def without_handles(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: {"packets": 0, "bytes": 0} if key == "counter" and inner else without_handles(inner)
            for key, inner in value.items()
            if key not in ("handle", "index")
        }
    if isinstance(value, list):
        return [without_handles(inner) for inner in value]
    return value


def read_files() -> dict[str, str]:
    """Path to what stands there: a symbolic link, a namespace, a directory, or a file, with mode and content."""
    found = {}
    for top in FILES:
        for path in sorted(top.rglob("*")) if top.is_dir() else []:
            if NO_STATE.match(str(path)):
                continue
            if path.is_symlink():
                found[str(path)] = f"link to {os.readlink(path)}"
                continue
            status = path.stat()
            mode = stat.S_IMODE(status.st_mode)
            if is_namespace(path):
                found[str(path)] = f"namespace {status.st_ino}"
            elif path.is_dir():
                found[str(path)] = f"directory {mode:04o}"
            else:
                found[str(path)] = f"file {mode:04o} {path.read_bytes()!r}"
    return found


def is_namespace(path: Path) -> bool:
    """Whether a namespace is bound there: its device is that of nsfs."""
    return path.stat().st_dev == os.stat("/proc/self/ns/net").st_dev


def differences(one: Any, other: Any, place: str = "") -> list[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        return [
            line
            for key in sorted({*one, *other}, key=str)
            for line in differences(one.get(key), other.get(key), f"{place}/{key}" if place else str(key))
        ]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [
            line for number, pair in enumerate(zip(one, other)) for line in differences(*pair, f"{place}[{number}]")
        ]
    return [] if one == other or isinstance(one, Chosen) else [f"{place}: {json.dumps(one)} -> {json.dumps(other)}"]
