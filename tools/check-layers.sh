#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Who may include whom (docs/ARCHITECTURE.md has the reasons). A folder that is not in the table may
# include nothing of ours but base.
set -u
cd "$(dirname "$0")/../user" || exit 1
declare -A may=(
	[base]="" [ctl]="base" [policy]="base" [sql]="base" [audit]="base"
	[kern]="base" [gate]="base policy sql" [session]="base policy kern" [classify]="base sql gate"
	[daemon]="base ctl policy kern session audit" [cli]="base ctl policy sql audit session" [init]="base"
)
# Folders that may see the kernel/user contract in include/pinfold.
contract=" policy kern session daemon init "
bad=0
for dir in */; do
	dir=${dir%/}
	while IFS=: read -r file line text; do
		target=${text#*\"}
		target=${target%%/*}
		[ "$target" = "$dir" ] && continue
		[ -d "$target" ] || continue
		case " ${may[$dir]-base} " in
		*" $target "*) ;;
		*)
			echo "user/$file:$line: $dir may not include $target (allowed: ${may[$dir]-base})" >&2
			bad=1
			;;
		esac
	done < <(grep -rn '^#include "[a-z]*/' "$dir" --include='*.[ch]')
	case "$contract" in
	*" $dir "*) ;;
	*)
		if grep -rn '^#include <pinfold/' "$dir" --include='*.[ch]' | sed 's/^/user\//' | grep . >&2; then
			echo "check-layers: $dir may not include the kernel contract" >&2
			bad=1
		fi
		;;
	esac
done
if grep -rln 'pinfold\.skel\.h' . --include='*.[ch]' | grep -v '^\./kern/' >&2; then
	echo "check-layers: only kern may include the skeleton" >&2
	bad=1
fi
exit $bad
