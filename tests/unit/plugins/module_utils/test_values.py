# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The grammar of what users write."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nslab.linux.plugins.module_utils._errors import Problem
from ansible_collections.nslab.linux.plugins.module_utils._values import (
    HOST,
    NamespaceRef,
    parse_address,
    parse_addresses,
    parse_host_name,
    parse_interface,
    parse_ip,
    parse_mac,
    parse_mtu,
    parse_namespace,
    parse_namespace_name,
    parse_network,
    parse_resolver_option,
    parse_rule_set_name,
    parse_search_domain,
    parse_sysctl,
    parse_sysctl_value,
)


def refused(words: str):
    return pytest.raises(Problem, match=words)


# Namespaces


@pytest.mark.parametrize("text", [None, "host"])
def test_left_out_means_the_host(text):
    assert parse_namespace(text) == HOST


@pytest.mark.parametrize(
    ("text", "kind", "value", "path"),
    [
        ("red", "name", "red", "/run/netns/red"),
        ("4711", "name", "4711", "/run/netns/4711"),
        ("_a.b+c-d", "name", "_a.b+c-d", "/run/netns/_a.b+c-d"),
        ("/run/netns/red", "name", "red", "/run/netns/red"),
        ("/run/netns/a b", "path", "/run/netns/a b", "/run/netns/a b"),
        ("/run/netns/host", "path", "/run/netns/host", "/run/netns/host"),
        ("/proc/4711/ns/net", "path", "/proc/4711/ns/net", "/proc/4711/ns/net"),
        ("pid:4711", "pid", "4711", "/proc/4711/ns/net"),
        ("pid:0042", "pid", "42", "/proc/42/ns/net"),
    ],
)
def test_a_namespace_is_named_by_name_path_or_process(text, kind, value, path):
    ref = parse_namespace(text)
    assert ref == NamespaceRef(kind, value)
    assert ref.path == path
    assert parse_namespace(str(ref)) == ref


@pytest.mark.parametrize("text", ["pid:0", "pid:00", "pid:", "pid:-1", "pid:x", "pid:1 ", "pid:1\n", "pid:²", "pid:٣"])
def test_a_process_is_a_number_above_zero(text):
    with refused("is no process: write pid: and the process's number"):
        parse_namespace(text)


@pytest.mark.parametrize("text", ["nsid:3", "docker:web", "PID:1", "a-b:c", "host:"])
def test_other_words_before_a_colon_are_reserved(text):
    with refused("begins with a reserved word"):
        parse_namespace(text)


@pytest.mark.parametrize(
    "text", ["", "-x", ".x", "+x", "a b", "a/b", "../x", "ä", "red\n", "--help", "a@b", "1:2", "a\0"]
)
def test_names_outside_the_grammar_are_refused(text):
    with refused("is not allowed"):
        parse_namespace(text)


@pytest.mark.parametrize("text", ["/proc/1/ns/net\n", "/run/netns/a\0"])
def test_a_path_is_one_line(text):
    with refused("has a line break or NUL in it"):
        parse_namespace(text)


def test_a_namespace_name_has_at_most_200_characters():
    assert parse_namespace_name("a" * 200) == "a" * 200
    with refused("has 201 characters: at most 200"):
        parse_namespace_name("a" * 201)


def test_no_namespace_is_named_host():
    with refused("can't be named 'host'"):
        parse_namespace_name("host")


# Interfaces


@pytest.mark.parametrize("name", ["e", "lo", "eth0.100", "v@x", "d", "brd", "_x+y-z", "0", "abcdefghijklmno"])
def test_interface_names(name):
    assert parse_interface(name) == name


@pytest.mark.parametrize("name", ["", ".x", "-x", "@x", "a b", "a:b", "a/b", "v%d", "é", "eth0\n", "a\t"])
def test_interface_names_that_the_kernel_or_a_shell_would_read_otherwise(name):
    with refused(f"interface name {name!r} is not allowed".replace("\\", "\\\\")):
        parse_interface(name)


