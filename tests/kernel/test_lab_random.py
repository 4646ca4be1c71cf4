# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Labs by lot, made, edited and removed on a host where others have something too.

Of every step: check mode foretells it, what `ip` shows is what the definition says, a second run has nothing to do, and
what others have is the same to the byte. A step that fails leaves all as it was. In the end the host is as it was at
first. `NSLAB_SOAK=500` has so many labs, none of which was drawn before; without it they are the same few on every run.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from support import bystanders, faults, labs, runner, snapshot
from support.host import MODULE, Host, a_host, assert_foretold, assert_same, diff_texts
from support.runner import Result
from support.sandbox import entered, sandbox, why_impossible

from ansible_collections.nslab.linux.plugins.plugin_utils._scene_defined import picture_of_definition
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_seen import picture_of_seen

SOAK = int(os.environ.get("NSLAB_SOAK", "0"))


class LabByLot(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.everything = contextlib.ExitStack()
        self.everything.enter_context(sandbox())
        self.host: Host = self.everything.enter_context(a_host(MODULE))
        bystanders.furnish(self.host)
        self.others = bystanders.seen()
        self.beginning = self.host.snapshot()
        self.sketch = labs.Sketch()
        self.given: dict[labs.Place, list[str]] = {}
        self.told: list[dict[str, Any]] = []  # the last definitions, before and after

    @initialize(sketch=labs.sketches)
    def begin(self, sketch: labs.Sketch) -> None:
        self.become(sketch)

    @rule(data=st.data(), count=st.sampled_from([1, 1, 2, 3]))
    def edit(self, data: st.DataObject, count: int) -> None:
        sketch = self.sketch
        for _time in range(count):
            sketch = data.draw(labs.edits(sketch))
        self.become(sketch)

    @rule(data=st.data(), place=st.integers(0, 10**6))
    def edit_and_fail(self, data: st.DataObject, place: int) -> None:
        """One operation of the plan fails, and nothing has happened."""
        options = labs.definition("one", data.draw(labs.edits(data.draw(labs.edits(self.sketch)))))
        foretold = runner.run("lab", options, check=True)
        assert not foretold.failed, foretold["msg"]
        if not foretold.operations:
            return
        before = self.host.snapshot()
        places = faults.places(foretold.operations)
        with faults.failing(places[place % len(places)]):
            result = runner.run("lab", options)
        assert result.failed, f"failing at {places[place % len(places)]}, it reported success"
        runner.assert_one_line(result)
        assert_same(before, self.host.snapshot(), f"the failure at {places[place % len(places)]}: {result['msg']}")
        assert result["rolled_back"] is True, result["msg"]
        self.look(labs.definition("one", self.sketch))

    @precondition(lambda self: self.sketch.namespaces)
    @rule(data=st.data())
    def somebody_meddles(self, data: st.DataObject) -> None:
        """What was changed by hand is as declared after the next run."""
        options = labs.definition("one", self.sketch)
        places = sorted(place for place, link in labs.expected(options).items() if link.kind == "veth")
        meddling = [f"ip netns del {name}" for name in labs.namespaces(options)]
        for where, name in places:
            ip = "ip" if where == "host" else f"ip -n {where}"
            meddling += [
                f"{ip} link del {name}",
                f"{ip} link set dev {name} down",
                f"{ip} link set dev {name} mtu 1300",
            ]
            meddling += [f"{ip} addr flush dev {name}", f"{ip} link set dev {name} nomaster"]
        if meddling:
            self.host.sh(data.draw(st.sampled_from(meddling)))
            # A namespace takes its links along in its own time.
            self.host.wait_for(lambda: not widows(self.host))
            self.become(self.sketch)

    @rule()
    def remove(self) -> None:
        self.absent()
        self.become(self.sketch)

    def teardown(self) -> None:
        if self.told:  # shown when the test fails
            print("\n".join(map(json.dumps, self.told)))
        try:
            self.absent()
        finally:
            self.everything.close()

    # A step

    def become(self, sketch: labs.Sketch) -> None:
        options = labs.definition("one", sketch)
        self.told = [*self.told[-1:], options]
        foretold = runner.run("lab", options, check=True)
        assert not foretold.failed, f"refused in check mode: {foretold['msg']}"
        result = runner.run("lab", options)
        assert not result.failed, f"failed: {result['msg']}"
        assert result.operations == foretold.operations
        assert diff_texts(result) == diff_texts(foretold)
        for name, bridge in foretold["lab"]["bridges"].items():
            if "mtu" not in options["bridges"][name]:
                bridge["mtu"] = None  # it goes by its ports, and is not foretold when one of them gets another
        assert_foretold(foretold.state["lab"], result.state["lab"])
        self.sketch = sketch
        for check in (True, False):
            again = runner.run("lab", options, check=check)
            assert not again.failed, f"once more: {again['msg']}"
            assert not again.operations, f"still to do: {again.operations}, after {result.operations}"
        self.look(options, result)

    def absent(self) -> Result:
        removed = runner.run("lab", {"name": "one", "state": "absent"})
        assert not removed.failed, removed["msg"]
        self.given = {}
        assert_same(self.beginning, self.host.snapshot(), "absent")
        self.look_at_others()
        return removed

    def look(self, options: dict[str, Any], result: Result | None = None) -> None:
        """That `ip` shows what the definition says, and that what others have is untouched."""
        self.look_at_others()
        names = labs.namespaces(options)
        assert sorted(self.host.namespaces()) == sorted([*names, *bystanders.NAMESPACES])
        found = links_in(names)
        wanted = labs.expected(options)
        assert sorted(found) == sorted(wanted), result and result.operations
        given = {}
        for place, link in wanted.items():
            given[place] = self.look_at(place, link, found[place])
        every = [ipaddress.ip_interface(text).ip for texts in given.values() for text in texts]
        assert len(every) == len(set(every)), given
        self.given = given
        self.look_at_namespaces(options)
        self.look_at_picture(options)

    def look_at_others(self) -> None:
        changes = snapshot.differences(self.others, bystanders.seen())
        assert not changes, "what others have was changed:\n" + "\n".join(changes)

    def look_at(self, place: labs.Place, wanted: labs.Expected, seen: dict[str, Any]) -> list[str]:
        """The addresses that the link has."""
        assert seen["linkinfo"]["info_kind"] == wanted.kind, place
        assert ("UP" in seen["flags"]) == wanted.up, place
        assert seen.get("master") == wanted.master, place
        if wanted.peer is not None:
            assert seen.get("peer") == [":".join(wanted.peer)], place
        if wanted.mtu is not None:
            assert seen["mtu"] == wanted.mtu, place
        if wanted.mac is not None:
            assert seen["address"] == wanted.mac, place
        has = [f"{each['local']}/{each['prefixlen']}" for each in seen["addr_info"] if each["scope"] == "global"]
        declared = wanted.addresses or []
        assert {ipaddress.ip_interface(text) for text in has} >= {ipaddress.ip_interface(text) for text in declared}, (
            place
        )
        subnets = [ipaddress.ip_network(text) for text in wanted.subnets]
        versions = {ipaddress.ip_interface(text).version for text in declared}
        owed = [subnet for subnet in subnets if wanted.kind == "bridge" or subnet.version not in versions]
        for subnet in owed:
            (own,) = [text for text in has if ipaddress.ip_interface(text).network == subnet]
            earlier = [text for text in self.given.get(place, []) if ipaddress.ip_interface(text).network == subnet]
            assert not earlier or earlier == [own], f"{place} had {earlier}, and has {own}"
        if wanted.addresses is not None or subnets:
            assert len(has) == len(declared) + len(owed), f"{place} has {has}"
        return has

    def look_at_namespaces(self, options: dict[str, Any]) -> None:
        prefix = options.get("prefix", "")
        for node, namespace in options["namespaces"].items():
            name = f"{prefix}{node}"
            lo = self.host.link("lo", name)
            assert ("UP" in lo["flags"]) == namespace.get("loopback", True), name
            for key, value in namespace.get("sysctl", {}).items():
                path = key if "/" in key else key.replace(".", "/")
                assert self.host.sysctl(path, name) == str(value), key
            wanted = sorted(shown(route) for route in namespace.get("routes", []))
            seen = [
                route for family in (4, 6) for route in self.host.routes(name, family) if route.get("protocol") != "ra"
            ]
            assert sorted(shown(route) for route in seen) == wanted, name

    def look_at_picture(self, options: dict[str, Any]) -> None:
        """Nothing stands out in it, but for ports and ends that were declared with unlike MTUs."""
        drawn = picture_of_seen(dict(runner.run("lab_info", {})), options)
        ends = [end for wire in drawn.wires for end in wire.ends]
        texts = {f"{mark.kind}: {mark.text}" for each in (*drawn.nodes, *drawn.wires, *ends) for mark in each.marks}
        assert {text for text in texts if "declared" in text or not text.startswith("mtu: ")} == set()
        assert {node.key for node in drawn.nodes} == {node.key for node in picture_of_definition(options).nodes}


def shown(route: dict[str, Any]) -> str:
    """Destination, metric and gateways of a route, as declared or as `ip` shows it."""
    hops = route.get("nexthops") or [{"via": route.get("via", route.get("gateway")), "dev": route.get("dev")}]
    if route.get("type") == "blackhole":
        hops = []
    gateways = [str(hop.get("via") or hop.get("gateway") or hop.get("dev")) for hop in hops]
    metric = route.get("metric") or (1024 if ":" in route["dst"] else 0)
    return f"{route['dst']} {metric} {' '.join(sorted(gateways))}"


def links_in(names: list[str]) -> dict[labs.Place, dict[str, Any]]:
    """The links of these namespaces and of the host, but for lo and what others have; `peer` as in snapshots."""
    started = {}
    for name in ("host", *names):
        with entered("" if name == "host" else f"/run/netns/{name}"):
            started[name] = snapshot.witness("ip", "-j", "-d", "-b", "-")
    seen = {name: snapshot.parse(snapshot.tell(one, name)) for name, one in started.items()}
    found = {}
    for name, told in seen.items():
        for link in told["links"]:
            if link["ifname"] in (bystanders.LINKS if name == "host" else {"lo"}):
                continue
            if "link" in link:  # in one namespace `ip` knows the name
                link["peer"] = [f"{name}:{link['link']}"]
            elif link.get("link_index"):
                link["peer"] = snapshot.peer_of(name, link, told, seen)
            if name == "host" and link["ifname"].startswith("v") and link.get("master") == "sbr":
                continue
            found[name, link["ifname"]] = link
    return found


def widows(host: Host) -> list[labs.Place]:
    """Links whose other end is in a namespace that has lost its name, and takes them along when it ends."""
    names = [name for name in host.namespaces() if name not in bystanders.NAMESPACES]
    return [place for place, link in links_in(names).items() if "link_netnsid" in link and not link.get("peer")]


@pytest.mark.skipif(why_impossible() is not None, reason=str(why_impossible()))
def test_labs_by_lot() -> None:
    run_state_machine_as_test(
        LabByLot,
        settings=settings(
            max_examples=SOAK or 4,
            stateful_step_count=8 if SOAK else 6,
            deadline=None,
            derandomize=not SOAK,
            database=None,
            print_blob=True,
            # What fails is as small as it is: to find a smaller one would take hours.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
