# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The matches and targets of iptables, which both of its backends hold in the same form, as the words of a rule.

Source: linux/netfilter/xt_conntrack.h, xt_state.h, x_tables.h; iptables-extensions(8).
"""

from __future__ import annotations

import struct
import sys

from .._ruleset import PORT, ConntrackState, DestinationWasTranslated, Expression, Reject, Unknown, Verdict

# XT_CONNTRACK_STATE_BIT of each state, and what of match_flags says that only the state is tested (in two ways).
_STATE_BITS = {"invalid": 1, "established": 2, "related": 4, "new": 8, "untracked": 256}
_DNAT_BIT = 128
_STATE, _STATE_ALIAS = 1, 1 << 13
_CONNTRACK_FLAGS = struct.Struct("=HHHH")  # match_flags, invert_flags, state_mask, status_mask
_CONNTRACK_FLAGS_OFFSET = 146

# Tests of a port or the like; a protocol is always tested beside them.
_PORT_MATCHES = frozenset(("tcp", "udp", "udplite", "sctp", "dccp", "multiport", "icmp", "icmp6", "esp", "ah"))
# Targets after which the packet goes on to the next rule.
_PASSING = frozenset(
    ("AUDIT", "CHECKSUM", "CLASSIFY", "CONNMARK", "CONNSECMARK", "CT", "DSCP", "ECN", "HL", "IDLETIMER", "LED", "LOG")
    + ("MARK", "NFLOG", "NOTRACK", "RATEEST", "SECMARK", "SET", "TCPMSS", "TCPOPTSTRIP", "TEE", "TOS", "TRACE", "TTL")
    + ("ULOG",)
)


def match_words(name: str, revision: int, info: bytes) -> tuple[Expression, ...]:
    if name == "comment":
        return ()
    if name in _PORT_MATCHES:
        return (Unknown(PORT, info),)
    if name == "state":
        return (_state(int.from_bytes(info[:4], sys.byteorder), False, name, info),)
    if name == "conntrack" and revision in (2, 3):
        tested, inverted, states, _statuses = _CONNTRACK_FLAGS.unpack_from(info, _CONNTRACK_FLAGS_OFFSET)
        if tested & ~_STATE_ALIAS == _STATE:
            return (_state(states, bool(inverted & _STATE), name, info),)
    return (Unknown(name, info),)


def _state(mask: int, inverted: bool, name: str, info: bytes) -> Expression:
    if mask == _DNAT_BIT and not inverted:
        return DestinationWasTranslated()
    if mask & ~sum(_STATE_BITS.values()):
        return Unknown(name, info)
    return ConntrackState(frozenset(state for state, bit in _STATE_BITS.items() if bool(mask & bit) != inverted))


def target_words(name: str) -> tuple[Expression, ...]:
    if name in _PASSING:
        return ()
    return (Reject() if name == "REJECT" else Verdict(name),)
