# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
#
# Two namespaces with a cable between them, one of which the host is plugged into; and a nameserver.

case $1 in
up)
    ip netns add red
    ip netns add blue
    ip link add name eth0 netns red type veth peer name eth0 netns blue
    ip link add name to-red type veth peer name eth1 netns red
    ip -netns red -batch - <<'IP'
address add 10.1.0.1/24 dev eth0
link set dev eth0 up
route add blackhole 10.9.0.0/16
neighbour add 10.1.0.9 lladdr 02:00:00:00:00:09 dev eth0 nud permanent
IP
    ip -netns blue link set dev eth0 mtu 1400 up
    mkdir /etc/netns/red
    echo 'nameserver 192.0.2.53' >/etc/netns/red/resolv.conf
    ;;
down)
    rm -r /etc/netns/red
    ip link delete dev to-red
    ip netns delete red
    ip netns delete blue
    ;;
esac
