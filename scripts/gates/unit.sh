# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# gate: ansible-test units: the pure parts, without root and without a kernel

set -euo pipefail

version=$(python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
bash scripts/ansible_test.sh units --color no --python "$version" -v
cp .cache/ansible-test/unit/ansible_collections/nslab/linux/tests/output/junit/*.xml "$GATE/"
