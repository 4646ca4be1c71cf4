# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ns_nat plans of rules: who is inside, what leads out, and what that comes to in the shared table."""

from __future__ import annotations

import dataclasses
import ipaddress
import re

import pytest

from ansible_collections.nslab.linux.plugins.module_utils._errors import Problem
from ansible_collections.nslab.linux.plugins.module_utils._ruleset import (
    ACCEPT,
    DROP,
    AddressIn,
    Chain,
    ConntrackState,
    DestinationNat,
    DestinationPort,
    Element,
    Hook,
    Interface,
    Masquerade,
    Rule,
    Table,
    Unknown,
    Verdict,
)
from ansible_collections.nslab.linux.plugins.module_utils._ruleset_text import element_text, rule_text
from ansible_collections.nslab.linux.plugins.module_utils._world import ForeignTable
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


def test_a_wider_network_elsewhere_does_not_lead_to_the_sources():
    """Such as that of an office, which a tunnel leads to; into the lab it would have come as an inside link."""
    routes = [route("10.0.0.0/8", "10.3.0.2", "v1"), route("10.1.9.0/25", "10.1.0.2", "br0")]
    wider = router(link("v1", "veth", address("10.3.0.1/30")), link("v2", "veth", address("10.0.0.9/9")), routes=routes)
    for sources in (["10.1.0.0/24"], ["10.1.0.0/25"], ["10.1.9.0/24"]):
        assert elements(plan("ns_nat", world(wider), **LAB, sources=sources, uplink=["any"]), "inside") == ["br0"]


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
    assert made.report["nat"]["uplink"]["ipv4"] == ["eth0"] and len(masquerading(made)) == 1


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
        Problem, match="default route on the host that would tell the uplink of lab does not exist: name"
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
    command, flush = made.operations
    assert flush == "for side in --orig-src --orig-dst; do conntrack -D -f ipv4 $side 10.1.0.0/24 || test $? = 1; done"
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


