/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a live session keeps for its life, whatever policy is loaded into it: its databases, its
 * limits and its network. They must say the same in both.
 */
#include <errno.h>
#include <string.h>

#include "policy/policy.h"
#include "policy/yaml.h"

#define WHAT_TO_DO "a live session keeps what it was started with: start a new session"

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_names(const struct policy_list *a, const struct policy_list *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!same_text(a->items[i].text, b->items[i].text))
			return false;
	return true;
}

/* The key of the first difference, or NULL. */
static const char *db_difference(const struct policy_db *a, const struct policy_db *b)
{
	if (!same_names(&a->names, &b->names))
		return "name";
	if (a->type != b->type)
		return "type";
	if (!same_text(a->host, b->host) || a->port != b->port)
		return "address";
	if (!same_text(a->database.text, b->database.text))
		return "database";
	if (!same_text(a->user.text, b->user.text))
		return "user";
	if (a->password.from != b->password.from ||
	    !same_text(a->password.value.text, b->password.value.text))
		return "password";
	if (a->tls != b->tls)
		return "tls";
	return same_text(a->ca.text, b->ca.text) ? NULL : "ca";
}

static int check_databases(const struct policy *old, const struct policy *new,
			   struct policy_err *err)
{
	for (size_t i = 0; i < new->n_dbs &&i < old->n_dbs; i++) {
		const char *key = db_difference(&old->dbs[i], &new->dbs[i]);

		if (key)
			return policy_error(err, new->dbs[i].mark, POLICY_E_CHANGE,
					    "databases: the %s of %s differs; " WHAT_TO_DO, key,
					    policy_quote(new->dbs[i].names.items[0].text).text);
	}
	if (new->n_dbs > old->n_dbs) {
		const struct policy_db *db = &new->dbs[old->n_dbs];

		return policy_error(err, db->mark, POLICY_E_CHANGE,
				    "databases: %s is new; " WHAT_TO_DO,
				    policy_quote(db->names.items[0].text).text);
	}
	if (new->n_dbs < old->n_dbs)
		return policy_error(err, (struct policy_mark){0}, POLICY_E_CHANGE,
				    "databases: %s is missing; " WHAT_TO_DO,
				    policy_quote(old->dbs[new->n_dbs].names.items[0].text).text);
	return 0;
}

static int check_limits(const struct policy_limits *old, const struct policy_limits *new,
			struct policy_err *err)
{
	const char *key = old->time_ms != new->time_ms		   ? "time"
			  : old->cpu_milli != new->cpu_milli	   ? "cpu"
			  : old->memory_bytes != new->memory_bytes ? "memory"
			  : old->processes != new->processes	   ? "processes"
			  : old->files != new->files		   ? "files"
			  : old->disk_bytes != new->disk_bytes	   ? "disk"
								   : NULL;

	if (!key)
		return 0;
	return policy_error(err, new->mark, POLICY_E_CHANGE, "limits: %s differs; " WHAT_TO_DO,
			    key);
}

int policy_check_change(const struct policy *old, const struct policy *new, struct policy_err *err)
{
	int r = check_databases(old, new, err);

	if (r == 0)
		r = check_limits(&old->limits, &new->limits, err);
	if (r < 0 || old->network == new->network)
		return r;
	return policy_error(err, new->network_mark, POLICY_E_CHANGE,
			    "network: the mode differs; " WHAT_TO_DO);
}
