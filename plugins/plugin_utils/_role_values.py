# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of a role, read as what they mean; each refusal names the variable."""

from __future__ import annotations

import collections.abc
import dataclasses
import typing as t

from ansible_collections.nslab.linux.plugins.module_utils._addressing import need_room, parse_subnets
from ansible_collections.nslab.linux.plugins.module_utils._errors import Problem
from ansible_collections.nslab.linux.plugins.module_utils._values import (
    IPNetwork,
    parse_interface,
    parse_ip,
    parse_mtu,
    parse_namespace_name,
)

_T = t.TypeVar("_T")

_TRUE = ("true", "yes", "on", "1", "y", "t")
_FALSE = ("false", "no", "off", "0", "n", "f")
_IPV6_LEAST_MTU = 1280  # RFC 8200, section 5


@dataclasses.dataclass(frozen=True)
class RoleValues:
    """What the user gave to a role, by the part of the name after the role's own: ``subnet`` for ``bridge_lab_subnet``.

    On the command line (``-e bridge_lab_count=3``) every value is a string, hence the readers take strings too. An empty
    string is a value left out: that is what a variable without a value becomes in a template.
    """

    role: str
    values: t.Mapping[str, t.Any]

    def given(self, name: str) -> bool:
        value = self.values.get(name)
        return value is not None and value != ""

    def problem(self, name: str, what: str, advice: str = "") -> Problem:
        return Problem(f"{self.role}_{name}: {what}", advice)

    def parse(self, name: str, parser: t.Callable[..., _T], *arguments: t.Any) -> _T:
        """What the parser makes of the arguments; its refusal with the variable's name before it."""
        try:
            return parser(*arguments)
        except Problem as problem:
            raise self.problem(name, str(problem)) from None

    def text(self, name: str) -> str:
        value = self.values.get(name)
        if isinstance(value, bool) or not isinstance(value, (str, int)) or value == "":
            raise self.problem(name, f"{_shown(value)} is no name", "write a text")
        return str(value)

    def choice(self, name: str, choices: t.Sequence[str]) -> str:
        value = str(self.values.get(name))
        if value not in choices:
            raise self.problem(name, f"{value!r} is not known", f"write {_either(choices)}")
        return value

    def truth(self, name: str) -> bool:
        value = self.values.get(name)
        word = str(value).lower()
        if word not in _TRUE + _FALSE:
            raise self.problem(name, f"{_shown(value)} is neither true nor false")
        return word in _TRUE

    def number(self, name: str) -> int:
        value = self.values.get(name)
        try:
            if isinstance(value, (bool, float)):
                raise ValueError
            return int(t.cast(t.Any, value))
        except (TypeError, ValueError):
            raise self.problem(name, f"{_shown(value)} is no whole number") from None

    def texts(self, name: str) -> tuple[str, ...]:
        """A list; a single text is a list of one, or of several if it has commas, as for a module's option."""
        value = self.values.get(name)
        if not self.given(name):
            return ()
        if isinstance(value, (str, int)) and not isinstance(value, bool):
            return tuple(part.strip() for part in str(value).split(",") if part.strip())
        if not isinstance(value, collections.abc.Sequence):
            raise self.problem(name, f"{_shown(value)} is no list")
        for one in value:
            if isinstance(one, bool) or not isinstance(one, (str, int)):
                raise self.problem(name, f"{_shown(one)} is no text", "quote it")
        return tuple(str(one) for one in value)

    def subnets(self, interfaces: int) -> tuple[IPNetwork, ...]:
        subnets = self.parse("subnet", parse_subnets, self.texts("subnet"))
        self.parse("subnet", need_room, subnets, interfaces)
        return subnets

    def mtu(self, subnets: t.Sequence[IPNetwork], name: str) -> int | None:
        """None when it is to be the uplink's."""
        if not self.given("mtu"):
            return None
        mtu = self.parse("mtu", parse_mtu, self.number("mtu"), name)
        if mtu < _IPV6_LEAST_MTU and any(subnet.version == 6 for subnet in subnets):
            raise self.problem("mtu", f"{mtu} is too small for IPv6", f"it takes {_IPV6_LEAST_MTU} bytes at the least")
        return mtu

    def uplink(self) -> tuple[str, ...]:
        uplink = self.texts("uplink") or ("auto",)
        for name in uplink:
            self.parse("uplink", parse_interface, name)
        if len(uplink) > 1 and ("auto" in uplink or "any" in uplink):
            raise self.problem("uplink", "auto and any stand alone", "write one of them, or names of interfaces")
        if len(set(uplink)) < len(uplink):
            raise self.problem("uplink", "an interface is named twice")
        return uplink

    def nameservers(self) -> tuple[str, ...]:
        nameservers = self.texts("nameservers")
        for nameserver in nameservers:
            if nameserver != "host":
                self.parse("nameservers", parse_ip, nameserver, "nameserver")
        return nameservers

    def dicts(self, name: str) -> tuple[t.Mapping[str, t.Any], ...]:
        """A list of dicts."""
        value = self.values.get(name)
        if not self.given(name):
            return ()
        if isinstance(value, str) or not isinstance(value, collections.abc.Sequence):
            raise self.problem(name, f"{_shown(value)} is no list", "write a list of dicts")
        for one in value:
            if not isinstance(one, collections.abc.Mapping):
                raise self.problem(name, f"{_shown(one)} is no dict", "write each with its options by name")
        return tuple(value)

    def namespace_names(self, name: str, names: t.Sequence[str]) -> tuple[str, ...]:
        seen: set[str] = set()
        for one in names:
            self.parse(name, parse_namespace_name, one)
            if one in seen:
                raise self.problem(name, f"namespace {one!r} is named twice", "leave one of the two out")
            seen.add(one)
        return tuple(names)


def _shown(value: object) -> str:
    return "nothing" if value is None else repr(value)


def _either(choices: t.Sequence[str]) -> str:
    return choices[0] if len(choices) == 1 else f"{', '.join(choices[:-1])} or {choices[-1]}"
