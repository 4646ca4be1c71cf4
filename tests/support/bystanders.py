# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others have on a host, which no lab may touch, and what foreign tools say of it, to the byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from . import runner
from .host import Host
from .labs import UPLINK
from .sandbox import entered
from .snapshot import tell, witness

# With a lab of its own name, which is somebody else's too.
SECOND = {
    "name": "second",
    "hosts": True,
    "namespaces": {"s1": {"routes": [{"dst": "default", "via": "10.99.0.1"}]}, "s2": {}},
    "bridges": {"sbr": {"subnet": "10.99.0.0/24"}},
    "links": [{"endpoints": ["s1:eth0", "sbr"]}, {"endpoints": ["s2:eth0", "sbr"]}, {"endpoints": ["s1:p", "s2:p"]}],
}
NAMESPACES = ("other", "s1", "s2")
LINKS = {"lo", UPLINK, "foreign", "fport", "sbr"}
FILES = ("/etc/netns/other/resolv.conf", "/run/nslab/lab.second", "/var/lib/nslab/lab.second", "/run/nslab/theirs")

MAKE = f"""
    # Duplicate addresses are looked for in the kernel's own time.
    for each in all default; do echo 0 >/proc/sys/net/ipv6/conf/$each/accept_dad; done
    ip netns add other
    ip netns exec other sh -c 'for each in all default; do echo 0 >/proc/sys/net/ipv6/conf/$each/accept_dad; done'
    ip link add {UPLINK} type veth peer name eth0 netns other
    ip link add foreign type bridge
    ip link add fport master foreign type veth peer name eth1 netns other
    ip addr add 192.0.2.33/24 dev foreign
    ip -n other addr add 192.0.2.34/24 dev eth1
    ip -n other addr add fd77::1/64 dev eth1
    for link in {UPLINK} foreign fport; do ip link set dev $link up; done
    for link in lo eth0 eth1; do ip -n other link set dev $link up; done
    ip -n other route add 10.77.0.0/16 via 192.0.2.33
    ip rule add from 192.0.2.99 table 99
    ip route add blackhole 10.98.0.0/16
    nft add table inet foreign
    nft add chain inet foreign input '{{ type filter hook input priority 0; }}'
    nft add rule inet foreign input ip daddr 192.0.2.77 drop
    nft add table ip foreign
    mkdir -p /etc/netns/other /run/nslab
    echo nameserver 192.0.2.9 >/etc/netns/other/resolv.conf
    echo theirs >/run/nslab/theirs
"""


def furnish(host: Host) -> None:
    host.sh(MAKE)
    made = runner.run("lab", SECOND)
    assert not made.failed, made["msg"]
    settled = ["ip -j addr show tentative", *(f"ip -n {name} -j addr show tentative" for name in NAMESPACES)]
    host.wait_for(lambda: not any(any(json.loads(host.sh(words) or "[]")) for words in settled))


def seen() -> dict[str, Any]:
    """All of it, in a form that can be compared."""
    started = {}
    for name in ("host", *NAMESPACES):
        with entered("" if name == "host" else f"/run/netns/{name}"):
            started[name] = (witness("ip", "-j", "-d", "-b", "-"), witness("nft", "-j", "-a", "list", "ruleset"))
    said = {name: (tell(one, name), tell(other, name)) for name, (one, other) in started.items()}
    links, routes, rules = documents(said["host"][0])
    told: dict[str, Any] = {name: said[name] for name in NAMESPACES}
    told["links"] = [without_timers(link) for link in links if link.get("ifname") in LINKS]
    told["routes"] = [route for route in routes if route.get("dev") in {None, *LINKS}]
    told["rules"] = rules
    told["nft"] = [entry for entry in json.loads(said["host"][1])["nftables"] if "foreign" in json.dumps(entry)]
    told["files"] = {path: f"{Path(path).stat().st_mtime_ns} {Path(path).read_text()}" for path in FILES}
    return told


def without_timers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_timers(inner) for key, inner in value.items() if not key.endswith("_timer")}
    return value


def documents(out: str) -> list[Any]:
    """Links, routes and rules, of what `ip -b` says to snapshot.BATCH."""
    decoder, found, position = json.JSONDecoder(), [], 0
    while position < len(out):
        document, position = decoder.raw_decode(out, position)
        found.append(document)
        while position < len(out) and out[position].isspace():
            position += 1
    return found[1:]
