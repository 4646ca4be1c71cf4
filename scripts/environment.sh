# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# Sourced by ./dev: the interpreter, the Python environments under .cache/ and the paths. Needs $checkout.

: "${checkout:?is set by ./dev}"
cache=$checkout/.cache
export NSLAB_CHECKOUT=$checkout

# What a person sees: what is being done, and, at the end of the road, the one line that says what is missing.
step() { printf '  %s\n' "$*"; }
stop() {
    printf './dev: %s\n' "$*" >&2
    exit 1
}

# The real path of an interpreter: a shim on the PATH is asked what it runs.
real_python() {
    "$1" -c 'import sys; print(sys.executable)' 2>/dev/null
}

# 3.11 first, because that is where ansible-core 2.19 begins.
find_python() {
    local name
    for name in python3.11 python3.12 python3.13 python3.14 python3; do
        command -v "$name" >/dev/null || continue
        python=$(real_python "$name") || continue
        "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' && break
        python=
    done
    [[ -n ${python:-} ]] || stop "Python 3.11 or later is missing: apt-get install python3 (Debian 12, Ubuntu 24.04 or later)"
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        stop "$python has no venv module: apt-get install $("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
}

# environment NAME: makes .cache/environments/NAME from tests/requirements/NAME.txt, unless it stands as it should.
environment() {
    local name=$1 directory=$cache/environments/$1 log=$cache/logs/environment-$1.log key
    key=$({ "$python" -c 'import sys; print(sys.version, sys.base_prefix)'; cat "$checkout/tests/requirements/lab.txt" "$checkout/tests/requirements/$name.txt"; } | sha256sum)
    if [[ $(cat "$directory/complete" 2>/dev/null) == "$key" ]]; then
        return
    fi
    step "making the Python environment \"$name\" in .cache/environments/$name"
    mkdir -p "$cache/logs"
    rm -rf "$directory"
    {
        "$python" -m venv "$directory" &&
            "$directory/bin/pip" install --no-compile --disable-pip-version-check -r "$checkout/tests/requirements/$name.txt"
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
