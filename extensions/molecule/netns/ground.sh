# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
#
# The namespace of a container, where its engine has it.

case $1 in
up)
    mkdir /run/container
    touch /run/container/netns
    unshare --net=/run/container/netns true
    ;;
down)
    umount /run/container/netns
    rm -r /run/container
    ;;
esac
