# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# gate: the example project's Molecule scenarios, on networks of namespaces, as its reader runs them
# commands: ip ping sysctl unshare
# root: yes

set -euo pipefail

# The path of a socket has to be short.
room=$(mktemp -d)
export NSLAB_PLAYBOOKS=$room/playbooks PATH=$PWD/extensions/molecule/bin:$PATH
ended() {
    ansible-playbook end
    [[ ! -e $NSLAB_PLAYBOOKS.log ]] || cat "$NSLAB_PLAYBOOKS.log"
    rm -r "$room"
}
trap ended EXIT
# Its memory, which else is kept in the home directory.
export ANSIBLE_HOME=$GATE/home
# shellcheck disable=SC2016
scripts/sandbox bash -euc '
    ip netns add other
    cd examples/molecule_routed
    for scenario in default platforms; do
        molecule test -s $scenario
        # Each has a configuration of its own.
        ansible-playbook end
    done
    find /run/netns /run/nslab /etc/netns /var/lib/nslab -mindepth 1 2>/dev/null >"$GATE/left" || true
    ip -brief link | cut -d" " -f1 >>"$GATE/left"
' 2>&1 | tee "$GATE/said"

for scenario in default platforms; do
    steps=(create converge verify destroy)
    [[ $scenario != default ]] || steps+=(idempotence)
    for step in "${steps[@]}"; do
        if ! grep -qE "^$scenario > $step: Executed: Successful" "$GATE/said"; then
            echo "$scenario: $step was not carried out"
            exit 1
        fi
    done
done
if [[ $(paste -sd ' ' "$GATE/left") != "/run/netns/other lo" ]]; then
    echo "left behind: $(cat "$GATE/left")"
    exit 1
fi
echo "scenarios default platforms" >"$GATE/note"
