/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of a policy and what each may be; databases and limits have files of their own.
 */
#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "policy/schema.h"
#include "policy/secrets.h"
#include "policy/value.h"
#include "policy/yaml.h"

static int decode_paths(const struct yaml_node *n, void *out, struct policy_err *err)
{
	struct policy_list *list = out;

	if (n->kind != YAML_LIST)
		return policy_error(err, n->mark, POLICY_E_TYPE,
				    "must be a list of paths, as in [ /usr, /workspace ]");
	list->given = true;
	list->mark = n->mark;
	list->items = calloc(n->n_kids ? n->n_kids : 1, sizeof(*list->items));
	if (!list->items)
		return policy_no_memory(err);
	for (size_t i = 0; i < n->n_kids; i++) {
		int r = value_path(&n->kids[i], &list->items[i], err);

		if (r < 0)
			return r;
		list->n++;
	}
	return 0;
}

static int refuse_secrets(const struct policy_list *list, struct policy_err *err)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct policy_item *it = &list->items[i];
		const char *secret = secrets_always_over(it->text);

		if (secret)
			return policy_error(err, it->mark, POLICY_E_VALUE,
					    "%s is never given to a session", secret);
	}
	return 0;
}

static int decode_read(const struct yaml_node *n, void *out, struct policy_err *err)
{
	int r = decode_paths(n, out, err);

	return r < 0 ? r : refuse_secrets(out, err);
}

static int decode_write(const struct yaml_node *n, void *out, struct policy_err *err)
{
	static const char *const never[] = {"/proc", "/sys", "/dev"};
	const struct policy_list *list = out;
	int r = decode_read(n, out, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < list->n; i++) {
		const struct policy_item *it = &list->items[i];

		if (!strcmp(it->text, "/"))
			return policy_error(err, it->mark, POLICY_E_VALUE,
					    "\"/\" cannot be writable: name the directories");
		for (size_t j = 0; j < ARRAY_LEN(never); j++)
			if (path_in(it->text, never[j]))
				return policy_error(err, it->mark, POLICY_E_VALUE,
						    "%s cannot be made writable", never[j]);
	}
	return 0;
}

static int decode_deny(const struct yaml_node *n, void *out, struct policy_err *err)
{
	const struct policy_list *list = out;
	int r = decode_paths(n, out, err);

	for (size_t i = 0; r == 0 && i < list->n; i++)
		if (!strcmp(list->items[i].text, "/"))
			return policy_error(err, list->items[i].mark, POLICY_E_VALUE,
					    "denying \"/\" leaves nothing: use files.read");
	return r;
}

static int decode_files(const struct yaml_node *n, void *out, struct policy_err *err)
{
	static const struct schema_field fields[] = {
		{"read", offsetof(struct policy, read), false, decode_read},
		{"write", offsetof(struct policy, write), false, decode_write},
		{"deny", offsetof(struct policy, deny), false, decode_deny},
		{NULL, 0, false, NULL},
	};

	return schema_decode(n, &(struct schema){"files", fields}, out, err);
}

static int decode_exec(const struct yaml_node *n, void *out, struct policy_err *err)
{
	static const struct schema_field fields[] = {
		{"allow", offsetof(struct policy, exec), false, decode_read},
		{NULL, 0, false, NULL},
	};

	return schema_decode(n, &(struct schema){"exec", fields}, out, err);
}

static const char *const network_words[] = {"none", "host-only", "limited", "full", NULL};

static int decode_mode(const struct yaml_node *n, void *out, struct policy_err *err)
{
	struct policy *p = out;
	int word = 0;
	int r = value_word(n, "network.mode", network_words, &word, err);

	if (r < 0)
		return r;
	if (word != POLICY_NET_NONE)
		return policy_error(err, n->mark, POLICY_E_UNAVAILABLE,
				    "network mode \"%s\" is not available yet: only none",
				    network_words[word]);
	p->network = (enum policy_network)word;
	p->network_mark = n->mark;
	return 0;
}

