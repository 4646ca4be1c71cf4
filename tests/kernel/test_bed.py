# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bed on which the others lie: what it would overlook, no test would see."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import outside as simulation
from support.host import Host, Make, Outside, assert_foretold
from support.sandbox import LeftBehindError, sandbox, why_impossible

pytestmark = pytest.mark.once

FURNISHED = """
ip netns add red
ip link add name v0 type veth peer name eth0 netns red
ip link add name br0 type bridge
ip link add name br1 address 02:00:00:00:00:02 type bridge
ip link set dev v0 mtu 1400
ip address add 10.0.0.1/24 dev v0
ip address add 10.0.0.2/24 dev v0
ip address add fd00::1/64 dev v0 nodad
ip link set dev v0 up
ip -n red link set dev eth0 up
ip route add 10.1.0.0/16 via 10.0.0.9
nft add table inet t
mkdir -p /etc/netns/red /run/nslab
echo nameserver 10.0.0.1 > /etc/netns/red/resolv.conf
"""


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ("ip netns add blue", "files//run/netns/blue"),
        ("ip netns delete red", "files//run/netns/red"),
        ("ip link set dev v0 name v1", "host/links/v1"),
        ("ip link set dev v0 mtu 1300", "host/links/v0/mtu"),
        ("ip link set dev v0 address 02:00:00:00:00:01", "host/links/v0/address"),
        ("ip link set dev v0 down", "host/links/v0/flags"),
        ("ip link set dev v0 promisc on", "host/links/v0/flags"),
        ("ip link set dev v0 master br0", "host/links/v0/master"),
        ("ip -n red link set dev eth0 name eth1", "host/links/v0/peer"),
        ("ip link set dev br0 type bridge ageing_time 100", "host/links/br0/linkinfo"),
        ("ip address add 10.0.0.3/24 dev v0", "host/links/v0/addresses"),
        ("ip address delete fd00::1/64 dev v0", "host/links/v0/addresses"),
        ("ip link set dev br1 address 02:00:00:00:00:01", "host/links/br1/address"),
        ("ip address change 10.0.0.1/24 dev v0 valid_lft 900 preferred_lft 900", "host/links/v0/addresses"),
        ("ip route add 10.2.0.0/16 via 10.0.0.9", "host/routes"),
        ("ip route change 10.1.0.0/16 via 10.0.0.8", "host/routes"),
        ("ip route add blackhole 10.3.0.0/16 table 77", "host/routes"),
        ("ip -6 route add unreachable 2001:db8::/64", "host/routes"),
        ("ip -n red route add blackhole default", "red/routes"),
        ("ip rule add from 10.0.0.0/24 table 77", "host/rules"),
        ("echo 1 > /proc/sys/net/ipv4/ip_forward", "host/sysctls//proc/sys/net/ipv4/ip_forward"),
        ("echo 0 > /proc/sys/net/ipv6/conf/v0/accept_ra", "host/sysctls//proc/sys/net/ipv6/conf/v0/accept_ra"),
        ("nft add chain inet t c", "host/nft"),
        ("chmod 600 /etc/netns/red/resolv.conf", "files//etc/netns/red/resolv.conf"),
        ("echo x >> /etc/netns/red/resolv.conf", "files//etc/netns/red/resolv.conf"),
        ("echo '{}' > /run/nslab/sysctls.json", "files//run/nslab/sysctls.json"),
    ],
)
def test_a_snapshot_sees(host: Host, change: str, place: str) -> None:
    host.sh(FURNISHED)
    before = host.snapshot()
    assert before.differences(host.snapshot()) == []
    host.sh(change)
    changes = before.differences(host.snapshot())
    assert any(line.startswith(place) for line in changes), changes


def test_a_snapshot_does_not_see_what_the_kernel_settles_by_itself(host: Host) -> None:
    host.sh(
        "ip netns add red; ip link add name v0 type veth peer name eth0 netns red; ip address add fd00::1/64 dev v0"
    )
    host.sh("ip link set dev v0 up; ip -n red link set dev eth0 up")
    before = host.snapshot()
    host.sh("for i in $(seq 100); do ip -6 addr show tentative | grep -q . || exit 0; sleep 0.1; done; exit 1")
    assert before.differences(host.snapshot()) == []


def test_a_snapshot_does_not_see_which_address_a_bridge_takes_over_from_a_port(host: Host) -> None:
    host.sh("ip link add name br0 type bridge; ip link add name a type veth peer name b")
    before = host.snapshot()
    host.sh("ip link set dev a master br0")
    there = before.differences(host.snapshot())
    assert not [line for line in there if line.startswith("host/links/br0")]
    host.sh("ip link set dev a nomaster")
    assert host.link("br0")["address"] == "00:00:00:00:00:00"
    assert before.differences(host.snapshot()) == []


def test_the_machine_is_not_touched() -> None:
    if reason := why_impossible():
        pytest.skip(reason)
    machine = (sorted(os.listdir("/sys/class/net")), sorted(os.listdir("/run")), Path("/etc/hosts").read_text())
    with sandbox():
        subprocess.run(FURNISHED + "echo x >> /etc/hosts", shell=True, check=True)
        assert sorted(os.listdir("/sys/class/net")) == ["br0", "br1", "lo", "v0"]
    assert machine == (sorted(os.listdir("/sys/class/net")), sorted(os.listdir("/run")), Path("/etc/hosts").read_text())


def test_a_process_that_is_left_is_ended_and_fails_the_test() -> None:
    if reason := why_impossible():
        pytest.skip(reason)
    with pytest.raises(LeftBehindError, match=r"process \d+"), sandbox():
        subprocess.run(["setsid", "--fork", "sleep", "987"], check=True)
    assert not is_running(b"sleep\x00987")


def is_running(command: bytes) -> bool:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes().startswith(command):
                return True
    return False


def test_a_null_in_the_foretold_state_holds_for_anything_but_no_other_value_does() -> None:
    assert_foretold({"mac": None, "mtu": 1500}, {"mac": "02:00:00:00:00:01", "mtu": 1500})
    with pytest.raises(AssertionError, match=r"state\.mtu"):
        assert_foretold({"mac": None, "mtu": 1500}, {"mac": None, "mtu": 1400})


def test_the_outside_answers_with_the_address_of_its_client(host: Host, make_outside: Make) -> None:
    outside = make_outside(ipv6=True)
    assert host.fetch(outside.WEB) == outside.HOST4
    assert host.fetch(outside.WEB6) == outside.HOST6
    assert host.fetch("http://www.example/") in (outside.HOST4, outside.HOST6)


def test_the_outside_is_a_program_too(host: Host) -> None:
    before = host.snapshot()
    program = f"'{sys.executable}' '{Path(simulation.__file__)}'"
    host.sh(f"{program} up")
    assert host.fetch("http://web.example/") == Outside.HOST4
    host.sh(f"{program} down")
    assert before.differences(host.snapshot()) == []


def test_the_outside_has_no_way_back_to_a_lab(host: Host, make_outside: Make) -> None:
    outside = make_outside()
    host.sh(
        "ip netns add red; ip link add name v0 type veth peer name eth0 netns red; ip address add 10.0.0.1/24 dev v0"
    )
    host.sh("ip link set dev v0 up; ip -n red address add 10.0.0.2/24 dev eth0; ip -n red link set dev eth0 up")
    host.sh("ip -n red route add default via 10.0.0.1; echo 1 > /proc/sys/net/ipv4/ip_forward")
    assert host.ping("10.0.0.1", "red")
    assert host.fetch(outside.WEB, "red") is None
