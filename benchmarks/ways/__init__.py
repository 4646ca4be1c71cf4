# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways that are compared, the quickest first."""

from __future__ import annotations

from ..way import Way
from . import batch, floor, lab, loop, mininet, plain, playbook, shell

ALL: tuple[Way, ...] = (
    floor.WAY,
    lab.WAY,
    playbook.WAY,
    batch.WAY,
    shell.WAY,
    shell.EXEC,
    plain.WAY,
    mininet.WAY,
    loop.WAY,
)
