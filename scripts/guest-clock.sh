#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Prints the frequency of the time stamp counter that an emulated guest reads, in kHz: it is this
# machine's. Prints nothing on a machine that has none.
#
# A guest's kernel would measure it against the emulated timer, and trusts what comes out. On a busy
# machine that has been 818 MHz instead of 2596: the guest's time then runs three times too fast,
# and its time limits are over as early. So it is told, see guest-run.sh. What measures is compiled
# once, and cached beside the guest root.
set -euo pipefail

name=guest-clock
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=guest-lib.sh
. "$here/guest-lib.sh"

make_meter() {
	local work
	work=$(mktemp -d "$CACHE/making.XXXXXX")
	gcc -O2 -o "$work/meter" "$here/guest-clock.c" || { rm -rf "$work"; die "gcc failed"; }
	mv -T "$work" "$1"
}

[ "$(uname -m)" = x86_64 ] || exit 0
meter=$CACHE/clock-$(hash_of <"$here/guest-clock.c")
make_once make_meter "$meter"
"$meter/meter"
