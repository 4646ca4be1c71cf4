# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of a rule as the kernel's expressions: `ip saddr 10.0.0.0/20` is "load 4 bytes of the network header, mask,
compare". Each word is written exactly as nft writes it, so that `nft list` shows it as it was meant.
"""

from __future__ import annotations

import sys
import typing as t

from .._ruleset import (
    Address,
    AddressIn,
    ConntrackState,
    DestinationIsLocal,
    DestinationNat,
    DestinationNatMap,
    DestinationPort,
    DestinationWasTranslated,
    Expression,
    Interface,
    InterfaceIn,
    InterfacePrefix,
    InterfaceVerdict,
    Masquerade,
    NetworkProtocol,
    Reject,
    SourceNat,
    TransportProtocol,
    Unknown,
    Verdict,
)
from ._nft_codec import Step, Value, VerdictData, encode_step, step

NFPROTO = {4: 2, 6: 10}
PROTOCOLS = {"tcp": 6, "udp": 17}
IFNAMSIZ = 16

VERDICTS = {"drop": 0, "accept": 1, "jump": -3, "return": -5}
META = {"iifname": 6, "oifname": 7, "nfproto": 15, "l4proto": 16}
CT_STATE, _CT_STATUS = 0, 2
_IPS_DST_NAT = 1 << 5
STATES = {"invalid": 1, "established": 2, "related": 4, "new": 8, "untracked": 64}
EQ, NEQ, LTE, GTE = 0, 1, 3, 5
NETWORK_HEADER, TRANSPORT_HEADER = 1, 2
ADDRESS_OFFSETS = {(4, "saddr"): 12, (4, "daddr"): 16, (6, "saddr"): 8, (6, "daddr"): 24}
_PORT_OFFSET = 2
_FIB_DADDR, _FIB_TYPE, _RTN_LOCAL = 2, 3, 2
SNAT, DNAT = 0, 1
RANGE_PROTO_SPECIFIED = 2
_ICMPX, _ADMIN_PROHIBITED = 2, 3
# Registers 1 to 4 hold 16 bytes each, 9 is the second 4 bytes of the first: a concatenated key lies in 1 and 9.
_REG, _REG_KEY_PART, _REG_PORT, _REG_LAST_PORT = 1, 9, 2, 3


def encode_expressions(expressions: t.Iterable[Expression], version: t.Optional[int] = None) -> list[bytes]:
    """The expressions of a rule in a table of the IP `version`, or of both. What is Unknown goes back as it came."""
    encoded: list[bytes] = []
    for expression in expressions:
        if isinstance(expression, Unknown):
            encoded.append(expression.raw)
        elif expression != NetworkProtocol(version or 0):  # a table of one version sees no other
            encoded += [encode_step(one) for one in spellings(expression)[0]]
    return encoded


def _meta(word: str) -> Step:
    return step("meta", key=META[word], dreg=_REG)


def _compare(data: bytes, equal: bool = True) -> Step:
    return step("cmp", sreg=_REG, op=EQ if equal else NEQ, data=data)


def _payload(base: int, offset: int, length: int, register: int = _REG) -> Step:
    return step("payload", dreg=register, base=base, offset=offset, len=length)


def _masked(mask: bytes) -> Step:
    return step("bitwise", sreg=_REG, dreg=_REG, len=len(mask), mask=mask, xor=bytes(len(mask)))


def _port(number: int) -> bytes:
    return number.to_bytes(2, "big")


def _host_order(number: int) -> bytes:
    return number.to_bytes(4, sys.byteorder)


def _any_bit(mask: int) -> list[Step]:
    return [_masked(_host_order(mask)), _compare(bytes(4), equal=False)]


def interface_key(name: str) -> bytes:
    return name.encode().ljust(IFNAMSIZ, b"\0")


def verdict_data(verdict: Verdict) -> VerdictData:
    return VERDICTS[verdict.word], verdict.chain


def spellings(expression: Expression) -> list[list[Step]]:
    """What we write, and then what other versions of nft write for the same."""
    if isinstance(expression, Interface):
        return [[_meta(expression.direction), _compare(interface_key(expression.name), expression.equal)]]
    if isinstance(expression, InterfacePrefix):
        return [[_meta(expression.direction), _compare(expression.prefix.encode(), expression.equal)]]
    if isinstance(expression, InterfaceIn):
        inverted: dict[str, Value] = {} if expression.inside else {"flags": 1}
        return [[_meta(expression.direction), step("lookup", set=expression.set, sreg=_REG, **inverted)]]
    if isinstance(expression, InterfaceVerdict):
        return [[_meta(expression.direction), step("lookup", set=expression.map, sreg=_REG, dreg=0)]]
    if isinstance(expression, NetworkProtocol):
        return [[_meta("nfproto"), _compare(bytes((NFPROTO[expression.version],)))]]
    if isinstance(expression, AddressIn):
        return _address_spellings(expression)
    if isinstance(expression, TransportProtocol):
        return [[_meta("l4proto"), _compare(bytes((PROTOCOLS[expression.name],)))]]
    if isinstance(expression, DestinationPort):
        return _port_spellings(expression)
    if isinstance(expression, ConntrackState):
        mask = sum(STATES[state] for state in expression.states)
        return [[step("ct", key=CT_STATE, dreg=_REG), *_any_bit(mask)]]
    if isinstance(expression, DestinationWasTranslated):
        return [[step("ct", key=_CT_STATUS, dreg=_REG), *_any_bit(_IPS_DST_NAT)]]
    if isinstance(expression, DestinationIsLocal):
        fib = step("fib", dreg=_REG, result=_FIB_TYPE, flags=_FIB_DADDR)
        return [[fib, _compare(_host_order(_RTN_LOCAL))]]
    if isinstance(expression, Verdict):
        return [[step("immediate", dreg=0, data=verdict_data(expression))]]
    if isinstance(expression, Reject):
        return [[step("reject", type=_ICMPX, code=_ADMIN_PROHIBITED)]]
    if isinstance(expression, Masquerade):
        return [[step("masq")]]
    if isinstance(expression, SourceNat):
        return [_nat(SNAT, expression.address, None)]
    if isinstance(expression, DestinationNat):
        return [_nat(DNAT, expression.address, expression.ports)]
    if isinstance(expression, DestinationNatMap):
        return [_nat_map(expression)]
    raise TypeError(f"{expression.kind} is written as it was read")


def _address_spellings(expression: AddressIn) -> list[list[Step]]:
    network = expression.network
    offset = ADDRESS_OFFSETS[network.version, expression.side]
    packed, length = network.network_address.packed, network.max_prefixlen // 8
    whole = _payload(NETWORK_HEADER, offset, length)
    masked = [whole, _masked(network.netmask.packed), _compare(packed, expression.equal)]
    if network.prefixlen % 8:
        return [masked]
    short = network.prefixlen // 8
    unmasked = [_payload(NETWORK_HEADER, offset, short), _compare(packed[:short], expression.equal)]
    return [unmasked, masked]


def _port_spellings(expression: DestinationPort) -> list[list[Step]]:
    load = _payload(TRANSPORT_HEADER, _PORT_OFFSET, 2)
    first, last = _port(expression.first), _port(expression.last)
    if first == last:
        return [[load, _compare(first)]]
    bounds = [step("cmp", sreg=_REG, op=GTE, data=first), step("cmp", sreg=_REG, op=LTE, data=last)]
    return [[load, *bounds], [load, step("range", sreg=_REG, op=EQ, from_=first, to=last)]]


def _nat(kind: int, address: Address, ports: t.Optional[tuple[int, int]]) -> list[Step]:
    steps = [step("immediate", dreg=_REG, data=address.packed)]
    fields: dict[str, Value] = {"type": kind, "family": NFPROTO[address.version], "addr_min": _REG}
    if ports is not None:
        first, last = ports
        steps.append(step("immediate", dreg=_REG_PORT, data=_port(first)))
        fields["proto_min"] = _REG_PORT
        if first != last:
            steps.append(step("immediate", dreg=_REG_LAST_PORT, data=_port(last)))
            fields["proto_max"] = _REG_LAST_PORT
        fields["flags"] = RANGE_PROTO_SPECIFIED
    return [*steps, step("nat", **fields)]


def _nat_map(expression: DestinationNatMap) -> list[Step]:
    # The looked-up data is the address and, in the next free register, the port.
    port_register = _REG_KEY_PART if expression.version == 4 else _REG_PORT
    return [
        _meta("l4proto"),
        _payload(TRANSPORT_HEADER, _PORT_OFFSET, 2, _REG_KEY_PART),
        step("lookup", set=expression.map, sreg=_REG, dreg=_REG),
        step("nat", type=DNAT, family=NFPROTO[expression.version], addr_min=_REG, proto_min=port_register),
    ]