@pytest.mark.parametrize("name", ["all", "default"])
def test_the_words_of_the_sysctls_are_no_interfaces(name):
    with refused(f"can't be named '{name}'"):
        parse_interface(name)


def test_a_name_that_is_too_long_is_told_its_length():
    with refused("interface name 'abcdefghijklmnop' has 16 characters: the kernel takes at most 15"):
        parse_interface("abcdefghijklmnop")


# Addresses


@pytest.mark.parametrize(
    "text", ["10.0.0.1/24", "10.0.0.0/24", "10.0.0.1/32", "fd00::1/64", "fd00::/128", "127.0.0.2/8"]
)
def test_addresses(text):
    assert str(parse_address(text)) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("10.0.0.1", "has no prefix length"),
        ("fd00::1", "has no prefix length"),
        ("10.0.0.1/255.255.255.0", "is malformed"),
        ("10.0.0.1/33", "is malformed"),
        ("10.0.0.1/-1", "is malformed"),
        ("10.0.0.1/", "is malformed"),
        ("10.0.0.256/24", "is malformed"),
        ("fd00::1/129", "is malformed"),
        ("fe80::1%eth0/64", "is malformed"),
        ("10.0.0.1/24/8", "is malformed"),
        (" 10.0.0.1/24", "is malformed"),
        ("10.0.0.1/24\n", "is malformed"),
        ("224.0.0.1/24", "can't be given to an interface"),
        ("ff02::1/64", "can't be given to an interface"),
        ("0.0.0.0/0", "can't be given to an interface"),
        ("::/64", "can't be given to an interface"),
        ("fe80::1/64", "is not of global scope"),
        ("169.254.1.1/16", "is not of global scope"),
        ("fec0::1/64", "is not of global scope"),
        ("::1/128", "is not of global scope"),
    ],
)
def test_malformed_addresses(text, words):
    with refused(words):
        parse_address(text)


def test_an_address_stands_once_on_a_link_whatever_its_prefix():
    with refused("address 10.0.0.1 is declared twice"):
        parse_addresses(["10.0.0.1/24", "10.0.0.2/24", "10.0.0.1/16"])


def test_a_bare_address_is_wanted_for_a_gateway():
    assert parse_ip("fd00::1", "gateway") == ipaddress.ip_address("fd00::1")
    for text in ("10.0.0.1/24", "fe80::1%eth0", "router", ""):
        with refused("gateway .* is no IP address: write it bare"):
            parse_ip(text, "gateway")


def test_a_network_has_no_host_bits():
    assert parse_network("10.0.0.0/24", "destination") == ipaddress.ip_network("10.0.0.0/24")
    assert parse_network("10.0.0.1", "destination") == ipaddress.ip_network("10.0.0.1/32")
    with refused(r"destination '10\.0\.0\.1/24' has host bits set: the network is 10\.0\.0\.0/24"):
        parse_network("10.0.0.1/24", "destination")
    with refused("destination 'x' is malformed"):
        parse_network("x", "destination")


# MAC, MTU


@pytest.mark.parametrize("text", ["52:54:00:12:34:56", "52-54-00-AB-cd-Ef", "02:00:00:00:00:00"])
def test_mac_addresses(text):
    assert parse_mac(text) == text.lower().replace("-", ":")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("40730097296", "was read as a number by YAML: quote it"),
        ("52:54:00:12:34", "malformed"),
        ("52:54:00:12:34:5g", "malformed"),
        ("5254.0012.3456", "malformed"),
        ("52:54:00:12:34:56\n", "malformed"),
        ("01:00:5e:00:00:01", "can't be an interface's own"),
        ("ff:ff:ff:ff:ff:ff", "can't be an interface's own"),
        ("00:00:00:00:00:00", "can't be an interface's own"),
    ],
)
def test_mac_addresses_that_can_not_be(text, words):
    with refused(words):
        parse_mac(text)


