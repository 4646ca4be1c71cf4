# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# gate: molecule: each scenario converged, run again without a change, verified
# commands: ip nft ping curl nc ss conntrack sysctl unshare nsenter
# root: yes

set -euo pipefail

cd extensions
molecule test --all --shared-state
