# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# ansible-test sanity of the ansible-core of $CORE; the modules are imported and compiled by each of $PYTHONS.

set -euo pipefail
source scripts/cells/versions.sh

versions="core $(core_of "$CORE") on Python $(python_of "$CORE")"
bash scripts/ansible_test.sh sanity --color no 2>&1 | tee "$GATE/said"
for version in $PYTHONS; do
    for test in import compile; do
        grep -qF "Running sanity test \"$test\" on Python $version" "$GATE/said" || {
            echo "the test $test was not run on Python $version"
            exit 1
        }
    done
done
echo "$versions; on Python $(cat "$GATE/pythons.txt")" >"$GATE/note"
