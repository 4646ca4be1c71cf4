# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# gate: the walkthrough, the connections, the inventory, the pictures, the playbooks for Molecule and the README's, run by ansible-playbook
# commands: ip bridge nft ping curl sysctl unshare nsenter setpriv sudo
# root: yes

set -euo pipefail

scripts/sandbox pytest --junitxml="$GATE/report.xml" -o cache_dir="$GATE/pytest" --ignore tests/playbooks/test_examples.py --ignore tests/playbooks/test_roles.py tests/playbooks
