#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Runs a program of the guest root on this machine: guest-exec.sh PROGRAM [ARGUMENT...]
#
# PROGRAM is a path inside the root (usr/bin/qemu-img) or, with a leading slash or dot, one on this
# machine that was built against the root's libraries:
#
#     gcc --sysroot="$(scripts/guest-root.sh)" -o build/client client.c -lblkio
#     scripts/guest-exec.sh ./build/client
#
# The root's own loader starts it with the root's libraries, so the program is an ordinary process
# here: it sees this machine's files and sockets, needs no chroot, no mounts and no privilege. What
# it starts in turn are this machine's programs. The loader is exec'ed: the caller's child is the
# program.
set -eu

here=$(dirname "$(readlink -f "$0")")
root=$("$here/guest-root.sh" --find)
[ $# -gt 0 ] || { echo "guest-exec: name a program, such as usr/bin/qemu-img" >&2; exit 2; }

program=$1
shift
case $program in
/* | ./* | ../*) ;;
*) program=$root/$program ;;
esac
[ -x "$program" ] || { echo "guest-exec: there is no program $program" >&2; exit 127; }

libraries=$root/usr/lib/x86_64-linux-gnu
export QEMU_MODULE_DIR="$libraries/qemu"
exec "$libraries/ld-linux-x86-64.so.2" --argv0 "$(basename "$program")" \
	--library-path "$libraries" \
	"$program" "$@"