def test_what_somebody_added_where_our_rules_are_goes_and_is_no_rule_set():
    """Elements too, such as one that leads into our chain, which the kernel would not let go otherwise."""
    options = {**LAB, "sources": ["10.1.0.0/24"], "publish": [{"port": "80-81", "to": "10.1.0.2"}]}
    made = plan("ns_nat", world(router()), **options)
    wanted, host = table_after(made), made.after.namespaces[key("host")]
    target = DestinationNat(ipaddress.ip_address("10.1.0.9"))
    added = {
        "post_lab": Rule((AddressIn("saddr", ipaddress.ip_network("10.1.0.0/25")), Masquerade())),
        "pub_lab": Rule((DestinationPort("tcp", 81, 90), target)),
        "inside": Element("br0"),
        "post_iif": Element("v1", Verdict("jump", "post_lab")),
    }

    def with_more(each):
        more = (added[each.name],) if each.name in added else ()
        if isinstance(each, Chain):
            return dataclasses.replace(each, rules=(*each.rules, *more))
        return dataclasses.replace(
            each, elements=(*(e for e in each.elements if not more or e.key != more[0].key), *more)
        )

    parts = {name: tuple(map(with_more, getattr(wanted, name))) for name in ("chains", "sets", "maps")}
    host.table = dataclasses.replace(wanted, **parts)
    assert table_after(plan("ns_nat", made.after, **options)) == wanted
    assert table_after(plan("ns_nat", made.after, **{**LAB, "state": "absent"})) is None


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
        ({"name": "lab", "sources": ["fe80::/64"]}, "is never forwarded"),
        ({"name": "lab", "sources": ["0.0.0.0/0"]}, "is everything"),
        ({"name": "lab", "sources": ["10.1.0.1/24"]}, "has host bits set"),
        ({"name": "lab", "inside": ["lo"]}, "lo can't be an inside link"),
        ({"name": "lab", "inside": ["br0"], "uplink": ["any", "eth0"]}, "uplink any goes with no other name"),
        ({"name": "lab", "inside": ["br0"], "uplink": ["lo"]}, "lo can't be an uplink"),
        ({"name": "lab", "inside": ["br0"], "mode": "snat", "to_source": ["255.255.255.255"]}, "can't stand outside"),
        ({"name": "lab", "inside": ["br0"], "mode": "snat"}, "mode snat has no to_source"),
        ({"name": "lab", "inside": ["br0"], "to_source": ["192.0.2.9"]}, "is of no use with mode masquerade"),
        (
            {"name": "lab", "inside": ["br0"], "mode": "snat", "to_source": ["192.0.2.9", "192.0.2.10"]},
            "to_source has 2 IPv4 addresses",
        ),
        (
            {"name": "lab", "sources": ["fd00::/64"], "mode": "snat", "to_source": ["192.0.2.9"]},
            "to_source has no IPv6 address for fd00::/64",
        ),
        ({"name": "lab", "inside": ["br0"], "mode": "snat", "to_source": ["127.0.0.1"]}, "can't stand outside"),
        *(
            ({"name": "lab", "sources": ["10.1.0.0/24"], "publish": [{"port": "80", "to": "10.1.0.2", **odd}]}, words)
            for odd, words in (
                ({"port": "0"}, "publish 1: port '0' is no port and no range"),
                ({"port": "90-80"}, "port '90-80' is no port and no range"),
                ({"port": "http"}, "port 'http' is no port and no range"),
                ({"to": "web"}, "to 'web' is no IP address"),
                ({"to": "127.0.0.1"}, "to 127.0.0.1 is no address of a namespace behind the router"),
                ({"to": "10.9.0.2"}, "tcp 80 is published to 10.9.0.2, which is in none of the sources 10.1.0.0/24"),
                ({"address": "2001:db8::1"}, "are not of one family"),
                ({"address": "127.0.0.1"}, "is the loopback, from which the kernel forwards nothing"),
                ({"address": "0.0.0.0"}, "is not that of one host"),
                ({"address": "255.255.255.255"}, "is not that of one host"),
                ({"to": "224.0.0.1"}, "is no address of a namespace behind the router"),
                ({"port": "80-89", "to_port": "90-95"}, "are not equally many"),
                ({"port": "80-89", "to_port": "65530"}, "go beyond 65535"),
                ({"port": "1-1025", "to_port": "2000"}, "is 1025 ports"),
            )
        ),
        (
            {
                "name": "lab",
                "sources": ["10.1.0.0/24"],
                "publish": [{"port": "80", "to": "10.1.0.2"}, {"port": "79-81", "to": "10.1.0.3"}],
            },
            "publish 2: tcp 79-81 leads to 10.1.0.2 already",
        ),
    ],
    ids=str,
)
def test_what_ns_nat_refuses_before_it_looks(options, words: str):
    with pytest.raises(Problem, match=words):
        plan("ns_nat", world(router()), **options)


# Published ports


def publishing(*publish: dict, before=None, name: str = "lab", **options):
    """An empty list of them is one, too."""
    given = {"sources": ["10.1.0.0/24"], "ip_forward": "keep", **options}
    return plan("ns_nat", before or world(router()), name=name, publish=list(publish), **given)


def rules(made, chain: str) -> list[str]:
    found = next((each.rules for each in table_after(made).chains if each.name == chain), ())
    return [rule_text(rule).partition(" comment")[0] for rule in found]


@pytest.mark.parametrize(
    ("publish", "in_map", "in_chain"),
    [
        ({"port": "80"}, ["tcp . 80 : 10.1.0.2 . 80"], []),
        ({"port": "8080", "to_port": "80", "protocol": "udp"}, ["udp . 8080 : 10.1.0.2 . 80"], []),
        ({"port": "80-81", "to_port": "90"}, ["tcp . 80 : 10.1.0.2 . 90", "tcp . 81 : 10.1.0.2 . 91"], []),
        ({"port": "80-89"}, [], ["meta nfproto ipv4 fib daddr type local tcp dport 80-89 dnat ip to 10.1.0.2"]),
        (
            {"port": "80-89", "to_port": "80-89", "address": "192.0.2.10"},
            [],
            ["ip daddr 192.0.2.10 tcp dport 80-89 dnat ip to 10.1.0.2"],
        ),
        ({"port": "80", "address": "192.0.2.10"}, [], ["ip daddr 192.0.2.10 tcp dport 80 dnat ip to 10.1.0.2"]),
        (
            {"port": "80-81", "to_port": "90-91", "address": "192.0.2.10"},
            [],
            [f"ip daddr 192.0.2.10 tcp dport 8{n} dnat ip to 10.1.0.2:9{n}" for n in (0, 1)],
        ),
    ],
    ids=str,
)
def test_what_can_stand_in_the_map_of_all_does_and_the_rest_in_rules(publish, in_map, in_chain):
    made = publishing({"to": "10.1.0.2", **publish})
    elements_shown = [
        element_text(Element(element.key, element.data))
        for each in table_after(made).maps
        if each.name == "publish4"
        for element in each.elements
    ]
    assert (elements_shown, rules(made, "pub_lab")) == (in_map, in_chain)
    assert rules(made, "prerouting")[: len(in_chain) and 1] == (["jump pub_lab"] if in_chain else [])


