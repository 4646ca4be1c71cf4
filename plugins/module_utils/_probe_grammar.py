# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The grammar of probes: what a user may write for one, and what is refused."""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ._errors import Problem
from ._probe import Act, Connect, Datagram, Expectation, FarEnd, Lookup, Ping, Probe
from ._values import IPAddress, NamespaceRef, parse_host_name, parse_namespace

LONGEST_TIMEOUT = 300.0  # seconds
MOST_RETRIES = 100

_BRACKETED = re.compile(r"\[([^\[\]]*)\]:(.*)\Z", re.DOTALL)
_PORT = re.compile(r"[0-9]{1,5}\Z")
_NUMBER = re.compile(r"(0[xX][0-9A-Fa-f]*|[0-9]+)\Z")


def parse_probes(options: t.Sequence[t.Mapping[str, t.Any]]) -> tuple[Probe, ...]:
    """Raises a Problem that says which probe, counted from 1."""
    probes = []
    for number, option in enumerate(options, 1):
        try:
            probes.append(_parse_probe(option))
        except Problem as problem:
            raise Problem(f"probe {number}: {problem}") from None
    return tuple(probes)


def _parse_probe(option: t.Mapping[str, t.Any]) -> Probe:
    given = [kind for kind in _ACTS if option.get(kind) is not None]
    if len(given) != 1:
        what = f"has {' and '.join(given)} at once" if given else "does not say what to try"
        raise Problem(what, f"give one of {', '.join(_ACTS)}")
    kind = given[0]
    act = _ACTS[kind](option[kind])
    timeout, retries = option["timeout"], option["retries"]
    # Written so that not-a-number, which compares false with everything, is refused too.
    if not 0 < timeout <= LONGEST_TIMEOUT:
        raise Problem(f"timeout {timeout:g} is out of range", f"use seconds, above 0 and up to {LONGEST_TIMEOUT:g}")
    if not 0 <= retries <= MOST_RETRIES:
        raise Problem(f"retries {retries} is out of range", f"use 0 to {MOST_RETRIES}")
    return Probe(
        origin=parse_namespace(option["from"]),
        act=act,
        expect=_parse_expectation(option["expect"], option.get("seen_as"), act),
        timeout=float(timeout),
        retries=retries,
        source=_parse_source(option.get("source"), act),
        far_end=_parse_far_end(option.get("listen"), option.get("listen_port"), act),
    )


def _parse_ping(text: str) -> Ping:
    return Ping(_parse_target(text, "ping"))


def _parse_tcp(text: str) -> Connect:
    return Connect(*_parse_endpoint(text, "tcp"))


def _parse_udp(text: str) -> Datagram:
    return Datagram(*_parse_endpoint(text, "udp"))


def _parse_endpoint(text: str, what: str) -> tuple[IPAddress | str, int]:
    bracketed = _BRACKETED.match(text)
    if bracketed:
        host, port = bracketed.groups()
        if ":" not in host:
            raise Problem(f"{what} {text!r} has no IPv6 address in its brackets", "write HOST:PORT or '[fd00::1]:80'")
    else:
        host, _colon, port = text.rpartition(":")
        if not host:
            raise Problem(f"{what} {text!r} is not complete", "write HOST:PORT, such as 10.0.0.1:80")
        if ":" in host:
            raise Problem(f"{what} {text!r} is ambiguous", "write an IPv6 address in brackets, such as '[fd00::1]:80'")
    if not _PORT.match(port) or not 1 <= int(port) <= 65535:
        raise Problem(f"{what} {text!r} has no valid port", "ports are numbers from 1 to 65535")
    if bracketed or _is_address(host):
        return _parse_target(host, what), int(port)
    return _parse_name(host, what), int(port)


def _parse_resolve(text: str) -> Lookup:
    if _is_address(text):
        raise Problem(f"resolve {text!r} is an address already", "give a name; ping, tcp and udp take addresses")
    return Lookup(_parse_name(text, "resolve"))


