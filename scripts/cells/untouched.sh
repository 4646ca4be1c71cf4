# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# untouched.sh COMMAND...: runs the command in a sandbox where something of others stands, and fails when any of it has
# changed, or when something was left behind.

set -euo pipefail

look() {
    ip -oneline address
    ip route show table all
    ip netns list
    ip -n foreign -oneline address
    ip -n foreign route show table all
    nft list ruleset
    grep -r '' /proc/sys/net/ipv4/conf/*/forwarding /proc/sys/net/ipv6/conf/*/forwarding /proc/sys/net/ipv4/ip_forward
    find /etc/netns /run/netns /run/nslab -printf '%p %m %s\n' 2>/dev/null || true
}

ip netns add foreign
ip link add name theirs type veth peer name theirs0 netns foreign
ip link set dev theirs addrgenmode none up
ip -n foreign link set dev theirs0 addrgenmode none up
ip address add 203.0.113.1/24 dev theirs
ip -n foreign address add 203.0.113.2/24 dev theirs0
ip route add 192.0.2.0/25 via 203.0.113.2
ip route add default via 203.0.113.2
nft -f - <<'NFT'
table inet theirs {
    chain forward {
        type filter hook forward priority filter; policy accept;
        tcp dport 22 counter accept comment "theirs"
    }
}
NFT
before=$(look)
"$@"
diff <(echo "$before") <(look) || { echo "something of others has changed, or was left behind"; exit 1; }
