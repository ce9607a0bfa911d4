#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Runs the tests: check.sh quick | all | long
#
#   quick   one build, unit tests, conformance, documentation (under 2 minutes)
#   all     both compilers, sanitizers, static checks, fuzzers, guests (under 40 minutes on two
#           cores)
#   long    the same with long fuzzing and repeated guests
#
# Everything that is needed is installed first. Each test's output goes to a file in build/check/;
# of one that fails, the end is shown, and what failed is told once more behind everything else; of
# one that is skipped, the reason. What cannot be built or started has failed, and so has what ended
# before all its tests did. The last line counts all tests: N passed, N failed, N skipped.
set -u
cd "$(dirname "$0")/.." || exit 1

level=${1:-quick}
case $level in
quick | all | long) ;;
*) echo "check: unknown level '$level': quick, all and long are known" >&2; exit 2 ;;
esac

jobs=$(nproc)
logs=$PWD/build/check
passed=0 failed=0 skipped=0
stage='' stage_at=0 times='' failures=''

count() { passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3)); }

# stage NAME: what follows belongs to it, and its time is told at the end.
stage() {
	[ -z "$stage" ] || times+="${times:+, }$stage $((SECONDS - stage_at)) s"
	stage=${1-} stage_at=$SECONDS
	[ -z "$stage" ] || echo "== $stage"
}

# The end of every run, whatever it came to.
finish() {
	trap '' INT TERM
	stage
	[ -z "$failures" ] || printf '== what failed\n%s' "$failures"
	echo "took $SECONDS s: ${times:-nothing was run}"
	echo "output of each test in build/check/"
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" = 0 ] && [ "$passed" != 0 ]
	exit
}

# shellcheck disable=SC2317 # called by trap
interrupted() {
	failure "this run" "interrupted in '$stage'"
	finish
}
trap interrupted INT TERM

show() {
	echo "---- $1: the end of $2"
	tail -n 40 "$2"
	echo "----"
}

log_of() { echo "$logs/${1//[ \/]/_}.log"; }

# not_ok TEXT [DETAIL]: a failure's line, now and at the end of the run, there with the detail.
not_ok() {
	echo "NOT OK   $1"
	failures+="NOT OK   $1"$'\n'${2:+$2$'\n'}
}

# failure NAME WHY [DETAIL]: what failed as a whole, or could not even be run.
failure() {
	count 0 1 0
	not_ok "$1: $2" "${3-}"
}

# fact NAME COMMAND...: one test, judged by its exit status, which is passed on.
fact() {
	local name=$1 log at=$SECONDS
	log=$(log_of "$name")
	shift
	if "$@" >"$log" 2>&1 </dev/null; then
		count 1 0 0
		echo "ok       $name ($((SECONDS - at)) s)"
	else
		failure "$name" "failed ($((SECONDS - at)) s)" "$(tail -n 6 "$log")"
		show "$name" "$log"
		return 1
	fi
}

