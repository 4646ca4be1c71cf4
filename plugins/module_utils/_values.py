# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The grammar of everything that a user writes: each parser returns a typed value or raises a Problem."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import typing as t

from ._errors import Problem

IPAddress = t.Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
IPInterface = t.Union[ipaddress.IPv4Interface, ipaddress.IPv6Interface]
IPNetwork = t.Union[ipaddress.IPv4Network, ipaddress.IPv6Network]

NETNS_DIR = "/run/netns"
ETC_NETNS = "/etc/netns"  # the files that ip-netns(8) binds over those in /etc
RECORDS = "/run/nslab"  # what the collection remembers of a host until it is booted again
LASTING_RECORDS = "/var/lib/nslab"  # and of what outlives that: files
INTERFACE_LIMIT = 15  # IFNAMSIZ is 16, the closing NUL included
NAMESPACE_LIMIT = 200

_NAMESPACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*\Z")
_INTERFACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]*\Z")
_RESERVED_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_-]*:")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}\Z")
_SYSCTL_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+:-]*\Z")
_RULE_SET = re.compile(r"[a-z0-9_]{1,24}\Z")
_SEARCH_DOMAIN = re.compile(r"[A-Za-z0-9_.-]{1,253}\Z")
_HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252})\Z")


@dataclasses.dataclass(frozen=True)
class NamespaceRef:
    """How a user names a network namespace: ``host``, a name, an absolute path or ``pid:N``."""

    kind: str
    value: str = ""

    @property
    def path(self) -> str:
        """The file to open; for ``host`` that of the calling thread, before it has entered anything."""
        if self.kind == "host":
            return "/proc/thread-self/ns/net"
        if self.kind == "name":
            return f"{NETNS_DIR}/{self.value}"
        if self.kind == "pid":
            return f"/proc/{self.value}/ns/net"
        return self.value

    def __str__(self) -> str:
        if self.kind == "host":
            return "host"
        return f"pid:{self.value}" if self.kind == "pid" else self.value


HOST = NamespaceRef("host")


def attachment_record(name: str) -> str:
    """The file that says which namespace was bound under ``name`` by attaching it."""
    return f"{RECORDS}/attached.{name}"


def parse_namespace(text: str | None) -> NamespaceRef:
    """Left out means ``host``: the namespace in which the module itself runs."""
    if text is None or text == "host":
        return HOST
    if text.startswith("/"):
        prefix = NETNS_DIR + "/"
        if text.startswith(prefix) and _NAMESPACE.match(text[len(prefix) :]) and text != f"{prefix}host":
            return NamespaceRef("name", text[len(prefix) :])
        if "\n" in text or "\0" in text:
            raise Problem(f"namespace path {text!r} has a line break or NUL in it")
        return NamespaceRef("path", text)
    if text.startswith("pid:"):
        pid = text[len("pid:") :]
        if not pid.isascii() or not pid.isdigit() or int(pid) == 0:
            raise Problem(f"namespace {text!r} is no process", "write pid: and the process's number, which is above 0")
        return NamespaceRef("pid", str(int(pid)))
    if _RESERVED_WORD.match(text):
        raise Problem(f"namespace {text!r} begins with a reserved word", "use a name, an absolute path, pid:N or host")
    return NamespaceRef("name", parse_namespace_name(text))


def parse_namespace_name(text: str) -> str:
    if text == "host":
        raise Problem("a namespace can't be named 'host'", "host means the namespace in which the module runs")
    if len(text) > NAMESPACE_LIMIT:
        raise Problem(
            f"namespace name {text[:20]!r}... has {len(text)} characters", f"at most {NAMESPACE_LIMIT} are allowed"
        )
    if not _NAMESPACE.match(text):
        raise Problem(
            f"namespace name {text!r} is not allowed",
            "use letters, digits, '_', '.', '+' and '-', beginning with a letter, a digit or '_'",
        )
    return text


def parse_interface(text: str) -> str:
    if len(text) > INTERFACE_LIMIT:
        raise Problem(
            f"interface name {text!r} has {len(text)} characters", f"the kernel takes at most {INTERFACE_LIMIT}"
        )
    if text in ("all", "default"):
        raise Problem(f"an interface can't be named {text!r}", "the name is taken by the sysctls of all interfaces")
    if not _INTERFACE.match(text):
        raise Problem(
            f"interface name {text!r} is not allowed",
            "use 1 to 15 letters, digits, '_', '.', '@', '+' and '-', beginning with a letter, a digit or '_'",
        )
    return text


def parse_address(text: str) -> IPInterface:
    """An address of an interface in CIDR form, ``10.0.0.1/24``."""
    if "/" not in text:
        raise Problem(f"address {text!r} has no prefix length", "write it as CIDR, such as 10.0.0.1/24 or fd00::1/64")
    try:
        address = ipaddress.ip_interface(text)
    except ValueError as error:
        raise Problem(f"address {text!r} is malformed ({error})", "write it as CIDR, such as 10.0.0.1/24") from None
    if "%" in text or not text.partition("/")[2].isdigit():
        raise Problem(f"address {text!r} is malformed", "write it as CIDR with a prefix length, such as 10.0.0.1/24")
    own = address.ip  # made anew each time that it is asked for
    if own.is_multicast or own.is_unspecified:
        raise Problem(f"address {text!r} can't be given to an interface", "use a unicast address")
    six = own if isinstance(own, ipaddress.IPv6Address) else None
    if own.is_link_local or (six is not None and (six.is_loopback or six.is_site_local)):
        raise Problem(
            f"address {text!r} is not of global scope", "others, such as link-local ones, are left to the kernel"
        )
    return address


