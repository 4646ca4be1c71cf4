# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands out in the picture of a lab: nothing where it is as it was made, and whatever hands have changed."""

from __future__ import annotations

from typing import Any

import pytest
from support import runner
from support.host import Host

from ansible_collections.nslab.linux.plugins.plugin_utils._picture import Picture
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_seen import picture_of_seen

pytestmark = [pytest.mark.once, pytest.mark.no_rules]

LAB: dict[str, Any] = {
    "name": "two_tier",
    "namespaces": {
        "web": {
            "routes": [{"dst": "default", "via": "10.1.0.1"}, {"dst": "10.9.0.0/16", "via": "10.2.0.2", "metric": 5}],
            "resolv": {"nameservers": ["192.0.2.53"], "search": ["example.com"]},
            "sysctl": {"net.ipv4.ip_forward": 1},
        },
        "db": {},
        "cache": {},
    },
    "bridges": {"br0": {"subnet": ["10.1.0.0/24", "fd01::/64"], "ageing_time": 60}, "br1": {"netns": "db"}},
    "links": [
        {"endpoints": ["web:eth0", "br0"]},
        {"endpoints": [{"node": "web", "interface": "eth1", "mac": "52:54:00:12:34:01"}, "db:eth0"], "mtu": 1400, "subnet": "10.2.0.0/30"},
        {"endpoints": ["cache:eth0", "br0:cache0"]},
        {"endpoints": ["db:eth1", {"node": "host", "interface": "db0", "up": False}]},
    ],
    "nat": [
        {"sources": ["10.1.0.0/24"], "uplink": ["out0"], "publish": [{"port": 8080, "to": "10.1.0.2", "to_port": 80}]},
        {"netns": "db", "inside": ["br1"], "uplink": ["eth0"], "ip_forward": "keep"},
    ],
    "hosts": True,
}  # fmt: skip
UPLINK = "ip link add out0 type bridge; ip addr add 192.0.2.1/24 dev out0; ip link set dev out0 up"

