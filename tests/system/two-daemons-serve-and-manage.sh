#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# One tvqd serves the management device over vfio-user and has the image; another one manages it and
# presents a disk; an unmodified guest works on it. Then either daemon is killed under a guest. The
# serving one goes on without the managing one, and so does the guest when there is a new one. The
# managing one says that the server is gone, and ends. Argument: the ring format of the guest's disk
# and of the transport virtqueue.
#
# run: split
# run: packed
. "$(dirname "$0")/lib.sh"

rings=${1-split}
need_qemu 7.2
packed=off
[ "$rings" = split ] || packed=on
socket=$tmp/mgmt0.sock
disk="$tmp/vda.sock,num-queues=1,packed=$packed"
manager_pid=''

# manager COMMAND...: the command means the managing daemon.
manager() {
	local control=$tmp/manager-control.sock log=$tmp/manager.log tvqd_pid=$manager_pid ret=0
	"$@" || ret=$?
	manager_pid=$tvqd_pid
	return $ret
}

start_manager() {
	: >>"$tmp/manager.log"
	manager start_tvqd --manage "vfio-user:$socket" --transportq "$rings"
}

add_disk() {
	check "the managing daemon adds a device on the serving one's volume" \
		manager ctl dev add name vda mgmtdev mgmt0 class block volume image \
		vhost-user "$tmp/vda.sock"
}

no_devices() { ctl dev show >"$tmp/list" && [ ! -s "$tmp/list" ]; }

kill_guest() {
	kill -KILL "$(cat "$tmp/qemu.pid" 2>/dev/null)" 2>/dev/null || true
	wait "$guest_pid" 2>/dev/null || true
	guest_pid=''
}

mkdir "$tmp/files"
echo "greetings from the host" >"$tmp/files/greeting"
head -c 4000000 /dev/urandom >"$tmp/files/random"
(cd "$tmp/files" && sha256sum random >sums)
make_image "$tmp/disk.img" 64 "$tmp/files"

start_tvqd --serve "vfio-user:$socket"
check_says "nobody is connected yet" 'connected false' ctl mgmtdev show
check "the serving daemon has the image" ctl volume add name image file "$tmp/disk.img"
start_manager
check_says "the managing daemon is connected" 'connected true' ctl mgmtdev show
check_fails "the managing daemon has no volumes" 'ask that one' manager ctl volume show
check_fails "the serving daemon adds no devices" 'driven by the vfio-user client' \
	ctl dev add name d mgmtdev mgmt0 class block
add_disk
check_says "the owner sees the device by its number, with the volume" '^1: .* volume image' \
	ctl dev show

### A guest mounts it, reads, writes, powers off

cat >"$tmp/job" <<'GUEST'
set -e
echo "packed $(cut -c35 /sys/block/vda/device/features)"
mount /dev/vda /mnt
cat /mnt/greeting
cd /mnt
sha256sum -c sums
cp random copy
echo "greetings from the guest" >answer
cd /
sync
umount /mnt
GUEST
start_guest "$tmp/job" --disk "$disk"
wait_guest "the guest's script succeeds"
bit=0
[ "$rings" = split ] || bit=1
check_file "the disk's ring is $rings" "^packed $bit" "$console"
check_file "the guest reads the host's greeting" '^greetings from the host' "$console"
check_file "the guest reads all of a large file" '^random: OK' "$console"
check "the device is removed" manager ctl dev del vda
check "which the owner sees" no_devices
check "the volume is removed" ctl volume del image
check "the image is a clean file system" e2fsck -fn "$tmp/disk.img"
check_says "the guest's file is in the image" '^greetings from the guest' \
	debugfs -R 'cat answer' "$tmp/disk.img"
debugfs -R "dump copy $tmp/copy" "$tmp/disk.img" 2>/dev/null
check "the guest's copy in the image is whole" cmp "$tmp/files/random" "$tmp/copy"

### The managing daemon is killed under a guest, and started again

check "the image is a volume again" ctl volume add name image file "$tmp/disk.img"
add_disk
cat >"$tmp/writer" <<'GUEST'
mount /dev/vda /mnt
echo kept >/mnt/kept
round=0
while :; do
	cp /mnt/random /mnt/junk
	sync
	echo 3 >/proc/sys/vm/drop_caches
	cmp /mnt/random /mnt/junk || break
	round=$((round + 1))
	echo "round $round"
done
GUEST
start_guest "$tmp/writer" --disk "$disk,reconnect=1" --pidfile "$tmp/qemu.pid"
wait_console "a guest writes" '^round 2$' 80
check_says "its memory is mapped at the serving daemon" '^ *regions [1-9]' ctl mgmtdev show
manager kill_tvqd
check "the serving daemon lives" tvqd_alive
check "and finds its client gone" wait_until 10 sh -c \
	"'$tvqctl' --control '$control' mgmtdev show | grep -q 'connected false'"
start_manager
check "the devices of the dead one went with its reset" no_devices
round=$(grep -c '^round' "$console")
add_disk
wait_console "the guest goes on, its requests in flight are done again" "^round $((round + 3))$" 60
kill_guest
check "the device of the guest that was killed is removed" manager ctl dev del vda
add_disk
cat >"$tmp/reader" <<'GUEST'
set -e
mount /dev/vda /mnt
cat /mnt/kept
rm -f /mnt/junk
sync
echo reading
while :; do
	dd if=/dev/vda of=/dev/null bs=64k iflag=direct 2>/dev/null
done
GUEST
start_guest "$tmp/reader" --disk "$disk" --pidfile "$tmp/qemu.pid"
wait_console "a new guest works with the new managing daemon" '^reading' 80
check_file "what was synced is there" '^kept' "$console"

### The serving daemon is killed under that guest

kill_tvqd
status=0
wait_until 10 gone "$manager_pid" || true
if gone "$manager_pid"; then
	wait "$manager_pid" || status=$?
	check "the managing daemon ends, with status 1" test "$status" = 1
else
	not_ok "the managing daemon ends"
fi
manager_pid=''
check_file "it says that the server is gone" 'mgmt0 is gone: ' "$tmp/manager.log"
check "it says so once" test "$(grep -c 'mgmt0 is gone' "$tmp/manager.log")" = 1
check "it has removed the disk's socket" test ! -e "$tmp/vda.sock"
check "and its own" test ! -e "$tmp/manager-control.sock"
log=$tmp/manager.log check "its log has no sanitizer's report" no_sanitizer_report
kill_guest
check_says "the image has what the guest had written" '^kept' \
	debugfs -R 'cat kept' "$tmp/disk.img"

### Both end cleanly

start_tvqd --serve "vfio-user:$socket"
start_manager
manager kill -TERM "$manager_pid"
status=0
wait "$manager_pid" || status=$?
check "the managing daemon ends with status 0 on SIGTERM" test "$status" = 0
stop_tvqd
finish
