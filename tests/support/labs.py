# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Labs by lot: what one may look like, how one is edited, the definition that it comes to, and what must then be there.

A `Sketch` holds more than a definition may say: cables to namespaces that are not there, routes through cables that are
not plugged in. `definition` leaves that out, so that any edit of a sketch gives a lab that can be.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

from hypothesis import strategies as st

NAMESPACES = ("red", "blue", "green", "grey")
BRIDGES = ("br0", "br1", "br2")
NODES = (*NAMESPACES, *BRIDGES, "host")
CABLES = range(6)
UPLINK = "up0"  # a link of the host that is there already
Place = tuple[str, str]  # a namespace, or host, and an interface in it


@dataclasses.dataclass(frozen=True)
class Plug:
    """One end of a cable: the node, and which of a few names the interface has there; `mac` and `mtu` may be 0."""

    node: str
    number: int = 0
    mac: int = 0
    named: bool = True
    long: bool = False
    up: bool = True


@dataclasses.dataclass(frozen=True)
class Cable:
    """`addresses`: `declared`, `subnet` or none; `shift` is another choice of the declared ones."""

    ends: tuple[Plug, Plug]
    addresses: str = "declared"
    families: tuple[int, ...] = (4,)
    shift: int = 0
    mtu: int = 0


@dataclasses.dataclass(frozen=True)
class BridgeSketch:
    where: str = "host"
    addresses: str = "declared"
    families: tuple[int, ...] = (4,)
    mtu: int = 0
    stp: bool | None = None


@dataclasses.dataclass(frozen=True)
class NamespaceSketch:
    loopback: bool | None = None
    forward: bool = False
    filtered: bool = False  # a sysctl of a link
    nameserver: int = 0


@dataclasses.dataclass(frozen=True)
class RouteSketch:
    """`kind`: by a gateway (`via`), by the link alone (`dev`), by several gateways (`hops`), or a `blackhole`."""

    node: str
    kind: str
    cable: int
    number: int = 0
    metric: int = 0
    family: int = 4


@dataclasses.dataclass(frozen=True)
class Sketch:
    namespaces: dict[str, NamespaceSketch] = dataclasses.field(default_factory=dict)
    bridges: dict[str, BridgeSketch] = dataclasses.field(default_factory=dict)
    cables: dict[int, Cable] = dataclasses.field(default_factory=dict)
    routes: tuple[RouteSketch, ...] = ()
    order: tuple[int, ...] = tuple(CABLES)
    hosts: bool = False
    nat: str = ""  # the bridge that it is for
    members: int = 0
    prefix: str = ""


# By lot

