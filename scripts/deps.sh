#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Installs what a fresh Debian 12 needs: deps.sh GROUP..., any of
#
#   build   compilers, meson, the libraries that tvq is built on, and the tools that judge the source
#   test    what the tests run besides
#   guest   QEMU and what makes the guest root (guest-root.sh)
#   bench   the peers and meters of the benchmarks
#
# Does nothing, quickly, where everything is there already. Otherwise it runs apt-get, as root or by sudo.
set -eu

die() { echo "deps: $*" >&2; exit 1; }

packages_of() {
	case $1 in
	build) echo gcc libc6-dev clang clang-tidy clang-format libclang-rt-14-dev llvm meson ninja-build pkg-config \
		make git liburing-dev libjson-c-dev libcmocka-dev ;;
	test) echo mandoc jq python3 shellcheck e2fsprogs procps ;;
	guest) echo mmdebstrap debian-archive-keyring qemu-system-x86 qemu-system-common qemu-utils e2fsprogs cpio \
		zstd xz-utils ;;
	bench) echo fio jq python3 qemu-system-common ;;
	*) die "unknown group '$1': build, test, guest and bench are known" ;;
	esac
}

missing_of() {
	local package
	for package in "$@"; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
	done
	# Debian 12.0 shipped one that does not know the keys of the guest root's release.
	case " $* " in
	*" debian-archive-keyring "*)
		[ -e /usr/share/keyrings/debian-archive-trixie-stable.gpg ] || echo debian-archive-keyring ;;
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

[ $# -gt 0 ] || die "name what is needed: build, test, guest, bench"
wanted=$(for group in "$@"; do packages_of "$group" || exit 1; done)
# shellcheck disable=SC2046,SC2086 # lists of words
missing=$(missing_of $(printf '%s\n' $wanted | sort -u) | tr '\n' ' ')
[ -n "$missing" ] || exit 0

command -v apt-get >/dev/null || die "this is no Debian: install by its own means what stands for: $missing"
echo "deps: installing $missing" >&2
as_root apt-get -qq update >&2
# shellcheck disable=SC2086 # a list of words
as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install $missing >&2 ||
	die "apt-get could not install: $missing"
