#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The kernel module as its source and its packaging have to be: module.sh [DIR], DIR for what is
# built (build/module). Prints TAP. What it does in guests is in tests/system/guest-*.sh.
set -u

here=$(dirname "$(readlink -f "$0")")
scripts=$here/../scripts
into=$(readlink -m "${1-$here/../build/module}")
count=0 failures=0
tmp=$(mktemp -d "${TMPDIR:-/tmp}/tvq-module-test.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 143' TERM INT

# fact WHAT COMMAND...
fact() {
	local what=$1
	shift
	count=$((count + 1))
	if "$@" >"$tmp/said" 2>&1 </dev/null; then
		echo "ok $count - $what"
	else
		failures=$((failures + 1))
		echo "not ok $count - $what"
		tail -n 40 "$tmp/said" | sed 's/^/# /'
	fi
}

# No line of what kbuild and its checkers say has a warning or an error.
clean_build() {
	local said
	said=$("$scripts/guest-module.sh" --kernel "$@" 2>&1) || { echo "$said"; return 1; }
	! grep -Ei -A8 'warning|error' <<<"$said"
}

# The kernel's rules for text and layout. An open bracket at the end of a line is clang-format's, by
# the kernel's own .clang-format.
checkpatch() {
	local source
	source=$("$scripts/guest-kernel.sh" source) || return
	"$source/scripts/checkpatch.pl" --no-tree --no-summary --terse --strict \
		--max-line-length=100 --ignore OPEN_ENDED_LINE --file "$here"/../linux/*.[ch]
}

version_of() { sed -nE "s/$1/\\1/p" "$2"; }

same_version() {
	local meson dkms
	meson=$(version_of "^  version: '([^']*)',$" "$here/../meson.build")
	dkms=$(version_of '^PACKAGE_VERSION="(.*)"$' "$here/../linux/dkms.conf")
	echo "meson.build: '$meson', dkms.conf: '$dkms'"
	[ -n "$meson" ] && [ "$meson" = "$dkms" ]
}

# Debian 12's DKMS on this machine, in folders of its own, for the kernel of its backports.
with_dkms() {
	bash "$kernel/usr/sbin/dkms" "$1" -m tvq -v "$version" -k "$2" \
		--dkmstree "$tmp/dkms" --sourcetree "$tmp/install/usr/src" \
		--installtree "$tmp/modules" --kernelsourcedir "$kernel/lib/modules/$release/build"
}

dkms_build() {
	mkdir -p "$tmp/dkms" "$tmp/modules"
	make -s -C "$here/../linux" dkms DESTDIR="$tmp/install" || return
	with_dkms add "$release" || return
	if ! with_dkms build "$release"; then
		cat "$tmp"/dkms/tvq/*/build/make.log
		return 1
	fi
	find "$tmp/dkms" -name 'tvq_vdpa.ko*' | grep .
}

dkms_refuses() {
	local said status=0
	said=$(with_dkms build "$1" 2>&1) || status=$?
	echo "status $status: $said"
	[ "$status" = 77 ] && grep -q "tvq_vdpa needs Linux 6.12 or later, and $1 is older" \
		<<<"$said"
}

dkms_takes() {
	# A kernel that is not there: whatever DKMS says, it is not that the kernel is too old.
	local said
	said=$(with_dkms build "$1" 2>&1)
	echo "$said"
	! grep -Eq 'BUILD_EXCLUSIVE|is older' <<<"$said"
}

echo "1..12"
fact "it is built for Debian 13's kernel" "$scripts/guest-module.sh" --into "$into"
fact "it is built for Debian 12's backports kernel" \
	"$scripts/guest-module.sh" --kernel bookworm --into "$into"
fact "gcc of Debian 13 has nothing to say with W=1, nor sparse with C=2" \
	clean_build trixie W=1 C=2
fact "gcc of Debian 12 has nothing to say with W=1" clean_build bookworm W=1
fact "checkpatch has nothing to say" checkpatch
fact "DKMS knows it by the version that meson knows" same_version
kernel=$("$scripts/guest-kernel.sh" bookworm)
release=$(basename "$kernel"/lib/modules/*)
version=$(version_of '^PACKAGE_VERSION="(.*)"$' "$here/../linux/dkms.conf")
fact "DKMS builds it from what 'make dkms' installs" dkms_build
fact "DKMS refuses Debian 12's own kernel and says why" dkms_refuses 6.1.0-40-amd64
fact "and the last one before 6.12" dkms_refuses 6.11.10-amd64
fact "it does not take 6.2 for a later one" dkms_refuses 6.2.0-1-generic
fact "it takes later ones of 6" dkms_takes 6.18.3+deb14-amd64
fact "and of 7 and above" dkms_takes 10.0.1-amd64
[ "$failures" = 0 ]
