#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Volumes and devices that cannot be: each is refused in words that name the thing, and leaves
# nothing behind.
. "$(dirname "$0")/lib.sh"

add() { ctl dev add mgmtdev mgmt0 class block "$@"; }

start_tvqd
head -c 1000 /dev/zero >"$tmp/odd.img"
: >"$tmp/empty.img"
truncate -s 1M "$tmp/good.img"
mkfifo "$tmp/fifo"
mkdir "$tmp/folder"

check_fails "an image of 1000 bytes: not a multiple of 512" "$tmp/odd.img.*1000.*512" \
	ctl volume add name v file "$tmp/odd.img"
check_fails "an empty image" "$tmp/empty.img" ctl volume add name v file "$tmp/empty.img"
check_fails "an image that is not there" "$tmp/none.img.*No such file" \
	ctl volume add name v file "$tmp/none.img"
check_fails "a folder as an image" "$tmp/folder" ctl volume add name v file "$tmp/folder"
check_fails "a fifo as an image, without waiting for its other end" "$tmp/fifo" \
	timeout 5 "$tvqctl" --control "$control" volume add name v file "$tmp/fifo"
check_fails "RAM of an odd size" '1000' ctl volume add name v ram 1000
check_fails "no kind of volume" 'file PATH' ctl volume add name v
check_fails "an unknown argument" 'colour' ctl volume add name v ram 1M colour red

check "a good one" ctl volume add name v file "$tmp/good.img"
check_fails "a name that is taken" "'?v'?.*taken" ctl volume add name v ram 1M
check_fails "a device on an unknown volume" "nosuch" add name d volume nosuch
check_fails "a device of an unknown class" "nosuch" \
	ctl dev add name d mgmtdev mgmt0 class nosuch volume v
check_fails "a device of an unknown management device" "mgmt7" \
	ctl dev add name d mgmtdev mgmt7 class block volume v
check "a device" add name d volume v
check_fails "a second device on its volume" "'?v'?.*(use|taken)|refused" add name e volume v
check_fails "a device's name that is taken" "'?d'?.*taken" add name d volume v
check_fails "its volume's end" "'?v'?.*in use.*d" ctl volume del v
check_fails "removal of an unknown device" nosuch ctl dev del nosuch
check_fails "removal of an unknown volume" nosuch ctl volume del nosuch
check "removal of the device" ctl dev del d
check "then the volume is free" ctl volume del v
show_all() { ctl dev show && ctl volume show; }
check "what is left can be listed" show_all
check "and is nothing" test ! -s "$tmp/said"
finish
