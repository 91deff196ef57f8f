# SPDX-License-Identifier: Apache-2.0
# Completion of pinfold for bash. tools/check-docs.sh compares it with the program's own tables.

_pinfold_commands="run ps logs kill panic unlock why doctor policy classify audit version help"

# Options that a command takes.
_pinfold_options()
{
	case $1 in
	run) echo "-p --policy -n --name -u --user -e --env --help" ;;
	ps) echo "-a --all --json --help" ;;
	logs) echo "-n --lines -f --follow --json --help" ;;
	kill) echo "-s --signal --help" ;;
	panic) echo "--json --help" ;;
	unlock) echo "--help" ;;
	why) echo "-n --lines --json --help" ;;
	doctor) echo "--json --help" ;;
	"policy check") echo "--json --help" ;;
	"policy load") echo "-p --policy --json --help" ;;
	classify) echo "--type --jsonl --help" ;;
	"audit tail") echo "-n --lines -f --follow --json --help" ;;
	version) echo "--json --help" ;;
	help) echo "--help" ;;
	esac
}

# Sessions that the caller may name. No daemon, or no right to ask: none.
_pinfold_sessions()
{
	pinfold ps 2>/dev/null | tail -n +2 | cut -d' ' -f1
}

_pinfold_policies()
{
	local file

	for file in /etc/pinfold/policies.d/*.yaml; do
		[ -e "$file" ] && basename "$file" .yaml
	done
}

# Words for the value of option $1.
_pinfold_value()
{
	case $1 in
	-p | --policy) mapfile -t COMPREPLY < <(compgen -f -W "$(_pinfold_policies)" -- "$2") ;;
	-u | --user) mapfile -t COMPREPLY < <(compgen -u -- "$2") ;;
	-s | --signal) mapfile -t COMPREPLY < <(compgen -A signal -- "$2") ;;
	--type) mapfile -t COMPREPLY < <(compgen -W "postgres" -- "$2") ;;
	-n | --name | --lines | -e | --env) COMPREPLY=() ;;
	*) return 1 ;;
	esac
}

# The command that stands behind "run" or "unlock", and its own completion.
_pinfold_run()
{
	local i=2

	while [ "$i" -lt "$COMP_CWORD" ]; do
		case ${COMP_WORDS[i]} in
		--)
			i=$((i + 1))
			break
			;;
		-p | --policy | -n | --name | -u | --user | -e | --env) i=$((i + 2)) ;;
		-*) i=$((i + 1)) ;;
		*) break ;;
		esac
	done
	if [ "$i" -lt "$COMP_CWORD" ]; then
		if declare -F _command_offset >/dev/null; then
			_command_offset "$i"
		else
			mapfile -t COMPREPLY < <(compgen -f -- "$1")
		fi
		return
	fi
	if [[ $1 == -* && ${COMP_WORDS[COMP_CWORD - 1]} != -- ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_pinfold_options "${COMP_WORDS[1]}")" -- "$1")
	else
		mapfile -t COMPREPLY < <(compgen -c -- "$1")
	fi
}

_pinfold()
{
	local word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} first=2

	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W "$_pinfold_commands --help --version" -- "$word")
		return
	fi
	_pinfold_value "${COMP_WORDS[COMP_CWORD - 1]}" "$word" && return
	case $command in
	run | unlock)
		_pinfold_run "$word"
		return
		;;
	policy | audit)
		if [ "$COMP_CWORD" -eq 2 ]; then
			local second="check load"

			[ "$command" = audit ] && second="tail"
			mapfile -t COMPREPLY < <(compgen -W "$second" -- "$word")
			return
		fi
		command="$command ${COMP_WORDS[2]}"
		first=3
		;;
	esac
	if [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_pinfold_options "$command")" -- "$word")
	elif [ "$COMP_CWORD" -ge "$first" ]; then
		case $command in
		logs | kill | why | "policy load") mapfile -t COMPREPLY < <(compgen -W "$(_pinfold_sessions)" -- "$word") ;;
		"policy check") mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
		help) mapfile -t COMPREPLY < <(compgen -W "$_pinfold_commands" -- "$word") ;;
		esac
	fi
}

complete -F _pinfold pinfold
