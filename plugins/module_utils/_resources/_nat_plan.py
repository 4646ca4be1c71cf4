# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a NAT rule set is planned: which interfaces are inside, which lead out, and what that comes to in rules and switches.

Source: nft(8), Documentation/networking/ip-sysctl.rst.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._engine import Draft
from .._errors import Problem
from .._filtering import Flow
from .._ruleset import Table
from .._ruleset_changes import difference
from .._values import IPAddress, IPInterface, IPNetwork, NamespaceRef
from .._world import TABLE_MAIN, Link, NamespaceState, Need, NeedFirewall, NeedLinks, NeedTable, Route, World
from . import _forwarding, _nat_blockers
from ._forwarding import Wanted
from ._nat_rules import Outward, RuleSet, laid, overlap
from ._nat_table import ChangeTable, flush, published_by, refuse_clashes
from ._place import link_at, namespace_at, place
from ._publish import Publish, network_of

AUTO, ANY = "auto", "any"
IGNORE, FAIL = "ignore", "fail"
VERSIONS = (4, 6)


@dataclasses.dataclass(frozen=True)
class Nat:
    """One rule set in one namespace; ``inside`` None is derived from ``sources``.

    ``to_source`` are the addresses that packets get, at most one of a family; none is that of the uplink. ``publish`` None
    is what it has published already.
    """

    where: NamespaceRef
    name: str
    present: bool = True
    sources: tuple[IPNetwork, ...] = ()
    inside: tuple[str, ...] | None = None
    uplink: tuple[str, ...] = (AUTO,)
    mode: str = "masquerade"
    to_source: tuple[IPAddress, ...] = ()
    established_only: bool = True
    publish: tuple[Publish, ...] | None = None
    ip_forward: str = "interface"
    firewall: str = "auto"

    def needs(self, world: World) -> t.Iterable[Need]:
        state = world.at(self.where)
        versions = () if state is None or not self.present else self.versions(state)
        others = (NeedFirewall(self.where),) if self.present and self.firewall != IGNORE else ()
        return (NeedLinks(self.where), NeedTable(self.where), *_forwarding.needs(world, self.where, versions), *others)

    def plan(self, draft: Draft) -> None:
        if not self.present:
            self._plan_absent(draft)
            return
        state = namespace_at(draft, self.where)
        rule_set = self._rule_set(draft, state)
        found = _nat_blockers.find(state, self.flows(state, rule_set)) or ()
        _nat_blockers.tell(draft, self.where, rule_set, found, refuse=self.firewall == FAIL)
        before = state.table
        wanted = self.switches(draft.world, state)
        switches = _forwarding.switching(draft.world, self.where, self.name, wanted)
        switches.write_ahead(draft)
        self._change_table(draft, laid(before, self.name, rule_set, {v: switches.guarded(v) for v in VERSIONS}))
        switches.turn(draft)
        switches.settle(draft)
        flush(draft, self.where, self.name, before)

    def _plan_absent(self, draft: Draft) -> None:
        """The switches go first: nothing is to pass without the rules."""
        if self.where.kind in ("path", "pid"):
            namespace_at(draft, self.where)
        state = draft.world.at(self.where)
        switches = _forwarding.switching(draft.world, self.where, self.name, Wanted())
        before = None
        if state is not None:
            before = state.table
            switches.turn(draft)
            self._change_table(draft, laid(before, self.name, None, {v: switches.guarded(v) for v in VERSIONS}))
        switches.settle(draft)
        if state is not None:
            flush(draft, self.where, self.name, before)

    def _change_table(self, draft: Draft, wanted: Table | None) -> None:
        state = draft.world.state(self.where)
        if difference(state.table, wanted):
            draft.do(ChangeTable(self.where, state.table, wanted))

    # Which families, which links

    def versions(self, state: NamespaceState) -> tuple[int, ...]:
        """The families that it is about: those of the sources, or those that the inside links speak."""
        found = {network.version for network in self.sources}
        if not self.sources:
            found = {4}
            for name in self.inside or ():
                addresses = state.links[name].addresses if name in state.links else ()
                found |= {6 for address in addresses if address.ip.version == 6 and not address.ip.ip.is_link_local}
        return tuple(sorted(found | {each.ports.version for each in self.published(state)}))

    def published(self, state: NamespaceState) -> tuple[Publish, ...]:
        return published_by(state.table, self.name) if self.publish is None else self.publish

    def uplinks(self, state: NamespaceState, version: int) -> tuple[str, ...] | None:
        """The names of the uplinks of a family; None for any, empty where none could be found."""
        if ANY in self.uplink:
            return None
        found: list[str] = []
        for name in self.uplink:
            route = state.default_route(version) if name == AUTO else None
            found += [name] if name != AUTO else list(route.devs if route is not None else ())
        return tuple(dict.fromkeys(found))

    def _links_outward(self, state: NamespaceState, version: int) -> tuple[str, ...]:
        """As `uplinks`; for any, the links that routes lead by.

        That to an address's own network comes with the address, which may be planned and not there yet.
        """
        named = self.uplinks(state, version)
        if named is not None:
            return named
        routed = {dev for route in state.routes if _leads_on(route, version) for dev in route.devs}
        routed |= {link.name for link in state.links.values() if link.up and _has_network(link, version)}
        return tuple(sorted(routed - {"lo", *self.inside_of(state)}))

    def inside_of(self, state: NamespaceState) -> tuple[str, ...]:
        """The declared links, or those that hold an address in the sources or lead to them."""
        if self.inside is not None:
            return self.inside
        taken = {"lo", *(name for version in VERSIONS for name in self.uplinks(state, version) or ())}
        addresses = [(link.name, each.ip) for link in state.links.values() for each in link.addresses]
        held = [name for name, ip in addresses if any(_within(ip, source) for source in self.sources)]
        ways = [(name, ip.network) for name, ip in addresses]
        ways += [
            (dev, route.dst)
            for route in state.routes
            if route.kind == "unicast" and route.table == TABLE_MAIN and route.dst.prefixlen
            for dev in route.devs
        ]
        free = [(name, network) for name, network in ways if name not in taken]
        led = [name for source in self.sources for name in _leading(free, source)]
        return tuple(dict.fromkeys(name for name in (*held, *led) if name not in taken))

    # What that comes to

    def _rule_set(self, draft: Draft, state: NamespaceState) -> RuleSet:
        self._look_at_uplinks(draft, state)
        inside = self.inside_of(state)
        for name in self.inside or ():
            link_at(draft, self.where, name, "inside link")
        if not inside:
            networks = ", ".join(map(str, self.sources))
            draft.expect(f"link {place(self.where)} that holds or leads to {networks}", "name it: inside: [br0]")
        for name in inside:
            if any(name in (self.uplinks(state, version) or ()) for version in VERSIONS):
                raise Problem(f"{name} can't be both inside and uplink of {self.name}", "name two different links")
        outward = tuple(self._outward(state, version) for version in self.versions(state) if self._translates(version))
        # A family without an uplink, of which has been warned, has no way out.
        led = tuple(each for each in outward if each.uplinks != ())
        rule_set = RuleSet(self.name, inside, led, self.established_only, self.published(state))
        refuse_clashes(state.table, rule_set, self.sources)
        self._refuse_astray(rule_set)
        self._look_at_addresses(draft, state)
        return rule_set

    def _refuse_astray(self, rule_set: RuleSet) -> None:
        for each in rule_set.publish:
            if self.sources and not any(overlap(network_of(each.to), network) for network in self.sources):
                networks = ", ".join(map(str, self.sources))
                raise Problem(
                    f"{each.ports} is published to {each.to}, which is in none of the sources {networks}",
                    "publish what is behind the router, or add its network to sources",
                )

    def _look_at_uplinks(self, draft: Draft, state: NamespaceState) -> None:
        for name in self.uplink:
            if name not in (AUTO, ANY):
                link_at(draft, self.where, name, "uplink")
        versions = self.versions(state)
        known = _forwarding.known_switches(draft.world, state)
        if 6 in versions and known and _forwarding.GLOBAL[6] not in known:
            raise Problem(
                f"rule set {self.name} has IPv6 networks, and the kernel has no IPv6 {place(self.where)}",
                "start it without ipv6.disable=1, or leave them out",
            )
        missing = [version for version in versions if self.uplinks(state, version) == ()]
        if missing == list(versions):
            draft.expect(
                f"default route {place(self.where)} that would tell the uplink of {self.name}",
                "name the uplink: uplink: [eth0]",
            )
            return
        for version in missing:
            draft.warn(
                f"there is no default route for IPv{version} {place(self.where)}: {self.name} has no way out for it until the"
                " task runs with one, or names the uplink"
            )

    def _look_at_addresses(self, draft: Draft, state: NamespaceState) -> None:
        for version in self.versions(state):
            if self.mode == "snat" and not self._translates(version):
                draft.warn(
                    f"{self.name} has no to_source of IPv{version}, which is spoken on its inside links: it leaves with the addresses"
                    " of the lab"
                )
        own = {address.ip.ip for link in state.links.values() for address in link.addresses}
        for what, address in (
            *(("to_source", each) for each in self.to_source),
            *(("published", each.ports.address) for each in self.publish or () if each.ports.address is not None),
        ):
            if address not in own:
                draft.warn(
                    f"no link {place(self.where)} holds the {what} address {address}: it has to be routed here by somebody else"
                )

    def _translates(self, version: int) -> bool:
        if self.mode == "snat":
            return any(address.version == version for address in self.to_source)
        return self.mode == "masquerade"

    def _outward(self, state: NamespaceState, version: int) -> Outward:
        return Outward(
            version,
            self.uplinks(state, version),
            tuple(network for network in self.sources if network.version == version),
            next((address for address in self.to_source if address.version == version), None),
        )

    def flows(self, state: NamespaceState, rule_set: RuleSet) -> list[Flow]:
        """What has to pass other firewalls."""
        outward = {version: self._links_outward(state, version) for version in self.versions(state)}
        return _nat_blockers.flows(state, rule_set, self.sources, outward)

    def switches(self, world: World, state: NamespaceState) -> Wanted:
        """The switches that have to be on."""
        known, wanted = _forwarding.known_switches(world, state), Wanted()
        if self.ip_forward == "keep":
            return wanted
        inside = self.inside_of(state)
        for version in self.versions(state):
            if self.ip_forward == "global":
                wanted = wanted.and_also(Wanted({_forwarding.GLOBAL[version]: _forwarding.ON}))
                continue
            outward = self._links_outward(state, version)
            wanted = wanted.and_also(_forwarding.for_links(known, version, inside, outward))
        return _forwarding.with_advertisements_kept(state, _forwarding.recorded(world, self.where), wanted)


def _leads_on(route: Route, version: int) -> bool:
    """Whether packets of a family may leave by it for somewhere beyond the link."""
    return route.kind == "unicast" and route.dst.version == version and not route.dst.is_link_local


def _has_network(link: Link, version: int) -> bool:
    """Whether the kernel makes a route for an address of the link; for one of IPv6 it does so even if that is all its network."""
    nets = [address.ip.network for address in link.addresses if address.ip.version == version]
    return link.kind != "loopback" and any(
        not net.is_link_local and (version == 6 or net.prefixlen < net.max_prefixlen) for net in nets
    )


def _within(ip: IPInterface, network: IPNetwork) -> bool:
    return ip.version == network.version and ip.ip in network


def _leading(ways: t.Sequence[tuple[str, IPNetwork]], source: IPNetwork) -> list[str]:
    """The links by which the kernel reaches the source: of the ways to all of it, the most specific ones."""
    meeting = [(name, network) for name, network in ways if overlap(network, source)]
    longest = max((network.prefixlen for _name, network in meeting), default=0)
    return [name for name, network in meeting if network.prefixlen >= min(longest, source.prefixlen)]
