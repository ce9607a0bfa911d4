#!/bin/busybox sh
# shellcheck shell=dash
# SPDX-License-Identifier: BSD-3-Clause
#
# The guest's first process: loads the modules, runs /job with the console as its output, and turns
# the machine off. Ends with a line of its own, "guest-job-status N", by which guest-run.sh knows
# that /job ran to its end and what its exit status was. /job is a shell script (busybox) in an
# archive that the caller appended; files beside it in that archive are under /. With "job.input" on
# the kernel's command line, what comes in on the console is the script's input.
export PATH=/bin LD_LIBRARY_PATH=/lib64 HOME=/ TERM=${TERM:-dumb}

/bin/busybox --install -s /bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t debugfs debug /sys/kernel/debug 2>/dev/null
while read -r module; do
	modprobe "$module" || echo "guest: cannot load $module"
done </modules

if grep -q job.input /proc/cmdline; then
	setsid cttyhack sh /job
else
	sh /job
fi
status=$?

dmesg -n 1
echo
echo "guest-job-status $status"
sync
poweroff -f
