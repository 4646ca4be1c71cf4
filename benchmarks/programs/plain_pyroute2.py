# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab by pyroute2 as its documentation teaches: ``netns.create``, an IPRoute, a NetNS for each namespace.

plain_pyroute2.py create|destroy FILE: the lab in the file, as JSON. Ends with a line of JSON: the seconds without the start
of the interpreter and the imports.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute, NetNS, netns


def create(lab: dict[str, Any]) -> None:
    with IPRoute() as ipr:
        for bridge in lab["bridges"]:
            ipr.link("add", ifname=bridge["name"], kind="bridge")
            index = ipr.link_lookup(ifname=bridge["name"])[0]
            add_address(ipr, index, bridge["address"])
            ipr.link("set", index=index, state="up")
        for namespace in lab["namespaces"]:
            netns.create(namespace["name"])
        for link in lab["links"]:
            if not link["first"]["netns"]:
                add_veth(ipr, link)
                set_end(ipr, link["first"])
    fresh = {namespace["name"]: namespace for namespace in lab["namespaces"]}
    made: dict[str, list[Any]] = {}
    ends: dict[str, list[Any]] = {}
    for link in lab["links"]:
        made.setdefault(link["first"]["netns"], []).append(link)
        for end in (link["first"], link["second"]):
            ends.setdefault(end["netns"], []).append(end)
    # One that is given a link and was there before has its turn first: it makes that link.
    before = [name for name in ends if name and name not in fresh]
    for name in [*before, *fresh]:
        with NetNS(name) as inside:
            inside.link("set", index=inside.link_lookup(ifname="lo")[0], state="up")
            for link in made.get(name, []):
                add_veth(inside, link)
            for end in ends.get(name, []):
                set_end(inside, end)
            for route in fresh[name]["routes"] if name in fresh else ():
                inside.route("add", dst=route["dst"], gateway=route["via"])
        if name in fresh and fresh[name]["forwards"]:
            netns.pushns(name)
            Path("/proc/sys/net/ipv4/ip_forward").write_text("1", encoding="ascii")
            netns.popns()


def add_veth(ipr: Any, link: dict[str, Any]) -> None:
    second = link["second"]
    peer = {"ifname": second["name"], "net_ns_fd": second["netns"]}
    ipr.link("add", ifname=link["first"]["name"], kind="veth", peer=peer)


def set_end(ipr: Any, end: dict[str, Any]) -> None:
    index = ipr.link_lookup(ifname=end["name"])[0]
    if end["address"]:
        add_address(ipr, index, end["address"])
    if end["master"]:
        ipr.link("set", index=index, master=ipr.link_lookup(ifname=end["master"])[0])
    ipr.link("set", index=index, state="up")


def add_address(ipr: Any, index: int, cidr: str) -> None:
    address, _slash, length = cidr.partition("/")
    ipr.addr("add", index=index, address=address, prefixlen=int(length))


def destroy(lab: dict[str, Any]) -> None:
    for namespace in lab["namespaces"]:
        netns.remove(namespace["name"])
    with IPRoute() as ipr:
        for bridge in lab["bridges"]:
            ipr.link("del", index=ipr.link_lookup(ifname=bridge["name"])[0])


def main() -> None:
    verb, file = sys.argv[1:]
    lab = json.loads(Path(file).read_text(encoding="utf-8"))
    began = time.monotonic()
    {"create": create, "destroy": destroy}[verb](lab)
    print(json.dumps({"seconds": time.monotonic() - began}))


if __name__ == "__main__":
    main()
