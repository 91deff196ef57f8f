/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinfold panic: stop every session, with pinfoldd or without.
 */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "session/panic.h"

/* What it is called, or its number. */
static const char *user_of(uid_t uid, char number[16])
{
	const struct passwd *pw = uid == (uid_t)-1 ? NULL : getpwuid(uid);

	if (pw)
		return pw->pw_name;
	if (uid == (uid_t)-1)
		return "";
	(void)snprintf(number, 16, "%u", uid);
	return number;
}

static void print_table(const struct panic *p)
{
	char number[16];

	printf("%-8s %-12s %-10s %-9s %s\n", "SESSION", "NAME", "USER", "PROCESSES", "LEFT");
	for (size_t i = 0; i < p->n; i++) {
		const struct panic_session *s = &p->v[i];

		if (!s->id) /* it had no process */
			continue;
		printf("%-8s ", s->id);
		printf("%-12s %-10s %-9zu %zu\n", s->name ? s->name : "", user_of(s->uid, number),
		       s->processes, s->left);
	}
}

static json_t *describe(const struct panic_session *s)
{
	json_t *uid = s->uid == (uid_t)-1 ? json_null() : json_integer(s->uid);

	return json_pack("{s:s, s:s*, s:o, s:I, s:I}", "session", s->id, "name",
			 s->name && s->name[0] ? s->name : NULL, "uid", uid, "processes",
			 (json_int_t)s->processes, "left", (json_int_t)s->left);
}

static int print_json(const struct panic *p)
{
	json_t *list = json_array();
	json_t *o = json_pack("{s:o}", "sessions", list);

	for (size_t i = 0; o && i < p->n; i++)
		if (p->v[i].id && json_array_append_new(list, describe(&p->v[i])) < 0)
			(void)cli_fail("out of memory: session %s is not listed", p->v[i].id);
	if (!o)
		return cli_fail("out of memory");
	int r = cli_print_json(o);

	json_decref(o);
	return r;
}

static int tell_failure(const struct panic *p, int r)
{
	if (p->error[0])
		(void)cli_fail("%s", p->error);
	if (r == -EBUSY)
		return cli_fail("processes are left after %d seconds: see pinfold.slice/*/*/"
				"cgroup.procs in the cgroup filesystem, and try again",
				PANIC_MS / 1000);
	return CLI_FAILURE;
}

int cmd_panic(struct cli_args *args)
{
	struct panic p __cleanup_panic = {0};
	bool json;
	int r;

	if (!cli_only_json(args, &json, &r))
		return r;
	if (geteuid() != 0)
		return cli_fail("only root can stop all sessions; \"pinfold kill SESSION\" ends "
				"one of your own");
	int stopped = panic_stop(&p);

	if (json)
		r = print_json(&p);
	else if (stopped >= 0 || p.n > 0)
		print_table(&p);
	if (stopped < 0 || p.error[0])
		return tell_failure(&p, stopped);
	return r ? r : cli_finish();
}
