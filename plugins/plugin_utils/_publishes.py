# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a role publishes: its namespaces by name or by address, as the option ``publish`` of ns_nat."""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.nslab.linux.plugins.module_utils._errors import Problem
from ansible_collections.nslab.linux.plugins.module_utils._resources._publish import parse_publishes
from ansible_collections.nslab.linux.plugins.module_utils._values import IPInterface, IPNetwork, parse_ip
from ansible_collections.nslab.linux.plugins.plugin_utils._role_values import RoleValues

_OPTIONS = ("protocol", "port", "address", "to", "to_port")


def publishes(
    given: RoleValues,
    namespaces: t.Mapping[str, t.Sequence[IPInterface]],
    subnets: t.Sequence[IPNetwork],
    default: str | None = None,
) -> list[dict[str, str]]:
    """One for each family of the namespace that it leads to; where ``to`` is left out, that is ``default``.

    :raises Problem: one of them can't be.
    """
    found: list[dict[str, str]] = []
    for number, option in enumerate(given.dicts("publish"), 1):
        try:
            found += _each_family(option, namespaces, subnets, default)
        except Problem as problem:
            raise given.problem("publish", f"{number}: {problem}") from None
    given.parse("publish", parse_publishes, found)
    return found


def _each_family(
    option: t.Mapping[str, t.Any],
    namespaces: t.Mapping[str, t.Sequence[IPInterface]],
    subnets: t.Sequence[IPNetwork],
    default: str | None,
) -> list[dict[str, str]]:
    unknown = [str(name) for name in option if name not in _OPTIONS]
    if unknown:
        raise Problem(f"{unknown[0]} is not known", f"give {', '.join(_OPTIONS)}")
    words = {name: str(option[name]) for name in _OPTIONS if option.get(name) not in (None, "")}
    if "port" not in words:
        raise Problem("there is no port", "give the port of the host")
    if words.get("protocol", "tcp") not in ("tcp", "udp"):
        raise Problem(f"protocol {words['protocol']!r} is not known", "write tcp or udp")
    address = parse_ip(words["address"], "address") if "address" in words else None
    to = words.pop("to", default)
    if to is None:
        raise Problem("it does not say where it leads to", "give a namespace of the lab, or an address of one")
    targets = [str(each.ip) for each in namespaces[to]] if to in namespaces else [_in_subnets(to, subnets)]
    if address is not None:
        targets = [each for each in targets if ipaddress.ip_address(each).version == address.version]
        if not targets:
            raise Problem(f"address {address} and {to} have no family in common", "give one of the other family")
    return [{**words, "to": each} for each in targets]


def _in_subnets(text: str, subnets: t.Sequence[IPNetwork]) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise Problem(f"to {text!r} is no namespace of the lab and no address", "name one that it has") from None
    if not any(address.version == subnet.version and address in subnet for subnet in subnets):
        raise Problem(f"to {text} is in none of {', '.join(map(str, subnets))}", "name a namespace, or its address")
    return text
