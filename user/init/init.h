/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinfold-init, pid 1 of a session: what its parts share. One thread, no globals; all functions
 * return 0 or -errno and leave a text for people in struct failure where they take one.
 */
#ifndef INIT_INIT_H
#define INIT_INIT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/hold.h"

/* The descriptors that pinfold-init is started with, and nothing else is open. */
enum {
	INIT_FD_DAEMON = 3, /* SOCK_SEQPACKET to pinfoldd */
	INIT_FD_RUN = 4,    /* SOCK_SEQPACKET to the CLI: the run channel */
	INIT_FD_STDIO = 5,  /* the caller's stdin, stdout, stderr: 5, 6, 7 */
	INIT_FD_PROBE = 8,  /* pinfold-probe, opened for reading */
	INIT_FD_END = 9,    /* file that takes the end of the command: "exited N" or "signal N" */
			    /* Two more it makes itself: base/hold.h. */
};

/* Those of "pinfold-init marks" besides INIT_FD_DAEMON. */
enum {
	MARKER_FD_MNT = 4,  /* the session's mount namespace */
	MARKER_FD_HOLD = 5, /* HOLD_FD_IN of its pid 1 */
};

/* Longest message from pinfoldd, and from the CLI. */
#define INIT_MSG_MAX (512 * 1024)
#define RUN_MSG_MAX 4096

/* Exit statuses of `pinfold run` that are not the command's own. */
enum { RUN_EXIT_PINFOLD = 125, RUN_EXIT_NOEXEC = 126, RUN_EXIT_NOTFOUND = 127 };

/* Why the start failed, for the caller of `pinfold run`. */
struct failure {
	int code; /* RUN_EXIT_* */
	char text[512];
};

/* Set the text, unless an earlier, more exact one is there. Returns -err, so callers return it. */
int fail(struct failure *f, int err, const char *fmt, ...) __printf_like(3, 4);

/* What pinfoldd asks for. Pointers lead into root. */
struct setup {
	json_t *root; /* owned */
	const char *session, *cwd, *hosts;
	char **argv, **env; /* owned arrays of borrowed strings, NULL-terminated */
	const char **binds; /* same: paths to be seen through the private directories */
	uid_t uid;
	gid_t gid;
	gid_t *groups; /* owned */
	size_t n_groups;
	mode_t umask;
	uint64_t max_files, max_disk; /* 0 = the default */
	bool databases;		      /* a ca.pem will come */
	bool binds_as_caller;
	bool tty[3];
	unsigned short rows, cols;
};

int setup_parse(json_t *msg, struct setup *s) __must_check;
/* Only who asks, {"caller":{"uid":..,"gid":..,"groups":[..]}}: for priv_borrow(). */
int setup_parse_caller(json_t *msg, struct setup *s) __must_check;
void setup_free(struct setup *s);
#define __cleanup_setup __cleanup(setup_free)

/* msg.c: one JSON object per message. *ret is the caller's; -EPIPE at the end of the channel. */
int msg_recv(int sock, size_t max, json_t **ret) __must_check;
/* Takes over obj, NULL included (-ENOMEM). */
int msg_send(int sock, json_t *obj) __must_check;
int msg_send_fd(int sock, json_t *obj, int fd) __must_check;
/* Send it if somebody is still there to hear it. */
void msg_tell(int sock, json_t *obj);

/*
 * mounts.c: the session's own view of the filesystem.
 *
 * Open path as O_PATH, which the kernel side does not see. plain: -ELOOP when there is a symbolic
 * link on the way.
 */
int path_hold(const char *path, bool plain) __must_check;
int mounts_make(const struct setup *s, struct failure *f) __must_check;
/* The filesystems that exist for this session alone, as [{"path":..,"rights":..}]. */
json_t *mounts_own(void);

/* files.c: small files of the session, in /run/pinfold and over those of /etc. */
int files_make(const struct setup *s, struct failure *f) __must_check;
int files_write_ca(const char *pem, struct failure *f) __must_check;
/* Make the directories that lead to path, as far as they are missing. */
int make_parents(const char *path) __must_check;

/*
 * bounded.c: run work in a child that shares the descriptors, but not the memory, of pid 1;
 * *progress is in memory shared with it, and changes with every step. 0, or -ETIMEDOUT: a step took
 * too long and the child is dead; -EUCLEAN: and it cannot even be killed, so that it may still act.
 */
int bounded(void (*work)(void *arg), void *arg, const volatile size_t *progress) __must_check;

/* homes.c: the names in /home, as a JSON array; NULL with a text in f. */
json_t *homes_list(struct failure *f);

/* hold.c: descriptors of rules, in base/hold.h's words. */
struct held {
	int *v; /* owned, the descriptors too */
	size_t n;
};
/* Pid 1, before it opens anything else: make HOLD_FD_IN and HOLD_FD_OUT. */
int hold_open(void) __must_check;
int hold_send(int sock, unsigned slot, const int *fds, size_t n) __must_check;
/* Take one message in. On an error a descriptor may be lost, so that the session must end. */
int hold_recv(struct held slots[HOLD_SLOTS]) __must_check;

/*
 * marks.c: open the rule paths of {"paths":[..],"links":[..],"own":[..],"as_caller":b} in order, so
 * that the kernel notes who they are; they stay open. as_caller: the first list with the rights of
 * the caller. links tells for each path which symbolic links may be on the way: "none", "top" (only
 * in the root directory) or "any". proc is a directory of procfs that shows this process. The reply
 * has, for each path, 0 or a positive errno, which is ETIMEDOUT where a file system did not answer;
 * or -1: opened, and it is a directory that does not tell names apart by case alone. ret_held
 * (NULL: not wanted) gets the descriptors.
 */
int marks_make(const json_t *mark, const struct setup *s, int proc, struct held *ret_held,
	       json_t **ret_results, struct failure *f) __must_check;

/* marker.c: all of "pinfold-init marks"; returns its exit status. */
int marker_main(void);

/* priv.c: identities and capabilities. */
int priv_borrow(const struct setup *s) __must_check; /* act with the caller's rights ... */
int priv_return(void) __must_check;		     /* ... until here */
int priv_become(const struct setup *s) __must_check; /* for good, without any capability */
int priv_keep_kill(void) __must_check;		     /* pid 1: nothing but CAP_KILL */

/* pty.c */
struct pty {
	int master, slave; /* -1: no terminal */
};
int pty_open(const struct setup *s, struct pty *ret) __must_check;

/* filter.c: the seccomp filter; opaque so that only it includes <seccomp.h>. */
struct filter;
int filter_make(struct filter **ret) __must_check;
int filter_load(const struct filter *flt) __must_check;
void filter_free(struct filter *flt);

/*
 * child.c: the command's process, by way of the probe. Between the two calls it stands still with
 * everything proven, so that what is counted from then on is the command's own.
 */
struct child {
	pid_t pid;
	int report, go; /* owned; -1: none */
};
#define CHILD_INIT ((struct child){.pid = -1, .report = -1, .go = -1})
int child_probe(const struct setup *s, const struct pty *pty, struct child *ret,
		struct failure *f) __must_check;
int child_exec(const struct setup *s, struct child *c, struct failure *f) __must_check;

/* serve.c: reap, forward signals, until the command has ended; tells CLI and end file. */
void serve(const struct setup *s, const struct pty *pty, pid_t pid);

#endif
