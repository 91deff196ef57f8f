#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every command and option of pinfold's tables is in the man page and in the completion, and neither
# has one that the program does not know; the man pages are well-formed.
# usage: check-docs.sh PINFOLD  (as this source makes it: see make lint)
set -u
cd "$(dirname "$0")/.." || exit 1
pinfold=$(realpath "$1")
page=docs/man/pinfold.1
bad=0

wrong()
{
	echo "check-docs: $*" >&2
	bad=1
}

# The tables as the program itself prints them.
commands()
{
	"$pinfold" help | sed -n 's/^  \([a-z]\+\( [a-z]\+\)\?\)  .*/\1/p'
}

# shellcheck disable=SC2086  # a command may be two words
options()
{
	"$pinfold" $1 --help | grep -oE '^  (-[a-z],|   ) --[a-z-]+' | tr -d ',' | tr -s ' ' '\n' | grep . | sort
}

# The section of one command in the page: from its .Ss to the next.
section()
{
	awk -v want="$1" '/^\.S[sh]/ { on = ($0 == ".Ss " want) } on' "$page"
}

# shellcheck source=user/cli/pinfold.bash
. user/cli/pinfold.bash

while read -r command; do
	grep -qx "\.Cm $command" "$page" || wrong "\"$command\" is not in the synopsis of $page"
	[ -n "$(section "$command")" ] || wrong "$page has no section about \"$command\""
	[[ " $_pinfold_commands " == *" ${command%% *} "* ]] || wrong "\"$command\" is not completed"
	completed=$(_pinfold_options "$command" | tr ' ' '\n' | sort)
	[ "$completed" = "$(options "$command")" ] ||
		wrong "the options of \"$command\" and of its completion differ"
	for long in $(options "$command" | grep -E '^--' | grep -vxE -- '--(help|json)'); do
		section "$command" | grep -q "Fl Fl ${long#--}" || [ "$command" = "audit tail" ] ||
			wrong "$page does not tell $long of \"$command\""
	done
done < <(commands)

while read -r told; do
	commands | grep -qx "$told" || wrong "$page tells a command \"$told\" that there is none of"
done < <(sed -n '/^\.Sh DESCRIPTION/,/^\.Sh JSON/s/^\.Ss //p' "$page")

[ "$(commands | wc -l)" -ge 10 ] || wrong "the list of commands could not be read"
mandoc -T lint -W warning docs/man/*.[158] >&2 || wrong "mandoc has warnings"
exit $bad
