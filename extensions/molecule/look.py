# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""look.py COMMANDS: runs the shell commands of a JSON dict, and prints what each said as a dict with the same keys.

What is JSON, as from `ip -j` and `nft -j`, is laid in as it is, all else as text. A command that fails is an error that
names it. All looks together are one task, since a task costs more than they do.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any


def look(command: str) -> Any:
    done = subprocess.run(command, shell=True, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{command}: ended with {done.returncode}: {done.stdout}{done.stderr}")
    try:
        return json.loads(done.stdout)
    except ValueError:
        return done.stdout.strip()


print(json.dumps({name: look(command) for name, command in json.loads(sys.argv[1]).items()}))
