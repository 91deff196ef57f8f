/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The environment that a session begins with: an allow-list, because a caller's environment is full
 * of tokens, and of variables that steer a database client (PG*) past what the policy says.
 */
#include "cli/env.h"

#include <string.h>

/* Of the caller's person: not passed with --user. */
static const char *const personal[] = {"HOME", "USER", "LOGNAME", "SHELL", NULL};

static const char *const general[] = {"PATH",	"TERM",	     "LANG",	 "LANGUAGE",
				      "TZ",	"COLORTERM", "CI",	 "EDITOR",
				      "VISUAL", "PAGER",     "NO_COLOR", NULL};

static bool listed(const char *const *list, const char *name, size_t len)
{
	for (; *list; list++)
		if (strlen(*list) == len && !strncmp(*list, name, len))
			return true;
	return false;
}

bool env_passes(const char *name, size_t len, bool other_user)
{
	if (listed(personal, name, len))
		return !other_user;
	return listed(general, name, len) || (len > 3 && !strncmp(name, "LC_", 3));
}

/* Put the variable at the place that one of the same name has in the list, or at its end. */
static bool put(json_t *list, json_t *var)
{
	const char *text = json_string_value(var);

	if (!text)
		return false;
	size_t len = strcspn(text, "=") + 1;

	for (size_t i = 0; i < json_array_size(list); i++)
		if (!strncmp(json_string_value(json_array_get(list, i)), text, len))
			return json_array_set_new(list, i, var) == 0;
	return json_array_append_new(list, var) == 0;
}

json_t *env_list(char *const *environ_list, const json_t *extra, bool other_user)
{
	json_t *list = json_array();
	bool ok = list != NULL;

	for (; ok && *environ_list; environ_list++) {
		const char *eq = strchr(*environ_list, '=');

		if (!eq || !env_passes(*environ_list, (size_t)(eq - *environ_list), other_user))
			continue;
		json_t *var = json_string(*environ_list);

		/* NULL: not UTF-8, which no message can carry */
		ok = !var || put(list, var);
	}
	for (size_t i = 0; ok && i < json_array_size(extra); i++)
		ok = put(list, json_incref(json_array_get(extra, i)));
	if (ok)
		return list;
	json_decref(list);
	return NULL;
}