def test_with_the_last_published_port_the_chains_for_it_go():
    made = publishing({"port": "80-89", "to": "10.1.0.2"}, {"port": "53", "protocol": "udp", "to": "10.1.0.3"})
    assert {"prerouting", "output", "pub_lab"} <= {chain.name for chain in table_after(made).chains}
    gone = publishing(before=made.after)
    assert {"prerouting", "output", "pub_lab"}.isdisjoint(chain.name for chain in table_after(gone).chains)


def test_published_ports_that_a_task_does_not_speak_of_stay():
    ports = [{"port": "80-89", "to": "10.1.0.2"}, {"port": "53", "protocol": "udp", "to": "10.1.0.3", "to_port": "54"}]
    ports.append({"port": "90-91", "to": "10.1.0.2", "to_port": "80", "address": "192.0.2.10"})
    made = publishing(*ports)
    assert plan("ns_nat", made.after, **LAB, sources=["10.1.0.0/24"]).operations == []
    changed = plan("ns_nat", made.after, **LAB, sources=["10.1.0.0/24"], inbound="any")
    assert rules(changed, "pub_lab") == rules(made, "pub_lab") != []
    assert elements(changed, "publish4") == elements(made, "publish4") != []


def test_published_ports_do_not_stay_behind_when_the_sources_move():
    made = publishing({"port": "80", "to": "10.1.0.2"})
    made.after.namespaces[key("host")].links["br1"] = bridge("br1", address("10.2.0.1/24"))
    with pytest.raises(
        Problem, match=r"tcp 80 is published to 10\.1\.0\.2, which is in none of the sources 10\.2\.0\.0/24"
    ):
        plan("ns_nat", made.after, **LAB, sources=["10.2.0.0/24"])
    plan("ns_nat", made.after, **LAB, sources=["10.2.0.0/24"], publish=[])


def test_a_family_that_keeps_its_own_addresses_is_warned_of():
    made = plan("ns_nat", dual(), name="lab", inside=["br0"], mode="snat", to_source=["192.0.2.10"], ip_forward="keep")
    assert made.warnings == (
        "lab has no to_source of IPv6, which is spoken on its inside links: it leaves with the addresses of the lab",
    )


def test_a_service_is_reached_by_its_neighbours_through_the_router():
    """The same in both directions, so that it is only done for what comes back by the link it came from."""
    made = publishing({"port": "80", "to": "10.1.0.2"}, mode="none")
    assert rules(made, "post_lab")[0] == 'iifname "br0" oifname "br0" ct status dnat masquerade'


def test_a_port_that_another_rule_set_has_published_is_refused_by_name():
    first = publishing({"port": "80-89", "to": "10.1.0.2"}).after
    first.namespaces[key("host")].links["br1"] = bridge("br1", address("10.2.0.1/24"))
    second = {"before": first, "name": "second", "sources": ["10.2.0.0/24"]}
    words = r"tcp 85 is published by the rule set lab already, as tcp 80-89 to 10\.1\.0\.2"
    with pytest.raises(Problem, match=words):
        publishing({"port": "85", "to": "10.2.0.2"}, **second)
    with pytest.raises(Problem, match=r"tcp 85 at 192\.0\.2\.10 is published by the rule set lab already"):
        publishing({"port": "85", "to": "10.2.0.2", "address": "192.0.2.10"}, **second)
    publishing({"port": "85", "to": "10.2.0.2", "protocol": "udp"}, **second)
    publishing({"port": "90", "to": "10.2.0.2"}, **second)


