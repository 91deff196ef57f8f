/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinfold: the table of its commands, and the way to the one that is asked for.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

const struct cli_command cli_commands[] = {
	{"run", "[--] COMMAND [ARGUMENT...]", "run a command in a new session", cli_run_options,
	 cmd_run, true},
	{"ps", "", "list sessions", cli_ps_options, cmd_ps, false},
	{"logs", "SESSION", "show the audit records of a session", cli_tail_options, cmd_logs,
	 false},
	{"kill", "SESSION", "end a session, or send it a signal", cli_kill_options, cmd_kill,
	 false},
	{"panic", "", "stop every session at once, pinfoldd or not", cli_json_options, cmd_panic,
	 false},
	{"unlock", "[--] COMMAND [ARGUMENT...]",
	 "run a command that may change what Pinfold guards", cli_no_options, cmd_unlock, true},
	{"why", "[SESSION]", "explain what was denied, and what is allowed instead",
	 cli_why_options, cmd_why, false},
	{"doctor", "", "check whether this machine can enforce", cli_json_options, cmd_doctor,
	 false},
	{"policy check", "FILE", "check a policy without running anything", cli_json_options,
	 cmd_policy_check, false},
	{"policy load", "SESSION", "give a live session another policy", cli_policy_load_options,
	 cmd_policy_load, false},
	{"classify", "", "say of each line of input, a statement, whether a gate would allow it",
	 cli_classify_options, cmd_classify, false},
	{"audit tail", "", "show the newest audit records of all sessions", cli_tail_options,
	 cmd_audit_tail, false},
	{"version", "", "print the versions of pinfold and of the daemon", cli_json_options,
	 cmd_version, false},
	{"help", "[COMMAND]", "print this, or the help of a command", cli_no_options, cmd_help,
	 false},
	{NULL, NULL, NULL, NULL, NULL, false},
};

/* How many words of argv are the whole name of c; 0: they are another command's. */
static size_t match(const struct cli_command *c, char **argv)
{
	size_t len = strcspn(c->name, " ");

	if (!argv[0] || strncmp(argv[0], c->name, len) != 0 || argv[0][len])
		return 0;
	if (!c->name[len])
		return 1;
	return argv[1] && !strcmp(argv[1], c->name + len + 1) ? 2 : 0;
}

static int unknown(char **argv)
{
	size_t len = strlen(argv[0]);

	for (const struct cli_command *c = cli_commands; c->name; c++)
		if (!strncmp(c->name, argv[0], len) && c->name[len] == ' ') {
			fprintf(stderr, "pinfold: try \"pinfold %s\"; see \"pinfold help\"\n",
				c->name);
			return CLI_USAGE;
		}
	fprintf(stderr, "pinfold: unknown command \"%s\"; see \"pinfold help\"\n", argv[0]);
	return CLI_USAGE;
}

/*
 * A descriptor of 0 to 2 that is closed would become the first socket that is opened. What takes
 * its place is open the wrong way round, so that its use still fails with EBADF, here and in a
 * session.
 */
static int open_standard_fds(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		if (open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
			return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct cli_args args = {.argv = argv + (argc > 0)};

	if (open_standard_fds() < 0)
		return CLI_FAILURE;
	signal(SIGPIPE, SIG_IGN);
	if (!args.argv[0]) {
		fprintf(stderr, "pinfold: no command; see \"pinfold help\"\n");
		return CLI_USAGE;
	}
	if (!strcmp(args.argv[0], "--help") || !strcmp(args.argv[0], "-h"))
		return cmd_help(NULL);
	if (!strcmp(args.argv[0], "--version"))
		args.argv[0] = "version";
	for (const struct cli_command *c = cli_commands; c->name; c++) {
		size_t n = match(c, args.argv);

		if (n == 0)
			continue;
		args.command = c;
		args.argv += n;
		return c->run(&args);
	}
	return unknown(args.argv);
}
