# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the figures were taken on."""

from __future__ import annotations

import os
import platform
import re
import statistics
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .way import PROGRAMS
from .ways.mininet import PYTHON as SYSTEM_PYTHON


def describe() -> dict[str, str]:
    """Names and values, in the order in which they are to be read."""
    return {
        "processor": f"{processor()}, {os.cpu_count()} cores",
        "memory": memory(),
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "ansible-core": package("ansible-core"),
        "pyroute2": package("pyroute2"),
        "iproute2": said("ip", "-V").rpartition("iproute2-")[2].partition(",")[0],
        "Mininet": said(SYSTEM_PYTHON, "-c", "import mininet.net; print(mininet.net.VERSION)"),
        "gcc": said("gcc", "-dumpfullversion"),
    }


def empty_playbook() -> str:
    """How long an ``ansible-playbook`` takes that only has a ``ping``: below that no task of any module can come."""
    took = []
    for _repeat in range(3):
        began = time.monotonic()
        words = ["ansible-playbook", str(PROGRAMS / "ping.yml")]
        done = subprocess.run(words, capture_output=True, check=False)
        if done.returncode:
            return "does not run"
        took.append(time.monotonic() - began)
    return f"{statistics.median(took):.1f} s"


def processor() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", read("/proc/cpuinfo"), re.MULTILINE)
    hypervisor = " (virtual)" if re.search(r"^flags\s*:.*\bhypervisor\b", read("/proc/cpuinfo"), re.MULTILINE) else ""
    return (found[1].strip() if found else platform.machine()) + hypervisor


def memory() -> str:
    found = re.search(r"^MemTotal:\s*(\d+) kB", read("/proc/meminfo"), re.MULTILINE)
    return f"{int(found[1]) / 1024**2:.0f} GiB" if found else "unknown"


def package(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return f"not installed for {sys.executable}"


def said(*argv: str) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    except OSError:
        return "not installed"
    return done.stdout.strip() if done.returncode == 0 else "not installed"


def read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
