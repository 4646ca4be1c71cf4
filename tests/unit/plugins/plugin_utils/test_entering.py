# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who came from inside, and what is said of those who did not."""

from __future__ import annotations

import shlex

import pytest

from ansible_collections.nslab.linux.plugins.module_utils._errors import Problem
from ansible_collections.nslab.linux.plugins.plugin_utils._entering import Answer, asked_host, read, why_outside, wrap


def why(said, netns="red", user="root", sudo="sudo -n", code=1):
    return why_outside(netns, "web1", user, sudo, code, Answer(False, b"", said.encode()))


def test_only_a_line_of_its_own_tells_that_a_command_came_from_inside():
    assert read(b"out", b"\nnslab: inside\nerr") == Answer(True, b"out", b"err")
    assert read(b"out", b"sudo: unable to resolve host\n\nnslab: inside\n") == Answer(
        True, b"out", b"sudo: unable to resolve host\n"
    )
    # What a server says before may be without an end.
    assert read(b"", b"Welcome.\nnslab: inside\nerr").stderr == b"Welcome.err"
    # With a terminal both streams are one, and lines end as there.
    assert read(b"\r\nnslab: inside\r\nout\r\n", b"") == Answer(True, b"out\r\n", b"")
    # The second is the command's own.
    assert read(b"", b"\nnslab: inside\n\nnslab: inside\n").stderr == b"\nnslab: inside\n"
    assert not read(b"out", b"").inside
    assert not read(b"", b"nslab: inside of nothing\n").inside


def test_a_sudo_that_repeats_what_it_refuses_is_not_inside():
    line = wrap("red", "true", "sudo -n")
    answer = read(b"", f"Sorry, user nobody is not allowed to execute '{line}' as root on web1.\n".encode())
    assert not answer.inside
    # In one line, too, for a shell that ends a word where a line ends.
    assert "\n" not in line


def test_a_command_line_names_each_thing_once_and_quotes_it():
    line = wrap("red", "echo 'it is'; id", "doas -n -C '/etc/my rules'")
    assert shlex.split(line)[-4:] == ["doas", "-n", "-C", "/etc/my rules"]
    assert shlex.split(line).count("echo 'it is'; id") == 1
    assert wrap("/run/netns/red", "true", "sudo -n") == wrap("red", "true", "sudo -n")


@pytest.mark.parametrize("netns", ["host", "", "/proc/1/ns/net", "pid:1", "../red", "a b", "$(id)", None, 7])
def test_what_is_no_name_is_refused(netns):
    with pytest.raises(Problem):
        wrap(netns, "true", "sudo -n")


def test_a_quote_left_open_is_refused():
    with pytest.raises(Problem, match="ansible_netns_sudo"):
        wrap("red", "true", "sudo 'x")


def test_each_reason_is_told_in_one_line_with_what_to_do():
    assert why("nslab: missing: green blue") == "namespace 'red' does not exist on web1: there are blue, green"
    assert why("nslab: missing: blue").endswith("there is blue")
    assert why("nslab: missing:").endswith("there are none")
    many = why("nslab: missing: " + " ".join(f"ns{number:03}" for number in range(1000)))
    assert many.endswith("ns018, ns019 and 980 more")
    assert why("nslab: of the host") == (
        "namespace 'red' of web1 is the one in which the login is: tasks would run on the host itself; name another, or "
        "connect without it"
    )
    assert (
        why("nslab: elsewhere")
        == "'ip netns exec red' of web1 did not lead into /run/netns/red: see which ip is run there"
    )
    assert why("nslab: no ip") == "namespace 'red' of web1 can't be entered: ip is not there, install iproute2"
    assert why('setting the network namespace "red" failed: Invalid argument') == (
        "/run/netns/red of web1 is a file but no namespace: remove it, and make the namespace again"
    )
    assert why("sudo: a password is required", user="ann") == (
        "namespace 'red' of web1 can't be entered as ann: sudo: a password is required; what makes ann root is "
        "'sudo -n' (ansible_netns_sudo), allow it or log in as root"
    )
    # With a terminal.
    both = Answer(False, b"sudo: a password is required\r\n", b"Shared connection to web1 closed.\r\n")
    assert "as ann: sudo: a password is required; what" in why_outside("red", "web1", "ann", "sudo -n", 1, both)
    assert why('exec of "setpriv" failed: No such file or directory', user="ann").endswith("of the package util-linux")
    assert "exit code was 126" in why("", code=126)


@pytest.mark.parametrize(
    ("told", "short", "delegate", "asked"),
    [
        ("red", "red", None, "red"),
        ("a.x", "a", None, "a.x"),
        ("red", "blue", "blue", "blue"),
        ("a.x", "a", "a.y", "a.y"),  # the short names are the same
        ("a.x", "a", "a", "a"),
        ("red", "red", "red.other", "red.other"),  # to one that the inventory doesn't have
        ("red", "red", "{{ omit }}", "red"),  # to nobody
        ("red", "localhost", "127.0.0.1", "localhost"),  # by another of its names
        ("red", "192.0.2.7", "192.0.2.7", "192.0.2.7"),
    ],
)
def test_a_delegated_task_is_that_of_the_host_it_was_delegated_to(told, short, delegate, asked):
    known = {"groups": {"all": ["red", "blue", "a.x", "a.y", "a", "localhost", "192.0.2.7"]}}
    variables = {"inventory_hostname": told, "inventory_hostname_short": short, **known}
    assert asked_host(variables, delegate) == asked
