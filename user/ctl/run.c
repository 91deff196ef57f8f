/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arguments of "run", the only request with many of them, and of "policy-load", which names a
 * policy in the same way.
 */
#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "ctl/message.h"

static bool known_key(const char *key)
{
	static const char *const keys[] = {"policy", "policy_file", "name", "argv", "env",
					   "cwd",    "umask",	    "user", "tty"};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (!strcmp(keys[i], key))
			return true;
	return false;
}

/* A string of at most max bytes, or NULL when it is missing and may be. */
static int get_string(const json_t *args, const char *key, size_t max, const char **ret,
		      struct ctl_err *err)
{
	const json_t *v = json_object_get(args, key);

	*ret = NULL;
	if (!v || json_is_null(v))
		return 0;
	if (!json_is_string(v))
		return ctl_bad(err, "%s must be a string", key);
	if (json_string_length(v) < 1 || json_string_length(v) > max)
		return ctl_bad(err, "%s must have 1 to %zu bytes", key, max);
	*ret = json_string_value(v);
	return 0;
}

static int check_strings(const json_t *list, const char *key, size_t max, struct ctl_err *err)
{
	if (!json_is_array(list))
		return ctl_bad(err, "%s must be a list", key);
	if (json_array_size(list) > max)
		return ctl_bad(err, "%s: more than %zu items", key, max);
	for (size_t i = 0; i < json_array_size(list); i++)
		if (!json_is_string(json_array_get(list, i)))
			return ctl_bad(err, "%s: item %zu is not text", key, i);
	return 0;
}

static int get_argv(const json_t *args, struct ctl_run *run, struct ctl_err *err)
{
	run->argv = json_object_get(args, "argv");
	int r = check_strings(run->argv, "argv", CTL_ARGV_MAX, err);

	if (r < 0)
		return r;
	if (json_string_length(json_array_get(run->argv, 0)) == 0)
		return ctl_bad(err, "argv: no command");
	return 0;
}

static int get_env(const json_t *args, struct ctl_run *run, struct ctl_err *err)
{
	run->env = json_object_get(args, "env");
	int r = check_strings(run->env, "env", CTL_ENV_MAX, err);

	for (size_t i = 0; r == 0 && i < json_array_size(run->env); i++) {
		const char *v = json_string_value(json_array_get(run->env, i));

		if (!strchr(v, '=') || v[0] == '=')
			r = ctl_bad(err, "env: item %zu is not NAME=value", i);
	}
	return r;
}

static int get_number(const json_t *obj, const char *key, json_int_t max, unsigned *ret,
		      struct ctl_err *err)
{
	const json_t *v = json_object_get(obj, key);

	if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > max)
		return ctl_bad(err, "%s must be a number from 0 to %lld", key, (long long)max);
	*ret = (unsigned)json_integer_value(v);
	return 0;
}

static int get_tty(const json_t *args, struct ctl_run *run, struct ctl_err *err)
{
	const json_t *tty = json_object_get(args, "tty");
	const json_t *in = json_object_get(tty, "stdin");
	const json_t *out = json_object_get(tty, "stdout");
	const json_t *err_tty = json_object_get(tty, "stderr");

	if (!tty || json_is_null(tty))
		return 0;
	if (!json_is_boolean(in) || !json_is_boolean(out) || !json_is_boolean(err_tty) ||
	    json_object_size(tty) != 5)
		return ctl_bad(err, "tty must be {stdin, stdout, stderr, rows, cols}");
	run->has_tty = true;
	run->tty.in = json_is_true(in);
	run->tty.out = json_is_true(out);
	run->tty.err = json_is_true(err_tty);
	int r = get_number(tty, "rows", CTL_TTY_SIZE_MAX, &run->tty.rows, err);

	return r < 0 ? r : get_number(tty, "cols", CTL_TTY_SIZE_MAX, &run->tty.cols, err);
}

