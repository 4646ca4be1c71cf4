# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Probes as a user writes them, and what is made of their outcomes."""

from __future__ import annotations

import ipaddress
import re

import pytest

from ansible_collections.nslab.linux.plugins.module_utils._errors import Problem
from ansible_collections.nslab.linux.plugins.module_utils._probe import (
    Connect,
    Datagram,
    Door,
    Expectation,
    FarEnd,
    Lookup,
    Outcome,
    Ping,
    Probe,
    doors,
    failure_text,
    longest,
    meets,
    report,
)
from ansible_collections.nslab.linux.plugins.module_utils._probe_grammar import parse_probes
from ansible_collections.nslab.linux.plugins.module_utils._values import HOST, NamespaceRef

SILENCE = Outcome(error="no answer within 2 s")
UNSENT = Outcome(error="source 10.0.0.9 is no address of this namespace", fault=True)


def option(**given):
    """A probe as Ansible hands it over, every option present."""
    every = {
        "from": "host",
        "ping": None,
        "tcp": None,
        "udp": None,
        "resolve": None,
        "expect": "success",
        "listen": None,
        "listen_port": None,
        "seen_as": None,
        "source": None,
        "timeout": 2.0,
        "retries": 2,
    }
    return {**every, **given}


def parse(**given) -> Probe:
    (probe,) = parse_probes([option(**given)])
    return probe


def ip(text: str):
    return ipaddress.ip_address(text)


# What a user writes


def test_a_probe_is_made_from_the_host_and_repeated_twice_unless_told_otherwise():
    assert parse(ping="10.0.0.1") == Probe(HOST, Ping(ip("10.0.0.1")), Expectation(), timeout=2.0, retries=2)


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("red", NamespaceRef("name", "red")),
        ("/proc/4711/ns/net", NamespaceRef("path", "/proc/4711/ns/net")),
        ("pid:4711", NamespaceRef("pid", "4711")),
        ("host", HOST),
    ],
)
def test_a_probe_starts_in_any_kind_of_namespace(text, origin):
    assert parse(**{"from": text, "ping": "10.0.0.1"}).origin == origin


@pytest.mark.parametrize(
    ("given", "act", "what"),
    [
        ({"ping": "10.0.0.1"}, Ping(ip("10.0.0.1")), "ping 10.0.0.1"),
        ({"ping": "fd00:0::1"}, Ping(ip("fd00::1")), "ping fd00::1"),
        ({"ping": "fe80::1%eth0"}, Ping(ip("fe80::1%eth0")), "ping fe80::1%eth0"),
        ({"tcp": "10.0.0.1:80"}, Connect(ip("10.0.0.1"), 80), "tcp 10.0.0.1:80"),
        ({"tcp": "[fd00::1]:65535"}, Connect(ip("fd00::1"), 65535), "tcp [fd00::1]:65535"),
        ({"tcp": "[fe80::1%eth0]:1"}, Connect(ip("fe80::1%eth0"), 1), "tcp [fe80::1%eth0]:1"),
        ({"tcp": "web.example:443"}, Connect("web.example", 443), "tcp web.example:443"),
        ({"udp": "10.0.0.1:53"}, Datagram(ip("10.0.0.1"), 53), "udp 10.0.0.1:53"),
        ({"udp": "[fd00:0::1]:1"}, Datagram(ip("fd00::1"), 1), "udp [fd00::1]:1"),
        ({"udp": "web.example:53"}, Datagram("web.example", 53), "udp web.example:53"),
        ({"resolve": "web.example"}, Lookup("web.example"), "resolve web.example"),
        ({"resolve": "web.example."}, Lookup("web.example."), "resolve web.example."),
        ({"resolve": "_sip._tcp.4you"}, Lookup("_sip._tcp.4you"), "resolve _sip._tcp.4you"),
    ],
)
def test_a_probe_says_what_it_does(given, act, what):
    probe = parse(**given)
    assert probe.act == act
    assert str(probe.act) == what


def test_expectations():
    assert parse(ping="10.0.0.1", expect="success").expect == Expectation(success=True)
    assert parse(ping="10.0.0.1", expect="failure").expect == Expectation(success=False)
    assert parse(resolve="web.example", expect="fd00:0::1").expect == Expectation(address=ip("fd00::1"))


