#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A guest that owns a management device makes four block devices with the vdpa tool, and its own
# virtio_blk drives them: split and packed rings, one queue and four. What it writes is still there
# after it has deleted them and made them again, and in the volumes afterwards. Arguments: the
# kernel; further options of --serve; iommu, for an emulated IOMMU in front.
#
# run: trixie ,msi-page=on
# run: bookworm ,vectors=4
# run: trixie ,msi-page=off iommu
. "$(dirname "$0")/guest/lib.sh"

need_module "${1-trixie}"
# With few vectors queues share them: four devices have ten queues here.
serve "${2-}"
# Four, and a free one for the device whose name is in use: the core looks at that last.
add_volumes 5 64

# VERSION_1, ACCESS_PLATFORM, FLUSH; RING_PACKED; MQ: then a device has a queue for each CPU.
one=0x300000200 one_packed=0x700000200 many=0x300001200 many_packed=0x700001200
boot --smp 4 ${3:+--iommu} <<GUEST
uname -r
[ "${3-}" != iommu ] || ls /sys/class/iommu
load
vdpa mgmtdev show
add disk1 device_features $one
echo "disk1 is \$disk, \$(format_of \$disk), queues \$(ls /sys/block/\$disk/mq | wc -l)"
add disk2 device_features $one_packed
echo "disk2 is \$disk, \$(format_of \$disk), queues \$(ls /sys/block/\$disk/mq | wc -l)"
add disk3 device_features $many
echo "disk3 is \$disk, \$(format_of \$disk), queues \$(ls /sys/block/\$disk/mq | wc -l)"
add disk4 device_features $many_packed
echo "disk4 is \$disk, \$(format_of \$disk), queues \$(ls /sys/block/\$disk/mq | wc -l)"
vdpa dev show
lsblk -b -o NAME,SIZE,TYPE
! vdpa dev add name disk1 mgmtdev \$manager || exit 1
for name in disk1 disk2 disk3 disk4; do
	disk=\$(disk_of \$name)
	mkfs.ext4 -q -L \$name /dev/\$disk
	mkdir /mnt/\$name
	mount /dev/\$disk /mnt/\$name
done
for name in disk1 disk2 disk3 disk4; do
	fill /mnt/\$name/data 12
	(cd /mnt/\$name && sha256sum data >sum)
done
sync
for name in disk1 disk2 disk3 disk4; do
	umount /mnt/\$name
	del \$name
done
[ -z "\$(vdpa dev show)" ] && [ -z "\$(ls /sys/block)" ] && echo "all are gone"
for name in disk4 disk3 disk2 disk1; do
	add \$name
	mount /dev/\$disk /mnt/\$name
	(cd /mnt/\$name && echo "again \$name: \$(sha256sum -c sum)")
	umount /mnt/\$name
	del \$name
done
rmmod tvq_vdpa
calm
GUEST
need_guest
check_file "vdpa mgmtdev show names ours" '^auxiliary/tvq\.blk\.0:' "$console"
check_file "which makes block devices" 'supported_classes .*block' "$console"
check_file "a device has a split ring where that is asked for" \
	'^disk1 is vd[a-d], split, queues 1' "$console"
check_file "and a packed one" '^disk2 is vd[a-d], packed, queues 1' "$console"
check_file "four queues, split" '^disk3 is vd[a-d], split, queues 4' "$console"
check_file "four queues, packed" '^disk4 is vd[a-d], packed, queues 4' "$console"
for i in 1 2 3 4; do
	check_file "vdpa dev show has disk$i" "^disk$i: .*mgmtdev auxiliary/tvq.blk.0" "$console"
	check_file "what was written to disk$i is there when it has been made again" \
		"^again disk$i: data: OK" "$console"
	check "volume disk$i is a clean file system" e2fsck -fn "$tmp/disk$i.img"
	check_says "and has the name that the guest gave it" "disk$i" \
		e2label "$tmp/disk$i.img"
done
check_file "a name that is in use is refused" 'kernel answers: File exists' "$console"
check_file "deleted devices are gone" '^all are gone' "$console"
[ "${3-}" != iommu ] || check_file "with an IOMMU in front" '^dmar0' "$console"
finish