def test_a_changed_port_flushes_its_own_flows_and_no_others():
    before = publishing({"port": "80", "to": "10.1.0.2"}, {"port": "81", "to": "10.1.0.2"}).after
    made = publishing({"port": "80", "to": "10.1.0.3"}, {"port": "81", "to": "10.1.0.2"}, before=before)
    addresses = ("10.1.0.1", "192.0.2.10")
    flushed = [f"conntrack -D -f ipv4 -p tcp --orig-dst {each} --orig-port-dst 80 || test $? = 1" for each in addresses]
    assert made.operations[-1].splitlines() == flushed


@pytest.mark.parametrize("options", [{"inside": ["br0"]}, {"sources": ["10.1.0.0/24", "10.4.0.0/16"]}], ids=str)
def test_what_is_behind_a_gateway_of_the_lab_is_flushed_too(options):
    truth = world(router(routes=[route("10.4.0.0/16", "10.1.0.2", "br0"), route("10.4.5.0/24", "10.1.0.3", "br0")]))
    before = plan("ns_nat", truth, **LAB, **options, mode="none", inbound="any").after
    flushed = plan("ns_nat", before, **LAB, **options, mode="none").operations[-1]
    assert re.findall(r"\$side (\S+) ", flushed) == ["10.1.0.0/24", "10.4.0.0/16"]


def test_an_address_that_nobody_here_holds_is_warned_of():
    made = publishing({"port": "80", "to": "10.1.0.2", "address": "192.0.2.77"}, mode="snat", to_source=["192.0.2.78"])
    assert ["192.0.2.77" in text for text in made.warnings] == [False, True]
    assert ["192.0.2.78" in text for text in made.warnings] == [True, False]


# IPv6


V6 = dict.fromkeys(
    ("net/ipv6/conf/all/forwarding", "net/ipv6/conf/default/forwarding", "net/ipv6/conf/eth0/forwarding"), "0"
)
PER_LINK = {f"net/ipv6/conf/{name}/force_forwarding": "0" for name in ("all", "default", "eth0", "br0")}


def dual(*, narrow: bool = True, **sysctls):
    """A dual stack router, whose IPv6 default route was advertised to it; ``narrow``: forwarding is switched by link."""
    advertised = route("::/0", "fe80::1", "eth0", protocol=9)
    sw = {
        "net/ipv4/ip_forward": "0",
        **V6,
        **(PER_LINK if narrow else {}),
        "net/ipv6/conf/eth0/accept_ra": "1",
        **sysctls,
    }
    host = router(routes=[advertised, connected("fd00:1::/64", "br0")], sysctls=sw)
    host.links["br0"] = bridge("br0", address("10.1.0.1/24"), address("fd00:1::1/64"))
    return world(host)


BOTH = {"name": "lab", "sources": ["10.1.0.0/24", "fd00:1::/64"]}


def test_each_family_goes_out_by_its_own_default_route():
    made = plan("ns_nat", dual(), **BOTH, ip_forward="keep")
    assert made.report["nat"]["uplink"] == {"ipv4": ["eth0"], "ipv6": ["eth0"]}
    assert [rule.partition(" comment")[0] for rule in masquerading(made)] == [
        'ip saddr 10.1.0.0/24 oifname "eth0" masquerade',
        'ip6 saddr fd00:1::/64 oifname "eth0" masquerade',
    ]


def test_without_sources_the_families_are_those_of_the_inside_links():
    made = plan("ns_nat", dual(), name="lab", inside=["br0"], ip_forward="keep")
    assert [rule.partition(" oifname")[0] for rule in masquerading(made)] == ["meta nfproto ipv4", "meta nfproto ipv6"]
    alone = plan("ns_nat", world(router()), name="lab", inside=["br0"], ip_forward="keep")
    assert len(masquerading(alone)) == 1


def test_a_family_without_a_default_route_is_warned_of_and_has_no_way_out():
    made = plan("ns_nat", world(router(bridge("br1", address("fd00:1::1/64")), sysctls=V6)), **BOTH, ip_forward="keep")
    assert len(masquerading(made)) == 1
    assert any(
        text.startswith("there is no default route for IPv6 on the host: lab has no way out") for text in made.warnings
    )


def test_where_the_kernel_can_only_the_links_in_use_forward_ipv6():
    made = plan("ns_nat", dual(), **BOTH)
    switched = [words for words in made.operations if words.startswith("sysctl") and "ipv6" in words]
    assert switched == [f"sysctl -w net/ipv6/conf/{name}/force_forwarding=1" for name in ("br0", "eth0")]
    assert elements(made, "guarded6") == ["eth0"] and made.warnings == ()


