# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
#
# Two namespaces, with cables that end on the host.

case $1 in
up)
    for name in red blue; do
        ip netns add $name
        ip link add name to-$name type veth peer name eth0 netns $name
        ip link set dev to-$name up
        ip -netns $name link set dev eth0 up
    done
    ip -netns red address add 10.1.0.2/24 dev eth0
    ip -netns blue address add 10.1.0.3/24 dev eth0
    ;;
down)
    for name in red blue; do
        ip link delete dev to-$name
        ip netns delete $name
    done
    ;;
esac
