# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ns_nat plans of rules: who is inside, what leads out, and what that comes to in the shared table."""

from __future__ import annotations

import pytest

from ansible_collections.nslab.linux.plugins.module_utils._errors import Problem
from ansible_collections.nslab.linux.plugins.module_utils._ruleset import Chain, Table
from ansible_collections.nslab.linux.tests.unit.plugins.module_utils.imagined import (
    a_host,
    address,
    bridge,
    connected,
    key,
    link,
    namespace,
    plan,
    route,
    world,
)

LAB = {"name": "lab", "ip_forward": "keep"}


def router(*links, **facets):
    """A host with an uplink and a bridge br0 that holds 10.1.0.1/24."""
    return a_host(
        bridge("br0", address("10.1.0.1/24")),
        *links,
        routes=[connected("10.1.0.0/24", "br0"), *facets.pop("routes", ())],
        **facets,
    )


def table_after(made) -> Table | None:
    return made.after.namespaces[key("host")].table


def elements(made, name: str) -> list:
    table = table_after(made)
    return [element.key for each in (*table.sets, *table.maps) if each.name == name for element in each.elements]


# Who is inside


def test_inside_is_what_holds_an_address_in_the_sources():
    made = plan("ns_nat", world(router()), **LAB, sources=["10.1.0.0/16"])
    assert elements(made, "inside") == ["br0"]


def test_inside_is_what_leads_to_the_sources():
    behind = router(link("v1", "veth", address("10.3.0.1/30")), routes=[route("10.4.0.0/16", "10.3.0.2", "v1")])
    assert elements(plan("ns_nat", world(behind), **LAB, sources=["10.4.1.0/24"]), "inside") == ["v1"]


def test_neither_loopback_nor_uplink_is_inside_for_its_address():
    host = router()
    host.links["lo"] = link("lo", "loopback", address("10.1.0.9/32"))
    made = plan("ns_nat", world(host), **LAB, sources=["10.1.0.0/24", "192.0.2.0/24"])
    assert elements(made, "inside") == ["br0"]


def test_nobody_inside_is_an_error_but_in_check_mode_somebody_may_be_coming():
    with pytest.raises(
        Problem, match=r"link on the host that holds or leads to 10\.7\.0\.0/24 does not exist: name it"
    ):
        plan("ns_nat", world(router()), **LAB, sources=["10.7.0.0/24"])
    made = plan("ns_nat", world(router()), check=True, **LAB, sources=["10.7.0.0/24"])
    assert len(made.warnings) == 1


def test_an_inside_link_that_is_declared_has_to_be_there():
    with pytest.raises(Problem, match="inside link br9 on the host does not exist"):
        plan("ns_nat", world(router()), **LAB, inside=["br9"])


# What leads out


def masquerading(made) -> list[str]:
    return [rule for rule in made.report["nat"]["rules"] if "masquerade" in rule]


def test_the_uplink_is_that_of_the_default_route_with_the_lowest_metric():
    host = router(link("wlan0", None), routes=[route("default", "198.51.100.1", "wlan0", metric=600)])
    made = plan("ns_nat", world(host), **LAB, sources=["10.1.0.0/24"])
    assert made.report["nat"]["uplink"] == {"ipv4": ["eth0"], "ipv6": []}
    (rule,) = masquerading(made)
    assert "ip saddr 10.1.0.0/24" in rule and 'oifname "eth0"' in rule


def test_uplinks_by_name_and_any():
    named = plan("ns_nat", world(router(link("wlan0", None))), **LAB, sources=["10.1.0.0/24"], uplink=["wlan0", "auto"])
    assert named.report["nat"]["uplink"]["ipv4"] == ["wlan0", "eth0"]
    assert len(masquerading(named)) == 2
    (rule,) = masquerading(plan("ns_nat", world(router()), **LAB, inside=["br0"], uplink=["any"]))
    assert "oifname" not in rule and "saddr" not in rule


def test_without_a_default_route_the_uplink_has_to_be_named():
    alone = namespace(bridge("br0", address("10.1.0.1/24")))
    with pytest.raises(
        Problem, match="default route on the host, which would tell the uplink of lab, does not exist: name"
    ):
        plan("ns_nat", world(alone), **LAB, sources=["10.1.0.0/24"])
    with pytest.raises(Problem, match="uplink eth7 on the host does not exist"):
        plan("ns_nat", world(alone), **LAB, sources=["10.1.0.0/24"], uplink=["eth7"])


def test_one_link_is_not_both_inside_and_uplink():
    with pytest.raises(Problem, match="eth0 can't be both inside and uplink of lab"):
        plan("ns_nat", world(router()), **LAB, inside=["eth0"])


