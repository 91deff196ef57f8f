/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps of a policy by tables of their keys. Private to policy/.
 */
#ifndef POLICY_SCHEMA_H
#define POLICY_SCHEMA_H

#include "policy/yaml.h"

struct schema_field {
	const char *key;
	size_t offset; /* of what decode fills, in the struct of the map */
	bool required;
	int (*decode)(const struct yaml_node *n, void *out, struct policy_err *err);
};

/* The keys of one map, and what messages call it. */
struct schema {
	const char *what;
	const struct schema_field *fields; /* ends with a NULL key */
};

/*
 * Decode every key of the map n into out, in the order of the text. On failure out holds what was
 * decoded so far and is its owner's to free.
 */
int schema_decode(const struct yaml_node *n, const struct schema *s, void *out,
		  struct policy_err *err) __must_check;

/* The parts of a policy that have a file of their own; out is as in schema_field. */
int policy_decode_databases(const struct yaml_node *n, void *out,
			    struct policy_err *err) __must_check;
int policy_decode_limits(const struct yaml_node *n, void *out, struct policy_err *err) __must_check;
extern const struct policy_limits policy_default_limits;

#endif
