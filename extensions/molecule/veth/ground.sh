# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
#
# The bridge has an address of its own, as else it would take on that of its port, and keep none when the port goes.

case $1 in
up)
    ip -batch - <<'IP'
netns add red
netns add blue
link add name br0 address 52:54:00:12:34:00 type bridge
address add 10.3.0.1/24 dev br0
link set dev br0 up
IP
    ;;
down)
    ip netns delete red
    ip netns delete blue
    ip link delete dev br0
    ;;
esac
