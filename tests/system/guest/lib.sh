# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2119,SC2120
#
# What the tests share that have a guest with a management device of its own: tvqd serves it, QEMU
# 11 plugs it in, tvq_vdpa.ko drives it. Beside ../lib.sh:
#
#   need_module KERNEL            the module is built; with TVQ_KERNEL set, for that one instead
#   serve [OPTIONS] [ARGUMENT...] tvqd with the function served; OPTIONS as in ",msi-page=on"
#   add_volumes N MIB             volumes disk1 to diskN, files disk1.img ... in $tmp
#   boot [OPTION...] <JOB         starts the guest with what JOB has inside (inside.sh is sourced,
#                                 set -e holds)
#   need_guest                    wait_guest, and where the guest's script failed the test ends
#   slower SECONDS                prints the time that a guest of this kernel is given
#   qmp COMMAND [ARGUMENTS]       of the guest that was booted with `boot --qmp "$tmp/qmp"`, see
#                                 ./qmp
#   lose_tvqd                     kills it under that guest
# shellcheck source=lib.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../lib.sh"

tools=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
function=$tmp/function.sock

need_module() {
	kernel=${TVQ_KERNEL:-$1}
	need_qemu 11
	if ! module=$("$scripts/guest-module.sh" --kernel "$kernel" --into "$build/module" \
		2>"$tmp/said"); then
		not_ok "the module is built for the kernel of $kernel"
		comment <"$tmp/said"
		exit 1
	fi
	ok "the module is built for the kernel of $kernel"
}

serve() {
	local options=${1-}
	[ $# = 0 ] || shift
	start_tvqd --serve "vfio-user:$function,id=0x10f2$options" "$@"
}

add_volumes() {
	local i
	for ((i = 1; i <= $1; i++)); do
		truncate -s "$2M" "$tmp/disk$i.img"
		echo "volume add name disk$i file $tmp/disk$i.img"
	done >"$tmp/volumes"
	check "$1 volumes are added" ctl --batch "$tmp/volumes"
}

slower() {
	case $kernel in
	debug) echo $(($1 * 6)) ;;
	*) echo "$1" ;;
	esac
}

boot() {
	{
		echo '. /inside.sh'
		echo 'trap tell_why EXIT'
		echo 'set -e'
		cat
	} >"$tmp/job"
	start_guest "$tmp/job" --timeout "$(slower 100)" --kernel "$kernel" --mem 512 --smp 2 \
		--file "$module" --file "$tools/inside.sh" --vfio-user "$function" "$@"
}

need_guest() {
	wait_guest "the guest's script succeeds"
	[ "$status" = 0 ] || exit 1
}

qmp() { "$tools/qmp" "$tmp/qmp" "$@"; }

# QEMU 11.1.3 aborts where its server dies with a message unread, which a kill under traffic does
# most times. So the guest's processors stand still meanwhile, and what QEMU has sent is read; the
# guest's requests stay where they are.
lose_tvqd() {
	check "the guest stands still" qmp stop
	check "all that QEMU has sent is read" wait_until 10 nothing_unread
	kill_tvqd
	check "the guest goes on" qmp cont
}

nothing_unread() {
	ss --unix --processes --no-header | awk -v who="pid=$tvqd_pid," '
		index($0, who) { sockets++; unread += $3 }
		END { exit !sockets || unread }'
}
