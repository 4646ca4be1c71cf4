# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# gate: ansible-test integration: every module makes, mends and removes, and ip and nft say so
# environments: core-2.21@3.13 newest@3.13
# commands: ip nft unshare
# root: yes

set -euo pipefail

source scripts/cells/versions.sh
core=core-2.21@3.13 target=newest@3.13
versions="core $(core_of "$core") on Python $(python_of "$core"); Python $(python_of "$target"), pyroute2 $(pyroute2_of "$target")"
export ANSIBLE_PIPELINING=true
scripts/sandbox bash scripts/cells/untouched.sh bash scripts/ansible_test.sh integration --color no -v \
    --allow-destructive --allow-root --target "controller:python=3.13@$environments/$target/bin/python" 2>&1 | tee "$GATE/said"
# Without these permissions ansible-test leaves a target out, and is content.
count=0
for file in plugins/modules/*.py; do
    module=$(basename "$file" .py)
    grep -qF "Running $module integration test role" "$GATE/said" || { echo "the target $module was not run"; exit 1; }
    count=$((count + 1))
done
if grep -E '^WARNING: (Excluding|Skipping)' "$GATE/said"; then exit 1; fi
[[ $(grep -cE '^testhost +: ok=.* failed=0 +skipped=0 ' "$GATE/said") == "$count" ]] || { echo "some tasks were skipped"; exit 1; }
echo "$versions: $count modules" >"$GATE/note"
