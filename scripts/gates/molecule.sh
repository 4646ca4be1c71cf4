# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# gate: molecule: each module and role converged, run again without a change, verified, and gone without a trace
# commands: ip bridge nft ping curl sysctl unshare nsenter setpriv
# root: yes

set -euo pipefail

# Its own memory is by the name of the checkout's directory and outlives a run that was cut off: then create is skipped,
# since the host is thought to stand, and all goes on without one.
export MOLECULE_EPHEMERAL_DIRECTORY=$GATE/memory
# The path of a socket has to be short.
room=$(mktemp -d)
export NSLAB_PLAYBOOKS=$room/playbooks PATH=$PWD/extensions/molecule/bin:$PATH
# A run that fails ends before destroy.
ended() {
    [[ ! -d .cache/molecule ]] || extensions/molecule/host.sh down .cache/molecule
    ansible-playbook end
    [[ ! -e $NSLAB_PLAYBOOKS.log ]] || cat "$NSLAB_PLAYBOOKS.log"
    rm -r "$room"
}
trap ended EXIT
# The scenario fleet has hosts and a gate of its own.
molecule test --all --exclude fleet --shared-state 2>&1 | tee "$GATE/said"

# None of them was forgotten, and no step of one was left out.
mapfile -t scenarios < <(
    for path in plugins/modules/*.py roles/*/ extensions/molecule/*/converge.yml; do
        case $path in
        plugins/*) basename "$path" .py ;;
        roles/*) basename "$path" ;;
        extensions/*) basename "$(dirname "$path")" ;;
        esac
    done | sort -u | grep -vx fleet
)
for scenario in default "${scenarios[@]}"; do
    steps=(prepare converge idempotence verify cleanup)
    [[ $scenario != default ]] || steps=(create destroy)
    for step in "${steps[@]}"; do
        if ! grep -qE "^$scenario > $step: Executed: Successful" "$GATE/said"; then
            echo "$scenario: $step was not carried out"
            exit 1
        fi
    done
done
echo "scenarios ${scenarios[*]}" >"$GATE/note"