def test_a_far_end_listens_on_the_probed_port_unless_told_otherwise():
    red = NamespaceRef("name", "red")
    assert parse(udp="10.0.0.1:53").far_end is None
    assert parse(udp="10.0.0.1:53", listen="red").far_end == FarEnd(red, 53)
    assert parse(tcp="web.example:8080", listen="host", listen_port=80).far_end == FarEnd(HOST, 80)


@pytest.mark.parametrize(
    ("given", "opened"),
    [
        ({"udp": "10.0.0.1:53"}, [("udp", 4)]),
        ({"tcp": "[fd00::1]:53"}, [("tcp", 6)]),
        ({"tcp": "web.example:53"}, [("tcp", 4), ("tcp", 6)]),
        ({"udp": "web.example:53", "source": "fd00::9"}, [("udp", 6)]),
    ],
)
def test_a_far_end_is_opened_for_each_family_in_which_the_probe_may_come(given, opened):
    red = NamespaceRef("name", "red")
    assert doors(parse(**given, listen="red", listen_port=5)) == [Door(red, *which, 5) for which in opened]
    assert doors(parse(**given)) == []


@pytest.mark.parametrize("address", ["198.51.100.2", "fd00::2", "fe80::1"])
def test_the_address_that_a_far_end_shall_see(address):
    assert parse(tcp="web.example:80", seen_as=address).expect == Expectation(seen=ip(address))


