#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# tvqd stops answering while a guest has devices of it. The driver gives the function up with one
# message, within the time that it allows; requests and commands fail at once then, devices can be
# deleted and the driver unloaded. Argument: the kernel.
#
# run: trixie
. "$(dirname "$0")/guest/lib.sh"

need_module "${1-trixie}"
serve ,msi-page=on
add_volumes 2 16

boot <<'GUEST'
load
add disk1
dd if=/dev/$disk of=/dev/null bs=64k
echo "ready for silence"
given_up() { dmesg | grep -q 'tvq_vdpa .*the device is given up'; }
within 60 given_up && echo "the driver gives up"
! dd if=/dev/$disk of=/dev/null bs=4k count=1 iflag=direct && echo "requests fail"
! vdpa dev add name disk2 mgmtdev $manager && echo "no device is made"
del disk1 && [ -z "$(ls /sys/block)" ] && echo "the device can be deleted"
echo "said so $(dmesg | grep -c 'given up') times"
rmmod tvq_vdpa && echo "the driver can be unloaded"
calm
GUEST
wait_console "the guest has a device" '^ready for silence' "$(slower 60)"
kill -STOP "$tvqd_pid"
wait_console "the kernel's log says so" 'tvq_vdpa .*the device is given up' "$(slower 60)"
# QEMU holds the guest for five seconds at each register that it asks for in vain; after a late
# answer it takes the connection for broken, and asks no more.
kill -CONT "$tvqd_pid"
need_guest
for fact in "the driver gives up" "requests fail" "no device is made" \
	"the device can be deleted" "said so 1 times" "the driver can be unloaded"; do
	check_file "$fact" "^$fact" "$console"
done
finish
