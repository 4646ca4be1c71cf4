# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows the lab of ./dev lab in the terminal, as `ip` sees it, with what the probes found."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FETCH = "import urllib.request as u; print(u.urlopen('http://web.example/', timeout=5).read().decode().strip())"


@dataclass(frozen=True)
class Node:
    name: str
    interface: str
    address: str


def ip(*words: str) -> Any:
    said = subprocess.run(["ip", "-j", *words], check=True, capture_output=True, text=True).stdout
    return json.loads(said or "[]")


def address_of(interface: str, netns: str | None = None) -> str:
    """The first IPv4 address, in CIDR form, or a dash."""
    within = ["-n", netns] if netns else []
    for link in ip(*within, "-4", "address", "show", "dev", interface):
        for one in link.get("addr_info", []):
            return f"{one['local']}/{one['prefixlen']}"
    return "-"


def uplink() -> str | None:
    routes = ip("-4", "route", "show", "default")
    return routes[0]["dev"] if routes else None


def nodes_of(bridge: str) -> list[Node]:
    """The namespaces whose eth0 is the other end of a port of the bridge."""
    ports = {port["ifindex"] for port in ip("link", "show", "master", bridge)}
    found = []
    for namespace in ip("netns", "list"):
        name = namespace["name"]
        for link in ip("-n", name, "link", "show"):
            if link.get("link_index") in ports and link["ifname"] != "lo":
                found.append(Node(name, link["ifname"], address_of(link["ifname"], name)))
    return sorted(found, key=lambda node: (len(node.name), node.name))


def picture(bridge: str, where: str) -> list[str]:
    up = uplink()
    own = address_of(up).partition("/")[0] if up else "-"
    subnet = next((r["dst"] for r in ip("-4", "route", "show", "dev", bridge) if r["dst"] != "default"), "the lab")
    host = "the sandbox, a host of its own" if where == "sandbox" else "this host"
    lines = []
    if where == "sandbox":
        lines += ["  outside   198.51.100.1        web and DNS servers; knows no way to the lab", "     │"]
    if up:
        lines += [f"  {up:<9} {own:<19} uplink of {host}", f"     │      NAT: what comes from {subnet} leaves as {own}"]
    lines.append(f"  {bridge:<9} {address_of(bridge):<19} bridge")
    nodes = nodes_of(bridge)
    for number, node in enumerate(nodes, 1):
        branch = "└" if number == len(nodes) else "├"
        lines.append(f"     {branch}── {node.name:<5} {node.address:<16} {node.interface}, namespace")
    return lines


def probe_lines(probed: list[dict[str, Any]], widths: tuple[int, int] = (9, 28)) -> list[str]:
    """One line for each probe, in columns: from where, what, how it went, and what there is to say of that."""
    origin, what = widths
    lines = []
    for probe in probed:
        if not probe["ok"]:
            verdict = "NOT AS EXPECTED"
        elif probe.get("error"):
            verdict = "fails, rightly"
        else:
            verdict = "answers"
        if probe.get("rtt_ms") is not None:
            found = ", ".join(probe["result"]) if isinstance(probe.get("result"), list) else ""
            seen = f"seen as {probe['seen']}" if probe.get("seen") else ""
            said = "  ".join(part for part in (f"{probe['rtt_ms']:.2f} ms", found, seen) if part)
        else:
            said = str(probe.get("error") or probe.get("result") or "")
        lines.append(f"  {probe['from']:<{origin}} {probe['what']:<{what}} {verdict:<16} {said}".rstrip())
    return lines


def fetched(namespace: str) -> str:
    """What the web server outside says of who asks it; Python does the asking, inside the namespace."""
    command = ["ip", "netns", "exec", namespace, sys.executable, "-c", FETCH]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.stdout.strip() or done.stderr.strip().rpartition("\n")[2]


def main() -> None:
    parser = argparse.ArgumentParser(description="Shows the lab of ./dev lab.")
    parser.add_argument("--where", choices=["sandbox", "host"], required=True)
    parser.add_argument("--bridge", required=True)
    parser.add_argument("--shell", action="store_true", help="a shell in the lab follows")
    parser.add_argument("--probed", type=Path, required=True)
    parser.add_argument("--drawn", type=Path, required=True, help="the page with its picture")
    options = parser.parse_args()
    lines = ["", "The lab", "", *picture(options.bridge, options.where), "", "The probes", ""]
    lines += probe_lines(json.loads(options.probed.read_text(encoding="utf-8")))
    if options.where == "sandbox":
        lines.append(f"  {'ns1':<9} {'fetch http://web.example/':<28} {'seen outside as':<16} {fetched('ns1')}")
    lines += ["", "The second run of the same playbook changed nothing.", ""]
    lines += [f"Its picture, for the browser: {options.drawn.absolute().as_uri()}", ""]
    lines += what_next(options.where, options.shell)
    print("\n".join(lines))


def what_next(where: str, shell: bool) -> list[str]:
    around = [
        "  ip netns exec ns1 ip address          what ns1 has",
        "  ip netns exec ns1 ping 10.213.0.3     ns1 to ns2",
        "  ip -br link show master nslab0        the ports of the bridge",
    ]
    if where == "host":
        return ["Look around:", *around, "", "Take it away:", "  ./dev lab --host --remove"]
    if shell:
        return ["A shell in the sandbox; the lab ends with it (exit). Look around:", *around, ""]
    sudo = "" if os.environ.get("SUDO_USER") is None else "sudo "
    return [
        f"The sandbox is gone when this ends. To look around in it: {sudo}./dev lab --shell, and there:",
        *around,
        "Next: the same lab on hosts of yours is the playbook nslab.linux.bridge_lab; README.md tells how.",
    ]


if __name__ == "__main__":
    main()
