# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""lab: what a change would do is shown to people, and a change that fails at any place gives the running lab back."""

from __future__ import annotations

import copy

import pytest
from support import faults, runner
from support.host import Host, diff_texts
from support.runner import assert_one_line
from support.running_lab import GATEWAY, NET, Definition, edited, end, identities, lost

pytestmark = pytest.mark.no_rules


@pytest.mark.by_module
def test_what_a_change_does_is_shown_by_namespace_and_nothing_else(host: Host) -> None:
    names = [f"n{number}" for number in range(1, 21)]
    big: Definition = {
        "name": "big",
        "nodes": {"count": 20, "prefix": "n", "bridge": "br0"},
        "bridges": {"br0": {"subnet": "10.3.0.0/24"}},
        "links": [{"endpoints": ["n1:eth1", "n2:eth1"], "mtu": 1500}],
    }
    runner.run("lab", big)
    assert host.namespaces() == sorted(names)
    changed = copy.deepcopy(big)
    changed["links"][0]["mtu"] = 1400
    changed["namespaces"] = {
        "n7": {"routes": [{"dst": "10.4.0.0/16", "via": "10.3.0.1"}], "sysctl": {"net.ipv4.ip_forward": 1}},
        "n8": {"resolv": {"nameservers": ["192.0.2.53"]}},
        "new": None,
    }
    changed["links"].append({"endpoints": ["new:eth0", "n20:new"]})
    changed["nodes"]["count"] = 20
    result = host.apply("lab", **changed, faulty=False)
    assert result["diff"]["before_header"] == "lab big (before)"
    ((before, after),) = diff_texts(result)
    assert before == BEFORE
    assert after == AFTER
    ((before, after),) = diff_texts(
        host.apply("lab", name="big", state="absent", faulty=False, settled=lambda: not host.links())
    )
    assert (len(before.split("\n  links:\n")), after) == (23, "{}\n")


BEFORE = """\
n1:
  links:
    eth1:
      mtu: 1500
n2:
  links:
    eth1:
      mtu: 1500
n20:
  links: {}
n7:
  sysctl:
    net/ipv4/ip_forward: "0"
n8: {}
"""
AFTER = """\
n1:
  links:
    eth1:
      mtu: 1400
n2:
  links:
    eth1:
      mtu: 1400
n20:
  links:
    new:
      kind: veth
      mtu: 1500
      up: true
      peer:
        name: eth0
        netns: new
n7:
  routes:
    "10.4.0.0/16": "via 10.3.0.1 dev eth0"
  sysctl:
    net/ipv4/ip_forward: "1"
n8:
  files:
    /etc/netns/n8/resolv.conf: |
      nameserver 192.0.2.53
new:
  links:
    lo:
      up: true
    eth0:
      kind: veth
      mtu: 1500
      up: true
      peer:
        name: new
        netns: n20
"""


# A failure gives the lab back


def test_a_change_that_fails_gives_the_running_lab_back(host: Host) -> None:
    runner.run("lab", NET)
    host.sh("ip -n a link add name hand type veth peer name dnah; ip -n a route add 10.66.0.0/16 dev up metric 7")
    first = identities(host)
    rebuilt = edited(
        lambda net: net["links"][3].update(mtu=1400),
        lambda net: end(net, 1, 0, addresses=["10.7.0.22/24"], mac="02:00:00:00:00:b0"),
        lambda net: end(net, 3, 1, node="c", addresses=["10.8.0.2/24", "fd08::2/64"]),
        lambda net: net["namespaces"]["a"]["routes"][1].update(via="10.7.0.13"),
        lambda net: net["namespaces"]["c"]["sysctl"].update({"net.ipv4.ip_forward": 0}),
        lambda net: net["namespaces"].update(d={"resolv": {"nameservers": ["192.0.2.53"]}}),
        lambda net: net["links"].append({"endpoints": ["d:eth0", "br0:pd"]}),
    )
    rebuilt["bridges"]["br1"] = {"addresses": ["10.17.0.1/24"], "stp": True}
    del rebuilt["links"][4]
    assert host.changed("lab", **rebuilt)
    assert lost(host, first) == ["a up", "b eth1", "host lan0"]


@pytest.mark.by_module
def test_a_removal_that_fails_gives_the_same_lab_back(host: Host) -> None:
    runner.run("lab", NET)
    host.sh("ip -n a link add name hand type veth peer name dnah; ip -n a route add 10.66.0.0/16 dev up table 7")
    before, first = host.snapshot(), identities(host)
    operations = host.check("lab", name="net", state="absent").operations
    # What follows a namespace's name that is gone: behind the last, and after all.
    for place in faults.places(operations):
        with faults.failing(place):
            result = runner.run("lab", {"name": "net", "state": "absent"})
        assert_one_line(result)
        assert result["rolled_back"] is True
        assert before.differences(host.snapshot()) == [], str(place)
        assert [name for name in lost(host, first) if "/" not in name] == [], str(place)
    assert host.ping(GATEWAY, "a")
    assert not runner.run("lab", NET).changed
