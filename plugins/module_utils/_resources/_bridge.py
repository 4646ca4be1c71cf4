# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bridges, their options and their ports.

Source: ip-link(8) section bridge, linux/if_link.h, net/bridge/br_netlink.c, net/bridge/br_private.h (BR_MAX_PORTS).
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._engine import Declaration, Draft, Resource
from .._errors import Problem
from .._message import Index, Message
from .._operation import Operation, Request, ip
from .._values import (
    HOST,
    IPInterface,
    NamespaceRef,
    parse_addresses,
    parse_interface,
    parse_mac,
    parse_mtu,
    parse_mtu_from,
    parse_namespace,
)
from .._world import BridgeOptions, Link, Need, NeedLinks, NeedLinkSysctls, World
from ._addresses import Addresses
from ._link import Attributes, Up, governed_link, report_link
from ._linking import DropLink, SetLink
from ._place import described_kind, link_at, namespace_at, place

MAX_PORTS = 1023  # BR_PORT_BITS is 10, and port 0 is none
CENTISECONDS = 100
MAX_SECONDS = (2**32 - 1) // CENTISECONDS
FORWARD_DELAY_WITH_STP = (200, 3000)

# by field of BridgeOptions: the kernel's attribute, and the word of ip-link(8)
_OPTIONS = {
    "stp": ("IFLA_BR_STP_STATE", "stp_state"),
    "forward_delay": ("IFLA_BR_FORWARD_DELAY", "forward_delay"),
    "ageing_time": ("IFLA_BR_AGEING_TIME", "ageing_time"),
    "multicast_snooping": ("IFLA_BR_MCAST_SNOOPING", "mcast_snooping"),
}
BridgeChanges = tuple[tuple[str, int], ...]


def _info(changes: BridgeChanges) -> tuple[str, object]:
    data = {"attrs": [(_OPTIONS[name][0], value) for name, value in changes]}
    return ("IFLA_LINKINFO", {"attrs": [("IFLA_INFO_KIND", "bridge"), ("IFLA_INFO_DATA", data)]})


def _words(changes: BridgeChanges) -> list[object]:
    return [word for name, value in changes for word in (_OPTIONS[name][1], value)]


def _changed(options: BridgeOptions, changes: BridgeChanges) -> BridgeOptions:
    """The options afterwards: while STP is on the kernel keeps the forward delay between 2 and 30 seconds."""
    values = {name: type(getattr(options, name))(value) for name, value in changes}
    changed = dataclasses.replace(options, **values)
    if not changed.stp:
        return changed
    low, high = FORWARD_DELAY_WITH_STP
    return dataclasses.replace(changed, forward_delay=max(low, min(changed.forward_delay, high)))


def _options_of(link: Link) -> BridgeOptions:
    return link.bridge or BridgeOptions()


@dataclasses.dataclass(frozen=True)
class AddBridge(Request):
    name: str
    options: BridgeChanges = ()
    mac: str | None = None
    index: int | None = None

    @property
    def command(self) -> str:
        words: list[object] = ["name", self.name]
        words += [] if self.index is None else ["index", self.index]
        words += [] if self.mac is None else ["address", self.mac]
        return ip(self.where, "link", "add", *words, "type", "bridge", *_words(self.options))

    @property
    def purpose(self) -> str:
        return f"create bridge {self.name} {place(self.where)}"

    def message(self) -> Message:
        attributes: list[tuple[str, object]] = [("IFLA_IFNAME", self.name)]
        attributes += [] if self.mac is None else [("IFLA_ADDRESS", self.mac)]
        fields = {} if self.index is None else {"index": self.index}
        return Message("RTM_NEWLINK", ("CREATE", "EXCL"), fields, [*attributes, _info(self.options)], (self.name,))

    def simulate(self, world: World) -> None:
        options = _changed(BridgeOptions(), self.options)
        world.put(self.where, Link(self.name, "bridge", self.index, self.mac, bridge=options))

    def invert(self, world: World) -> tuple[Operation, ...]:
        return (DropLink(self.where, self.name, None),)


@dataclasses.dataclass(frozen=True)
class SetBridge(Request):
    """Change one option of a bridge."""

    name: str
    option: str
    value: int

    @property
    def command(self) -> str:
        return ip(self.where, "link", "set", "dev", self.name, "type", "bridge", *_words(((self.option, self.value),)))

    @property
    def purpose(self) -> str:
        return f"set bridge {self.name} {place(self.where)} {' '.join(map(str, _words(((self.option, self.value),))))}"

    def message(self) -> Message:
        return Message("RTM_NEWLINK", (), {"index": Index(self.name)}, [_info(((self.option, self.value),))])

    def simulate(self, world: World) -> None:
        link = world.the_link(self.where, self.name)
        options = _changed(_options_of(link), ((self.option, self.value),))
        world.put(self.where, dataclasses.replace(link, bridge=options))

    def invert(self, world: World) -> tuple[Operation, ...]:
        former = _options_of(world.the_link(self.where, self.name))
        back = SetBridge(self.where, self.name, self.option, int(getattr(former, self.option)))
        there = _changed(former, ((self.option, self.value),))
        left = _changed(there, ((back.option, back.value),))
        if left.forward_delay == former.forward_delay:
            return (back,)
        return (back, SetBridge(self.where, self.name, "forward_delay", former.forward_delay))


