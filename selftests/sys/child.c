// SPDX-License-Identifier: Apache-2.0
/*
 * What several families need: children and what became of them, copies of files, the write that
 * shows outside.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/sendfile.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attempt.h"

/* What holds the place may itself wait for its turn: more yields than there are tasks about. */
#define AGAIN_TRIES 1000

bool once_more(int error, int *tries)
{
	if (error != EAGAIN || ++*tries > AGAIN_TRIES)
		return false;
	(void)sched_yield();
	return true;
}

pid_t fork_again(void)
{
	int tries = 0;
	pid_t pid;

	do
		pid = fork();
	while (pid < 0 && once_more(errno, &tries));
	return pid;
}

int thread_again(pthread_t *thread, void *(*fn)(void *), void *arg)
{
	int tries = 0, r;

	do
		r = pthread_create(thread, NULL, fn, arg);
	while (once_more(r, &tries));
	return r;
}

long child_result(pid_t child)
{
	int status;

	if (child < 0)
		return child;
	if (waitpid(child, &status, 0) != child || !WIFEXITED(status))
		return -ECHILD;
	return -WEXITSTATUS(status);
}

long in_child(struct ctx *c, long (*fn)(struct ctx *c))
{
	pid_t pid = fork_again();

	if (pid == 0) {
		long r = fn(c);
		_exit(r < 0 ? (int)-r : 0);
	}
	return pid < 0 ? -errno : child_result(pid);
}

pid_t idle_child(void)
{
	pid_t pid = fork_again();

	if (pid == 0) {
		(void)pause();
		_exit(0);
	}
	return pid;
}

void end_child(pid_t child)
{
	if (child <= 0)
		return;
	(void)kill(child, SIGKILL);
	(void)waitpid(child, NULL, 0);
}

long write_path(const char *path, int flags)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0644);

	if (fd < 0)
		return -errno;
	(void)!write(fd, "leak", 4); /* judged by the photograph */
	close(fd);
	return 0;
}

long write_file(void)
{
	return write_path("file", 0);
}

static long copy_open(int in, int out)
{
	struct stat st;

	if (fstat(in, &st) < 0)
		return -errno;
	while (st.st_size > 0) {
		ssize_t n = sendfile(out, in, NULL, (size_t)st.st_size);
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		st.st_size -= n;
	}
	return fchmod(out, 0755) < 0 ? -errno : 0;
}

long copy_file(const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	long r = in < 0 || out < 0 ? -errno : copy_open(in, out);

	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return r;
}
