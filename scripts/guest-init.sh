#!/bin/busybox sh
# shellcheck shell=dash
# SPDX-License-Identifier: BSD-3-Clause
#
# The guest's first process: loads the modules, runs /job with the console as its output, and turns
# the machine off. Ends with a line of its own, "guest-job-status N", by which guest-run.sh knows
# that /job ran to its end and what its exit status was. /job is a shell script (busybox) in an
# archive that the caller appended; files beside it in that archive are under /.
export PATH=/bin LD_LIBRARY_PATH=/lib64 HOME=/ TERM=dumb

/bin/busybox --install -s /bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
while read -r module; do
	insmod "/modules/$module" || echo "guest: cannot load $module"
done </modules/order

sh /job
status=$?

dmesg -n 1
echo
echo "guest-job-status $status"
sync
poweroff -f
