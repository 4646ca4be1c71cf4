# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# gate: the examples of every page, and all that pyroute2 encodes, with the oldest Python and the oldest pyroute2
# environments: oldest@3.9 test
# commands: ip bridge nft ping curl sysctl unshare nsenter setpriv
# root: yes

set -euo pipefail

# pyroute2 encodes what is said of nftables, and is the witness of how rtnetlink is encoded; the examples run every module once
# on this Python. All of the kernel tests with both are cells of ./dev matrix.
tests=(tests/kernel/test_{documented_examples,rtnetlink}.py tests/kernel/test_nftables_*.py)
TARGET=oldest@3.9 CORE=test TESTS=${tests[*]} bash scripts/cells/kernel.sh
