# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# What the scripts share that make and find the guest and its kernels. Whoever sources it has set
# $name, its own name for messages, and $here, the folder of the scripts.
#
#   $CACHE                            where everything lies that is made once
#   say WORDS; die WORDS              to stderr
#   mirror                            prints the URI of the Debian archive of this machine's apt
#   apt_options                       prints the machine's options for reaching it, for an apt.conf
#   hash_of                           of what comes on stdin, as it is used in folder names
#   make_once FUNCTION DIR            calls FUNCTION DIR unless DIR is there already; another run
#                                     that does so at the same time is waited for
#   fetch_packages SUITE DIR PACKAGE...
#                                     downloads packages of a suite of this archive into DIR; a
#                                     package of other name that they depend on is not fetched.
#                                     Needs no privilege, and leaves the machine's apt alone
CACHE=${XDG_CACHE_HOME:-${HOME:?neither XDG_CACHE_HOME nor HOME is set}/.cache}/tvq

# shellcheck disable=SC2154 # the caller's
say() { echo "$name: $*" >&2; }
die() { say "$*"; exit 1; }

hash_of() { sha256sum | cut -c1-16; }

# The Debian archive that this machine installs from, as apt itself understood its sources.
mirror() {
	local release uri
	# shellcheck disable=SC1091 # the machine's own
	release=$(. /etc/os-release && echo "${VERSION_CODENAME-}")
	# shellcheck disable=SC2016 # apt's own placeholders
	uri=$(apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' \
		'Created-By: Packages' |
		awk -v release="$release" '$1 == release && $2 == "main" { print $3; exit }')
	[ -n "$uri" ] || die "no Debian archive among this machine's apt sources:" \
		"one of them must read 'deb URI ${release:-bookworm} main'"
	echo "$uri"
}

# How this machine's apt reaches its archive (proxies, a clock that is off).
apt_options() {
	apt-config dump | grep -E '^Acquire::(http|https|ftp|Check-|Retries|Max-)' || true
}

make_once() {
	local make=$1 target=$2
	[ ! -d "$target" ] || return 0
	mkdir -p "$CACHE"
	exec 9>"$target.lock"
	flock -n 9 || { say "another run is making $(basename "$target"), waiting"; flock 9; }
	[ -d "$target" ] || "$make" "$target" 9>&-
	exec 9>&-
}

# An apt of its own, with its lists in DIR/apt.
private_apt() {
	local dir=$1
	shift
	APT_CONFIG=$dir/apt/apt.conf apt-get -q "$@" >"$dir/apt/log" 2>&1 9>&- || {
		cat "$dir/apt/log" >&2
		die "apt-get $* failed; its own words are above"
	}
}

open_apt() {
	local suite=$1 dir=$2 uri
	uri=$(mirror)
	mkdir -p "$dir"/apt/{lists/partial,cache/archives/partial,etc/apt.conf.d,etc/preferences.d}
	{
		apt_options
		cat <<-END
			Dir::State "$dir/apt";
			Dir::State::status "$dir/apt/status";
			Dir::Cache "$dir/apt/cache";
			Dir::Etc "$dir/apt/etc";
			Dir::Etc::sourceparts "-";
			APT::Sandbox::User "";
			APT::Get::List-Cleanup "false";
		END
	} >"$dir/apt/apt.conf"
	: >"$dir/apt/status"
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $suite main" \
		>"$dir/apt/etc/sources.list"
	private_apt "$dir" update
}

# What a package depends on, one a line, alternatives and versions left out.
dependencies() {
	APT_CONFIG=$1/apt/apt.conf apt-cache show --no-all-versions "$2" |
		sed -n 's/^Depends: //p' | tr ',' '\n' | sed 's/^ *//; s/[ |].*//'
}

fetch_packages() {
	local dir=$1
	shift
	(cd "$dir" && private_apt "$dir" download "$@")
}
