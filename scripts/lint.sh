#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Static checks: lint.sh format | tidy BUILD | shell
set -eu
cd "$(dirname "$0")/.."

sources() { git ls-files -- '*.[ch]' | grep -v '^linux/'; }

case ${1:-} in
format)
	sources | xargs clang-format --dry-run -Werror
	;;
tidy)
	git ls-files -- 'src/*.c' | xargs -P "$(nproc)" -n 4 clang-tidy -p "${2:?lint.sh tidy BUILD}" --quiet \
		--warnings-as-errors='*'
	;;
shell)
	git ls-files -z | xargs -0 grep -lE '^#!/bin/(ba)?sh' | xargs shellcheck
	;;
*)
	echo "lint: format, tidy BUILD and shell are known" >&2
	exit 2
	;;
esac
