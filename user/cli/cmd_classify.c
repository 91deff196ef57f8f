/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinfold classify: what the gate would say to statements. The classifiers, and the box that they
 * run in, are another program's: none of that is in this one, which root uses.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

#define PROGRAM "pinfold-classify"

#define OPT_TYPE (CLI_LONG_ONLY + 't')
#define OPT_JSONL (CLI_LONG_ONLY + 'l')

const struct cli_option cli_classify_options[] = {
	{"type", OPT_TYPE, "T", "the type of database, as a policy names it"},
	{"jsonl", OPT_JSONL, NULL, "read a JSON object a line, with the statement in \"sql\""},
	{NULL, 0, NULL, NULL},
};

/* The one beside this program: of the same build, before both are installed. -errno. */
static int own_folder(char path[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - sizeof("/" PROGRAM));

	if (n < 0)
		return -errno;
	path[n] = '\0';
	char *slash = strrchr(path, '/');

	if (!slash)
		return -ENOENT;
	memcpy(slash + 1, PROGRAM, sizeof(PROGRAM));
	return access(path, X_OK) < 0 ? -errno : 0;
}

static int execute(const char *type, bool jsonl)
{
	char beside[PATH_MAX];
	const char *path = own_folder(beside) == 0 ? beside : PF_LIBEXECDIR "/" PROGRAM;
	const char *const argv[] = {PROGRAM, type, jsonl ? "jsonl" : "text", NULL};

	execv(path, (char *const *)argv);
	return cli_fail("cannot execute %s: %s", path, strerrordesc_np(errno));
}

int cmd_classify(struct cli_args *args)
{
	const char *type = NULL;
	bool jsonl = false;
	int r;

	while ((r = cli_next(args)) > 0) {
		if (r == OPT_TYPE)
			type = args->value;
		jsonl = jsonl || r == OPT_JSONL;
	}
	if (r < 0)
		return cli_next_exit(r);
	r = cli_no_operands(args);
	if (r)
		return r;
	return type ? execute(type, jsonl) : cli_usage(args, "--type is missing");
}
