# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a role's variables come to: the options of each of its tasks, or why they can't be carried out."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.nslab.linux.plugins.module_utils._addressing import (
    address_of,
    host_end_name,
    rule_set_name,
)
from ansible_collections.nslab.linux.plugins.module_utils._values import (
    IPNetwork,
    parse_interface,
    parse_namespace_name,
)
from ansible_collections.nslab.linux.plugins.plugin_utils._host_view import HostView, parse_record
from ansible_collections.nslab.linux.plugins.plugin_utils._publishes import publishes
from ansible_collections.nslab.linux.plugins.plugin_utils._role_values import RoleValues

Layout = dict[str, t.Any]

INSIDE = "eth0"
PORT_LIMIT = 1023  # BR_MAX_PORTS of net/bridge/br_private.h, without the reserved first
DEFAULT_COUNT = 2

_STATES = ("present", "absent")
_INBOUND = ("established", "any")
_IP_FORWARD = ("interface", "global", "keep")
_FIREWALL = ("auto", "ignore", "fail")
_PROCESSES = ("fail", "ignore", "terminate")


def isolated_netns(values: t.Mapping[str, t.Any], host: HostView) -> Layout:
    """The options of the tasks of the role ``isolated_netns``. Raises Problem for a value that can't be."""
    given = RoleValues("isolated_netns", values)
    name = given.parse("name", parse_namespace_name, given.text("name"))
    host_end = host_end_name("isolated_netns", name, INSIDE)
    layout: Layout = {
        "state": given.choice("state", _STATES),
        "names": [name],
        "host_ends": [{"name": host_end}],
        "rule_set": rule_set_name("ns", name),
        "processes": given.choice("processes", _PROCESSES),
    }
    if layout["state"] == "absent":
        return layout
    subnets = given.subnets(interfaces=1)
    mtu = _mtu_options(given, subnets, f"namespace {name}")
    layout.update(_common(given, subnets, host, nat=True, own_interface=host_end))
    layout.update(
        pairs=[
            {
                "name": host_end,
                "addresses": _cidrs(subnets, 0),
                **mtu,
                "peer": {"netns": name, "name": INSIDE, "addresses": _cidrs(subnets, 1), **mtu},
            }
        ],
        routes=_default_routes([name], subnets),
        inside=[host_end],
        publish=publishes(given, {name: [address_of(subnet, 1) for subnet in subnets]}, subnets, default=name),
        namespaces={name: _result(subnets, 1)},
    )
    return layout


def bridge_lab(values: t.Mapping[str, t.Any], host: HostView) -> Layout:
    """The options of the tasks of the role ``bridge_lab``. Raises Problem for a value that can't be."""
    given = RoleValues("bridge_lab", values)
    bridge = given.parse("bridge", parse_interface, given.text("bridge"))
    record = parse_record(host.record, record_path(bridge))
    recorded = record.get("names", ())
    names = _lab_names(given)
    layout: Layout = {
        "state": given.choice("state", _STATES),
        "bridge": bridge,
        "rule_set": rule_set_name("lab", bridge),
        "processes": given.choice("processes", _PROCESSES),
    }
    if layout["state"] == "absent":
        # The defaults alone don't say that ns1 and ns2 were this lab's: somebody else may have made them.
        chosen = given.given("count") or given.given("names")
        gone = recorded if host.record is not None else names if chosen else ()
        layout.update(names=list(gone), host_ends=_host_ends(bridge, gone))
        return layout
    subnets = given.subnets(interfaces=len(names))
    nat = given.truth("nat")
    mtu = _mtu_options(given, subnets, f"bridge {bridge}")
    host_ends = _host_ends(bridge, names)
    surplus = [name for name in recorded if name not in set(names)]
    gateways = [str(address_of(subnet, 0).ip) for subnet in subnets]
    layout.update(_common(given, subnets, host, nat=nat, own_interface=bridge))
    addresses = {n: [address_of(subnet, place) for subnet in subnets] for place, n in enumerate(names, start=1)}
    if given.values.get("publish") and not nat:
        raise given.problem("publish", "nothing can be published without NAT", "leave bridge_lab_nat true")
    layout.update(
        names=list(names),
        host_ends=host_ends,
        bridge_addresses=_cidrs(subnets, 0),
        mtu=mtu,
        pairs=[
            {
                "name": end["name"],
                **mtu,
                "peer": {"netns": name, "name": INSIDE, "addresses": _cidrs(subnets, number), **mtu},
            }
            for number, (name, end) in enumerate(zip(names, host_ends), start=1)
        ],
        routes=_default_routes(names, subnets),
        inside=[bridge],
        publish=publishes(given, addresses, subnets),
        namespaces={name: _result(subnets, number) for number, name in enumerate(names, start=1)},
        surplus=surplus,
        surplus_host_ends=_host_ends(bridge, surplus),
        stale_routes=_stale_routes(record.get("gateways", ()), subnets, [one for one in names if one in set(recorded)]),
        **_records(record, names, gateways),
    )
    return layout


def record_path(bridge: str) -> str:
    return f"/run/nslab/bridge_lab.{bridge}.json"


