#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The commands that README.md and the how-to guides show can be typed as they stand there, in that
# order, and say what they are said to say: commands.sh BUILD
#
# Those for QEMU, those in a guest, and those that set up a network around it are left to the system
# tests, make's to check.sh. Files and sockets are in a folder of the test's own instead of /tmp and
# /srv, and so is the control socket; tap devices are in a network of the test's own.
set -eu

build=$(cd "${1:?usage: commands.sh BUILD}" && pwd)
cd "$(dirname "$0")/../.."
tmp=$(mktemp -d)
daemon='' failed=0 done=0
trap 'stop; rm -rf "$tmp"' EXIT

for program in tvqd tvqctl; do
	printf '#!/bin/sh\nexec "%s" --control "%s" "$@"\n' "$build/bin/$program" \
		"$tmp/control.sock" >"$tmp/$program"
	chmod +x "$tmp/$program"
done
PATH=$tmp:$PATH

stop() {
	[ -z "$daemon" ] || kill "$daemon" || true
	[ -z "$daemon" ] || wait "$daemon" || true
	daemon=''
}

# Where that is not allowed, what makes a tap device is left out.
if [ -c /dev/net/tun ] && unshare -rn true 2>/dev/null; then
	own_network='unshare -rn' taps=yes
else
	own_network='' taps=''
	echo "no network namespace: tap devices are left out"
fi

start() {
	stop
	# The one before has said in it that it is ready.
	: >"$tmp/log"
	# shellcheck disable=SC2086
	$own_network tvqd "$@" 2>"$tmp/log" &
	daemon=$!
	for _ in {1..100}; do
		! grep -q '^tvqd: ready' "$tmp/log" || return 0
		sleep 0.1
	done
	echo "tvqd did not start:"
	cat "$tmp/log"
	exit 1
}

here() { sed "s|build/bin/||g; s|/tmp/|$tmp/|g; s|/srv/|$tmp/|g" <<<"$1"; }

fail() {
	failed=$((failed + 1))
	echo "$1: $2"
	sed 's/^/    /' "$tmp/said"
}

# What is for the host: a document's part before the first heading that says otherwise.
for_host() { sed '/^## .*In the guest/,$d' "$1"; }

# What is indented, continued lines joined; then what is quoted in running text, but placeholders.
shown() {
	sed -n 's/^    //p' "$1" | sed -e ':more' -e '/\\$/N; s/ *\\\n */ /; t more'
	tr '\n' ' ' <"$1" | tr '`' '\n' | tr -s ' ' | sed -n '/ [A-Z]*$/d; /^tvqctl ./p'
}

run() { bash -c "$(here "$2")" >"$tmp/said" 2>&1 </dev/null || fail "$1" "$2"; }

try() {
	local file=$1 line=$2
	case $line in
	'tvqd &' | 'build/bin/tvqd &') start ;;
	'tvqd --serve '*' &' | 'build/bin/tvqd --serve '*' &')
		read -r -a words <<<"$(here "$line")"
		start "${words[@]:1:${#words[@]}-2}" ;;
	qemu-system* | vdpa* | make* | kill* | ip\ * | ping* | passt* | tcpdump* | ' '*'# '*)
		return 0 ;;
	*\ tap\ * | *\ lan) [ -z "$taps" ] || run "$file" "$line" ;;
	*trace) timeout 1 tvqctl trace >"$tmp/said" 2>&1 || [ $? = 124 ] || fail "$file" "$line" ;;
	*tvqctl\ * | truncate\ * | mkfs*) run "$file" "$line" ;;
	*:\ *) grep -qxF "$(here "$line")" "$tmp/said" || fail "$file" "is not said: $line" ;;
	*) : >"$tmp/said"; fail "$file" "this test does not know what to do with: $line" ;;
	esac
	done=$((done + 1))
}

mkdir "$tmp/images"
for file in README.md docs/howto-*.md; do
	for_host "$file" >"$tmp/document"
	shown "$tmp/document" >"$tmp/lines"
	while IFS= read -r line; do
		try "$file" "$line"
	done <"$tmp/lines"
	[ -n "$daemon" ] || { echo "$file starts no tvqd"; failed=$((failed + 1)); }
	stop
done
echo "$done commands, $failed failed"
[ "$failed" = 0 ]
