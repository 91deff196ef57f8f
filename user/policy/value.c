/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Single values of a policy: numbers, sizes, durations, words of a list, paths. Hosts are in
 * host.c.
 */
#include "policy/value.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static const char *kind_name(enum yaml_kind kind)
{
	switch (kind) {
	case YAML_SCALAR:
		return "a single value";
	case YAML_LIST:
		return "a list";
	case YAML_MAP:
		return "a map";
	}
	return "something else";
}

int value_scalar(const struct yaml_node *n, const char *what, struct policy_err *err)
{
	if (n->kind != YAML_SCALAR)
		return policy_error(err, n->mark, POLICY_E_TYPE,
				    "%s must be a single value, not %s", what, kind_name(n->kind));
	if (!n->text[0])
		return policy_error(err, n->mark, POLICY_E_VALUE, "%s has no value", what);
	return 0;
}

int value_text(const struct yaml_node *n, const char *what, size_t max, struct policy_item *out,
	       struct policy_err *err)
{
	int r = value_scalar(n, what, err);

	if (r < 0)
		return r;
	if (strlen(n->text) > max)
		return policy_error(err, n->mark, POLICY_E_LIMIT,
				    "%s is too long: at most %zu bytes", what, max);
	char *text = strdup(n->text);

	if (!text)
		return policy_no_memory(err);
	*out = (struct policy_item){.text = text, .mark = n->mark};
	return 0;
}

/* Decimal digits at the start of s: their count, 0 if there are none or the value is too large. */
static size_t digits(const char *s, uint64_t *ret)
{
	uint64_t v = 0;
	size_t n = strspn(s, "0123456789");

	for (size_t i = 0; i < n; i++) {
		unsigned d = (unsigned)(s[i] - '0');

		if (v > (UINT64_MAX - d) / 10)
			return 0;
		v = v * 10 + d;
	}
	*ret = v;
	return n;
}

int value_number(const struct yaml_node *n, const struct value_range *range, uint64_t *out,
		 struct policy_err *err)
{
	uint64_t v;
	int r = value_scalar(n, range->what, err);

	if (r < 0)
		return r;
	size_t len = digits(n->text, &v);

	if (len == 0 || n->text[len] || v < range->min || v > range->max)
		return policy_error(err, n->mark, POLICY_E_VALUE,
				    "bad value \"%s\" of %s: a number from %" PRIu64 " to %" PRIu64,
				    policy_quote(n->text).text, range->what, range->min,
				    range->max);
	*out = v;
	return 0;
}

int value_measure(const struct yaml_node *n, const struct value_measure *m, uint64_t *out,
		  struct policy_err *err)
{
	uint64_t v;
	int r = value_scalar(n, m->what, err);

	if (r < 0)
		return r;
	size_t len = digits(n->text, &v);
	const struct value_unit *u = m->units;

	while (u->suffix && strcmp(n->text + len, u->suffix) != 0)
		u++;
	if (len == 0 || !u->suffix || v > m->max / u->factor || v * u->factor < m->min)
		return policy_error(err, n->mark, POLICY_E_VALUE, "bad value \"%s\" of %s: %s",
				    policy_quote(n->text).text, m->what, m->allowed);
	*out = v * u->factor;
	return 0;
}

int value_milli(const struct yaml_node *n, const struct value_range *range, uint64_t *out,
		struct policy_err *err)
{
	static const uint64_t scale[] = {1000, 100, 10, 1};
	uint64_t whole, part = 0;
	int r = value_scalar(n, range->what, err);

	if (r < 0)
		return r;
	size_t len = digits(n->text, &whole), frac = 0;
	const char *rest = n->text + len;

	if (len > 0 && *rest == '.') {
		frac = digits(rest + 1, &part);
		rest += 1 + frac;
		if (frac == 0)
			len = 0;
	}
	if (len == 0 || *rest || frac > 3 || whole > range->max / 1000 ||
	    whole * 1000 + part * scale[frac] < range->min ||
	    whole * 1000 + part * scale[frac] > range->max)
		return policy_error(err, n->mark, POLICY_E_VALUE,
				    "bad value \"%s\" of %s: a number with at most three decimals, "
				    "from %.2f to %.0f",
				    policy_quote(n->text).text, range->what,
				    (double)range->min / 1000, (double)range->max / 1000);
	*out = whole * 1000 + part * scale[frac];
	return 0;
}

int value_word(const struct yaml_node *n, const char *what, const char *const *words, int *out,
	       struct policy_err *err)
{
	char allowed[128] = ""; /* the longest list of words here has 37 bytes */
	int r = value_scalar(n, what, err);

	if (r < 0)
		return r;
	for (int i = 0; words[i]; i++) {
		if (!strcmp(words[i], n->text)) {
			*out = i;
			return 0;
		}
		size_t at = strlen(allowed);

		(void)snprintf(allowed + at, sizeof(allowed) - at, "%s%s", i ? ", " : "", words[i]);
	}
	return policy_error(err, n->mark, POLICY_E_VALUE, "bad value \"%s\" of %s: one of %s",
			    policy_quote(n->text).text, what, allowed);
}

const char *value_path_problem(const char *path)
{
	if (path[0] != '/')
		return "must begin with a slash";
	if (!path[1])
		return NULL;
	for (const char *p = path; *p;) {
		const char *name = p + 1;
		size_t len = strcspn(name, "/");

		if (len == 0)
			return name[0] ? "must not contain \"//\"" : "must not end with a slash";
		if (len > NAME_MAX)
			return "has a component of more than 255 bytes";
		if ((len == 1 && name[0] == '.') || (len == 2 && !strncmp(name, "..", 2)))
			return "must not contain \".\" or \"..\"";
		p = name + len;
	}
	return NULL;
}

int value_path(const struct yaml_node *n, struct policy_item *out, struct policy_err *err)
{
	int r = value_scalar(n, "a path", err);

	if (r < 0)
		return r;
	const char *problem = value_path_problem(n->text);

	if (problem)
		return policy_error(err, n->mark, POLICY_E_VALUE, "path \"%s\" %s",
				    policy_quote(n->text).text, problem);
	return value_text(n, "a path", POLICY_SCALAR_MAX, out, err);
}
