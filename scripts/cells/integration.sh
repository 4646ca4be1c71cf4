# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# The integration targets of all modules in one play, by the ansible-playbook of $CORE, on the Python of $TARGET.

set -euo pipefail
source scripts/cells/versions.sh

echo "core $(core_of "$CORE") on Python $(python_of "$CORE"); Python $(python_of "$TARGET"), pyroute2 $(pyroute2_of "$TARGET")" | tee "$GATE/versions"
targets=tests/integration/targets
modules=()
for file in plugins/modules/*.py; do
    modules+=("$(basename "$file" .py)")
    [[ -e $targets/${modules[-1]}/tasks/main.yml ]] || { echo "${modules[-1]} has no integration target"; exit 1; }
done
interpreter=$environments/$TARGET/bin/python
cat >"$GATE/playbook.yml" <<YAML
- hosts: localhost
  gather_facts: false
  vars:
    ansible_python_interpreter: $interpreter
  pre_tasks:
    - ansible.builtin.setup:
        gather_subset: ["!all", "!min", python]
    - ansible.builtin.assert:
        that: ansible_facts.python.executable == '$interpreter'
  roles: [$(IFS=, && echo "${modules[*]}")]
YAML
export ANSIBLE_ROLES_PATH=$targets ANSIBLE_HOME=$GATE/home ANSIBLE_PIPELINING=true ANSIBLE_DISPLAY_OK_HOSTS=true
scripts/sandbox bash scripts/cells/untouched.sh ansible-playbook "$GATE/playbook.yml" | tee "$GATE/said"
recap=$(grep -E '^localhost +: ok=' "$GATE/said")
for word in unreachable failed skipped rescued ignored; do
    [[ $recap == *" $word=0 "* ]] || { echo "some tasks: $recap"; exit 1; }
done
for module in "${modules[@]}"; do
    grep -qF "TASK [$module : " "$GATE/said" || { echo "the target $module was not run"; exit 1; }
done
echo "$(<"$GATE/versions"): ${#modules[@]} modules" >"$GATE/note"
