#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What tvqd or tvqctl may not do is refused in words that name the file; it goes on.
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || skip_all "needs root, to be somebody else"
as_nobody=(setpriv --reuid nobody --regid "$(id -g nobody)" --clear-groups)
nobody() { "${as_nobody[@]}" "$@"; }
# The build folder may lie where that somebody cannot go.
chmod 755 "$tmp"
install -m 755 "$tvqd" "$tvqctl" "$tmp/"
tvqd=$tmp/tvqd tvqctl=$tmp/tvqctl

mkdir -m 755 "$tmp/roots"
mkdir -m 777 "$tmp/theirs"
truncate -s 1M "$tmp/secret.img" "$tmp/readable.img"
chmod 600 "$tmp/secret.img"
chmod 644 "$tmp/readable.img"

check_fails "a control socket where tvqd may not make one" "$tmp/roots" \
	nobody timeout 5 "$tvqd" --control "$tmp/roots/control.sock"

wrap=("${as_nobody[@]}") control=$tmp/theirs/control.sock
start_tvqd
check_fails "an image that it may not read" "$tmp/secret.img.*Permission denied" \
	ctl volume add name v file "$tmp/secret.img"
check_fails "an image that it may only read" \
	"$tmp/readable.img.*readonly|$tmp/readable.img.*read-only" \
	ctl volume add name v file "$tmp/readable.img"
check "which it takes read-only" ctl volume add name v file "$tmp/readable.img" readonly on
check_fails "a vhost-user socket where it may not make one" "$tmp/roots/v.sock.*Permission denied" \
	ctl dev add name v mgmtdev mgmt0 class block volume v readonly on \
	vhost-user "$tmp/roots/v.sock"
check "the same device where it may" \
	ctl dev add name v mgmtdev mgmt0 class block volume v readonly on \
	vhost-user "$tmp/theirs/v.sock"
readonly=yes
check "reads work" block_io "$tmp/theirs/v.sock" 'read 0 4k'
check_fails "a pool where it may not make volumes" "$tmp/roots" \
	ctl volume add name p pool "$tmp/roots"
stop_tvqd

wrap=() control=$tmp/control.sock
start_tvqd
check_fails "tvqctl of a user who may not talk to this tvqd" \
	"permission.*$control|$control.*[Pp]ermission" \
	nobody "$tvqctl" --control "$control" dev show
finish
