# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ns_resolv: the files by which a namespace resolves names."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from support.host import Host

pytestmark = pytest.mark.no_rules

RED = Path("/etc/netns/red")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def host_resolver(text: str) -> None:
    path = Path("/etc/resolv.conf")
    path.unlink(missing_ok=True)
    path.write_text(text)


def test_resolv_conf_is_written_and_removed(host: Host) -> None:
    result = host.changed(
        "ns_resolv",
        netns=["red"],
        nameservers=["192.0.2.53", "2001:db8::53"],
        search=["lab.example", "example"],
        options=["ndots:2", "timeout:1"],
    )
    text = (RED / "resolv.conf").read_text()
    lines = [line.split() for line in text.splitlines() if not line.startswith("#")]
    servers = [line for line in lines if line[0] == "nameserver"]
    assert servers == [["nameserver", "192.0.2.53"], ["nameserver", "2001:db8::53"]]
    assert ["search", "lab.example", "example"] in lines
    assert ["options", "ndots:2", "timeout:1"] in lines
    assert (mode(RED), mode(RED / "resolv.conf")) == (0o755, 0o644)
    assert not (RED / "hosts").exists()
    assert [(file["path"], file["content"]) for file in result["files"]] == [(str(RED / "resolv.conf"), text)]
    host.changed("ns_resolv", netns=["red"], state="absent")
    assert not RED.exists()
    host.unchanged("ns_resolv", netns=["red"], state="absent")


def test_hosts_has_always_the_lines_of_localhost(host: Host) -> None:
    host.changed("ns_resolv", netns=["red"], hosts={"web": "10.0.0.1", "db": ["10.0.0.2", "fd00::2"]})
    lines = [line.split() for line in (RED / "hosts").read_text().splitlines() if line and not line.startswith("#")]
    assert ["10.0.0.1", "web"] in lines
    assert ["10.0.0.2", "db"] in lines
    assert ["fd00::2", "db"] in lines
    assert any(line[0] == "127.0.0.1" and "localhost" in line for line in lines)
    assert any(line[0] == "::1" and "localhost" in line for line in lines)
    assert not (RED / "resolv.conf").exists()


def test_names_resolve_inside(host: Host) -> None:
    host.sh("ip netns add red")
    host.changed("ns_resolv", netns=["red"], hosts={"web": "10.0.0.1"})
    assert host.sh("ip netns exec red getent hosts web").split() == ["10.0.0.1", "web"]
    host.changed("ns_resolv", netns=["red"], hosts={})
    assert not host.try_sh("ip netns exec red getent hosts web")


def test_a_server_is_asked_from_inside(host: Host, outside: object) -> None:
    host.sh("ip netns add red; ip link add name v type veth peer name eth0 netns red; ip address add 10.0.0.1/24 dev v")
    host.sh("ip link set dev v up; ip -n red address add 10.0.0.2/24 dev eth0; ip -n red link set dev eth0 up")
    host.sh("ip -n red route add default via 10.0.0.1; ip -n outside route add 10.0.0.0/24 via 198.51.100.2")
    host.sh("echo 1 > /proc/sys/net/ipv4/ip_forward")
    host.apply("ns_resolv", netns=["red"], nameservers=["host"], search=["search.example"], options=["timeout:2"])
    assert host.sh("ip netns exec red getent ahostsv4 short | head -n 1").split()[0] == "198.51.100.77"


@pytest.mark.parametrize(
    "after",
    [
        {"nameservers": ["192.0.2.54"]},
        {"nameservers": ["192.0.2.53", "192.0.2.54"]},
        {"nameservers": ["192.0.2.53"], "search": ["example"]},
        {"nameservers": ["192.0.2.53"], "options": ["rotate"]},
        {"options": ["rotate"]},
    ],
    ids=str,
)
def test_resolv_conf_then_holds_what_is_declared_and_keeps_what_is_not(host: Host, after: dict[str, Any]) -> None:
    host.apply("ns_resolv", netns=["red"], nameservers=["192.0.2.53"], hosts={"a": "10.0.0.1"})
    hosts = (RED / "hosts").read_text()
    host.changed("ns_resolv", netns=["red"], **after)
    text = (RED / "resolv.conf").read_text()
    assert ("192.0.2.53" in text) == ("192.0.2.53" in after.get("nameservers", ["192.0.2.53"]))
    assert ("rotate" in text) == ("options" in after)
    assert (RED / "hosts").read_text() == hosts


def test_the_order_of_nameservers_matters(host: Host) -> None:
    host.apply("ns_resolv", netns=["red"], nameservers=["192.0.2.53", "192.0.2.54"])
    host.changed("ns_resolv", netns=["red"], nameservers=["192.0.2.54", "192.0.2.53"])


@pytest.mark.parametrize(
    "drift",
    [
        "printf 'nameserver 192.0.2.99\\r\\n# \\351\\r\\nsortlist 10.0.0.0' > /etc/netns/red/resolv.conf",
        "echo nameserver 8.8.8.8 >> /etc/netns/red/resolv.conf",
        "sed -i 's/lab.example/other.example/' /etc/netns/red/resolv.conf",
        "sed -i 's/ndots:2/& rotate/' /etc/netns/red/resolv.conf",
        "chmod 600 /etc/netns/red/resolv.conf",
        "rm /etc/netns/red/resolv.conf",
        "rm /etc/netns/red/hosts",
        "rm -r /etc/netns",
        "chmod 700 /etc/netns/red",
        ": > /etc/netns/red/hosts",
    ],
)
def test_drift_is_mended(host: Host, drift: str) -> None:
    declared = {"netns": ["red"], "nameservers": ["192.0.2.53"], "hosts": {"web": "10.0.0.1"}}
    declared.update(search=["lab.example"], options=["ndots:2"])
    host.apply("ns_resolv", **declared)
    before = host.snapshot()
    host.sh(drift)
    host.changed("ns_resolv", **declared)
    assert before.differences(host.snapshot()) == []


