# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
#
#   red  10.1.0.2 ──── 10.1.0.1  the host  198.51.100.2 ──── 198.51.100.1  outside      (and fd00:1::2, ::1)
#
# In red there is a web server, and the outside knows the way there. The host has one address more, to be given to what
# leaves.

case $1 in
up)
    ip netns add red
    ip link add name to-red type veth peer name eth0 netns red
    ip -batch - <<'IP'
address add 10.1.0.1/24 dev to-red
address add fd00:1::1/64 dev to-red nodad
link set dev to-red up
address add 198.51.100.50/24 dev uplink
address add 2001:db8:51::50/64 dev uplink nodad
IP
    ip -netns red -batch - <<'IP'
address add 10.1.0.2/24 dev eth0
address add fd00:1::2/64 dev eth0 nodad
link set dev eth0 up
route add default via 10.1.0.1
route add default via fd00:1::1
IP
    ip -netns outside route add 10.1.0.0/24 via 198.51.100.2
    # In a session of its own, since Ansible may end what is left of a task's.
    setsid ip netns exec red "$2" -S "$3/tests/support/outside.py" serve >/run/served </dev/null &
    echo $! >/run/served.pid
    until [ -s /run/served ]; do sleep 0.05; done
    ;;
down)
    kill "$(cat /run/served.pid)"
    rm /run/served /run/served.pid
    ip -netns outside route delete 10.1.0.0/24
    ip -batch - <<'IP'
address delete 198.51.100.50/24 dev uplink
address delete 2001:db8:51::50/64 dev uplink
link delete dev to-red
netns delete red
IP
    ;;
esac