# Which option stands for what. A kind of probe that is to come gets its line here and its attempt in _kernel/_attempts.py.
_ACTS: dict[str, t.Callable[[str], Act]] = {
    "ping": _parse_ping,
    "tcp": _parse_tcp,
    "udp": _parse_udp,
    "resolve": _parse_resolve,
}


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _parse_target(text: str, what: str) -> IPAddress:
    """An address to which a packet can be sent, with its scope where it needs one: ``fe80::1%eth0``."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise Problem(f"{what} {text!r} is no IP address", "write it bare, such as 10.0.0.1 or fd00::1") from None
    if address.is_multicast or address.is_unspecified or str(address) == "255.255.255.255":
        raise Problem(f"{what} {text!r} is not the address of one host", "use a unicast address")
    if isinstance(address, ipaddress.IPv6Address):
        if address.is_link_local and not address.scope_id:
            raise Problem(f"{what} {text!r} is link-local", f"say by which interface, such as {address}%eth0")
        if address.scope_id and not address.is_link_local:
            raise Problem(f"{what} {text!r} names an interface", "only a link-local address needs one")
    return address


def _parse_name(text: str, what: str) -> str:
    try:
        name = parse_host_name(text)
    except Problem as problem:
        raise Problem(f"{what}: {problem}; other scripts in their ASCII form, xn--...") from None
    labels = name[:-1].split(".") if name.endswith(".") else name.split(".")
    # libc takes 10.1 for the address 10.0.0.1: nothing that ends in a number is looked up as a name.
    if _NUMBER.match(labels[-1]):
        raise Problem(
            f"{what} {text!r} is no IP address, and no name ends in a number", "write 10.0.0.1 or web.example"
        )
    if not all(1 <= len(label) <= 63 for label in labels):
        raise Problem(f"{what} {text!r} is no host name", "1 to 63 characters are allowed between two dots")
    return name


def _parse_expectation(text: str, seen_as: str | None, act: Act) -> Expectation:
    if text in ("success", "failure"):
        success, address = text == "success", None
    else:
        success, address = True, _parse_expected_address(text, act)
    seen = None if seen_as is None else _parse_seen_as(seen_as, act)
    if seen and not success:
        raise Problem("expect failure and seen_as contradict each other", "leave one of them out")
    return Expectation(success, address, seen)


def _parse_expected_address(text: str, act: Act) -> IPAddress:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        choices = "success, failure or an address" if isinstance(act, Lookup) else "success or failure"
        raise Problem(f"expect {text!r} is unknown", f"use {choices}") from None
    if not isinstance(act, Lookup):
        raise Problem(f"expect {text!r} is an address, which only resolve can give", "use success or failure")
    return address


def _parse_seen_as(text: str, act: Act) -> IPAddress:
    if not isinstance(act, (Connect, Datagram)):
        raise Problem("seen_as needs a far end that can tell", "use tcp or udp")
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise Problem(f"seen_as {text!r} is no IP address", "write it bare, such as 10.0.0.1 or fd00::1") from None
    if getattr(address, "scope_id", None):
        raise Problem(f"seen_as {text!r} names an interface", "leave it out, the far end has its own")
    if address.is_multicast or address.is_unspecified:
        raise Problem(f"seen_as {text!r} is not the address of one host", "use a unicast address")
    _need_one_family(f"seen_as {address}", address, act)
    return address


def _parse_far_end(namespace: str | None, port: int | None, act: Act) -> FarEnd | None:
    if namespace is None:
        if port is not None:
            raise Problem(f"listen_port {port} without listen", "say in listen in which namespace")
        return None
    if not isinstance(act, (Connect, Datagram)):
        raise Problem("listen is for tcp and udp", "leave it out")
    if port is not None and not 1 <= port <= 65535:
        raise Problem(f"listen_port {port} is no valid port", "ports are numbers from 1 to 65535")
    return FarEnd(_parse_where(namespace), act.port if port is None else port)


def _parse_where(text: str) -> NamespaceRef:
    try:
        return parse_namespace(text)
    except Problem as problem:
        raise Problem(f"listen: {problem}") from None


def _parse_source(text: str | None, act: Act) -> IPAddress | None:
    if text is None:
        return None
    if isinstance(act, Lookup):
        raise Problem("resolve has no source", "leave it out; the resolver chooses its own")
    source = _parse_target(text, "source")
    _need_one_family(f"source {source}", source, act)
    return source


def _need_one_family(what: str, address: IPAddress, act: Ping | Connect | Datagram) -> None:
    target = act.address if isinstance(act, Ping) else act.host
    if not isinstance(target, str) and target.version != address.version:
        raise Problem(f"{what} and {act} are not of one family", "use two IPv4 or two IPv6 addresses")
