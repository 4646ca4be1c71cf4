# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# Sourced by ./dev: the interpreter, the Python environments under .cache/ and the paths. Needs $checkout.

: "${checkout:?is set by ./dev}"
cache=$checkout/.cache
export NSLAB_CHECKOUT=$checkout
# Without bytecode every process compiles all of Ansible anew; unbuffered Python reads a module from its input by the byte.
unset PYTHONDONTWRITEBYTECODE PYTHONUNBUFFERED

# What a person sees: what is being done, and, at the end of the road, the one line that says what is missing.
step() { printf '  %s\n' "$*"; }
stop() {
    printf './dev: %s\n' "$*" >&2
    exit 1
}

# shellcheck source=scripts/python.sh
source "$checkout/scripts/python.sh"

# The interpreter for everything here. 3.11 first, because that is where ansible-core 2.19 begins.
choose_python() {
    local name found
    for name in python3.11 python3.12 python3.13 python3.14 python3; do
        found=$(real_python "$name") || continue
        "$found" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || continue
        echo "$found"
        return
    done
    return 1
}

has_venv() {
    "$1" -c 'import ensurepip, venv' 2>/dev/null
}

# The packages that would give an interpreter and its venv module, where one of them is not there.
python_packages() {
    local found
    if ! found=$(choose_python); then
        # Ubuntu 22.04, whose python3 is older, has a 3.11 beside it.
        if real_python python3 >/dev/null; then
            printf '%s\n' python3.11 python3.11-venv
        else
            printf '%s\n' python3 python3-venv
        fi
    elif ! has_venv "$found"; then
        "$found" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'
    fi
}

find_python() {
    python=$(choose_python) ||
        stop "Python 3.11 or later is missing, $(python3 --version 2>/dev/null || echo 'no Python') is here (Debian 12 and Ubuntu 24.04 bring it)"
    has_venv "$python" || stop "$python has no venv module"
}

# environment NAME: makes .cache/environments/NAME from tests/requirements/NAME.txt, unless it stands as it should.
# environment NAME@3.9: the same for another Python. Where that is not here it says so, and makes none.
environment() {
    local name=$1 directory=$cache/environments/$1 log=$cache/logs/environment-$1.log requirements key
    local interpreter=$python version=${1#"${1%@*}"}
    requirements=$checkout/tests/requirements/${name%@*}.txt
    if [[ -n $version ]] && ! { interpreter=$(real_python "python${version#@}") && has_venv "$interpreter"; }; then
        step "$(python_hint "${version#@}"); what needs it is not run"
        rm -rf "$directory"
        return
    fi
    # With its place: what is installed begins with the path of the interpreter, and is of no use elsewhere.
    key=$({ echo "$directory"; "$interpreter" -c 'import sys; print(sys.version, sys.base_prefix)'; cat "$checkout/tests/requirements/lab.txt" "$requirements"; } | sha256sum)
    if [[ $(cat "$directory/complete" 2>/dev/null) == "$key" ]]; then
        return
    fi
    step "making the Python environment \"$name\" in .cache/environments/$name"
    mkdir -p "$cache/logs"
    rm -rf "$directory"
    {
        "$interpreter" -m venv "$directory" &&
            "$directory/bin/pip" install --no-compile --disable-pip-version-check -r "$requirements"
    } >"$log" 2>&1 || stop "pip could not make the environment \"$name\": $(grep -m1 '^ERROR' "$log" || tail -n1 "$log") (all of it: ${log#"$checkout"/})"
    printf '%s\n' "$key" >"$directory/complete"
}

# Several at once: pip waits for the network half of the time.
environments() {
    local name made=()
    for name in "$@"; do
        environment "$name" &
        made+=($!)
    done
    for name in "${made[@]}"; do
        wait "$name" || exit 1
    done
}

# Ansible finds the checkout as a collection through a link, whatever the checkout is called.
link_collection() {
    mkdir -p "$cache/ansible_collections/nslab"
    ln -sfn "$checkout" "$cache/ansible_collections/nslab/linux"
    export ANSIBLE_COLLECTIONS_PATH=$cache
    export ANSIBLE_LOCALHOST_WARNING=false ANSIBLE_INVENTORY_UNPARSED_WARNING=false
}

# ansible_for_itself NAME: a person's own configuration is about other hosts; and nothing is left in the home directory.
ansible_for_itself() {
    mkdir -p "$cache/$1"
    export ANSIBLE_CONFIG=$checkout/scripts/ansible.cfg ANSIBLE_HOME=$cache/$1/ansible ANSIBLE_REMOTE_TEMP=$cache/$1/tmp
    export ANSIBLE_NOCOLOR=1 ANSIBLE_FORCE_COLOR=0
}
