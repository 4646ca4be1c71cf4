# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sysctls below /proc/sys/net: the kernel shows each thread those of the namespace in which it is.

Source: sysctl(8), Documentation/networking/ip-sysctl.rst.
"""

from __future__ import annotations

import os

ROOT = "/proc/sys"


def read(path: str) -> str | None:
    """The value of the sysctl at ``path`` below /proc/sys, blanks folded; None where the kernel has no such sysctl."""
    try:
        with open(f"{ROOT}/{path}", encoding="utf-8") as file:
            return " ".join(file.read().split())
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError):
        return None


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
    paths = [f"{folder}/{link}/forwarding" for link in links]
    return [*paths, "net/ipv4/ip_forward", "net/ipv4/conf/all/accept_redirects"] if version == 4 else paths
