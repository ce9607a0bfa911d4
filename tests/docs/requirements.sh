#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# tvq-conformance --list and docs/transportq.md have the same requirements, each once, in order;
# every test that the list names is in the tree, and every requirement has one but those below.
#
# requirements.sh BUILD. Output: TAP.
set -eu

build=$(cd "${1:?usage: requirements.sh BUILD}" && pwd)
cd "$(dirname "$0")/../.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
n=0 failed=0

# What has no test yet, and why.
declare -A unproven=(
)

report() {	# what; the complaints are in $tmp/complaints
	n=$((n + 1))
	if [ ! -s "$tmp/complaints" ]; then
		echo "ok $n - $1"
	else
		echo "not ok $n - $1"
		sed 's/^/# /' "$tmp/complaints"
		failed=1
	fi
}

# A test by name: a function of that name in the file, or the file alone, where it is a script.
is_in_tree() {	# file:test, conformance:test or file
	local file=${1%%:*} test=${1#*:}
	if [ "$file" = conformance ]; then
		grep -qE "^(static void )?$test\(struct ct \*t\)" src/conformance/t_*.c &&
			grep -qE "[^_[:alnum:]]\"$test\"," src/conformance/t_*.c
	elif [ "$file" = "$1" ]; then
		[ -x "$file" ]
	else
		[ -f "$file" ] && grep -qE "^(static void )?$test\(" "$file" &&
			grep -qE "unit_test[a-z_]*\([[:space:]]*$test\b" "$file"
	fi
}

"$build/bin/tvq-conformance" --list >"$tmp/list"
cut -f1,2 "$tmp/list" >"$tmp/list.rules"
grep -oE '^- TQ-[0-9]+ [DMPB](,[DMPB])*' docs/transportq.md |
	sed 's/^- //; s/ /\t/' >"$tmp/specified"

: >"$tmp/complaints"
[ -s "$tmp/specified" ] || echo "there is none" >"$tmp/complaints"
report "the specification has requirements"

diff --label specification --label "--list" -u "$tmp/specified" "$tmp/list.rules" \
	>"$tmp/complaints" || true
report "--list has each requirement, once, in order, and whom it binds"

while IFS=$'\t' read -r number _ proofs; do
	for proof in $proofs; do
		[ "$proof" = - ] || is_in_tree "$proof" || echo "$number: $proof is not there"
	done
done <"$tmp/list" >"$tmp/complaints"
report "every test that --list names is in the tree"

while IFS=$'\t' read -r number _ proofs; do
	if [ -z "$proofs" ]; then
		echo "$number: no proof, not even -"
	elif [ "$proofs" = - ] && [ -z "${unproven[$number]-}" ]; then
		echo "$number is not proven, and there is no reason for that here"
	elif [ "$proofs" != - ] && [ -n "${unproven[$number]-}" ]; then
		echo "$number is proven: take it off the list here"
	fi
done <"$tmp/list" >"$tmp/complaints"
report "what is not proven has a reason"

echo "1..$n"
exit $failed
