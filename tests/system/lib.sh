# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# What the system tests share; each sources it first, and ends with `finish`.
#
# A test prints TAP: `check` and its relatives make one assertion each, and every assertion is
# counted by tests/system/run. It works in $tmp, a folder of its own that goes with it. tvqd is that
# of $TVQ_BUILD (build/), and what it started ends with the test, however the test ends.
#
#   check WHAT COMMAND...                 the command succeeds
#   check_fails WHAT REGEX COMMAND...     the command fails, and says something that matches
#   check_says WHAT REGEX COMMAND...      the command succeeds, and says something that matches
#   check_file WHAT REGEX FILE            a line of the file matches
#   skip_all REASON                       nothing can be tested here: ends the test
#
#   start_tvqd [ARGUMENT...]; ctl ARGUMENT...
#   stop_tvqd                             asserts a clean end and that nothing is left
#   add_block NAME SOCKET VOLUME-ARGUMENT... [-- DEVICE-ARGUMENT...]
#   make_image FILE MIB FOLDER            an ext4 image with the folder's files
#   need_qemu VERSION                     skips the test where this QEMU cannot be had
#   start_guest SCRIPT OPTION...          guest-run.sh in the background, its console in $console
#   wait_console WHAT REGEX SECONDS; wait_guest WHAT (asserts that the guest's script succeeded)
#   block_io SOCKET QEMU-IO-COMMAND...    a block client without a guest: qemu-io of the guest root;
#                                         with readonly=yes it only reads
set -eu

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
scripts=$here/../../scripts
build=$(readlink -m "${TVQ_BUILD:-$here/../../build}")
tvqd=$build/bin/tvqd
tvqctl=$build/bin/tvqctl

count=0 failures=0 finished='' tvqd_pid='' guest_pid='' console='' shown='' wrap=()
tmp=$(mktemp -d "${TMPDIR:-/tmp}/tvq-test.XXXXXX")
control=$tmp/control.sock
log=$tmp/tvqd.log
: >"$log"

comment() { sed 's/^/# /'; }

ok() {
	count=$((count + 1))
	echo "ok $count - $1"
}

not_ok() {
	count=$((count + 1)) failures=$((failures + 1))
	echo "not ok $count - $1"
}

verdict() {
	if [ "$1" = 0 ]; then ok "$2"; else not_ok "$2"; fi
}

# Runs a command; its output goes to $tmp/said, its status to $status.
attempt() {
	status=0
	"$@" >"$tmp/said" 2>&1 </dev/null || status=$?
}

explain() {
	{
		echo "command: $*"
		echo "status: $status, said:"
		head -c 4000 "$tmp/said"
	} | comment
}

check() {
	local what=$1
	shift
	attempt "$@"
	if [ "$status" = 0 ]; then ok "$what"; else not_ok "$what"; explain "$@"; fi
}

check_fails() {
	local what=$1 regex=$2
	shift 2
	attempt "$@"
	if [ "$status" != 0 ] && [ "$status" -lt 124 ] && grep -Eq -- "$regex" "$tmp/said"; then
		ok "$what"
	else
		not_ok "$what"
		echo "# expected a failure that says: $regex"
		explain "$@"
	fi
}

check_says() {
	local what=$1 regex=$2
	shift 2
	attempt "$@"
	if [ "$status" = 0 ] && grep -Eq -- "$regex" "$tmp/said"; then
		ok "$what"
	else
		not_ok "$what"
		echo "# expected to hear: $regex"
		explain "$@"
	fi
}

# A file's end, once.
show() {
	[[ " $shown " != *" $1 "* ]] || return 0
	shown+=" $1"
	tail -n 60 "$1" | comment
}

check_file() {
	if grep -Eq -- "$2" "$3"; then
		ok "$1"
	else
		not_ok "$1"
		echo "# no line of $(basename "$3") matches: $2"
		show "$3"
	fi
}

skip_all() {
	echo "1..0 # SKIP $*"
	finished=yes
	exit 0
}

# wait_until SECONDS COMMAND...: polls until the command succeeds; fails after that time.
wait_until() {
	local end=$((SECONDS + $1 + 1))
	shift
	while ! "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.05
	done
}

gone() { ! kill -0 "$1" 2>/dev/null; }

### tvqd

ctl() { "$tvqctl" --control "$control" "$@"; }

# The array wrap holds a command that a test wants tvqd to be started by (prlimit, setpriv).
# shellcheck disable=SC2120 # arguments are for those tests that have some
launch_tvqd() {
	"${wrap[@]}" setpriv --pdeathsig KILL "$tvqd" --control "$control" "$@" >>"$log" 2>&1 \
		</dev/null &
	tvqd_pid=$!
}

# shellcheck disable=SC2120
start_tvqd() {
	local before
	[ -x "$tvqd" ] || skip_all "there is no $tvqd: build it first (make)"
	before=$(grep -c '^tvqd: ready' "$log" || true)
	launch_tvqd "$@"
	wait_until 10 tvqd_answered "$before" || true
	if gone "$tvqd_pid" || ! tvqd_ready "$before"; then
		not_ok "tvqd starts"
		comment <"$log"
		exit 1
	fi
}