@dataclasses.dataclass(frozen=True)
class Bridge:
    """That a bridge exists with its options; or, ``present`` false, that it does not."""

    where: NamespaceRef
    name: str
    options: BridgeChanges = ()
    mac: str | None = None
    ports: tuple[str, ...] = ()
    force: bool = False
    present: bool = True

    def needs(self, world: World) -> t.Iterable[Need]:
        return (NeedLinks(self.where), *(() if self.present else (NeedLinkSysctls(self.where, self.name),)))

    def plan(self, draft: Draft) -> None:
        if self.present or self.where.kind in ("path", "pid"):
            namespace_at(draft, self.where)
        link = draft.world.link(self.where, self.name)
        if link is not None and (link.kind != "bridge" or link.bridge is None):
            raise Problem(
                f"link {self.name} {place(self.where)} is taken: it is no bridge, but {described_kind(link)}",
                "remove it, or choose another name",
            )
        if not self.present:
            if link is not None:
                self._plan_absent(draft, link)
            return
        self._check_delay(BridgeOptions() if link is None or link.bridge is None else link.bridge)
        if link is None or link.bridge is None:
            draft.do(AddBridge(self.where, self.name, self.options, self.mac))
        else:
            for option, value in self.options:
                if int(getattr(link.bridge, option)) != value:
                    draft.do(SetBridge(self.where, self.name, option, value))

    def _check_delay(self, observed: BridgeOptions) -> None:
        wanted = dict(self.options)
        delay, (low, high) = wanted.get("forward_delay"), FORWARD_DELAY_WITH_STP
        if delay is not None and wanted.get("stp", observed.stp) and not low <= delay <= high:
            raise Problem(
                f"forward_delay {delay / CENTISECONDS:g} of bridge {self.name} {place(self.where)} is out of range",
                f"while STP is on the kernel takes {low // CENTISECONDS} to {high // CENTISECONDS} seconds",
            )

    def _plan_absent(self, draft: Draft, link: Link) -> None:
        state = draft.world.state(self.where)
        foreign = [port for port in state.ports(self.name) if port not in self.ports]
        if foreign and not self.force:
            raise Problem(
                f"bridge {self.name} {place(self.where)} has ports that the task does not name: {', '.join(foreign)}",
                "name them in ports, or set force: true",
            )
        observed = tuple((option, int(getattr(_options_of(link), option))) for option in _OPTIONS)
        again = AddBridge(self.where, self.name, observed, link.mac, link.index)
        draft.do(DropLink(self.where, self.name, again))


@dataclasses.dataclass(frozen=True)
class Ports:
    """The links that are ports of a bridge: the declared ones, and with ``purge`` no others."""

    where: NamespaceRef
    bridge: str
    ports: tuple[str, ...]
    purge: bool = False
    force: bool = False

    def needs(self, world: World) -> t.Iterable[Need]:
        return (NeedLinks(self.where), NeedLinks(HOST))

    def plan(self, draft: Draft) -> None:
        state = namespace_at(draft, self.where)
        present = state.ports(self.bridge)
        missing = [port for port in self.ports if port not in present]
        surplus = [port for port in present if port not in self.ports] if self.purge else []
        total = len(present) + len(missing) - len(surplus)
        if total > MAX_PORTS:
            raise Problem(
                f"bridge {self.bridge} {place(self.where)} would have {total} ports, and the kernel takes at most"
                f" {MAX_PORTS}",
                "use a second bridge",
            )
        on_host = draft.world.keys.get(HOST) == state.key
        for port in missing:
            if link_at(draft, self.where, port, "port").kind == "bridge":
                raise Problem(
                    f"{port} {place(self.where)} is a bridge, and can't be a port of bridge {self.bridge}",
                    "join two bridges by a veth pair",
                )
            if on_host and state.carries_default_route(port) and not self.force:
                raise Problem(
                    f"interface {port} carries the host's default route, and as a port of {self.bridge} it would no"
                    " longer take part in it",
                    "choose another port, or set force: true",
                )
        for port in surplus:
            draft.do(SetLink(self.where, port, "master", None))
        for port in missing:
            draft.do(SetLink(self.where, port, "master", self.bridge))


# from the options of the module


