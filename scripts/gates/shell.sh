# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# gate: shellcheck on every shell script
# commands: shellcheck

set -euo pipefail

mapfile -t scripts < <(
    git ls-files --cached --others --exclude-standard |
        while IFS= read -r file; do
            [[ -f $file ]] || continue
            if [[ $file == *.sh ]] || head -n1 "$file" | grep -qE '^#!.*\b(ba)?sh\b'; then echo "$file"; fi
        done
)
printf '%s\n' "${scripts[@]}"
shellcheck --external-sources "${scripts[@]}"