# What it comes to


def test_a_rule_set_is_laid_in_one_transaction_and_is_then_there():
    made = plan("ns_nat", world(router()), **LAB, sources=["10.1.0.0/24"])
    (command,) = made.operations
    assert command.startswith("nft -f - <<'EOF'\n") and command.endswith("\nEOF")
    assert {"post_lab", "in_lab", "postrouting", "forward"} == {chain.name for chain in table_after(made).chains}


@pytest.mark.parametrize(
    ("options", "chains", "maps"),
    [
        ({}, ["in_lab", "post_lab"], (["br0"], ["br0"])),
        ({"mode": "none"}, ["in_lab"], ([], ["br0"])),
        ({"inbound": "any"}, ["post_lab"], (["br0"], [])),
    ],
    ids=str,
)
def test_mode_and_inbound_say_which_chains_there_are(options, chains, maps):
    made = plan("ns_nat", world(router()), **LAB, sources=["10.1.0.0/24"], **options)
    assert sorted({chain.name for chain in table_after(made).chains} - {"postrouting", "forward"}) == chains
    assert (elements(made, "post_iif"), elements(made, "fwd_oif")) == maps


def test_mode_none_and_inbound_any_still_hold_the_interface():
    made = plan("ns_nat", world(router()), **LAB, sources=["10.1.0.0/24"], mode="none", inbound="any")
    assert elements(made, "inside") == ["br0"]
    with pytest.raises(Problem, match="inside link br0 belongs to the rule set lab already"):
        plan("ns_nat", made.after, name="second", ip_forward="keep", inside=["br0"])


def two_labs():
    host = router(bridge("br1", address("10.2.0.1/24")))
    first = plan("ns_nat", world(host), **LAB, sources=["10.1.0.0/24"])
    return plan("ns_nat", first.after, name="second", ip_forward="keep", sources=["10.2.0.0/24"])


def test_a_second_rule_set_leaves_the_first_as_it_is():
    made = two_labs()
    assert plan("ns_nat", made.after, **LAB, sources=["10.1.0.0/24"]).operations == []
    assert elements(made, "inside") == ["br0", "br1"]


def test_the_last_rule_set_takes_the_table_along():
    made = two_labs()
    one = plan("ns_nat", made.after, name="lab", state="absent")
    assert elements(one, "inside") == ["br1"]
    none = plan("ns_nat", one.after, name="second", state="absent")
    assert table_after(none) is None and none.report == {"nat": None}


def test_chains_that_others_put_into_the_table_stay():
    host = router(table=Table("inet", "nslab", (Chain("of_somebody"),)))
    made = plan("ns_nat", world(host), **LAB, sources=["10.1.0.0/24"])
    gone = plan("ns_nat", made.after, name="lab", state="absent")
    assert "of_somebody" in {chain.name for chain in table_after(gone).chains}


def test_a_network_is_translated_by_one_rule_set():
    made = plan("ns_nat", world(router(bridge("br1"))), **LAB, sources=["10.1.0.0/24"])
    with pytest.raises(Problem, match=r"the sources of second overlap 10\.1\.0\.0/24 of the rule set lab"):
        plan("ns_nat", made.after, name="second", ip_forward="keep", inside=["br1"], sources=["10.1.0.0/16"])


def test_a_rule_set_changes_to_what_is_declared():
    made = plan("ns_nat", two_labs().after, **LAB, sources=["10.1.0.0/24"], inbound="any")
    assert elements(made, "fwd_oif") == ["br1"]


def test_nothing_to_remove_is_nothing_to_do():
    assert plan("ns_nat", world(), name="lab", state="absent").operations == []
    assert plan("ns_nat", world(), name="lab", netns="red", state="absent").operations == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "lab"}, "rule set lab has neither sources nor inside"),
        ({"name": "Lab", "inside": ["br0"]}, "rule set name 'Lab' is not allowed"),
        ({"name": "lab", "sources": ["fd00::/64"]}, "is IPv6, which ns_nat does not translate"),
        ({"name": "lab", "sources": ["0.0.0.0/0"]}, "is everything"),
        ({"name": "lab", "sources": ["10.1.0.1/24"]}, "has host bits set"),
        ({"name": "lab", "inside": ["lo"]}, "lo can't be an inside link"),
        ({"name": "lab", "inside": ["br0"], "uplink": ["any", "eth0"]}, "uplink any goes with no other name"),
    ],
    ids=str,
)
def test_what_ns_nat_refuses_before_it_looks(options, words: str):
    with pytest.raises(Problem, match=words):
        plan("ns_nat", world(router()), **options)
