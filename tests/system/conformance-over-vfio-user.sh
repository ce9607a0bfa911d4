#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The conformance suite judges the management device that tvqd serves over vfio-user: everything
# that it finds in process holds there too. Arguments: the transport virtqueue's ring, the page for
# interrupts in the function's BAR, the threads that serve data, and the device's own type.
#
# run: split on 0
# run: split off 1
# run: packed on 1
# run: packed off 0
# run: split on 1
# run: split off 0
# run: packed on 0
# run: packed off 1
# run: split on 1 net
# run: packed on 0 net
. "$(dirname "$0")/lib.sh"

rings=${1-split} page=${2-off} workers=${3-1} type=${4-block}
socket=$tmp/mgmt0.sock
option=(--profile "$tmp/profile")
[ "$rings" = split ] || option+=(--packed)

cat >"$tmp/profile" <<'PROFILE'
volume rw
ro_volume ro
volume_bytes 16777216
PROFILE
truncate -s 16M "$tmp/ro.img"
mkdir "$tmp/made"

start_tvqd --workers "$workers" --type "$type" --serve "vfio-user:$socket,msi-page=$page"
check "it has a volume to write to" ctl volume add name rw ram 16M
check "and a pool that makes more" ctl volume add name made pool "$tmp/made" size 16M
check "and a read-only one" ctl volume add name ro file "$tmp/ro.img" readonly on
status=0
timeout 250 "$build/bin/tvq-conformance" "vfio-user:$socket" "${option[@]}" >"$tmp/suite" 2>&1 \
	</dev/null || status=$?

# Its results are ours, one by one; of what it skips, how many for which reason. What never came is
# missing.
plan=0 ran=0
declare -A skipped=()
while IFS= read -r line; do
	case $line in
	ok\ *\ '# SKIP '*)
		ran=$((ran + 1)) reason=${line#* \# SKIP }
		skipped[$reason]=$((${skipped[$reason]-0} + 1)) ;;
	ok\ *) ran=$((ran + 1)); ok "${line#ok * - }" ;;
	not\ ok\ *) ran=$((ran + 1)); not_ok "${line#not ok * - }" ;;
	1..*) plan=${line#1..} plan=${plan%% *} ;;
	\#*) echo "$line" ;;
	*) echo "# $line" ;;
	esac
done <"$tmp/suite"
for reason in "${!skipped[@]}"; do
	ok "${skipped[$reason]} tests of the suite # SKIP $reason"
done
check "the suite ends with status 0" test "$status" = 0
check "it ran all of its $plan tests" test "$ran" = "$plan"
check "tvqd lives" tvqd_alive
check_says "and takes clients again" 'connected false' ctl mgmtdev show
stop_tvqd
finish
