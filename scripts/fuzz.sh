#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Builds the fuzzers and runs each for a number of seconds, two at a time, starting from its seeds
# and from what earlier runs found (build/fuzz/corpus): fuzz.sh SECONDS [NAME...]
#
# Prints TAP, a test for each fuzzer, and the end of the output of one that found something; all of
# it is in build/fuzz/NAME.log. What it found lies beside that, as NAME-crash-... or the like.
set -eu
cd "$(dirname "$0")/.."

seconds=${1:?usage: fuzz.sh SECONDS [NAME...]}
shift
dir=build/fuzz

build() {
	scripts/deps.sh build || return
	if [ ! -f $dir/build.ninja ]; then
		CC=clang meson setup -Dfuzz=true -Db_lundef=false $dir || return
	fi
	ninja -C $dir
}

run_one() {
	local name=$1 program=$dir/tests/fuzz/$1 log=$dir/$1.log folders=("$dir/corpus/$1")
	local status=0 count
	if [ ! -x "$program" ]; then
		echo "not ok - $name: not built; is it in tests/fuzz/meson.build?"
		return
	fi
	mkdir -p "${folders[0]}"
	[ ! -d "tests/fuzz/seeds/${name#fuzz_}" ] || folders+=("tests/fuzz/seeds/${name#fuzz_}")
	"$program" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 -print_final_stats=1 \
		-artifact_prefix="$dir/$name-" "${folders[@]}" >"$log" 2>&1 || status=$?
	if [ $status = 0 ]; then
		count=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
		echo "ok - $name: $count inputs in $seconds s"
	else
		echo "not ok - $name: status $status"
		tail -n 40 "$log" | sed 's/^/# /'
	fi
}

mkdir -p $dir
if ! build >$dir/build.log 2>&1; then
	echo "1..1"
	echo "not ok - the fuzzers can be built"
	tail -n 40 $dir/build.log | sed 's/^/# /'
	exit 1
fi
[ $# != 0 ] || mapfile -t names < <(find tests/fuzz -name 'fuzz_*.c' -printf '%f\n' | sort)
[ $# = 0 ] || names=("$@")
echo "1..${#names[@]}"
export -f run_one
export dir seconds
out=$(printf '%s\n' "${names[@]%.c}" | xargs -P 2 -I{} bash -c 'run_one {}')
echo "$out"
! grep -q '^not ok' <<<"$out"
