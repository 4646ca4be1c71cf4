# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# gate: galaxy-importer takes the collection as Galaxy would
# environments: importer

set -euo pipefail

ansible-galaxy collection build --force --output-path "$GATE" .
cat >"$GATE/importer.cfg" <<'CFG'
[galaxy-importer]
# Both are gates of their own.
run_ansible_test = False
run_ansible_lint = False
ansible_local_tmp = ~/.ansible/tmp
CFG
export GALAXY_IMPORTER_CONFIG=$GATE/importer.cfg
cd "$GATE"
python -m galaxy_importer.main nslab-linux-*.tar.gz 2>&1 | tee importer.log
