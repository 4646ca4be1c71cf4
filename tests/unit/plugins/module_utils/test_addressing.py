# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib

import pytest

from ansible_collections.nslab.linux.plugins.module_utils._addressing import (
    address_of,
    host_end_name,
    need_room,
    parse_subnets,
    room,
    rule_set_name,
)
from ansible_collections.nslab.linux.plugins.module_utils._errors import Problem
from ansible_collections.nslab.linux.plugins.module_utils._values import parse_interface, parse_rule_set_name


def subnet(text):
    (one,) = parse_subnets([text])
    return one


@pytest.mark.parametrize(
    ("text", "first", "second", "last"),
    [
        ("192.168.50.0/24", "192.168.50.1/24", "192.168.50.2/24", "192.168.50.254/24"),
        ("10.213.0.0/16", "10.213.0.1/16", "10.213.0.2/16", "10.213.255.254/16"),
        ("10.0.0.4/30", "10.0.0.5/30", "10.0.0.6/30", "10.0.0.6/30"),
        ("10.0.0.4/31", "10.0.0.4/31", "10.0.0.5/31", "10.0.0.5/31"),
        ("fd00:1::/64", "fd00:1::1/64", "fd00:1::2/64", "fd00:1::ffff:ffff:ffff:ffff/64"),
        ("fd00:1::8/127", "fd00:1::8/127", "fd00:1::9/127", "fd00:1::9/127"),
    ],
)
def test_addresses_are_dealt_from_the_first_that_can_be_used_to_the_last(text, first, second, last):
    network = subnet(text)
    assert [str(address_of(network, index)) for index in (0, 1, room(network) - 1)] == [first, second, last]


@pytest.mark.parametrize(
    "text", ["10.0.0.0/29", "10.0.0.0/31", "10.0.0.9/32", "fd00::/126", "fd00::/127", "fd00::7/128"]
)
def test_a_subnet_ends_where_its_room_ends(text):
    network = subnet(text)
    addresses = [address_of(network, index) for index in range(room(network))]
    assert len(set(addresses)) == len(addresses)
    assert all(address.network == network for address in addresses)
    with pytest.raises(Problem, match="room for"):
        address_of(network, room(network))
    with pytest.raises(Problem):
        address_of(network, -1)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], "no subnet is given"),
        (["10.0.0.0"], "has no prefix length"),
        (["10.0.0.0/33"], "is malformed"),
        (["ten/8"], "is malformed"),
        (["10.0.0.5/24"], "has host bits set: the network is 10.0.0.0/24"),
        (["fd00::5/64"], "has host bits set: the network is fd00::/64"),
        (["224.0.0.0/24"], "can't be given to a lab"),
        (["127.0.0.0/8"], "can't be given to a lab"),
        (["169.254.0.0/16"], "can't be given to a lab"),
        (["fe80::/64"], "can't be given to a lab"),
        (["0.0.0.0/0"], "can't be given to a lab"),
        (["10.0.0.0/24", "10.1.0.0/24"], "10.0.0.0/24 and 10.1.0.0/24 are both IPv4: give one of each family"),
    ],
)
def test_a_subnet_that_cannot_be_is_refused_in_one_line(texts, message):
    with pytest.raises(Problem) as caught:
        parse_subnets(texts)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_subnet_of_each_family_is_taken_in_the_order_given():
    assert [str(one) for one in parse_subnets(["fd00::/64", "10.0.0.0/24"])] == ["fd00::/64", "10.0.0.0/24"]


@pytest.mark.parametrize(
    ("text", "interfaces", "message"),
    [
        ("10.0.0.0/30", 2, "no room for the gateway and 2 namespaces: 1 namespace would fit"),
        ("10.0.0.0/24", 254, "no room for the gateway and 254 namespaces: 253 namespaces would fit"),
        ("10.0.0.1/32", 1, "no room for the gateway and 1 namespace: 0 namespaces would fit"),
        ("fd00::/125", 8, "6 namespaces would fit"),
    ],
)
def test_too_small_a_subnet_says_how_many_fit(text, interfaces, message):
    with pytest.raises(Problem) as caught:
        need_room([subnet(text)], interfaces)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "interfaces"), [("10.0.0.0/30", 1), ("10.0.0.0/24", 253), ("10.0.0.0/31", 1), ("fd00::/125", 6)]
)
def test_a_subnet_may_be_filled_to_the_last_address(text, interfaces):
    need_room([subnet(text)], interfaces)
    assert address_of(subnet(text), interfaces)


def test_a_host_end_is_named_by_a_hash_of_lab_node_and_interface():
    digest = hashlib.sha256(b"two_tier/web/eth0").hexdigest()
    assert host_end_name("two_tier", "web", "eth0") == f"v{digest[:10]}"


def test_host_ends_of_long_names_that_begin_alike_differ():
    names = {host_end_name("lab", "x" * 190 + str(number), "eth0") for number in range(2000)}
    assert len(names) == 2000
    assert all(parse_interface(name) == name for name in names)


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [("lab", "nslab0", "lab_nslab0"), ("ns", "red", "ns_red"), ("ns", "a" * 21, "ns_" + "a" * 21)],
)
def test_a_rule_set_bears_the_name_of_what_it_is_for(kind, name, expected):
    assert rule_set_name(kind, name) == expected


@pytest.mark.parametrize("name", ["Red", "a" * 22, "br-lan.5", "x" * 200, "web+db"])
def test_a_name_that_no_rule_set_can_bear_is_replaced_by_its_hash(name):
    derived = rule_set_name("ns", name)
    assert parse_rule_set_name(derived) == derived
    assert derived.startswith("ns_")
    assert derived == rule_set_name("ns", name)
    assert derived != rule_set_name("ns", name + "x")
