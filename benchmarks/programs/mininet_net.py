# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab by Mininet, with its LinuxBridge and without a controller; for the interpreter that has Mininet.

mininet_net.py create LAB | change MORE | destroy   in a directory that is the same for all three

A network of Mininet lives in its process, which create leaves behind and the others speak to. Each verb ends with a line of
JSON: the seconds of the work, and the peak of memory, in KiB, of that process.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import sys
import time
from pathlib import Path
from typing import Any

from mininet.log import setLogLevel
from mininet.net import Mininet
from mininet.nodelib import LinuxBridge

SOCKET = "mininet.socket"
PIDS = Path("pids.json")


def build(net: Any, lab: dict[str, Any]) -> None:
    for bridge in lab["bridges"]:
        net.addSwitch(bridge["name"])
    add(net, lab)
    net.start()
    for bridge in lab["bridges"]:
        net.get(bridge["name"]).cmd("ifconfig", bridge["name"], bridge["address"])
    finish(net, lab)


def add(net: Any, lab: dict[str, Any]) -> None:
    """Hosts and links. The first address and the default route of a host are its parameters, as usual."""
    first: dict[str, str] = {}
    for link in lab["links"]:
        for end in (link["first"], link["second"]):
            first.setdefault(end["netns"], end["address"])
    for namespace in lab["namespaces"]:
        default = next(route["via"] for route in namespace["routes"] if route["dst"] == "default")
        net.addHost(namespace["name"], ip=first[namespace["name"]], defaultRoute=f"via {default}")
    for link in lab["links"]:
        one, other = link["first"], link["second"]
        known = {"params1": {"ip": one["address"]}} if one["address"] else {}
        net.addLink(
            net.get(one["master"] or one["netns"]), net.get(other["netns"]), params2={"ip": other["address"]}, **known
        )


def finish(net: Any, lab: dict[str, Any]) -> None:
    """What hosts have no parameters for, as in Mininet's example of a Linux router."""
    for namespace in lab["namespaces"]:
        host = net.get(namespace["name"])
        if namespace["forwards"]:
            host.cmd("sysctl -w net.ipv4.ip_forward=1")
        for route in namespace["routes"]:
            if route["dst"] != "default":
                host.cmd(f"ip route add {route['dst']} via {route['via']}")


def change(net: Any, more: dict[str, Any]) -> None:
    add(net, more)
    for namespace in more["namespaces"]:
        net.get(namespace["name"]).configDefault()
    for link in more["links"]:
        master = link["first"]["master"]
        if master:
            bridge = net.get(master)
            port = bridge.intfList()[-1]
            bridge.cmd("brctl addif", bridge, port)
            bridge.cmd("ifconfig", port, "up")
    finish(net, more)


def timed(work: Any, *of: Any) -> dict[str, Any]:
    began = time.monotonic()
    work(*of)
    seconds = time.monotonic() - began
    return {"seconds": seconds, "peak_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}


def read(file: str) -> dict[str, Any]:
    lab: dict[str, Any] = json.loads(Path(file).read_text(encoding="utf-8"))
    return lab


def serve(file: str, ready: int) -> None:
    setLogLevel("error")
    # It would raise limits of the whole machine by sysctl; only what is this process's own is raised.
    Mininet.inited = True
    for limit in (resource.RLIMIT_NPROC, resource.RLIMIT_NOFILE):
        _soft, hard = resource.getrlimit(limit)
        resource.setrlimit(limit, (hard, hard))
    net = Mininet(switch=LinuxBridge, controller=None)
    said = timed(build, net, read(file))
    write_pids(net)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(SOCKET)
    listener.listen()
    os.write(ready, (json.dumps(said) + "\n").encode())
    os.close(ready)
    while True:
        asked, _who = listener.accept()
        with asked:
            verb, *words = json.loads(asked.makefile().readline())
            if verb == "change":
                said = timed(change, net, read(words[0]))
                write_pids(net)
            else:
                said = timed(net.stop)
            asked.sendall((json.dumps(said) + "\n").encode())
        if verb == "destroy":
            return


def write_pids(net: Any) -> None:
    """Who wants to look inside finds the namespaces by their processes."""
    PIDS.write_text(json.dumps({host.name: host.pid for host in net.hosts}), encoding="utf-8")


def main() -> None:
    verb, *words = sys.argv[1:]
    if verb == "create":
        answer, ready = os.pipe()
        if os.fork() == 0:
            os.close(answer)
            os.setsid()
            # Whoever reads what we print would wait for the process that stays.
            with open("mininet.log", "wb") as log:
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)
            serve(words[0], ready)
            return
        os.close(ready)
        said = os.fdopen(answer).readline()
    else:
        with socket.socket(socket.AF_UNIX) as asked:
            asked.connect(SOCKET)
            asked.sendall((json.dumps([verb, *words]) + "\n").encode())
            said = asked.makefile().readline()
    if not said:
        sys.exit(f"Mininet ended: {Path('mininet.log').read_text(encoding='utf-8', errors='replace')[-400:]}")
    print(said, end="")


if __name__ == "__main__":
    main()
