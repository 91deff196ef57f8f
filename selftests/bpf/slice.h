/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session made by hand: what the processes of this test share. The same binary is the tester, pid
 * 1 of the session (which leaves marks), the gate (which echoes) and the agent (which tries
 * things).
 */
#ifndef BPF_SLICE_H
#define BPF_SLICE_H

#include <stdbool.h>
#include <stddef.h>

/* A name that the agent may not make in the tree that it may write. */
#define DENIED_NAME ".envrc"

/* The trees of one filesystem: what the agent may write, only read, and not even read. */
#define TREE_WORK "work"
#define TREE_READ "read"
#define TREE_SECRET "secret"

/* Where the agent may connect, and what stands for it. */
#define DB_ADDR "10.99.8.7"
#define DB_PORT 5432
#define UDP_PORT 5353
#define GATE_TCP_PORT 61000
#define GATE_UDP_PORT 61001
/* Nobody's address: denied to the agent. */
#define OTHER_ADDR "192.0.2.1"

/* One thing to try. fn returns 0 or -errno; arg is the tree, or NULL. */
struct attempt {
	const char *name;
	int (*fn)(const char *tree);
	bool allowed; /* to the agent; file attempts are tried in several trees instead */
	bool bare;    /* works outside a session, which the baseline proves */
};

extern const struct attempt file_attempts[];
extern const size_t n_file_attempts;
extern const struct attempt other_attempts[];
extern const size_t n_other_attempts;

/* About the borders between trees; tried with the folder that holds them, never allowed. */
extern const struct attempt border_attempts[];
extern const size_t n_border_attempts;

/* (Re)make the trees below base with the files that the attempts want. Exits on failure. */
void make_trees(const char *base);

/* The test's own outside: a unix listener, a process to signal. Set by main. */
extern int outside_pid;
#define OUTSIDE_UNIX "pf-slice-outside"

/* The gate: listen (as GATE_BOOT), then serve (as GATE), for ever. */
int gate_listen(int *tcp, int *udp);
int gate_serve(int tcp, int udp);

/* live.c: for the agent's side: try what a live session may, each time that in says so. */
int live_agent(int out, int in);
/* For the tester's: how a start of pinfoldd treats the lease, which leaves a good one; then what a
 * session may without one, and without its permissions (which leaves it unable to do anything). */
struct kern;
#define LEASE_NS (600 * 1000000000ull)
void live_check_start(struct kern *k, const char *slice);
void live_check(struct kern *k, unsigned long long id, int in, int out);
void live_check_revoked(int in, int out);

/* Count and print a result: 0, or the -errno that something gave. */
void check(bool ok, const char *what, const char *detail, int result);
/* Exit when r, -errno or -1 with errno, is an error. */
void must(long r, const char *what);

#define SLICE "/sys/fs/cgroup/pinfold.slice"

/* pins.c: as admin, when all is loaded; the second leaves nothing but the way to unload. */
void pins_check_upgrade(void);
void pins_check_unload(void);
/* rules.c: maps of rules of its own, which something fails on. */
void rules_check(void);

/* guard_run.c: the process outside, until the other end of the socket closes. */
void guard_serve(int sock);
/* Have it try everything on stand-ins, where it must work; on Pinfold's own, where it must not. */
void guard_check_standins(int sock, const char *when);
void guard_check(int sock);
/* As admin, who the tester is after kern_open(): everything works. Leaves little of Pinfold. */
void guard_check_admin(void);
/* That guard_check() is on record. */
struct kern;
void guard_check_records(struct kern *k);

#endif
