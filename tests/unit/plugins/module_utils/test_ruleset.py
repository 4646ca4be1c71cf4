# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from ansible_collections.nslab.linux.plugins.module_utils._ruleset import (
    ACCEPT,
    DROP,
    IFNAME,
    IPV4_AND_PORT,
    IPV6_AND_PORT,
    PROTOCOL_AND_PORT,
    RETURN,
    VERDICT,
    AddressIn,
    Chain,
    ConntrackState,
    DestinationIsLocal,
    DestinationNat,
    DestinationNatMap,
    DestinationPort,
    DestinationWasTranslated,
    Element,
    Endpoint,
    Hook,
    Interface,
    InterfaceIn,
    InterfaceVerdict,
    Map,
    Masquerade,
    NetworkProtocol,
    ProtocolPort,
    Reject,
    Rule,
    Set,
    SourceNat,
    Table,
    TransportProtocol,
    Unknown,
    jump,
)
from ansible_collections.nslab.linux.plugins.module_utils._ruleset_changes import difference
from ansible_collections.nslab.linux.plugins.module_utils._ruleset_text import rule_text, script

POST = Chain(
    "post",
    (Rule((InterfaceVerdict("iifname", "post_iif"),), "nslab::dispatch"),),
    Hook("nat", "postrouting", 100),
)
LAB_POST = Chain("lab_post", (Rule((Interface("oifname", "br0", equal=False), Masquerade()), "nslab:lab:masquerade"),))
POST_IIF = Map("post_iif", IFNAME, VERDICT, (Element("br0", jump("lab_post"), "nslab:lab:post"),))
NAT = Table("inet", "nslab", (POST, LAB_POST), (POST_IIF,), comment="nslab.linux")
TO_POST = Map("to_post", IFNAME, VERDICT)


def with_chain(table, changed):
    others = tuple(chain for chain in table.chains if chain.name != changed.name)
    return replace(table, chains=(*others, changed))


def with_elements(table, *elements):
    return replace(table, maps=(replace(POST_IIF, elements=elements),))


def commands(before, after):
    return script(difference(before, after)).splitlines()


def test_a_table_is_made_from_the_things_referred_to_up_to_what_refers_to_them():
    assert commands(None, NAT) == [
        'add table inet nslab { comment "nslab.linux"; }',
        "add chain inet nslab lab_post",
        "add chain inet nslab post { type nat hook postrouting priority 100; policy accept; }",
        "add map inet nslab post_iif { type ifname : verdict; }",
        'add rule inet nslab lab_post oifname != "br0" masquerade comment "nslab:lab:masquerade"',
        'add rule inet nslab post iifname vmap @post_iif comment "nslab::dispatch"',
        'add element inet nslab post_iif { "br0" comment "nslab:lab:post" : jump lab_post }',
    ]


@pytest.mark.parametrize("table", [None, NAT, Table("inet", "nslab")])
def test_nothing_is_to_be_done_where_nothing_differs(table):
    assert difference(table, table) == ()


def test_the_order_in_which_things_are_named_is_no_difference():
    v1, v2 = Element("v1", ACCEPT), Element("v2", DROP)
    one = Table("inet", "nslab", (POST, LAB_POST), (TO_POST, replace(POST_IIF, elements=(v1, v2))))
    other = Table("inet", "nslab", (LAB_POST, POST), (replace(POST_IIF, elements=(v2, v1)), TO_POST))
    assert one == other
    assert difference(one, other) == ()


def test_the_comment_of_a_table_is_no_difference_since_it_cannot_be_changed():
    assert difference(replace(NAT, comment=""), NAT) == ()


def test_a_table_is_deleted_whole():
    assert commands(NAT, None) == ["delete table inet nslab"]


def test_two_tables_have_no_difference_to_speak_of():
    with pytest.raises(ValueError, match="inet nslab and ip nslab are different tables"):
        difference(NAT, replace(NAT, family="ip"))


def test_a_chain_whose_rules_differ_is_written_anew_and_the_others_are_not_touched():
    drop = Rule((DROP,), "nslab:lab:masquerade")
    assert commands(NAT, with_chain(NAT, replace(LAB_POST, rules=(drop,)))) == [
        "flush chain inet nslab lab_post",
        'add rule inet nslab lab_post drop comment "nslab:lab:masquerade"',
    ]


def test_a_rule_that_comes_after_those_that_stand_is_only_added():
    longer = replace(LAB_POST, rules=(*LAB_POST.rules, Rule((RETURN,))))
    assert commands(NAT, with_chain(NAT, longer)) == ["add rule inet nslab lab_post return"]
    assert commands(with_chain(NAT, longer), NAT) == [
        "flush chain inet nslab lab_post",
        'add rule inet nslab lab_post oifname != "br0" masquerade comment "nslab:lab:masquerade"',
    ]


def test_the_comment_of_a_rule_is_part_of_it():
    (rule,) = LAB_POST.rules
    assert commands(NAT, with_chain(NAT, replace(LAB_POST, rules=(replace(rule, comment="mine"),)))) == [
        "flush chain inet nslab lab_post",
        'add rule inet nslab lab_post oifname != "br0" masquerade comment "mine"',
    ]


