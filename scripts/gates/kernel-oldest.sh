# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# gate: the modules against the real kernel, with the oldest pyroute2
# environments: oldest test
# commands: ip bridge nft ping curl sysctl unshare nsenter setpriv
# root: yes

set -euo pipefail

TARGET=oldest CORE=test bash scripts/cells/kernel.sh
