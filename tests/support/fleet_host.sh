#!/bin/sh
# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# fleet_host.sh ROOM USERLAND ADDRESS GATEWAY PROPAGATION NAME: becomes the first process of a host of the fleet, see fleet.py.
# It runs in namespaces of its own, of every kind but user. / is an overlay over USERLAND, whose upper layer is memory.

set -eu
room=$1 userland=$2 address=$3 gateway=$4 propagation=$5 name=$6

mount -t tmpfs -o mode=0755 tmpfs "$room/root"
cd "$room/root"
mkdir lower upper work root
mount --bind "$userland" lower
mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work overlay root
cd root

mount -t tmpfs -o mode=0755,size=16m tmpfs run
mount -t tmpfs -o mode=1777,size=256m tmpfs tmp
mount -t proc proc proc
# A fresh one: the one from outside would show its links.
mount -t sysfs sysfs sys
mount -t tmpfs -o mode=0755,size=1m tmpfs dev
mkdir -p dev/pts dev/shm dev/net run/sshd old
for device in null zero full random urandom tty net/tun; do
    [ -e "/dev/$device" ] || continue
    : >"dev/$device"
    mount --bind "/dev/$device" "dev/$device"
done
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr
mount -t tmpfs -o mode=1777 tmpfs dev/shm

# What Python compiles once for all hosts, where the fleet wants that.
session=
if [ -e "$room/bytecode" ]; then
    mkdir -p opt/bytecode/kept
    cp "$(dirname "$0")/bytecode/sitecustomize.py" opt/bytecode/
    mount --bind "$room/bytecode/" opt/bytecode/kept
    session='PYTHONPATH=/opt/bytecode NSLAB_BYTECODE=/opt/bytecode/kept'
fi

install -m 0600 "$room/host_key" etc/ssh/fleet_host_key
install -m 0644 "$room/key.pub" etc/ssh/fleet_authorized_keys
hostname "$name"
echo "$name" >etc/hostname
printf '127.0.0.1 localhost\n::1 localhost\n%s %s\n' "$address" "$name" >etc/hosts
printf 'nameserver 198.51.100.1\n' >etc/resolv.conf
cat /proc/sys/kernel/random/uuid >etc/machine-id

pivot_root . old
umount -l /old
rmdir /old
cd /
# Under systemd / is shared, so that what is mounted in one place appears in others; elsewhere it is private.
mount "--make-r$propagation" /

until [ -e /sys/class/net/eth0 ]; do sleep 0.02; done
ip -batch - <<IP
link set dev lo up
address add $address/24 dev eth0
link set dev eth0 up
route add default via $gateway
IP

exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin /usr/sbin/sshd -D -e \
    -h /etc/ssh/fleet_host_key -o AuthorizedKeysFile=/etc/ssh/fleet_authorized_keys \
    -o UsePAM=no -o UseDNS=no -o PasswordAuthentication=no -o PermitRootLogin=prohibit-password -o MaxStartups=100 \
    -o MaxSessions=100 ${session:+-o "SetEnv=$session"}
