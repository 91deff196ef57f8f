/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Single values of a policy: numbers, sizes, durations, words of a list, hosts, paths. Each decoder
 * takes the value's node and says in its error what is allowed. Private to policy/.
 */
#ifndef POLICY_VALUE_H
#define POLICY_VALUE_H

#include "policy/yaml.h"

/* All: 0, or -EINVAL/-ENOMEM with *err and *out untouched. */
int value_scalar(const struct yaml_node *n, const char *what, struct policy_err *err) __must_check;
/* A copy of the text with its mark; 1 to max bytes. */
int value_text(const struct yaml_node *n, const char *what, size_t max, struct policy_item *out,
	       struct policy_err *err) __must_check;

struct value_range {
	const char *what; /* "limits.files" */
	uint64_t min, max;
};

int value_number(const struct yaml_node *n, const struct value_range *range, uint64_t *out,
		 struct policy_err *err) __must_check;

/* A number and a unit without space: durations in ms, sizes in bytes. */
struct value_unit {
	const char *suffix;
	uint64_t factor;
};

struct value_measure {
	const char *what;
	const struct value_unit *units; /* ends with a NULL suffix */
	const char *allowed;		/* "a number and ms, s, m, h or d, as in 90m; 1s to 365d" */
	uint64_t min, max;
};

int value_measure(const struct yaml_node *n, const struct value_measure *m, uint64_t *out,
		  struct policy_err *err) __must_check;

/* Thousandths: "2", "0.5", "1.25". */
int value_milli(const struct yaml_node *n, const struct value_range *range, uint64_t *out,
		struct policy_err *err) __must_check;

/* Index in words (ends with NULL). */
int value_word(const struct yaml_node *n, const char *what, const char *const *words, int *out,
	       struct policy_err *err) __must_check;

/* What keeps text from being an absolute path in its only form, as the end of a sentence; or NULL.
 */
const char *value_path_problem(const char *path);
/* An absolute path in its only form: no "." "..", "//" or trailing slash. */
int value_path(const struct yaml_node *n, struct policy_item *out,
	       struct policy_err *err) __must_check;

/* What a name or an address of a host is. */
enum value_host { VALUE_HOST_BAD, VALUE_HOST_NAME, VALUE_HOST_IP4, VALUE_HOST_IP6 };
/* text: len bytes; an IPv6 address without brackets. */
enum value_host value_host_kind(const char *text, size_t len);
/*
 * Whether the literal address is one that no database can have: unspecified, multicast, broadcast,
 * link-local (cloud metadata is there).
 */
bool value_address_refused(const char *text);
/* Loopback addresses, and localhost with what is below it. */
bool value_host_is_loopback(const char *text);

/* host, host:port, [ip6], [ip6]:port; *port 0 when there is none. *host owned by the caller. */
int value_address(const struct yaml_node *n, char **host, uint16_t *port,
		  struct policy_err *err) __must_check;

#endif
