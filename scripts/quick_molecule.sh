# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# Sourced by the gates that run Molecule. Before each step it asks ansible-playbook for its version, which takes half as
# long as a step: from here on it is told again. Needs $GATE.

real=$(command -v ansible-playbook)
ansible-playbook --version >"$GATE/version"
mkdir "$GATE/bin"
# shellcheck disable=SC2016
printf '#!/bin/sh\n[ "$*" != --version ] || exec cat "%s"\nexec "%s" "$@"\n' "$GATE/version" "$real" >"$GATE/bin/ansible-playbook"
chmod 0755 "$GATE/bin/ansible-playbook"
export PATH=$GATE/bin:$PATH
