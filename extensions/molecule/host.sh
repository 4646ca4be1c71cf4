#!/bin/sh
# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# host.sh up DIRECTORY PYTHON: makes the host on which the scenarios run, a network and a mount namespace with an outside
# behind its uplink. host.sh down DIRECTORY: ends it.
#
# DIRECTORY has then: python, an interpreter that runs on that host; boot_id, by which it is told from an earlier one; and log.

set -eu
here=$(cd "$(dirname "$0")" && pwd -P)
checkout=$here/../..
verb=$1
directory=$2

on_host() {
    nsenter --target "$(cat "$directory/pid")" --net --mount -- "$@"
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
    "$python" "$checkout/tests/support/outside.py" up
    cat /proc/sys/kernel/random/uuid >/run/boot_id
    cp /run/boot_id "$directory/boot_id"
    printf '#!/bin/sh\nexec nsenter --target %s --net --mount -- %s "$@"\n' $$ "$python" >"$directory/python"
    chmod 0755 "$directory/python"
    printf '%s\n' "$python" >"$directory/real_python"
    echo $$ >"$directory/pid"
    exec sleep infinity
    ;;
down)
    # A number alone may be another process's by now.
    if [ -s "$directory/pid" ] && [ "$(on_host cat /run/boot_id 2>&1)" = "$(cat "$directory/boot_id")" ]; then
        on_host "$(cat "$directory/real_python")" "$checkout/tests/support/outside.py" down
        kill -9 "$(cat "$directory/pid")"
    fi
    rm -rf "$directory"
    ;;
esac
