# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# gate: every kind of message that the modules send, with the oldest Python and the oldest pyroute2
# environments: oldest@3.9 test
# commands: ip bridge nft ping curl sysctl unshare nsenter setpriv
# root: yes

set -euo pipefail

# What the two differ in is how messages are encoded: the tests here send every kind of message, and take each back. All of
# the kernel tests with this pyroute2 are cells of ./dev matrix.
tests=(tests/kernel/test_{documented_examples,engine,way_back,veth}.py tests/kernel/test_nftables_*.py)
TARGET=oldest@3.9 CORE=test TESTS=${tests[*]} bash scripts/cells/kernel.sh