def test_elements_come_and_go_alone():
    br1 = Element("br1", jump("lab_post"))
    assert commands(NAT, with_elements(NAT, *POST_IIF.elements, br1)) == [
        'add element inet nslab post_iif { "br1" : jump lab_post }'
    ]
    assert commands(NAT, with_elements(NAT)) == ['delete element inet nslab post_iif { "br0" }']


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        (Element("br0", ACCEPT, "nslab:lab:post"), '"br0" comment "nslab:lab:post" : accept'),
        (Element("br0", jump("lab_post"), "other"), '"br0" comment "other" : jump lab_post'),
    ],
)
def test_an_element_that_changes_is_deleted_first(changed, text):
    assert commands(NAT, with_elements(NAT, changed)) == [
        'delete element inet nslab post_iif { "br0" }',
        f"add element inet nslab post_iif {{ {text} }}",
    ]


def test_what_refers_to_a_chain_goes_before_the_chain():
    without = replace(with_elements(NAT), chains=(POST,))
    assert commands(NAT, without) == [
        "flush chain inet nslab lab_post",
        'delete element inet nslab post_iif { "br0" }',
        "delete chain inet nslab lab_post",
    ]


def test_a_policy_changes_in_place():
    dropping = with_chain(NAT, replace(POST, hook=Hook("nat", "postrouting", 100, "drop")))
    assert commands(NAT, dropping) == [
        "add chain inet nslab post { type nat hook postrouting priority 100; policy drop; }"
    ]


def test_a_chain_on_another_hook_is_made_anew():
    earlier = with_chain(NAT, replace(POST, hook=Hook("nat", "postrouting", 99)))
    assert commands(NAT, earlier) == [
        "flush chain inet nslab post",
        "delete chain inet nslab post",
        "add chain inet nslab post { type nat hook postrouting priority 99; policy accept; }",
        'add rule inet nslab post iifname vmap @post_iif comment "nslab::dispatch"',
    ]


def test_a_map_of_another_type_is_made_anew_with_the_rules_that_use_it():
    strange = replace(NAT, maps=(Map("post_iif", "unknown (type 7, 4 bytes)", VERDICT),))
    assert commands(strange, NAT) == [
        "flush chain inet nslab post",
        "delete map inet nslab post_iif",
        "add map inet nslab post_iif { type ifname : verdict; }",
        'add rule inet nslab post iifname vmap @post_iif comment "nslab::dispatch"',
        'add element inet nslab post_iif { "br0" comment "nslab:lab:post" : jump lab_post }',
    ]


def test_a_map_and_a_set_of_one_name_are_not_the_same():
    of_names = replace(NAT, chains=(), maps=(), sets=(Set("post_iif", IFNAME, (Element("br0"),)),))
    assert commands(of_names, replace(of_names, maps=(replace(POST_IIF, elements=()),), sets=())) == [
        "delete set inet nslab post_iif",
        "add map inet nslab post_iif { type ifname : verdict; }",
    ]


def test_a_table_that_sleeps_is_made_anew():
    asleep = replace(NAT, dormant=True)
    assert commands(asleep, NAT) == ["delete table inet nslab", *commands(None, NAT)]
    assert commands(None, replace(asleep, chains=(), maps=())) == [
        'add table inet nslab { flags dormant; comment "nslab.linux"; }'
    ]


@pytest.mark.parametrize(
    ("expressions", "text"),
    [
        ((Interface("iifname", "v1"),), 'iifname "v1"'),
        ((Interface("oifname", "eth0.100", equal=False),), 'oifname != "eth0.100"'),
        ((InterfaceIn("iifname", "inside"),), "iifname @inside"),
        ((InterfaceIn("oifname", "inside", inside=False),), "oifname != @inside"),
        ((InterfaceVerdict("oifname", "fwd_oif"),), "oifname vmap @fwd_oif"),
        ((NetworkProtocol(4), ACCEPT), "meta nfproto ipv4 accept"),
        ((NetworkProtocol(6), ACCEPT), "meta nfproto ipv6 accept"),
        ((AddressIn("saddr", ip_network("10.0.0.0/20")),), "ip saddr 10.0.0.0/20"),
        ((AddressIn("daddr", ip_network("10.0.0.1"), equal=False),), "ip daddr != 10.0.0.1"),
        ((AddressIn("saddr", ip_network("fd00::/64")),), "ip6 saddr fd00::/64"),
        ((AddressIn("daddr", ip_network("fd00::1")),), "ip6 daddr fd00::1"),
        ((TransportProtocol("tcp"), RETURN), "meta l4proto tcp return"),
        ((DestinationPort("tcp", 80, 80),), "tcp dport 80"),
        ((DestinationPort("udp", 5000, 5010),), "udp dport 5000-5010"),
        ((ConntrackState(frozenset({"related", "established"})),), "ct state established,related"),
        ((DestinationWasTranslated(),), "ct status dnat"),
        ((DestinationIsLocal(),), "fib daddr type local"),
        ((jump("lab_post"),), "jump lab_post"),
        ((Reject(),), "reject with icmpx admin-prohibited"),
        ((SourceNat(ip_address("192.0.2.1")),), "snat ip to 192.0.2.1"),
        ((SourceNat(ip_address("2001:db8::1")),), "snat ip6 to 2001:db8::1"),
        ((DestinationNat(ip_address("10.0.0.2")),), "dnat ip to 10.0.0.2"),
        ((DestinationNat(ip_address("10.0.0.2"), (80, 80)),), "dnat ip to 10.0.0.2:80"),
        ((DestinationNat(ip_address("fd00::2"), (80, 90)),), "dnat ip6 to [fd00::2]:80-90"),
        ((DestinationNatMap(4, "publish4"),), "dnat ip to meta l4proto . th dport map @publish4"),
        ((DestinationNatMap(6, "publish6"),), "dnat ip6 to meta l4proto . th dport map @publish6"),
    ],
)
def test_each_word_is_written_as_nft_lists_it(expressions, text):
    assert rule_text(Rule(expressions)) == text


