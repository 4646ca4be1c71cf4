# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""lab: what it made stands in its ledger, is removed when it is no longer declared, and nothing else is."""

from __future__ import annotations

import copy
import os
import re
from pathlib import Path
from typing import Any

import pytest
from support import runner
from support.host import Host

LEDGER, LASTING = Path("/run/nslab/lab.full"), Path("/var/lib/nslab/lab.full")

# Some of everything.
FULL: dict[str, Any] = {
    "name": "full",
    "namespaces": {
        "a": {"routes": [{"dst": "default", "via": "10.1.0.1"}, {"dst": "10.9.0.0/16", "via": "10.2.0.2"}]},
        "b": {"resolv": {"nameservers": ["192.0.2.53"]}},
        "c": {"resolv": {"nameservers": ["192.0.2.54"]}},
    },
    "bridges": {"br0": {"addresses": ["10.1.0.1/24", "fd01::1/64"]}, "br1": None, "br2": {"netns": "a"}},
    "links": [
        {"endpoints": [{"node": "a", "interface": "eth0", "addresses": ["10.1.0.2/24"]}, "br0:pa"]},
        {"endpoints": ["a:eth1", "b:eth1"], "subnet": "10.2.0.0/24"},
        {"endpoints": ["c:eth0", "br1:pc"]},
        {"endpoints": ["b:eth2", "host:hb"]},
    ],
    "nat": [
        {"sources": ["10.1.0.0/24"], "uplink": ["hb"]},
        {"netns": "a", "sources": ["10.2.0.0/24"], "uplink": ["eth0"]},
    ],
}
BYSTANDERS = """
    ip link add name br9 type bridge; ip link add name by0 type veth peer name by1; ip link set dev by0 up
    ip netns add other; ip -n other link set dev lo up; mkdir -p /etc/netns/other; echo x > /etc/netns/other/hosts
    nft add table inet theirs; ip route add blackhole 10.99.0.0/16
"""
INSIDE = """
    ip -n a link add name hand type veth peer name dnah; ip -n a link set dev hand up; ip -n a link set dev dnah up
    ip -n a address add 192.0.2.9/32 dev hand; ip -n a route add 10.77.0.0/16 dev eth1 metric 5
    ip -n a route add 10.9.0.0/16 via 10.2.0.2 metric 9
    echo '# by hand' > /etc/netns/b/other; ip netns exec a nft add table inet mine
"""


def less() -> dict[str, Any]:
    """Without a namespace, a bridge, a link, a route, a rule set, files, and an address."""
    definition = copy.deepcopy(FULL)
    del definition["namespaces"]["c"], definition["bridges"]["br1"], definition["bridges"]["br2"]
    del definition["links"][2:], definition["nat"]
    definition["namespaces"]["a"]["routes"].pop()
    definition["namespaces"]["b"] = None
    definition["bridges"]["br0"]["addresses"].pop()
    return definition


def ledger() -> set[str]:
    """What is in the ledger at its end: lines added, without those taken out later."""
    found: set[str] = set()
    for line in LEDGER.read_text().splitlines():
        sign, _space, entry = line.partition(" ")
        if sign == "+":
            found.add(entry)
        else:
            found = {other for other in found if other.partition(":")[0] != entry}
    return found


