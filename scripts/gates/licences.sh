# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# gate: reuse: every file says whose it is and under which licence

set -euo pipefail

reuse lint
