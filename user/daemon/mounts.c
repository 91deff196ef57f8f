/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mount points out of /proc/PID/mountinfo.
 */
#include "daemon/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/text.h"

#define MOUNTINFO_MAX (4u * 1024u * 1024u)
#define MOUNTS_MAX 4096

/* Directories that each session has its own of, where a policy may show something of the host's. */
static const char *const covered[] = {"/tmp", "/var/tmp", "/run", "/dev/shm"};

/* Nothing of the host's stands in for the session's own files. */
static bool is_bind(const char *path)
{
	if (path_in(path, RUN_DIR))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(covered); i++)
		if (path_below(path, covered[i]))
			return true;
	return false;
}

static int add_binds(const struct policy_list *list, json_t *out)
{
	for (size_t i = 0; i < list->n; i++)
		if (is_bind(list->items[i].text) &&
		    json_array_append_new(out, json_string(list->items[i].text)) < 0)
			return -ENOMEM;
	return 0;
}

json_t *mounts_binds(const struct policy *p)
{
	json_t *out = json_array();

	if (add_binds(&p->read, out) < 0 || add_binds(&p->write, out) < 0 ||
	    add_binds(&p->exec, out) < 0) {
		json_decref(out);
		return NULL;
	}
	return out;
}

/* mountinfo writes space, tab, newline and backslash as \ooo. In place. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; to++) {
		if (from[0] == '\\' && from[1] && from[2] && from[3]) {
			*to = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

struct mount_line {
	const char *dev, *path, *type; /* into the line */
};

/* "36 35 98:0 /root /path opts [fields] - type source super" */
static bool parse_line(char *line, struct mount_line *ret)
{
	char *fields[5], *type = strstr(line, " - ");

	if (!type)
		return false;
	type += 3;
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		fields[i] = strsep(&line, " ");
		if (!line)
			return false;
	}
	type[strcspn(type, " ")] = '\0';
	unescape(fields[4]);
	*ret = (struct mount_line){.dev = fields[2], .path = fields[4], .type = type};
	return true;
}

static bool list_has(const json_t *list, const char *text)
{
	size_t i;
	json_t *v;

	json_array_foreach((json_t *)list, i, v)
	{
		const char *path = json_is_object(v) ? json_string_value(json_object_get(v, "path"))
						     : json_string_value(v);
		if (path && strcmp(path, text) == 0)
			return true;
	}
	return false;
}

/* At or below one of the session's own filesystems: seen only if it was bound there. */
static bool is_covered(const struct session *s, const json_t *binds, const char *path)
{
	size_t i;
	json_t *fs;

	json_array_foreach(s->own, i, fs)
	{
		const char *own = json_string_value(json_object_get(fs, "path"));

		if (own && path_in(path, own))
			return !list_has(binds, path);
	}
	return false;
}

struct reading {
	const struct session *s;
	json_t *binds;	  /* owned */
	json_t *own_devs; /* owned: "major:minor" of the session's own filesystems */
	struct mount_list *out;
};

static int take_line(struct reading *rd, const struct mount_line *m)
{
	if (list_has(rd->s->own, m->path))
		return json_array_append_new(rd->own_devs, json_string(m->dev)) < 0 ? -ENOMEM : 0;
	if (strcmp(m->path, "/") == 0 || strcmp(m->type, "autofs") == 0 ||
	    list_has(rd->own_devs, m->dev) || is_covered(rd->s, rd->binds, m->path))
		return 0;
	if (rd->out->n == MOUNTS_MAX)
		return -E2BIG;
	rd->out->v[rd->out->n] = strdup(m->path);
	return rd->out->v[rd->out->n++] ? 0 : -ENOMEM;
}

static int read_lines(struct reading *rd, char *text)
{
	int r = 0;

	for (char *line = strsep(&text, "\n"); line && r == 0; line = strsep(&text, "\n")) {
		struct mount_line m;

		if (parse_line(line, &m))
			r = take_line(rd, &m);
	}
	return r;
}

int mounts_read(const struct session *s, struct mount_list *ret)
{
	__cleanup_free char *text = NULL;
	char path[64]; /* "/proc/", an int, "/mountinfo" */

	(void)snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)s->init_pid);
	int r = file_read(AT_FDCWD, path, MOUNTINFO_MAX, &text, NULL);

	if (r < 0)
		return r;
	struct reading rd = {
		.s = s, .binds = mounts_binds(s->policy), .own_devs = json_array(), .out = ret};

	ret->v = calloc(MOUNTS_MAX, sizeof(*ret->v));
	r = ret->v && rd.binds && rd.own_devs ? read_lines(&rd, text) : -ENOMEM;
	json_decref(rd.binds);
	json_decref(rd.own_devs);
	if (r < 0)
		mounts_free(ret);
	return r;
}

void mounts_free(struct mount_list *m)
{
	while (m->n > 0)
		free(m->v[--m->n]);
	free(m->v);
	m->v = NULL;
}

/* A path of p that is bound and not among binds. */
static const struct policy_item *unbound(const struct policy *p, const json_t *binds)
{
	const struct policy_list *lists[] = {&p->read, &p->write, &p->exec};

	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		for (size_t j = 0; j < lists[i]->n; j++)
			if (is_bind(lists[i]->items[j].text) &&
			    !list_has(binds, lists[i]->items[j].text))
				return &lists[i]->items[j];
	return NULL;
}

static int mount_error(struct policy_err *err, struct policy_mark mark, const char *path,
		       const char *what)
{
	return policy_error(err, mark, POLICY_E_CHANGE,
			    "files: %.200s %s, and what is seen below /tmp, /var/tmp, /run and "
			    "/dev/shm was mounted when the session started: start a new session",
			    path, what);
}

int mounts_check_change(const struct policy *old, const struct policy *new, struct policy_err *err)
{
	json_t *before = mounts_binds(old), *after = mounts_binds(new);
	const struct policy_item *item;
	int r = before && after ? 0 : -ENOMEM;

	if (r == 0 && (item = unbound(new, before)))
		r = mount_error(err, item->mark, item->text, "is new");
	if (r == 0 && (item = unbound(old, after)))
		r = mount_error(err, (struct policy_mark){0}, item->text, "is missing");
	json_decref(before);
	json_decref(after);
	return r;
}
