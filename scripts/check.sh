#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Runs the tests: check.sh quick | all | long
#
#   quick   one build, unit tests, conformance, documentation (under 2 minutes)
#   all     both compilers, sanitizers, static checks, fuzzers, guests (under 40 minutes on two cores)
#   long    the same with long fuzzing and repeated guests
#
# Everything that is needed is installed first. Each test's output goes to a file in build/check/; of one
# that fails, the end is shown. The last line counts all of them: N passed, N failed, N skipped.
set -u
cd "$(dirname "$0")/.."

level=${1:-quick}
case $level in
quick | all | long) ;;
*) echo "check: unknown level '$level': quick, all and long are known" >&2; exit 2 ;;
esac

jobs=$(nproc)
logs=$PWD/build/check
passed=0 failed=0 skipped=0
started=$SECONDS

count() { passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3)); }

show() {
	echo "---- $1: the end of $2"
	tail -n 40 "$2"
	echo "----"
}

# fact NAME COMMAND...: one test, judged by its exit status.
fact() {
	local name=$1 log=$logs/${1//[ \/]/_}.log at=$SECONDS
	shift
	if "$@" >"$log" 2>&1 </dev/null; then
		count 1 0 0
		echo "ok       $name ($((SECONDS - at)) s)"
	else
		count 0 1 0
		echo "NOT OK   $name ($((SECONDS - at)) s)"
		show "$name" "$log"
	fi
}

# tap NAME COMMAND...: a program that prints TAP; its tests are counted one by one. One that dies, or runs
# no test, is a failure of its own.
tap() {
	local name=$1 log=$logs/${1//[ \/]/_}.log at=$SECONDS status ok bad skip
	shift
	"$@" >"$log" 2>&1 </dev/null
	status=$?
	# cmocka prints a skipped test as "not ok N # SKIP name".
	skip=$(grep -Eci '^(not )?ok\b.*# skip' "$log")
	ok=$(grep -E '^ok\b' "$log" | grep -Evci '# skip')
	bad=$(grep -E '^not ok\b' "$log" | grep -Evci '# skip')
	if [ "$bad" = 0 ] && { [ $status != 0 ] || [ $((ok + skip)) = 0 ]; }; then
		bad=1
	fi
	count "$ok" "$bad" "$skip"
	echo "$([ "$bad" = 0 ] && echo "ok      " || echo "NOT OK  ") $name: $ok passed, $bad failed, $skip skipped" \
		"($((SECONDS - at)) s)"
	grep -Ei '^(not )?ok\b.*# skip' "$log" | sed 's/^/         /'
	[ "$bad" = 0 ] || { grep -E '^not ok' "$log" | grep -Evi '# skip' | head -n 20; show "$name" "$log"; }
}

configure() {
	local dir=$1
	shift
	[ -f "$dir/build.ninja" ] || meson setup "$@" "$dir"
}

# build NAME DIR CC FLAGS...
build() {
	local name=$1 dir=$2 cc=$3
	shift 3
	mkdir -p "$(dirname "$dir")"
	# shellcheck disable=SC2317 # called by fact
	make_it() { CC=$cc configure "$dir" "$@" && ninja -C "$dir" -j "$jobs"; }
	fact "$name" make_it "$@"
}

# unit FLAVOUR DIR [ONLY...]: the unit tests of that build.
unit() {
	local flavour=$1 dir=$2 exe name
	shift 2
	for exe in "$dir"/tests/unit/test_*; do
		[ -x "$exe" ] && [ ! -d "$exe" ] || continue
		name=$(basename "$exe")
		[ $# = 0 ] || [[ " $* " == *" $name "* ]] || continue
		tap "unit/$flavour/$name" env CMOCKA_MESSAGE_OUTPUT=TAP timeout 300 "$exe"
	done
}

examples() {
	local exe
	for exe in "$1"/examples/*; do
		[ -x "$exe" ] && [ ! -d "$exe" ] || continue
		fact "examples/$(basename "$exe")" timeout 60 "$exe"
	done
}

conformance() {
	local dir=$1 args
	[ -x "$dir/bin/tvq-conformance" ] || return
	for args in "" "--packed" "--workers 1"; do
		# shellcheck disable=SC2086 # words
		tap "conformance${args:+ $args}" timeout 300 "$dir/bin/tvq-conformance" $args
	done
}

scripts/deps.sh build test || exit 1
mkdir -p "$logs"

build "build/gcc" build gcc
unit gcc build
fact "freestanding check catches what it should" sh tests/freestanding.sh --self-test
fact "freestanding layers import nothing" sh tests/freestanding.sh build/libtvq-freestanding.a
conformance build
examples build
for test in tests/docs/*.sh; do
	[ -x "$test" ] && fact "$test" "$test" build
done

if [ "$level" != quick ]; then
	scripts/deps.sh guest || exit 1
	build "build/clang" build/clang clang
	build "build/asan" build/asan clang -Db_sanitize=address,undefined -Db_lundef=false
	export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
	unit asan build/asan
	build "build/tsan" build/tsan clang -Db_sanitize=thread -Db_lundef=false
	# shellcheck disable=SC2046 # words
	unit tsan build/tsan $(grep -v '^#' tests/unit/threaded)
	fact "clang-format" scripts/lint.sh format
	fact "clang-tidy" scripts/lint.sh tidy build/clang
	fact "shellcheck" scripts/lint.sh shell
	tap "fuzz" scripts/fuzz.sh "$([ "$level" = long ] && echo 600 || echo 60)"
	fact "install" tests/install.sh build
	tap "system" tests/system/run "$([ "$level" = long ] && echo --long || echo --all)"
fi

echo "took $((SECONDS - started)) s; output of each test in build/check/"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
