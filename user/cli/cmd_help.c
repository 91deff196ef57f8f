/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinfold help: the list of commands, or one of them. From the table, so that it cannot be out of
 * date.
 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static int help_all(void)
{
	printf("usage: pinfold COMMAND [OPTIONS] [ARGUMENTS]\n"
	       "Kernel-enforced pens for AI agents.\n\n");
	for (const struct cli_command *c = cli_commands; c->name; c++)
		printf("  %-14s %s\n", c->name, c->help);
	printf("\n\"pinfold COMMAND --help\" tells more; so does \"man pinfold\".\n");
	return cli_finish();
}

static int help_one(const struct cli_args *args)
{
	char name[32]; /* two words of the longest command have 12 bytes */

	if (args->argv[1] && args->argv[2])
		return cli_usage(args, "\"%s\" is one too many", args->argv[2]);
	(void)snprintf(name, sizeof(name), "%s%s%s", args->argv[0], args->argv[1] ? " " : "",
		       args->argv[1] ? args->argv[1] : "");
	for (const struct cli_command *c = cli_commands; c->name; c++)
		if (!strcmp(c->name, name)) {
			cli_print_help(c);
			return cli_finish();
		}
	return cli_usage(args, "no command \"%.40s\"", name);
}

int cmd_help(struct cli_args *args)
{
	int r = args ? cli_next(args) : 0;

	if (r != 0)
		return cli_next_exit(r);
	return args && args->argv[0] ? help_one(args) : help_all();
}