def test_a_source_may_go_with_a_name_whose_family_is_not_known_yet():
    assert parse(tcp="web.example:80", source="10.0.0.9").source == ip("10.0.0.9")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "does not say what to try.*ping, tcp, udp, resolve"),
        ({"ping": "10.0.0.1", "tcp": "10.0.0.1:80"}, "ping and tcp at once"),
        ({"ping": "10.0.0.1", "tcp": "a:1", "resolve": "b"}, "ping and tcp and resolve at once"),
        ({"ping": ""}, "'' is no IP address"),
        ({"ping": "10.0.0.300"}, "'10.0.0.300' is no IP address"),
        ({"ping": "10.0.0.1/24"}, "'10.0.0.1/24' is no IP address"),
        ({"ping": "web.example"}, "'web.example' is no IP address"),
        ({"ping": "224.0.0.1"}, "not the address of one host"),
        ({"ping": "0.0.0.0"}, "not the address of one host"),
        ({"ping": "255.255.255.255"}, "not the address of one host"),
        ({"ping": "::"}, "not the address of one host"),
        ({"ping": "fe80::1"}, "link-local.*fe80::1%eth0"),
        ({"ping": "fd00::1%eth0"}, "only a link-local address needs one"),
        ({"tcp": ""}, "not complete.*HOST:PORT"),
        ({"tcp": "10.0.0.1"}, "not complete.*HOST:PORT"),
        ({"tcp": ":80"}, "not complete.*HOST:PORT"),
        ({"tcp": "10.0.0.1:"}, "no valid port"),
        ({"tcp": "10.0.0.1:0"}, "no valid port.*1 to 65535"),
        ({"tcp": "10.0.0.1:65536"}, "no valid port"),
        ({"tcp": "10.0.0.1:http"}, "no valid port"),
        ({"tcp": "10.0.0.1:8\u0660"}, "no valid port"),
        ({"tcp": "10.0.0.1:" + "9" * 5000}, "no valid port"),
        ({"tcp": "10.0.0.1:80\n"}, "no valid port"),
        ({"tcp": "fd00::1:80"}, r"in brackets, such as '\[fd00::1\]:80'"),
        ({"tcp": "[fd00::1]"}, "ambiguous"),
        ({"tcp": "[web.example]:80"}, "no IPv6 address in its brackets"),
        ({"tcp": "[10.0.0.1]:80"}, "no IPv6 address in its brackets"),
        ({"tcp": "[fd00::zz]:80"}, "'fd00::zz' is no IP address"),
        ({"tcp": "10.0.0:80"}, "no name ends in a number"),
        ({"tcp": "web example:80"}, "tcp: host name 'web example' is not allowed"),
        ({"resolve": "10.0.0.1"}, "is an address already"),
        ({"resolve": "10.1"}, "no name ends in a number"),
        ({"resolve": "0x7f.0x1"}, "no name ends in a number"),
        ({"resolve": "web..example"}, "is no host name"),
        ({"resolve": "a" * 64}, "is no host name"),
        ({"resolve": "b\u00fccher.example"}, "is not allowed.*xn--"),
        ({"resolve": "web.example\n"}, "is not allowed"),
        ({"resolve": ""}, "is not allowed"),
        ({"ping": "10.0.0.1", "expect": "sucess"}, "'sucess' is unknown: use success or failure$"),
        ({"resolve": "a", "expect": "False"}, "'False' is unknown: use success, failure or an address$"),
        ({"ping": "10.0.0.1", "expect": "10.0.0.1"}, "only resolve can give"),
        ({"tcp": "web.example:80", "expect": "10.0.0.1"}, "only resolve can give"),
        ({"ping": "10.0.0.1", "timeout": 0.0}, "timeout 0 is out of range"),
        ({"ping": "10.0.0.1", "timeout": -1.0}, "timeout -1 is out of range"),
        ({"ping": "10.0.0.1", "timeout": 301.0}, "timeout 301 is out of range.*up to 300"),
        ({"ping": "10.0.0.1", "timeout": float("nan")}, "timeout nan is out of range"),
        ({"ping": "10.0.0.1", "timeout": float("inf")}, "timeout inf is out of range"),
        ({"ping": "10.0.0.1", "retries": -1}, "retries -1 is out of range"),
        ({"ping": "10.0.0.1", "retries": 101}, "retries 101 is out of range"),
        ({"ping": "10.0.0.1", "source": "eth0"}, "source 'eth0' is no IP address"),
        ({"ping": "10.0.0.1", "source": "fd00::1"}, "not of one family"),
        ({"tcp": "[fd00::1]:80", "source": "10.0.0.1"}, "not of one family"),
        ({"resolve": "web.example", "source": "10.0.0.1"}, "resolve has no source"),
        ({"udp": "10.0.0.1:53", "tcp": "10.0.0.1:53"}, "tcp and udp at once"),
        ({"udp": "10.0.0.1"}, "udp '10.0.0.1' is not complete.*HOST:PORT"),
        ({"udp": "10.0.0.1:0"}, "udp '10.0.0.1:0' has no valid port"),
        ({"udp": "fd00::1:53"}, r"udp 'fd00::1:53' is ambiguous.*in brackets"),
        ({"udp": "224.0.0.1:53"}, "udp '224.0.0.1' is not the address of one host"),
        ({"udp": "fe80::1:53"}, "ambiguous"),
        ({"udp": "[fe80::1]:53"}, "link-local.*fe80::1%eth0"),
        ({"udp": "10.0.0.1:53", "source": "fd00::1"}, "source fd00::1 and udp 10.0.0.1:53 are not of one family"),
        ({"udp": "10.0.0.1:53", "expect": "10.0.0.1"}, "only resolve can give"),
        ({"ping": "10.0.0.1", "listen": "red"}, "listen is for tcp and udp: leave it out"),
        ({"resolve": "a", "listen": "red"}, "listen is for tcp and udp: leave it out"),
        ({"udp": "10.0.0.1:53", "listen": "a b"}, "listen: .*'a b' is not allowed"),
        ({"udp": "10.0.0.1:53", "listen": "pid:0"}, "listen: .*'pid:0'"),
        ({"udp": "10.0.0.1:53", "listen": ""}, "listen: "),
        ({"udp": "10.0.0.1:53", "listen": "red", "listen_port": 0}, "listen_port 0 is no valid port"),
        ({"udp": "10.0.0.1:53", "listen": "red", "listen_port": 65536}, "listen_port 65536 is no valid port"),
        ({"udp": "10.0.0.1:53", "listen": "red", "listen_port": -1}, "listen_port -1 is no valid port"),
        ({"udp": "10.0.0.1:53", "listen_port": 53}, "listen_port 53 without listen"),
        ({"ping": "10.0.0.1", "seen_as": "10.0.0.1"}, "seen_as needs a far end that can tell: use tcp or udp"),
        ({"resolve": "a", "seen_as": "10.0.0.1"}, "seen_as needs a far end that can tell"),
        ({"udp": "10.0.0.1:53", "seen_as": "host"}, "seen_as 'host' is no IP address"),
        ({"udp": "10.0.0.1:53", "seen_as": "10.0.0.1/24"}, "seen_as '10.0.0.1/24' is no IP address"),
        ({"udp": "10.0.0.1:53", "seen_as": "0.0.0.0"}, "not the address of one host"),
        ({"udp": "10.0.0.1:53", "seen_as": "ff02::1"}, "not the address of one host"),
        (
            {"udp": "[fd00::1]:53", "seen_as": "10.0.0.1"},
            r"seen_as 10.0.0.1 and udp \[fd00::1\]:53 are not of one family",
        ),
        ({"tcp": "a:80", "seen_as": "fe80::1%eth0"}, "names an interface"),
        ({"tcp": "a:80", "seen_as": "10.0.0.1", "expect": "failure"}, "expect failure and seen_as contradict"),
        ({"tcp": "a:80", "seen_as": "10.0.0.1", "expect": "maybe"}, "expect 'maybe' is unknown"),
        ({"from": "a b", "ping": "10.0.0.1"}, "'a b' is not allowed"),
        ({"from": "pid:0", "ping": "10.0.0.1"}, "'pid:0'"),
        ({"from": "docker:web", "ping": "10.0.0.1"}, "reserved word"),
    ],
)
def test_what_is_refused_says_which_probe_and_why_in_one_line(given, words):
    with pytest.raises(Problem) as refused:
        parse_probes([option(ping="10.0.0.1"), option(**given)])
    text = str(refused.value)
    assert text.startswith("probe 2: ")
    assert "\n" not in text
    assert re.search(words, text), text