def test_where_it_can_t_all_do_with_a_warning_and_the_advertisements_are_kept():
    made = plan("ns_nat", dual(narrow=False), **BOTH)
    switched = [words for words in made.operations if words.startswith("sysctl") and "ipv6" in words]
    assert switched == ["sysctl -w net/ipv6/conf/eth0/accept_ra=2", "sysctl -w net/ipv6/conf/all/forwarding=1"]
    assert elements(made, "guarded6") == ["eth0"]
    assert len(made.warnings) == 2
    # The advertised route may be gone for a moment: what was turned on stays on.
    made.after.namespaces[key("host")].routes = [
        each for each in made.after.namespaces[key("host")].routes if each.protocol != 9
    ]
    assert plan("ns_nat", made.after, **BOTH, uplink=["eth0"]).operations == []
    gone = plan("ns_nat", made.after, name="lab", state="absent")
    back = [words for words in gone.operations if words.startswith("sysctl") and "ipv6" in words]
    assert back == ["sysctl -w net/ipv6/conf/all/forwarding=0", "sysctl -w net/ipv6/conf/eth0/accept_ra=1"]


@pytest.mark.parametrize("narrow", [True, False])
def test_two_rule_sets_leave_each_other_nothing_to_do(narrow: bool):
    """Where one switch is for all, the record says of each which uplinks to guard."""
    truth = dual(narrow=narrow)
    truth.namespaces[key("host")].links["br1"] = bridge("br1", address("fd00:2::1/64"))
    second = {"name": "second", "sources": ["fd00:2::/64"]}
    both = plan("ns_nat", plan("ns_nat", truth, **BOTH).after, **second).after
    assert [plan("ns_nat", both, **options).operations for options in (BOTH, second, BOTH)] == [[], [], []]


def test_who_forwards_ipv6_by_link_does_so_when_who_had_all_forward_goes():
    """The kernel turns off the switch of each link along with the global one."""
    truth = dual(**{"net/ipv6/conf/br7/force_forwarding": "1"})
    truth.namespaces[key("host")].links["br1"] = bridge("br1", address("fd00:2::1/64"))
    first = plan("ns_nat", truth, **BOTH, ip_forward="global").after
    both = plan("ns_nat", first, name="second", sources=["fd00:2::/64"], uplink=["eth0"]).after
    gone = plan("ns_nat", both, name="lab", state="absent")
    switched = [words for words in gone.operations if words.startswith("sysctl") and "ipv6" in words]
    assert switched == [
        "sysctl -w net/ipv6/conf/all/forwarding=0",
        "sysctl -w net/ipv6/conf/br7/force_forwarding=1",
        "sysctl -w net/ipv6/conf/eth0/accept_ra=1",
        "sysctl -w net/ipv6/conf/br1/force_forwarding=1",
        "sysctl -w net/ipv6/conf/eth0/force_forwarding=1",
    ]


def test_global_keeps_the_advertisements_too_and_guards_nothing():
    made = plan("ns_nat", dual(), **BOTH, ip_forward="global")
    switched = [words for words in made.operations if words.startswith("sysctl") and "ipv6" in words]
    assert switched == ["sysctl -w net/ipv6/conf/eth0/accept_ra=2", "sysctl -w net/ipv6/conf/all/forwarding=1"]
    assert elements(made, "guarded6") == [] == elements(made, "guarded")


def test_a_kernel_without_ipv6_is_refused():
    host = router(bridge("br1", address("fd00:1::1/64")), sysctls={"net/ipv4/ip_forward": "0"})
    with pytest.raises(Problem, match="the kernel has no IPv6 on the host"):
        plan("ns_nat", world(host), **BOTH)


# Other firewalls


def drops(family: str = "ip", name: str = "filter", *rules: Rule, policy: str = "drop", more=()) -> ForeignTable:
    hook = Hook("filter", "forward", 0, policy)
    return ForeignTable(Table(family, name, (Chain("FORWARD", rules, hook), *more)))


def behind(*tables: ForeignTable, **sysctls):
    return world(router(sysctls={"net/ipv4/ip_forward": "0", **sysctls}, firewall=tables))


