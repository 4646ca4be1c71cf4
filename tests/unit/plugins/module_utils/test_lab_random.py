# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Labs by lot on the imagined host: what holds of any plan, from any lab to any other.

`plan` looks at each twice more: on its own result nothing is left to do, and the inverse of each step leads back. With the
kernel the same is done in tests/kernel/test_lab_random.py, for fewer labs.
"""

from __future__ import annotations

import dataclasses
import ipaddress

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ansible_collections.nslab.linux.plugins.module_utils._engine import make_plan, observe
from ansible_collections.nslab.linux.plugins.module_utils._world import DirectoryState, World
from ansible_collections.nslab.linux.tests.support import labs
from ansible_collections.nslab.linux.tests.unit.plugins.module_utils.imagined import (
    DECLARE,
    Imagined,
    a_host,
    assert_alike,
    bound,
    link,
    namespace,
    plan,
    ref,
    veth,
    world,
)

SWITCHES = ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding", "net/ipv4/conf/lo/proxy_arp")

quick = settings(max_examples=40, deadline=None, derandomize=True, phases=[Phase.generate])  # the same on every run


def a_world() -> World:
    """A host with an uplink, and with a pair of somebody else's that leads into a namespace of his."""
    here, there = veth("theirs0", "theirs:eth0"), veth("eth0", "host:theirs0")
    there_already = {path: DirectoryState(()) for path in ("/etc/netns", "/run/nslab")}
    return with_switches(world(a_host(link(labs.UPLINK), here), theirs=namespace(there), directories=there_already))


def become(truth: World, options) -> World:
    """The host after the run."""
    made = plan("lab", truth, **options)
    after = truth.copy()
    for operation in made.plan.todo:
        operation.simulate(after)
    return with_switches(after)


def with_switches(truth: World) -> World:
    """Each namespace has those that a definition may set, off where nobody has set them."""
    for state in truth.namespaces.values():
        for path in SWITCHES:
            state.sysctls.setdefault(path, "0")
    return truth


def drawn(sketch) -> dict:
    """Rule sets have tests of their own, and what MTU a bridge has on the way back only the kernel tells."""
    cables = {number: dataclasses.replace(cable, mtu=0) for number, cable in sketch.cables.items()}
    bridges = {name: dataclasses.replace(bridge, mtu=0) for name, bridge in sketch.bridges.items()}
    return labs.definition("one", dataclasses.replace(sketch, nat="", cables=cables, bridges=bridges))


def expect(truth: World, options) -> None:
    """That what the definition says is there, and nothing else of the lab."""
    names = labs.namespaces(options)
    assert bound(truth) == {*names, "theirs", "host"}
    wanted = labs.expected(options)
    there = {
        (where, name): each
        for where in ("host", *names)
        for name, each in truth.at(ref(where)).links.items()
        if name not in ("lo", "eth0" if where == "host" else "", labs.UPLINK, "theirs0")
    }
    assert sorted(there) == sorted(wanted)
    for place, one in wanted.items():
        found = there[place]
        assert (found.kind, found.up, found.master) == (one.kind, one.up, one.master), place
        assert one.mtu in (None, found.mtu), place
        assert one.mac in (None, found.mac), place
        if one.peer is not None:
            assert found.peer is not None
            assert (truth.reference(found.peer.namespace), found.peer.name) == (ref(one.peer[0]), one.peer[1]), place
        has = {each.ip for each in found.addresses if each.static}
        assert has >= {ipaddress.ip_interface(text) for text in one.addresses or ()}, place


def same(one: World, other: World) -> None:
    assert bound(one) == bound(other)
    for name in bound(other):
        assert_alike(one.at(ref(name)), other.at(ref(name)), name)
    assert {path: file for path, file in one.files.items() if file} == {
        path: file for path, file in other.files.items() if file
    }


@quick
@given(labs.sketches, st.data())
def test_labs_by_lot(sketch, data):
    beginning = truth = a_world()
    options = drawn(sketch)
    for _edit in range(3):
        truth = become(truth, options)
        expect(truth, options)
        sketch = data.draw(labs.edits(data.draw(labs.edits(sketch))))
        options = drawn(sketch)
    truth = become(truth, {"name": "one", "state": "absent"})
    same(truth, beginning)


@quick
@given(labs.sketches, labs.sketches)
def test_from_any_lab_to_any_other_and_back(first, second):
    """The way does not matter where no addresses are remembered: what is there in the end is what was there at first."""
    one, other = (drawn(sketch) for sketch in (first, second))
    truth = become(a_world(), one)
    again = become(become(truth, other), one)
    expect(again, one)
    declaration = DECLARE["lab"]({"state": "present", **one})
    assert make_plan(declaration, observe(declaration, Imagined(again)), assume=False).operations == []
