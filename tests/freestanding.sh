#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Proves that the freestanding layers need nothing of an operating system.
#
#	tests/freestanding.sh OBJECT-OR-ARCHIVE-OR-DIRECTORY...
#
# All objects together are linked on paper: each symbol that one of them lacks must be defined by
# another one, or be one of the four mem* functions that every C compiler expects to be there.
# Everything else fails, named with the object that asks for it. Constructors and writable
# thread-local data fail too: there is nobody to run or to make them.
#
# To try it: sh tests/freestanding.sh --self-test
set -eu

allowed='memcpy memmove memset memcmp'
# Made by compilers for position-independent code.
compiler='_GLOBAL_OFFSET_TABLE_'

objects()
{
	for arg in "$@"; do
		if [ -d "$arg" ]; then
			find "$arg" -name '*.o' -type f
		elif [ -e "$arg" ]; then
			printf '%s\n' "$arg"
		else
			printf '%s: no such file\n' "$arg" >&2
			return 1
		fi
	done
}

check()
{
	list=$(objects "$@") || return 1
	if [ -z "$list" ]; then
		echo 'no objects to look at' >&2
		return 1
	fi
	# -A: each line names its object.
	symbols=$(printf '%s\n' "$list" | tr '\n' '\0' | xargs -0 nm -A -P) || return 1
	printf '%s\n' "$symbols" | awk -v allowed="$allowed $compiler" '
		BEGIN { n = split(allowed, a, " "); for (i = 1; i <= n; i++) known[a[i]] = 1 }
		NF < 3 { next }
		$3 == "U" || $3 == "w" || $3 == "v" { wants[$2] = wants[$2] " " $1; next }
		{ known[$2] = 1; count++ }
		END {
			for (s in wants)
				if (!(s in known)) {
					printf "not freestanding: %s, wanted by%s\n", s, wants[s]
					bad = 1
				}
			if (!count) {
				print "the objects define nothing"
				bad = 1
			}
			exit bad
		}' || return 1
	if printf '%s\n' "$list" | tr '\n' '\0' | xargs -0 objdump -h |
	   grep -E '\.(init_array|fini_array|ctors|dtors|tdata|tbss)' >&2; then
		echo 'not freestanding: constructors or thread-local data' >&2
		return 1
	fi
}

# The check must catch what it is for.
self_test()
{
	tmp=$(mktemp -d)
	trap 'rm -rf "$tmp"' EXIT
	cc=${CC:-cc}
	echo 'int tvq_b(void); int tvq_a(void); int tvq_a(void) { return tvq_b(); }' >"$tmp/a.c"
	echo 'int tvq_b(void); int tvq_b(void) { return 1; }' >"$tmp/b.c"
	echo 'int puts(const char *); int tvq_c(void); int tvq_c(void) { return puts("x"); }' \
		>"$tmp/c.c"
	echo 'static __thread int v; int *tvq_d(void); int *tvq_d(void) { return &v; }' >"$tmp/d.c"
	echo 'int tvq_v; __attribute__((constructor)) static void f(void) { tvq_v = 1; }' \
		>"$tmp/e.c"
	for f in a b c d e; do
		"$cc" -O1 -ffreestanding -fPIC -c "$tmp/$f.c" -o "$tmp/$f.o"
	done
	check "$tmp/a.o" "$tmp/b.o" || { echo 'self-test: good objects were refused'; return 1; }
	for bad in "$tmp/a.o" "$tmp/c.o" "$tmp/d.o" "$tmp/e.o" "$tmp/missing.o"; do
		if check "$bad" >"$tmp/out" 2>&1; then
			echo "self-test: $bad was let through"
			return 1
		fi
	done
}

case ${1:-} in
'')
	echo "usage: $0 OBJECT-OR-ARCHIVE-OR-DIRECTORY... | --self-test" >&2
	exit 2
	;;
--self-test)
	self_test
	;;
*)
	check "$@"
	;;
esac
