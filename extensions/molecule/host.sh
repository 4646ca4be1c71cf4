#!/bin/sh
# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The host on which the scenarios run: a network and a mount namespace with an outside behind its uplink.
#
#   host.sh up DIRECTORY PYTHON          makes it
#   host.sh prepare DIRECTORY SCENARIO   refuses if it is not as it was made; lays what the scenario builds on
#   host.sh look DIRECTORY COMMANDS      what the commands of a JSON dict say there, see look.py
#   host.sh clear DIRECTORY SCENARIO     refuses if a trace of the scenario is left; takes away what was laid
#   host.sh enter DIRECTORY COMMAND...   runs the command there
#   host.sh down DIRECTORY               ends it
#
# DIRECTORY has then: python, an interpreter that runs on that host; boot_id, by which it is told from an earlier one; fresh
# and prepared, what was to be seen on it then; and log. What a scenario builds on is laid by its ground.sh, if it has one,
# which is called with up or down, an interpreter, and the checkout.

set -eu
here=$(cd "$(dirname "$0")" && pwd -P)
checkout=$here/../..
verb=$1
directory=${2:-}

fail() {
    echo "$@" >&2
    exit 1
}

# A number alone may be another process's by now.
stands() {
    [ -s "$directory/pid" ] && [ "$(enter cat /run/boot_id 2>&1)" = "$(cat "$directory/boot_id")" ]
}

enter() {
    nsenter --target "$(cat "$directory/pid")" --net --mount -- "$@"
}

on_host() {
    stands || fail "the host that create made is not there"
    enter "$@"
}

# All that a scenario may leave behind, namespace by namespace. Left out is what the kernel does by itself when it comes
# to it: the carrier of a link, link-local addresses, and the routes that go with addresses.
state() {
    for netns in host $(ip netns list | cut -d ' ' -f 1 | sort); do
        echo "## $netns"
        inside=
        [ "$netns" = host ] || inside="nsenter --net=/run/netns/$netns"
        # shellcheck disable=SC2086
        $inside "$0" state-of-namespace
    done
    echo "## files and mounts"
    for file in /etc/netns /run/netns /run/nslab /var/lib/nslab; do
        if [ -e $file ]; then find $file -type d -printf '%p %m\n' -o -printf '%p\n' | sort; fi
    done
    find /etc/netns /run/nslab /var/lib/nslab -type f -exec cksum {} + 2>/dev/null | sort -k 3 || true
    cut -d ' ' -f 5 /proc/self/mountinfo | grep -E '^/(etc|run)' | sort
}

is_as() {
    state | diff "$directory/$1" - >&2 || fail "the host is not as it was $1 (< then, > now)"
}

ground() {
    [ -e "$scenario/ground.sh" ] || return 0
    sh -eu "$scenario/ground.sh" "$1" "$(cat "$directory/real_python")" "$checkout"
}

case $verb in
up)
    mkdir -p "$directory"
    setsid --fork "$checkout/scripts/sandbox" "$0" inside "$directory" "$3" >"$directory/log" 2>&1 </dev/null
    # It says that it is ready by its pid, or ends.
    tries=0
    until [ -s "$directory/pid" ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || { cat "$directory/log" >&2; exit 1; }
        sleep 0.1
    done
    ;;
inside)
    python=$3
    # It stays when the last namespace goes.
    mkdir -p /etc/netns
    "$python" "$checkout/tests/support/outside.py" up --ipv6
    cat /proc/sys/kernel/random/uuid >/run/boot_id
    cp /run/boot_id "$directory/boot_id"
    state >"$directory/fresh"
    printf '#!/bin/sh\nexec nsenter --target %s --net --mount -- %s "$@"\n' $$ "$python" >"$directory/python"
    chmod 0755 "$directory/python"
    printf '%s\n' "$python" >"$directory/real_python"
    echo $$ >"$directory/pid"
    exec sleep infinity
    ;;
prepare | clear)
    on_host "$0" "$verb-inside" "$directory" "$3"
    ;;
prepare-inside)
    scenario=$3
    is_as fresh
    ground up
    state >"$directory/prepared"
    ;;
clear-inside)
    scenario=$3
    is_as prepared
    ground down
    is_as fresh
    ;;
state-of-namespace)
    ip -oneline link | sed 's/ state [A-Z]*//; s/NO-CARRIER,//; s/,LOWER_UP//; s/,M-DOWN//'
    ip -4 -oneline address
    ip -6 -oneline address show scope global | sed 's/ tentative//'
    { ip -4 route show table all; ip -6 route show table all; } |
        sed '/proto kernel/d; s/ linkdown//'
    ip -4 rule
    ip -6 rule
    nft list ruleset
    cd /proc/sys/net
    # Older kernels have no force_forwarding.
    grep -s . ipv4/ip_forward ipv[46]/conf/*/forwarding ipv6/conf/*/force_forwarding ipv6/conf/*/accept_ra || [ $? = 2 ]
    ;;
look)
    on_host "$(cat "$directory/real_python")" -S "$here/look.py" "$3"
    ;;
enter)
    shift 2
    on_host "$@"
    ;;
down)
    if stands; then
        enter "$(cat "$directory/real_python")" "$checkout/tests/support/outside.py" down
        kill -9 "$(cat "$directory/pid")"
    fi
    rm -rf "$directory"
    ;;
esac
