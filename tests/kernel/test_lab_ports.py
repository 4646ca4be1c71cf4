# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""lab: interfaces of the host as ports of a lab's bridge, and ends that leave a bridge. The witness is ip."""

from __future__ import annotations

import json
import subprocess

import pytest
from support.host import Host

pytestmark = pytest.mark.no_rules
CABLE = {"node": "br0", "interface": "p0"}


def masters() -> dict[str, str | None]:
    shown = subprocess.run(["ip", "-j", "link"], capture_output=True, check=True).stdout
    return {link["ifname"]: link.get("master") for link in json.loads(shown)}


def lab(*, ports: list[str] | None = None, end: object = None, bridges: bool = True) -> dict[str, object]:
    bridge = {"br0": {} if ports is None else {"ports": ports}}
    found = {"name": "x", "namespaces": {"n": {}}, "links": [{"endpoints": ["n:eth0", end or CABLE]}]}
    return {**found, "bridges": bridge} if bridges else found


@pytest.mark.by_module
def test_a_port_is_unplugged_when_it_is_no_longer_declared_and_when_the_lab_goes(host: Host):
    for name in ("tap1", "tap2", "tap3"):
        host.sh(f"ip link add {name} type veth peer name {name}x")
    host.apply("lab", **lab(ports=["tap1", "tap2"]), faulty=False)
    assert masters()["tap1"] == masters()["tap2"] == masters()["p0"] == "br0"

    host.apply("lab", **lab(ports=["tap1"]), faulty=False)
    assert (masters()["tap1"], masters()["tap2"]) == ("br0", None)

    host.sh("ip link set tap3 master br0")
    host.refuse(
        "lab",
        "lab x can't be removed: bridge br0 on the host has ports that are not of the lab: tap3: take them out",
        name="x",
        state="absent",
    )

    host.sh("ip link set tap3 nomaster")
    host.apply("lab", name="x", state="absent")
    assert set(masters()) == {"lo", *(f"tap{n}{side}" for n in (1, 2, 3) for side in ("", "x"))}
    assert set(masters().values()) == {None}


@pytest.mark.by_module
def test_an_end_that_leaves_its_bridge_is_no_port_any_more(host: Host):
    host.apply("lab", **lab(), faulty=False)
    before = masters()
    host.apply("lab", **lab(end="host:p0"), faulty=False)
    assert (before["p0"], masters()["p0"]) == ("br0", None)

    host.apply("lab", **lab(), faulty=False)
    host.apply("lab", **lab(end="host:p1", bridges=False))
    assert masters() == {"lo": None, "p1": None}
