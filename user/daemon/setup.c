/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What pinfold-init is told: the command, names and their addresses, and the paths to open. Nothing
 * secret is among it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/fd.h"
#include "daemon/hosts.h"
#include "daemon/mounts.h"
#include "daemon/session.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define HOSTS_MAX (256 * 1024)

static int hosts_text(const struct session *s, struct buf *b)
{
	int r = buf_printf(b, "127.0.0.1 localhost pinfold\n::1 localhost ip6-localhost\n");

	for (size_t i = 0; r == 0 && i < s->policy->n_dbs; i++) {
		const struct policy_list *names = &s->policy->dbs[i].names;

		r = buf_printf(b, HOSTS_SYNTHETIC, (unsigned)(i + 1));
		for (size_t j = 0; r == 0 && j < names->n; j++)
			if (!hosts_is_address(names->items[j].text))
				r = buf_printf(b, " %s", names->items[j].text);
		if (r == 0)
			r = buf_put(b, "\n", 1);
	}
	return r == 0 ? buf_put_u8(b, 0) : r;
}

/* Set NAME=value unless the caller gave that name a value. */
static int default_env(json_t *env, const char *name, const char *value)
{
	size_t i, len = strlen(name);
	json_t *v;

	json_array_foreach(env, i, v)
	{
		const char *text = json_string_value(v);

		if (text && strncmp(text, name, len) == 0 && text[len] == '=')
			return 0;
	}
	return json_array_append_new(env, json_sprintf("%s=%s", name, value));
}

static json_t *environment(const struct session *s)
{
	json_t *env = json_copy(json_object_get(s->request, "env"));

	if (!env)
		env = json_array();
	if (default_env(env, "PATH", DEFAULT_PATH) < 0 ||
	    default_env(env, "HOME", s->owner.home) < 0 ||
	    default_env(env, "USER", s->owner.user) < 0 ||
	    default_env(env, "LOGNAME", s->owner.user) < 0 ||
	    default_env(env, "SHELL", "/bin/sh") < 0 || default_env(env, "AI_SANDBOX", "1") < 0 ||
	    default_env(env, "AGENT_ID", s->id) < 0 ||
	    (s->policy->n_dbs > 0 &&
	     default_env(env, "PGSSLROOTCERT", "/run/pinfold/ca.pem") < 0)) {
		json_decref(env);
		return NULL;
	}
	return env;
}

/* The client keeps its terminal and says so; should it send one after all, that must not get in. */
static bool is_terminal(const struct session *s, enum ctl_run_fd fd, const char *key)
{
	const json_t *tty = json_object_get(s->request, "tty");

	return isatty(s->fds[fd]) || json_is_true(json_object_get(tty, key));
}

static json_t *terminal(const struct session *s)
{
	bool in = is_terminal(s, CTL_RUN_STDIN, "stdin");
	bool out = is_terminal(s, CTL_RUN_STDOUT, "stdout");
	bool err = is_terminal(s, CTL_RUN_STDERR, "stderr");
	const json_t *tty = json_object_get(s->request, "tty");

	if (!in && !out && !err)
		return json_null();
	return json_pack("{s:b, s:b, s:b, s:I, s:I}", "stdin", in, "stdout", out, "stderr", err,
			 "rows", json_integer_value(json_object_get(tty, "rows")), "cols",
			 json_integer_value(json_object_get(tty, "cols")));
}

static json_t *group_list(const struct session *s)
{
	json_t *groups = json_array();

	for (size_t i = 0; groups && i < s->owner.n_groups; i++)
		if (json_array_append_new(groups, json_integer(s->owner.groups[i])) < 0) {
			json_decref(groups);
			return NULL;
		}
	return groups;
}

json_t *setup_message(const struct session *s)
{
	__cleanup_buf struct buf hosts = BUF_INIT(HOSTS_MAX);

	if (hosts_text(s, &hosts) < 0)
		return NULL;
	const struct policy_limits *l = &s->policy->limits;
	const json_t *mask = json_object_get(s->request, "umask");

	return json_pack("{s:{s:s, s:O, s:o, s:O, s:I, s:I, s:o, s:I, s:s, s:b, s:o, s:b, s:o, "
			 "s:{s:I, s:I}}}",
			 "setup", "session", s->id, "argv", s->command, "env", environment(s),
			 "cwd", json_object_get(s->request, "cwd"), "uid", (json_int_t)s->owner.uid,
			 "gid", (json_int_t)s->owner.gid, "groups", group_list(s), "umask",
			 json_integer_value(mask), "hosts", (char *)buf_ptr(&hosts), "databases",
			 s->policy->n_dbs > 0, "binds", mounts_binds(s->policy), "binds_as_caller",
			 !s->trusted, "tty", terminal(s), "limits", "files", (json_int_t)l->files,
			 "disk", (json_int_t)l->disk_bytes);
}