def _options(params: t.Mapping[str, t.Any]) -> BridgeChanges:
    found: list[tuple[str, int]] = []
    for name in ("stp", "multicast_snooping"):  # STP before the delay, which the kernel adjusts when it starts
        if params.get(name) is not None:
            found.append((name, int(params[name])))
    for name in ("forward_delay", "ageing_time"):
        seconds = params.get(name)
        if seconds is not None:
            if not 0 <= seconds <= MAX_SECONDS:
                raise Problem(
                    f"{name} {seconds} of bridge {params['name']} is out of range", f"give 0 to {MAX_SECONDS} seconds"
                )
            found.append((name, round(seconds * CENTISECONDS)))
    return tuple(found)


def _ports(params: t.Mapping[str, t.Any]) -> tuple[str, ...]:
    ports = tuple(dict.fromkeys(parse_interface(port) for port in params.get("ports") or ()))
    for port in ports:
        if port in ("lo", params["name"]):
            raise Problem(f"{port} can't be a port of bridge {params['name']}", "name another interface")
    return ports


@dataclasses.dataclass(frozen=True)
class WantedBridge:
    """A bridge as a user declares it; None is not managed."""

    where: NamespaceRef
    name: str
    options: BridgeChanges = ()
    mac: str | None = None
    mtu: int | None = None
    mtu_from: str | None = None
    addresses: tuple[IPInterface, ...] | None = None
    purge: bool = True
    up: bool | None = True
    ports: tuple[str, ...] | None = None
    purge_ports: bool = False
    force: bool = False

    def __str__(self) -> str:
        return f"{self.name} {place(self.where)}"

    def bare(self, present: bool = True, first_mac: str | None = None) -> Resource:
        """The bridge itself; ``first_mac`` is what a new one is made with, if no MAC is declared."""
        mac = self.mac or first_mac
        return Bridge(self.where, self.name, self.options, mac, self.ports or (), self.force, present)

    def resources(self) -> list[Resource]:
        """All else. The ports come before it is up: otherwise each new one is announced to all the others."""
        found: list[Resource] = []
        if self.ports is not None:
            found.append(Ports(self.where, self.name, self.ports, self.purge_ports, self.force))
        # After the ports, as the bridge follows theirs until it has an MTU and a MAC of its own.
        found.append(Attributes(self.where, self.name, self.mac, self.mtu, self.mtu_from))
        up = Up(self.where, self.name, self.up)
        if self.up is False:  # before the addresses: a link that goes down loses those of IPv6
            found.append(up)
        if self.addresses is not None:
            found.append(Addresses(self.where, self.name, self.addresses, self.purge, self.force))
        return [*found, up]


def parse_bridge(params: t.Mapping[str, t.Any]) -> WantedBridge:
    """:raises Problem: an option is out of its range."""
    name = parse_interface(params["name"])
    if name == "lo":
        raise Problem("a bridge can't be named lo", "every namespace has its loopback under that name")
    return WantedBridge(
        where=parse_namespace(params.get("netns")),
        name=name,
        options=_options(params),
        mac=None if params.get("mac") is None else parse_mac(params["mac"]),
        mtu=None if params.get("mtu") is None else parse_mtu(params["mtu"], name),
        mtu_from=parse_mtu_from(params.get("mtu_from")),
        addresses=None if params.get("addresses") is None else parse_addresses(params["addresses"]),
        purge=params.get("purge_addresses") is not False,
        up=params.get("up", True),
        ports=None if params.get("ports") is None else _ports(params),
        purge_ports=bool(params.get("purge_ports")),
        force=bool(params.get("force")),
    )


def declare(params: t.Mapping[str, t.Any]) -> Declaration:
    """One bridge."""
    wanted = parse_bridge(params)
    present = params["state"] == "present"
    resources: list[Resource] = [wanted.bare(present), *(wanted.resources() if present else ())]

    def report(world: World) -> dict[str, object]:
        return {"bridge": report_bridge(world, wanted.where, wanted.name)}

    def governed(world: World) -> object:
        return {"bridge": governed_link(world, wanted.where, report_bridge(world, wanted.where, wanted.name))}

    return Declaration(resources, report, f"bridge {wanted}", governed)


def report_bridge(world: World, ref: NamespaceRef, name: str) -> dict[str, object] | None:
    """A link, plus its options in seconds and its ports."""
    shown, link, state = report_link(world, ref, name), world.link(ref, name), world.at(ref)
    if shown is None or link is None or link.bridge is None or state is None:
        return None
    # A bridge that has no MAC address of its own goes by those of its ports, of which the kernel is yet to choose some.
    ports = [state.links[port] for port in state.ports(name)]
    there = [port.mac for port in ports if port.index is not None]
    unsure = link.index is not None and len(there) < len(ports) and (not there or link.mac in there)
    return {
        **shown,
        "mac": None if unsure else shown["mac"],
        "stp": link.bridge.stp,
        "forward_delay": link.bridge.forward_delay / CENTISECONDS,
        "ageing_time": link.bridge.ageing_time / CENTISECONDS,
        "multicast_snooping": link.bridge.multicast_snooping,
        "ports": list(state.ports(name)),
    }
