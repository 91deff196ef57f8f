/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rule maps, shared by sessions with the same rules.
 */
#ifndef KERN_RULES_H
#define KERN_RULES_H

#include "kern/kern.h"

/* Find or make the map of these rules: its key in pf_policies. -E2BIG, -ENOSPC as in
 * kern_session_publish. */
int rules_share(struct kern *k, const struct kern_rule *rules, size_t n,
		__u32 *ret_key) __must_check;

/* Drop the map unless a session in pf_sessions still uses it. */
void rules_unshare(struct kern *k, __u32 key);

/* A descriptor of the map, the caller's. */
int rules_open(struct kern *k, __u32 key) __must_check;

/*
 * Wait until no program is at work any more with what it found before: the kernel does, for an
 * update of a map of maps. fd is the map that stands at key.
 */
void rules_settle(struct kern *k, __u32 key, int fd);

#endif