# What is made of an outcome


@pytest.mark.parametrize(
    ("expect", "outcome", "met"),
    [
        ("success", Outcome(answers=("10.0.0.1",)), True),
        ("success", SILENCE, False),
        ("success", UNSENT, False),
        ("failure", SILENCE, True),
        ("failure", Outcome(answers=("10.0.0.1",)), False),
        ("failure", UNSENT, False),
        ("10.0.0.1", Outcome(answers=("10.0.0.9", "10.0.0.1")), True),
        ("10.0.0.1", Outcome(answers=("10.0.0.10",)), False),
        ("fd00:0::1", Outcome(answers=("fd00::1",)), True),
        ("10.0.0.1", SILENCE, False),
    ],
)
def test_an_outcome_meets_an_expectation(expect, outcome, met):
    assert meets(parse(resolve="web.example", expect=expect), outcome) is met


@pytest.mark.parametrize(
    ("given", "outcome", "met"),
    [
        ({}, Outcome(answers=("10.0.0.1:53",), seen="10.0.0.9"), True),
        ({"seen_as": "198.51.100.2"}, Outcome(answers=("10.0.0.1:53",), seen="198.51.100.2"), True),
        ({"seen_as": "198.51.100.2"}, Outcome(answers=("10.0.0.1:53",), seen="10.0.0.9"), False),
        ({"seen_as": "198.51.100.2"}, Outcome(answers=("10.0.0.1:53",)), False),
        ({"expect": "failure"}, SILENCE, True),
        ({"expect": "failure"}, Outcome(error="arrived, unanswered", seen="10.0.0.9"), False),
        ({}, Outcome(error="arrived, unanswered", seen="10.0.0.9"), False),
        ({"expect": "failure"}, UNSENT, False),
    ],
)
def test_what_a_far_end_saw_has_its_say(given, outcome, met):
    assert meets(parse(udp="10.0.0.1:53", listen="red", **given), outcome) is met


def test_an_address_that_a_far_end_saw_is_compared_as_an_address():
    outcome = Outcome(answers=("[fd00::1]:53",), seen="fd00::2")
    assert meets(parse(udp="[fd00::1]:53", listen="red", seen_as="fd00:0:0::2"), outcome)


def test_the_report_of_a_ping_that_was_answered():
    probe = parse(**{"from": "red", "ping": "10.0.0.1"})
    assert report(probe, Outcome(answers=("10.0.0.1",), rtt_ms=0.1)) == {
        "from": "red",
        "what": "ping 10.0.0.1",
        "ok": True,
        "result": "10.0.0.1",
        "rtt_ms": 0.1,
        "error": None,
        "seen": None,
    }


def test_the_report_of_a_lookup_has_all_addresses():
    found = report(parse(resolve="web.example"), Outcome(answers=("10.0.0.1", "fd00::1"), rtt_ms=1.0))
    assert found["result"] == ["10.0.0.1", "fd00::1"]