def test_several_namespaces_get_theirs_in_one_task(host: Host) -> None:
    host.apply("ns_resolv", netns=["red"], nameservers=["192.0.2.53"])
    result = host.changed("ns_resolv", netns=["red", "blue"], nameservers=["192.0.2.53"])
    assert not any("/red/" in operation for operation in result.operations)
    assert os.listdir("/etc/netns/blue") == ["resolv.conf"]
    host.changed("ns_resolv", netns=["red", "blue"], state="absent")
    assert not RED.exists()


def test_a_symbolic_link_is_left_while_it_leads_to_what_is_declared_and_then_replaced(host: Host) -> None:
    host.sh(
        "mkdir -p /etc/netns/red; echo nameserver 192.0.2.53 >/etc/shared; ln -s /etc/shared /etc/netns/red/resolv.conf"
    )
    host.unchanged("ns_resolv", netns=["red"], nameservers=["192.0.2.53"])
    host.changed("ns_resolv", netns=["red"], nameservers=["192.0.2.54"])
    assert not (RED / "resolv.conf").is_symlink()
    assert Path("/etc/shared").read_text() == "nameserver 192.0.2.53\n"
    host.sh("ln -s /nowhere /etc/netns/red/hosts")
    host.changed("ns_resolv", netns=["red"], hosts={"web": ["2001:DB8::1", "10.0.0.1"]})
    assert "2001:db8::1 web\n10.0.0.1 web\n" in (RED / "hosts").read_text()
    host.sh(
        "ln -sf /nowhere /etc/netns/red/hosts; ln -sf /etc/shared /etc/netns/red/resolv.conf; ln -s red /etc/netns/blue"
    )
    host.changed("ns_resolv", netns=["blue"], state="absent")
    assert (os.listdir(RED), sorted(os.listdir("/etc/netns"))) == ([], ["blue", "red"])
    assert Path("/etc/shared").exists()


def test_what_is_no_plain_file_is_left(host: Host) -> None:
    host.sh("mkdir -p /etc/netns/red/hosts; touch /etc/netns/blue; chmod 600 /etc/netns/blue")
    host.refuse("ns_resolv", "/etc/netns/red/hosts is no plain file", netns=["red"], hosts={})
    host.refuse("ns_resolv", "/etc/netns/blue", netns=["blue"], hosts={}, in_check_mode=False)
    host.unchanged("ns_resolv", netns=["red", "blue"], state="absent")


def test_other_files_of_the_namespace_stay(host: Host) -> None:
    host.apply("ns_resolv", netns=["red"], nameservers=["192.0.2.53"])
    (RED / "nsswitch.conf").write_text("hosts: files\n")
    host.changed("ns_resolv", netns=["red"], state="absent")
    assert os.listdir(RED) == ["nsswitch.conf"]


def test_the_hosts_own_files_are_not_touched(host: Host) -> None:
    before = [Path(path).read_text() for path in ("/etc/hosts", "/etc/resolv.conf")]
    host.apply("ns_resolv", netns=["red"], nameservers=["192.0.2.53"], hosts={})
    assert before == [Path(path).read_text() for path in ("/etc/hosts", "/etc/resolv.conf")]


# The word host


def test_host_stands_for_the_servers_that_the_host_asks(host: Host) -> None:
    host_resolver("search x\nnameserver 192.0.2.1\nnameserver 2001:db8::1\n# nameserver 192.0.2.9\n")
    host.changed("ns_resolv", netns=["red"], nameservers=["host", "192.0.2.2"])
    lines = (RED / "resolv.conf").read_text().splitlines()
    assert [line.split()[1] for line in lines if line.startswith("nameserver")] == [
        "192.0.2.1",
        "2001:db8::1",
        "192.0.2.2",
    ]
    host_resolver("nameserver 192.0.2.3\n")
    host.changed("ns_resolv", netns=["red"], nameservers=["host"])
    assert (RED / "resolv.conf").read_text() == "nameserver 192.0.2.3\n"
    host.changed("ns_resolv", netns=["red"], nameservers=[])
    assert "nameserver " not in (RED / "resolv.conf").read_text()


def test_what_the_hosts_stub_asks_is_taken_instead_of_it(host: Host) -> None:
    host_resolver("nameserver 127.0.0.53\noptions edns0\n")
    host.sh("mkdir -p /run/systemd/resolve; echo nameserver 192.0.2.7 > /run/systemd/resolve/resolv.conf")
    host.changed("ns_resolv", netns=["red"], nameservers=["host"])
    text = (RED / "resolv.conf").read_text()
    assert "192.0.2.7" in text
    assert "127.0.0.53" not in text


@pytest.mark.parametrize("text", ["", "nameserver 127.0.0.1\n", "nameserver ::1\nnameserver 127.0.0.53\n"])
def test_no_server_but_a_stub_is_refused(host: Host, text: str) -> None:
    host_resolver(text)
    host.refuse("ns_resolv", "nameserver", netns=["red"], nameservers=["host"])
