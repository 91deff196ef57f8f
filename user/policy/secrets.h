/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The built-in list of what a session must not read although "/" is readable. Private to policy/.
 */
#ifndef POLICY_SECRETS_H
#define POLICY_SECRETS_H

#include "policy/policy.h"

/* Never given to a session: a policy that names one of these, or something in it, is in error. */
extern const char *const secrets_always[]; /* ends with NULL */
/* Denied unless the policy names it or something in it. */
extern const char *const secrets_system[];
/* The same, below every home directory; without a leading slash. */
extern const char *const secrets_home[];

/* The entry of secrets_always that path is in, or NULL. */
const char *secrets_always_over(const char *path);

#endif
