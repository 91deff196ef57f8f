#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# vmtest/kernel.sh 6.1|6.12|7: makes sure that the newest such Debian kernel is unpacked, and prints its
# directory: build/vm/KEY/{vmlinuz,release,lib/modules/RELEASE}. The packages come from the archive that
# this host's apt is configured with, from suites that the host itself need not use; signatures are
# checked as for the host, whose own configuration and package state are not touched.
# Remove build/vm/KEY (and build/vm/apt) to get a newer one.
set -euo pipefail
cd "$(dirname "$0")/.."

die() {
	printf 'vmtest: %s\n' "$*" >&2
	exit 125
}

key=${1-}
case $key in
6.1) pattern='linux-image-6\.1\.[0-9.-]+-cloud-amd64' ;;
6.12) pattern='linux-image-6\.12\.[0-9.]+\+deb12(\.[0-9]+)?-cloud-amd64' ;;
7) pattern='linux-image-7\.[0-9.]+\+deb[0-9]+(\.[0-9]+)?-cloud-amd64' ;;
*) die "unknown kernel '$key'; known: 6.1 6.12 7" ;;
esac

dir=$PWD/build/vm/$key
if [ -e "$dir/release" ]; then
	echo "$dir"
	exit 0
fi
for tool in apt-get dpkg-deb depmod flock; do
	command -v "$tool" >/dev/null || PATH=$PATH:/usr/sbin:/sbin command -v "$tool" >/dev/null ||
		die "kernel $key is not in build/vm, and '$tool' to fetch it is missing: run tools/deps.sh"
done
PATH=$PATH:/usr/sbin:/sbin

# One fetch at a time, whoever asks; the one that waited finds the work done.
mkdir -p build/vm/apt
exec 9>build/vm/apt/lock
flock 9
if [ -e "$dir/release" ]; then
	echo "$dir"
	exit 0
fi

