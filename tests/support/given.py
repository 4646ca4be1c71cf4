# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the documentation's examples take as given, and no module makes."""

from __future__ import annotations

from .host import Host


def interfaces_of_others(host: Host) -> None:
    """A macvlan of the uplink, a second network card (for which an end of a veth stands), and a tap."""
    host.sh("""
        ip link add link uplink name mv0 type macvlan mode bridge
        ip link add name eth1 type veth peer name cable
        ip tuntap add mode tap name tap0
    """)
