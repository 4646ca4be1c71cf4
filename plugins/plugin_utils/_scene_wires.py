# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wires of a picture of what was seen: veth pairs, where bridges stand, uplinks; and which are down or of unlike MTU."""

from __future__ import annotations

import typing as t

from ansible_collections.nslab.linux.plugins.plugin_utils._picture import DOWN, MTU, End, Mark, Wire
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_marks import Cable
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_scope import Scope
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_sight import SeenLink, uplinks_of
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_words import (
    HOST_KEY,
    OUTSIDE_KEY,
    Place,
    at,
    bridge_key,
    shown_port,
)


class Wires:
    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.sight = scope.sight
        self.marks = scope.marks

    def cable(self, cable: Cable) -> Wire:
        """Of a veth pair, the end that is a port, or else that on the host, behind the other."""
        places = sorted(cable, key=lambda place: (self.sight.outlet(place) is not None, place[0] == HOST_KEY, place))
        one, other = places[0], places[-1]
        links = (self.sight.link(one), self.sight.link(other))
        marks = list(self.marks.of_cable(cable))
        if links[0] is not None and links[1] is not None and links[0].mtu != links[1].mtu:
            marks.append(Mark(MTU, f"{at(one)} has mtu {links[0].mtu}, {at(other)} has {links[1].mtu}"))
        return Wire((self._end(one, other), self._end(other, one)), marks=tuple(marks))

    def of_bridge(self, place: Place) -> t.Iterator[Wire]:
        """From a bridge to where it stands, and by its physical ports to the outside."""
        bridge = self.sight.bridge(place)
        if bridge is None:
            return
        key, where = bridge_key(*place), place[0]
        if where != HOST_KEY or bridge.addresses or place in self.scope.bridges_with_nat():
            end = End(where, bridge.name, bridge.addresses, bridge.mtu, bridge.up)
            yield Wire((End(key), end), cable=False)
        for name in bridge.ports or ():
            port = self.sight.link((where, name))
            if port is not None and port.kind is None:
                yield Wire((self._end(port.place, None), End(OUTSIDE_KEY)))

    def uplinks(self, bridges: t.Container[Place], cabled: t.Container[Place]) -> t.Iterator[Wire]:
        """From routers and by physical links of namespaces to the outside, where no other wire has that link."""
        for where in (HOST_KEY, *self.scope.own):
            namespace = self.sight.namespaces.get(where)
            if namespace is None:
                continue
            names = [name for each in self.scope.rule_sets(where).values() for name in uplinks_of(namespace, each)]
            if where != HOST_KEY:
                names += [link.name for link in self.scope.links(where) if link.kind is None]
            for place in dict.fromkeys((where, name) for name in names):
                if place in bridges or place in cabled or self.sight.outlet(place) is not None:
                    continue
                if self.sight.link(place) is not None:
                    yield Wire((self._end(place, None), End(OUTSIDE_KEY)), cable=False)

    def _end(self, place: Place, other: Place | None) -> End:
        link, outlet = self.sight.link(place), self.sight.outlet(place)
        node = place[0] if outlet is None else bridge_key(*outlet.place)
        name = place[1] if outlet is None else shown_port(place[1])
        if link is None:
            return End(node, name, marks=self.marks.of_end(place))
        marks = (*self._down(link, other), *self._mtu(link, outlet), *self.marks.of_end(place))
        return End(node, name, link.addresses, link.mtu, link.up and not self._no_carrier(link, other), marks)

    def _down(self, link: SeenLink, other: Place | None) -> t.Iterator[Mark]:
        if not link.up and link.place not in self.scope.down:
            yield Mark(DOWN, f"{link.name} is down")
        if self._no_carrier(link, other) and (other is None or self.sight.link(other) is None):
            yield Mark(DOWN, f"{link.name} has no carrier")  # else it is said of the far end

    def _no_carrier(self, link: SeenLink, other: Place | None) -> bool:
        """The kernel is late in saying that there is one: where both ends are up, there is."""
        far = None if other is None else self.sight.link(other)
        return link.no_carrier and (far is None or not far.up)

    def _mtu(self, link: SeenLink, outlet: SeenLink | None) -> t.Iterator[Mark]:
        """A port that has another MTU than its bridge; where all have, it is said of the bridge."""
        if outlet is not None and link.mtu != outlet.mtu and outlet.mtu in port_mtus(self.scope, outlet):
            yield Mark(MTU, f"{link.name} has mtu {link.mtu}, bridge {outlet.name} has {outlet.mtu}")


def port_mtus(scope: Scope, bridge: SeenLink) -> set[int]:
    ports = (scope.sight.link((bridge.place[0], port)) for port in bridge.ports or ())
    return {port.mtu for port in ports if port is not None}
