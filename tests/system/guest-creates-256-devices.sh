#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# One guest creates 256 managed devices, all of them there at the same time, reads from the last,
# and deletes them; nothing is left, neither in the guest nor in tvqd. Argument: the kernel.
#
# run: trixie
. "$(dirname "$0")/guest/lib.sh"

need_module "${1-trixie}"
serve ,msi-page=on
for ((i = 1; i <= 256; i++)); do
	echo "volume add name disk$i ram 1M"
done >"$tmp/volumes"
check "256 volumes are added" ctl --batch "$tmp/volumes"

boot <<'GUEST'
load
disks() { ls /sys/block | grep -c '^vd'; }
for i in $(seq 256); do
	vdpa dev add name disk$i mgmtdev $manager
done
all_are_there() { [ "$(disks)" = 256 ]; }
within 60 all_are_there
echo "vdpa shows $(vdpa dev show | grep -c '^disk'), there are $(disks) disks"
within 10 has_disk disk256
echo "read $(dd if=/dev/$(disk_of disk256) bs=64k 2>/dev/null | wc -c) bytes"
for i in $(seq 256); do
	del disk$i
done
echo "vdpa shows $(vdpa dev show | grep -c '^disk'), there are $(disks) disks"
add disk7
echo "one more is $disk"
del disk7
rmmod tvq_vdpa
calm
GUEST
need_guest
check_file "256 devices and their disks are there at one time" \
	'^vdpa shows 256, there are 256 disks' "$console"
check_file "the last of them is read" '^read 1048576 bytes' "$console"
check_file "all are deleted" '^vdpa shows 0, there are 0 disks' "$console"
check_file "another one is created then" '^one more is vd' "$console"
check_says "tvqd counts no device" '"devices": *0' ctl --json --pretty mgmtdev show mgmt0
finish