# Reads TAP. The first line: tests that passed, failed, were skipped, and those of the plan (or
# plans) that never ended. Then a line for each skip, with its reason: behind the directive, or, as
# cmocka has it (which calls a skipped test "not ok"), on the line before.
tally() {
	awk '
		/^(not )?ok( |$)/ {
			seen++
			directive = match(tolower($0), /# skip/) ? substr($0, RSTART + 6) : ""
			if (!RSTART) {
				if (/^ok/) ok++; else bad++
			} else {
				skip++
				name = substr($0, 1, RSTART - 1)
				sub(/^(not )?ok *[0-9]* *(- )?/, "", name)
				sub(/ +$/, "", name)
				sub(/^ +/, "", directive)
				if (name == "") {
					name = directive
					directive = said
				}
				if (directive == "")
					directive = "no reason is given"
				sub(/^skipped: /, "", directive)
				skips = skips "         skipped: " name ": " directive "\n"
			}
			said = ""
			next
		}
		/^1\.\.0 *# *[Ss][Kk][Ii][Pp]/ {
			skip++
			sub(/^1\.\.0 *# *[A-Za-z]* */, "")
			skips = skips "         skipped: " $0 "\n"
			next
		}
		/^1\.\.[0-9]+/ { plan += substr($0, 4); next }
		/./ { said = $0 }
		END {
			lost = (plan > seen) ? plan - seen : 0
			printf "%d %d %d %d\n%s", ok, bad, skip, lost, skips
		}
	' "$1"
}

# The tests of a program that prints TAP that failed, and what it said of each: the beginning and
# the end; of many, the first.
told() {
	awk '
		function tell(i) {
			for (i = 1; i <= lines; i++)
				if (i <= 4 || i > lines - 8)
					print substr(line[i], 1, 200)
			lines = 0
		}
		/^(not )?ok( |$)/ {
			tell()
			in_failed = /^not/ && tolower($0) !~ /# skip/ && ++n <= 8
		}
		in_failed { line[++lines] = $0 }
		END { tell() }
	' "$1"
}

# tap NAME COMMAND...: a program that prints TAP; its tests are counted one by one. Those of its
# plan that did not end have failed. One that dies, or runs no test, is a failure of its own.
tap() {
	local name=$1 log at=$SECONDS status=0 ok bad skip lost reasons why='' details
	log=$(log_of "$name")
	shift
	"$@" >"$log" 2>&1 </dev/null || status=$?
	{ read -r ok bad skip lost; reasons=$(cat); } < <(tally "$log")
	if [ "$lost" != 0 ]; then
		why="; $lost never ended, its status is $status"
	elif [ $((ok + bad + skip)) = 0 ]; then
		lost=1 why="; no test has run, its status is $status"
	elif [ "$bad" = 0 ] && [ $status != 0 ]; then
		lost=1 why="; all of them ended, but its status is $status"
	fi
	bad=$((bad + lost))
	count "$ok" "$bad" "$skip"
	why="$name: $ok passed, $bad failed, $skip skipped$why ($((SECONDS - at)) s)"
	if [ "$bad" = 0 ]; then
		echo "ok       $why"
	else
		details=$(told "$log")
		not_ok "$why" "$details"
		echo "$details"
		show "$name" "$log"
	fi
	[ -z "$reasons" ] || echo "$reasons"
}

# need GROUP...: packages, see deps.sh.
need() {
	scripts/deps.sh "$@" && return
	failure "packages" "deps.sh $* failed, and nothing can be tested without them"
	finish
}

# build DIR CC FLAGS...: a stage that begins with a build; the rest of it depends on the status.
build() {
	local dir=$1 cc=$2
	shift 2
	mkdir -p "$(dirname "$dir")"
	# shellcheck disable=SC2317 # called by fact
	make_it() {
		[ -f "$dir/build.ninja" ] || CC=$cc meson setup "$@" "$dir" || return
		ninja -C "$dir" -j "$jobs"
	}
	fact "build $dir" make_it "$@" && return
	echo "NOT RUN  all that needs it"
	return 1
}

# unit FLAVOUR DIR NAME...: these unit tests of that build.
unit() {
	local flavour=$1 dir=$2/tests/unit name
	shift 2
	export CMOCKA_MESSAGE_OUTPUT=TAP
	for name; do
		if [ -x "$dir/$name" ]; then
			tap "unit/$flavour/$name" timeout 300 "$dir/$name"
		else
			failure "unit/$flavour/$name" "not built; is it in tests/unit/meson.build?"
		fi
	done
}

# sources GLOB: names of the source files, without folder and ending.
sources() {
	local file
	for file in $1; do
		file=${file##*/}
		echo "${file%.*}"
	done
}

examples() {
	local name
	for name in $(sources 'examples/*.c'); do
		fact "examples/$name" timeout 60 "$1/examples/example-$name"
	done
}

conformance() {
	local args
	for args in "" "--packed" "--workers 1" "--type net" "--type net --packed --workers 1"; do
		# shellcheck disable=SC2086 # words
		tap "conformance${args:+ $args}" timeout 300 "$1/bin/tvq-conformance" $args
	done
}

documentation() {
	local test
	tap "manual pages" tests/manpages.sh "$1/bin" docs
	for test in tests/docs/*.sh; do
		[ ! -e "$test" ] || fact "$test" "$test" "$1"
	done
}

freestanding() {
	fact "freestanding check catches what it should" sh tests/freestanding.sh --self-test
	fact "freestanding layers import nothing" \
		sh tests/freestanding.sh "$1/libtvq-freestanding.a"
}

# Some tests hold ten thousand descriptors at a time; a login has 1024, and may have more.
ulimit -Sn "$(ulimit -Hn)"
fuzz_seconds=60 guests=--all
[ "$level" != long ] || fuzz_seconds=600 guests=--long
mapfile -t unit_tests < <(sources 'tests/unit/test_*.c')
# What waits for long is not for daily work.
[ "$level" != quick ] ||
	mapfile -t unit_tests < <(sources 'tests/unit/test_*.c' | grep -vxFf tests/unit/slow)
mapfile -t threaded_tests < <(grep -v '^#' tests/unit/threaded)

mkdir -p "$logs" || exit 1
stage "packages"
if [ "$level" = quick ]; then need build test; else need build test guest; fi

stage "gcc"
if build build gcc; then
	gcc_built=yes
	unit gcc build "${unit_tests[@]}"
	freestanding build
	conformance build
	examples build
	documentation build
fi
fact "lines" scripts/lint.sh lines
[ "$level" != quick ] || finish

stage "clang"
if build build/clang clang; then
	fact "clang-tidy" scripts/lint.sh tidy build/clang
fi
fact "clang-format" scripts/lint.sh format
fact "shellcheck" scripts/lint.sh shell

export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
stage "asan"
if build build/asan clang -Db_sanitize=address,undefined -Db_lundef=false; then
	unit asan build/asan "${unit_tests[@]}"
fi
stage "tsan"
if build build/tsan clang -Db_sanitize=thread -Db_lundef=false; then
	unit tsan build/tsan "${threaded_tests[@]}"
fi
stage "fuzz"
tap "fuzz" scripts/fuzz.sh "$fuzz_seconds"

stage "module"
tap "module" tests/module.sh build/module
stage "system"
if [ -n "${gcc_built-}" ]; then
	fact "install" tests/install.sh build
	tap "system" tests/system/run "$guests"
else
	failure "system" "build/ could not be built"
fi
finish