def _lab_names(given: RoleValues) -> tuple[str, ...]:
    if given.given("count") and given.given("names"):
        raise given.problem("count", "bridge_lab_names is given too", "leave one of the two out")
    if given.given("names"):
        variable = "names"
        names = given.texts("names")
    else:
        variable = "count"
        count = given.number("count") if given.given("count") else DEFAULT_COUNT
        if count < 0:
            raise given.problem("count", f"{count} is below 0", "write how many namespaces the lab has")
        prefix = str(given.values.get("prefix") or "")
        # Only a few are made of a count that is refused anyway.
        names = tuple(f"{prefix}{number}" for number in range(1, min(count, PORT_LIMIT + 1) + 1))
        if names:
            given.parse("prefix", parse_namespace_name, names[-1])
    if len(names) > PORT_LIMIT:
        number = given.number("count") if variable == "count" else len(names)
        raise given.problem(
            variable, f"{number} namespaces are too many for one bridge", f"the kernel takes {PORT_LIMIT} ports"
        )
    return given.namespace_names(variable, names)


def _common(
    given: RoleValues, subnets: tuple[IPNetwork, ...], host: HostView, *, nat: bool, own_interface: str
) -> Layout:
    uplink = given.uplink()
    if nat:
        _check_nat(given, subnets, uplink, host, own_interface)
    for subnet in subnets:
        neighbour = host.neighbour_of(subnet, own_interface)
        if neighbour is not None:
            raise given.problem(
                "subnet",
                f"{subnet} overlaps {neighbour.network}, which is on the host's interface {neighbour.interface}",
                "choose another",
            )
    return {
        "nat": nat,
        "subnets": [str(subnet) for subnet in subnets],
        "uplink": list(uplink),
        "inbound": given.choice("inbound", _INBOUND),
        "ip_forward": given.choice("ip_forward", _IP_FORWARD),
        "firewall": given.choice("firewall", _FIREWALL) if given.given("firewall") else "auto",
        "nameservers": list(given.nameservers()),
    }


def _check_nat(
    given: RoleValues, subnets: tuple[IPNetwork, ...], uplink: tuple[str, ...], host: HostView, own_interface: str
) -> None:
    if own_interface in uplink:
        raise given.problem("uplink", f"{own_interface} is the lab's own interface", "name one that leads outside")
    if given.truth("check_mode"):
        return  # An earlier task may be about to make the uplink; ns_nat warns of it.
    # Where one of two families has a way out, ns_nat warns of the other.
    if uplink == ("auto",) and not any(host.has_default_route(subnet.version) for subnet in subnets):
        families = " and no ".join(f"IPv{version}" for version in sorted({subnet.version for subnet in subnets}))
        raise given.problem(
            "uplink", f"the host has no {families} default route to tell the uplink by", "name the interface"
        )
    if uplink not in (("auto",), ("any",)) and host.interfaces is not None:
        missing = [name for name in uplink if name not in host.interfaces]
        if missing:
            raise given.problem("uplink", f"the host has no interface {missing[0]}", "name one that it has")


def _mtu_options(given: RoleValues, subnets: tuple[IPNetwork, ...], name: str) -> dict[str, t.Any]:
    mtu = given.mtu(subnets, name)
    if mtu is not None:
        return {"mtu": mtu}
    first = given.uplink()[0]
    return {"mtu_from": "auto" if first == "any" else first}


def _host_ends(lab: str, names: t.Iterable[str]) -> list[dict[str, str]]:
    return [{"name": host_end_name(lab, name, INSIDE)} for name in names]


def _cidrs(subnets: t.Iterable[IPNetwork], number: int) -> list[str]:
    return [str(address_of(subnet, number)) for subnet in subnets]


def _default_routes(names: t.Iterable[str], subnets: t.Sequence[IPNetwork]) -> list[dict[str, str]]:
    gateways = [str(address_of(subnet, 0).ip) for subnet in subnets]
    return [{"netns": name, "dst": "default", "via": gateway, "dev": INSIDE} for name in names for gateway in gateways]


def _stale_routes(old: t.Iterable[str], subnets: t.Iterable[IPNetwork], names: t.Iterable[str]) -> list[dict[str, str]]:
    """The default routes of a family that the lab no longer has; those of the others are replaced in place."""
    families = {subnet.version for subnet in subnets}
    gone = [gateway for gateway in old if (6 if ":" in gateway else 4) not in families]
    return [{"netns": name, "dst": "default", "via": gateway} for name in names for gateway in gone]


def _result(subnets: t.Sequence[IPNetwork], number: int) -> dict[str, t.Any]:
    gateways = [str(address_of(subnet, 0).ip) for subnet in subnets]
    return {
        "addresses": _cidrs(subnets, number),
        "interface": INSIDE,
        "gateway": gateways[0],
        "gateways": gateways,
    }


def _records(
    old: t.Mapping[str, tuple[str, ...]], names: t.Sequence[str], gateways: t.Sequence[str]
) -> dict[str, str | None]:
    """The record to write before the first change and that to write after the last; None where it says so already.

    What is about to be made stands in the record before it is made, and what is about to go until it is gone, so that a
    run which breaks off leaves nothing behind that the next one does not know of.
    """
    before = {"names": _union(old.get("names", ()), names), "gateways": _union(old.get("gateways", ()), gateways)}
    after = {"names": list(names), "gateways": list(gateways)}
    current = {key: list(value) for key, value in old.items()}
    return {
        "record_before": None if before == current else _record_text(before),
        "record_after": None if after == before else _record_text(after),
    }


def _union(first: t.Iterable[str], second: t.Iterable[str]) -> list[str]:
    return list(dict.fromkeys([*first, *second]))


def _record_text(record: t.Mapping[str, list[str]]) -> str:
    return json.dumps(record) + "\n"
