# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ansible-test runs instead of get-pip.py: pip comes from ensurepip, the pinned packages from the index in use."""

from __future__ import annotations

import os
import subprocess
import sys

# ansible-test sets it to this very file, which pip would take for a requirement.
environment = {name: value for name, value in os.environ.items() if name != "GET_PIP"}
subprocess.run(
    [sys.executable, "-m", "ensurepip", "--default-pip"], check=True, stdout=subprocess.DEVNULL, env=environment
)
# get-pip.py's own options (--no-setuptools, --no-wheel) are unknown to pip.
arguments = [argument for argument in sys.argv[1:] if not argument.startswith("--no-")]
sys.exit(
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", *arguments], check=False, env=environment).returncode
)