def test_a_chain_that_would_stop_the_lab_is_named_with_what_lets_it_pass():
    made = plan("ns_nat", behind(drops()), **LAB, sources=["10.1.0.0/24"])
    (warning,) = made.warnings
    assert warning.startswith(
        "chain ip filter FORWARD on the host, of iptables-nft, would drop what the rule set lab is to let pass,"
        " br0 -> eth0 (ipv4) and 1 more (its policy drop)"
    )
    assert warning.endswith("iptables -I FORWARD -i br0 -j ACCEPT; iptables -I FORWARD -o br0 -j ACCEPT")
    (blocker,) = made.report["nat"]["blockers"]
    assert (blocker["chain"], blocker["why"], blocker["done"]) == ("ip filter FORWARD", "policy drop", None)


def test_where_it_is_let_pass_nothing_is_said():
    accepts = [Rule((Interface(direction, "br0"), ACCEPT)) for direction in ("iifname", "oifname")]
    made = plan("ns_nat", behind(drops("ip", "filter", *accepts)), **LAB, sources=["10.1.0.0/24"])
    assert (made.warnings, made.report["nat"]["blockers"]) == ((), [])


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        (
            [drops("ip", "filter", more=(Chain("DOCKER-USER"),))],
            "of docker.*iptables -I DOCKER-USER -i br0 -j ACCEPT; iptables -I DOCKER-USER -o br0",
        ),
        ([ForeignTable(drops().table, legacy=True)], "of iptables-legacy.*iptables-legacy -I FORWARD -i br0"),
        ([drops("ip6", "filter")], ""),
        ([drops("inet", "mine")], "of nftables.*nft insert rule inet mine FORWARD iifname br0 accept; nft insert"),
        ([drops("ip", "filter", more=(Chain("ufw-before-forward"),))], "of ufw.*ufw route allow in on br0; ufw route"),
        ([drops("inet", "firewalld")], "of firewalld.*firewall-cmd --permanent --zone=trusted --add-interface=br0"),
    ],
)
def test_each_firewall_is_told_as_its_owner_expects_it(tables, words):
    """One of IPv6 is in nobody's way here."""
    made = plan("ns_nat", behind(*tables), **LAB, sources=["10.1.0.0/24"])
    assert len(made.warnings) == (1 if words else 0)
    assert re.search(words, "".join(made.warnings))
    options = {**LAB, "sources": ["10.1.0.0/24"]}
    assert plan("ns_nat", behind(*tables), **options, firewall="ignore").warnings == ()
    if words:
        with pytest.raises(Problem, match=words):
            plan("ns_nat", behind(*tables), **options, firewall="fail")


def test_what_only_might_stop_it_is_no_reason_to_fail():
    odd = Rule((Unknown("limit", b""), DROP))
    made = plan("ns_nat", behind(drops("inet", "mine", odd, policy="accept")), **LAB, inside=["br0"], firewall="fail")
    assert "might drop" in made.warnings[0]
    assert [each["certain"] for each in made.report["nat"]["blockers"]] == [False]


def test_a_published_port_has_to_pass_too():
    only_out = drops(
        "inet",
        "mine",
        Rule((Interface("iifname", "br0"), ACCEPT)),
        Rule((ConntrackState(frozenset({"established"})), ACCEPT)),
    )
    assert plan("ns_nat", behind(only_out), **LAB, sources=["10.1.0.0/24"]).warnings == ()
    made = publishing({"port": "80", "to": "10.1.0.2"}, before=behind(only_out))
    assert "eth0 -> br0 (ipv4, published)" in made.warnings[0]


def test_neighbours_on_a_bridge_pass_other_firewalls_only_where_the_kernel_sends_them_there():
    only_out = drops(
        "inet",
        "mine",
        *(
            Rule((Interface("iifname", one), Interface("oifname", other), ACCEPT))
            for one, other in (("br0", "eth0"), ("eth0", "br0"))
        ),
    )
    assert plan("ns_nat", behind(only_out), **LAB, sources=["10.1.0.0/24"]).warnings == ()
    bridged = behind(only_out, **{"net/bridge/bridge-nf-call-iptables": "1"})
    (warning,) = plan("ns_nat", bridged, **LAB, sources=["10.1.0.0/24"]).warnings
    assert "br0 -> br0 (ipv4)" in warning
