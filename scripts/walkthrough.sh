#!/usr/bin/env bash
# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The part of ./dev walkthrough that runs where the namespaces are: in the sandbox, or with --host on the host itself.
# Called by ./dev, which has made the environment and put it on the PATH. $NSLAB_WALKTHROUGH is another playbook to show.

set -euo pipefail
checkout=$NSLAB_CHECKOUT
cd "$checkout"
# shellcheck source=scripts/environment.sh
source scripts/environment.sh

ansible_for_itself walkthrough
export ANSIBLE_CALLBACK_PLUGINS=$checkout/scripts/callback ANSIBLE_STDOUT_CALLBACK=walkthrough

here=()
if [[ ${1:-} != --host ]]; then
    step "a simulated outside: web and DNS servers on 198.51.100.1, with no route back to any namespace"
    trap 'python tests/support/outside.py down' EXIT
    python tests/support/outside.py up
    here=(-e walkthrough_outside_netns=outside -e walkthrough_resolves=web.example)
fi
step "each step: what and why, the commands it stands for (# is root's prompt), and what a probe found"
ansible-playbook "${NSLAB_WALKTHROUGH:-nslab.linux.walkthrough}" "${here[@]}" </dev/null

cat <<'NEXT'

Next: the playbook that was shown is playbooks/walkthrough.yml; on hosts of yours it is nslab.linux.walkthrough.
./dev lab builds a lab and leaves you in it (--shell); README.md shows how to write one.
NEXT
