/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cgroups of a session: <slice>/<id>/{agent,gate,marks}. Where the slice is, limits, killing
 * and removing. Functions return 0 or -errno.
 */
#ifndef SESSION_CGROUP_H
#define SESSION_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

/* Controllers that limits need; a bit is set in the result when it is available. */
#define CGROUP_MEMORY 1u
#define CGROUP_PIDS 2u
#define CGROUP_CPU 4u
#define CGROUP_ALL (CGROUP_MEMORY | CGROUP_PIDS | CGROUP_CPU)

/*
 * Make sure that pinfold.slice exists below the cgroup v2 mount, and its controllers are passed on.
 * *ret_path is its path (owned by the caller), *ret_controllers what it may limit. -ENOENT: no
 * cgroup v2 is mounted.
 */
int cgroup_slice_make(char **ret_path, unsigned *ret_controllers) __must_check;
/* Its path, whether it is there or not. -ENOENT: no cgroup v2 is mounted. */
int cgroup_slice_find(char **ret_path) __must_check;
/* Remove it when there is no session in it (-EBUSY otherwise). */
int cgroup_slice_remove(void) __must_check;

struct cgroup_limits {
	uint64_t memory_bytes; /* 0 = no limit, here and below */
	uint32_t processes;
	uint32_t cpu_milli; /* thousandths of a processor */
};

struct cgroup {
	int dir, agent, gate;		/* directories, owned; -1: not there */
	uint64_t id, agent_id, gate_id; /* as the kernel knows them */
};
#define CGROUP_INIT ((struct cgroup){.dir = -1, .agent = -1, .gate = -1})

/* Make <slice>/<name> and what is in it, with limits. On failure nothing stays. */
int cgroup_make(const char *slice, const char *name, const struct cgroup_limits *limits,
		struct cgroup *ret) __must_check;
/* Open what is there (adoption); agent or gate may be missing. -ENOENT: nothing is there. */
int cgroup_open(const char *slice, const char *name, struct cgroup *ret) __must_check;
void cgroup_close(struct cgroup *cg);

/* Kill every process of the session, or of one side alone; they are gone when it is empty. */
int cgroup_kill(const struct cgroup *cg);
int cgroup_kill_agent(const struct cgroup *cg);
int cgroup_kill_gate(const struct cgroup *cg);
/* The agent's side is told to stand still, or to go on. */
int cgroup_freeze(const struct cgroup *cg, bool on) __must_check;
/* Whether it has been told to stand still. */
int cgroup_freeze_wanted(const struct cgroup *cg, bool *ret) __must_check;

/* <id>/marks, made when it is needed: its directory, the caller's. There may be processes in it. */
int cgroup_marks_make(const struct cgroup *cg) __must_check;
int cgroup_kill_marks(const struct cgroup *cg);
/* If it is there and empty. */
void cgroup_marks_remove(const struct cgroup *cg);

/*
 * A descriptor of the events of one directory, the caller's: urgent (poll's POLLPRI) at first and
 * after each change, until they are read.
 */
int cgroup_events_open(int dir) __must_check;
/* Read them: is one of the lines this, as "frozen 1"? */
bool cgroup_events_have(int events, const char *line);
/* Whether any process is left in it. */
bool cgroup_populated(const struct cgroup *cg);
/* How many processes there are, pid 1 and the gate's among them; unknown is 0. */
size_t cgroup_processes(const struct cgroup *cg);
/* Remove the directories: -EBUSY while a process is left. */
int cgroup_remove(const char *slice, const char *name) __must_check;
/* Whether the agent's side was ended for its memory. */
bool cgroup_oom_killed(const struct cgroup *cg);

#endif
