/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML text to a tree with marks, by libyaml's events. Nothing is resolved: a scalar is its text.
 */
#include "policy/yaml.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "base/text.h"

struct reader {
	yaml_parser_t parser;
	yaml_event_t event; /* the current one; valid while has_event */
	bool has_event;
	struct policy_err *err;
};

int policy_no_memory(struct policy_err *err)
{
	(void)policy_error(err, (struct policy_mark){0}, POLICY_E_MEMORY, "out of memory");
	return -ENOMEM;
}

struct policy_quoted policy_quote(const char *text)
{
	struct policy_quoted q;

	(void)text_escape(q.text, sizeof(q.text), text, strlen(text), 64);
	return q;
}

void yaml_node_free(struct yaml_node *n)
{
	for (size_t i = 0; i < n->n_kids; i++)
		yaml_node_free(&n->kids[i]); /* depth is bounded by YAML_DEPTH_MAX */
	free(n->kids);
	free(n->text);
	*n = (struct yaml_node){0};
}

static struct policy_mark mark_of(yaml_mark_t m)
{
	return (struct policy_mark){.line = (unsigned)m.line + 1, .column = (unsigned)m.column + 1};
}

/*
 * libyaml reports the place of a bad byte as an offset and accepts some characters that must not
 * reach an error message or a log, so the characters are checked first.
 */
static int check_characters(const char *text, size_t len, struct policy_err *err)
{
	struct policy_mark m = {.line = 1, .column = 1};
	const uint8_t *p = (const uint8_t *)text;

	for (size_t i = 0; i < len;) {
		uint32_t c;
		size_t n = utf8_char(p + i, len - i, &c);

		if (n == 0)
			return policy_error(err, m, POLICY_E_SYNTAX,
					    "byte 0x%02x is not UTF-8: a policy is UTF-8 text",
					    p[i]);
		if (c == '\r' && (i + 1 == len || p[i + 1] != '\n'))
			return policy_error(err, m, POLICY_E_SYNTAX,
					    "carriage return without a line feed");
		if (c != '\t' && c != '\n' && c != '\r' && utf8_is_control(c))
			return policy_error(err, m, POLICY_E_SYNTAX,
					    "control character U+%04X is not allowed", c);
		m.column++;
		if (c == '\n')
			m = (struct policy_mark){.line = m.line + 1, .column = 1};
		i += n;
	}
	return 0;
}

static int next_event(struct reader *rd)
{
	if (rd->has_event)
		yaml_event_delete(&rd->event);
	rd->has_event = false;
	if (yaml_parser_parse(&rd->parser, &rd->event)) {
		rd->has_event = true;
		return 0;
	}
	if (rd->parser.error == YAML_MEMORY_ERROR)
		return policy_no_memory(rd->err);
	const char *problem = rd->parser.problem ? rd->parser.problem : "not understood";

	return policy_error(rd->err, mark_of(rd->parser.problem_mark), POLICY_E_SYNTAX,
			    "not valid YAML: %s", problem);
}

static int refuse_extras(struct reader *rd, const yaml_char_t *anchor, const yaml_char_t *tag)
{
	struct policy_mark m = mark_of(rd->event.start_mark);

	if (anchor)
		return policy_error(rd->err, m, POLICY_E_SYNTAX,
				    "anchors (&name) are not allowed in a policy");
	if (tag)
		return policy_error(rd->err, m, POLICY_E_SYNTAX,
				    "tags (!name) are not allowed in a policy");
	return 0;
}

static int take_scalar(struct reader *rd, struct yaml_node *node)
{
	const char *value = (const char *)rd->event.data.scalar.value;
	size_t len = rd->event.data.scalar.length;
	int r = refuse_extras(rd, rd->event.data.scalar.anchor, rd->event.data.scalar.tag);

	if (r < 0)
		return r;
	if (len > POLICY_SCALAR_MAX)
		return policy_error(rd->err, node->mark, POLICY_E_LIMIT,
				    "a value of %zu bytes is too long: at most %u", len,
				    POLICY_SCALAR_MAX);
	for (size_t i = 0; i < len;) {
		uint32_t c;
		size_t n = utf8_char((const uint8_t *)value + i, len - i, &c);

		if (n == 0 || utf8_is_control(c))
			return policy_error(rd->err, node->mark, POLICY_E_SYNTAX,
					    "a value may not contain control characters");
		i += n;
	}
	node->kind = YAML_SCALAR;
	node->text = strndup(value, len);
	return node->text ? 0 : policy_no_memory(rd->err);
}

static struct yaml_node *add_kid(struct yaml_node *node)
{
	if (node->n_kids == node->room) {
		size_t room = node->room ? 2 * node->room : 8;
		struct yaml_node *kids = reallocarray(node->kids, room, sizeof(*kids));

		if (!kids)
			return NULL;
		node->kids = kids;
		node->room = room;
	}
	node->kids[node->n_kids] = (struct yaml_node){0};
	return &node->kids[node->n_kids++];
}

static int take_node(struct reader *rd, struct yaml_node *node, unsigned depth);

