# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run of lab that is killed at any point: the next one makes whole what it is asked for, and nothing stays behind.

`NSLAB_SOAK=200` kills so many times, at other points each time; without it a few times at points that are the same on
every run.
"""

from __future__ import annotations

import ast
import json
import os
import random
from typing import Any

import pytest
from support import faults, killing, runner
from support.host import Host
from support.snapshot import Snapshot

SOAK = int(os.environ.get("NSLAB_SOAK", "0"))
KILLS = SOAK or 6
SEED = random.randrange(10**9) if SOAK else 11

pytestmark = pytest.mark.by_module


def lab(count: int, mtu: int, first: int = 1, **more: Any) -> dict[str, Any]:
    """Members at a bridge of the host, two of which are routers with a link between them, and one behind."""
    members = [f"n{number}" for number in range(first, first + count)]
    return {
        "name": "killed",
        "hosts": True,
        "namespaces": {
            **{member: {"routes": [{"dst": "10.40.0.0/16", "via": "10.30.0.1"}]} for member in members},
            "r1": {"sysctl": {"net.ipv4.ip_forward": "1"}, "resolv": {"nameservers": ["192.0.2.1"]}},
            "r2": {"routes": [{"dst": "default", "via": "10.31.0.1"}, {"dst": "::/0", "via": "fd31::1"}]},
        },
        "bridges": {"br0": {"subnet": ["10.30.0.0/24", "fd30::/64"]}, "br1": {"netns": "r2", "addresses": ["10.32.0.1/24"]}},
        "links": [
            *({"endpoints": [{"node": member, "interface": "eth0", "addresses": address_of(member)}, "br0"], "mtu": mtu}
              for member in members),
            {"endpoints": [{"node": "r1", "interface": "eth0", "addresses": ["10.30.0.9/24"]}, "br0"]},
            {"endpoints": [{"node": "r1", "interface": "eth1", "mac": "52:54:00:00:00:01"}, "r2:eth0"],
             "subnet": ["10.31.0.0/24", "fd31::/64"]},
            {"endpoints": ["r2:in", "br1"]},
            {"endpoints": ["host:out", "r2:out"]},
        ],
        **more,
    }  # fmt: skip


def address_of(member: str) -> list[str]:
    """Declared, as what a subnet gives depends on who was there before."""
    return [f"10.30.0.1{member[1:]}/24", f"fd30::1{member[1:]}/64"]


ABSENT = {"name": "killed", "state": "absent"}
TARGETS: dict[str, dict[str, Any]] = {
    "first": lab(7, 1500, nat=[{"sources": ["10.30.0.0/24"], "uplink": ["out"]}]),
    "second": lab(6, 1400, first=3),
    "absent": ABSENT,
}


def test_whatever_a_killed_run_left_the_next_one_makes_whole(host: Host) -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    whole, calls, seconds = unkilled(host)
    now = "absent"
    for number in range(KILLS):
        target = chance.choice([name for name in TARGETS if name != now])
        said = [f"kill {number} of seed {SEED}: from {now} to {target}"]
        for _again in range(chance.choice([1, 1, 2])):
            run, how = fatal(chance, target, calls[now, target], seconds[now, target])
            result = run.result()
            late = "" if result is None else f", which came too late: {result.get('msg', 'done')}"
            said.append(f"{how}{late}")
            host.wait_for(lambda: not widows(host))
        now = chance.choice([target, target, *TARGETS])
        print("; ".join([*said, f"then {now}"]))
        rerun = runner.run("lab", TARGETS[now])
        assert not rerun.failed, f"{said}, then {now}: {rerun['msg']}"
        changes = settled(host, whole[now])
        assert not changes, f"{said}, then {now}:\n" + "\n".join(changes)
        again = runner.run("lab", TARGETS[now], check=True)
        assert not again.failed and not again.operations, f"{said}, then {now}: {again.get('operations')}"
    ended = runner.run("lab", ABSENT)
    assert not ended.failed, ended["msg"]
    assert not settled(host, whole["absent"])


def unkilled(
    host: Host,
) -> tuple[dict[str, Snapshot], dict[tuple[str, str], int], dict[tuple[str, str], float]]:
    """How the host is when nobody is killed; and of each run how many calls it makes, and how long it takes."""
    whole = {"absent": without_chosen(host.snapshot())}
    calls, seconds = {}, {}
    now = "absent"
    for target in ("first", "second", "first", "absent", "second", "absent"):
        run = killing.counted("lab", TARGETS[target]).result()
        assert run is not None and not run.failed, run
        calls[now, target] = run["calls"]
        seconds[now, target] = run["timings"]["total"] if "timings" in run else 1.0
        if target not in whole:
            whole[target] = without_chosen(host.snapshot())
        changes = settled(host, whole[target])
        assert not changes, f"{target} after {now}:\n" + "\n".join(changes)
        now = target
    return whole, calls, seconds


def fatal(chance: random.Random, target: str, calls: int, seconds: float) -> tuple[killing.Run, str]:
    """A run that is killed, and how."""
    way = chance.choice(["calls", "calls", "seconds", "undoing"])
    options = TARGETS[target]
    if way == "calls":
        at = chance.randrange(1, calls)
        return killing.counted("lab", options, at), f"killed at call {at} of {calls}"
    if way == "seconds":
        delay = chance.uniform(0, seconds)
        return killing.after(delay, "lab", options), f"killed after {delay:.3f} s"
    foretold = runner.run("lab", options, check=True)
    places = faults.places(list(foretold.get("operations") or ()))
    if not places:
        return killing.counted("lab", options, 1), "killed at once"
    place, at = chance.choice(places), chance.randrange(1, calls)
    return killing.undoing("lab", options, place, at), f"failed at {place.number}, killed at call {at} of undoing"


def widows(host: Host) -> list[str]:
    """Links whose other end is in a namespace without a name: nobody holds it any more, and the kernel is about to end it."""
    named = {each["nsid"] for each in json.loads(host.sh("ip -j netns list-id") or "[]") if each.get("name")}
    pairs = [link for link in host.ip("link show") if link.get("linkinfo", {}).get("info_kind") == "veth"]
    return [link["ifname"] for link in pairs if "link" not in link and link.get("link_netnsid") not in named]


def settled(host: Host, wanted: Snapshot) -> list[str]:
    """What is other than wanted. Namespaces that a killed process held end in the kernel's own time."""
    for _try in range(40):
        changes = wanted.differences(without_chosen(host.snapshot()))
        if not changes:
            return []
        host.sh("sleep 0.05")
    return changes


def without_chosen(seen: Snapshot) -> Snapshot:
    """Without what differs between any two runs: the MAC addresses that nobody declared, and inode numbers."""
    for place, state in seen.state.items():
        if place == "files":
            seen.state[place] = {
                path: "namespace" if said.startswith("namespace") else as_set(said) if said.startswith("file") else said
                for path, said in state.items()
            }
            continue
        for link in state["links"].values():
            if not link.get("address", "").startswith("52:54:00"):
                link.pop("address", None)
    return seen


def as_set(said: str) -> str:
    """A ledger holds the same in whatever order it was written, and whatever stood in it meanwhile."""
    kind, mode, content = said.split(" ", 2)
    if not content.startswith("b'+ "):
        return said
    holds: dict[str, str] = {}
    for line in ast.literal_eval(content).decode().splitlines():
        key, _colon, value = line[2:].partition(": ")
        if line[0] == "+":
            holds[key] = value
        else:
            del holds[key]
    return f"{kind} {mode} {sorted(holds.items())}"
