// SPDX-License-Identifier: Apache-2.0
/*
 * Rows C01-C10 (C07 is the driver's) and F82: leaving the session by cgroup, fork, orphanage or
 * kernel threads. What counts is the write at the end: a process that got away could make it.
 */
#include <errno.h>
#include <linux/aio_abi.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attempt.h"
#include "uring.h"
#include "world.h"

#define CHILDREN 200

static void cgroup_path(char *out, const char *below)
{
	(void)snprintf(out, PATH_MAX, "%s/%s", setting("cgroup"), below);
}

static long join(const char *file)
{
	char path[PATH_MAX];

	cgroup_path(path, file);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	long r = rc_of(write(fd, "0", 1));
	close(fd);
	return r;
}

static void c01_procs(struct ctx *c)
{
	say(c, "procs", c->twin ? write_file() : join("dst/cgroup.procs"));
	say(c, "threads", c->twin ? write_file() : join("threads/cgroup.threads"));
	say(c, "write-after", write_file());
}

static long clone_into(int dir)
{
	struct clone_args args = {.flags = CLONE_INTO_CGROUP,
				  .exit_signal = SIGCHLD,
				  .cgroup = (uint64_t)(unsigned int)dir};
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));

	if (pid == 0)
		_exit((int)-write_file());
	return pid < 0 ? -errno : child_result(pid);
}

static void c02_clone(struct ctx *c)
{
	char path[PATH_MAX];

	if (c->twin) {
		pid_t pid = fork_again();
		if (pid == 0)
			_exit((int)-write_file());
		say(c, "rdonly", child_result(pid));
		return;
	}
	if (c->way == WAY_INHERIT) {
		say(c, "rdonly", clone_into(inherited_fd("C02")));
		return;
	}
	cgroup_path(path, "dst");
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	say(c, "rdonly", dir < 0 ? -errno : clone_into(dir));
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	say(c, "o-path", dir < 0 ? -errno : clone_into(dir));
}

static void c03_mkdir(struct ctx *c)
{
	char path[PATH_MAX];

	if (c->twin) {
		say(c, "mkdir", rc_of(mkdirat(c->own, "sub", 0755)));
		say(c, "join", write_file());
		return;
	}
	cgroup_path(path, "dst/sub");
	say(c, "mkdir", rc_of(mkdir(path, 0755)));
	say(c, "join", join("dst/sub/cgroup.procs"));
	(void)rmdir(path);
}

static void c04_mount(struct ctx *c)
{
	if (c->twin) {
		say(c, "cgroup2", rc_of(mkdirat(c->own, "mnt", 0755)));
		return;
	}
	long r = rc_of(mount("none", c->own_path, "cgroup2", 0, NULL));
	say(c, "cgroup2", r);
	if (r >= 0)
		(void)umount2(c->own_path, MNT_DETACH);
}

static void c05_manager(struct ctx *c)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	const char *name = setting("manager");

	if (c->twin)
		name = "s"; /* in the working directory, made by the listener below */
	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", name ? name : "");
	if (c->twin && fchdir(c->own) < 0)
		return;
	int lfd = c->twin ? unix_listener(c) : -1;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	long r = rc_of(connect(fd, (struct sockaddr *)&a, sizeof(a)));
	say(c, "connect", r < 0 ? r : rc_of(send(fd, tag(c), strlen(tag(c)), MSG_NOSIGNAL)));
	close(fd);
	if (lfd >= 0)
		close(lfd);
}

/* Many children at once, each of which tries; a fork that fails is fine, a child unlabelled not. */
static void c06_forks(struct ctx *c)
{
	pid_t child[CHILDREN];
	int n = 0;
	long worst = c->twin ? 0 : -EACCES;

	while (n < CHILDREN) {
		child[n] = fork();
		if (child[n] == 0)
			_exit((int)-write_file());
		if (child[n] < 0)
			break;
		n++;
	}
	for (int i = 0; i < n; i++) {
		long r = child_result(child[i]);
		if (c->twin ? r < 0 : r >= 0)
			worst = r;
	}
	say(c, "children", n ? worst : -ECHILD);
}

