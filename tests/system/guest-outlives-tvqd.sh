#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# tvqd is killed while a guest uses its devices. The guest's requests fail, new ones and those under
# way; it goes on. The function is unplugged; another tvqd comes, its function is plugged in, the
# devices are made again, and what was written before is there. Arguments: the kernel, options of
# --serve.
#
# run: trixie ,msi-page=on
# long: bookworm ,msi-page=off
. "$(dirname "$0")/guest/lib.sh"

need_module "${1-trixie}"
serve "${2-}"
add_volumes 3 32

boot --qmp "$tmp/qmp" --timeout "$(slower 150)" <<'GUEST'
load
add disk1
fill /dev/$disk 4
sum=$(head -c 4194304 /dev/$disk | sha256sum)
idle=$disk
add disk2
dd if=/dev/$disk of=/dev/null bs=64k
echo "ready to lose tvqd"

broken() { dmesg | grep -q 'tvq_vdpa .*gone'; }
within 60 broken && echo "the driver notices"
! dd if=/dev/$idle of=/dev/null bs=4k count=1 iflag=direct && echo "new requests fail"
! vdpa dev add name disk3 mgmtdev $manager && echo "no device is made"
echo "ready to be unplugged"

unplugged() { [ -z "$(ls /sys/bus/pci/drivers/tvq_vdpa | grep :)" ]; }
within 60 unplugged && [ -z "$(vdpa dev show)" ] && [ -z "$(ls /sys/block)" ] && echo "all is gone"
echo "ready to be plugged in"

within 60 has_manager && echo "there is a function again"
add disk1
[ "$sum" = "$(head -c 4194304 /dev/$disk | sha256sum)" ] && echo "the data is there"
add disk2
dd if=/dev/$disk of=/dev/null bs=64k && echo "the other device is there"
rmmod tvq_vdpa
calm
GUEST

wait_console "the guest uses its devices" '^ready to lose tvqd' "$(slower 60)"
kill_tvqd
wait_console "it goes on without tvqd" '^ready to be unplugged' "$(slower 90)"
check "the function is unplugged" qmp --unplug function0
wait_console "the guest has let go of it" '^ready to be plugged in' "$(slower 30)"
serve "${2-}"
check "the volumes are added again" ctl --batch "$tmp/volumes"
check "a function is plugged in" qmp device_add '{"driver": "vfio-user-pci", "id": "function1",
	"bus": "slot0", "socket": {"type": "unix", "path": "'"$function"'"}}'
need_guest
for fact in "the driver notices" "new requests fail" \
	"no device is made" "all is gone" "there is a function again" "the data is there" \
	"the other device is there"; do
	check_file "$fact" "^$fact" "$console"
done
finish
