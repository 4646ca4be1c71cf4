# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""lab: a lab that is there is changed in place, by the fewest operations, and the rest of it does not notice."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support import runner
from support.host import Host
from support.running_lab import GATEWAY, NET, Definition, beside_the_ledger, edited, end, identities, lost, port

pytestmark = pytest.mark.no_rules

# Each: the edit, the operations beside the ledger's lines, and what is no longer what it was.
CHANGES: dict[str, tuple[Callable[[Definition], object], list[str], list[str]]] = {
    "mtu of a link": (
        lambda net: net["links"][3].update(mtu=1400),
        ["ip -n a link set dev eth1 mtu 1400", "ip -n b link set dev eth1 mtu 1400"],
        [],
    ),
    "address": (
        lambda net: end(net, 1, 0, addresses=["10.7.0.22/24"]),
        ["ip -n b addr del 10.7.0.12/24 dev eth0", "ip -n b addr add 10.7.0.22/24 dev eth0"],
        [],
    ),
    "address no longer declared": (
        lambda net: (net["links"][3]["endpoints"][0].pop("addresses"), net["namespaces"]["a"]["routes"].pop()),
        [
            "ip -n a route del 10.9.0.0/24 via 10.8.0.2 dev eth1",
            "ip -n a addr del 10.8.0.1/24 dev eth1",
            "ip -n a addr del fd08::1/64 dev eth1",
        ],
        [],
    ),
    "route": (
        lambda net: net["namespaces"]["a"]["routes"][1].update(via="10.7.0.13"),
        ["ip -n a route replace 10.9.0.0/24 via 10.7.0.13 dev eth0"],
        [],
    ),
    "route no longer declared": (
        lambda net: net["namespaces"]["a"]["routes"].pop(),
        ["ip -n a route del 10.9.0.0/24 via 10.8.0.2 dev eth1"],
        [],
    ),
    "MAC": (
        lambda net: end(net, 3, 1, mac="02:00:00:00:00:b2"),
        ["ip -n b link set dev eth1 address 02:00:00:00:00:b2"],
        [],
    ),
    "interface renamed, with a named end on the host": (
        lambda net: end(net, 1, 0, interface="lan"),
        ["ip -n b link set dev eth0 name lan"],
        ["b eth0"],
    ),
    "interface renamed, whose port has no name of its own": (
        lambda net: end(net, 2, 0, interface="lan"),
        ["ip -n c link set dev eth0 name lan", "ip link set dev PORT name NEW"],
        ["c eth0", "host PORT"],
    ),
    "sysctl": (
        lambda net: net["namespaces"]["c"]["sysctl"].update({"net.ipv4.ip_forward": 0}),
        ["ip netns exec c sysctl -w net/ipv4/ip_forward=0"],
        [],
    ),
    "a node more": (
        lambda net: (
            net["namespaces"].update(d=None),
            net["links"].append({"endpoints": ["d:eth0", "br0:pd"]}),
        ),
        [
            "ip netns add d",
            "ip link add name pd master br0 type veth peer name eth0 netns d",
            "ip -n d link set dev lo up",
            "ip -n d link set dev eth0 up",
            "ip link set dev pd up",
        ],
        [],
    ),
    "a node less": (
        lambda net: (net["namespaces"].pop("c"), net["links"].pop(2)),
        ["ip netns del c"],
        ["c", "c eth0", "c lo", "host PORT"],
    ),
    "moved end": (
        lambda net: end(net, 3, 1, node="c"),
        [
            "ip -n b link set dev eth1 netns c",
            "ip -n c addr add 10.8.0.2/24 dev eth1",
            "ip -n c link set dev eth1 up",
        ],
        ["b eth1"],
    ),
    "links and their ends in another order": (
        lambda net: (net["links"].reverse(), [link["endpoints"].reverse() for link in net["links"][:-1]]),
        [],
        [],
    ),
    "link to another bridge": (
        lambda net: (net["links"][1]["endpoints"].__setitem__(1, "br1:pb"), net.update(overlap=True)),
        ["ip link set dev pb master br1"],
        [],
    ),
}


@pytest.mark.by_module
@pytest.mark.parametrize("what", CHANGES)
def test_a_change_is_the_smallest_plan_and_leaves_the_rest_alone(host: Host, what: str) -> None:
    edit, wanted, anew = CHANGES[what]
    runner.run("lab", NET)
    host.sh("ip -n a link add name hand type veth peer name dnah; ip -n a route add 10.66.0.0/16 dev up")
    before, first, unnamed = host.snapshot(), identities(host), port(host, "c")
    goes = "c" in anew
    result = host.apply("lab", **edited(edit), faulty=False, settled=lambda: not (goes and host.has_link(unnamed)))
    renamed = port(host, "c", "lan") if host.try_sh("ip -n c link show dev lan") else unnamed
    told = [text.replace(unnamed, "PORT").replace(renamed, "NEW") for text in beside_the_ledger(result)]
    assert told == wanted
    assert result.changed == bool(wanted)
    assert lost(host, first) == sorted(name.replace("PORT", unnamed) for name in anew)
    back = runner.run("lab", NET)
    if what == "link to another bridge":  # which keeps the MAC that was declared of it
        assert beside_the_ledger(back) == ["ip link set dev pb master br0"]
    assert goes or [text for text in before.differences(host.snapshot()) if "/run/nslab" not in text] == []


# The rest of the lab does not notice


@pytest.mark.by_module
def test_no_packet_of_the_rest_is_lost_while_a_lab_changes(host: Host) -> None:
    # A bridge whose MAC nobody declares.
    plain = edited(lambda net: net["bridges"]["br0"].pop("mac"))
    runner.run("lab", plain)
    first = identities(host)
    edits = [CHANGES[what][0] for what in ("a node less", "moved end", "link to another bridge")]
    # A bridge that went by the lowest MAC of its ports would now have another one.
    edits.append(lambda net: (CHANGES["a node more"][0](net), end(net, 5, 1, mac="02:00:00:00:00:00")))
    edits.append(lambda net: net["bridges"].update(br2={"addresses": ["10.10.0.1/24"]}))
    host.ping("10.7.0.11", "b")
    with host.pinging(GATEWAY, "a"), host.pinging("10.7.0.11"):
        for edit in edits:
            assert runner.run("lab", edited(lambda net: net["bridges"]["br0"].pop("mac"), edit)).changed
        assert runner.run("lab", plain).changed
    assert [name for name in lost(host, first) if not name.startswith(("c", "host v", "b eth1"))] == []
