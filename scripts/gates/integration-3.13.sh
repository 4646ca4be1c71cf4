# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# gate: every module by ansible-core 2.21 on a host with Python 3.13 and the newest pyroute2, a cell of ./dev matrix
# environments: core-2.21@3.13 newest@3.13
# commands: ip nft unshare
# root: yes

set -euo pipefail

CORE=core-2.21@3.13 TARGET=newest@3.13 bash scripts/cells/integration.sh
