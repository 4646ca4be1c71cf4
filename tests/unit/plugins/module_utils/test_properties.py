# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds of any plan, whatever the host and whatever is declared.

`plan` of the imagined host looks at each twice more: on its own result nothing is left to do, and the inverse of each
step leads back to what was before it. Here the hosts and the declarations are drawn by lot.
"""

from __future__ import annotations

import dataclasses
import ipaddress

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.nslab.linux.plugins.module_utils._errors import Problem
from ansible_collections.nslab.linux.plugins.module_utils._world import PROTO_KERNEL, Address, NamespaceState
from ansible_collections.nslab.linux.tests.unit.plugins.module_utils.imagined import (
    assert_alike,
    bridge,
    connected,
    key,
    link,
    namespace,
    plan,
    ref,
    route,
    veth,
    world,
)

PLACES = ("host", "red", "blue")
NAMES = ("a", "b", "c")
ADDRESSES = [f"10.{subnet}.0.{host}/{prefix}" for subnet in (0, 1) for host in (1, 2, 3) for prefix in (16, 24)]
ADDRESSES += [f"fd0{subnet}::{host}/{prefix}" for subnet in (0, 1) for host in (1, 2) for prefix in (48, 64)]
GATEWAYS = ["10.0.0.9", "10.1.0.9", "fd00::9", "fd01::9"]
NETWORKS = ["default", "10.8.0.0/16", "10.9.0.0/16", "::/0", "fd08::/16"]

quick = settings(max_examples=100, deadline=None, derandomize=True)  # the same on every run


def with_secondaries(texts) -> tuple:
    """The addresses as the kernel marks them: of those in one IPv4 subnet the first is the primary."""
    found, subnets = [], set()
    for text in texts:
        ip = ipaddress.ip_interface(text)
        marked = Address.SECONDARY if ip.version == 4 and ip.network in subnets else 0
        subnets.add(ip.network)
        found.append(Address(ip, flags=Address.PERMANENT | marked))
    return tuple(found)


def one_each(texts) -> list:
    """No address twice, whatever its prefix."""
    return list({text.partition("/")[0]: text for text in texts}.values())


addresses = st.lists(st.sampled_from(ADDRESSES), max_size=4).map(one_each)


@st.composite
def links(draw, name: str, make=link):
    made = make(
        name, *with_secondaries(draw(addresses)), up=draw(st.booleans()), promote_secondaries=draw(st.booleans())
    )
    return dataclasses.replace(made, mtu=draw(st.sampled_from([1400, 1500])))


@st.composite
def routes(draw, state: NamespaceState):
    """Routes that the links of a namespace can have: those of the kernel, and some by gateways that are neighbours."""
    found = []
    for each in state.links.values():
        subnets = {address.ip.network for address in each.addresses if each.up and address.static}
        found += [connected(str(subnet), each.name) for subnet in sorted(subnets, key=str)]
        near = [
            (each.name, gateway)
            for gateway in GATEWAYS
            if any(ipaddress.ip_address(gateway) in subnet for subnet in subnets)
        ]
        for dev, gateway in near:
            version = ipaddress.ip_address(gateway).version
            fit = [dst for dst in NETWORKS if (":" in dst) == (version == 6)]
            for dst in draw(st.lists(st.sampled_from(fit), max_size=2, unique=True)):
                src = draw(st.sampled_from([None, *(a.ip.ip for a in each.addresses if a.ip.version == version)]))
                mtu = draw(st.sampled_from([(), (("mtu", 1300),)]))
                found.append(route(dst, gateway, dev, src=src, metrics=mtu))
        if each.up and draw(st.booleans()):
            found.append(route("10.7.0.0/16", None, each.name, metric=draw(st.integers(1, 3))))
    unique = {each.identity: each for each in found}
    return list(unique.values())


@st.composite
def bridges(draw):
    made = draw(links("br0", bridge))
    state = namespace(made, draw(links("eth0")))
    state.routes = draw(routes(state))
    return state


# Addresses


@quick
@given(bridges(), addresses, st.booleans())
def test_addresses(state: NamespaceState, wanted, purge: bool):
    made = plan("bridge", world(red=state), name="br0", netns="red", addresses=wanted, purge_addresses=purge, up=None)
    own = made.after.namespaces[key("red")].links["br0"].addresses
    there = {str(address.ip) for address in own}
    assert there >= set(wanted)
    if purge:
        assert there == set(wanted)
    else:
        kept = {str(address.ip) for address in state.links["br0"].addresses}
        assert there >= {text for text in kept if text.partition("/")[0] not in {w.partition("/")[0] for w in wanted}}


@quick
@given(bridges(), addresses)
def test_no_route_is_lost_without_a_word(state: NamespaceState, wanted):
    made = plan("bridge", world(red=state), name="br0", netns="red", addresses=wanted, up=None)
    left = made.after.namespaces[key("red")].routes
    lost = [each for each in state.routes if each not in left and each.protocol != PROTO_KERNEL]
    assert len(lost) == len(made.warnings)


# A link up, down, removed


@quick
@given(bridges(), st.booleans())
def test_a_bridge_up_and_down(state: NamespaceState, up: bool):
    plan("bridge", world(red=state), name="br0", netns="red", up=up)


@quick
@given(bridges())
def test_a_bridge_removed(state: NamespaceState):
    plan("bridge", world(red=state), name="br0", netns="red", state="absent")


# Pairs


@st.composite
def pairs(draw):
    """A world in which a few pairs stand anywhere, and bridges to plug them into."""
    spots = draw(st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from(NAMES)), max_size=4, unique=True))
    state = {place: namespace(bridge("br0")) for place in PLACES}
    for one, other in zip(spots[::2], spots[1::2]):
        for (place, name), (there, peer) in ((one, other), (other, one)):

            def make(name: str, *given, there=there, peer=peer, **fields):
                return veth(name, f"{there}:{peer}", *given, **fields)

            made = draw(links(name, make))
            master = draw(st.sampled_from([None, "br0"]))
            state[place].links[name] = dataclasses.replace(made, master=master)
    for each in state.values():
        each.routes = draw(routes(each))
    return world(live_rename=draw(st.booleans()), **state)


@st.composite
def ends(draw):
    end = {"name": draw(st.sampled_from(NAMES)), "netns": draw(st.sampled_from(PLACES)), "up": draw(st.booleans())}
    end["addresses"] = draw(st.one_of(st.none(), addresses))
    end["mtu"] = draw(st.sampled_from([None, 1400]))
    end["master"] = draw(st.sampled_from([None, "br0"]))
    return end


@quick
@given(pairs(), ends(), ends())
def test_pairs(imagined, first, peer):
    try:
        made = plan("veth", imagined, force=True, **first, peer=peer)
    except Problem:
        return
    (shown,) = made.report["pairs"]
    assert [(end["name"], end["netns"], end["up"]) for end in shown] == [
        (end["name"], end["netns"], end["up"]) for end in (first, peer)
    ]
    assert [end["peer"]["name"] for end in shown] == [peer["name"], first["name"]]


@quick
@given(pairs(), ends())
def test_pairs_removed(imagined, first):
    made = plan("veth", imagined, **first, state="absent")
    assert first["name"] not in made.after.at(ref(first["netns"])).links


# Links that are there


@st.composite
def declared_links(draw):
    wanted = draw(ends())
    wanted["up"] = draw(st.sampled_from([None, True, False]))
    wanted["master"] = draw(st.sampled_from([None, "", "br0"]))
    wanted["promisc"] = draw(st.sampled_from([None, True, False]))
    wanted["rename"] = draw(st.sampled_from([None, *NAMES]))
    wanted["from"] = draw(st.sampled_from([None, *PLACES]))
    return {**wanted, "purge_addresses": draw(st.booleans())}


@quick
@given(pairs(), declared_links())
def test_links(imagined, wanted):
    try:
        made = plan("ns_link", imagined, force=True, **wanted)
    except Problem:
        return
    shown = made.report["link"]
    assert (shown["name"], shown["netns"]) == (wanted["rename"] or wanted["name"], wanted["netns"])
    for option in ("up", "promisc", "mtu"):
        assert wanted[option] in (None, shown[option])
    assert wanted["master"] in (None, shown["master"] or "")
    assert set(shown["addresses"]) >= set(wanted["addresses"] or ())
    assert count_of_links(made.after) == count_of_links(made.plan.before)


@quick
@given(pairs(), declared_links())
def test_links_given_back(imagined, wanted):
    home, there = ref(wanted["from"] or "host"), ref(wanted["netns"])
    name, final = wanted["name"], wanted["rename"] or wanted["name"]
    try:
        made = plan("ns_link", imagined, force=True, **wanted, state="absent")
    except Problem:
        return
    if (there, final) != (home, name):
        assert made.after.link(there, final) is None
        assert bool(made.operations) == (imagined.link(there, final) is not None)
    assert count_of_links(made.after) == count_of_links(made.plan.before)


def count_of_links(imagined) -> int:
    return sum(len(state.links) for state in imagined.namespaces.values())


# Routes


@st.composite
def wanted_routes(draw):
    version = draw(st.sampled_from([4, 6]))
    fit = [gateway for gateway in GATEWAYS if (":" in gateway) == (version == 6)]
    dst = draw(st.sampled_from(["10.8.0.0/16", "0.0.0.0/0"] if version == 4 else ["fd08::/16", "::/0"]))
    how = draw(st.sampled_from(["via", "nexthops", "blackhole"]))
    found = {"dst": dst, "mtu": draw(st.sampled_from([None, 1400])), "metric": draw(st.sampled_from([None, 5]))}
    if how == "via":
        found["via"] = draw(st.sampled_from(fit))
    elif how == "nexthops":
        found["nexthops"] = [{"via": gateway, "weight": draw(st.integers(1, 3))} for gateway in fit]
    else:
        found.update(type="blackhole", mtu=None)
    return found


@quick
@given(bridges(), wanted_routes(), st.booleans())
def test_routes(state: NamespaceState, wanted, purge: bool):
    try:
        made = plan("ns_route", world(red=state), netns="red", routes=[wanted], purge_routes=purge)
    except Problem:
        return
    (shown,) = made.report["routes"]
    assert (shown["via"], len(shown["nexthops"])) == (wanted.get("via"), len(wanted.get("nexthops", ())))
    if purge:
        own = [each for each in made.after.namespaces[key("red")].routes if each.protocol != PROTO_KERNEL]
        assert len(own) == 1


@quick
@given(bridges(), st.sampled_from(NETWORKS))
def test_routes_removed(state: NamespaceState, dst: str):
    made = plan("ns_route", world(red=state), netns="red", routes=[{"dst": dst}], state="absent")
    assert {step.operation.command.split()[3] for step in made.plan.steps} <= {"route", "-6"}


# The whole way back


@quick
@given(bridges(), addresses)
def test_all_steps_undone_in_reverse_lead_to_where_it_began(state: NamespaceState, wanted):
    made = plan("bridge", world(red=state), name="br0", netns="red", addresses=wanted, mtu=1400, up=False)
    back = made.after.copy()
    for step in reversed(made.plan.steps):
        for operation in step.inverse:
            operation.simulate(back)
    assert_alike(back.namespaces[key("red")], made.plan.before.namespaces[key("red")], "all steps undone")