_families = st.sampled_from([(4,), (6,), (4, 6)])
_addresses = st.sampled_from(["declared", "subnet", "none"])
_mtus = st.sampled_from([0, 0, 1400, 9000])
_plugs = st.builds(
    Plug,
    st.sampled_from(NODES),
    st.integers(0, 2),
    st.sampled_from([0, 0, 1, 2]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([True, True, True, False]),
)
_cables = st.builds(Cable, st.tuples(_plugs, _plugs), _addresses, _families, st.integers(0, 2), _mtus)
_bridges = st.builds(
    BridgeSketch,
    st.sampled_from(["host", "host", *NAMESPACES]),
    _addresses,
    _families,
    _mtus,
    st.sampled_from([None, False]),
)
_namespaces = st.builds(
    NamespaceSketch, st.sampled_from([None, True, False]), st.booleans(), st.booleans(), st.integers(0, 2)
)
_routes = st.lists(
    st.builds(
        RouteSketch,
        st.sampled_from(NAMESPACES),
        st.sampled_from(["via", "via", "dev", "hops", "blackhole"]),
        st.sampled_from(CABLES),
        st.integers(0, 2),
        st.sampled_from([0, 0, 5]),
        st.sampled_from([4, 6]),
    ),
    max_size=6,
).map(tuple)

sketches = st.builds(
    Sketch,
    st.fixed_dictionaries({"red": _namespaces, "blue": _namespaces}, optional={"green": _namespaces}),
    st.fixed_dictionaries({"br0": _bridges}, optional={"br1": _bridges}),
    st.dictionaries(st.sampled_from(CABLES), _cables, min_size=2, max_size=5),
    _routes,
    st.permutations(CABLES).map(tuple),
    st.booleans(),
    st.sampled_from(["", "", *BRIDGES]),
    st.integers(0, 2),
)


def _without(entries: dict[Any, Any], key: Any) -> dict[Any, Any]:
    return {name: value for name, value in entries.items() if name != key}


@st.composite
def edits(draw: Any, sketch: Sketch) -> Sketch:
    """The sketch with one thing changed, as somebody at a keyboard would."""
    what = draw(st.sampled_from(["namespace", "bridge", "cable", "end", "end", "cable", "routes", "swap", "whole"]))
    change = dataclasses.replace
    if what == "namespace":
        name = draw(st.sampled_from(NAMESPACES))
        if name in sketch.namespaces and draw(st.booleans()):
            return change(sketch, namespaces=_without(sketch.namespaces, name))
        return change(sketch, namespaces={**sketch.namespaces, name: draw(_namespaces)})
    if what == "bridge":
        name = draw(st.sampled_from(BRIDGES))
        if name in sketch.bridges and draw(st.booleans()):
            return change(sketch, bridges=_without(sketch.bridges, name))
        return change(sketch, bridges={**sketch.bridges, name: draw(_bridges)})
    if what == "cable":
        number = draw(st.sampled_from(CABLES))
        if number in sketch.cables and draw(st.booleans()):
            return change(sketch, cables=_without(sketch.cables, number))
        return change(sketch, cables={**sketch.cables, number: draw(_cables)})
    if what in ("end", "swap") and sketch.cables:
        number = draw(st.sampled_from(sorted(sketch.cables)))
        cable = sketch.cables[number]
        first, second = cable.ends
        if what == "swap":
            changed = change(cable, ends=(second, first))
        else:
            key = draw(st.sampled_from(["node", "number", "mac", "named", "up"]))
            second = change(second, **{key: getattr(draw(_plugs), key)})
            changed = change(cable, ends=(first, second), mtu=draw(_mtus), shift=draw(st.integers(0, 2)))
        return change(sketch, cables={**sketch.cables, number: changed})
    if what == "routes":
        return change(sketch, routes=draw(_routes))
    key = draw(st.sampled_from(["hosts", "nat", "members", "prefix", "order"]))
    if key == "order":
        return change(sketch, order=draw(st.permutations(CABLES).map(tuple)))
    values = {"hosts": not sketch.hosts, "nat": draw(st.sampled_from(["", *BRIDGES]))}
    values.update({"members": (sketch.members + 1) % 4, "prefix": "x-" if not sketch.prefix else ""})
    return change(sketch, **{key: values[key]})


# The definition


def definition(name: str, sketch: Sketch, base: int = 20) -> dict[str, Any]:
    """The options of the module; `base` sets the networks of one lab apart from those of another."""
    return _Drawing(name, sketch, base).options()


class _Drawing:
    def __init__(self, name: str, sketch: Sketch, base: int) -> None:
        self.name, self.sketch, self.base = name, sketch, base
        self.namespaces = {node: each for node, each in sketch.namespaces.items() if node in NAMESPACES}
        self.bridges = {
            node: each for node, each in sketch.bridges.items() if each.where == "host" or each.where in self.namespaces
        }
        self.cables: dict[int, tuple[tuple[str, Plug], tuple[str, Plug]]] = {}
        self._plug_in()

    def _plug_in(self) -> None:
        """Cables between what is there, with interface names that nobody else has there, and without a loop of bridges."""
        taken = {(self._where(node), node) for node in self.bridges}
        segment = {node: node for node in self.bridges}
        nodes = {*self.namespaces, *self.bridges, "host"}
        for number in CABLES:
            cable = self.sketch.cables.get(number)
            if cable is None or any(end.node not in nodes for end in cable.ends):
                continue
            one, other = (end.node for end in cable.ends)
            if one in segment and other in segment:
                if segment[one] == segment[other]:
                    continue
                joined = segment[other]
                segment.update({node: segment[one] for node in segment if segment[node] == joined})
            named = []
            for side, end in enumerate(cable.ends):
                wish = f"eth{end.number}" if self._where(end.node) != "host" else f"{self.name}{end.number}"
                if (self._where(end.node), wish) in taken:
                    wish = f"{self.name[:3]}{number}-{side}"
                taken.add((self._where(end.node), wish))
                named.append((wish, end))
            if not cable.ends[1].named and other not in self.namespaces and one in self.namespaces:
                named[1] = ("", cable.ends[1])
            self.cables[number] = (named[0], named[1])

    def _where(self, node: str) -> str:
        return self.bridges[node].where if node in self.bridges else node

    def options(self) -> dict[str, Any]:
        sketch = self.sketch
        options: dict[str, Any] = {
            "name": self.name,
            "namespaces": {node: self._namespace(node) for node in self.namespaces},
            "bridges": {node: self._bridge(node) for node in self.bridges},
            "links": [self._link(number) for number in sketch.order if number in self.cables],
            "hosts": sketch.hosts,
        }
        if sketch.prefix:
            options["prefix"] = sketch.prefix
        if sketch.members:
            options["nodes"] = {"count": sketch.members, "prefix": "m"}
            if "br0" in self.bridges:
                options["nodes"]["bridge"] = "br0"
        nat = self._nat()
        return {**options, **nat}

    def _nat(self) -> dict[str, Any]:
        bridge = self.sketch.nat
        if bridge not in self.bridges:
            return {}
        where = self.bridges[bridge].where
        own = [name for ends in self.cables.values() for name, end in ends if end.node == where]
        uplink = UPLINK if where == "host" else own[0] if own else None
        if uplink is None:
            return {}
        return {"nat": [{"netns": where, "inside": [bridge], "uplink": [uplink]}]}

    def _network(self, kind: int, number: int, family: int) -> str:
        """Up to the number of the host; `kind` is 0 for cables and 1 for bridges."""
        return f"10.{self.base + kind}.{number}." if family == 4 else f"fd{self.base + kind}:{number}::"

    def _subnet(self, kind: int, number: int, families: tuple[int, ...]) -> list[str]:
        return [f"{self._network(kind, number, family)}{'0/24' if family == 4 else '/64'}" for family in families]

    def _namespace(self, node: str) -> dict[str, Any]:
        sketch = self.namespaces[node]
        options: dict[str, Any] = {} if sketch.loopback is None else {"loopback": sketch.loopback}
        sysctls = {}
        if sketch.forward:
            sysctls.update({"net.ipv4.ip_forward": "1", "net.ipv6.conf.all.forwarding": 1})
        if sketch.filtered:
            sysctls["net/ipv4/conf/lo/proxy_arp"] = "1"
        if sysctls:
            options["sysctl"] = sysctls
        if sketch.nameserver:
            options["resolv"] = {"nameservers": [f"192.0.2.{sketch.nameserver}"]}
        routes = self._routes(node)
        if routes:
            options["routes"] = routes
        return options

    def _bridge(self, node: str) -> dict[str, Any]:
        sketch, number = self.bridges[node], BRIDGES.index(node)
        options: dict[str, Any] = {} if sketch.where == "host" else {"netns": sketch.where}
        if sketch.addresses == "declared":
            options["addresses"] = [
                f"{self._network(1, number, family)}{'1/24' if family == 4 else '1/64'}" for family in sketch.families
            ]
        elif sketch.addresses == "subnet":
            options["subnet"] = self._subnet(1, number, sketch.families)
        if sketch.mtu:
            options["mtu"] = sketch.mtu
        if sketch.stp is not None:
            options["stp"] = sketch.stp
        return options

    def _link(self, number: int) -> dict[str, Any]:
        cable, ends = self.sketch.cables[number], self.cables[number]
        options: dict[str, Any] = {"endpoints": [self._end(number, side) for side in (0, 1)]}
        if cable.mtu:
            options["mtu"] = cable.mtu
        if cable.addresses == "subnet" and not any(end.node in self.bridges for _name, end in ends):
            options["subnet"] = self._subnet(0, number, cable.families)
        return options

    def _end(self, number: int, side: int) -> Any:
        name, end = self.cables[number][side]
        more: dict[str, Any] = {}
        if end.node not in self.bridges:
            addresses = self.addresses(number, side)
            if addresses is not None:
                more["addresses"] = addresses
        if end.mac:
            more["mac"] = f"52:54:00:{self.base:02x}:{number * 2 + side:02x}:{end.mac:02x}"
        if not end.up:
            more["up"] = False
        if not more and not end.long:
            return f"{end.node}:{name}" if name else end.node
        return {"node": end.node, **({"interface": name} if name else {}), **more}

    def addresses(self, number: int, side: int) -> list[str] | None:
        """What is declared of an end that is no port; None where its subnet gives it some."""
        cable = self.sketch.cables[number]
        far = self.cables[number][1 - side][1].node
        if cable.addresses == "none":
            return []
        if far not in self.bridges:
            if cable.addresses == "subnet":
                return None
            return [self._address(0, number, family, 1 + side + 2 * cable.shift) for family in cable.families]
        bridge = self.bridges[far]
        if bridge.addresses == "subnet" and cable.addresses == "subnet":
            return None
        host = 100 + 10 * cable.shift + number
        return [self._address(1, BRIDGES.index(far), family, host) for family in cable.families]

    def _address(self, kind: int, number: int, family: int, host: int) -> str:
        return (
            f"{self._network(kind, number, family)}{host:x}/64"
            if family == 6
            else (f"{self._network(kind, number, family)}{host}/24")
        )

    def _routes(self, node: str) -> list[dict[str, Any]]:
        found: dict[tuple[str, int], dict[str, Any]] = {}
        for route in self.sketch.routes:
            if route.node == node:
                options = self._route(route)
                if options is not None:
                    found.setdefault((options["dst"], route.metric), options)
        return list(found.values())

    def _route(self, route: RouteSketch) -> dict[str, Any] | None:
        dst = f"10.20{route.number}.0.0/16" if route.family == 4 else f"fd99:{route.number + 1}::/48"
        options: dict[str, Any] = {"dst": dst, **({"metric": route.metric} if route.metric else {})}
        if route.kind == "blackhole":
            return {**options, "type": "blackhole"}
        gateways = self._gateways(route.node, route.family)
        if route.kind == "hops":
            if len(gateways) < 2:
                return None
            hops = [{"via": via, "dev": dev} for dev, via in list(gateways.values())[:3]]
            return {**options, "nexthops": hops}
        if route.cable not in gateways:
            return None
        dev, via = gateways[route.cable]
        return {**options, "dev": dev} if route.kind == "dev" else {**options, "via": via}

    def _gateways(self, node: str, family: int) -> dict[int, tuple[str, str]]:
        """By cable that joins this namespace with another node, which has a declared address."""
        found = {}
        for number, ends in self.cables.items():
            cable = self.sketch.cables[number]
            if cable.addresses != "declared" or family not in cable.families or not all(e.up for _n, e in ends):
                continue
            for side in (0, 1):
                name, end = ends[side]
                far = ends[1 - side][1].node
                if end.node != node or far == node or far in self.bridges:
                    continue
                found[number] = (name, self._address(0, number, family, 2 - side + 2 * cable.shift).split("/")[0])
        return found


# What must be there


@dataclasses.dataclass
class Expected:
    """A link as the definition has it; what is None, nobody said. `subnets` give it an address each."""

    kind: str
    peer: Place | None = None
    master: str | None = None
    up: bool = True
    mtu: int | None = None
    mac: str | None = None
    addresses: list[str] | None = None
    subnets: list[str] = dataclasses.field(default_factory=list)


def expected(options: dict[str, Any]) -> dict[Place, Expected]:
    """The links that this definition asks for, by place. Reads the definition, and nothing of the module."""
    prefix = options.get("prefix", "")
    bridges = options.get("bridges") or {}
    links = list(options.get("links") or [])
    nodes = options.get("nodes") or {}
    if "bridge" in nodes:
        members = [f"{nodes['prefix']}{number + 1}" for number in range(nodes["count"])]
        links = [{"endpoints": [f"{member}:eth0", nodes["bridge"]]} for member in members] + links
    where = {node: f"{prefix}{bridge['netns']}" if "netns" in bridge else "host" for node, bridge in bridges.items()}

    def place(node: str, interface: str) -> Place:
        if node == "host":
            return ("host", interface)
        return (where.get(node, f"{prefix}{node}"), interface)

    found: dict[Place, Expected] = {}
    for node, bridge in bridges.items():
        subnets = listed(bridge.get("subnet"))
        found[where[node], node] = Expected(
            "bridge", mtu=bridge.get("mtu"), addresses=bridge.get("addresses"), subnets=subnets
        )
    for link in links:
        ends = [dict(zip(("node", "interface"), end.partition(":")[::2])) if isinstance(end, str) else end
                for end in link["endpoints"]]  # fmt: skip
        for end, other in (ends, ends[::-1]):
            if not end.get("interface"):
                digest = hashlib.sha256(f"{options['name']}/{other['node']}/{other['interface']}".encode())
                end["interface"] = f"v{digest.hexdigest()[:10]}"
        places = [place(end["node"], end["interface"]) for end in ends]
        for side, end in enumerate(ends):
            far = ends[1 - side]
            port = end["node"] in bridges
            subnets = listed(link.get("subnet"))
            if far["node"] in bridges and not port:
                subnets += listed(bridges[far["node"]].get("subnet"))
            found[places[side]] = Expected(
                "veth",
                peer=places[1 - side],
                master=end["node"] if port else None,
                up=end.get("up", True),
                mtu=end.get("mtu", link.get("mtu")),
                mac=end.get("mac"),
                addresses=end.get("addresses"),
                subnets=[] if port or end.get("addresses") == [] else subnets,
            )
    return found


def listed(value: Any) -> list[Any]:
    return [] if value is None else list(value) if isinstance(value, list) else [value]


def namespaces(options: dict[str, Any]) -> list[str]:
    """The names that the namespaces have on the host."""
    nodes = options.get("nodes") or {"count": 0}
    every = [*options.get("namespaces", {}), *(f"{nodes['prefix']}{number + 1}" for number in range(nodes["count"]))]
    return [f"{options.get('prefix', '')}{node}" for node in every]
