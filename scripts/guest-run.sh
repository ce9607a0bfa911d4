#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Boots a Linux guest in QEMU, has it run a script, and prints its console. The status is 0 only if
# the script ran to its end and exited with 0; a script that failed gives its own status, a guest
# that died or never answered 125, one that was stopped by the time limit 124.
#
#   guest-run.sh --script FILE [OPTION...] [-- QEMU-ARGUMENT...]
#
#   --script FILE       what the guest runs: a shell script for busybox, with util-linux's lsblk,
#                       iproute2's vdpa and mkfs.ext4
#   --file PATH         a file that the guest has in /, by its own name; may be repeated
#   --with PROGRAM      one more program of the guest root (fio); may be repeated
#   --kernel KERNEL     trixie (default), bookworm, debug: see guest-kernel.sh
#   --disk SOCKET[,KEY=VALUE...]
#                       a vhost-user-blk-pci device on SOCKET; may be repeated, the first is vda.
#                       The keys are properties of the device (num-queues=2, packed=on,
#                       queue-size=256), and reconnect=SECONDS
#   --net SOCKET[,KEY=VALUE...]
#                       a virtio-net-pci device on SOCKET (vhost-user); may be repeated. The keys
#                       are properties of the device (mac=MAC, packed=on, host_mtu=9000),
#                       queues=PAIRS, and reconnect=SECONDS
#   --vfio-user SOCKET  the PCI function that is served on SOCKET, in a slot of its own from which
#                       it can be unplugged; may be repeated: ids function0, ...; slots slot0, ...
#   --iommu             an emulated IOMMU (intel-iommu) before all devices
#   --qemu 7.2|11       Debian 12's own QEMU (default), or the newer one of the guest root (default
#                       with --vfio-user, which 7.2 does not have)
#   --mem MIB           memory (256); it is shared, as vhost-user needs
#   --smp N             processors (1)
#   --timeout SECONDS   time limit (60); shortly before, the guest is made to tell what it waits for
#   --qmp PATH          a QMP server on PATH
#   --pidfile PATH      QEMU writes its process id there
#   --append WORDS      more words for the kernel's command line
#   --interactive       the guest's console is this terminal, and the script's input comes from it;
#                       there is no time limit, and the status is QEMU's
#
# No privilege is needed. QEMU emulates (TCG). It ends with this script, even if that is killed. The
# guest root and its kernel are made first where they are missing, see guest-root.sh and
# guest-initrd.sh.
set -eu

here=$(dirname "$(readlink -f "$0")")
name=guest-run
cmdline="console=ttyS0 quiet printk.time=1 panic=-1 mitigations=off tsc=reliable no_timer_check"
cmdline+=" cryptomgr.notests sysrq_always_enabled"
qemu='' mem=256 smp=1 limit=60 script='' append='' kernel=trixie iommu='' interactive=''
disks=() nets=() functions=() files=() programs=() extra=()

fail() { echo "$name: $*" >&2; exit 2; }

number() {
	[[ $2 =~ ^[1-9][0-9]*$ ]] || fail "$1 takes a number above 0, not '$2'"
	echo "$2"
}

readable() {
	if ! [ -f "$2" ] || ! [ -r "$2" ]; then fail "$1: cannot read '$2'"; fi
	echo "$2"
}

parse() {
	while [ $# -gt 0 ]; do
		case $1 in
		--) shift; extra+=("$@"); break ;;
		--iommu) iommu=yes; shift; continue ;;
		--interactive) interactive=yes; shift; continue ;;
		esac
		[ $# -ge 2 ] || fail "$1: unknown, or its value is missing"
		case $1 in
		--script) script=$2 ;;
		--file) files+=("$(readable "$@")") ;;
		--with) programs+=("$2") ;;
		--kernel) kernel=$2 ;;
		--disk) disks+=("$2") ;;
		--net) nets+=("$2") ;;
		--vfio-user) functions+=("$2") ;;
		--qemu) qemu=$2 ;;
		--mem) mem=$(number "$1" "$2") ;;
		--smp) smp=$(number "$1" "$2") ;;
		--timeout) limit=$(number "$1" "$2") ;;
		--qmp) extra+=(-qmp "unix:$2,server=on,wait=off") ;;
		--pidfile) extra+=(-pidfile "$2") ;;
		--append) append=$2 ;;
		*) fail "unknown option '$1'; the head of this script lists them" ;;
		esac
		shift 2
	done
	[ -n "$script" ] || fail "--script FILE is missing: what shall the guest run?"
	readable --script "$script" >/dev/null
	case ${#functions[@]}:$qemu in
	0:) qemu=7.2 ;;
	*:) qemu=11 ;;
	0:*) ;;
	*:7.2) fail "--vfio-user: QEMU 7.2 has no such device, --qemu 11 does" ;;
	esac
}

