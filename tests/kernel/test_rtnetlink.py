# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our own encoding of rtnetlink, against pyroute2's message classes; and in how many sends the messages go out.

Whatever pyroute2 encodes, of either version, has to be the same byte for byte. Here and not with the unit tests, because those
run where there is no pyroute2.
"""

from __future__ import annotations

import errno
import ipaddress
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.host import Host

from ansible_collections.nslab.linux.plugins.module_utils import _world as w
from ansible_collections.nslab.linux.plugins.module_utils._kernel import _codec, _netlink
from ansible_collections.nslab.linux.plugins.module_utils._kernel._kernel import Kernel
from ansible_collections.nslab.linux.plugins.module_utils._message import Index, Message, NamespaceFd
from ansible_collections.nslab.linux.plugins.module_utils._operation import Request
from ansible_collections.nslab.linux.plugins.module_utils._resources._address import AddAddress, DropAddress
from ansible_collections.nslab.linux.plugins.module_utils._resources._bridge import AddBridge, SetBridge
from ansible_collections.nslab.linux.plugins.module_utils._resources._linking import DropLink, MoveLink, SetLink
from ansible_collections.nslab.linux.plugins.module_utils._resources._pairing import AddVeth, NewEnd
from ansible_collections.nslab.linux.plugins.module_utils._resources._routing import (
    TYPE_NUMBERS,
    DropRoute,
    PutRoute,
)
from ansible_collections.nslab.linux.plugins.module_utils._values import HOST, NamespaceRef

RED = NamespaceRef("name", "red")

quick = settings(max_examples=60, deadline=None, derandomize=True)  # the same on every run
bytes32 = st.integers(0, 2**32 - 1)
indexes = st.integers(1, 2**31 - 1)
names = st.text("abz09_.-", min_size=1, max_size=15)
macs = st.binary(min_size=6, max_size=6).map(lambda raw: raw.hex(":"))
ends = st.builds(NewEnd, names, st.none() | macs, st.none() | st.integers(68, 65535), st.none() | indexes)
options = st.lists(
    st.sampled_from(["stp", "multicast_snooping"]).flatmap(lambda name: st.tuples(st.just(name), st.integers(0, 1)))
    | st.sampled_from(["forward_delay", "ageing_time"]).flatmap(lambda name: st.tuples(st.just(name), bytes32)),
    min_size=1,
).map(tuple)


def setting(attribute: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Request]:
    return st.builds(SetLink, st.just(RED), names, st.just(attribute), values)


@st.composite
def addresses(draw: Any) -> w.Address:
    version = draw(st.sampled_from([4, 6]))
    ips = st.ip_addresses(v=version)
    return w.Address(
        ipaddress.ip_interface((draw(ips), draw(st.integers(0, 32 if version == 4 else 128)))),
        scope=draw(st.integers(0, 255)),
        flags=draw(st.integers(0, 0xFFF)),
        label=draw(st.none() | names),
        broadcast=draw(st.none() | ips.map(str)) if version == 4 else None,
        peer=draw(st.none() | ips),
        lifetime=draw(st.none() | st.tuples(bytes32, bytes32)),
    )


@st.composite
def routes(draw: Any) -> w.Route:
    version = draw(st.sampled_from([4, 6]))
    ips = st.ip_addresses(v=version)
    gateways = st.none() | ips | st.ip_addresses(v=6)
    network = (draw(ips), draw(st.integers(0, 32 if version == 4 else 128)))
    metrics = st.dictionaries(st.sampled_from(w.ROUTE_METRICS[1:]), bytes32)
    return w.Route(
        ipaddress.ip_network(network, strict=False),
        table=draw(bytes32),
        metric=draw(bytes32),
        tos=draw(st.integers(0, 255)),
        kind=draw(st.sampled_from(list(TYPE_NUMBERS))),
        scope=draw(st.integers(0, 255)),
        protocol=draw(st.integers(0, 255)),
        via=draw(gateways),
        dev=draw(st.none() | names),
        src=draw(st.none() | ips),
        onlink=draw(st.booleans()),
        nexthops=tuple(
            draw(st.lists(st.builds(w.Nexthop, gateways, st.none() | names, st.integers(1, 256), st.booleans())))
        ),
        metrics=tuple(sorted(draw(metrics).items())),
    )


KINDS: dict[str, st.SearchStrategy[Request]] = {
    "veth": st.builds(AddVeth, st.just(HOST), ends, st.sampled_from([HOST, RED]), ends, st.none() | names),
    "bridge": st.builds(AddBridge, st.just(HOST), names, options, st.none() | macs, st.none() | indexes),
    "an option of a bridge": st.builds(SetBridge, st.just(HOST), names, st.just("ageing_time"), bytes32),
    "an attribute of a link": setting("mtu", st.integers(68, 65535))
    | setting("mac", macs)
    | setting("name", names)
    | setting("master", st.none() | names)
    | setting("up", st.booleans())
    | setting("promisc", st.booleans()),
    "a link that moves": st.builds(MoveLink, st.just(HOST), names, st.just(RED), names),
    "a link that goes": st.builds(DropLink, st.just(HOST), names, st.none()),
    "an address": st.builds(AddAddress, st.just(RED), names, addresses(), st.none() | addresses()),
    "an address that goes": st.builds(DropAddress, st.just(RED), names, addresses()),
    "a route": st.builds(PutRoute, st.just(RED), routes(), st.none() | routes(), st.booleans()),
    "a route that goes": st.builds(DropRoute, st.just(RED), routes()),
}


def number(placeholder: Any) -> int:
    """What stands for a placeholder: another number for each."""
    assert isinstance(placeholder, (Index, NamespaceFd)), placeholder
    return 1 + int.from_bytes(repr(placeholder).encode(), "big") % 2**30


def filled_in(value: Any) -> Any:
    if isinstance(value, (Index, NamespaceFd)):
        return number(value)
    if isinstance(value, (list, tuple)):
        return [filled_in(item) for item in value]
    return {name: filled_in(item) for name, item in value.items()} if isinstance(value, dict) else value


def by_pyroute2(message: Message) -> bytes:
    from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
    from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
    from pyroute2.netlink.rtnl.rtmsg import rtmsg

    made = {"LINK": ifinfmsg, "ADDR": ifaddrmsg, "ROUTE": rtmsg}[message.type[len("RTM_NEW") :]]()
    for name, value in message.fields.items():
        made[name] = filled_in(value)
    made["attrs"] = [tuple(pair) for pair in filled_in(message.attributes)]
    made["header"]["type"] = _codec.TYPES[message.type]
    made["header"]["flags"] = sum(_codec.FLAGS[flag] for flag in message.flags)
    made.encode()
    return bytes(made.data)


@pytest.mark.parametrize("kind", KINDS)
def test_each_message_is_the_one_that_pyroute2_makes(kind: str) -> None:
    @quick
    @given(KINDS[kind])
    def agree(operation: Request) -> None:
        message = operation.message()
        assert _codec.encode(message, number) == by_pyroute2(message)

    agree()


@pytest.mark.parametrize(
    "message",
    [
        Message("RTM_NEWLINK", attributes=[("IFLA_TXQLEN", 1)]),
        Message("RTM_NEWLINK", fields={"ifindex": 1}),
        Message("RTM_NEWADDR", attributes=[("RTA_DST", "10.0.0.1")]),
        Message("RTM_NEWROUTE", attributes=[("RTA_METRICS", {"attrs": [("RTAX_UNSPEC", 1)]})]),
        Message("RTM_NEWNEIGH"),
        Message("RTM_NEWLINK", ("NONREC",)),
    ],
    ids=["attribute", "field", "of another message", "nested", "type", "flag"],
)
def test_what_is_in_no_table_is_refused_and_never_left_out(message: Message) -> None:
    with pytest.raises(KeyError):
        _codec.encode(message, number)


# Sends


@pytest.fixture
def kernel(host: Host) -> Iterator[Kernel]:
    made = Kernel()
    yield made
    made.close()


def sends(kernel: Kernel, monkeypatch: pytest.MonkeyPatch, *operations: Request) -> list[int]:
    """Send to the host, without a refusal; how many messages went out at a time."""
    counted: list[int] = []
    request = _netlink.Netlink.request

    def counting(netlink: _netlink.Netlink, messages: list[bytes]) -> list[Any]:
        counted.append(len(messages))
        return request(netlink, messages)

    with monkeypatch.context() as patch:
        patch.setattr(_netlink.Netlink, "request", counting)
        answers = kernel.send(HOST, [operation.message() for operation in operations])
    assert answers == [None] * len(operations)
    return counted


def pair(first: str, peer: str, master: str | None = None) -> AddVeth:
    return AddVeth(HOST, NewEnd(first), HOST, NewEnd(peer), master)


@pytest.mark.once
def test_messages_wait_for_an_index_only_if_one_before_them_decides_on_it(
    host: Host, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [pair(f"v{n}", f"w{n}", "br0") for n in range(100)]
    assert sends(kernel, monkeypatch, AddBridge(HOST, "br0"), *many) == [1, 100]
    ups = [SetLink(HOST, f"v{n}", "up", True) for n in range(100)]
    assert sends(kernel, monkeypatch, *ups, pair("a", "b"), SetLink(HOST, "w0", "up", True)) == [102]
    assert {port["ifname"] for port in host.ip("link show master br0")} == {f"v{n}" for n in range(100)}
    assert host.is_up("w0")


@pytest.mark.once
def test_an_index_is_looked_up_when_its_name_leads_to_the_right_link(
    host: Host, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    mtu = iter(range(1401, 1499))

    def touch(name: str) -> SetLink:
        return SetLink(HOST, name, "mtu", next(mtu))

    here = NamespaceRef("path", "/proc/thread-self/ns/net")  # the same namespace by another way
    made = [pair("a", "b"), touch("a"), pair("e", "f"), touch("f")]  # both ends of a pair
    assert sends(kernel, monkeypatch, *made) == [1, 2, 1]
    swap = [SetLink(HOST, "a", "name", "c"), SetLink(HOST, "b", "name", "a"), SetLink(HOST, "c", "name", "b")]
    assert sends(kernel, monkeypatch, *swap, touch("a"), touch("b")) == [2, 2, 1]
    assert (host.link("a")["mtu"], host.link("b")["mtu"]) == (1403, 1404)
    gone = kernel.send(HOST, [SetLink(HOST, "e", "name", "g").message(), touch("e").message()])
    assert [None if answer is None else answer.errno for answer in gone] == [None, errno.ENODEV]
    moved = [MoveLink(HOST, "a", here, "d"), touch("b"), touch("d")]
    assert sends(kernel, monkeypatch, *moved) == [2, 1]
    assert host.link("d")["mtu"] == 1407
    made = [DropLink(HOST, "d", None), AddBridge(HOST, "b"), SetBridge(HOST, "b", "ageing_time", 700)]
    assert sends(kernel, monkeypatch, *made) == [2, 1]
    assert host.link("b")["linkinfo"]["info_kind"] == "bridge"
