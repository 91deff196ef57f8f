/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what pinfold-init opened to the kernel's maps.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "daemon/hosts.h"
#include "daemon/session.h"

/* The path with that number: of a rule, or of one of the session's own filesystems. */
static const char *path_of(const struct session *s, size_t i)
{
	const json_t *own = json_array_get(s->own, i - s->rules.n);

	return i < s->rules.n ? s->rules.v[i].path : ctl_str(own, "path");
}

/* What became of path number i: pinfold-init's word, and the kernel's mark if it was opened. */
static int take_mark(const struct session *s, size_t i, int told, struct policy_found *found)
{
	struct pf_mark mark;

	found->folds = told < 0;
	found->error = told < 0 ? 0 : told;
	if (found->error == ETIMEDOUT)
		daemon_event(s->d, "no-answer",
			     "session=%s %s: its file system does not answer, so the policy does "
			     "without",
			     s->id, path_of(s, i));
	if (found->error)
		return 0;
	int r = kern_mark_get(s->d->kern, s->cg.id, i, &mark);

	if (r < 0)
		return r;
	found->ino = mark.ino;
	found->dev = mark.dev;
	found->self = mark.self;
	return 0;
}

static int take_marks(const struct session *s, const json_t *results, char why[TEXT_MAX])
{
	size_t n = s->rules.n + json_array_size(s->own);

	(void)snprintf(why, TEXT_MAX, "pinfold-init has other paths than the policy");
	if (json_array_size(results) != n)
		return -EPROTO;
	for (size_t i = 0; i < n; i++) {
		int told = (int)json_integer_value(json_array_get(results, i));
		int r = take_mark(s, i, told, &s->found[i]);

		if (r < 0) {
			(void)snprintf(why, TEXT_MAX, "the kernel did not note %.200s: %s",
				       path_of(s, i), r == -ENOENT ? "try again" : strerror(-r));
			return r == -ENOENT ? -EPROTO : r;
		}
	}
	return 0;
}

void publish_drop_marks(struct session *s)
{
	kern_marks_drop(s->d->kern, s->cg.id, s->marks);
	s->marks = 0;
}

static int own_rights(const json_t *fs, uint32_t *ret)
{
	static const struct {
		const char *word;
		uint32_t rights;
	} words[] = {
		{"r", PF_R_READ},
		{"rw", PF_R_READ | PF_R_WRITE},
		{"rwdev", PF_R_READ | PF_R_WRITE | PF_R_DEV},
		{"proc", PF_R_READ | PF_R_WRITE | PF_R_PROC},
	};
	const char *word = json_string_value(json_object_get(fs, "rights"));

	for (size_t i = 0; word && i < ARRAY_LEN(words); i++)
		if (strcmp(words[i].word, word) == 0) {
			*ret = words[i].rights;
			return 0;
		}
	return -EPROTO;
}

/* /var/tmp may be a link to /tmp, so that two paths have one filesystem. */
static bool own_known(const struct session *s, uint32_t dev)
{
	for (size_t i = 0; i < s->n_own_fs; i++)
		if (s->own_fs[i].dev == dev)
			return true;
	return false;
}

static int take_own(struct session *s, const struct policy_found *found)
{
	size_t i;
	json_t *fs;
	int r = 0;

	json_array_foreach(s->own, i, fs)
	{
		struct pf_own_fs own = {.dev = found[i].dev};

		if (r < 0 || found[i].error || own_known(s, own.dev))
			continue;
		r = own_rights(fs, &own.rights);
		if (r == 0)
			s->own_fs[s->n_own_fs++] = own;
	}
	return r;
}

/* First the rules, then the session's own filesystems. */
int publish_take_marks(struct session *s, const json_t *results, char why[TEXT_MAX])
{
	size_t n_own = json_array_size(s->own);

	(void)snprintf(why, TEXT_MAX, "cannot learn who the paths of the policy are: %s",
		       strerror(n_own > OWN_FS_MAX ? E2BIG : ENOMEM));
	if (n_own > OWN_FS_MAX)
		return -E2BIG;
	s->found = calloc(s->rules.n + n_own + 1, sizeof(*s->found));
	if (!s->found)
		return -ENOMEM;
	int r = take_marks(s, results, why);

	publish_drop_marks(s);
	if (r == 0)
		r = take_own(s, s->found + s->rules.n);
	return r;
}

