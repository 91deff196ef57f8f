/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The environment that a session begins with.
 */
#ifndef CLI_ENV_H
#define CLI_ENV_H

#include <jansson.h>
#include <stdbool.h>

/* Whether the caller's variable of this name (len bytes) goes into a session without being asked.
 */
bool env_passes(const char *name, size_t len, bool other_user);

/*
 * A new list of "NAME=value": what passes of environ, then extra (borrowed, a list of the same), a
 * later one in place of an earlier. other_user: what belongs to the caller's person is left out.
 * NULL: no memory.
 */
json_t *env_list(char *const *environ_list, const json_t *extra, bool other_user);

#endif
