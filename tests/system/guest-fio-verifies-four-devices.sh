#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# fio writes to four managed devices of a guest at once, reads back and compares. Arguments: seconds
# of it, the kernel, and options of --serve.
#
# run: 20 trixie ,msi-page=off
# long: 60 trixie ,msi-page=on
# long: 60 bookworm ,vectors=3
. "$(dirname "$0")/guest/lib.sh"

seconds=${1-20}
need_module "${2-trixie}"
serve "${3-}"
add_volumes 4 32

# As in guest-drives-its-management-device.sh.
one=0x300000200 one_packed=0x700000200 many=0x300001200 many_packed=0x700001200
boot --with fio --mem 768 --timeout "$(slower $((100 + seconds)))" <<GUEST
load
add disk1 device_features $one
add disk2 device_features $one_packed
add disk3 device_features $many
add disk4 device_features $many_packed
set --
for name in disk1 disk2 disk3 disk4; do
	set -- "\$@" --name=\$name --filename=/dev/\$(disk_of \$name)
done
fio --ioengine=libaio --direct=1 --rw=randwrite --bsrange=512-64k --bs_unaligned=0 --size=32M \\
	--iodepth=16 --verify=crc32c --verify_backlog=256 --time_based --runtime=$seconds \\
	--do_verify=1 --verify_fatal=1 --output-format=terse --terse-version=3 --thread "\$@" \\
	>/tmp/terse && status=0 || status=\$?
cut -d';' -f3,5,6,8,47,49 /tmp/terse
echo "fio's status: \$status"
for name in disk1 disk2 disk3 disk4; do
	del \$name
done
rmmod tvq_vdpa
calm
GUEST
need_guest
check_file "fio finds on all devices what it wrote" "^fio's status: 0" "$console"
for i in 1 2 3 4; do
	# Name, error, KiB read, and written.
	check_file "disk$i has been written and read back" \
		"^disk$i;0;[1-9][0-9]*;.*;[1-9][0-9]*;[1-9]" "$console"
done
finish
