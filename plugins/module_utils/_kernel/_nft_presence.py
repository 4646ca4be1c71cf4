# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a table is there, asked without pyroute2: in most namespaces none is, and its import takes a third of a second.

Works in the network namespace in which the calling thread is. Source: linux/netfilter/nf_tables.h, linux/netfilter/nfnetlink.h.
"""

from __future__ import annotations

import errno
import struct
from contextlib import closing

from ._decode import read_attributes
from ._netlink import Netlink
from ._refusal import KernelRefused

NETLINK_NETFILTER = 12
FAMILIES = {"inet": 1, "ip": 2, "ip6": 10}
NO_NF_TABLES = (errno.EINVAL, errno.EOPNOTSUPP, errno.EAFNOSUPPORT)  # the answers of a kernel that has none
_GETTABLE = 10 << 8 | 1  # of the subsystem of nf_tables
_NAME = 1
_NLM_F_DUMP = 0x300
_HEADER = struct.Struct("=IHHIIBBH")  # of netlink, and of netfilter


def has_table(family: str, name: str) -> bool:
    """False on a kernel without nf_tables, too.

    :raises KernelRefused: the tables can't be read.
    """
    try:
        kernel = Netlink(NETLINK_NETFILTER)
    except OSError:
        return False
    with closing(kernel):
        try:
            tables = kernel.dump(_HEADER.pack(_HEADER.size, _GETTABLE, 0, 0, 0, FAMILIES[family], 0, 0), _NLM_F_DUMP)
        except KernelRefused as refused:
            if refused.errno in NO_NF_TABLES:
                return False
            raise
    return any(read_attributes(table, _HEADER.size).get(_NAME, b"").rstrip(b"\0") == name.encode() for table in tables)
