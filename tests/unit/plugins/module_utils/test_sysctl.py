# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sysctls of links that a task makes itself: nobody has read them, and all the same they are taken back."""

from __future__ import annotations

from ansible_collections.nslab.linux.plugins.module_utils._resources._sysctl import SetSysctl
from ansible_collections.nslab.linux.plugins.module_utils._values import HOST
from ansible_collections.nslab.linux.plugins.module_utils._world import Link, NamespaceState, World

FORWARDING = "net/ipv4/conf/{}/forwarding"


def host(**sysctls: str) -> World:
    links = {"br0": Link("br0", "bridge")}
    found = {FORWARDING.format(name): value for name, value in sysctls.items()}
    return World(keys={HOST: "host"}, namespaces={"host": NamespaceState("host", links=links, sysctls=found)})


def back(world: World, link: str) -> list[str]:
    return [each.command for each in SetSysctl(HOST, FORWARDING.format(link), "1").invert(world)]


def test_a_new_link_had_what_new_links_get():
    # Else it forwards on while the task is undone, though nothing is left that says by whom.
    assert back(host(default="0"), "br0") == ["sysctl -w net/ipv4/conf/br0/forwarding=0"]


def test_what_was_read_of_a_link_counts_for_more():
    assert back(host(default="0", br0="1"), "br0") == ["sysctl -w net/ipv4/conf/br0/forwarding=1"]


def test_of_a_link_that_is_not_there_nothing_is_taken_back():
    assert back(host(default="0"), "eth7") == []
