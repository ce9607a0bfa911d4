#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The main job, told as it goes, in two stories. On the host: two disk images become two managed
# block devices, and two network devices are made, all through a transport virtqueue; an ordinary
# Linux guest in an ordinary QEMU mounts the disks and writes, and speaks to another guest over the
# network; the host finds what it wrote. In a guest: it gets a management device as a PCI function,
# its kernel's vdpa tool makes block and network devices, and its own virtio_blk and virtio_net
# drive them.
#
#   demo.sh [BUILD]           BUILD is the build folder (build/); `make demo` builds it and installs
#                             what is missing
#   demo.sh --shell [BUILD]   nothing is told: a prompt in such a guest, with four volumes that wait
#                             for devices
#
# QEMU=11 takes the newer QEMU in the first story, PACKED=on packed rings. Ends in about two minutes
# where the guest root is there (guest-root.sh); the first run makes it. Status 0: everything was as
# it says.
set -eu

here=$(dirname "$(readlink -f "$0")")
shell=''
[ "${1-}" != --shell ] || { shell=yes; shift; }
build=$(readlink -f "${1-$here/../build}")
qemu=${QEMU-7.2} packed=${PACKED-off} vectors=''
# Without KVM it dies of a vhost-user network device with control queue and MSI-X, whoever serves
# it.
[ "$qemu" != 7.2 ] || vectors=,vectors=0

if [ -t 1 ]; then
	bold=$'\e[1m' blue=$'\e[1;34m' green=$'\e[32m' red=$'\e[1;31m' dim=$'\e[2m' plain=$'\e[0m'
else
	bold='' blue='' green='' red='' dim='' plain=''
fi

step() { printf '\n%s== %s%s\n' "$blue" "$*" "$plain"; }
note() { printf '%s   %s%s\n' "$dim" "$*" "$plain"; }
good() { printf '%s   %s%s\n' "$green" "$*" "$plain"; }
die() {
	printf '%sdemo: %s%s\n' "$red" "$*" "$plain" >&2
	[ ! -s "$work/tvqd.log" ] || { echo "tvqd's log:" >&2; tail -n 30 "$work/tvqd.log" >&2; }
	exit 1
}
# Shows a command as one would type it, then does it.
run() {
	printf '%s   $ %s%s\n' "$bold" "${*//"$work/"/}" "$plain"
	"$@" 2>&1 | sed "s|$work/||g; s/^/   /"
	[ "${PIPESTATUS[0]}" = 0 ] || die "this failed: $*"
}
tvqctl() { "$build/bin/tvqctl" --control "$work/tvqd.sock" "$@"; }

clean_up() {
	trap '' TERM INT
	[ -z "$neighbour" ] || kill "$neighbour" 2>/dev/null || true
	[ -z "$tvqd" ] || kill "$tvqd" 2>/dev/null || true
	wait
	rm -rf "$work"
}

make_image() {
	local name=$1 size=$2
	mkdir "$work/$name"
	cat >"$work/$name/hello.txt"
	cp "$here/../README.md" "$here/../LICENSE" "$work/$name/" 2>/dev/null || true
	truncate -s "$size" "$work/$name.img"
	mke2fs -q -F -t ext4 -L "$name" -d "$work/$name" "$work/$name.img"
	note "$name.img: ext4, $size, with $(cd "$work/$name" && echo *)"
}

start_tvqd() {
	printf '%s   $ tvqd --control tvqd.sock %s&%s\n' "$bold" "${*:+${*//"$work/"/} }" "$plain"
	# The one before has said in it that it is ready.
	: >"$work/tvqd.log"
	setpriv --pdeathsig TERM "$build/bin/tvqd" --control "$work/tvqd.sock" "$@" \
		2>"$work/tvqd.log" </dev/null &
	tvqd=$!
	for _ in {1..100}; do
		! grep -q '^tvqd: ready' "$work/tvqd.log" 2>/dev/null || return 0
		kill -0 "$tvqd" 2>/dev/null || break
		sleep 0.1
	done
	die "tvqd did not start"
}

add_disk() {
	run tvqctl volume add name "$1" file "$work/$1.img"
	run tvqctl dev add name "$2" mgmtdev mgmt0 class block volume "$1" \
		vhost-user "$work/$2.sock"
}

add_nic() {
	run tvqctl dev add name "$1" mgmtdev mgmt0 class net mac "$2" vhost-user "$work/$1.sock"
}

# A guest's script, from what comes on stdin; its lines are shown as one would type them by say. The
# guest's first process turns it off when the script has ended.
write_job() {
	{
		echo 'poweroff() { :; }'
		echo 'say() { echo; echo "guest# $*"; eval "$*"; }'
		echo 'set -e'
		cat
	} >"$work/job"
}

# The guest's console, told apart from ours.
show_guest() {
	set -o pipefail
	"$here/guest-run.sh" --script "$work/job" --timeout 80 "$@" |
		tee "$work/console" |
			sed -u '/^guest-job-status/d; /reboot: Power down/d; s/^/   | /' ||
		die "the guest did not do what it was asked to"
	set +o pipefail
}

