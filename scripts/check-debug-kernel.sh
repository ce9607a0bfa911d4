#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Runs the guest tests of the kernel module in a kernel with lockdep, KASAN, kmemleak, the checks of
# DMA mappings and of sleeping where it is forbidden: check-debug-kernel.sh [BUILD]
#
# Each test ends by looking for what that kernel has complained of, and for memory that the module
# lost (calm in tests/system/guest/inside.sh). The kernel is made by the first run, which takes a
# quarter of an hour on two cores, and kept: see guest-kernel.sh. The tests take about as long.
set -eu

here=$(dirname "$(readlink -f "$0")")
TVQ_BUILD=$(readlink -f "${1-$here/../build}")
export TVQ_BUILD TVQ_KERNEL=debug TVQ_TEST_TIMEOUT=1800

"$here/guest-kernel.sh" debug >/dev/null
exec "$here/../tests/system/run" \
	"guest-drives-its-management-device debug ,msi-page=on" \
	"guest-drives-its-management-device debug ,msi-page=off iommu" \
	"guest-creates-256-devices debug" \
	"guest-fio-verifies-four-devices 20 debug ,vectors=4" \
	"guest-loses-devices-under-load debug" \
	"guest-gives-up-a-lying-device debug" \
	"guest-outlives-tvqd quiet debug ,msi-page=on" \
	"guest-outlives-tvqd waiting debug ,msi-page=off" \
	"guest-net-connects-namespaces debug ,msi-page=on" \
	"guest-net-loses-devices-under-traffic debug" \
	"guest-net-says-what-is-wrong debug"
