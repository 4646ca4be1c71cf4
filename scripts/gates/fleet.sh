# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# gate: the roles and a lab on five hosts over ssh: converged, without a change, verified from inside, gone; and what goes wrong on a fleet
# commands: ip bridge nft ping curl sysctl unshare nsenter setpriv ssh ssh-keygen mmdebstrap
# root: yes

set -euo pipefail

# Before the sandbox, which has no network.
(cd tests && python -m support.userlands)

# The path of a socket has to be short.
room=$(mktemp -d)
export NSLAB_PLAYBOOKS=$room/playbooks ANSIBLE_SSH_CONTROL_PATH_DIR=$room/ssh ANSIBLE_HOME=$room/home MOLECULE_EPHEMERAL_DIRECTORY=$room/memory
path=$PATH
export PATH=$PWD/extensions/molecule/bin:$PATH
# A run that fails ends before destroy.
ended() {
    (cd tests && python -m support.fleet --room ../.cache/molecule-fleet down)
    ansible-playbook end
    [[ ! -e $NSLAB_PLAYBOOKS.log ]] || cat "$NSLAB_PLAYBOOKS.log"
    rm -r "$room"
}
trap ended EXIT
(cd tests && python -m support.fleet --room ../.cache/molecule-fleet down)
scripts/sandbox molecule test -s fleet 2>&1 | tee "$GATE/said"

for step in create converge idempotence verify cleanup destroy; do
    if ! grep -qE "^fleet > $step: Executed: Successful" "$GATE/said"; then
        echo "fleet: $step was not carried out"
        exit 1
    fi
done
# Each of the hosts was changed by converge and by cleanup, and looked at.
for host in host{1..5}; do
    if [[ $(grep -cE "$host +: ok=[0-9]+ +changed=[1-9]" "$GATE/said") != 2 ]]; then
        echo "fleet: $host was not changed twice"
        exit 1
    fi
done
# What ssh keeps open ends when its host does, a moment later.
for _ in {1..50}; do
    pgrep -f "$room/ssh" >/dev/null || break
    sleep 0.1
done
if [[ -e .cache/molecule-fleet ]] || pgrep -af "$room/ssh|$PWD/.cache/molecule-fleet" || grep molecule-fleet /proc/mounts; then
    echo "fleet: something is left"
    exit 1
fi

PATH=$path scripts/sandbox pytest --junitxml="$GATE/report.xml" -o cache_dir="$GATE/pytest" tests/fleet
echo "scenario fleet" >"$GATE/note"
