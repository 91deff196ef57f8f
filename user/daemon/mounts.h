/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mount points of a session that its policy's rules must know, since a rule holds within one
 * filesystem.
 */
#ifndef DAEMON_MOUNTS_H
#define DAEMON_MOUNTS_H

#include "daemon/session.h"

struct mount_list {
	char **v; /* owned, and what it points to */
	size_t n;
};

/*
 * Read them from pid 1 of s: without the session's own filesystems, and without what those cover.
 */
int mounts_read(const struct session *s, struct mount_list *ret) __must_check;
void mounts_free(struct mount_list *m);

/* Paths that a policy names below directories that each session has its own of: array of text. */
json_t *mounts_binds(const struct policy *p);

/*
 * A live session has the mounts that it was started with: -EINVAL and *err when new names other
 * paths of that kind than old.
 */
int mounts_check_change(const struct policy *old, const struct policy *new,
			struct policy_err *err) __must_check;

#endif
