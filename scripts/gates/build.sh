# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# gate: the collection built, installed elsewhere, and every module documented from there

set -euo pipefail

ansible-galaxy collection build --force --output-path "$GATE" .
tarball=$(echo "$GATE"/nslab-linux-*.tar.gz)
mkdir "$GATE/installed"
ANSIBLE_COLLECTIONS_PATH=$GATE/installed ansible-galaxy collection install --offline --no-deps -p "$GATE/installed" "$tarball"
# The other ways that the README names end in the same files.
ANSIBLE_COLLECTIONS_PATH=$GATE/from-checkout ansible-galaxy collection install --offline --no-deps -p "$GATE/from-checkout" .
diff -r --exclude=FILES.json --exclude=MANIFEST.json "$GATE/installed/ansible_collections/nslab" "$GATE/from-checkout/ansible_collections/nslab"
export ANSIBLE_COLLECTIONS_PATH=$GATE/installed
cd "$GATE/installed"
for file in ansible_collections/nslab/linux/plugins/modules/*.py; do
    module=nslab.linux.$(basename "$file" .py)
    # From the file that was installed, not from a checkout that happens to be found.
    ansible-doc --json "$module" | python -c '
import json, sys
((name, said),) = json.load(sys.stdin).items()
doc = said["doc"]
assert "/installed/" in doc["filename"], doc["filename"]
assert said["examples"] and said["return"] and doc["attributes"], name + " lacks examples, return values or attributes"
print(name, "-", doc["short_description"])'
done
ansible-doc --list --type role nslab.linux
