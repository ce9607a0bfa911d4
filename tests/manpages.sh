#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Programs and manual pages say the same: every option and every command in --help is in the page of
# the program, and the reverse; every program has a page, and every page a program.
#
# manpages.sh BINDIR DOCDIR. Needs mandoc. Output: TAP.
set -eu

bin=${1:?usage: manpages.sh BINDIR DOCDIR}
docs=${2:?usage: manpages.sh BINDIR DOCDIR}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
n=0 failed=0

report() {	# status, what
	n=$((n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2"
		failed=1
	fi
}

# The files are equal and not empty; the difference as a comment.
same() {	# file, file, what
	local status=0
	[ -s "$1" ] || status=1
	diff --label "--help" --label "manual page" -u "$1" "$2" >"$tmp/diff" || status=1
	sed 's/^/# /' "$tmp/diff"
	report $status "$3"
}

plain() {
	mandoc -T utf8 "$1" | sed 's/.\x08//g'
}

# Without the options that a page gives to another program: "tvqd(8) with --serve" in tvqctl's.
own_words() {	# program
	local other text
	text=$(tr -s '\n ' ' ')
	for other in "$bin"/*; do
		other=${other##*/}
		[ "$other" = "$1" ] ||
			text=$(sed -E \
				"s/(^|[^-[:alnum:]])$other(\([18]\))?( with)? --?[a-z-]+/\1/g" \
				<<<"$text")
	done
	echo "$text"
}

long_options() {
	grep -oE -- '(^|[^-[:alnum:]])--[a-z][a-z-]+' | grep -oE -- '--[a-z-]+' | sort -u
}

short_options() {
	grep -oE -- '(^|[[:space:]])-[A-Za-z]\b' | grep -oE -- '-[A-Za-z]' | sort -u
}

# The synopsis without what is underlined, which a user replaces; one command a line, words only.
synopsis_words() {
	mandoc -T utf8 "$1" | sed 's/\(.\)\x08\1/\1/g; s/_\x08.//g' |
		sed -n '/^SYNOPSIS/,/^DESCRIPTION/p' | sed '1d;$d' | commands "$2"
}

help_words() {	# the usage, up to the first empty line
	sed '/^$/,$d; 1d' "$1" | commands "$2"
}

# Joins continued lines; leaves the words in lower case. What takes options only is no command.
commands() {
	tr '\n' ' ' | sed "s/\b$1 /\n/g" | grep -v -- '--' | grep -oE '^.*[a-z].*$' |
		sed -E 's/[][{}|]/ /g; s/\b[A-Z]+\b/ /g; s/ +/ /g; s/^ //; s/ $//' | grep . | sort
}

for program in "$bin"/*; do
	name=${program##*/}
	if [ ! -f "$program" ] || [ ! -x "$program" ]; then
		continue
	fi
	page=$(ls "$docs/$name".[18] 2>/dev/null || true)
	if [ -z "$page" ]; then
		report 1 "$name has a manual page"
		continue
	fi
	report 0 "$name has a manual page"
	"$program" --help >"$tmp/help"
	plain "$page" | own_words "$name" >"$tmp/page"
	long_options <"$tmp/help" >"$tmp/help.long"
	long_options <"$tmp/page" >"$tmp/page.long"
	same "$tmp/help.long" "$tmp/page.long" "$name: the long options of --help and of the page"
	short_options <"$tmp/help" >"$tmp/help.short"
	short_options <"$tmp/page" >"$tmp/page.short"
	same "$tmp/help.short" "$tmp/page.short" \
		"$name: the short options of --help and of the page"
	if [ "$name" = tvqctl ]; then
		help_words "$tmp/help" "$name" >"$tmp/help.words"
		synopsis_words "$page" "$name" >"$tmp/page.words"
		same "$tmp/help.words" "$tmp/page.words" \
			"$name: the commands of --help and of the page"
	fi
done

for page in "$docs"/*.[18]; do
	name=${page##*/}
	status=0
	[ -x "$bin/${name%.*}" ] || status=1
	report $status "$name is the page of a program"
	status=0
	mandoc -T lint -W warning "$page" >"$tmp/lint" || status=1
	sed 's/^/# /' "$tmp/lint"
	report $status "$name is well-formed"
done

echo "1..$n"
exit $failed