def test_the_report_of_an_expected_failure_says_why_it_failed():
    found = report(parse(ping="10.0.0.1", expect="failure"), SILENCE)
    assert (found["ok"], found["result"], found["error"]) == (True, None, "no answer within 2 s")


def test_the_report_of_a_probe_that_was_not_sent_knows_nothing():
    found = report(parse(resolve="web.example"), None)
    assert [found[key] for key in ("ok", "result", "rtt_ms", "error", "seen")] == [None] * 5
    assert found["what"] == "resolve web.example"


@pytest.mark.parametrize(
    ("given", "answers", "error"),
    [
        ({"ping": "10.0.0.1", "expect": "failure"}, ["10.0.0.1"], "10.0.0.1 answered, but failure was expected"),
        ({"tcp": "a:80", "expect": "failure"}, ["10.0.0.1:80"], "10.0.0.1:80 accepted, but failure was expected"),
        ({"udp": "a:53", "expect": "failure"}, ["10.0.0.1:53"], "10.0.0.1:53 answered, but failure was expected"),
        ({"resolve": "a", "expect": "failure"}, ["10.0.0.1"], "resolves to 10.0.0.1, but failure was expected"),
        (
            {"resolve": "a", "expect": "fd00::1"},
            ["10.0.0.1", "10.0.0.2"],
            "resolves to 10.0.0.1, 10.0.0.2, not to fd00::1",
        ),
    ],
)
def test_the_report_of_a_success_that_was_not_the_expected_one_says_so(given, answers, error):
    found = report(parse(**given), Outcome(answers=tuple(answers), rtt_ms=1.0))
    assert found["ok"] is False
    assert found["result"] == (answers if "resolve" in given else answers[0])
    assert found["error"] == error


def test_the_report_tells_what_the_far_end_saw_instead():
    probe = parse(udp="198.51.100.1:53", listen="outside", seen_as="198.51.100.2")
    found = report(probe, Outcome(answers=("198.51.100.1:53",), rtt_ms=1.0, seen="10.0.0.2"))
    assert (found["ok"], found["seen"]) == (False, "10.0.0.2")
    assert found["error"] == "the far end saw 10.0.0.2, not 198.51.100.2"


def test_the_report_of_what_arrived_although_failure_was_expected():
    lost = Outcome(error="arrived in red from 10.0.0.2, but no answer came back within 2 s", seen="10.0.0.2")
    found = report(parse(udp="10.0.0.1:53", listen="red", expect="failure"), lost)
    assert (found["ok"], found["error"]) == (False, "arrived in red from 10.0.0.2, but failure was expected")
    assert report(parse(udp="10.0.0.1:53", listen="red"), lost)["error"] == lost.error
    assert report(parse(udp="10.0.0.1:53", listen="red", expect="failure"), UNSENT)["error"] == UNSENT.error


def test_failures_are_told_in_an_aligned_table():
    probes = parse_probes(
        [
            option(**{"from": "red", "ping": "10.0.0.9"}),
            option(ping="10.0.0.1"),
            option(tcp="[fd00::1]:80"),
        ]
    )
    outcomes = [SILENCE, Outcome(answers=("10.0.0.1",), rtt_ms=1.0), Outcome(error="connection refused")]
    assert failure_text([report(probe, outcome) for probe, outcome in zip(probes, outcomes)]) == (
        "2 of 3 probes did not meet their expectation:\n"
        "  from red   ping 10.0.0.9     no answer within 2 s\n"
        "  from host  tcp [fd00::1]:80  connection refused"
    )


def test_there_is_nothing_to_tell_of_probes_that_met_their_expectation():
    probes = parse_probes([option(ping="10.0.0.1"), option(ping="10.0.0.2", expect="failure")])
    outcomes = [Outcome(answers=("10.0.0.1",)), SILENCE]
    assert failure_text([report(probe, outcome) for probe, outcome in zip(probes, outcomes)]) is None


def test_the_time_that_probes_can_take_counts_retries_and_pauses():
    slow = parse(ping="10.0.0.1", timeout=5.0, retries=1)  # 5 + pause 1 + 5
    quick = parse(ping="10.0.0.1", timeout=0.5, retries=2)  # 3 * 0.5 + 2 * 0.5
    assert longest([slow], at_once=1) >= 11
    assert longest([quick] * 8, at_once=1) >= 20
    assert longest([quick] * 8, at_once=8) < 20
    assert longest([], at_once=8) == 0
