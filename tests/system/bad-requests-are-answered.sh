#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What is no request on the control socket is answered by an error that says why, and harms no other
# client.
. "$(dirname "$0")/lib.sh"

says() { printf '%b' "$1" | "$here/unix-client" "$control" talk 1; }

start_tvqd
check_says "bad JSON" '"error".*JSON' says '{"cmd": nonsense}\n'
check_says "something else than an object" '"error"' says '[1, 2]\n'
check_says "an unknown request" '"error".*frobnicate' says '{"cmd": "frobnicate"}\n'
check_says "an argument of the wrong type" '"error"' \
	says '{"cmd": "volume add", "args": {"name": ["x"], "ram": "1M"}}\n'
check_says "an empty line" '"error"' says '\n'
check_says "a NUL inside" '"error"' says '{"cmd": "dev\\\\u0000show"}\n'
check_says "bytes that are no text" '"error"' says '\0377\0376\0200\n'
check_says "the id comes back" '"id": ?41.*"error"|"error".*"id": ?41' \
	says '{"id": 41, "cmd": "none"}\n'
check_says "deep nesting" '"error"' \
	sh -c \
	"{ head -c 20000 /dev/zero | tr '\\0' '['; echo; } | '$here/unix-client' '$control' talk 2"
check_says "a line without end" '"error"|closed' \
	sh -c "head -c 4000000 /dev/zero | tr '\\0' 'x' | '$here/unix-client' '$control' talk 3"
check_says "a bad request does not end the connection" '"ok"' says 'nonsense\n{"cmd": "dev show"}\n'
check "tvqd lives" tvqd_alive
check_says "and answers" mgmt0 ctl mgmtdev show
finish
