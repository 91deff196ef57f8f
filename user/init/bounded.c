/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work on the host's file systems, any of which may not answer (a dead server's), in a child with
 * a deadline. Pid 1 itself never waits for a file system.
 */
#include "init/init.h"

#include <errno.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* How long one step may take. Servers that are merely slow answer in less. */
#define STALL_MS 4000

static int reap(int pidfd)
{
	siginfo_t si = {0};

	if (waitid(P_PIDFD, (id_t)pidfd, &si, WEXITED) < 0)
		return -errno;
	return si.si_code == CLD_EXITED && si.si_status == 0 ? 0 : -ECHILD;
}

/* 0: it has ended well; -ETIMEDOUT: no progress for so long. */
static int await_end(int pidfd, const volatile size_t *progress)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};
	size_t seen;
	int n;

	do {
		seen = *progress;
		n = poll(&p, 1, STALL_MS);
	} while (n == 0 && *progress != seen);
	if (n < 0)
		return -errno;
	return n > 0 ? reap(pidfd) : -ETIMEDOUT;
}

/* It must be dead before anybody does its work again. */
static int end_it(int pidfd)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};

	if (syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) < 0)
		return -errno;
	if (poll(&p, 1, STALL_MS) != 1)
		return -EUCLEAN;
	(void)reap(pidfd); /* by a signal, or just in time */
	return -ETIMEDOUT;
}

int bounded(void (*work)(void *arg), void *arg, const volatile size_t *progress)
{
	int pidfd = -1;
	long pid = syscall(SYS_clone, CLONE_FILES | CLONE_PIDFD | SIGCHLD, NULL, &pidfd, NULL, 0);

	if (pid == 0) {
		work(arg);
		_exit(0);
	}
	if (pid < 0)
		return -errno;
	int r = await_end(pidfd, progress);

	if (r == -ETIMEDOUT)
		r = end_it(pidfd);
	close(pidfd);
	return r;
}
