/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The set-up message of pinfoldd, checked and taken apart. It comes from a trusted sender, but a
 * missing field must not become a default.
 */
#include "init/init.h"

#include <errno.h>
#include <string.h>

/* A NULL-terminated array of the strings of a JSON array; the strings stay the array's. */
static int strings(const json_t *array, char ***ret)
{
	size_t n = json_array_size(array);
	__cleanup_free char **out = calloc(n + 1, sizeof(*out));

	if (!json_is_array(array))
		return -EBADMSG;
	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		out[i] = (char *)json_string_value(json_array_get(array, i));
		if (!out[i])
			return -EBADMSG;
	}
	*ret = TAKE_PTR(out);
	return 0;
}

static int numbers(const json_t *array, gid_t **ret, size_t *ret_n)
{
	size_t n = json_array_size(array);
	__cleanup_free gid_t *out = calloc(n + 1, sizeof(*out));

	if (!json_is_array(array))
		return -EBADMSG;
	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const json_t *v = json_array_get(array, i);

		if (!json_is_integer(v))
			return -EBADMSG;
		out[i] = (gid_t)json_integer_value(v);
	}
	*ret = TAKE_PTR(out);
	*ret_n = n;
	return 0;
}

static int parse_tty(json_t *tty, struct setup *s)
{
	int in, out, err, rows, cols;

	if (json_is_null(tty))
		return 0;
	if (json_unpack(tty, "{s:b, s:b, s:b, s:i, s:i}", "stdin", &in, "stdout", &out, "stderr",
			&err, "rows", &rows, "cols", &cols) < 0)
		return -EBADMSG;
	s->tty[0] = in;
	s->tty[1] = out;
	s->tty[2] = err;
	s->rows = (unsigned short)rows;
	s->cols = (unsigned short)cols;
	return 0;
}

static int parse_fields(json_t *o, struct setup *s)
{
	json_t *argv, *env, *groups, *tty, *binds;
	json_int_t uid, gid, mask, files, disk;
	int databases, as_caller, r;

	if (json_unpack(o, "{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "session", &s->session,
			"cwd", &s->cwd, "hosts", &s->hosts, "argv", &argv, "env", &env, "groups",
			&groups, "tty", &tty, "binds", &binds) < 0 ||
	    json_unpack(o, "{s:I, s:I, s:I, s:b, s:b, s:{s:I, s:I}}", "uid", &uid, "gid", &gid,
			"umask", &mask, "databases", &databases, "binds_as_caller", &as_caller,
			"limits", "files", &files, "disk", &disk) < 0)
		return -EBADMSG;
	s->uid = (uid_t)uid;
	s->gid = (gid_t)gid;
	s->umask = (mode_t)mask & 0777;
	s->max_files = (uint64_t)files;
	s->max_disk = (uint64_t)disk;
	s->databases = databases;
	s->binds_as_caller = as_caller;
	r = strings(argv, &s->argv);
	if (r == 0)
		r = strings(env, &s->env);
	if (r == 0)
		r = strings(binds, (char ***)&s->binds);
	if (r == 0)
		r = numbers(groups, &s->groups, &s->n_groups);
	if (r == 0)
		r = parse_tty(tty, s);
	return r < 0 || s->argv[0] ? r : -EBADMSG;
}

int setup_parse(json_t *msg, struct setup *s)
{
	s->root = json_incref(msg);
	return parse_fields(json_object_get(msg, "setup"), s);
}

int setup_parse_caller(json_t *msg, struct setup *s)
{
	json_int_t uid, gid;
	json_t *groups;

	s->root = json_incref(msg);
	if (json_unpack(msg, "{s:{s:I, s:I, s:o}}", "caller", "uid", &uid, "gid", &gid, "groups",
			&groups) < 0)
		return -EBADMSG;
	s->uid = (uid_t)uid;
	s->gid = (gid_t)gid;
	return numbers(groups, &s->groups, &s->n_groups);
}

void setup_free(struct setup *s)
{
	free(s->argv);
	free(s->env);
	free(s->binds);
	free(s->groups);
	json_decref(s->root);
}
