#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Makes, or finds, what a guest boots:
#
#   guest-initrd.sh [--kernel KERNEL]
#
# prints the path of a folder with
#
#   vmlinux   the kernel (see guest-kernel.sh), unpacked: QEMU starts it by its PVH entry, and
#             unpacking it in an emulated guest at every boot would take seconds
#   initrd    an archive with busybox, the programs and modules below and /init (guest-init.sh), not
#             compressed
#
#   guest-initrd.sh --with PROGRAM
#
# prints the path of an archive with one more program of the guest root (fio) and its libraries.
#
# A caller appends such archives to the initrd, and one with /job in it: the script that the guest
# runs, see guest-init.sh and guest-run.sh. Both are cached beside the guest root, by the hash of
# what they are made from. Needs the guest root (guest-root.sh), which is made first if it is
# missing, and no privilege.
set -euo pipefail

name=guest-initrd
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=guest-lib.sh
. "$here/guest-lib.sh"

# Those that /init loads, and those that are there for modprobe.
MODULES="ext4 virtio_blk virtio_net"
MORE_MODULES="vdpa virtio_vdpa vhost_vdpa"
# Those that come along where the kernel has them.
EXTRA_MODULES="8021q veth bridge"
PROGRAMS="usr/bin/lsblk usr/sbin/vdpa usr/sbin/mkfs.ext4"

# The kernel image of a Debian kernel holds the kernel proper as a compressed stream, which its
# first bytes mark: zstd since 13, xz before.
unpack_kernel() {
	local image=$1 magic tool offset
	for magic in '\x28\xb5\x2f\xfd:zstd -dcq' '\xfd7zXZ\x00:xz -dcq --single-stream'; do
		tool=${magic#*:} magic=${magic%%:*}
		offset=$(LC_ALL=C grep -abom1 -P "$magic" "$image" | head -n1 | cut -d: -f1) || true
		[ -n "$offset" ] || continue
		# What comes behind the stream is complained of; the check is what came out.
		# shellcheck disable=SC2086 # words
		tail -c +$((offset + 1)) "$image" | $tool >"$2" 2>/dev/null || true
		[ "$(head -c4 "$2" | tail -c3)" != ELF ] || return 0
	done
	die "no ELF kernel came out of $image: this kernel is packed in another way"
}

# Modules with what they need, in the order in which they have to be loaded, as modprobe of the
# guest root works it out; what is built in has no file.
files_of() {
	local module
	for module; do
		"$here/guest-exec.sh" usr/sbin/modprobe -d "$kernel" -S "$version" \
			--show-depends "$module" ||
			die "the guest's kernel has no module $module"
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }'
}

has_module() {
	"$here/guest-exec.sh" usr/sbin/modprobe -d "$kernel" -S "$version" --show-depends "$1" \
		>/dev/null 2>&1
}

# Into the places that they have on disk, unpacked, with the lists that modprobe reads.
add_modules() {
	local tree=$1 path to module extra=()
	for module in $EXTRA_MODULES; do
		! has_module "$module" || extra+=("$module")
	done
	# shellcheck disable=SC2086 # words
	files_of $MODULES $MORE_MODULES "${extra[@]}" | while read -r path; do
		to=$tree/lib/modules/${path#*/lib/modules/}
		mkdir -p "$(dirname "$to")"
		case $path in
		*.xz) xz -dc "$path" >"${to%.xz}" ;;
		*) cp "$path" "$to" ;;
		esac
	done
	mkdir -p "$tree/lib/modules/$version"
	cp "$kernel/lib/modules/$version/modules.builtin" "$tree/lib/modules/$version/"
	"$here/guest-exec.sh" usr/sbin/depmod -b "$tree" "$version" 2>/dev/null
	# What a module asks for by a softdep busybox's modprobe does not load, so all are named.
	# shellcheck disable=SC2086 # words
	files_of $MODULES | sed 's|.*/||; s|\.ko.*||' >"$tree/modules"
}

# Libraries of the guest root, those in folders of their own included.
add_programs() {
	local tree=$1 program library libraries=$root/usr/lib/x86_64-linux-gnu
	shift
	mkdir -p "$tree/bin" "$tree/lib64"
	for program; do
		cp -L "$root/$program" "$tree/bin/"
		"$libraries/ld-linux-x86-64.so.2" --library-path "$libraries:$libraries/ceph" \
			--inhibit-cache --list "$root/$program" >"$work/list"
		! grep 'not found' "$work/list" >&2 || die "$program lacks a library"
		sed -n 's/.* => \(.*\) (0x.*/\1/p' "$work/list" | while read -r library; do
			case $library in
			"$root"/*) cp -Ln "$library" "$tree/lib64/" ;;
			*/ld-linux-x86-64.so.2) ;;
			*) die "$program: $library is none of the guest root's" ;;
			esac
		done
	done
	cp -Ln "$libraries/ld-linux-x86-64.so.2" "$tree/lib64/"
}

archive() { (cd "$1" && find . | LC_ALL=C sort | cpio -o -H newc --quiet -R 0:0); }

begin() {
	work=$(mktemp -d "$CACHE/making.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	trap 'exit 143' TERM INT
	chmod 755 "$work"
	tree=$work/tree
	mkdir "$tree"
}

end() {
	rm -rf "$tree" "$work/list"
	mv -T "$work" "$1"
	say "made $1"
}

make_boot() {
	local image
	begin
	mkdir -p "$tree"/{bin,dev,proc,sys,run,tmp,mnt,etc,lib64}
	cp "$root/usr/bin/busybox" "$tree/bin/"
	install -m755 "$here/guest-init.sh" "$tree/init"
	add_modules "$tree"
	# shellcheck disable=SC2086 # words
	add_programs "$tree" $PROGRAMS
	archive "$tree" >"$work/initrd"
	image=$(echo "$kernel"/boot/vmlinu?-"$version")
	case $image in
	*/vmlinux-*) cp "$image" "$work/vmlinux" ;;
	*) unpack_kernel "$image" "$work/vmlinux" ;;
	esac
	end "$1"
}

make_program() {
	begin
	add_programs "$tree" "${path#"$root/"}"
	# Threads that are cancelled need it, and no program names it.
	cp -L "$root/usr/lib/x86_64-linux-gnu/libgcc_s.so.1" "$tree/lib64/"
	archive "$tree" >"$work/$program"
	end "$1"
}

kernel=trixie program=''
while [ $# -gt 0 ]; do
	[ $# -ge 2 ] || die "$1: unknown, or its value is missing"
	case $1 in
	--kernel) kernel=$2 ;;
	--with) program=$2 ;;
	*) die "unknown option '$1': --kernel and --with are known" ;;
	esac
	shift 2
done

root=$("$here/guest-root.sh")
if [ -n "$program" ]; then
	path=$root/usr/bin/$program
	[ -x "$path" ] || path=$root/usr/sbin/$program
	[ -x "$path" ] || die "--with: the guest root has no program '$program'"
	target=$CACHE/program-$program-$({ basename "$root"; cat "$0"; } | hash_of)
	make_once make_program "$target"
	echo "$target/$program"
	exit
fi

kernel=$("$here/guest-kernel.sh" "$kernel")
version=$(basename "$kernel"/lib/modules/*)
target=$CACHE/boot-$({ basename -a "$root" "$kernel"; cat "$0" "$here/guest-init.sh"; } | hash_of)
make_once make_boot "$target"
echo "$target"
