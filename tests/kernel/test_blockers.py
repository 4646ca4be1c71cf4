# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the firewalls of others would stop is foretold, and packets sent through a router are the judge.

The rules are written by the tools that people have: nft, iptables-nft and iptables-legacy.
"""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.nftables import a_namespace
from support.sandbox import entered

from ansible_collections.nslab.linux.plugins.module_utils._blockers import Blocker, blockers, fate, sees_bridged
from ansible_collections.nslab.linux.plugins.module_utils._filtering import ESTABLISHED, Flow
from ansible_collections.nslab.linux.plugins.module_utils._kernel import _nft_codec, _nft_steps, _xtables
from ansible_collections.nslab.linux.plugins.module_utils._kernel._kernel import Kernel
from ansible_collections.nslab.linux.plugins.module_utils._kernel._netlink import Netlink
from ansible_collections.nslab.linux.plugins.module_utils._ruleset import AddressIn
from ansible_collections.nslab.linux.plugins.module_utils._values import HOST
from ansible_collections.nslab.linux.plugins.module_utils._world import NamespaceState, NeedFirewall, World

PORT = 7777
LAB = {4: ("10.1.0.1", "10.1.0.2", "10.1.0.0/24"), 6: ("fd00:1::1", "fd00:1::2", "fd00:1::/64")}
OUT = {4: ("198.51.100.2", "198.51.100.1", ""), 6: ("2001:db8:51::2", "2001:db8:51::1", "")}
RECVERR = {4: (socket.IPPROTO_IP, 11), 6: (socket.IPPROTO_IPV6, 25)}  # every refusal by ICMP reaches the socket


@pytest.fixture(autouse=True)
def _router() -> Iterator[None]:
    """lab - lab0 [router] out0 - out, both versions, forwarding."""
    with a_namespace():
        without_detection("")
        for name, ends in (("lab", LAB), ("out", OUT)):
            run("ip", "netns", "add", name)
            without_detection(f"/run/netns/{name}")
            far = [f"address add {ends[v][1]}/{p} dev eth0 {n}" for v, p, n in ((4, 24, ""), (6, 64, "nodad"))]
            near = [f"address add {ends[v][0]}/{p} dev {name}0 {n}" for v, p, n in ((4, 24, ""), (6, 64, "nodad"))]
            link = f"link add name {name}0 up type veth peer name eth0 netns {name}"
            run("ip", "-batch", "-", text="\n".join([link, *near]) + "\n")
            routes = [f"route add default via {ends[v][0]}" for v in (4, 6)]
            run("ip", "-n", name, "-batch", "-", text="\n".join(["link set dev eth0 up", *far, *routes]) + "\n")
        for path in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
            Path(f"/proc/sys/net/{path}").write_text("1")
        yield


def without_detection(netns: str) -> None:
    """No link is to hold back neighbour discovery until its own addresses are known to be unique."""
    with entered(netns):
        for scope in ("all", "default"):
            Path(f"/proc/sys/net/ipv6/conf/{scope}/accept_dad").write_text("0")


def run(*words: str, text: str = "") -> str:
    done = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


def state() -> NamespaceState:
    kernel, world = Kernel(), World()
    with contextlib.closing(kernel):
        kernel.observe(world, [NeedFirewall(HOST)])
    return world.state(HOST)


def found(*flows: Flow) -> list[Blocker]:
    return blockers(state().firewall or (), flows)


def outward(version: int) -> Flow:
    return Flow(version, "lab0", "out0", source=ipaddress.ip_network(LAB[version][2]))


def inward(version: int) -> Flow:
    return Flow(version, "out0", "lab0", destination=ipaddress.ip_network(LAB[version][2]))


def answer(flow: Flow) -> Flow:
    return Flow(flow.version, flow.oifname, flow.iifname, flow.destination, flow.source, ESTABLISHED)


# Packets as judges


def sent(flow: Flow, patience: dict[str, float]) -> tuple[str, str]:
    """What became of a datagram on its way, and of the answer to it."""
    ends = [("lab", LAB), ("out", OUT)]
    (here, _own), (there, its) = ends if flow.iifname == "lab0" else reversed(ends)
    family = socket.AF_INET if flow.version == 4 else socket.AF_INET6
    with contextlib.ExitStack() as stack:
        plugs = []
        for name in (here, there):
            with entered(f"/run/netns/{name}"):
                plugs.append(stack.enter_context(socket.socket(family, socket.SOCK_DGRAM)))
        client, server = plugs
        server.bind((its[flow.version][1], PORT))
        for plug in plugs:
            plug.setsockopt(*RECVERR[flow.version], 1)
        client.connect((its[flow.version][1], PORT))
        client.send(b"question")
        server.settimeout(patience["there"])
        try:
            _data, asked = server.recvfrom(64)
        except OSError:
            return refusal(client), ""
        server.sendto(b"answer", asked)
        client.settimeout(patience["back"])
        try:
            client.recv(64)
        except OSError:
            return "accept", refusal(server)
        return "accept", "accept"


def refusal(plug: socket.socket) -> str:
    plug.settimeout(0.1)
    try:
        plug.recv(64)
    except socket.timeout:
        return "drop"
    except OSError:
        return "reject"
    raise AssertionError("an answer where none was asked")


def assert_foretold(expected: dict[int, tuple[str, str]]) -> None:
    """``expected``: by version, what becomes of new flows outward and inward; the packets say the same."""
    tables = state().firewall or ()
    for version, fates in expected.items():
        for flow, wanted in zip((outward(version), inward(version)), fates):
            foretold = fate(tables, flow)
            assert foretold == wanted, f"{flow}: {blockers(tables, [flow])}"
            back = fate(tables, answer(flow))
            patience = {"there": 0.1 if foretold != "accept" else 5.0, "back": 0.1 if back != "accept" else 5.0}
            really = sent(flow, patience)
            if foretold != "maybe-drop":
                assert really[0] == foretold, f"{flow} is foretold {foretold}, and {really[0]}"
            if foretold == "accept" and back != "maybe-drop":
                assert really[1] == back, f"the answers to {flow} are foretold {back}, and {really[1]}"


def both(out: str, into: str) -> dict[int, tuple[str, str]]:
    return {4: (out, into), 6: (out, into)}


# Tables of nft

FORWARD = "type filter hook forward priority"
FIREWALLD = """
table inet firewalld {
  chain filter_FORWARD {
    type filter hook forward priority filter + 10; policy accept;
    ct state { established, related } accept
    ct status dnat accept
    iifname "lo" accept
    ip6 daddr { ::/96, ::ffff:0.0.0.0/96, 2002::/24, 2002:a00::/24 } reject with icmpv6 addr-unreachable
    jump filter_FORWARD_POLICIES
    ct state invalid drop
    reject with icmpx admin-prohibited
  }
  chain filter_FORWARD_POLICIES {
    %s
    iifname "out0" oifname "out0" jump filter_FWD_public
    iifname "out0" jump filter_FWD_public
    jump filter_FWD_public
    reject with icmpx admin-prohibited
  }
  chain filter_FWD_public { jump filter_FWD_public_pre; jump filter_FWD_public_allow; meta l4proto { icmp, ipv6-icmp } accept; }
  chain filter_FWD_public_pre { }
  chain filter_FWD_public_allow { oifname "out0" tcp dport 22 accept; }
  chain filter_FWD_trusted { accept; }
}
"""
NFT = {
    "policy": (f"table inet f {{ chain forward {{ {FORWARD} 0; policy drop; }} }}", both("drop", "drop")),
    "accepts": (
        f"""table inet f {{ chain forward {{ {FORWARD} 0; policy drop;
          ct state established,related counter accept; ct state != invalid iifname "lab0" log prefix "a" counter accept comment "b"; }} }}""",
        both("accept", "drop"),
    ),
    "sets": (
        f"""table inet f {{
          map ways {{ type ifname : verdict; elements = {{ "br7" : drop, "lab0" : goto lab }}; }}
          chain lab {{ oifname {{ "out0", "out1" }} accept; }}
          chain forward {{ {FORWARD} 0; policy drop; iifname != {{ "lab0", "out0" }} accept;
            ct state vmap {{ invalid : drop, established : accept, related : accept }}; iifname vmap @ways; accept; }} }}""",
        both("accept", "accept"),
    ),
    "prefixes and indexes": (
        f"""table inet f {{
          chain lab {{ oifname "o*" return; accept; }}
          chain forward {{ {FORWARD} 0; iifname "la*" jump lab; iif "lab0" oif "out0" reject; iifname != "o*" reject; }} }}""",
        both("reject", "accept"),
    ),
    "addresses": (
        f"""table inet f {{
          set mine {{ type ipv6_addr; flags interval; elements = {{ fd00:1::-fd00:1::ffff:ffff:ffff:ffff, fd00:9::/64 }}; }}
          chain forward {{ {FORWARD} 0; policy drop; ct state established accept;
            ip6 saddr @mine accept; ip saddr 10.0.0.0-10.0.255.255 drop;
            ip saddr {{ 10.0.0.0-10.0.255.255, 192.0.2.0/24 }} drop; ip saddr 10.1.0.9 ip daddr 198.51.100.9 drop;
            ip saddr {{ 10.1.0.0/25, 10.1.0.128/25, 192.0.2.1 }} accept; ip daddr != {{ 10.0.0.0/8 }} accept;
            ip6 saddr {{ ::/1, 8000::/1 }} ip6 daddr fd00::/16 accept; }} }}""",
        {4: ("accept", "drop"), 6: ("accept", "accept")},
    ),
    "parts": (
        f"""table inet f {{ chain forward {{ {FORWARD} 0; tcp dport vmap {{ 22 : accept, 25 : drop }}; udp dport 9 accept;
          meta l4proto {{ tcp, icmp }} accept; ip protocol icmp accept; iifname "out0" drop; ct state established accept; udp dport 7778 accept; drop; }} }}""",
        both("drop", "drop"),
    ),
    "unknown": (
        f"""table inet f {{ chain forward {{ {FORWARD} 0; policy drop;
          ct state established accept; iifname "lab0" meta mark 7 accept; oifname "lab0" ct mark != 0 accept; }} }}""",
        both("maybe-drop", "maybe-drop"),
    ),
    "an unknown drop": (
        f'table inet f {{ chain forward {{ {FORWARD} 0; ip ttl 3 drop; ip6 hoplimit 3 drop; iifname . oifname vmap {{ "out0" . "lab0" : drop }}; }} }}',
        both("maybe-drop", "maybe-drop"),
    ),
    "two tables": (
        f"table inet a {{ chain forward {{ {FORWARD} 0; policy drop; accept; }} }}"
        f"table ip b {{ chain forward {{ {FORWARD} 10; iifname lab0 reject; }} }}",
        {4: ("reject", "accept"), 6: ("accept", "accept")},
    ),
    "asleep, or elsewhere": (
        f"table inet a {{ flags dormant; chain forward {{ {FORWARD} 0; policy drop; }} }}"
        "table inet b { chain input { type filter hook input priority 0; udp dport 7777 drop; } chain unused { drop; } }",
        both("accept", "accept"),
    ),
    "ours": (f"table inet nslab {{ chain forward {{ {FORWARD} 0; policy accept; }} }}", both("accept", "accept")),
    "firewalld": (FIREWALLD % "", both("reject", "reject")),
    "firewalld trusts": (FIREWALLD % 'iifname "lab0" goto filter_FWD_trusted', both("accept", "reject")),
}  # fmt: skip


@pytest.mark.parametrize("name", NFT)
def test_nft(name: str) -> None:
    text, expected = NFT[name]
    run("nft", "-f", "-", text=text.replace("}table", "}\ntable").replace("; }", ";\n}\n"))
    assert_foretold(expected)


# Tables of iptables

DOCKER = """
:FORWARD DROP
:DOCKER -
:DOCKER-ISOLATION-STAGE-1 -
:DOCKER-ISOLATION-STAGE-2 -
:DOCKER-USER -
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A FORWARD -i docker0 -o docker0 -j ACCEPT
-A DOCKER ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
"""
ALLOW = """
-A DOCKER-USER -i lab0 -m comment --comment "nslab:lab:out" -j ACCEPT
-A DOCKER-USER -o lab0 -m conntrack --ctstate RELATED,ESTABLISHED -m comment --comment "nslab:lab:back" -j ACCEPT
"""
UFW = """
:FORWARD DROP
:ufw-before-logging-forward -
:ufw-before-forward -
:ufw-user-forward -
:ufw-after-forward -
:ufw-reject-forward -
-A FORWARD -j ufw-before-logging-forward
-A FORWARD -j ufw-before-forward
-A FORWARD -j ufw-after-forward
-A FORWARD -m limit --limit 3/min --limit-burst 10 -j LOG --log-prefix "[UFW BLOCK] "
-A FORWARD -j ufw-reject-forward
-A ufw-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A ufw-before-forward -p icmp -m icmp --icmp-type 3 -j ACCEPT
-A ufw-before-forward -j ufw-user-forward
%s
"""
MIXED = """
:FORWARD ACCEPT
:odd -
:last -
-A FORWARD
-A FORWARD -m state --state ESTABLISHED -j ACCEPT
-A FORWARD -i la+ ! -o br+ -g odd
-A FORWARD -m conntrack --ctstate DNAT -j ACCEPT
-A FORWARD ! -i lab0 -m conntrack ! --ctstate INVALID -j last
-A odd -j MARK --set-mark 3
-A odd ! -s 198.51.100.0/24 -p udp -j LOG
-A odd -s 10.1.0.0/17 ! -d 203.0.113.7/32 -j RETURN
-A odd -j DROP
-A last -p tcp -j RETURN
-A last -d 10.1.0.2/32 -j RETURN
-A last ! -p udp -j RETURN
-A last -d 10.1.0.0/16 -m addrtype --src-type UNICAST -j ACCEPT
-A last -j REJECT
"""
GOTO = """
:FORWARD DROP
:way -
-A FORWARD -i lab0 -g way
-A FORWARD -j ACCEPT
-A way -p tcp -j RETURN
"""
IPTABLES = {
    "goto": (GOTO, "drop", "accept"),
    "docker": (DOCKER, "drop", "drop"),
    "docker allows": (DOCKER + ALLOW, "accept", "drop"),
    "ufw": (UFW % "", "drop", "drop"),
    "ufw allows": (UFW % "-A ufw-user-forward -i lab0 -j ACCEPT", "accept", "drop"),
    "mixed": (MIXED, "maybe-drop", "maybe-drop"),
    "refused": (":FORWARD ACCEPT\n-A FORWARD -o out+ -j REJECT\n-A FORWARD -i out0 -m mark --mark 1 -j DROP", "reject", "maybe-drop"),
    "queue": (":FORWARD ACCEPT\n-A FORWARD -i lab0 -j NFQUEUE", "maybe-drop", "accept"),
}  # fmt: skip


def restore(backend: str, text: str, command: str = "iptables") -> None:
    if backend == "legacy" and not Path("/proc/net/ip_tables_names").exists():
        pytest.skip("this kernel has no tables of iptables-legacy")
    run(f"{command}-{backend}-restore", text=f"*filter\n{text.strip()}\nCOMMIT\n")


@pytest.mark.parametrize("backend", ["nft", "legacy"])
@pytest.mark.parametrize("name", IPTABLES)
def test_iptables(backend: str, name: str) -> None:
    text, out, into = IPTABLES[name]
    restore(backend, text)
    assert_foretold({4: (out, into), 6: ("accept", "accept")})
    if name != "mixed":  # which has addresses in it
        restore(backend, text.replace("-p icmp -m icmp --icmp-type 3", "-p ipv6-icmp"), "ip6tables")
        assert_foretold({6: (out, into)})


# What is told


def test_a_blocker_names_the_chain_its_owner_and_the_rule_and_goes_when_the_owner_allows() -> None:
    run("nft", "-f", "-", text=FIREWALLD % "")
    ufw6 = UFW.replace("-p icmp -m icmp --icmp-type 3", "-p ipv6-icmp")
    restore("nft", ufw6 % "", "ip6tables")
    restore("legacy", DOCKER)
    flows = [flow(version) for version in (4, 6) for flow in (outward, inward)]
    flows += [answer(flow) for flow in flows]
    told = [dataclasses.asdict(each) | {"flows": [str(flow) for flow in each.flows]} for each in found(*flows)]
    new4, new6 = ["lab0 -> out0 (ipv4)", "out0 -> lab0 (ipv4)"], ["lab0 -> out0 (ipv6)", "out0 -> lab0 (ipv6)"]
    answers4 = ["out0 -> lab0 (ipv4, answers)", "lab0 -> out0 (ipv4, answers)"]
    firewalld = {"family": "inet", "table": "firewalld", "backend": "nftables", "manager": "firewalld", "certain": True}
    reject = {"chain": "filter_FORWARD_POLICIES", "why": "reject", "action": "reject"}
    policy = {"table": "filter", "chain": "FORWARD", "why": "policy drop", "action": "drop", "certain": True}
    ours = [
        {**policy, "family": "ip6", "backend": "iptables-nft", "manager": "ufw", "flows": new6},
        {**policy, "family": "ip", "backend": "iptables-legacy", "manager": "docker", "flows": new4 + answers4},
    ]
    assert sorted(told, key=str) == sorted([{**firewalld, **reject, "flows": new4 + new6}, *ours], key=str)
    restore("nft", ufw6 % "-A ufw-user-forward -i lab0 -j ACCEPT\n-A ufw-user-forward -o lab0 -j ACCEPT", "ip6tables")
    restore("legacy", DOCKER + ALLOW)
    assert [(each.manager, [str(flow) for flow in each.flows]) for each in found(*flows)] == [
        ("firewalld", new4 + new6),
        ("docker", new4[1:]),
    ]


def test_a_host_without_a_firewall_gets_none_by_being_looked_at() -> None:
    assert state().firewall == ()
    names = Path("/proc/thread-self/net/ip_tables_names")
    assert not names.exists() or names.read_text() == ""
    assert run("nft", "list", "ruleset") == ""


def test_what_bridges_pass_on_is_told_where_the_kernel_shows_it_to_iptables() -> None:
    switch = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
    run("ip", "link", "add", "name", "br0", "type", "bridge")
    for value in "01":
        switch.write_text(value)
        assert sees_bridged(state(), 4) == (value == "1")


@pytest.mark.parametrize("backend", ["nft", "legacy"])
def test_thousands_of_rules_are_read_each_for_what_it_is(backend: str) -> None:
    """By a reader of our own, since the library's takes seconds; it sees the same expressions."""
    many = [
        f"-A DOCKER -d 172.17.{number // 250}.{number % 250}/32 ! -i docker0 -o docker0 -p tcp --dport {number + 1} -j ACCEPT"
        for number in range(4000)
    ]
    restore(backend, "\n".join([DOCKER, *many]))
    tables = state().firewall or ()
    (docker,) = [chain for foreign in tables for chain in foreign.table.chains if chain.name == "DOCKER"]
    addresses = {each.network for rule in docker.rules for each in rule.expressions if isinstance(each, AddressIn)}
    assert len(addresses) == 4000
    assert fate(tables, outward(4)) == "drop"
    if backend == "nft":
        request = _nft_codec.encode(_nft_codec.RULE + 1, 2, 0, "rule", (("table", "filter"),))
        with contextlib.closing(Netlink(12)) as kernel:
            messages = kernel.dump(request, 0x300)
        for message in messages[:40]:
            for raw in _nft_steps.raw_rule(message).expressions:
                slow, fast = _nft_codec.decode_step(raw), _nft_steps.fast_step(raw)
                assert fast == slow or fast.name in _nft_steps.XT


def test_a_user_namespace_whose_listing_belongs_to_nobody_has_none_of_the_legacy_tables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(path: str, **_options: object) -> object:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(_xtables, "open", refused, raising=False)
    assert _xtables.read_forwarding() == ()
