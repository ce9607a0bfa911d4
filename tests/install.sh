#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Installs BUILD into an empty root and builds an embedder against what is there, by pkg-config
# alone; checks that the library exports its own names only: install.sh BUILD
set -eu
build=$(cd "${1:?install.sh BUILD}" && pwd)
here=$(cd "$(dirname "$0")/.." && pwd)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

DESTDIR=$root meson install -C "$build" --no-rebuild >/dev/null
prefix=$(meson introspect --buildoptions "$build" | jq -r '.[] | select(.name == "prefix").value')
pc=$(find "$root" -name libtvq.pc)
lib=$(find "$root" -name 'libtvq.so.0' -printf '%h\n')
[ -n "$pc" ] || { echo "no libtvq.pc"; exit 1; }
[ -n "$lib" ] || { echo "no libtvq.so.0"; exit 1; }
for file in bin/tvqd bin/tvqctl bin/tvq-conformance \
	include/virtio_transportq.h include/tvq/driver.h \
	share/man/man8/tvqd.8 share/man/man8/tvqctl.8 share/man/man1/tvq-conformance.1; do
	[ -e "$root$prefix/$file" ] || { echo "$file is not installed"; exit 1; }
done
# In a system's folders it is found without being told where.
pc=${pc%/*} searched=:$(pkg-config --variable pc_path pkg-config):
case $prefix in
/usr | /usr/local)
	[[ $searched == *":${pc#"$root"}:"* ]] || {
		echo "pkg-config does not look into ${pc#"$root"}, but into $searched"
		exit 1
	} ;;
esac

# shellcheck disable=SC2046 # words
gcc -std=gnu11 -Wall -Wextra -Werror "$here/examples/driver.c" -o "$root/example" \
	$(PKG_CONFIG_PATH=$pc PKG_CONFIG_SYSROOT_DIR=$root pkg-config --cflags --libs libtvq)
LD_LIBRARY_PATH=$lib "$root/example"
LD_LIBRARY_PATH=$lib "$root$prefix/bin/tvqd" --version

others=$(nm -D --defined-only "$lib/libtvq.so.0" | awk '$2 != "A" && $3 !~ /^tvq_/ { print $3 }')
[ -z "$others" ] || { echo "exported, but not ours to export: $others"; exit 1; }