tvqd_ready() { [ "$(grep -c '^tvqd: ready' "$log")" -gt "$1" ]; }
tvqd_answered() { gone "$tvqd_pid" || tvqd_ready "$1"; }
tvqd_alive() { ! gone "$tvqd_pid"; }

no_sockets_left() {
	local left
	left=$(find "$tmp" -type s)
	[ -z "$left" ] || { echo "left behind: $left"; return 1; }
}

no_sanitizer_report() {
	! grep -m1 -A25 -E 'ERROR: [A-Za-z]*Sanitizer|runtime error:|WARNING: ThreadSanitizer' \
		"$log"
}

# SIGTERM ends it within ten seconds, with status 0 and its sockets removed.
stop_tvqd() {
	local status=0
	kill -TERM "$tvqd_pid" 2>/dev/null || true
	if wait_until 10 gone "$tvqd_pid"; then
		wait "$tvqd_pid" || status=$?
		verdict "$status" "tvqd ends with status 0 on SIGTERM"
		[ "$status" = 0 ] || show "$log"
	else
		not_ok "tvqd ends within 10 s of SIGTERM"
		show "$log"
		kill -KILL "$tvqd_pid"
		wait "$tvqd_pid" 2>/dev/null || true
	fi
	tvqd_pid=''
	check "it leaves no socket behind" no_sockets_left
	check "its log has no sanitizer's report" no_sanitizer_report
}

kill_tvqd() {
	kill -KILL "$tvqd_pid"
	wait "$tvqd_pid" 2>/dev/null || true
	tvqd_pid=''
}

# add_block NAME SOCKET VOLUME-ARGUMENT... [-- DEVICE-ARGUMENT...]: a volume NAME and a device NAME
# on it.
add_block() {
	local name=$1 socket=$2 volume=()
	shift 2
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		volume+=("$1")
		shift
	done
	[ $# = 0 ] || shift
	check "volume $name is added (${volume[*]})" ctl volume add name "$name" "${volume[@]}"
	check "device $name is added" \
		ctl dev add name "$name" mgmtdev mgmt0 class block volume "$name" "$@" \
		vhost-user "$socket"
}

### Clients

make_image() {
	rm -f "$1"
	truncate -s "$2M" "$1"
	mke2fs -q -F -t ext4 -d "$3" "$1"
}

need_qemu() {
	local version
	case $1 in
	7.2)
		version=$(qemu-system-x86_64 --version 2>/dev/null |
			sed -n 's/.*version \([0-9.]*\).*/\1/p')
		[[ $version == 7.2* ]] || skip_all "this machine's QEMU is '$version', not 7.2" ;;
	esac
	check "the guest is there" "$scripts/guest-initrd.sh"
	[ "$status" = 0 ] || exit 1
}

start_guest() {
	local script=$1
	shift
	console=$(mktemp "$tmp/console.XXXX")
	setpriv --pdeathsig TERM "$scripts/guest-run.sh" --script "$script" --timeout 100 "$@" \
		>"$console" 2>&1 </dev/null &
	guest_pid=$!
}

wait_console() {
	wait_until "$3" guest_said_or_gone "$2" || true
	check_file "$1" "$2" "$console"
}

guest_said_or_gone() { gone "$guest_pid" || grep -Eq -- "$1" "$console"; }

wait_guest() {
	status=0
	wait "$guest_pid" || status=$?
	guest_pid=''
	verdict "$status" "$1"
	[ "$status" = 0 ] || show "$console"
}

block_io() {
	local socket=$1 commands=() command
	shift
	for command in "$@"; do
		commands+=(-c "$command")
	done
	# What it cannot do it says; its status tells that in newer versions only.
	timeout 20 "$scripts/guest-exec.sh" usr/bin/qemu-io ${readonly:+-r} --image-opts \
		"driver=virtio-blk-vhost-user,path=$socket,cache.direct=on" "${commands[@]}" \
		>"$tmp/qemu-io" 2>&1 || { cat "$tmp/qemu-io"; return 1; }
	cat "$tmp/qemu-io"
	! grep -Eq 'failed|rror' "$tmp/qemu-io"
}

### The end

finish() {
	[ -z "$tvqd_pid" ] || stop_tvqd
	echo "1..$count"
	finished=yes
	[ "$failures" = 0 ]
}

clean_up() {
	local pid
	trap '' TERM INT
	[ -n "$finished" ] || {
		not_ok "the test runs to its end"
		echo "1..$count"
	}
	if [ "$failures" != 0 ] && [ -s "$log" ]; then
		echo "# tvqd's log:"
		show "$log"
	fi
	for pid in $(jobs -p); do
		kill -TERM "$pid" 2>/dev/null || true
	done
	[ -z "$tvqd_pid" ] || wait_until 3 gone "$tvqd_pid" ||
		kill -KILL "$tvqd_pid" 2>/dev/null || true
	wait 2>/dev/null
	rm -rf "$tmp"
}
trap clean_up EXIT
trap 'exit 143' TERM INT