def parse_addresses(texts: t.Iterable[str]) -> tuple[IPInterface, ...]:
    addresses: list[IPInterface] = []
    for text in texts:
        address = parse_address(text)
        if any(address.ip == other.ip for other in addresses):
            raise Problem(f"address {address.ip} is declared twice on one link", "leave one of the two out")
        addresses.append(address)
    return tuple(addresses)


def parse_ip(text: str, what: str) -> IPAddress:
    """A bare address; ``what`` says for the message which one (gateway, nameserver)."""
    try:
        if "%" in text:
            raise ValueError("a scope is not allowed")
        return ipaddress.ip_address(text)
    except ValueError:
        raise Problem(f"{what} {text!r} is no IP address", "write it bare, such as 10.0.0.1 or fd00::1") from None


def parse_network(text: str, what: str) -> IPNetwork:
    """A network in CIDR form without host bits; a bare address is that one host."""
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        pass  # malformed, or with host bits
    try:
        loose = ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise Problem(f"{what} {text!r} is malformed ({error})", "write it as CIDR, such as 10.0.0.0/24") from None
    raise Problem(f"{what} {text!r} has host bits set", f"the network is {loose}")


def parse_mac(text: str) -> str:
    mac = text.lower().replace("-", ":")
    if text.isdigit():
        raise Problem(f"MAC address {text} was read as a number by YAML", "quote it, as in mac: '52:54:00:12:34:56'")
    if not _MAC.match(mac):
        raise Problem(f"MAC address {text!r} is malformed", "write six pairs of hex digits: '52:54:00:12:34:56'")
    if int(mac[:2], 16) & 1 or mac == "00:00:00:00:00:00":
        raise Problem(f"MAC address {text!r} can't be an interface's own", "multicast and all-zero addresses can't")
    return mac


def parse_mtu(value: int, name: str) -> int:
    if not 68 <= value <= 65535:
        raise Problem(f"MTU {value} of {name} is out of range", "the kernel takes 68 to 65535 bytes")
    return value


def parse_mtu_from(text: str | None) -> str | None:
    """The interface whose MTU is taken over; ``auto`` is that of the default route, None none."""
    return text if text in (None, "auto") else parse_interface(text)


def parse_sysctl(text: str) -> str:
    """The path below /proc/sys, ``net/ipv4/ip_forward``, of a name in either form that sysctl(8) takes.

    The first separator decides: with ``/`` the dots are literal, with ``.`` a slash stands for a literal dot.
    """
    first = re.search(r"[./]", text)
    if first is not None and first.group() == ".":
        parts = [part.replace("/", ".") for part in text.split(".")]
    else:
        parts = text.split("/")
    if parts[0] != "net" or len(parts) < 2:
        raise Problem(f"sysctl {text!r} is not one of a network namespace", "only net.* is set per namespace")
    if not all(_SYSCTL_PART.match(part) for part in parts):
        raise Problem(f"sysctl name {text!r} is not allowed", "write it as net.ipv4.ip_forward or net/ipv4/ip_forward")
    return "/".join(parts)


def parse_sysctl_value(name: str, value: object) -> str:
    """Tabs and runs of blanks in a list of numbers mean the same to the kernel as one blank."""
    if isinstance(value, bool):
        return "1" if value else "0"
    if not isinstance(value, (str, int)):
        raise Problem(f"sysctl {name} has a value of type {type(value).__name__}", "write a number or a text")
    text = str(value)
    if "\n" in text or "\0" in text or not text.strip():
        raise Problem(f"sysctl {name} has a value with a line break, or none", "write a number or a text of one line")
    return " ".join(text.split())


def parse_rule_set_name(text: str) -> str:
    if not _RULE_SET.match(text):
        raise Problem(f"rule set name {text!r} is not allowed", "use 1 to 24 of a-z, 0-9 and '_'")
    return text


def parse_search_domain(text: str) -> str:
    if not _SEARCH_DOMAIN.match(text):
        raise Problem(f"search domain {text!r} is not allowed", "use letters, digits, '-', '_' and '.', on one line")
    return text


def parse_resolver_option(text: str) -> str:
    if not re.match(r"[A-Za-z0-9_:.-]+\Z", text):
        raise Problem(f"resolver option {text!r} is not allowed", "write it as in resolv.conf(5): ndots:2")
    return text


def parse_host_name(text: str) -> str:
    if not _HOST_NAME.match(text):
        raise Problem(f"host name {text!r} is not allowed", "use letters, digits, '-', '_' and '.'")
    return text