def test_what_is_no_longer_declared_is_removed_and_nothing_else(host: Host) -> None:
    host.sh(BYSTANDERS)
    empty = host.snapshot()
    host.apply("lab", **FULL, faulty=False)
    assert ledger() == {
        "namespace a",
        "namespace b",
        "namespace c",
        "route a 0.0.0.0/0 254 0",
        "route a 10.9.0.0/16 254 0",
        "bridge host br0",
        "bridge host br1",
        "bridge a br2",
        "veth a eth0 host pa: a br0",
        "veth a eth1 b eth1: a b",
        "veth c eth0 host pc: c br1",
        "veth b eth2 host hb: b host",
        "addresses host br0: 10.1.0.1/24 fd01::1/64",
        "addresses a eth0: 10.1.0.2/24",
        "addresses a eth1: 10.2.0.1/24",
        "addresses b eth1: 10.2.0.2/24",
        "rules host lab_full",
        "rules a lab_full",
        "files b",
        "files c",
        "network 10.1.0.0/24",
        "network 10.2.0.0/24",
        "network fd01::/64",
    }
    assert LASTING.read_text() == "+ files b\n+ files c\n"
    host.sh(INSIDE)
    kept = {name: os.stat(f"/run/netns/{name}").st_ino for name in ("a", "b", "other")}

    # Left for now, and remembered.
    host.apply("lab", **less(), prune=False, faulty=False)
    assert host.namespaces() == ["a", "b", "c", "other"]
    assert {"br1", "pc", "hb"} <= set(host.links())
    assert "namespace c" in ledger()

    host.changed("lab", **less(), settled=lambda: not host.has_link("pc"))
    assert {name: os.stat(f"/run/netns/{name}").st_ino for name in host.namespaces()} == kept
    assert host.links() == ["br0", "br9", "by0", "by1", "pa"]
    assert host.links("a") == ["dnah", "eth0", "eth1", "hand"]
    assert host.addresses("br0") == ["10.1.0.1/24"]
    assert [(route["dst"], route.get("metric")) for route in host.routes("a")] == [
        ("default", None), ("10.9.0.0/16", 9), ("10.77.0.0/16", 5)
    ]  # fmt: skip
    assert host.addresses("hand", "a") == ["192.0.2.9/32"]
    assert [entry["table"]["name"] for entry in host.ruleset("a") if "table" in entry] == ["mine"]
    assert [entry["table"]["name"] for entry in host.ruleset() if "table" in entry] == ["theirs"]
    assert sorted(os.listdir("/etc/netns")) == ["b", "other"]
    assert os.listdir("/etc/netns/b") == ["other"]
    assert not LASTING.exists()
    assert not {
        entry for entry in ledger() if entry.split()[0] in ("rules", "files") or " c" in entry or "br1" in entry
    }

    # All that is left goes by the name alone; what was laid by hand into its namespaces goes with them.
    Path("/etc/netns/b/other").unlink()
    Path("/etc/netns/b").rmdir()
    host.apply("lab", name="full", state="absent", faulty=False, settled=lambda: not host.has_link("pa"))
    assert empty.differences(host.snapshot()) == []
    host.unchanged("lab", name="full", state="absent")
    host.unchanged("lab", name="never-was", state="absent")


@pytest.mark.by_module
def test_after_a_reboot_the_same_lab_is_taken_again(host: Host) -> None:
    declared = {**less(), "hosts": True}
    host.apply("lab", **declared, faulty=False)
    before = host.snapshot()
    # Nothing of the kernel's is left, nor of /run; the files are.
    host.sh("""
        ip netns delete a; ip netns delete b; ip link delete dev br0; umount -l /run/netns; rm -r /run/netns /run/nslab
        ip link show dev pa && ip link delete dev pa || true
    """)
    assert os.listdir("/etc/netns/a") == ["hosts"]
    host.apply("lab", **declared, faulty=False)
    # But for what the kernel chooses, and the files of the ledger, which are in the other one.
    chosen = re.compile(r"files//run/|.*/links/\w+/address: ")
    assert [text for text in before.differences(host.snapshot()) if not chosen.match(text)] == []
    # And after another one absent removes them, though there is nothing in /run.
    host.sh(
        "ip netns delete a; ip netns delete b; ip link delete dev br0; umount -l /run/netns; rm -r /run/netns /run/nslab"
    )
    host.wait_for(lambda: host.links() == [])
    host.changed("lab", name="full", state="absent")
    assert not Path("/etc/netns/a").exists()
    assert not LASTING.parent.exists()
    assert not LEDGER.exists()