# Sets qemu_command, and reconnect_unit: how many of the unit that this QEMU's sockets count in are
# a second.
choose_qemu() {
	local root
	case $qemu in
	7.2)
		qemu_command=(qemu-system-x86_64)
		reconnect_property=reconnect reconnect_unit=1
		command -v qemu-system-x86_64 >/dev/null ||
			fail "qemu-system-x86_64 is missing: run scripts/deps.sh guest" ;;
	11)
		root=$("$here/guest-root.sh")
		qemu_command=("$here/guest-exec.sh" usr/bin/qemu-system-x86_64
			-L "$root/usr/share/qemu" -L "$root/usr/share/seabios")
		reconnect_property=reconnect-ms reconnect_unit=1000 ;;
	*) fail "--qemu: '$qemu' is not known, 7.2 and 11 are" ;;
	esac
}

a_socket() { [ -S "$2" ] || fail "$1: there is no socket at '$2'"; }

# A root port makes a slot that its device can leave; q35's own bus does not let go. The path is
# quoted as JSON wants it.
add_function() {
	local n=$1 path=$2
	a_socket --vfio-user "$path"
	path=${path//\\/\\\\}
	path=${path//\"/\\\"}
	function_arguments+=(-device "pcie-root-port,id=slot$n,chassis=$((n + 1)),slot=$((n + 1))"
		-device "{\"driver\":\"vfio-user-pci\",\"id\":\"function$n\",\"bus\":\"slot$n\",
			\"socket\":{\"type\":\"unix\",\"path\":\"$path\"}}")
}

# It has to come before the devices that it translates for; vfio needs to be told what the guest
# maps (caching-mode).
choose_iommu() {
	iommu_arguments=()
	[ -n "$iommu" ] || return 0
	iommu_arguments=(-device "intel-iommu,intremap=on,caching-mode=on,device-iotlb=on")
	append="intel_iommu=on iommu=nopt $append"
}

# A socket's argument becomes $chardev and the $properties of the device on it. Commas in the path
# are doubled, as QEMU wants them; the path ends at the first comma that KEY= follows.
split_socket() {
	local option=$1 id=$2 spec=$3 path
	path=$spec properties=''
	if [[ $spec =~ ^(.*),([a-z_-]+=.*)$ ]]; then
		path=${spec%%,[a-z]*=*}
		properties=${spec#"$path"}
	fi
	a_socket "$option" "$path"
	chardev=socket,id=$id,path=${path//,/,,}
	if [[ $properties =~ ,reconnect=([0-9]+) ]]; then
		chardev+=,$reconnect_property=$((BASH_REMATCH[1] * reconnect_unit))
		properties=${properties/"${BASH_REMATCH[0]}"/}
	fi
}

add_disk() {
	local chardev properties
	split_socket --disk "$1" "$2"
	device_arguments+=(-chardev "$chardev" -device "vhost-user-blk-pci,chardev=$1$properties")
}

# With several pairs a vector for each queue, one for the control queue and one for changes.
add_net() {
	local chardev properties queues=''
	split_socket --net "$1" "$2"
	if [[ $properties =~ ,queues=([0-9]+) ]]; then
		queues=,queues=${BASH_REMATCH[1]}
		properties=${properties/"${BASH_REMATCH[0]}"/}
		properties=",mq=on,vectors=$((2 * BASH_REMATCH[1] + 2))$properties"
	fi
	device_arguments+=(-chardev "$chardev" -netdev "vhost-user,id=$1-peer,chardev=$1$queues"
		-device "virtio-net-pci,netdev=$1-peer,id=$1-device,romfile=$properties")
}

# The script rides with its files in an archive of its own behind the initrd's.
make_initrd() {
	local boot=$1 archives=() program
	for program in "${programs[@]}"; do
		archives+=("$("$here/guest-initrd.sh" --with "$program")")
	done
	mkdir "$work/job"
	[ ${#files[@]} = 0 ] || cp "${files[@]}" "$work/job/"
	cp "$script" "$work/job/job"
	{
		cat "$boot/initrd" "${archives[@]}"
		(cd "$work/job" && find . -type f | cpio -o -H newc --quiet -R 0:0)
	} >"$work/initrd"
}

# QEMU's TCG translates the locked instructions of a guest that can have one processor only to plain
# ones, as if nobody else looked at its rings; they are its memory barriers. So there is always room
# for a second.
assemble() {
	local processors=$smp
	[ "$smp" != 1 ] || processors=1,maxcpus=2
	machine=("${qemu_command[@]}"
		-nodefaults -no-user-config -display none -no-reboot
		-machine q35 -cpu max -accel tcg -smp "$processors" -m "${mem}M"
		-object "memory-backend-memfd,id=memory,size=${mem}M,share=on"
		-numa "node,memdev=memory"
		-kernel "$boot/vmlinux" -initrd "$work/initrd" -append "$cmdline $append"
		-chardev "stdio,id=console,signal=off,mux=$mux" -serial chardev:console
		"${iommu_arguments[@]}" "${function_arguments[@]}" "${device_arguments[@]}"
		"${extra[@]}")
}

# Two guards: QEMU dies with its timer, and the timer with this script. By its keys a guest that
# does not end is asked for its tasks: a break (of QEMU's multiplexer, after Ctrl-A) and a letter is
# a "magic SysRq" to the kernel. 9: say everything; l: what runs; w: what is blocked.
start() {
	mkfifo "$work/keys"
	exec 8<>"$work/keys"
	setpriv --pdeathsig TERM timeout -k 5 "$limit" setpriv --pdeathsig KILL "${machine[@]}" \
		<&8 >"$work/pipe" 2>&1 8>&- &
	vm=$!
	ask &
	asker=$!
}

ask() {
	local key
	mkfifo "$work/never"
	read -r -t $((limit > 4 ? limit - 3 : limit)) <>"$work/never" || true
	for key in 9 l w; do
		printf '\001b%s' "$key" >&8
		sleep 0.2
	done
}

stop() {
	trap '' TERM INT
	[ -z "$asker" ] || kill "$asker" 2>/dev/null || true
	[ -z "$vm" ] || kill "$vm" 2>/dev/null || true
	wait
	rm -rf "$work"
}

verdict() {
	local job
	job=$(sed -n 's/^guest-job-status \([0-9]*\)$/\1/p' "$work/console" | tail -n1)
	[ -z "$job" ] || return "$job"
	if [ "$1" = 124 ] || [ "$1" = 137 ]; then
		echo "$name: the guest was stopped: its script had not ended after $limit s" >&2
		return 124
	fi
	echo "$name: the guest ended before its script did (QEMU's status: $1)" >&2
	return 125
}

parse "$@"
choose_qemu
choose_iommu
device_arguments=()
for i in "${!disks[@]}"; do
	add_disk "disk$i" "${disks[i]}"
done
for i in "${!nets[@]}"; do
	add_net "net$i" "${nets[i]}"
done
function_arguments=()
for i in "${!functions[@]}"; do
	add_function "$i" "${functions[i]}"
done

boot=$("$here/guest-initrd.sh" --kernel "$kernel")
vm='' asker=''
work=$(mktemp -d "${TMPDIR:-/tmp}/tvq-guest.XXXXXX")
trap stop EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

mux=on
[ -z "$interactive" ] || { mux=off append="job.input TERM=${TERM:-dumb} $append"; }
make_initrd "$boot"
khz=$("$here/guest-clock.sh")
[ -z "$khz" ] || append="tsc_early_khz=$khz $append"
assemble
if [ -n "$interactive" ]; then
	setpriv --pdeathsig KILL "${machine[@]}"
	exit
fi
mkfifo "$work/pipe"
sed -u 's/\r$//' <"$work/pipe" | tee "$work/console" &
start
status=0
wait "$vm" || status=$?
vm=''
kill "$asker" 2>/dev/null || true
wait
verdict "$status"
