# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flows that go on by the NAT of before: their entries are flushed, so that the next packet meets the rules anew.

Nothing is planned here: who changes translations plans the flush along with it, as the last step, since it can't be undone.

Source: conntrack(8).
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._operation import Call, Operation, inside
from .._values import IPAddress, IPNetwork, NamespaceRef
from .._world import NamespaceState, World
from ._place import place

if t.TYPE_CHECKING:
    from .._kernel._kernel import Kernel


@dataclasses.dataclass(frozen=True)
class PublishedPort:
    """Ports, first to last, on one address of the router: what flows were sent to before any translation."""

    protocol: str
    first: int
    last: int
    address: IPAddress


@dataclasses.dataclass(frozen=True)
class FlushConntrack(Call):
    """Forget the flows from and to ``networks``, and those sent to ``published``.

    Of a flow into a network through a published port, conntrack(8) can't tell by the network: it translates no masks on
    that side. ``published`` are therefore the ports of before and after.
    """

    where: NamespaceRef
    networks: tuple[IPNetwork, ...]
    published: tuple[PublishedPort, ...] = ()

    @property
    def command(self) -> str:
        return "\n".join([*map(self._of_network, self.networks), *map(self._of_port, self.published)])

    def _of_network(self, network: IPNetwork) -> str:
        delete = self._delete(network.version, "$side", str(network))
        return f"for side in --orig-src --orig-dst; do {delete}; done"

    def _of_port(self, port: PublishedPort) -> str:
        to = ("-p", port.protocol, "--orig-dst", str(port.address), "--orig-port-dst")
        if port.first == port.last:
            return self._delete(port.address.version, *to, str(port.first))
        delete = self._delete(port.address.version, *to, "$port")
        return f"for port in $(seq {port.first} {port.last}); do {delete}; done"

    def _delete(self, version: int, *selection: str) -> str:
        """Exit code 1 says that nothing matched; nothing here needs quotes."""
        command = inside(self.where, "conntrack", "-D", "-f", f"ipv{version}")
        return f"{command} {' '.join(selection)} || test $? = 1"

    @property
    def purpose(self) -> str:
        whose = ", ".join([*map(str, self.networks), *sorted({str(port.address) for port in self.published})])
        return f"flush the tracked connections of {whose} {place(self.where)}"

    def run(self, kernel: Kernel) -> None:
        ports = [(port.protocol, port.first, port.last, port.address) for port in self.published]
        kernel.flush_conntrack(self.where, self.networks, ports)

    def simulate(self, world: World) -> None:
        """The world holds no flows."""

    def invert(self, world: World) -> tuple[Operation, ...]:
        """A flow makes itself a new entry with its next packet."""
        return ()


def local_addresses(state: NamespaceState) -> tuple[IPAddress, ...]:
    """The addresses on which a port may be published where none is named."""
    found = {address.ip.ip for link in state.links.values() if link.name != "lo" for address in link.addresses}
    return tuple(sorted((each for each in found if not each.is_link_local), key=lambda each: (each.version, int(each))))
