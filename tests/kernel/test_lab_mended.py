# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""lab: what hands have done to a running lab is mended, by as little as it takes. The witness is ip."""

from __future__ import annotations

import pytest
from support.host import Host

pytestmark = [pytest.mark.no_rules, pytest.mark.by_module]

LAB = {
    "name": "x",
    "namespaces": {"n": {}, "m": {}},
    "links": [{"endpoints": ["n:eth0", "host:v5"]}, {"endpoints": ["n:eth1", "m:eth1"]}],
}


def ends(host: Host) -> dict[str, list[str]]:
    return {netns: sorted(host.links(netns)) for netns in ("host", "n", "m")}


WHOLE = {"host": ["v5"], "n": ["eth0", "eth1"], "m": ["eth1"]}


def test_ends_that_were_renamed_or_carried_off_are_brought_back(host: Host):
    host.apply("lab", **LAB, faulty=False)
    indexes = [host.link("v5")["ifindex"], host.link("eth1", "m")["ifindex"]]
    host.sh("ip -n n link set eth0 name other; ip -n n link set eth1 name astray")

    result = host.apply("lab", **LAB)

    assert result.operations == ["ip -n n link set dev other name eth0", "ip -n n link set dev astray name eth1"]
    assert ends(host) == WHOLE
    assert indexes == [host.link("v5")["ifindex"], host.link("eth1", "m")["ifindex"]]


def test_an_end_in_a_namespace_that_lost_its_name_is_brought_back_and_one_that_can_not_be_found_is_made_anew(
    host: Host,
):
    host.apply("lab", **LAB, faulty=False)
    pid = host.process_in("m")
    host.sh("ip netns del m")
    result = host.apply("lab", **LAB, faulty=False)
    assert f"nsenter --net=/proc/{pid}/ns/net ip link set dev eth1 netns m" in result.operations
    assert ends(host) == WHOLE

    host.sh("ip netns del m; ip netns del n")
    host.wait_for(lambda: not host.links())  # v5 goes with its namespace, by and by
    result = host.apply("lab", **LAB, faulty=False)
    assert "ip -n n link add name eth1 type veth peer name eth1 netns m" in result.operations
    assert ends(host) == WHOLE


def test_the_sysctl_of_a_link_that_changes_its_name_goes_with_it(host: Host):
    def lab(name: str) -> dict[str, object]:
        switches = {f"net.ipv4.conf.{name}.rp_filter": 2}
        cable = {"endpoints": [f"n:{name}", "m:eth0"]}
        return {"name": "x", "namespaces": {"n": {"sysctl": switches}, "m": {}}, "links": [cable]}

    host.apply("lab", **lab("eth0"), faulty=False)
    host.apply("lab", **lab("lan0"), faulty=False)
    assert host.sysctl("net/ipv4/conf/lan0/rp_filter", "n") == "2"
