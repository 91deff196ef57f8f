/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: any bytes as a policy, and on through its rules and entries. What it checks itself: an
 * error has a text and a place inside the input, and no entry occurs twice.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_error(const struct policy_err *err, const uint8_t *data, size_t size)
{
	size_t lines = 1;

	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	if (err->code == 0 || !err->text[0] || err->line > lines + 1)
		__builtin_trap();
}

/* Every third path is missing, the others have numbers that collide. */
static void make_entries(const struct policy_rules *rules)
{
	struct policy_entries entries = {0};
	struct policy_err err;
	struct policy_found *found = calloc(rules->n + 1, sizeof(*found));

	for (size_t i = 0; found && i < rules->n; i++)
		found[i] = (struct policy_found){
			.error = i % 3 == 2 && !rules->v[i].must_exist ? ENOENT : 0,
			.ino = i / 2,
			.dev = 1,
		};
	if (found && policy_entries(rules, found, &entries, &err) == 0)
		for (size_t i = 1; i < entries.n; i++)
			if (!memcmp(&entries.v[i - 1].key, &entries.v[i].key,
				    sizeof(entries.v[i].key)))
				__builtin_trap();
	policy_entries_free(&entries);
	free(found);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const homes[] = {"/root", "/home/u"};
	static const char *const mounts[] = {"/", "/sys"};
	static const char *const own[] = {"/proc", "/tmp"};
	const struct policy_host host = {homes, 2, mounts, 2, own, 2};
	struct policy *p = NULL;
	struct policy_rules rules = {0};
	struct policy_err err = {0};

	if (policy_parse((const char *)data, size, &p, &err) < 0) {
		check_error(&err, data, size);
		return 0;
	}
	if (policy_rules(p, &host, &rules, &err) == 0)
		make_entries(&rules);
	policy_rules_free(&rules);
	policy_free(p);
	return 0;
}
