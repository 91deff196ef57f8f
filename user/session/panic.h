/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of every session at once, by root and without pinfoldd: the kernel is told to refuse
 * them everything, and then they are killed.
 */
#ifndef SESSION_PANIC_H
#define SESSION_PANIC_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"

/* A session that had processes. */
struct panic_session {
	uint64_t cgroup;  /* as the kernel knows it */
	char *id, *name;  /* owned; NULL: unknown */
	uid_t uid;	  /* -1: unknown */
	size_t processes; /* when it was met */
	size_t left;	  /* when time was up */
};

struct panic {
	struct panic_session *v; /* owned, n of them */
	size_t n;
	char error[512]; /* what could not be done, for people; empty: nothing */
};

/*
 * Stop every session, again and again until one look finds no process in pinfold.slice, or -EBUSY
 * when PANIC_MS were not enough. Other errors: no process is left, or none can be killed, and
 * something went wrong: p->error tells. p starts zeroed and is the caller's in every case.
 */
#define PANIC_MS 30000
int panic_stop(struct panic *p) __must_check;
void panic_free(struct panic *p);
#define __cleanup_panic __cleanup(panic_free)

#endif