/* fd: which descriptor is the text of policy_file; it is the last one. */
static int get_policy(const struct ctl_request *req, size_t fd, struct ctl_run *run,
		      struct ctl_err *err)
{
	int r = get_string(req->args, "policy", CTL_NAME_MAX, &run->policy, err);

	if (r == 0)
		r = get_string(req->args, "policy_file", CTL_PATH_MAX, &run->policy_file, err);
	if (r < 0)
		return r;
	if (!run->policy == !run->policy_file)
		return ctl_bad(err, "either policy or policy_file");
	if (run->policy && !text_name_ok(run->policy, CTL_NAME_MAX))
		return ctl_bad(err, "policy: a name is 1 to %u of a-z 0-9 . _ -", CTL_NAME_MAX);
	if (req->nfds != fd + (run->policy_file != NULL))
		return ctl_bad(err, "policy_file and its descriptor go together");
	return 0;
}

static int get_names(const json_t *args, struct ctl_run *run, struct ctl_err *err)
{
	int r = get_string(args, "name", CTL_NAME_MAX, &run->name, err);

	if (r == 0)
		r = get_string(args, "user", CTL_NAME_MAX, &run->user, err);
	if (r == 0)
		r = get_string(args, "cwd", CTL_PATH_MAX, &run->cwd, err);
	if (r < 0)
		return r;
	if (run->name && !text_name_ok(run->name, CTL_NAME_MAX))
		return ctl_bad(err, "name: 1 to %u of a-z 0-9 . _ -, a letter or digit first",
			       CTL_NAME_MAX);
	if (!run->cwd || run->cwd[0] != '/')
		return ctl_bad(err, "cwd must be an absolute path");
	return get_number(args, "umask", 0777, &run->umask, err);
}

int ctl_run_decode(const struct ctl_request *req, struct ctl_run *ret, struct ctl_err *err)
{
	struct ctl_run run = {0};
	const char *key;
	json_t *value;

	json_object_foreach(req->args, key, value)
	{
		if (!known_key(key))
			return ctl_bad(err, "run: unknown key \"%.40s\"", key);
	}
	int r = get_policy(req, CTL_RUN_POLICY, &run, err);

	if (r == 0)
		r = get_names(req->args, &run, err);
	if (r == 0)
		r = get_argv(req->args, &run, err);
	if (r == 0)
		r = get_env(req->args, &run, err);
	if (r == 0)
		r = get_tty(req->args, &run, err);
	if (r == 0)
		*ret = run;
	return r;
}

int ctl_load_decode(const struct ctl_request *req, struct ctl_run *ret, struct ctl_err *err)
{
	struct ctl_run run = {0};
	const char *key;
	json_t *value;

	json_object_foreach(req->args, key, value)
	{
		if (strcmp(key, "session") != 0 && strcmp(key, "policy") != 0 &&
		    strcmp(key, "policy_file") != 0)
			return ctl_bad(err, "policy-load: unknown key \"%.40s\"", key);
	}
	int r = get_policy(req, CTL_LOAD_POLICY, &run, err);

	if (r == 0)
		*ret = run;
	return r;
}

json_t *ctl_run_encode(const struct ctl_run *run)
{
	json_t *tty = json_null();

	if (run->has_tty)
		tty = json_pack("{s:b, s:b, s:b, s:i, s:i}", "stdin", run->tty.in, "stdout",
				run->tty.out, "stderr", run->tty.err, "rows", (int)run->tty.rows,
				"cols", (int)run->tty.cols);
	return json_pack("{s:s?, s:s?, s:s?, s:s?, s:s, s:O, s:O, s:i, s:o}", "policy", run->policy,
			 "policy_file", run->policy_file, "name", run->name, "user", run->user,
			 "cwd", run->cwd, "argv", (json_t *)run->argv, "env", (json_t *)run->env,
			 "umask", (int)run->umask, "tty", tty);
}