LOST_WEB = {"changed: route default via 10.1.0.1 is missing"}
# What a hand does, what stands out then, and what takes back what a run of the lab does not.
BY_HAND: list[tuple[str, set[str], str]] = [
    ("ip -n web link set dev eth0 down", {"down: eth0 is down", "missing: fd01::2/64 is missing on eth0", *LOST_WEB}, ""),
    ("ip -n web link set dev eth1 mtu 1300", {"mtu: db:eth0 has mtu 1400, web:eth1 has 1300", "mtu: eth1 has mtu 1300, declared 1400"}, ""),
    ("ip link set dev br0 mtu 1300", {"mtu: br0 has mtu 1300, its ports have 1500"}, "ip link set dev br0 mtu 1500"),
    ("ip link set dev cache0 mtu 1300", {"mtu: cache:eth0 has mtu 1500, host:cache0 has 1300", "mtu: cache0 has mtu 1300, bridge br0 has 1500"},
     "ip link set dev cache0 mtu 1500"),
    ("ip link set dev br0 down", {"down: br0 is down", "changed: fd01::1/64 is missing on br0"}, ""),
    ("ip -n db link set dev lo down", {"down: lo is down"}, ""),
    ("ip link set dev db0 up", {"changed: db0 is up, declared down"}, ""),
    ("ip -n web link set dev eth1 address 52:54:00:12:34:02", {"changed: eth1 has mac 52:54:00:12:34:02, declared 52:54:00:12:34:01"}, ""),
    ("ip -n db addr del 10.2.0.2/30 dev eth0", {"missing: 10.2.0.2/30 is missing on eth0"}, ""),
    ("ip -n db addr add 10.2.0.9/30 dev eth0", {"extra: 10.2.0.9/30 on eth0 is not declared"}, ""),
    ("ip -n cache addr del 10.1.0.3/24 dev eth0; ip -n cache addr add 10.1.0.77/24 dev eth0", {"changed: eth0 has 10.1.0.77/24, declared 10.1.0.3/24"}, ""),
    ("ip -n web route del default", LOST_WEB, ""),
    ("ip -n web route change 10.9.0.0/16 via 10.1.0.3 metric 5",
     {"changed: route 10.9.0.0/16 via 10.1.0.3 metric 5, declared 10.9.0.0/16 via 10.2.0.2 metric 5"}, ""),
    ("ip -n web route add unreachable 10.7.0.0/16", {"changed: route unreachable 10.7.0.0/16 is not declared"}, "ip -n web route del unreachable 10.7.0.0/16"),
    ("ip netns exec web sysctl -qw net.ipv4.ip_forward=0", {"changed: net/ipv4/ip_forward is 0, declared 1"}, ""),
    ("sysctl -qw net.ipv4.conf.br0.forwarding=0", {"changed: net/ipv4/conf/br0/forwarding is 0: NAT lets nothing pass from br0"}, ""),
    ("sysctl -qw net.ipv4.conf.out0.forwarding=0", {"changed: net/ipv4/conf/out0/forwarding is 0: NAT lets nothing pass from out0"}, ""),
    ("nft delete table inet nslab", {"changed: NAT rule set lab_two_tier is missing"}, ""),
    ("nft flush map inet nslab publish4", {"changed: NAT publish none, declared tcp 8080 to 10.1.0.2:80"}, ""),
    ("nft flush chain inet nslab post_lab_two_tier", {"changed: NAT uplink none, declared out0", "changed: NAT sources none, declared 10.1.0.0/24"}, ""),
    ("printf 'nameserver 192.0.2.54\\n' >/etc/netns/web/resolv.conf",
     {"changed: nameservers 192.0.2.54, declared 192.0.2.53", "changed: search none, declared example.com"}, ""),
    ("rm /etc/netns/web/resolv.conf", {"changed: /etc/netns/web/resolv.conf is missing"}, ""),
    ("sed -i /cache/d /etc/netns/db/hosts", {"changed: cache in /etc/netns/db/hosts, declared otherwise"}, ""),
    ("echo 192.0.2.7 guest >>/etc/netns/db/hosts", {"changed: guest in /etc/netns/db/hosts is not declared"}, ""),
    ("rm /etc/netns/db/hosts", {"changed: /etc/netns/db/hosts is missing"}, ""),
    ("ip link set dev cache0 nomaster", {"changed: cache0 is in no bridge, declared in br0"}, ""),
    ("ip link set dev br0 type bridge ageing_time 3000", {"changed: ageing_time 30, declared 60"}, ""),
    ("ip -n cache link set dev eth0 down; ip -n cache link set dev eth0 name eth9",
     {"changed: link host:cache0 leads to cache:eth9, declared cache:eth0", "down: eth9 is down"},
     "ip -n cache link set dev eth9 name eth0"),
    ("ip link del db0", {"missing: link db:eth1 - host:db0 is missing"}, ""),
    ("ip -n db link del br1", {"missing: bridge br1 is missing"}, ""),
    ("ip netns del cache; sleep 0.1", {"missing: namespace cache is missing", "missing: link cache:eth0 - host:cache0 is missing"}, ""),
    ("umount /run/netns/cache", {"unread: namespace cache could not be read"}, "rm /run/netns/cache; ip link del cache0 2>/dev/null || true"),
    ("ip -n db link add v7 link eth0 type macvlan", {"changed: v7 (macvlan) is not declared", "down: v7 is down"}, "ip -n db link del v7"),
    ("ip -n db link add br9 up type bridge", {"extra: bridge br9 is not declared"}, "ip -n db link del br9"),
    ("ip netns add guest; ip link add g0 up master br0 type veth peer name eth0 netns guest; ip -n guest link set dev eth0 up",
     {"extra: link guest:eth0 - host:g0 is not declared"}, "ip link del g0; ip netns del guest"),
    ("ip -n web link add name a up type veth peer name b netns db; ip -n db link set dev b up",
     {"extra: link db:b - web:a is not declared"}, "ip -n web link del dev a"),
]  # fmt: skip


def standing_out(picture: Picture) -> set[str]:
    """Each mark of the picture by its kind and text."""
    found = [*picture.marks]
    for node in picture.nodes:
        found += node.marks
    for wire in picture.wires:
        found += [*wire.marks, *wire.ends[0].marks, *wire.ends[1].marks]
    return {f"{mark.kind}: {mark.text}" for mark in found}


def made() -> None:
    result = runner.run("lab", {"definition": LAB})
    assert not result.failed, result["msg"]


def picture() -> Picture:
    drawn = picture_of_seen(dict(runner.run("lab_info", {})), LAB)
    keys = {node.key for node in drawn.nodes}
    assert len(keys) == len(drawn.nodes)
    assert keys.issuperset(end.node for wire in drawn.wires for end in wire.ends)
    return drawn


def test_what_hands_have_changed_stands_out_and_nothing_else_does(host: Host) -> None:
    host.sh(UPLINK)
    host.sh("ip netns add other; ip -n other link add x type bridge")
    made()
    assert standing_out(picture()) == set()
    for commands, expected, back in BY_HAND:
        host.sh(commands)
        assert standing_out(picture()) == expected, commands
        if back:
            host.sh(back)
        made()
        assert standing_out(picture()) == set(), f"after {commands} was mended"
