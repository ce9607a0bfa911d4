# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=dash
#
# What the scripts share that run inside a guest with a management device. They source it as
# /inside.sh; its commands fail, and say why, when something is not as it should be.
#
#   load                     vDPA and our module are loaded, and the management device is there
#   add NAME [WORDS...]      vdpa dev add; once its disk is there, the disk's name is in $disk
#   del NAME                 vdpa dev del
#   disk_of NAME             prints the disk of a device (vda), nothing where there is none. Devices
#                            have to be named for their volumes
#   format_of DISK           prints split or packed: what the driver negotiated
#   add_net NAME [WORDS...]  as add, of a network device; its interface's name is in $net
#   net_of NAME              prints the interface of a network device (eth0), nothing where there is
#                            none in this namespace
#   room NAME ADDRESS        makes a network namespace, and moves $net there, as eth0 with that
#                            address; `in_room NAME COMMAND...` runs something in it
#   count_of ROOM WHAT       prints one of eth0's counters there (rx_packets)
#   stat_of NAME QUEUE WHAT  prints a counter of a queue (used), as vdpa dev vstats show tells it
#   within SECONDS COMMAND   polls until the command succeeds; fails, and says so, after that time
#   fill FILE MIB            with bytes that no other call writes
#   calm                     fails if the kernel's log has something that a kernel says when it is
#                            broken, and shows it. With a debug kernel it looks for leaks, too
manager=auxiliary/tvq.blk.0
net_manager=auxiliary/tvq.net.0

# A kernel that watches itself takes its time.
patience=1
[ ! -e /sys/kernel/debug/kmemleak ] || patience=6

within() {
	local end=$(($(cut -d. -f1 /proc/uptime) + $1 * patience))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$(cut -d. -f1 /proc/uptime)" -lt $end ] || { echo "in vain: $*"; return 1; }
		sleep 0.1
	done
}

# Where the guest was given iproute2's; busybox would run its own without looking at PATH.
ip() { /bin/ip "$@"; }

has_manager() { vdpa mgmtdev show "$manager"; }

load() {
	modprobe virtio_vdpa && insmod /tvq_vdpa.ko "$@" && within 10 has_manager
}

# Nothing in sysfs leads from a vDPA device to its virtio device; but a volume's id is what its disk
# tells as its serial number.
disk_of() {
	local serial
	for serial in /sys/block/vd*/serial; do
		[ "$(cat "$serial" 2>/dev/null)" != "$1" ] || basename "$(dirname "$serial")"
	done
}

has_disk() { [ -b "/dev/$(disk_of "$1")" ]; }

tell_why() {
	local status=$?
	[ $status = 0 ] || { echo "the kernel's last words:"; dmesg | tail -n 40; }
	return $status
}

add() {
	local name=$1
	shift
	vdpa dev add name "$name" mgmtdev "$manager" "$@" || return
	within 20 has_disk "$name" || return
	# shellcheck disable=SC2034 # the caller's
	disk=$(disk_of "$name")
}

del() { vdpa dev del "$1"; }

# A network device's interface is the one that has its address.
net_of() {
	local mac
	mac=$(vdpa dev config show "$1" | sed -n 's/.* mac \([0-9a-f:]*\) .*/\1/p')
	[ -n "$mac" ] || return 0
	grep -lx "$mac" /sys/class/net/*/address | cut -d/ -f5
}

has_net() { [ -n "$(net_of "$1")" ]; }

add_net() {
	local name=$1
	shift
	vdpa dev add name "$name" mgmtdev "$net_manager" "$@" || return
	within 20 has_net "$name" || return
	# shellcheck disable=SC2034 # the caller's
	net=$(net_of "$name")
}

in_room() {
	local room=$1
	shift
	ip netns exec "$room" "$@"
}

# Without IPv6 nobody sends who was not told to.
room() {
	ip netns add "$1" || return
	in_room "$1" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 \
		net.ipv6.conf.default.disable_ipv6=1
	ip link set "$net" netns "$1" && ip -n "$1" link set "$net" name eth0 &&
		ip -n "$1" address add "$2" dev eth0 && ip -n "$1" link set lo up &&
		ip -n "$1" link set eth0 up
}

count_of() { in_room "$1" cat "/sys/class/net/eth0/statistics/$2"; }

stat_of() {
	vdpa dev vstats show "$1" qidx "$2" | sed -n "s/.* $3 \\([0-9]*\\).*/\\1/p"
}

# Bits are shown from bit 0 on; 34 is VIRTIO_F_RING_PACKED.
format_of() {
	case $(cut -c35 "/sys/block/$1/device/features") in
	0) echo split ;;
	1) echo packed ;;
	esac
}

fill() { dd if=/dev/urandom of="$1" bs=64k count=$(($2 * 16)) conv=fsync 2>/dev/null; }

leaks() {
	[ -w /sys/kernel/debug/kmemleak ] || return 0
	# What is younger than five seconds is not yet looked at, and one scan can miss a pointer
	# that is on its way from one place to another.
	sleep 6
	echo scan >/sys/kernel/debug/kmemleak
	echo scan >/sys/kernel/debug/kmemleak
	cat /sys/kernel/debug/kmemleak
}

calm() {
	local leaked
	leaked=$(leaks)
	dmesg >/tmp/dmesg
	grep -qE -e 'BUG:|WARNING:|Oops|Call Trace|KASAN:|ODEBUG|kmemleak: .* leaks' \
		-e 'INFO: (task|possible|rcu)|general protection|scheduling while atomic' \
		-e 'DMA-API: .*(device driver|exceeded)|held lock freed' /tmp/dmesg ||
		[ -n "$leaked" ] || return 0
	echo "the kernel is not well:"
	cat /tmp/dmesg
	echo "$leaked"
	return 1
}
