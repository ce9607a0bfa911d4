#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Makes, or finds, a kernel that our guests boot, with its modules and what builds others for it:
#
#   guest-kernel.sh [--find] [KERNEL]      KERNEL is one of
#
#   trixie      Debian 13's own, of the guest root (default)
#   bookworm    Debian 12's from its backports, as it comes in its packages
#   debug       the source that Debian 12's backports have, made by debug-kernel.config: lockdep,
#               KASAN, kmemleak and others watch. Making it takes a quarter of an hour and more on
#               two cores
#
# Prints a folder and nothing else; in it are
#
#   boot/vmlinuz-VERSION       or boot/vmlinux-VERSION, ready to start
#   lib/modules/VERSION        its modules, with the lists that depmod makes
#   lib/modules/VERSION/build  what its kbuild wants as KDIR
#
# bookworm has usr/sbin/dkms of Debian 12 besides. One more KERNEL is none to boot: `source` is only
# that, as a tar file, and its scripts/checkpatch.pl.
#
# With --find it fails where the folder is not there, and makes nothing. Folders lie in
# ${XDG_CACHE_HOME:-$HOME/.cache}/tvq, by the hash of their recipe; removing one is always safe.
#
# bookworm and debug are made and used on a Debian 12, with its own compiler (`deps.sh guest`) and
# without privilege. trixie's kbuild wants Debian 13's compiler: see guest-module.sh.
set -euo pipefail

name=guest-kernel
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=guest-lib.sh
. "$here/guest-lib.sh"

SUITE=bookworm-backports
FLAVOUR=amd64
SOURCE=linux-source-6.12
# Bumped by hand when the functions below make something else.
RECIPE=1

# depmod of the guest root: not every machine has one.
make_lists() { "$here/guest-exec.sh" usr/sbin/depmod -b "$1" "$2"; }

begin() {
	work=$(mktemp -d "$CACHE/making.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	trap 'exit 143' TERM INT
	chmod 755 "$work"
}

end() {
	rm -rf "$work/apt" "$work"/*.deb
	mv -T "$work" "$1"
	say "made $1 in ${SECONDS} s"
}

# The packages name their own places from the root of a file system on; those become relative.
make_bookworm() {
	local target=$1 image headers version package
	say "fetching the kernel of $SUITE (about 110 MB)"
	begin
	open_apt "$SUITE" "$work"
	image=$(dependencies "$work" "linux-image-$FLAVOUR" | grep -m1 '^linux-image-') ||
		die "$SUITE has no linux-image-$FLAVOUR"
	version=${image#linux-image-}
	headers=linux-headers-$version
	# shellcheck disable=SC2046 # words
	fetch_packages "$work" "$image" "$headers" \
		$(dependencies "$work" "$headers" | grep -E '^linux-(headers|kbuild)-')
	open_apt "${SUITE%-backports}" "$work"
	fetch_packages "$work" dkms
	for package in "$work"/*.deb; do
		dpkg-deb -x "$package" "$work"
	done
	sed -i 's|^include /usr/src/|include ../|' "$work/usr/src/$headers/Makefile"
	ln -sfn "../../../usr/src/$headers" "$work/lib/modules/$version/build"
	rm -f "$work/lib/modules/$version/source"
	make_lists "$work" "$version"
	end "$target"
}

make_source() {
	say "fetching $SOURCE of $SUITE (about 150 MB)"
	begin
	open_apt "$SUITE" "$work"
	fetch_packages "$work" "$SOURCE"
	dpkg-deb --fsys-tarfile "$work"/linux-source-*.deb |
		tar -xO "./usr/src/$SOURCE.tar.xz" >"$work/$SOURCE.tar.xz"
	tar -C "$work" --strip-components=1 --wildcards -xJf "$work/$SOURCE.tar.xz" \
		'*/scripts/checkpatch.pl' '*/scripts/spelling.txt' \
		'*/scripts/const_structs.checkpatch'
	end "$1"
}

configure() {
	local line
	make -s -C "$1" allnoconfig KCONFIG_ALLCONFIG="$here/debug-kernel.config"
	while read -r line; do
		grep -qxF "$line" "$1/.config" || die "debug-kernel.config: $line did not come out"
	done < <(grep '^CONFIG_' "$here/debug-kernel.config")
}

# What building a module does not need is most of a built tree.
slim() {
	find "$1" -name '*.o' -not -path "$1/scripts/*" -delete
	find "$1" \( -name '*.cmd' -o -name '*.a' \) -not -path "$1/scripts/*" -delete
	(cd "$1" && rm -rf Documentation drivers sound fs net samples tools/testing vmlinux \
		arch/x86/boot/compressed)
}

make_debug() {
	local target=$1 source tree version
	source=$("$here/guest-kernel.sh" source)
	say "building $SOURCE with debug-kernel.config: a quarter of an hour and more"
	begin
	tree=$work/tree
	mkdir "$tree"
	tar -C "$tree" --strip-components=1 -xJf "$source/$SOURCE.tar.xz"
	configure "$tree"
	nice -n 19 make -s -C "$tree" -j "$(nproc)" vmlinux modules >"$work/log" 2>&1 || {
		tail -n 30 "$work/log" >&2
		die "the kernel does not build; the end of its log is above"
	}
	version=$(make -s -C "$tree" kernelrelease)
	mkdir -p "$work/boot"
	cp "$tree/vmlinux" "$work/boot/vmlinux-$version"
	make -s -C "$tree" modules_install INSTALL_MOD_PATH="$work" DEPMOD=true >>"$work/log"
	slim "$tree"
	ln -sfn ../../../tree "$work/lib/modules/$version/build"
	rm -f "$work/lib/modules/$version/source"
	make_lists "$work" "$version"
	end "$target"
}

find_only=''
[ "${1-}" != --find ] || { find_only=yes; shift; }
case ${1-trixie} in
trixie) exec "$here/guest-root.sh" ${find_only:+--find} ;;
bookworm) target=$CACHE/kernel-bookworm-$(echo "$RECIPE $SUITE $FLAVOUR headers dkms" | hash_of) ;;
source) target=$CACHE/kernel-source-$(echo "$RECIPE $SUITE $SOURCE" | hash_of) ;;
debug)
	target=$CACHE/kernel-debug-$({
		echo "$RECIPE $SUITE $SOURCE"
		cat "$here/debug-kernel.config"
	} | hash_of) ;;
*) die "unknown kernel '$1': trixie, bookworm and debug are known" ;;
esac

if [ -n "$find_only" ]; then
	[ -d "$target" ] || die "there is no $target yet: guest-kernel.sh $1 makes it"
else
	make_once "make_$1" "$target"
fi
echo "$target"
