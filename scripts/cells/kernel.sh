# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# The kernel tests with the Python and the pyroute2 of $TARGET, and the module side of the ansible-core of $CORE, which
# need not run on that Python itself. $TESTS names some of them.

set -euo pipefail
source scripts/cells/versions.sh

echo "Python $(python_of "$TARGET"), pyroute2 $(pyroute2_of "$TARGET"), module side of core $(core_of "$CORE")" | tee "$GATE/versions"
mkdir "$GATE/side"
ln -s "$(ask "$CORE" 'import ansible; print(ansible.__path__[0])')" "$GATE/side/ansible"
read -ra tests <<<"${TESTS:-tests/kernel}"
PYTHONPATH=$GATE/side scripts/sandbox pytest --junitxml="$GATE/report.xml" -o cache_dir="$GATE/pytest" --ways module "${tests[@]}"
