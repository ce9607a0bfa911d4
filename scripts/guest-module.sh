#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Builds the kernel module (linux/) for a kernel of our guests and prints its path, nothing else:
#
#   guest-module.sh [--kernel KERNEL] [--source DIR] [--into DIR] [MAKE-ARGUMENT...]
#
#   --kernel KERNEL   trixie (default), bookworm, debug: see guest-kernel.sh
#   --source DIR      of another module; tvq_vdpa's (linux/ of this tree) otherwise
#   --into DIR        where it goes: DIR/KERNEL-HASH/NAME.ko (build/module)
#   MAKE-ARGUMENT     for kbuild, such as W=1 or C=2: then it is always built, and what the compiler
#                     and the checker said is shown
#
# A module that is there already for the same sources and kernel is not built again. Sources are
# copied first: the tree stays clean.
#
# Debian 13's compiler and kbuild live in the guest root, which is entered by chroot: as root, or
# else in a user namespace, which Debian lets everybody have.
set -euo pipefail

name=guest-module
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=guest-lib.sh
. "$here/guest-lib.sh"

kernel=trixie source=$here/../linux into=$here/../build/module
while [ $# -gt 0 ]; do
	case $1 in
	--kernel) kernel=${2:?--kernel KERNEL} ;;
	--source) source=${2:?--source DIR} ;;
	--into) into=${2:?--into DIR} ;;
	*) break ;;
	esac
	shift 2
done
source=$(readlink -f "$source")
[ -f "$source/Kbuild" ] || [ -f "$source/Makefile" ] || die "$source has no Kbuild file"

folder=$("$here/guest-kernel.sh" "$kernel")
version=$(basename "$folder"/lib/modules/*)

# The module's folder and what it includes from outside, side by side as in the tree.
copy_sources() {
	mkdir -p "$1/linux"
	find "$source" -maxdepth 1 -type f \( -name '*.[ch]' -o -name Kbuild -o -name Makefile \) \
		-exec cp {} "$1/linux/" \;
	cp -r "$here/../include" "$1/include"
}

# A space for the build that the guest root can see, too; everybody may write there.
open_work() {
	local parent=${TMPDIR:-/tmp}
	[ "$kernel" != trixie ] || parent=$folder/tmp
	work=$(mktemp -d "$parent/tvq-module.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	trap 'exit 143' TERM INT
	copy_sources "$work"
}

in_root() {
	if [ "$(id -u)" = 0 ]; then
		chroot "$folder" "$@"
	else
		unshare --map-root-user chroot "$folder" "$@" ||
			die "this needs root, or user namespaces (kernel.unprivileged_userns_clone)"
	fi
}

compile() {
	local build=$folder/lib/modules/$version/build
	if [ "$kernel" = trixie ]; then
		in_root make -C "/lib/modules/$version/build" M="${work#"$folder"}/linux" "$@"
	else
		make -C "$build" M="$work/linux" "$@"
	fi
}

open_work
if [ $# -gt 0 ]; then
	compile -j "$(nproc)" "$@" >&2
	exit
fi

# The names' and contents' hash.
key=$(cd "$work" && find . -type f | LC_ALL=C sort | xargs sha256sum | cat - <(echo "$folder") |
	hash_of)
mkdir -p "$into"
target=$(readlink -f "$into")/$kernel-$key
if [ ! -d "$target" ]; then
	compile -s -j "$(nproc)" >"$work/log" 2>&1 || {
		cat "$work/log" >&2
		die "the module does not build for $kernel ($version)"
	}
	fresh=$(mktemp -d "$into/making.XXXXXX")
	cp "$work"/linux/*.ko "$fresh/"
	# Another run may have been faster with the same.
	mv -T "$fresh" "$target" 2>/dev/null || rm -rf "$fresh"
fi
echo "$target"/*.ko
