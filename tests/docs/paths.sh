#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What the documents point to is there: the files and folders they name or link, the functions, the
# targets of make. paths.sh BUILD, of which it needs nothing.
set -eu
cd "$(dirname "$0")/../.."

documents=(README.md CONTRIBUTING.md docs/design.md docs/howto-vm-disks.md
	docs/howto-network.md docs/howto-guest.md)
seen=0 failed=0

# fact WHAT COMMAND...: the command succeeds if it is there.
fact() {
	local what=$1
	shift
	seen=$((seen + 1))
	"$@" || { failed=$((failed + 1)); echo "$document: there is no $what"; }
}

# In running text: words between backquotes.
quoted() { tr '\n' ' ' <"$1" | tr '`' '\n' | awk 'NR % 2 == 0'; }

# A path of this tree: src/x.c, device/vq.h (below src), docs/; not those with a placeholder.
paths() {
	grep -oE '[A-Za-z0-9_.-]*[A-Za-z0-9_-]/[A-Za-z0-9_./*-]*' "$1" | sed 's/[.,]*$//' |
		grep -E '^(src|include|docs|tests|scripts|bench|bin|examples)/|\.(c|h|sh|def|md)$' |
		grep -v '[A-Z]\{4\}' | sort -u
}

exists() {
	compgen -G "$1" >/dev/null || compgen -G "src/$1" >/dev/null ||
		compgen -G "include/$1" >/dev/null
}

for document in "${documents[@]}"; do
	while read -r path; do
		fact "$path" exists "$path"
	done < <(paths "$document")
	while read -r link; do
		fact "$link" [ -e "$(dirname "$document")/$link" ]
	done < <(grep -oE '\]\([^)#]+' "$document" | cut -c3- | grep -v '^http')
	while read -r name; do
		fact "function $name()" grep -rqw "$name" src include
	done < <(quoted "$document" | sed -nE 's/^([a-z_0-9]+)\(\)$/\1/p')
	while read -r target; do
		fact "target $target" grep -qE "^$target:" Makefile
	done < <(grep -oE '^ +make [a-z][a-z-]*' "$document" | awk '{ print $2 }')
done
echo "$seen paths, links, functions and targets, $failed failed"
[ "$failed" = 0 ] && [ "$seen" != 0 ]
