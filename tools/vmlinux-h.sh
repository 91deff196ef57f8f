#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tools/vmlinux-h.sh OUT: writes the C header of all kernel types, from the type information (BTF) of the
# oldest kernel of the test matrix, so that the BPF objects are the same whatever kernel builds them.
set -euo pipefail

die() {
	printf 'vmlinux-h: %s\n' "$*" >&2
	exit 1
}

[ $# -eq 1 ] || die "usage: tools/vmlinux-h.sh OUT"
out=$1
PATH=$PATH:/usr/sbin:/sbin
for tool in bpftool lz4 xz zstd; do
	command -v "$tool" >/dev/null || die "'$tool' is missing: run tools/deps.sh"
done

kernel=$("$(dirname "$0")/../vmtest/kernel.sh" 6.1)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# unpack MAGIC-REGEX COMMAND…: the image's payload begins at one of the places where the magic occurs.
unpack() {
	local magic=$1 offset
	shift
	while IFS=: read -r offset _; do
		# What follows the payload makes the unpacker complain; the ELF header decides.
		tail -c +$((offset + 1)) "$kernel/vmlinuz" | "$@" >"$work/vmlinux" 2>/dev/null || true
		[ "$(head -c 4 "$work/vmlinux" | tail -c 3)" != ELF ] || return 0
	done < <(LC_ALL=C grep -aboP "$magic" "$kernel/vmlinuz")
	return 1
}

unpack '\x02\x21\x4c\x18' lz4 -dc || unpack '\xfd7zXZ\x00' xz -dc || unpack '\x28\xb5\x2f\xfd' zstd -dc ||
	die "cannot unpack $kernel/vmlinuz"
mkdir -p "$(dirname "$out")"
bpftool btf dump file "$work/vmlinux" format c >"$work/vmlinux.h" || die "no BTF in $kernel/vmlinuz"
mv "$work/vmlinux.h" "$out"