def test_a_set_and_the_maps_of_published_ports_are_written_as_nft_lists_them():
    table = Table(
        "inet",
        "nslab",
        sets=(Set("inside", IFNAME, (Element("v2"), Element("v1", comment="first"))),),
        maps=(
            Map(
                "publish4",
                PROTOCOL_AND_PORT,
                IPV4_AND_PORT,
                (Element(ProtocolPort("tcp", 80), Endpoint(ip_address("10.0.0.2"), 8080)),),
            ),
            Map("publish6", PROTOCOL_AND_PORT, IPV6_AND_PORT),
        ),
    )
    assert commands(None, table)[1:] == [
        "add set inet nslab inside { type ifname; }",
        "add map inet nslab publish4 { type inet_proto . inet_service : ipv4_addr . inet_service; }",
        "add map inet nslab publish6 { type inet_proto . inet_service : ipv6_addr . inet_service; }",
        'add element inet nslab inside { "v1" comment "first", "v2" }',
        "add element inet nslab publish4 { tcp . 80 : 10.0.0.2 . 8080 }",
    ]


def test_a_test_of_the_protocol_is_there_whether_it_is_written_or_not():
    lab = AddressIn("saddr", ip_network("10.0.0.0/20"))
    web = DestinationPort("tcp", 80, 80)
    assert Rule((lab, web)) == Rule((NetworkProtocol(4), lab, TransportProtocol("tcp"), web))
    assert Rule((lab, web)) == Rule((NetworkProtocol(4), lab, NetworkProtocol(4), web, TransportProtocol("tcp")))
    assert Rule((lab, ACCEPT)) != Rule((NetworkProtocol(4), ACCEPT))


def test_a_test_of_the_protocol_that_stands_apart_is_written_out():
    lab = AddressIn("saddr", ip_network("10.0.0.0/20"))
    rule = Rule((NetworkProtocol(4), Interface("iifname", "v1"), lab))
    assert rule_text(rule) == 'meta nfproto ipv4 iifname "v1" ip saddr 10.0.0.0/20'


@pytest.mark.parametrize("everything", ["0.0.0.0/0", "::/0"])
def test_a_network_that_holds_every_address_is_no_test(everything):
    with pytest.raises(ValueError, match="holds every address"):
        AddressIn("saddr", ip_network(everything))


@pytest.mark.parametrize(
    "table",
    [
        Table("inet", "nslab; flush ruleset"),
        Table("inet", "nslab", (Chain("a b"),)),
        Table("inet", "nslab", (Chain("a", (Rule((ACCEPT,), 'a"b'),)),)),
        Table("inet", "nslab", (Chain("a", (Rule((ACCEPT,), "a\nflush ruleset"),)),)),
        Table("inet", "nslab", (Chain("a", (Rule((Interface("iifname", "v*"),)),)),)),
        Table("inet", "nslab", (Chain("a", (Rule((jump("b; drop"),)),)),)),
        Table("inet", "nslab", (Chain("a", (Rule((Unknown("counter", b""),)),)),)),
        Table("inet", "nslab", sets=(Set("a", "unknown (type 7, 4 bytes)"),)),
        Table("inet", "nslab", sets=(Set("a", IFNAME, (Element(Unknown("element", b"")),)),)),
    ],
)
def test_what_nft_would_misread_is_not_written(table):
    with pytest.raises(ValueError, match=r"no (way|text|name)"):
        script(difference(None, table))


def test_the_unknown_equals_nothing_that_we_write():
    (rule,) = LAB_POST.rules
    foreign = replace(rule, expressions=(*rule.expressions, Unknown("counter", b"\0")))
    assert foreign != rule
    assert commands(with_chain(NAT, replace(LAB_POST, rules=(foreign,))), NAT)[0] == "flush chain inet nslab lab_post"