# The "URI SUITE SIGNED-BY" rows of this host's sources, from both of apt's formats; component main only.
host_sources() {
	local f list='' parts='' files=()
	eval "$(apt-config shell list Dir::Etc::sourcelist/f parts Dir::Etc::sourceparts/d)"
	for f in "$list" "$parts"*.list; do
		if [ -f "$f" ]; then files+=("$f"); fi
	done
	[ ${#files[@]} -eq 0 ] || awk '
		$1 == "deb" {
			signed = "-"
			line = $0
			if (match(line, /\[[^]]*\]/)) {
				opts = substr(line, RSTART + 1, RLENGTH - 2)
				line = substr(line, 1, RSTART - 1) substr(line, RSTART + RLENGTH)
				if (match(opts, /signed-by=[^ ]+/))
					signed = substr(opts, RSTART + 10, RLENGTH - 10)
			}
			n = split(line, w, " ")
			for (i = 4; i <= n; i++)
				if (w[i] == "main")
					print w[2], w[3], signed
		}' "${files[@]}"
	files=()
	for f in "$parts"*.sources; do
		if [ -f "$f" ]; then files+=("$f"); fi
	done
	[ ${#files[@]} -eq 0 ] || awk '
		function flush(   i, j, u, s, nu, ns) {
			if (types ~ /(^| )deb( |$)/ && enabled !~ /^(no|false|0)/ && comps ~ /(^| )main( |$)/) {
				nu = split(uris, u, " ")
				ns = split(suites, s, " ")
				for (i = 1; i <= nu; i++)
					for (j = 1; j <= ns; j++)
						print u[i], s[j], signed == "" ? "-" : signed
			}
			types = uris = suites = comps = signed = enabled = ""
		}
		/^#/ { next }
		/^[ \t]*$/ || FNR == 1 { flush() }
		{ value = $0; sub(/^[^:]*:[ \t]*/, "", value); field = tolower($1) }
		field == "types:" { types = value }
		field == "uris:" { uris = value }
		field == "suites:" { suites = value }
		field == "components:" { comps = value }
		field == "enabled:" { enabled = value }
		field == "signed-by:" && value ~ /^\// { signed = value }
		END { flush() }' "${files[@]}"
}

# A one-line source for each archive of Debian that the host uses, with the suites the matrix needs.
private_sources() {
	local uri suite signed option main='' security=''
	while read -r uri suite signed; do
		option=
		if [ "$signed" != - ]; then option=" [signed-by=$signed]"; fi
		case $suite in
		bookworm-security | trixie-security) security=${security:-"$option $uri"} ;;
		bookworm | trixie | stable | oldstable) main=${main:-"$option $uri"} ;;
		esac
	done < <(host_sources)
	[ -n "$main" ] || die "apt on this host is configured with no Debian archive to fetch a kernel from"
	echo "deb$main bookworm main"
	echo "deb$main bookworm-backports main"
	echo "deb$main trixie-backports main"
	[ -z "$security" ] || echo "deb$security bookworm-security main"
}

state=$PWD/build/vm/apt
mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
private_sources >"$state/sources.list"
apt_options=(-q -o Dir::State::lists="$state/lists" -o Dir::Cache="$state/cache"
	-o Dir::Etc::sourcelist="$state/sources.list" -o Dir::Etc::sourceparts=-
	-o Dir::State::status=/dev/null -o Dir::Etc::preferencesparts=- -o APT::Sandbox::User=root
	-o APT::Architecture=amd64 -o Acquire::Retries=2)

newest() {
	apt-cache "${apt_options[@]}" pkgnames linux-image | { grep -Ex "$pattern" || true; } |
		sort -V | tail -n 1
}

echo "vmtest: fetching kernel $key" >&2
apt-get "${apt_options[@]}" -o APT::Update::Error-Mode=any update >"$state/log" 2>&1 ||
	die "cannot read the package archive: $(grep -E '^[EW]:' "$state/log" | head -n 3)"
image=$(newest)
[ -n "$image" ] || die "the package archive has no kernel $key (wanted: $pattern)"
# Newer image packages only depend on the ones that hold the files.
packages=("$image")
for part in binary modules base; do
	name=${image/linux-image-/linux-$part-}
	if apt-cache "${apt_options[@]}" show "$name" >/dev/null 2>&1; then packages+=("$name"); fi
done

work=$(mktemp -d "$state/unpack.XXXXXX")
trap 'rm -rf "$work"' EXIT
(cd "$work" && apt-get "${apt_options[@]}" download "${packages[@]}") >"$state/log" 2>&1 ||
	die "cannot fetch ${packages[*]}: $(grep -E '^[EW]:' "$state/log" | head -n 3)"
for deb in "$work"/*.deb; do
	dpkg-deb -x "$deb" "$work/root"
done
if [ -d "$work/root/usr/lib/modules" ]; then
	mkdir -p "$work/root/lib"
	mv "$work/root/usr/lib/modules" "$work/root/lib/modules"
fi
release=${image#linux-image-}
modules=$work/root/lib/modules/$release
[ -d "$modules" ] || die "no modules of $release in ${packages[*]}"
depmod -b "$work/root" "$release"

# The image and its configuration are in /boot, or beside the modules.
mkdir -p "$work/dir"
for file in vmlinuz config; do
	for from in "$work/root/boot/$file-$release" "$modules/$file"; do
		[ ! -f "$from" ] || mv "$from" "$work/dir/$file"
	done
	[ -e "$work/dir/$file" ] || die "no $file of $release in ${packages[*]}"
done
rm -rf "$dir"
mkdir -p "$dir"
mv "$work/root/lib" "$work/dir/vmlinuz" "$work/dir/config" "$dir"
echo "$release" >"$dir/release.new"
mv "$dir/release.new" "$dir/release"
echo "vmtest: kernel $key is $release" >&2
echo "$dir"