def test_mtu():
    assert [parse_mtu(value, "eth0") for value in (68, 1500, 65535)] == [68, 1500, 65535]
    for value in (67, 0, -1, 65536):
        with refused(f"MTU {value} of eth0 is out of range: the kernel takes 68 to 65535"):
            parse_mtu(value, "eth0")


# Sysctls


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
        ("net/ipv4/ip_forward", "net/ipv4/ip_forward"),
        ("net.ipv4.conf.eth0/100.forwarding", "net/ipv4/conf/eth0.100/forwarding"),
        ("net/ipv4/conf/eth0.100/forwarding", "net/ipv4/conf/eth0.100/forwarding"),
        ("net.ipv6.conf.v@x.disable_ipv6", "net/ipv6/conf/v@x/disable_ipv6"),
    ],
)
def test_a_sysctl_is_written_with_dots_or_slashes(text, path):
    assert parse_sysctl(text) == path


@pytest.mark.parametrize(
    "text", ["kernel.hostname", "/proc/sys/net/x", "vm/swappiness", "net", "network.x", "", "../net/x"]
)
def test_only_sysctls_of_a_namespace_are_taken(text):
    with refused(r"only net\.\* is set per namespace"):
        parse_sysctl(text)


@pytest.mark.parametrize(
    "text",
    [
        "net/../kernel/hostname", "net/ipv4/../../kernel/hostname", "net..ipv4", "net/./x", "net//x", "net/ipv4/",
        "net.ipv4.//.kernel", "net./.x", "net/ipv4/a b", "net/ipv4/x\n", "net/-w",
    ],
)  # fmt: skip
def test_no_sysctl_leads_out_of_its_tree(text):
    with refused("is not allowed|only net"):
        parse_sysctl(text)


@given(st.text(alphabet="net./ipv4_@:-%\n", max_size=24).map(lambda tail: "net" + tail))
def test_whatever_is_written_the_path_stays_below_net(text):
    try:
        parts = parse_sysctl(text).split("/")
    except Problem:
        return
    assert parts[0] == "net" and len(parts) > 1
    assert not {"", ".", ".."} & set(parts)


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "1"), (False, "0"), (2, "2"), ("4096\t87380  6291456", "4096 87380 6291456"), (" 1 ", "1")],
)
def test_sysctl_values(value, text):
    assert parse_sysctl_value("x", value) == text


@pytest.mark.parametrize("value", ["", "  ", "1\n2", "1\0", None, [1], 1.5])
def test_sysctl_values_that_are_no_line(value):
    with refused("sysctl x has a value"):
        parse_sysctl_value("x", value)


# Names in rules and files


def test_rule_sets():
    assert parse_rule_set_name("a_1" * 8) == "a_1" * 8
    for text in ("", "A", "a-b", "a" * 25, "a\n", "ä"):
        with refused("rule set name .* is not allowed"):
            parse_rule_set_name(text)


@pytest.mark.parametrize("parse", [parse_search_domain, parse_host_name, parse_resolver_option])
@pytest.mark.parametrize("text", ["", "a b", "a\nnameserver", "a\n", "a#", "a;b"])
def test_nothing_breaks_out_of_a_line_of_a_resolver_file(parse, text):
    with refused("is not allowed"):
        parse(text)


def test_names_and_options_of_a_resolver():
    assert parse_search_domain("lab.example") == "lab.example"
    assert parse_search_domain(".") == "."
    assert parse_host_name("web-1.lab") == "web-1.lab"
    assert parse_resolver_option("ndots:2") == "ndots:2"


@given(st.text(max_size=30))
def test_a_refusal_is_one_line_whatever_was_written(text):
    refusals = []
    for parse in (parse_namespace, parse_interface, parse_address, parse_mac, parse_sysctl, parse_rule_set_name):
        try:
            parse(text)
        except Problem as problem:
            refusals.append(str(problem))
    assert all(len(refusal.splitlines()) == 1 for refusal in refusals)
