# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``./dev bench``: every way builds every lab, each time in a sandbox of its own, in turns; then the table."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .machine import describe, empty_playbook
from .results import Results, Run, run_from
from .table import report, seconds
from .topologies import lab_of
from .way import CHECKOUT, CREATE, Way
from .ways import ALL

ROOM = CHECKOUT / ".cache" / "bench"
SIZES = (10, 100, 500, 1000)
# Labs that are built when none is named. More than 1000 namespaces need a second bridge.
BRIDGES, CHAINS, GRIDS = (*SIZES, 2000), (100, 1000), (400,)
QUICK = (("bridge", 10), ("bridge", 100))
# Of one run, in seconds.
LIMIT = 3600

# With the first process of a sandbox all the others end, of a run that failed too.
OWN_PIDS = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
if os.geteuid():
    OWN_PIDS += ["--user", "--map-root-user"]


@dataclass(frozen=True)
class Turn:
    way: Way
    kind: str
    size: int
    repeat: int


def main() -> int:
    options = arguments()
    if options.show:
        said = json.loads(options.show.read_text(encoding="utf-8"))
        print(report(Results(map(run_from, said["runs"])), ALL, said["machine"], said["skipped"]), end="")
        return 0
    ways = [way for way in ALL if way.name in options.ways]
    skipped = {way.title: why for way in ways if (why := way.missing())}
    for title, why in skipped.items():
        say(f"{title} is not tried: {why}")
    ways = [way for way in ways if way.title not in skipped]
    machine = describe()
    if any(way.name == "playbook" for way in ways):
        machine["an ansible-playbook that only has a ping"] = empty_playbook()
    runs: list[Run] = []
    for turn in turns(ways, options.labs, options.repeat):
        say(f"{time.strftime('%H:%M:%S')}  {lab_of(turn.kind, turn.size).title:<20} {turn.way.title:<45}", end=" ")
        runs.append(carry_out(turn))
        say(runs[-1].error or f"created in {seconds(runs[-1].measures[CREATE].seconds)}")
        # After each, so that what was measured is not lost with the rest.
        said = {"machine": machine, "skipped": skipped, "runs": [run.to_data() for run in runs]}
        options.output.write_text(json.dumps(said, indent=1), encoding="utf-8")
    say(f"all figures: {options.output}")
    print(report(Results(runs), ALL, machine, skipped), end="")
    return 1 if any(run.error for run in runs) else 0


def turns(ways: Sequence[Way], labs: Sequence[tuple[str, int]], repeats: int) -> Iterator[Turn]:
    """In another order each time, so that what changes on the machine meanwhile hits all ways alike."""
    for repeat in range(repeats):
        for kind, size in labs:
            first = repeat % max(1, len(ways))
            for way in [*ways[first:], *ways[:first]]:
                if kind in way.kinds and size <= way.most and not (way.once and repeat):
                    yield Turn(way, kind, size, repeat)


def carry_out(turn: Turn) -> Run:
    room = tempfile.mkdtemp(prefix="room-", dir=ROOM)
    words = [turn.way.name, turn.kind, str(turn.size), room]
    try:
        done = subprocess.run(
            [*OWN_PIDS, CHECKOUT / "scripts" / "sandbox", sys.executable, "-m", "benchmarks.one", *words],
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            text=True,
            timeout=LIMIT,
            check=True,
        )
    except subprocess.SubprocessError as failure:
        return Run(turn.way.name, turn.kind, turn.size, {}, str(failure))
    finally:
        shutil.rmtree(room)
    return run_from(json.loads(done.stdout.splitlines()[-1]))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    names = [way.name for way in ALL]
    parser.add_argument("labs", nargs="*", metavar="LAB", help="bridge, chain or grid, or with a size: bridge:100")
    parser.add_argument("--sizes", type=listed, metavar="N,N", help="of the labs that are named without one")
    parser.add_argument("--ways", type=listed, default=names, metavar="WAY,WAY", help=f"of {', '.join(names)}")
    parser.add_argument("--repeat", type=int, default=3, help="how often; the medians are shown")
    parser.add_argument(
        "--quick", action="store_true", help="in about a minute: bridge:10 and bridge:100, once, no loop"
    )
    parser.add_argument("--output", type=Path, default=ROOM / "results.json", help="where all figures are kept")
    parser.add_argument("--show", type=Path, metavar="FILE", help="only show what was kept")
    options = parser.parse_args()
    unknown = set(options.ways) - set(names)
    if unknown:
        parser.error(f"no such way: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    if options.quick:
        options.repeat, options.ways = 1, [name for name in options.ways if name != "loop"]
    try:
        options.labs = list(chosen(options.labs, options.sizes, options.quick))
    except ValueError as error:
        parser.error(str(error))
    for directory in (ROOM, options.output.parent):
        directory.mkdir(parents=True, exist_ok=True)
    return options


def chosen(names: Sequence[str], sizes: Sequence[str] | None, quick: bool = False) -> Iterator[tuple[str, int]]:
    """Kinds and sizes. A grid is always 20 x 20 unless its size is told with it.

    :raises ValueError: no such kind, or a size that it can't have.
    """
    if quick and not names and not sizes:
        yield from QUICK
        return
    for name in names or ("bridge", "chain", "grid"):
        kind, _colon, size = name.partition(":")
        known: tuple[int, ...] = {"bridge": BRIDGES, "chain": CHAINS}.get(kind, GRIDS)
        if sizes and kind != "grid":
            known = tuple(number(one) for one in sizes)
        for one in (number(size),) if size else known:
            lab_of(kind, one)
            yield kind, one


def number(text: str) -> int:
    if not text.isdigit():
        raise ValueError(f"not a number of namespaces: {text}")
    return int(text)


def listed(text: str) -> list[str]:
    return text.split(",")


def say(line: str, end: str = "\n") -> None:
    print(line, end=end, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
