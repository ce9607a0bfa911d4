#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# tvqd is killed while a guest has devices of it. The guest's new requests fail, its disks go with
# the function, and it goes on; another tvqd comes, its function is plugged in, the devices are made
# again, and what was written before is there.
#
# The guest itself removes the dead function, and the new one comes into a slot of its own:
# QEMU 11.1.3 aborts when a vfio-user-pci device with MSI-X is unplugged by device_del, its server
# alive or dead (memory_region_del_subregion in vfio_user_msix_teardown).
#
# With the argument "waiting" a request is under way at that time. Linux 6.12's virtio_blk has no
# time limit, and no way to take a request back from a broken queue: it stays where it is, and so
# does whoever waits for it: the removal of that disk and of the function, and once that has begun
# the vdpa tool and poweroff, which need a lock that it holds. Other disks and the rest of the
# system go on. Arguments: quiet or waiting, the kernel, options of --serve.
#
# run: quiet trixie ,msi-page=on
# run: waiting trixie ,msi-page=off
# long: quiet bookworm ,msi-page=off
. "$(dirname "$0")/guest/lib.sh"

how=${1-quiet}
need_module "${2-trixie}"
# A small function finds room in a slot that was empty when the machine started.
small=(--max-devices 1000)
serve "${3-}" "${small[@]}"
add_volumes 3 32

cat >"$tmp/quiet" <<'GUEST'
echo "ready to lose tvqd"
GUEST
cat >"$tmp/waiting" <<'GUEST'
add disk3
echo "ready to hold a request"
held() { [ -e /tmp/held ]; }
{
	while dd if=/dev/$disk of=/dev/null bs=4k count=1 iflag=direct 2>/dev/null; do
		sleep 0.2
	done
	echo "the request has ended"
} &
inflight() { awk '{ print $1 }' /sys/block/$disk/inflight; }
stuck() { [ "$(inflight)" = 1 ] && sleep 2 && [ "$(inflight)" = 1 ]; }
within 60 stuck && echo "ready to lose tvqd"
GUEST
cat >"$tmp/quiet-end" <<'GUEST'
echo 1 >/sys/bus/pci/devices/$function/remove
[ -z "$(vdpa dev show)" ] && [ -z "$(ls /sys/block)" ] && echo "all is gone"
GUEST
cat >"$tmp/waiting-end" <<'GUEST'
sleep 10
[ "$(inflight)" = 1 ] && echo "the request is still under way"
echo 1 >/sys/bus/pci/devices/$function/remove &
sleep 10
[ -d /proc/$! ] && echo "the removal waits for it"
[ -z "$(ls /sys/block)" ] && echo "no disk is shown any more"
calm
exit
GUEST

boot --qmp "$tmp/qmp" --timeout "$(slower 150)" -- \
	-device "pcie-root-port,id=spare,chassis=99,slot=99,pref64-reserve=64M" <<GUEST
load
function=\$(basename "\$(dirname "\$(echo /sys/bus/pci/drivers/tvq_vdpa/*/vendor)")")
add disk1
fill /dev/\$disk 4
sum=\$(head -c 4194304 /dev/\$disk | sha256sum)
idle=\$disk
add disk2
dd if=/dev/\$disk of=/dev/null bs=64k
$(cat "$tmp/$how")
broken() { dmesg | grep -q 'tvq_vdpa .*given up'; }
within 60 broken && echo "the driver notices"
! dd if=/dev/\$idle of=/dev/null bs=4k count=1 iflag=direct && echo "new requests fail"
! vdpa dev add name disk4 mgmtdev \$manager && echo "no device is made"
$(cat "$tmp/$how-end")
echo "ready for another function"
within 60 has_manager && echo "there is a function again"
add disk1
[ "\$sum" = "\$(head -c 4194304 /dev/\$disk | sha256sum)" ] && echo "the data is there"
add disk2
dd if=/dev/\$disk of=/dev/null bs=64k && echo "the other device is there"
rmmod tvq_vdpa
calm
GUEST

facts() {
	local fact
	for fact; do
		check_file "$fact" "^$fact" "$console"
	done
}

if [ "$how" = waiting ]; then
	wait_console "the guest reads from a device" '^ready to hold a request' "$(slower 60)"
	# The thread that serves queues; the one that answers the function's registers goes on.
	"$tools/hold-thread" "$tvqd_pid" tvqd-w0 >"$tmp/holder" 2>&1 &
	check "the device holds a request" wait_until 10 grep -q held "$tmp/holder"
fi
wait_console "the guest has its devices" '^ready to lose tvqd' "$(slower 60)"
lose_tvqd
if [ "$how" = waiting ]; then
	wait_console "the guest's script ends" '^guest-job-status' "$(slower 100)"
	# The guest cannot turn itself off.
	check "the machine is switched off" qmp quit
	need_guest
	facts "the driver notices" "new requests fail" "no device is made" \
		"the request is still under way" \
		"the removal waits for it" "no disk is shown any more"
	finish
	exit
fi
wait_console "it goes on without tvqd" '^ready for another function' "$(slower 60)"
serve "${3-}" "${small[@]}"
check "the volumes are added again" ctl --batch "$tmp/volumes"
check "a function is plugged in" qmp device_add '{"driver": "vfio-user-pci", "id": "function1",
	"bus": "spare", "socket": {"type": "unix", "path": "'"$function"'"}}'
need_guest
facts "the driver notices" "new requests fail" "no device is made" "all is gone" \
	"there is a function again" "the data is there" "the other device is there"
finish
