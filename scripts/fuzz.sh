#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Builds the fuzzers and runs each for a number of seconds, two at a time, starting from its seeds and from
# what earlier runs found (build/fuzz/corpus). Prints TAP. fuzz.sh SECONDS [NAME...]
set -eu
cd "$(dirname "$0")/.."

seconds=${1:?fuzz.sh SECONDS [NAME...]}
shift
dir=build/fuzz

[ -f $dir/build.ninja ] || CC=clang meson setup -Dfuzz=true -Db_lundef=false $dir >/dev/null
ninja -C $dir >/dev/null

run_one() {
	local name=$1 corpus=$dir/corpus/$1 log=$dir/$1.log
	mkdir -p "$corpus"
	[ -d "tests/fuzz/seeds/${name#fuzz_}" ] && set -- "tests/fuzz/seeds/${name#fuzz_}" || set --
	if "$dir/tests/fuzz/$name" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 -print_final_stats=1 \
		-artifact_prefix="$dir/$name-" "$corpus" "$@" >"$log" 2>&1; then
		echo "ok - $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs in $seconds s"
	else
		echo "not ok - $name"
		tail -n 40 "$log" | sed 's/^/# /'
	fi
}

export -f run_one
export dir seconds
if [ $# = 0 ]; then
	set -- $(cd "$dir/tests/fuzz" && find . -maxdepth 1 -name 'fuzz_*' -type f -executable -printf '%f\n' | sort)
fi
[ $# != 0 ] || { echo "not ok - no fuzzer was built"; exit 1; }
out=$(printf '%s\n' "$@" | xargs -P 2 -I{} bash -c 'run_one {}')
echo "$out"
! grep -q '^not ok' <<<"$out"
