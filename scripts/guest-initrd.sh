#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Makes, or finds, what a guest boots: prints the path of a folder with
#
#   vmlinux   the guest root's kernel, unpacked (QEMU starts it by its PVH entry; unpacking it in an
#             emulated guest at every boot would take seconds)
#   initrd    an archive with busybox, lsblk, the modules below and /init (guest-init.sh), not
#             compressed
#
# A caller appends one more archive to the initrd, with /job in it: the script that the guest runs,
# see guest-init.sh and guest-run.sh. The folder is cached beside the guest root, by the hash of
# what it is made from. Needs the guest root (guest-root.sh), which is made first if it is missing,
# and no privilege.
set -euo pipefail

MODULES="ext4 virtio_blk virtio_net"
PROGRAMS="usr/bin/lsblk"

die() { echo "guest-initrd: $*" >&2; exit 1; }

here=$(dirname "$(readlink -f "$0")")
root=$("$here/guest-root.sh")
version=$(basename "$root"/lib/modules/*)
cache=$(dirname "$root")
target=$cache/boot-$({ basename "$root"; cat "$0" "$here/guest-init.sh"; } | sha256sum | cut -c1-16)

# The kernel image holds the kernel proper as a zstd stream (Debian's choice since 13); its first
# bytes mark it.
unpack_kernel() {
	local image=$root/boot/vmlinuz-$version offset
	offset=$(LC_ALL=C grep -abom1 -P '\x28\xb5\x2f\xfd' "$image" | head -n1 | cut -d: -f1)
	[ -n "$offset" ] || die "$image holds no zstd stream: this kernel is packed in another way"
	# zstd ends with a complaint about the bytes after the stream; the check is what came out.
	tail -c +$((offset + 1)) "$image" | zstd -dcq >"$1" 2>/dev/null || true
	[ "$(head -c4 "$1" | tail -c3)" = ELF ] || die "no ELF kernel came out of $image"
}

# Modules in the order in which they have to be loaded, as modprobe worked it out.
add_modules() {
	local module path
	for module in $MODULES; do
		"$here/guest-exec.sh" usr/sbin/modprobe -d "$root" -S "$version" \
			--show-depends "$module" ||
			die "the guest's kernel has no module $module"
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' |
		while read -r path; do
			module=$(basename "$path" .xz)
			xz -dc "$path" >"$1/modules/$module"
			echo "$module" >>"$1/modules/order"
		done
}

add_programs() {
	local program library libraries=$root/usr/lib/x86_64-linux-gnu
	for program in $PROGRAMS; do
		cp "$root/$program" "$1/bin/"
		"$libraries/ld-linux-x86-64.so.2" --library-path "$libraries" \
			--list "$root/$program" |
			sed -n 's/.* => \(.*\) (0x.*/\1/p' |
			while read -r library; do
				cp -Ln "$library" "$1/lib64/"
			done
	done
}

make_boot() {
	local work tree
	work=$(mktemp -d "$cache/making.XXXXXX")
	# shellcheck disable=SC2064 # the path of now
	trap "rm -rf '$work'" EXIT
	chmod 755 "$work"
	tree=$work/tree
	mkdir -p "$tree"/{bin,dev,proc,sys,run,tmp,mnt,modules,lib64}
	cp "$root/usr/bin/busybox" "$tree/bin/"
	install -m755 "$here/guest-init.sh" "$tree/init"
	add_modules "$tree"
	add_programs "$tree"
	(cd "$tree" && find . | LC_ALL=C sort | cpio -o -H newc --quiet -R 0:0) >"$work/initrd"
	rm -r "$tree"
	unpack_kernel "$work/vmlinux"
	mv -T "$work" "$target"
	echo "guest-initrd: made $target" >&2
}

if [ ! -d "$target" ]; then
	exec 9>"$target.lock"
	flock 9
	[ -d "$target" ] || make_boot 9>&-
fi
echo "$target"
