/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes of Pinfold in a session's cgroup: cloned bare and stopped, so that the label can be put
 * on before they do anything, and then exec'd with exactly the descriptors that they are meant to
 * have. To be called from a process without threads and rings.
 */
#ifndef SESSION_SPAWN_H
#define SESSION_SPAWN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"

#define SPAWN_FDS_MAX 16

/* Sockets that a gate listens on in its session's network namespace: 127.0.0.1:first+i. */
struct spawn_listeners {
	int netns; /* of the session; -1: no listeners */
	uint16_t first;
	size_t n;
};

/* All borrowed for the call. */
struct spawn_plan {
	int cgroup;		/* directory to be born in */
	uint64_t clone_flags;	/* CLONE_NEW* */
	const char *path;	/* of the program */
	const char *arg;	/* its only argument; NULL: none */
	int std[3];		/* its descriptors 0, 1, 2 */
	int fds[SPAWN_FDS_MAX]; /* its descriptors 3 and up */
	size_t n_fds;
	struct spawn_listeners listeners; /* sent over descriptor 3 before the exec */
	uid_t uid;			  /* 0: stays root */
	gid_t gid;
};

struct spawned {
	pid_t pid;
	int pidfd; /* owned */
	int go;	   /* owned: a byte lets it run; closed without one it exits */
};
#define SPAWNED_INIT ((struct spawned){.pid = -1, .pidfd = -1, .go = -1})

/* Clone the stopped child. */
int spawn_stopped(const struct spawn_plan *plan, struct spawned *ret) __must_check;
/* Let it run: -EPIPE when it is dead. */
int spawn_go(struct spawned *sp) __must_check;
void spawned_close(struct spawned *sp);

#endif
