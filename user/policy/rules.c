/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lists of a policy merged into one list of paths with rights. Only names are looked at here;
 * what they are on this machine is policy_entries()' business.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "policy/secrets.h"
#include "policy/value.h"
#include "policy/yaml.h"

/* Paths before duplicates are dropped; a policy with more has absurdly deep ones. */
#define PATHS_MAX (16u * PF_MAX_RULES)

struct maker {
	const struct policy *p;
	const struct policy_host *host;
	struct policy_err *err;
	char **secrets; /* secrets_system and those of all homes; owned */
	size_t n_secrets;
	struct policy_rules rules;
	size_t room;
	uint32_t next_id;
};

/* Whether the list itself names path's tree at or below secret. */
static bool named_below(const struct policy_list *list, const char *secret, const char *path)
{
	for (size_t i = 0; i < list->n; i++)
		if (path_in(list->items[i].text, secret) && path_in(path, list->items[i].text))
			return true;
	return false;
}

/* Whether path is a file that the policy itself has a password in. */
static bool is_password(const struct policy *p, const char *path)
{
	for (size_t i = 0; i < p->n_dbs; i++) {
		const struct policy_secret *password = &p->dbs[i].password;

		if (password->from == POLICY_SECRET_FILE && path_in(path, password->value.text))
			return true;
	}
	return false;
}

static bool is_secret(const struct maker *m, const char *path)
{
	if (secrets_always_over(path) || is_password(m->p, path))
		return true;
	for (size_t i = 0; i < m->n_secrets; i++)
		if (path_in(path, m->secrets[i]) &&
		    !named_below(&m->p->read, m->secrets[i], path) &&
		    !named_below(&m->p->write, m->secrets[i], path))
			return true;
	return false;
}

static uint32_t rights_at(const struct maker *m, const char *path)
{
	const struct policy *p = m->p;
	uint32_t rights = 0;

	if (policy_list_covers(&p->deny, path) || is_secret(m, path))
		return 0;
	if (policy_list_covers(&p->write, path))
		rights = PF_R_READ | PF_R_WRITE;
	else if (!p->read.given || policy_list_covers(&p->read, path))
		rights = PF_R_READ;
	if (p->exec.given ? policy_list_covers(&p->exec, path) : rights == PF_R_READ)
		rights |= PF_R_EXEC;
	return rights;
}

/* Whether the first len bytes of path are an own file system, or something in one. */
static bool in_own(const struct maker *m, const char *path, size_t len)
{
	for (size_t i = 0; i < m->host->n_own; i++) {
		size_t n = strlen(m->host->own[i]);

		if (len >= n && !strncmp(path, m->host->own[i], n) && (len == n || path[n] == '/'))
			return true;
	}
	return false;
}

/* Whether path is where an own file system is mounted. */
static bool is_own(const struct maker *m, const char *path)
{
	for (size_t i = 0; i < m->host->n_own; i++)
		if (!strcmp(path, m->host->own[i]))
			return true;
	return false;
}

/* Add a copy of r, whose path is the first len bytes of path. */
static int add_one(struct maker *m, const struct policy_rule *r, const char *path, size_t len)
{
	struct policy_rules *rules = &m->rules;

	if (rules->n == PATHS_MAX)
		return policy_error(m->err, (struct policy_mark){0}, POLICY_E_LIMIT,
				    "too many directories on the way to the paths of the policy");
	if (rules->n == m->room) {
		size_t room = m->room ? 2 * m->room : 256;
		struct policy_rule *v = reallocarray(rules->v, room, sizeof(*v));

		if (!v)
			return policy_no_memory(m->err);
		rules->v = v;
		m->room = room;
	}
	struct policy_rule *slot = &rules->v[rules->n];

	*slot = *r;
	slot->path = strndup(path, len);
	if (!slot->path)
		return policy_no_memory(m->err);
	rules->n++;
	return 0;
}

/*
 * Add the rule, and a step for each directory on the way to it. A step would give an own file
 * system the rights of what it covers.
 */
static int add_path(struct maker *m, const struct policy_rule *r, const char *path)
{
	const struct policy_rule step = {.step = true};
	int ret = add_one(m, r, path, strlen(path));

	if (ret == 0 && path[1])
		ret = add_one(m, &step, "/", 1);
	for (const char *p = strchr(path + 1, '/'); ret == 0 && p; p = strchr(p + 1, '/'))
		if (!in_own(m, path, (size_t)(p - path)))
			ret = add_one(m, &step, path, (size_t)(p - path));
	return ret;
}

static int add_item(struct maker *m, const struct policy_item *it, bool deny)
{
	struct policy_rule r = {
		.id = m->next_id++, .must_exist = !deny, .deny = deny, .mark = it->mark};

	if (!deny && is_own(m, it->text))
		return 0; /* has rights of its own, and more of them */
	return add_path(m, &r, it->text);
}

static int add_list(struct maker *m, const struct policy_list *list, bool deny)
{
	for (size_t i = 0; i < list->n; i++) {
		int r = add_item(m, &list->items[i], deny);

		if (r < 0)
			return r;
	}
	return 0;
}

static int add_built_in(struct maker *m, const char *path, bool deny)
{
	const struct policy_rule r = {.deny = deny};

	return in_own(m, path, strlen(path)) ? 0 : add_path(m, &r, path);
}

/* Without a rule nothing in a mounted file system is allowed, so a secret one needs none. */
static int add_mount(struct maker *m, const char *path)
{
	return is_secret(m, path) ? 0 : add_built_in(m, path, false);
}

/* Wherever they are, also where something of the host's is shown in an own file system. */
static int add_passwords(struct maker *m)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < m->p->n_dbs; i++) {
		const struct policy_secret *password = &m->p->dbs[i].password;
		const struct policy_rule rule = {.deny = true, .mark = password->value.mark};

		if (password->from == POLICY_SECRET_FILE)
			r = add_path(m, &rule, password->value.text);
	}
	return r;
}

