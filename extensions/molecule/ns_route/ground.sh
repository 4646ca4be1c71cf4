# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
#
#   red  10.1.0.2 ──── 10.1.0.1  router  10.2.0.1 ──── 10.2.0.2  blue          (and fd00:1::2, ::1, fd00:2::1, ::2)

case $1 in
up)
    ip netns add router
    ip netns exec router sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    network=1
    for name in red blue; do
        ip netns add $name
        ip -netns router link add name to-$name type veth peer name eth0 netns $name
        ip -netns router -batch - <<IP
address add 10.$network.0.1/24 dev to-$name
address add fd00:$network::1/64 dev to-$name nodad
link set dev to-$name up
IP
        ip -netns $name -batch - <<IP
address add 10.$network.0.2/24 dev eth0
address add fd00:$network::2/64 dev eth0 nodad
link set dev eth0 up
IP
        network=$((network + 1))
    done
    ;;
down)
    for name in red blue router; do ip netns delete $name; done
    ;;
esac
