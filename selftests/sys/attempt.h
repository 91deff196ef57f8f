/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The attacker: what every row of the escape catalogue has to work with. A row is a function that
 * tries something in a directory (files), at an address (network), at a cgroup or at a BPF object,
 * and reports what came of it, one line per try. The same function runs outside a session (the
 * baseline), inside against a target out of bounds, and inside against one within the rules (the
 * twin); only the context differs.
 */
#ifndef SELFTESTS_SYS_ATTEMPT_H
#define SELFTESTS_SYS_ATTEMPT_H

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "beside.h"

/* The road that a call takes into the kernel. */
enum way {
	WAY_SYS,     /* raw system call */
	WAY_LIBC,    /* the C library's wrapper */
	WAY_THREAD,  /* raw system call from a second thread */
	WAY_URING,   /* io_uring, where an opcode exists */
	WAY_I386,    /* the 32-bit entry, int 0x80 */
	WAY_INHERIT, /* a descriptor that was open before the session began */
	WAY_SCM,     /* a descriptor that a process outside hands over a unix socket */
	WAY_MAX
};

struct ctx {
	const char *row;
	const char *fs; /* "ov", "e4", "tm"; "-" for rows that are not about files */
	const char
		*mode; /* who is asking: "bu" "br" baselines, "su" "sr" sessions, "lr" labelled */
	enum way way;
	bool twin;
	int target; /* O_PATH on the directory under attack; also the working directory */
	int own;    /* O_PATH on a directory that the rules allow */
	char target_path[PATH_MAX];
	char own_path[PATH_MAX];
};

typedef void (*row_fn)(struct ctx *c);
struct row {
	const char *id;
	row_fn run;
};

/* The tables, one per family, each ended by a row without id. */
extern const struct row file_open_rows[];
extern const struct row file_data_rows[];
extern const struct row file_meta_rows[];
extern const struct row file_name_rows[];
extern const struct row file_link_rows[];
extern const struct row net_inet_rows[];
extern const struct row net_family_rows[];
extern const struct row net_unix_rows[];
extern const struct row cgroup_rows[];
extern const struct row bpf_rows[];
extern const struct row hazard_rows[];
extern const struct row exec_rows[];
extern const struct row exec_memory_rows[];
extern const struct row file_deny_rows[];
extern const struct row mount_rows[];
extern const struct row object_rows[];
extern const struct row uring_rows[];
extern const struct row privilege_rows[];
extern const struct row filter_rows[];
extern const struct row task_rows[];

/* One line of result for one try: rc >= 0 is "ok", else the name of -rc. */
void say(const struct ctx *c, const char *sub, long rc);
/* The same with a word of the row's own, such as "nofd". */
void say_word(const struct ctx *c, const char *sub, const char *word);
/* The caller's result as 0/positive or -errno. */
long rc_of(long ret);

/*
 * For calls that are made with arguments which nothing can come of: any result but a refusal
 * (EPERM, EACCES, ENOSYS) is 0, since the call then got to look at them.
 */
long past(long rc);

/* --- child.c --- */
/*
 * Is a refused fork or thread worth another try? Before Linux 6.2 a preempted look-up may find no
 * place for the label of a new task, which is then refused with EAGAIN (SECURITY.md); the one in
 * its way gets the processor meanwhile. tries: begin with 0.
 */
bool once_more(int error, int *tries);
/* fork() and pthread_create(), with as many tries as it takes. */
pid_t fork_again(void);
int thread_again(pthread_t *thread, void *(*fn)(void *), void *arg);
/* Exit status of a child: 0, an errno below 256 as -errno, or -ECHILD when a signal ended it. */
long child_result(pid_t child);
/* Run fn in a process of its own. */
long in_child(struct ctx *c, long (*fn)(struct ctx *c));
/* A child that only waits for its end. */
pid_t idle_child(void);
void end_child(pid_t child);
/* Put records of this process down to the case, whatever it is called from now on. */
void leave_marker(const struct ctx *c);
/* Open "file" in the working directory for writing and write to it, for the photograph. */
long write_file(void);
/* The same for a path, and for one that may be made. */
long write_path(const char *path, int flags);
/* Copy a file, executable; 0 or -errno. */
long copy_file(const char *from, const char *to);

/* A value of the plan ("set KEY VALUE"); NULL when it has none. */
const char *setting(const char *key);
/* "F01.sys.su": what a row writes to a server, so that its arrival can be told. */
const char *tag(const struct ctx *c);
/* In a session or under a session's label. */
bool confined(const struct ctx *c);

/*
 * Ask the driver outside for something ("dial 127.0.0.1 7790") and wait for its one-line answer,
 * which is written to answer. Returns 0, or -EPIPE when nobody answers.
 */
int ask_outside(char *answer, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Number under which a row finds its inherited descriptor; a row's second one is 50 above. */
int inherited_fd(const char *row);

/* --- roads.c: calls by the context's way; all return a result or -errno --- */
long go_open(struct ctx *c, int dirfd, const char *path, int flags, mode_t mode);
struct open_how;
long go_openat2(struct ctx *c, int dirfd, const char *path, const struct open_how *how);
long go_truncate(struct ctx *c, const char *path, off_t len);
long go_ftruncate(struct ctx *c, int fd, off_t len);
long go_fallocate(struct ctx *c, int fd, int mode, off_t off, off_t len);
long go_write(struct ctx *c, int fd, const void *buf, size_t len);
long go_unlink(struct ctx *c, int dirfd, const char *path, int flags);
long go_mkdir(struct ctx *c, int dirfd, const char *path, mode_t mode);
long go_symlink(struct ctx *c, const char *to, int dirfd, const char *path);
long go_chmod(struct ctx *c, const char *path, mode_t mode);

struct two_names {
	int from_dir;
	const char *from;
	int to_dir;
	const char *to;
};
long go_link(struct ctx *c, const struct two_names *n, int flags);
long go_rename(struct ctx *c, const struct two_names *n, unsigned int flags);

struct xattr {
	const char *name;
	const void *value;
	size_t size;
};
long go_setxattr(struct ctx *c, const char *path, const struct xattr *x);
long go_fsetxattr(struct ctx *c, int fd, const struct xattr *x);

long go_socket(struct ctx *c, int family, int type, int protocol);
long go_connect(struct ctx *c, int fd, const void *addr, socklen_t len);
long go_bind(struct ctx *c, int fd, const void *addr, socklen_t len);
long go_listen(struct ctx *c, int fd);
long go_sendmsg(struct ctx *c, int fd, struct msghdr *m, int flags);

/* --- descriptors from elsewhere (foreign.c) --- */

/*
 * A descriptor of "file" in the target directory that this process did not open itself: inherited
 * or handed over, as the way says; the twin opens its own. -ECONNABORTED: it was not let through.
 */
int foreign_file(struct ctx *c, int flags);
/* Receive one descriptor over a connected unix socket: it, or -ECONNABORTED when none came. */
int receive_fd(int sock);
/* A unix stream listener at "s" in the context's own directory. */
int unix_listener(struct ctx *c);
/* Let the driver outside connect to that listener and act on it ("file PATH", "tcp"). */
int from_outside(struct ctx *c, const char *what);

#endif
