/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of YAML that a policy may use, as a tree with marks: maps with scalar keys that occur
 * once, lists, scalars; one document. Anchors, aliases, tags and merge keys are errors, so the tree
 * is never larger than the text. Private to policy/.
 */
#ifndef POLICY_YAML_H
#define POLICY_YAML_H

#include "policy/policy.h"

/* Maps and lists inside each other; the deepest policy has 4. */
#define YAML_DEPTH_MAX 8u
/* Keys of one map, the largest of a policy has 8; items of one list. */
#define YAML_KEYS_MAX 32u
#define YAML_ITEMS_MAX POLICY_LIST_MAX

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_node {
	enum yaml_kind kind;
	struct policy_mark mark;
	char *text;		/* scalar: no control characters; owned */
	struct yaml_node *kids; /* list: items; map: key, value, key, value...; owned */
	size_t n_kids;
	size_t room;
};

void yaml_node_free(struct yaml_node *n);
#define __cleanup_yaml __cleanup(yaml_node_free)

/* The tree of the only document in text: 0, -EINVAL with *err, -ENOMEM with *err. */
int yaml_tree(const char *text, size_t len, struct yaml_node *ret,
	      struct policy_err *err) __must_check;

/* Fill *err and return -ENOMEM. */
int policy_no_memory(struct policy_err *err) __must_check;

/* A printable form of text, cut to 64 bytes, for an error. */
struct policy_quoted {
	char text[64 * 4 + 16];
};
struct policy_quoted policy_quote(const char *text);

#endif
