# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# gate: the modules against the real kernel, with the oldest pyroute2
# environments: oldest
# commands: ip bridge nft conntrack iptables ping curl sysctl unshare nsenter setpriv
# root: yes

set -euo pipefail

python -c 'import importlib.metadata as m, sys; print("Python", sys.version.split()[0], "pyroute2", m.version("pyroute2"))'
scripts/sandbox pytest --junitxml="$GATE/report.xml" -o cache_dir="$GATE/pytest" --ways module tests/kernel
