# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
#
# A namespace with a cable to the host, and with names of its own; and a firewall that drops what is for port 514.

case $1 in
up)
    ip netns add red
    ip link add name to-red type veth peer name eth0 netns red
    ip address add 10.1.0.1/24 dev to-red
    ip link set dev to-red up
    ip -netns red -batch - <<'IP'
address add 10.1.0.2/24 dev eth0
address add 10.1.0.3/24 dev eth0
link set dev eth0 up
IP
    nft -f - <<'NFT'
table inet ground {
    chain input {
        type filter hook input priority filter
        iifname to-red udp dport 514 drop
    }
}
NFT
    mkdir /etc/netns/red
    echo '10.1.0.1 gateway.example' >/etc/netns/red/hosts
    ;;
down)
    rm -r /etc/netns/red
    nft delete table inet ground
    ip link delete dev to-red
    ip netns delete red
    ;;
esac