static int take_list(struct reader *rd, struct yaml_node *node, unsigned depth)
{
	for (;;) {
		int r = next_event(rd);

		if (r < 0)
			return r;
		if (rd->event.type == YAML_SEQUENCE_END_EVENT)
			return 0;
		if (node->n_kids == YAML_ITEMS_MAX)
			return policy_error(rd->err, mark_of(rd->event.start_mark), POLICY_E_LIMIT,
					    "too many items: at most %u in a list", YAML_ITEMS_MAX);
		struct yaml_node *kid = add_kid(node);

		if (!kid)
			return policy_no_memory(rd->err);
		r = take_node(rd, kid, depth);
		if (r < 0)
			return r;
	}
}

static int check_key(struct reader *rd, const struct yaml_node *node)
{
	const struct yaml_node *key = &node->kids[node->n_kids - 1];

	if (key->kind != YAML_SCALAR)
		return policy_error(rd->err, key->mark, POLICY_E_TYPE,
				    "a key must be a word, not a list or a map");
	for (size_t i = 0; i + 1 < node->n_kids; i += 2)
		if (!strcmp(node->kids[i].text, key->text))
			return policy_error(rd->err, key->mark, POLICY_E_KEY,
					    "key \"%s\" occurs twice; the first is on line %u",
					    policy_quote(key->text).text, node->kids[i].mark.line);
	if (node->n_kids > 2 * YAML_KEYS_MAX)
		return policy_error(rd->err, key->mark, POLICY_E_LIMIT,
				    "too many keys: at most %u in a map", YAML_KEYS_MAX);
	return 0;
}

static int take_map(struct reader *rd, struct yaml_node *node, unsigned depth)
{
	for (;;) {
		int r = next_event(rd);

		if (r < 0)
			return r;
		if (rd->event.type == YAML_MAPPING_END_EVENT)
			return 0;
		struct yaml_node *kid = add_kid(node);

		if (!kid)
			return policy_no_memory(rd->err);
		r = take_node(rd, kid, depth);
		if (r == 0 && node->n_kids % 2 == 1)
			r = check_key(rd, node);
		if (r < 0)
			return r;
	}
}

/* The node that begins with the current event. depth: maps and lists around it. */
static int take_node(struct reader *rd, struct yaml_node *node, unsigned depth)
{
	const yaml_event_t *e = &rd->event;
	int r;

	node->mark = mark_of(e->start_mark);
	switch (e->type) {
	case YAML_SCALAR_EVENT:
		return take_scalar(rd, node);
	case YAML_SEQUENCE_START_EVENT:
		node->kind = YAML_LIST;
		r = refuse_extras(rd, e->data.sequence_start.anchor, e->data.sequence_start.tag);
		break;
	case YAML_MAPPING_START_EVENT:
		node->kind = YAML_MAP;
		r = refuse_extras(rd, e->data.mapping_start.anchor, e->data.mapping_start.tag);
		break;
	case YAML_ALIAS_EVENT:
		return policy_error(rd->err, node->mark, POLICY_E_SYNTAX,
				    "aliases (*name) are not allowed in a policy");
	default:
		return policy_error(rd->err, node->mark, POLICY_E_SYNTAX, "not understood");
	}
	if (r < 0)
		return r;
	if (depth == YAML_DEPTH_MAX)
		return policy_error(rd->err, node->mark, POLICY_E_LIMIT,
				    "too deep: at most %u lists and maps inside each other",
				    YAML_DEPTH_MAX);
	return node->kind == YAML_LIST ? take_list(rd, node, depth + 1)
				       : take_map(rd, node, depth + 1);
}

static int take_document(struct reader *rd, struct yaml_node *root)
{
	int r = next_event(rd); /* the start of the stream */

	if (r == 0)
		r = next_event(rd);
	if (r < 0)
		return r;
	if (rd->event.type == YAML_STREAM_END_EVENT)
		return policy_error(rd->err, (struct policy_mark){1, 1}, POLICY_E_MISSING,
				    "empty: a policy begins with \"pinfold: 1\"");
	if (rd->event.data.document_start.tag_directives.start !=
	    rd->event.data.document_start.tag_directives.end)
		return policy_error(rd->err, mark_of(rd->event.start_mark), POLICY_E_SYNTAX,
				    "%%TAG is not allowed in a policy");
	r = next_event(rd);
	if (r == 0)
		r = take_node(rd, root, 0);
	if (r == 0)
		r = next_event(rd); /* the end of the document */
	if (r == 0)
		r = next_event(rd);
	if (r < 0)
		return r;
	if (rd->event.type != YAML_STREAM_END_EVENT)
		return policy_error(rd->err, mark_of(rd->event.start_mark), POLICY_E_SYNTAX,
				    "a second document: a policy is one");
	return 0;
}

int yaml_tree(const char *text, size_t len, struct yaml_node *ret, struct policy_err *err)
{
	__cleanup_yaml struct yaml_node root = {0};
	struct reader rd = {.err = err};

	if (len > POLICY_TEXT_MAX)
		return policy_error(err, (struct policy_mark){0}, POLICY_E_LIMIT,
				    "%zu bytes are too many: a policy has at most %u", len,
				    POLICY_TEXT_MAX);
	int r = check_characters(text, len, err);

	if (r < 0)
		return r;
	if (!yaml_parser_initialize(&rd.parser))
		return policy_no_memory(err);
	yaml_parser_set_encoding(&rd.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&rd.parser, (const unsigned char *)text, len);
	r = take_document(&rd, &root);
	if (rd.has_event)
		yaml_event_delete(&rd.event);
	yaml_parser_delete(&rd.parser);
	if (r < 0)
		return r;
	*ret = root;
	root = (struct yaml_node){0};
	return 0;
}
