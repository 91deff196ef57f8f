/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps of a policy by tables of their keys: unknown, missing, each decoded where it stands.
 */
#include "policy/schema.h"

#include <stdio.h>
#include <string.h>

static int unknown_key(const struct yaml_node *key, const struct schema *s, struct policy_err *err)
{
	char allowed[160] = ""; /* the longest list, of the policy, has 78 bytes */

	for (const struct schema_field *f = s->fields; f->key; f++) {
		size_t at = strlen(allowed);

		(void)snprintf(allowed + at, sizeof(allowed) - at, "%s%s",
			       f == s->fields ? "" : ", ", f->key);
	}
	return policy_error(err, key->mark, POLICY_E_KEY,
			    "unknown key \"%s\" in %s: allowed are %s",
			    policy_quote(key->text).text, s->what, allowed);
}

static const struct yaml_node *map_get(const struct yaml_node *map, const char *key)
{
	for (size_t i = 0; i < map->n_kids; i += 2)
		if (!strcmp(map->kids[i].text, key))
			return &map->kids[i + 1];
	return NULL;
}

static const struct schema_field *field_of(const struct schema *s, const char *key)
{
	for (const struct schema_field *f = s->fields; f->key; f++)
		if (!strcmp(f->key, key))
			return f;
	return NULL;
}

int schema_decode(const struct yaml_node *n, const struct schema *s, void *out,
		  struct policy_err *err)
{
	if (n->kind != YAML_MAP)
		return policy_error(err, n->mark, POLICY_E_TYPE,
				    "%s must be a map of keys and values", s->what);
	for (size_t i = 0; i < n->n_kids; i += 2) {
		const struct yaml_node *key = &n->kids[i];
		const struct schema_field *f = field_of(s, key->text);

		if (!f)
			return unknown_key(key, s, err);
		int r = f->decode(&n->kids[i + 1], (char *)out + f->offset, err);

		if (r < 0)
			return r;
	}
	for (const struct schema_field *f = s->fields; f->key; f++)
		if (f->required && !map_get(n, f->key))
			return policy_error(err, n->mark, POLICY_E_MISSING,
					    "key \"%s\" is missing in %s", f->key, s->what);
	return 0;
}
