#!/usr/bin/env bash
# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The part of ./dev lab that runs where the lab is: in the sandbox, or with --host on the host itself. Called by ./dev,
# which has made the environment and put it on the PATH.

set -euo pipefail
checkout=$NSLAB_CHECKOUT
cd "$checkout"
# shellcheck source=scripts/environment.sh
source scripts/environment.sh

where=sandbox shell='' remove=''
for option; do
    case $option in
    --host) where=host ;;
    --shell) shell=yes ;;
    --remove) remove=yes ;;
    esac
done

logs=$cache/lab
ansible_for_itself lab

# playbook LOG SAYING WHAT...: runs it, shows it as one line and keeps what it said in .cache/lab/LOG.log.
playbook() {
    local log=$logs/$1.log saying=$2 began=${EPOCHREALTIME/[^0-9]/}
    shift 2
    printf '  %s' "$saying"
    if ! ansible-playbook -v "$@" >"$log" 2>&1 </dev/null; then
        printf '\n'
        stop "the playbook failed: $(grep -m1 -E '^(\[ERROR\]|ERROR|fatal)' "$log" || tail -n1 "$log") (all it said: ${log#"$checkout"/})"
    fi
    changed=$(sed -nE 's/^localhost .* (changed=[0-9]+) .*/\1/p' "$log")
    local took=$(((${EPOCHREALTIME/[^0-9]/} - began) / 100000))
    printf ': %s, %d.%d s\n' "$changed" $((took / 10)) $((took % 10))
}

lab=(nslab.linux.bridge_lab -e bridge_lab_count=3)

if [[ $remove == yes ]]; then
    [[ $where == host ]] || stop "the lab in the sandbox vanishes by itself; --remove goes with --host"
    playbook remove "ansible-playbook ${lab[*]} -e bridge_lab_state=absent" "${lab[@]}" -e bridge_lab_state=absent
    exit
fi

outside=
if [[ $where == sandbox ]]; then
    step "a simulated outside: web and DNS servers on 198.51.100.1, with no route back to any lab"
    trap 'python tests/support/outside.py down' EXIT
    python tests/support/outside.py up
    outside=198.51.100.1
else
    # The host's own next hop: as far as a probe goes without leaving for the internet.
    outside=$(ip -4 route show default | sed -nE '1s/.*via ([0-9.]+).*/\1/p')
fi

playbook first "ansible-playbook ${lab[*]}" "${lab[@]}"
playbook probe "probes, by nslab.linux.ns_probe" scripts/lab_probe.yml -e where="$where" -e outside="$outside" -e probed="$logs/probed.json"
playbook second "the same again" "${lab[@]}"
[[ $changed == changed=0 ]] || stop "the second run changed something; what it said: ${logs#"$checkout"/}/second.log"
playbook picture "a picture, by the playbook nslab.linux.picture" nslab.linux.picture \
    -e nslab_picture="'$logs/lab.html'" -e nslab_picture_title="'The lab of ./dev lab'"

python scripts/lab_picture.py --where "$where" --bridge nslab0 --probed "$logs/probed.json" --drawn "$logs/lab.html" ${shell:+--shell}

if [[ $shell == yes ]]; then
    if [[ -t 0 ]]; then
        PS1='lab# ' bash --norc -i || true
    else
        bash || true
    fi
fi
