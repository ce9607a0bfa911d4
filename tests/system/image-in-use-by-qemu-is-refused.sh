#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# An image that a QEMU has open is refused, by name; it can be added once that has gone, and then a
# QEMU is refused in turn.
. "$(dirname "$0")/lib.sh"

command -v qemu-system-x86_64 >/dev/null ||
	skip_all "qemu-system-x86_64 is missing: scripts/deps.sh guest"
truncate -s 8M "$tmp/disk.img"
start_tvqd

setpriv --pdeathsig KILL qemu-system-x86_64 -machine q35 -nodefaults -display none -S \
	-drive "if=none,id=d,format=raw,file=$tmp/disk.img" -device virtio-blk-pci,drive=d &
holder=$!
qemu_holds_it() { ! qemu-io -f raw -c quit "$tmp/disk.img"; }
wait_until 5 qemu_holds_it || true
check "a QEMU has the image" qemu_holds_it
check_fails "an image that QEMU has open is refused, by name" "$tmp/disk.img.* in use" \
	ctl volume add name v file "$tmp/disk.img"
check_fails "also for reading only" "$tmp/disk.img.* in use" \
	ctl volume add name v file "$tmp/disk.img" readonly on
kill "$holder"
wait "$holder" || true

add_block v "$tmp/v.sock" file "$tmp/disk.img"
check_fails "QEMU is refused while a volume has the image" 'lock' \
	qemu-io -f raw -c quit "$tmp/disk.img"
check "the device works" block_io "$tmp/v.sock" 'write -P 3 0 4k' 'read -P 3 0 4k'
check "the device is removed" ctl dev del v
check "the volume is removed" ctl volume del v
check "then QEMU may have the image" qemu-io -f raw -c 'read -P 3 0 4k' "$tmp/disk.img"

check "volumes that only read may share an image (1)" \
	ctl volume add name a file "$tmp/disk.img" readonly on
check "volumes that only read may share an image (2)" \
	ctl volume add name b file "$tmp/disk.img" readonly on
check_fails "one that writes may not" "$tmp/disk.img" ctl volume add name c file "$tmp/disk.img"
finish
