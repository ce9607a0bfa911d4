#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The main job, told as it goes: two disk images become two managed block devices, made through a
# transport virtqueue; an ordinary Linux guest in an ordinary QEMU mounts them and writes; the host
# finds what it wrote.
#
#   demo.sh [BUILD]       BUILD is the build folder (build/); `make demo` builds it and installs
#                         what is missing
#
# QEMU=11 takes the newer QEMU, PACKED=on packed rings. Ends in well under two minutes where the
# guest root is there (guest-root.sh); the first run makes it. Status 0: everything was as it says.
set -eu

here=$(dirname "$(readlink -f "$0")")
build=$(readlink -f "${1-$here/../build}")
qemu=${QEMU-7.2} packed=${PACKED-off}

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
	printf '%s   $ tvqd --control tvqd.sock &%s\n' "$bold" "$plain"
	setpriv --pdeathsig TERM "$build/bin/tvqd" --control "$work/tvqd.sock" \
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

write_job() {
	cat >"$work/job" <<'GUEST'
say() { echo; echo "guest# $*"; eval "$*"; }
set -e
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
say lsblk -o NAME,SIZE,TYPE,MOUNTPOINTS
say sync
say umount /mnt/left /mnt/right
say poweroff
GUEST
	# The guest's first process turns it off when the script has ended.
	sed -i '1i poweroff() { :; }' "$work/job"
}

boot_guest() {
	printf '%s   $ %s%s\n' "$bold" \
		'qemu-system-x86_64 ... -device vhost-user-blk-pci (vda.sock) ... (vdb.sock)' \
		"$plain"
	set -o pipefail
	"$here/guest-run.sh" --script "$work/job" --qemu "$qemu" --timeout 80 \
		--disk "$work/vda.sock,num-queues=1,packed=$packed" \
		--disk "$work/vdb.sock,num-queues=1,packed=$packed" |
		tee "$work/console" |
			sed -u '/^guest-job-status/d; /reboot: Power down/d; s/^/   | /' ||
		die "the guest did not do what it was asked to"
	set +o pipefail
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

tvqd=''
work=$(mktemp -d "${TMPDIR:-/tmp}/tvq-demo.XXXXXX")
trap clean_up EXIT
trap 'exit 130' INT TERM
[ -x "$build/bin/tvqd" ] || die "there is no $build/bin/tvqd: build it first (make)"

step "The guest: Debian's kernel, nothing of ours in it"
note "$("$here/guest-initrd.sh")"
SECONDS=0

step "Two disk images with files in them"
make_image left 64M <<<"Hello from the left disk."
make_image right 128M <<<"Hello from the right disk."

step "tvqd, with a management device in process"
start_tvqd
run tvqctl mgmtdev show

step "Two managed block devices, created through its transport virtqueue"
add_disk left vda
add_disk right vdb
run tvqctl dev show
run tvqctl volume show

step "An ordinary guest on the two sockets (QEMU $qemu, packed rings $packed)"
write_job
boot_guest

step "The devices go, the daemon ends"
run tvqctl dev del vda
run tvqctl dev del vdb
kill "$tvqd"
wait "$tvqd" || die "tvqd ended with status $?"
tvqd=''
note "tvqd ended with status 0"

step "Back on the host: the images"
check_host
printf '\n%s== Done in %d s: two images, one transport virtqueue, two disks in a guest.%s\n' \
	"$green" "$SECONDS" "$plain"
