# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sysctls below /proc/sys/net: the kernel shows each thread those of the namespace in which it is.

Source: sysctl(8), Documentation/networking/ip-sysctl.rst.
"""

from __future__ import annotations

import os
import typing as t

ROOT = "/proc/sys"
LONGEST = 1 << 16  # the kernel gives a value in one read

# Of the hundred switches that a link has, those that people set.
LINK_SWITCHES = {
    4: (
        "accept_local",
        "accept_redirects",
        "arp_announce",
        "arp_filter",
        "arp_ignore",
        "arp_notify",
        "forwarding",
        "log_martians",
        "promote_secondaries",
        "proxy_arp",
        "route_localnet",
        "rp_filter",
        "send_redirects",
    ),
    6: (
        "accept_dad",
        "accept_ra",
        "accept_redirects",
        "addr_gen_mode",
        "autoconf",
        "disable_ipv6",
        "force_forwarding",
        "forwarding",
        "keep_addr_on_down",
        "proxy_ndp",
        "use_tempaddr",
    ),
}

# Those on which it depends what a link forwards, and what it loses by that; the last since Linux 6.17.
IPV6_FORWARDING = ("forwarding", "accept_ra", "force_forwarding")


def read(path: str) -> str | None:
    """The value of the sysctl at ``path`` below /proc/sys, blanks folded; None where the kernel has no such sysctl."""
    try:
        file = os.open(f"{ROOT}/{path}", os.O_RDONLY | os.O_CLOEXEC)  # a file object would take as long as the rest
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    try:
        return " ".join(os.read(file, LONGEST).decode().split())
    except (FileNotFoundError, IsADirectoryError, PermissionError):  # the first of a link that has gone since
        return None
    finally:
        os.close(file)


def write(path: str, value: str) -> None:
    with open(f"{ROOT}/{path}", "w", encoding="utf-8") as file:
        file.write(value)


def forwarding_paths(version: int) -> list[str]:
    """The forwarding switches of all links, and what else the kernel sets when the global one is written."""
    folder = f"net/ipv{version}/conf"
    try:
        links = sorted(os.listdir(f"{ROOT}/{folder}"))
    except FileNotFoundError:
        return []
    if version == 4:
        paths = [f"{folder}/{link}/forwarding" for link in links]
        return [*paths, "net/ipv4/ip_forward", "net/ipv4/conf/all/accept_redirects"]
    names = [name for name in IPV6_FORWARDING if os.path.exists(f"{ROOT}/{folder}/default/{name}")]
    return [f"{folder}/{link}/{name}" for link in links for name in names]


def forced_paths(links: t.Iterable[str]) -> list[str]:
    """The switches of links that rtnetlink does not tell of, those that Linux 6.17 has begun with."""
    paths = [f"net/ipv6/conf/{link}/force_forwarding" for link in links]
    return paths if os.path.exists(f"{ROOT}/net/ipv6/conf/default/force_forwarding") else []


def switches(link: str) -> dict[str, str]:
    """The switches of a link (of ``default``: those that new links get), by path with the link's name left open."""
    found = {}
    for version, names in LINK_SWITCHES.items():
        for name in names:
            value = read(f"net/ipv{version}/conf/{link}/{name}")
            if value is not None:
                found[f"net/ipv{version}/conf/{{}}/{name}"] = value
    return found