stop_tvqd() {
	kill "$tvqd"
	wait "$tvqd" || die "tvqd ended with status $?"
	tvqd=''
	note "tvqd ended with status 0"
}

# The guest at the other end of the network: it takes what is sent to it, and says what it got.
start_neighbour() {
	cat >"$work/neighbour-job" <<'GUEST'
set -e
ip addr add 192.0.2.2/24 dev eth0
ip link set eth0 up
echo "listening"
nc -l -p 7777 >/data
sha256sum /data
GUEST
	"$here/guest-run.sh" --script "$work/neighbour-job" --timeout 120 --qemu "$qemu" \
		--net "$work/net1.sock,mac=52:54:00:00:00:02,packed=$packed$vectors" \
		>"$work/neighbour" 2>&1 </dev/null &
	neighbour=$!
	for _ in {1..400}; do
		! grep -q '^listening' "$work/neighbour" 2>/dev/null || return 0
		kill -0 "$neighbour" 2>/dev/null || break
		sleep 0.1
	done
	cat "$work/neighbour" >&2
	die "the other guest did not start"
}

check_neighbour() {
	local sent got
	wait "$neighbour" || die "the other guest failed: $(tail -n 5 "$work/neighbour")"
	neighbour=''
	sent=$(sed -n 's|^\([0-9a-f]\{64\}\)  /mnt/right/data$|\1|p' "$work/console")
	got=$(sed -n 's|^\([0-9a-f]\{64\}\)  /data$|\1|p' "$work/neighbour" | tr -d '\r')
	[ "$sent" = "$got" ] || die "the neighbour got $got, $sent was sent"
	good "the neighbour got the 8 MiB, byte for byte (sha256 ${got:0:16}...)"
}

check_host() {
	local inside outside
	run e2fsck -fn "$work/left.img"
	run e2fsck -fn "$work/right.img"
	run debugfs -R 'cat answer.txt' "$work/left.img"
	debugfs -R 'cat answer.txt' "$work/left.img" 2>/dev/null |
		grep -q '^Written by the guest' ||
		die "what the guest wrote is not in left.img"
	inside=$(sed -n 's|^\([0-9a-f]\{64\}\)  /mnt/right/data$|\1|p' "$work/console")
	debugfs -R "dump data $work/data" "$work/right.img" 2>/dev/null
	outside=$(sha256sum "$work/data" | cut -d' ' -f1)
	[ "$inside" = "$outside" ] || die "the guest's 8 MiB differ: $inside there, $outside here"
	good "the guest's 8 MiB are in right.img, byte for byte (sha256 ${outside:0:16}...)"
}

host_story() {
	local device
	step "The guest: Debian's kernel, nothing of ours in it"
	note "$("$here/guest-initrd.sh")"

	step "Two disk images with files in them"
	make_image left 64M <<<"Hello from the left disk."
	make_image right 128M <<<"Hello from the right disk."

	step "tvqd, with a management device in process"
	start_tvqd
	run tvqctl mgmtdev show

	step "Two managed block devices, created through its transport virtqueue"
	add_disk left vda
	add_disk right vdb
	run tvqctl volume show

	step "And two managed network devices: ports of the switch inside it"
	add_nic net0 52:54:00:00:00:01
	add_nic net1 52:54:00:00:00:02
	run tvqctl dev show
	note "a second guest starts on net1.sock"
	start_neighbour

	step "An ordinary guest on two disks and a network (QEMU $qemu, packed rings $packed)"
	write_job <<'GUEST'
echo "Linux $(uname -r), its own virtio_blk"
say lsblk -o NAME,SIZE,RO,TYPE,MOUNTPOINTS
say 'mkdir /mnt/left /mnt/right'
say mount /dev/vda /mnt/left
say mount /dev/vdb /mnt/right
say 'ls -l /mnt/left /mnt/right'
say 'cat /mnt/left/hello.txt /mnt/right/hello.txt'
say "echo 'Written by the guest, through a managed block device.' >/mnt/left/answer.txt"
say 'dd if=/dev/urandom of=/mnt/right/data bs=64k count=128 2>&1 | tail -n1'
say 'sha256sum /mnt/right/data'
say ip addr add 192.0.2.1/24 dev eth0
say ip link set eth0 up
say ping -c 2 192.0.2.2
say 'nc 192.0.2.2 7777 </mnt/right/data'
say sync
say umount /mnt/left /mnt/right
say poweroff
GUEST
	printf '%s   $ %s%s\n' "$bold" \
		'qemu-system-x86_64 ... -device vhost-user-blk-pci ... -netdev vhost-user ...' \
		"$plain"
	show_guest --qemu "$qemu" \
		--net "$work/net0.sock,mac=52:54:00:00:00:01,packed=$packed$vectors" \
		--disk "$work/vda.sock,num-queues=1,packed=$packed" \
		--disk "$work/vdb.sock,num-queues=1,packed=$packed"

	check_neighbour
	run tvqctl switch show

	step "The devices go, the daemon ends"
	for device in vda vdb net0 net1; do
		run tvqctl dev del "$device"
	done
	stop_tvqd

	step "Back on the host: the images"
	check_host
}