static int decode_network(const struct yaml_node *n, void *out, struct policy_err *err)
{
	static const struct schema_field fields[] = {
		{"mode", 0, false, decode_mode},
		{NULL, 0, false, NULL},
	};

	return schema_decode(n, &(struct schema){"network", fields}, out, err);
}

static int decode_name(const struct yaml_node *n, void *out, struct policy_err *err)
{
	int r = value_scalar(n, "name", err);

	if (r < 0)
		return r;
	if (!text_name_ok(n->text, POLICY_NAME_MAX))
		return policy_error(err, n->mark, POLICY_E_VALUE,
				    "bad name \"%s\": 1 to %u of a-z 0-9 . _ -, a letter or digit "
				    "first",
				    policy_quote(n->text).text, POLICY_NAME_MAX);
	return value_text(n, "name", POLICY_NAME_MAX, out, err);
}

static int decode_version(const struct yaml_node *n, void *out, struct policy_err *err)
{
	int r = value_scalar(n, "pinfold", err);

	(void)out; /* there is one version: nothing to keep */
	if (r < 0)
		return r;
	if (strcmp(n->text, "1") != 0)
		return policy_error(err, n->mark, POLICY_E_VALUE,
				    "policy version \"%s\" is not known: only 1",
				    policy_quote(n->text).text);
	return 0;
}

static int decode_violations_action(const struct yaml_node *n, void *out, struct policy_err *err)
{
	static const char *const words[] = {"record", "freeze", "kill", NULL};
	int word = 0;
	int r = value_word(n, "violations.action", words, &word, err);

	if (r == 0)
		*(enum policy_action *)out = (enum policy_action)word;
	return r;
}

static int decode_threshold(const struct yaml_node *n, void *out, struct policy_err *err)
{
	uint64_t v = 0;
	int r = value_number(n, &(struct value_range){"violations.threshold", 1, 1000000}, &v, err);

	if (r == 0)
		*(uint32_t *)out = (uint32_t)v;
	return r;
}

static int decode_violations(const struct yaml_node *n, void *out, struct policy_err *err)
{
	static const struct schema_field fields[] = {
		{"threshold", offsetof(struct policy_violations, threshold), false,
		 decode_threshold},
		{"action", offsetof(struct policy_violations, action), false,
		 decode_violations_action},
		{NULL, 0, false, NULL},
	};
	struct policy_violations *v = out;
	int r = schema_decode(n, &(struct schema){"violations", fields}, v, err);

	if (r < 0)
		return r;
	v->mark = n->mark;
	if (v->action != POLICY_ACTION_RECORD && v->threshold == 0)
		return policy_error(err, n->mark, POLICY_E_MISSING,
				    "key \"threshold\" is missing in violations: how many denials "
				    "until the action");
	return 0;
}

static int decode_unattended(const struct yaml_node *n, void *out, struct policy_err *err)
{
	static const char *const words[] = {"no-connections", "allow", "stop", NULL};
	int word = 0;
	int r = value_word(n, "unattended", words, &word, err);

	if (r == 0)
		*(enum policy_unattended *)out = (enum policy_unattended)word;
	return r;
}

static const struct schema_field root_fields[] = {
	{"pinfold", 0, true, decode_version},
	{"name", offsetof(struct policy, name), true, decode_name},
	{"databases", 0, false, policy_decode_databases},
	{"files", 0, false, decode_files},
	{"exec", 0, false, decode_exec},
	{"network", 0, false, decode_network},
	{"limits", offsetof(struct policy, limits), false, policy_decode_limits},
	{"violations", offsetof(struct policy, violations), false, decode_violations},
	{"unattended", offsetof(struct policy, unattended), false, decode_unattended},
	{NULL, 0, false, NULL},
};

int policy_parse(const char *text, size_t len, struct policy **ret, struct policy_err *err)
{
	__cleanup_yaml struct yaml_node root = {0};
	int r = yaml_tree(text, len, &root, err);

	if (r < 0)
		return r;
	__cleanup_policy struct policy *p = calloc(1, sizeof(*p));

	if (!p)
		return policy_no_memory(err);
	p->limits = policy_default_limits;
	r = schema_decode(&root, &(struct schema){"the policy", root_fields}, p, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(p);
	return 0;
}
