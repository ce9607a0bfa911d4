#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Installs what a fresh Debian 12 needs: deps.sh GROUP..., any of
#
#   build   compilers, meson, the libraries that tvq is built on, the tools that judge the source
#   test    what the tests run besides
#   guest   QEMU, DPDK, and what makes the guest root and the guests' kernels (guest-root.sh,
#           guest-kernel.sh)
#   bench   the peers and meters of the benchmarks
#
# Does nothing, quickly, where everything is there already. Otherwise it runs apt-get, as root or by
# sudo, and shows what that said only if it failed.
set -eu

die() { echo "deps: $*" >&2; exit 1; }

# dpkg-dev: without dpkg-architecture meson installs the library where nothing looks for it (lib64).
# dpdk-dev: testpmd is there.
packages_of() {
	case $1 in
	build)
		echo gcc libc6-dev clang clang-tidy clang-format libclang-rt-14-dev llvm \
			meson ninja-build pkg-config dpkg-dev make git \
			liburing-dev libjson-c-dev libcmocka-dev ;;
	test) echo mandoc jq python3 shellcheck e2fsprogs procps iproute2 tcpdump ;;
	guest)
		echo mmdebstrap debian-archive-keyring qemu-system-x86 qemu-system-common \
			qemu-utils e2fsprogs cpio zstd xz-utils \
			iproute2 dpdk dpdk-dev passt \
			gcc make pahole flex bison bc libelf-dev libssl-dev perl ;;
	bench) echo fio jq python3 qemu-system-common iproute2 dpdk dpdk-dev ;;
	*) die "unknown group '$1': build, test, guest and bench are known" ;;
	esac
}

is_installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing_of() {
	local package
	for package in "$@"; do
		is_installed "$package" || echo "$package"
	done
	# Debian 12.0 shipped one that does not know the keys of the guest root's release.
	case " $* " in
	*" debian-archive-keyring "*)
		[ -e /usr/share/keyrings/debian-archive-trixie-stable.gpg ] ||
			echo debian-archive-keyring ;;
	esac
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "not root and no sudo: run as root: apt-get install $missing"
	fi
}

# apt_get ARGUMENT...: its output only where it fails.
apt_get() {
	local log status=0
	log=$(mktemp)
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -q "$@" >"$log" 2>&1 || status=$?
	[ "$status" = 0 ] || cat "$log" >&2
	rm -f "$log"
	return "$status"
}

[ $# -gt 0 ] || die "name what is needed: build, test, guest, bench"
wanted=$(for group in "$@"; do packages_of "$group" || exit 1; done)
# shellcheck disable=SC2046,SC2086 # lists of words
missing=$(missing_of $(printf '%s\n' $wanted | sort -u) | sort -u | tr '\n' ' ')
[ -n "$missing" ] || exit 0

command -v apt-get >/dev/null ||
	die "this is no Debian: install by its own means what stands for: $missing"
echo "deps: installing $missing(a minute or two)" >&2
apt_get update || die "apt-get update failed; apt's own words are above"
# shellcheck disable=SC2086 # a list of words
apt_get -y --no-install-recommends install $missing || die "apt-get could not install: $missing"
