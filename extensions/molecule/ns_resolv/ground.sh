# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh

case $1 in
up)
    ip netns add red
    ip netns add blue
    ;;
down)
    ip netns delete red
    ip netns delete blue
    ;;
esac