static void c08_orphan(struct ctx *c)
{
	int pipe_fd[2];
	long r = -EPIPE;

	if (pipe2(pipe_fd, O_CLOEXEC) < 0)
		return;
	pid_t child = fork_again();
	if (child == 0) {
		(void)setsid();
		pid_t parent = getpid();
		if (fork_again() != 0)
			_exit(0);
		while (getppid() == parent)
			(void)sched_yield(); /* until the orphan has been adopted */
		r = write_file();
		_exit(write(pipe_fd[1], &r, sizeof(r)) != sizeof(r));
	}
	close(pipe_fd[1]);
	if (read(pipe_fd[0], &r, sizeof(r)) != sizeof(r))
		r = -EPIPE;
	say(c, "orphan", r);
	(void)waitpid(child, NULL, 0);
}

static void c09_workers(struct ctx *c)
{
	struct io_uring_sqe sqe = {.opcode = IORING_OP_OPENAT,
				   .flags = IOSQE_ASYNC,
				   .fd = AT_FDCWD,
				   .addr = (uintptr_t) "file",
				   .open_flags = O_WRONLY};
	long fd = uring_once(&sqe);

	say(c, "open-async", fd);
	if (fd >= 0) {
		(void)!write((int)fd, "leak", 4); /* judged by the photograph */
		close((int)fd);
	}
	sqe = (struct io_uring_sqe){.opcode = IORING_OP_UNLINKAT,
				    .flags = IOSQE_ASYNC,
				    .fd = AT_FDCWD,
				    .addr = (uintptr_t) "file2"};
	say(c, "unlink-async", uring_once(&sqe));
}

static void c10_aio(struct ctx *c)
{
	aio_context_t ctx = 0;
	struct io_event event;
	int fd = foreign_file(c, O_RDWR);
	struct iocb cb = {.aio_lio_opcode = IOCB_CMD_PWRITE,
			  .aio_fildes = (uint32_t)fd,
			  .aio_buf = (uintptr_t) "leak",
			  .aio_nbytes = 4};
	struct iocb *list[1] = {&cb};

	long r = rc_of(syscall(SYS_io_setup, 1, &ctx));
	if (r >= 0)
		r = rc_of(syscall(SYS_io_submit, ctx, 1, list));
	if (r == 1)
		r = rc_of(syscall(SYS_io_getevents, ctx, 1, 1, &event, NULL));
	say(c, "pwrite", r == 1 ? (long)event.res : r);
}

/* A ring whose polling thread belongs to a process outside. */
static void f82_inherited_ring(struct ctx *c)
{
	struct io_uring_params p = {.flags = IORING_SETUP_SQPOLL};
	struct io_uring_sqe sqe = {.opcode = IORING_OP_OPENAT,
				   .fd = AT_FDCWD,
				   .addr = WORLD_RING_PATH,
				   .len = 0600,
				   .open_flags = O_CREAT | O_WRONLY};
	struct uring u;

	if (c->twin) {
		sqe.addr = (uintptr_t) "ring";
		say(c, "open", uring_once(&sqe));
		return;
	}
	/* The offsets are the kernel's for this size: learn them from a ring of our own. */
	int own = (int)rc_of(syscall(SYS_io_uring_setup, 4, &p));
	if (own < 0) {
		say(c, "open", own);
		return;
	}
	int r = uring_map(&u, inherited_fd("F82"), &p);
	say(c, "open", r < 0 ? r : uring_run(&u, &sqe));
}

const struct row cgroup_rows[] = {{"C01", c01_procs},
				  {"C02", c02_clone},
				  {"C03", c03_mkdir},
				  {"C04", c04_mount},
				  {"C05", c05_manager},
				  {"C06", c06_forks},
				  {"C08", c08_orphan},
				  {"C09", c09_workers},
				  {"C10", c10_aio},
				  {"F82", f82_inherited_ring},
				  {0}};
