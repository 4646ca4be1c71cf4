# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# ansible-test units of the ansible-core of $CORE on the Python of $TARGET: on the controller's own all of them, on
# another the tests of what runs on managed hosts.

set -euo pipefail
source scripts/cells/versions.sh

controller=$(python_of "$CORE")
managed=$(python_of "$TARGET")
echo "core $(core_of "$CORE") on Python $controller; Python $managed" | tee "$GATE/versions"
short=${managed%.*}
where=$environments/$TARGET/bin/python
[[ $short != "${controller%.*}" ]] || where=$environments/$CORE/bin/python
bash scripts/ansible_test.sh units --color no -v --target-python "$short@$where"
cp ".cache/ansible-test/$(basename "$GATE")/ansible_collections/nslab/linux/tests/output/junit/"*.xml "$GATE/"
