#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Static checks of what git tracks: lint.sh format | tidy BUILD | shell | lines
#
#   format      clang-format, by .clang-format
#   tidy BUILD  clang-tidy, by .clang-tidy and the compile commands of BUILD
#   shell       shellcheck, all shell scripts
#   lines       scripts and documents: ASCII only, 100 columns at most, no space at a line's end
set -euo pipefail
cd "$(dirname "$0")/.."

# Files whose names match, each ending with a zero byte. None at all is an error: nothing would be
# checked.
tracked() {
	local list
	list=$(git ls-files -- "$@")
	[ -n "$list" ] || { echo "lint: git tracks no file like: $*" >&2; return 1; }
	tr '\n' '\0' <<<"$list"
}

scripts() {
	tracked . | xargs -0 awk 'FNR == 1 && /^#!.*[\/ ](ba)?sh$/ { print FILENAME }'
}

# The specification is kept as it was written.
lines() {
	local file status=0
	while IFS= read -r -d '' file; do
		expand "$file" | LC_ALL=C awk -v file="$file" '
			/[^ -~]/ { print file ":" FNR ": a character that is not ASCII"; bad = 1 }
			length > 100 { print file ":" FNR ": " length " columns"; bad = 1 }
			/ $/ { print file ":" FNR ": ends with a space"; bad = 1 }
			END { exit bad }' || status=1
	done < <(tracked scripts tests docs .ci '*.md' \
		':!*.[ch]' ':!docs/transportq.md' ':!tests/fuzz/seeds')
	return $status
}

case ${1:-} in
format) tracked '*.[ch]' | xargs -0 clang-format --dry-run -Werror ;;
tidy)
	# Counts of what was suppressed are no news.
	tracked 'src/*.c' | xargs -0 -P "$(nproc)" -n 4 \
		clang-tidy -p "${2:?lint.sh tidy BUILD}" --quiet --warnings-as-errors='*' \
		2> >(grep -v ' generated\.$' >&2)
	;;
shell) scripts | xargs -d '\n' shellcheck ;;
lines) lines ;;
*)
	echo "lint: format, tidy BUILD, shell and lines are known" >&2
	exit 2
	;;
esac