# serve VOLUME...: tvqd with the management device as a PCI function, and volumes for it to use.
serve() {
	local volume
	start_tvqd --serve "vfio-user:$work/function.sock,id=0x10f2"
	for volume; do
		truncate -s 64M "$work/$volume.img"
		run tvqctl volume add name "$volume" file "$work/$volume.img"
	done
}

plug_in() {
	printf '%s   $ %s%s\n' "$bold" \
		"qemu-system-x86_64 ... -device {driver: vfio-user-pci, ... function.sock}" "$plain"
}

guest_story() {
	local module
	step "The other way round: a guest with a management device of its own"
	module=$("$here/guest-module.sh" --into "$build/module")
	note "$module, the driver, built for the guest's kernel"
	serve north south
	run tvqctl mgmtdev show

	step "The guest makes disks and network devices itself, with iproute2's vdpa"
	write_job <<'GUEST'
ip() { /bin/ip "$@"; }
say modprobe virtio_vdpa
say insmod /tvq_vdpa.ko
say vdpa mgmtdev show
say lsblk
say vdpa dev add name north mgmtdev auxiliary/tvq.blk.0
say vdpa dev add name south mgmtdev auxiliary/tvq.blk.0
say vdpa dev show
within() { n=0; until lsblk "$1" >/dev/null 2>&1; do n=$((n + 1)); [ $n -lt 50 ]; sleep 0.2; done; }
within /dev/vdb
say 'grep . /sys/block/vd?/serial'
say mkfs.ext4 -q -L north /dev/vda
say 'mount /dev/vda /mnt'
say "echo 'Written by the guest, to a disk that it made itself.' >/mnt/answer.txt"
say 'ls -l /mnt'
say lsblk -o NAME,SIZE,TYPE,MOUNTPOINTS
say umount /mnt
say vdpa dev add name east mgmtdev auxiliary/tvq.net.0 mac 52:54:00:00:01:01
say vdpa dev add name west mgmtdev auxiliary/tvq.net.0 mac 52:54:00:00:01:02
say vdpa dev config show
say ip netns add room
say ip link set eth1 netns room
say ip addr add 198.51.100.1/24 dev eth0
say ip link set eth0 up
say ip -n room addr add 198.51.100.2/24 dev eth1
say ip -n room link set eth1 up
say ping -c 2 198.51.100.2
say vdpa dev vstats show east qidx 1
say 'for d in north south east west; do vdpa dev del $d; done'
say lsblk
say poweroff
GUEST
	plug_in
	show_guest --vfio-user "$work/function.sock" --file "$module" --with ip
	stop_tvqd

	step "Back on the host: the volume that it chose"
	run e2fsck -fn "$work/north.img"
	run debugfs -R 'cat answer.txt' "$work/north.img"
	debugfs -R 'cat answer.txt' "$work/north.img" 2>/dev/null |
		grep -q '^Written by the guest' ||
		die "what the guest wrote is not in north.img"
	good "what the guest wrote is in north.img"
}

guest_shell() {
	local module
	module=$("$here/guest-module.sh" --into "$build/module")
	step "tvqd serves a management device; four volumes wait for devices"
	serve north east south west
	cat >"$work/job" <<'GUEST'
modprobe virtio_vdpa && insmod /tvq_vdpa.ko
cat <<'END'

A guest with a management device. For example:

    vdpa mgmtdev show
    vdpa dev add name north mgmtdev auxiliary/tvq.blk.0
    lsblk
    mkfs.ext4 /dev/vda && mount /dev/vda /mnt
    umount /mnt && vdpa dev del north
    vdpa dev add name east mgmtdev auxiliary/tvq.net.0
    ip link

exit (or poweroff -f) ends it.

END
PS1='guest# ' sh
GUEST
	plug_in
	"$here/guest-run.sh" --interactive --script "$work/job" --mem 512 --smp 2 --with ip \
		--vfio-user "$work/function.sock" --file "$module" || true
	stop_tvqd
}

tvqd='' neighbour=''
work=$(mktemp -d "${TMPDIR:-/tmp}/tvq-demo.XXXXXX")
trap clean_up EXIT
trap 'exit 130' INT TERM
[ -x "$build/bin/tvqd" ] || die "there is no $build/bin/tvqd: build it first (make)"

if [ -n "$shell" ]; then
	[ -t 0 ] || die "--shell: there is no terminal here"
	guest_shell
	exit
fi
"$here/guest-initrd.sh" >/dev/null
SECONDS=0
host_story
guest_story
printf '\n%s== Done in %d s: devices for guests, and devices that a guest made itself.%s\n' \
	"$green" "$SECONDS" "$plain"