struct endpoint_list {
	struct kern_endpoint *v; /* owned */
	size_t n;
};

static int add_endpoint(struct endpoint_list *l, const char *ip, uint16_t port, size_t db)
{
	struct kern_endpoint e = {.port = port,
				  .proto = IPPROTO_TCP,
				  .gate_port = (uint16_t)(PF_GATE_PORT_FIRST + db),
				  .id = (uint32_t)db};
	int r = hosts_parse(ip, e.addr);

	if (r < 0)
		return r;
	struct kern_endpoint *v = realloc(l->v, (l->n + 1) * sizeof(*v));

	if (!v)
		return -ENOMEM;
	l->v = v;
	l->v[l->n++] = e;
	return 0;
}

/* Where the agent may connect: the synthetic address of each database, and literal ones. */
static int make_endpoints(const struct session *s, struct endpoint_list *l)
{
	char ip[32]; /* HOSTS_SYNTHETIC and an unsigned */
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->policy->n_dbs; i++) {
		const struct policy_db *db = &s->policy->dbs[i];

		(void)snprintf(ip, sizeof(ip), HOSTS_SYNTHETIC, (unsigned)(i + 1));
		r = add_endpoint(l, ip, db->port, i);
		for (size_t j = 0; r == 0 && j < db->names.n; j++)
			if (hosts_is_address(db->names.items[j].text))
				r = add_endpoint(l, db->names.items[j].text, db->port, i);
	}
	return r;
}

static int make_upstreams(const struct session *s, struct endpoint_list *l)
{
	size_t i, j;
	json_t *list, *v;
	int r = 0;

	json_array_foreach(s->addresses, i, list)
	{
		json_array_foreach(list, j, v)
		{
			const char *ip = json_string_value(json_object_get(v, "ip"));

			if (r == 0)
				r = add_endpoint(l, ip ? ip : "", s->policy->dbs[i].port, i);
		}
	}
	return r;
}

uint32_t publish_unattended(const struct session *s)
{
	switch (s->policy->unattended) {
	case POLICY_UNATTENDED_NO_CONNECTIONS:
		return 0;
	case POLICY_UNATTENDED_ALLOW:
		return PF_SESSION_UNATTENDED_ALLOW;
	case POLICY_UNATTENDED_STOP:
		break;
	}
	return PF_SESSION_UNATTENDED_STOP;
}

static int publish_with(struct session *s, const struct kern_rule *rules, size_t n)
{
	struct endpoint_list ends = {0}, ups = {0};
	int r = make_endpoints(s, &ends);

	if (r == 0)
		r = make_upstreams(s, &ups);
	struct kern_session k = {
		.id = s->cg.id,
		.agent_cgroup = s->cg.agent_id,
		.gate_cgroup = s->cg.gate_id,
		.uid = s->owner.uid,
		.unattended = publish_unattended(s),
		.own_fs = s->own_fs,
		.n_own_fs = s->n_own_fs,
		.rules = rules,
		.n_rules = n,
		.endpoints = ends.v,
		.n_endpoints = ends.n,
		.upstreams = ups.v,
		.n_upstreams = ups.n,
	};

	(void)snprintf(k.name, sizeof(k.name), "%s", s->name ? s->name : s->id);
	if (r == 0)
		r = kern_session_publish(s->d->kern, &k);
	free(ends.v);
	free(ups.v);
	return r;
}

int publish_rules(const struct session *s, struct kern_rule **ret, size_t *ret_n,
		  struct policy_err *err)
{
	__cleanup_policy_entries struct policy_entries entries = {0};
	int r = policy_entries(&s->rules, s->found, &entries, err);

	if (r < 0)
		return r;
	struct kern_rule *rules = calloc(entries.n + 1, sizeof(*rules));

	if (!rules)
		return -ENOMEM;
	for (size_t i = 0; i < entries.n; i++)
		rules[i] = (struct kern_rule){entries.v[i].key, entries.v[i].value};
	*ret = rules;
	*ret_n = entries.n;
	return 0;
}

int publish(struct session *s, struct policy_err *err)
{
	__cleanup_free struct kern_rule *rules = NULL;
	size_t n;
	int r = publish_rules(s, &rules, &n, err);

	return r < 0 ? r : publish_with(s, rules, n);
}
