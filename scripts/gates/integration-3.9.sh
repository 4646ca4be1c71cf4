# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# gate: every module by ansible-core 2.21 on a host with Python 3.9 and the oldest pyroute2, a cell of ./dev matrix
# environments: core-2.21@3.13 oldest@3.9
# commands: ip nft unshare
# root: yes

set -euo pipefail

CORE=core-2.21@3.13 TARGET=oldest@3.9 bash scripts/cells/integration.sh
