# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# gate: ansible-test sanity, every check, without an ignore file

set -euo pipefail

if compgen -G 'tests/sanity/ignore*' >/dev/null; then
    echo "tests/sanity has an ignore file"
    exit 1
fi
bash scripts/ansible_test.sh sanity --color no
echo "on Python $(cat "$GATE/pythons.txt")" >"$GATE/note"
