# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The C programs of the benchmark, compiled when they are asked for."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from .way import CHECKOUT, PROGRAMS

MADE = CHECKOUT / ".cache" / "bench" / "bin"


def program(name: str) -> Path:
    """The path of what is compiled from it, which is done again when the source is newer.

    :raises subprocess.CalledProcessError: gcc said no.
    """
    source, made = PROGRAMS / f"{name}.c", MADE / name
    if not made.exists() or made.stat().st_mtime <= source.stat().st_mtime:
        MADE.mkdir(parents=True, exist_ok=True)
        fresh = made.with_suffix(f".{os.getpid()}")
        subprocess.run(["gcc", "-std=c11", "-O2", "-Wall", "-Wextra", "-o", fresh, source], check=True)
        fresh.replace(made)
    return made
