# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
#
# The namespace of a container, where its engine has it, and two interfaces to hand out.

case $1 in
up)
    ip netns add red
    mkdir /run/container
    touch /run/container/netns
    unshare --net=/run/container/netns true
    ip link add link uplink name mv0 type macvlan mode bridge
    ip tuntap add mode tap name tap0
    ;;
down)
    ip link delete dev mv0
    ip link delete dev tap0
    ip netns delete red
    umount /run/container/netns
    rm -r /run/container
    ;;
esac
