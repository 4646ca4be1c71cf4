# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""rtnetlink messages to bytes, by pyroute2's message classes. Placeholders are gone when a message comes here.

Source: rtnetlink(7), linux/rtnetlink.h, linux/if_link.h.
"""

from __future__ import annotations

import struct
import typing as t

TYPES = {
    "RTM_NEWLINK": 16,
    "RTM_DELLINK": 17,
    "RTM_GETLINK": 18,
    "RTM_NEWADDR": 20,
    "RTM_DELADDR": 21,
    "RTM_GETADDR": 22,
    "RTM_NEWROUTE": 24,
    "RTM_DELROUTE": 25,
    "RTM_GETROUTE": 26,
    "RTM_NEWNSID": 88,
    "RTM_GETNSID": 90,
}
FLAGS = {"REPLACE": 0x100, "EXCL": 0x200, "CREATE": 0x400, "APPEND": 0x800}
NLM_F_DUMP = 0x300

RTEXT_FILTER_SKIP_STATS = 8
NETNSA_FD = 3


def _message_class(number: int) -> t.Any:
    from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
    from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
    from pyroute2.netlink.rtnl.rtmsg import rtmsg

    return {16: ifinfmsg, 20: ifaddrmsg, 24: rtmsg}[number & ~3]


def encode(kind: str, flags: t.Iterable[str], fields: t.Mapping[str, object], attributes: t.Sequence[object]) -> bytes:
    """A message of type ``kind`` with NLM_F_<flags>, ready to be numbered and sent."""
    number = TYPES[kind]
    message = _message_class(number)()
    for name, value in fields.items():
        message[name] = value
    message["attrs"] = attributes
    message["header"]["type"] = number
    message["header"]["flags"] = sum(FLAGS[flag] for flag in flags)
    message.encode()
    return bytes(message.data)


def dump_links() -> tuple[bytes, int]:
    """The request for all links, without their counters, which are most of a message."""
    return encode("RTM_GETLINK", (), {}, [("IFLA_EXT_MASK", RTEXT_FILTER_SKIP_STATS)]), NLM_F_DUMP


def dump_addresses() -> tuple[bytes, int]:
    return encode("RTM_GETADDR", (), {}, []), NLM_F_DUMP


def dump_routes(version: int) -> tuple[bytes, int]:
    return encode("RTM_GETROUTE", (), {"family": 2 if version == 4 else 10}, []), NLM_F_DUMP


def get_nsid(fd: int) -> bytes:
    """The request for the id by which the socket's namespace knows the one behind a descriptor (rtnetlink's nsid)."""
    return struct.pack("=IHHIIBxxxHHI", 28, TYPES["RTM_GETNSID"], 0, 0, 0, 0, 8, NETNSA_FD, fd)
