# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# gate: ansible-test integration: every module makes, mends and removes, and ip and nft say so
# commands: ip nft unshare
# root: yes

set -euo pipefail

version=$(python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
export ANSIBLE_PIPELINING=true
scripts/sandbox bash scripts/cells/untouched.sh bash scripts/ansible_test.sh integration --color no -v \
    --allow-destructive --allow-root --python "$version" 2>&1 | tee "$GATE/said"
# Without these permissions ansible-test leaves a target out, and is content.
count=0
for file in plugins/modules/*.py; do
    module=$(basename "$file" .py)
    grep -qF "Running $module integration test role" "$GATE/said" || { echo "the target $module was not run"; exit 1; }
    count=$((count + 1))
done
if grep -E '^WARNING: (Excluding|Skipping)' "$GATE/said"; then exit 1; fi
[[ $(grep -cE '^testhost +: ok=.* failed=0 +skipped=0 ' "$GATE/said") == "$count" ]] || { echo "some tasks were skipped"; exit 1; }
echo "ansible-test ran the targets of all $count modules" >"$GATE/note"
