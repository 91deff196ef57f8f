/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinfold logs and pinfold audit tail: audit records of one session, or of all.
 */
#include "cli/cli.h"

/* More than fits on any screen, less than a log that would choke the daemon. */
#define LINES_MAX 100000
#define LINES_DEFAULT 20

struct tail_options {
	long lines;
	bool follow, json;
};

static int parse(struct cli_args *args, struct tail_options *o)
{
	int r;

	*o = (struct tail_options){.lines = LINES_DEFAULT};
	while ((r = cli_next(args)) > 0) {
		if (r == 'n' && !cli_number(args, LINES_MAX, &o->lines))
			return -1;
		o->follow = o->follow || r == 'f';
		o->json = o->json || r == CLI_OPT_JSON;
	}
	return r;
}

int cmd_logs(struct cli_args *args)
{
	struct tail_options o;
	int r = parse(args, &o);

	if (r < 0)
		return cli_next_exit(r);
	const char *session = cli_operand(args, "session");

	if (!session)
		return CLI_USAGE;
	return cli_show_records(CTL_LOGS, session, o.lines, o.follow, o.json);
}

int cmd_audit_tail(struct cli_args *args)
{
	struct tail_options o;
	int r = parse(args, &o);

	if (r < 0)
		return cli_next_exit(r);
	r = cli_no_operands(args);
	return r ? r : cli_show_records(CTL_AUDIT_TAIL, NULL, o.lines, o.follow, o.json);
}
