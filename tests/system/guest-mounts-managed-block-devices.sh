#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# An unmodified Linux in an unmodified QEMU mounts two managed block devices, reads what was there,
# and what it writes is in the images afterwards. Arguments: the ring format (split, packed) and
# QEMU (7.2, 11).
#
# run: split 7.2
# run: packed 7.2
# run: split 11
# run: packed 11
. "$(dirname "$0")/lib.sh"

rings=${1-split} qemu=${2-7.2}
need_qemu "$qemu"

mkdir "$tmp/files"
echo "greetings from the host" >"$tmp/files/greeting"
head -c 4000000 /dev/urandom >"$tmp/files/random"
(cd "$tmp/files" && sha256sum random >sums)
make_image "$tmp/one.img" 64 "$tmp/files"
mkdir "$tmp/none"
make_image "$tmp/two.img" 96 "$tmp/none"

start_tvqd
check_says "the management device is there" '^mgmt0' ctl mgmtdev show
add_block vda "$tmp/vda.sock" file "$tmp/one.img"
add_block vdb "$tmp/vdb.sock" file "$tmp/two.img" -- num_queues 2
check_says "dev show names the first" '^vda' ctl dev show
check_says "dev show names the second" '^vdb' ctl dev show

cat >"$tmp/job" <<'GUEST'
set -e
lsblk -b -o NAME,SIZE,TYPE
for device in vda vdb; do
	features=$(cat /sys/block/$device/device/features)
	queues=$(ls /sys/block/$device/mq | wc -l)
	echo "$device packed $(echo "$features" | cut -c35) queues $queues"
done
mkdir -p /mnt/a /mnt/b
mount /dev/vda /mnt/a
mount /dev/vdb /mnt/b
cat /mnt/a/greeting
cd /mnt/a
sha256sum -c sums
cp random /mnt/b/copy
echo "greetings from the guest" >/mnt/a/answer
cd /
sync
umount /mnt/a /mnt/b
echo 3 >/proc/sys/vm/drop_caches
mount -o ro /dev/vdb /mnt/b
sha256sum /mnt/b/copy
umount /mnt/b
GUEST

packed=off bit=0
[ "$rings" = split ] || packed=on bit=1
start_guest "$tmp/job" --qemu "$qemu" --smp 2 \
	--disk "$tmp/vda.sock,packed=$packed,num-queues=1" \
	--disk "$tmp/vdb.sock,packed=$packed,num-queues=2"
wait_guest "the guest's script succeeds"
check_file "lsblk shows the first disk with its size" "^vda +$((64 << 20)) +disk" "$console"
check_file "lsblk shows the second disk with its size" "^vdb +$((96 << 20)) +disk" "$console"
check_file "the first disk's ring is $rings" "^vda packed $bit queues 1" "$console"
check_file "the second disk's two rings are $rings" "^vdb packed $bit queues 2" "$console"
check_file "the guest reads the host's greeting" '^greetings from the host' "$console"
check_file "the guest reads all of a large file" '^random: OK' "$console"
check_file "the guest reads back what it wrote" "$(cut -d' ' -f1 "$tmp/files/sums")  /mnt/b/copy" \
	"$console"

check "device vda is removed" ctl dev del vda
check "device vdb is removed" ctl dev del vdb
check "volume vda is removed" ctl volume del vda
check "volume vdb is removed" ctl volume del vdb
stop_tvqd

check "the first image is a clean file system" e2fsck -fn "$tmp/one.img"
check "the second image is a clean file system" e2fsck -fn "$tmp/two.img"
check_says "the guest's file is in the first image" '^greetings from the guest' \
	debugfs -R 'cat answer' "$tmp/one.img"
debugfs -R "dump copy $tmp/copy" "$tmp/two.img" 2>/dev/null
check "the guest's copy in the second image is whole" cmp "$tmp/files/random" "$tmp/copy"
finish
