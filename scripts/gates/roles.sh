# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# gate: the roles, and the playbooks that run them, by ansible-playbook
# commands: ip bridge nft ping curl sysctl unshare nsenter setpriv
# root: yes

set -euo pipefail

scripts/sandbox pytest --junitxml="$GATE/report.xml" -o cache_dir="$GATE/pytest" tests/playbooks/test_roles.py
