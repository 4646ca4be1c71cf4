# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# gate: ansible-lint, profile production

set -euo pipefail

ansible-lint --version
# Through the link, by which ansible-lint knows the collection as nslab.linux.
cd .cache/ansible_collections/nslab/linux
ansible-lint --profile production --offline --strict
