#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Devices of a guest go while requests are under way on them: by `vdpa dev del`, by rmmod of the
# driver, by taking the function from the driver. Each time the others go on or the guest goes on,
# what used the device gets an error and not silence, and everything can be made again. vhost_vdpa
# does not get a device. Argument: the kernel.
#
# run: trixie
# long: bookworm
. "$(dirname "$0")/guest/lib.sh"

need_module "${1-trixie}"
serve ,msi-page=on
add_volumes 4 32

boot --with fio --mem 768 <<'GUEST'
load
# Writes to a disk until that fails; then $1.ended is there.
keep_busy() {
	{
		fio --name=$1 --filename=/dev/$2 --ioengine=libaio --direct=1 --rw=randrw --bs=4k \
			--iodepth=16 --time_based --runtime=600 --thread >/tmp/$1.out 2>&1 ||
			echo "status $?" >/tmp/$1.ended
	} &
}
# More than the start: blocks have been written.
works() { [ "$(awk '{ print $5 }' /sys/block/$1/stat)" -gt "$2" ]; }
ended() { [ -e /tmp/$1.ended ]; }
idle() { [ -z "$(pidof fio)" ]; }
nothing_left() { [ -z "$(vdpa dev show)" ] && [ -z "$(ls /sys/block)" ]; }
fill_machine() {
	for n in 1 2 3 4; do
		add disk$n
		keep_busy disk$n $disk
	done
	for n in 1 2 3 4; do
		within 30 works $(disk_of disk$n) 200
	done
}

fill_machine
del disk1 && echo "dev del under load works"
within 20 ended disk1 && echo "who used it is told"
[ -z "$(disk_of disk1)" ] && echo "its disk is gone"
other=$(disk_of disk2)
before=$(awk '{ print $5 }' /sys/block/$other/stat)
within 20 works $other $((before + 100)) && echo "the others go on"
add disk1 && dd if=/dev/$disk of=/dev/null bs=64k && echo "it can be made again"

rmmod tvq_vdpa && echo "rmmod under load works"
within 20 idle && nothing_left && echo "all devices went with it"
insmod /tvq_vdpa.ko
within 10 has_manager
fill_machine
function=$(basename "$(dirname "$(echo /sys/bus/pci/drivers/tvq_vdpa/*/vendor)")")
echo "$function" >/sys/bus/pci/drivers/tvq_vdpa/unbind && echo "unbind under load works"
within 20 idle && nothing_left && echo "all devices went with the function"
echo "$function" >/sys/bus/pci/drivers/tvq_vdpa/bind
within 10 has_manager

add disk1
modprobe vhost_vdpa
echo disk1 >/sys/bus/vdpa/drivers/virtio_vdpa/unbind
[ -z "$(disk_of disk1)" ] && echo "virtio_vdpa has let go"
echo "vhost_vdpa: $(echo disk1 2>&1 >/sys/bus/vdpa/drivers/vhost_vdpa/bind)"
[ ! -e /sys/bus/vdpa/drivers/vhost_vdpa/disk1 ] && echo "vhost_vdpa does not have it"
echo disk1 >/sys/bus/vdpa/drivers/virtio_vdpa/bind
within 10 has_disk disk1
dd if=/dev/$(disk_of disk1) of=/dev/null bs=64k && echo "virtio_vdpa has it again"
rmmod tvq_vdpa
calm
GUEST
need_guest
for fact in "dev del under load works" "who used it is told" "its disk is gone" \
	"the others go on" "it can be made again" "rmmod under load works" \
	"all devices went with it" "unbind under load works" \
	"all devices went with the function" "virtio_vdpa has let go" \
	"vhost_vdpa does not have it" "virtio_vdpa has it again"; do
	check_file "$fact" "^$fact" "$console"
done
check_file "vhost_vdpa refuses such a device" '^vhost_vdpa: .*Operation not supported' "$console"
check_says "tvqd counts no device" '"devices": *0' ctl --json --pretty mgmtdev show
finish