SMALL: dict[str, Any] = {
    "name": "full",
    "namespaces": {"a": None, "b": None},
    "bridges": {"br0": None},
    "links": [{"endpoints": ["a:eth0", "br0:pa"]}, {"endpoints": ["a:eth1", "b:eth1"]}],
}


@pytest.mark.no_rules
@pytest.mark.by_module
def test_a_namespace_that_processes_hold_is_refused_left_or_emptied(host: Host) -> None:
    runner.run("lab", SMALL)
    pid = host.process_in("b")
    host.refuse(
        "lab", rf"namespace b still has processes in it \(pid {pid}\).*processes: ignore", name="full", state="absent"
    )
    host.refuse("lab", f"pid {pid}", **{**SMALL, "namespaces": {"a": None}, "links": SMALL["links"][:1]})
    # The others go, and its links; the namespace itself lives as long as the process, without a name.
    host.changed("lab", name="full", state="absent", processes="ignore", settled=lambda: not host.has_link("pa"))
    assert host.alive(pid)
    assert (host.namespaces(), host.links(), host.links(f"pid:{pid}")) == ([], [], [])
    assert not LEDGER.exists()

    runner.run("lab", SMALL)
    pid = host.process_in("b")
    host.changed(
        "lab", name="full", state="absent", processes="terminate", faulty=False, settled=lambda: not host.has_link("pa")
    )
    assert not host.alive(pid)
    assert (host.namespaces(), host.links()) == ([], [])


@pytest.mark.no_rules
@pytest.mark.by_module
def test_links_of_a_namespace_that_somebody_holds_open_go_all_the_same(host: Host) -> None:
    runner.run("lab", SMALL)
    pid = host.process_in("host", "exec 9</run/netns/a; echo; exec sleep 600")
    host.changed("lab", name="full", state="absent")
    assert (host.namespaces(), host.links()) == ([], [])
    assert host.sh(f"nsenter --net=/proc/{pid}/fd/9 ip -o link").count("\n") == 1
    host.end(pid)
    host.changed("lab", **SMALL, faulty=False)


@pytest.mark.no_rules
@pytest.mark.once
def test_a_bridge_with_a_port_of_somebody_else_is_not_removed(host: Host) -> None:
    runner.run("lab", SMALL)
    host.sh("ip link add name guest type veth peer name tseug; ip link set dev guest master br0")
    host.refuse("lab", r"br0.*guest", name="full", state="absent")
    host.sh("ip link set dev guest nomaster")
    assert not runner.run("lab", {"name": "full", "state": "absent"}).failed
    assert host.links() == ["guest", "tseug"]


@pytest.mark.no_rules
@pytest.mark.by_module
def test_what_others_removed_is_made_again_and_what_they_changed_is_mended(host: Host) -> None:
    runner.run("lab", {**SMALL, "hosts": True})
    before = host.snapshot()
    chosen = re.compile(r"files//run/netns/|.*/links/(pa|eth[01])/(address|mtu): ")
    for drift in (
        "ip netns delete b; while ip -n a link show dev eth1; do sleep 0.01; done",
        "ip link delete dev br0",
        "ip -n a link delete dev eth1",
        "ip link set dev pa nomaster; ip -n a link set dev eth0 mtu 1400 down",
        "rm -r /etc/netns/a; ip -n a link set dev lo down",
        "ip netns delete a; : > /run/netns/a; while ip link show dev pa; do sleep 0.01; done",
    ):
        host.sh(drift)
        assert not runner.run("lab", {**SMALL, "hosts": True}).failed, drift
        assert [text for text in before.differences(host.snapshot()) if not chosen.match(text)] == [], drift
    # A line that a crash cut off is none.
    with LEDGER.open("a") as file:
        file.write("+ namespace other")
    host.sh("ip netns add other; ip netns add othe")
    host.apply("lab", name="full", state="absent", faulty=False, settled=lambda: not host.has_link("pa"))
    assert host.namespaces() == ["othe", "other"]
