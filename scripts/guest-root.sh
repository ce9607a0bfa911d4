#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Makes, or finds, the guest root: a Debian 13 tree with the kernel that our guests boot, QEMU 11
# from trixie-backports, and what the benchmarks run. Prints its path, and nothing else, on stdout.
#
#   guest-root.sh             make it where it is missing (one to two minutes), print its path
#   guest-root.sh --find      print its path if it is there, fail if not; never makes anything
#
# It lies in ${XDG_CACHE_HOME:-$HOME/.cache}/tvq/root-HASH, HASH being that of the recipe below:
# another clone of the project finds it, and a changed recipe makes another one. Removing the folder
# is always safe.
#
# Needs what `deps.sh guest` installs, and root (or sudo) to make it, not to use it. Nothing of it
# has to be entered by chroot: guest-exec.sh runs its programs as they lie there.
set -eu

name=guest-root
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=guest-lib.sh
. "$here/guest-lib.sh"

SUITE=trixie
PACKAGES=(
	# the guest's kernel and user land
	linux-image-amd64 kmod busybox-static util-linux e2fsprogs iproute2 procps
	# what the network's tests run in it
	iperf3 ethtool iputils-ping tcpdump socat netcat-openbsd
	# what builds the kernel's modules, and judges them
	linux-headers-amd64 make dkms sparse
	# the newer QEMU
	qemu-system-x86 qemu-utils qemu-block-extra
	# benchmarks: a peer's clients, and what builds one against libblkio
	fio libblkio-dev gcc libc6-dev pkg-config
)
PIN='Package: qemu-* seabios ipxe-qemu
Pin: release n=trixie-backports
Pin-Priority: 900'
# No manuals and no initramfs of its own: the guest's is made by guest-initrd.sh.
DPKG_OPTIONS=(
	path-exclude=/usr/share/man/\*
	path-exclude=/usr/share/doc/\*
	path-exclude=/usr/share/locale/\*
	path-exclude=/etc/kernel/postinst.d/initramfs-tools
)

as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

recipe() {
	printf '%s\n' "$SUITE" "${PACKAGES[@]}" "$PIN" "${DPKG_OPTIONS[@]}"
}

make_root() {
	local target=$1 work options=() option uri
	command -v mmdebstrap >/dev/null || die "mmdebstrap is missing: run scripts/deps.sh guest"
	[ -e /usr/share/keyrings/debian-archive-trixie-stable.gpg ] ||
		die "debian-archive-keyring is too old to know trixie: run scripts/deps.sh guest"
	[ "$(id -u)" = 0 ] || command -v sudo >/dev/null ||
		die "not root and no sudo: run as root, once: scripts/guest-root.sh"
	uri=$(mirror)
	work=$(mktemp -d "$CACHE/making.XXXXXX")
	# shellcheck disable=SC2064 # the path of now
	trap "as_root rm -rf --one-file-system '$work'" EXIT
	printf '%s\n' "$PIN" >"$work/pin"
	# How this machine's apt reaches its archive holds for the root's apt, too.
	apt_options >"$work/apt.conf"
	for option in "${DPKG_OPTIONS[@]}"; do
		options+=(--dpkgopt="$option")
	done
	say "making $target (Debian $SUITE with its kernel, QEMU 11, fio; about 300 MB to fetch)"
	as_root mmdebstrap --quiet --mode=root --variant=apt --aptopt="$work/apt.conf" \
		"${options[@]}" \
		--setup-hook="mkdir -p \"\$1/etc/apt/preferences.d\"" \
		--setup-hook="cp '$work/pin' \"\$1/etc/apt/preferences.d/qemu\"" \
		--include="$(IFS=,; echo "${PACKAGES[*]}")" \
		"$SUITE" "$work/root" "deb $uri $SUITE main" "deb $uri $SUITE-backports main" >&2 ||
		die "mmdebstrap could not make the root; its own words are above"
	as_root chmod 755 "$work/root"
	as_root mv -T "$work/root" "$target"
	say "made $target in ${SECONDS} s"
}

target=$CACHE/root-$(recipe | hash_of)

case ${1-} in
'') make_once make_root "$target" ;;
--find) [ -d "$target" ] || die "there is no $target yet: scripts/guest-root.sh makes it" ;;
*) die "unknown argument '$1': it takes none, or --find" ;;
esac
echo "$target"