static int add_secret(struct maker *m, char *path)
{
	if (!path)
		return policy_no_memory(m->err);
	m->secrets[m->n_secrets++] = path;
	return 0;
}

static char *home_secret(const char *home, size_t len, const char *name)
{
	char *path = NULL;

	if (asprintf(&path, "%.*s/%s", (int)len, home, name) < 0)
		return NULL;
	return path;
}

static int home_secrets(struct maker *m, const char *home, bool whole)
{
	size_t len = strlen(home);

	while (len > 1 && home[len - 1] == '/')
		len--;
	__cleanup_free char *plain = strndup(home, len);

	if (!plain)
		return policy_no_memory(m->err);
	if (value_path_problem(plain))
		return policy_error(m->err, (struct policy_mark){0}, POLICY_E_VALUE,
				    "home directory \"%s\" %s", policy_quote(home).text,
				    value_path_problem(plain));
	if (len == 1)
		len = 0; /* the home "/": its secrets are /.ssh and so on */
	if (whole && len > 0)
		return add_secret(m, TAKE_PTR(plain));
	for (size_t i = 0; secrets_home[i]; i++) {
		int r = add_secret(m, home_secret(plain, len, secrets_home[i]));

		if (r < 0)
			return r;
	}
	return 0;
}

static int collect_secrets(struct maker *m)
{
	size_t n_system = 0, n_home = 0;
	int r = 0;

	while (secrets_system[n_system])
		n_system++;
	while (secrets_home[n_home])
		n_home++;
	m->secrets = calloc(n_system + m->host->n_homes * n_home, sizeof(*m->secrets));
	if (!m->secrets)
		return policy_no_memory(m->err);
	for (size_t i = 0; r == 0 && i < n_system; i++)
		r = add_secret(m, strdup(secrets_system[i]));
	for (size_t i = 0; r == 0 && i < m->host->n_homes; i++)
		r = home_secrets(m, m->host->homes[i], i >= POLICY_HOMES_MAX);
	return r;
}

static int add_all(struct maker *m)
{
	int r = 0;

	for (size_t i = 0; r == 0 && secrets_always[i]; i++)
		r = add_built_in(m, secrets_always[i], true);
	for (size_t i = 0; r == 0 && i < m->n_secrets; i++)
		r = add_built_in(m, m->secrets[i], true);
	if (r == 0)
		r = add_passwords(m);
	for (size_t i = 0; r == 0 && i < m->host->n_mounts; i++)
		r = add_mount(m, m->host->mounts[i]);
	if (r == 0)
		r = add_built_in(m, "/", false);
	if (r == 0)
		r = add_list(m, &m->p->read, false);
	if (r == 0)
		r = add_list(m, &m->p->write, false);
	if (r == 0)
		r = add_list(m, &m->p->deny, true);
	if (r == 0)
		r = add_list(m, &m->p->exec, false);
	return r;
}

static int by_path(const void *a, const void *b)
{
	const struct policy_rule *x = a, *y = b;
	int r = strcmp(x->path, y->path);

	if (r != 0)
		return r;
	return (x->id > y->id) - (x->id < y->id);
}

/* One rule where several name the same path; the lowest number of the policy's own stays. */
static void merge_into(struct policy_rule *to, struct policy_rule *from)
{
	if (from->must_exist && !to->must_exist)
		to->mark = from->mark;
	if (to->id == 0)
		to->id = from->id;
	to->must_exist = to->must_exist || from->must_exist;
	to->deny = to->deny || from->deny;
	to->step = to->step && from->step;
	free(from->path);
}

static void sort_and_merge(struct policy_rules *rules)
{
	size_t n = 0;

	qsort(rules->v, rules->n, sizeof(*rules->v), by_path);
	for (size_t i = 0; i < rules->n; i++) {
		if (n > 0 && !strcmp(rules->v[n - 1].path, rules->v[i].path))
			merge_into(&rules->v[n - 1], &rules->v[i]);
		else
			rules->v[n++] = rules->v[i];
	}
	rules->n = n;
}

static int make_rules(struct maker *m)
{
	int r = collect_secrets(m);

	if (r == 0)
		r = add_all(m);
	if (r < 0)
		return r;
	sort_and_merge(&m->rules);
	if (m->rules.n > PF_MAX_RULES)
		return policy_error(m->err, (struct policy_mark){0}, POLICY_E_LIMIT,
				    "%zu paths, with the built-in ones, are too many: at most %d",
				    m->rules.n, PF_MAX_RULES);
	m->rules.exec_listed = m->p->exec.given;
	for (size_t i = 0; i < m->rules.n; i++) {
		struct policy_rule *rule = &m->rules.v[i];

		rule->rights = rights_at(m, rule->path);
		/* a secret that the policy names is not denied, and not by its name either */
		rule->deny = rule->deny && rule->rights == 0;
	}
	return 0;
}

int policy_rules(const struct policy *p, const struct policy_host *host, struct policy_rules *ret,
		 struct policy_err *err)
{
	struct maker m = {.p = p, .host = host, .err = err, .next_id = 1};
	int r = make_rules(&m);

	for (size_t i = 0; i < m.n_secrets; i++)
		free(m.secrets[i]);
	free(m.secrets);
	if (r < 0) {
		policy_rules_free(&m.rules);
		return r;
	}
	*ret = m.rules;
	return 0;
}

void policy_rules_free(struct policy_rules *rules)
{
	for (size_t i = 0; i < rules->n; i++)
		free(rules->v[i].path);
	free(rules->v);
	*rules = (struct policy_rules){0};
}
