/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bare stopped children. Between clone and exec only system calls are made.
 */
#include "session/spawn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/core.h"
#include "base/fd.h"

#define EXIT_SPAWN 125
#define BACKLOG 512
/* Descriptors of a gate: connections of the session and to the servers. */
#define FILES_MAX 8192

static void reset_signals(void)
{
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		(void)signal(sig, SIG_DFL); /* those that cannot be set need not be */
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static int listen_on(uint16_t port)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr = {htonl(INADDR_LOOPBACK)}};
	const int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, BACKLOG) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

/*
 * Sockets belong to the cgroup and the namespace that they are made in, so the child makes them
 * itself, as the gate that it is about to be. The other end of channel gets them.
 */
static int make_listeners(const struct spawn_listeners *l, int channel)
{
	static const char text[] = "{\"listening\":true}";
	int fds[FD_MSG_MAX];
	int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	if (own < 0 || l->n > FD_MSG_MAX || setns(l->netns, CLONE_NEWNET) < 0)
		return -errno;
	for (size_t i = 0; i < l->n; i++) {
		fds[i] = listen_on((uint16_t)(l->first + i));
		if (fds[i] < 0)
			return fds[i];
	}
	if (setns(own, CLONE_NEWNET) < 0)
		return -errno;
	return fd_send_msg(channel, text, sizeof(text) - 1, fds, l->n);
}

static int place_descriptors(const struct spawn_plan *plan)
{
	int fds[3 + SPAWN_FDS_MAX];
	size_t n = 3 + plan->n_fds;

	for (size_t i = 0; i < n; i++) {
		fds[i] = fcntl(i < 3 ? plan->std[i] : plan->fds[i - 3], F_DUPFD_CLOEXEC, 64);
		if (fds[i] < 0)
			return -errno;
	}
	for (size_t i = 0; i < n; i++)
		if (dup2(fds[i], (int)i) < 0)
			return -errno;
	return syscall(SYS_close_range, (unsigned)n, ~0U, 0) < 0 ? -errno : 0;
}

static int become(const struct spawn_plan *plan)
{
	const struct rlimit files = {FILES_MAX, FILES_MAX};
	int r = core_never();

	if (r < 0)
		return r;
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		return -errno;
	if (plan->uid == 0)
		return 0;
	if (setgroups(0, NULL) < 0 || setresgid(plan->gid, plan->gid, plan->gid) < 0 ||
	    setresuid(plan->uid, plan->uid, plan->uid) < 0)
		return -errno;
	return 0;
}

/* In the child, once it may run. Returns only when it cannot. */
static int run(const struct spawn_plan *plan)
{
	char *argv[] = {(char *)plan->path, (char *)plan->arg, NULL}, *env[] = {NULL};
	int r = 0;

	reset_signals();
	if (plan->listeners.netns >= 0)
		r = make_listeners(&plan->listeners, plan->fds[0]);
	if (r == 0)
		r = place_descriptors(plan);
	if (r == 0)
		r = become(plan);
	if (r < 0)
		return r;
	(void)execve(plan->path, argv, env);
	return -errno;
}

__attribute__((noreturn)) static void child(const struct spawn_plan *plan, int gate)
{
	char byte;

	/*
	 * What shields the daemon from a host without memory is not for a session. And the kernel
	 * side looks at labels of tasks with no_new_privs only.
	 */
	if (file_write(AT_FDCWD, "/proc/self/oom_score_adj", "0") == 0 &&
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && read(gate, &byte, 1) == 1)
		(void)run(plan); /* the parent learns of it by the end of the process */
	_exit(EXIT_SPAWN);
}

int spawn_stopped(const struct spawn_plan *plan, struct spawned *ret)
{
	int p[2], pidfd = -1;
	struct clone_args args = {
		.flags = plan->clone_flags | CLONE_PIDFD | CLONE_INTO_CGROUP,
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
		.cgroup = (uint64_t)plan->cgroup,
	};

	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	long pid = syscall(SYS_clone3, &args, sizeof(args));

	if (pid == 0) {
		close(p[1]); /* or the end of the parent would not show */
		child(plan, p[0]);
	}
	int r = pid < 0 ? -errno : 0;

	close(p[0]);
	if (r < 0) {
		close(p[1]);
		return r;
	}
	*ret = (struct spawned){.pid = (pid_t)pid, .pidfd = pidfd, .go = p[1]};
	return 0;
}

int spawn_go(struct spawned *sp)
{
	int r = fd_write_all(sp->go, "g", 1);

	fd_close(&sp->go);
	return r;
}

void spawned_close(struct spawned *sp)
{
	fd_close(&sp->go);
	fd_close(&sp->pidfd);
}