struct names {
	char **v; /* owned, the names too */
	size_t n;
};

static void names_free(struct names *l)
{
	while (l->n > 0)
		free(l->v[--l->n]);
	free(l->v);
}

/* Takes over name (NULL: no memory); one that is there already is left out. */
static int add_name(struct names *l, char *name)
{
	char **v = name ? realloc(l->v, (l->n + 1) * sizeof(*v)) : NULL;

	if (!v) {
		free(name);
		return -ENOMEM;
	}
	l->v = v;
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->v[i], name) == 0) {
			free(name);
			return 0;
		}
	l->v[l->n++] = name;
	return 0;
}

/*
 * Home directories, where the built-in secrets are: the caller's before others, which may be so
 * many that all of them is denied, then root's, and all of /home, which pinfold-init has read: it
 * may be on a server that does not answer, and nothing here waits for one.
 */
static int find_homes(const struct session *s, struct names *homes)
{
	size_t i;
	json_t *name;
	int r = add_name(homes, strdup(s->owner.home));

	if (r == 0)
		r = add_name(homes, strdup("/root"));
	json_array_foreach(s->homes, i, name)
	{
		char *path = NULL;

		if (r == 0)
			r = asprintf(&path, "/home/%s", json_string_value(name)) < 0
				    ? -ENOMEM
				    : add_name(homes, path);
	}
	return r;
}

/* Mount points of the session's own filesystems. */
static int find_own(const struct session *s, struct names *own)
{
	size_t i;
	json_t *fs;
	int r = 0;

	json_array_foreach(s->own, i, fs)
	{
		const char *path = json_string_value(json_object_get(fs, "path"));

		if (r == 0)
			r = path ? add_name(own, strdup(path)) : -EPROTO;
	}
	return r;
}

static int make_rules(struct session *s, struct policy_err *err)
{
	struct names homes = {0}, own = {0};
	struct mount_list mounts = {0};
	int r = mounts_read(s, &mounts);

	if (r == 0)
		r = find_homes(s, &homes);
	if (r == 0)
		r = find_own(s, &own);
	const struct policy_host host = {
		.homes = (const char *const *)homes.v,
		.n_homes = homes.n,
		.mounts = (const char *const *)mounts.v,
		.n_mounts = mounts.n,
		.own = (const char *const *)own.v,
		.n_own = own.n,
	};

	if (r == 0)
		r = policy_rules(s->policy, &host, &s->rules, err);
	names_free(&homes);
	names_free(&own);
	mounts_free(&mounts);
	return r;
}

static json_t *own_paths(const struct session *s)
{
	json_t *paths = json_array(), *fs;
	size_t i;

	json_array_foreach(s->own, i, fs)
	{
		(void)json_array_append(paths, json_object_get(fs, "path"));
	}
	return paths;
}

/*
 * Which symbolic links may lead to a rule (init.h, marks_make). In a live session the agent may
 * have put them there, under this policy or an earlier one, and by other names than the policy has
 * for them: a path that gives rights, or leads to names and has the rights that hold there anyway,
 * is then followed over those in the root directory only, unless it is the agent's. One that takes
 * rights away may lead anywhere.
 */
static const char *links_to(const struct session *s, const struct policy_rule *rule)
{
	if (rule->rights & PF_R_WRITE)
		return "none";
	if (!s->live || (rule->rights == 0 && !rule->step))
		return "any";
	const char *root = rule->step ? rule->path : "/";

	if (policy_list_covers(&s->policy->write, root) ||
	    policy_list_covers(&s->live->policy->write, root))
		return "none";
	return "top";
}

json_t *setup_mark(struct session *s, struct policy_err *err)
{
	if (make_rules(s, err) < 0)
		return NULL;
	json_t *paths = json_array(), *links = json_array();
	int r = 0;

	s->marks = s->rules.n + json_array_size(s->own);
	for (size_t i = 0; r == 0 && i < s->rules.n; i++) {
		const struct policy_rule *rule = &s->rules.v[i];

		r = json_array_append_new(paths, json_string(rule->path));
		if (r == 0)
			r = json_array_append_new(links, json_string(links_to(s, rule)));
	}
	if (r < 0) {
		json_decref(paths);
		json_decref(links);
		return NULL;
	}
	return json_pack("{s:{s:o, s:o, s:o, s:b}}", "mark", "paths", paths, "links", links, "own",
			 own_paths(s), "as_caller", !s->trusted);
}
