# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# scripts/soak.sh ROUNDS: the tests of lab that draw by lot, with so many labs, kills and rounds, none of which was drawn
# before. What fails is named with the definitions that it takes to see it again.

set -euo pipefail

tests=(tests/kernel/test_lab_{random,killed,concurrent}.py)
NSLAB_SOAK=$1 exec scripts/sandbox pytest --ways module -o cache_dir=.cache/pytest "${tests[@]}"
