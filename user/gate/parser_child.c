/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The boxed side of the parser: a zygote without secrets that forks workers, and the worker's loop.
 * The zygote keeps one worker: asked for another, it first ends and reaps the one before.
 */
#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <linux/close_range.h>

#include "base/fd.h"
#include "gate/limits.h"
#include "gate/parser.h"

/* The worker's only descriptor. */
#define WORKER_FD 0

#if defined(__SANITIZE_ADDRESS__)
#define BUILT_WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BUILT_WITH_ASAN 1
#endif
#endif

/* -errno, -EPIPE at the end of the stream. */
static int read_exact(int fd, void *buf, size_t len)
{
	ssize_t n = fd_read_full(fd, buf, len);

	if (n < 0)
		return (int)n;
	return (size_t)n == len ? 0 : -EPIPE;
}

static int serve_one(int fd, char *text)
{
	static const struct itimerval cpu = {.it_value = {.tv_usec = GATE_PARSE_CPU_MS * 1000}};
	struct parser_question q;
	struct sql_result result;
	int r = read_exact(fd, &q, sizeof(q));

	if (r < 0)
		return r;
	if (q.len > SQL_TEXT_MAX)
		return -EBADMSG;
	r = read_exact(fd, text, q.len);
	if (r < 0)
		return r;
	memset(&result, 0, sizeof(result));
	/* Its signal is not handled: too much work ends the worker, and denies the text. */
	if (setitimer(ITIMER_PROF, &cpu, NULL) < 0)
		return -errno;
	r = sql_classify((enum sql_dialect)q.dialect, text, q.len, &result);
	if (r < 0) {
		/* All zero is a denial that names nothing; the gate fills in its words. */
		memset(&result, 0, sizeof(result));
	}
	return fd_write_all(fd, &result, sizeof(result));
}

int parser_serve(int fd)
{
	__cleanup_free char *text = malloc(SQL_TEXT_MAX);
	int r;

	if (!text)
		return -ENOMEM;
	do
		r = serve_one(fd, text);
	while (r == 0);
	return r == -EPIPE ? 0 : r;
}

/* Who has a lower limit already may not raise it, and need not. */
static int limit(int which, rlim_t value)
{
	struct rlimit l;

	if (getrlimit(which, &l) < 0)
		return -errno;
	if (l.rlim_max > value)
		l.rlim_max = value;
	l.rlim_cur = l.rlim_max;
	return setrlimit(which, &l) < 0 ? -errno : 0;
}

static int set_limits(void)
{
	/* No core, as core_never() has it; what is not dumpable and executes nothing needs no more.
	 */
	int r = prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? -errno : limit(RLIMIT_CORE, 1);

#ifndef BUILT_WITH_ASAN /* its shadow is mapped far past any limit */
	if (r == 0)
		r = limit(RLIMIT_AS, GATE_PARSER_AS_BYTES);
#endif
	if (r == 0)
		r = limit(RLIMIT_STACK, GATE_PARSER_STACK_BYTES);
	if (r == 0)
		r = limit(RLIMIT_CPU, GATE_PARSER_CPU_SEC);
	if (r == 0)
		r = limit(RLIMIT_NPROC, 0);
	if (r == 0)
		r = limit(RLIMIT_FSIZE, 0);
	return r;
}

/* Reading and writing the one socket, memory without execution, and the end. */
static int add_rules(scmp_filter_ctx ctx)
{
	static const int plain[] = {
		SCMP_SYS(exit),	       SCMP_SYS(exit_group),	 SCMP_SYS(brk),
		SCMP_SYS(munmap),      SCMP_SYS(mremap),	 SCMP_SYS(madvise),
		SCMP_SYS(futex),       SCMP_SYS(getpid),	 SCMP_SYS(rt_sigreturn),
		SCMP_SYS(setitimer),
#ifdef BUILT_WITH_ASAN
		SCMP_SYS(sigaltstack), SCMP_SYS(rt_sigprocmask), SCMP_SYS(gettid),
		SCMP_SYS(sched_yield), SCMP_SYS(getrandom),	 SCMP_SYS(clock_gettime),
#endif
	};
	static const struct {
		int number;
		unsigned int n;
		struct scmp_arg_cmp args[2];
	} checked[] = {
		{SCMP_SYS(read), 1, {{0, SCMP_CMP_EQ, WORKER_FD, 0}}},
		{SCMP_SYS(write), 1, {{0, SCMP_CMP_EQ, WORKER_FD, 0}}},
		{SCMP_SYS(mprotect), 1, {{2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0}}},
		{SCMP_SYS(mmap),
		 2,
		 {{2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0},
		  {3, SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS}}},
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(plain) && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, plain[i], 0);
	for (size_t i = 0; i < ARRAY_LEN(checked) && r == 0; i++)
		r = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, checked[i].number, checked[i].n,
					   checked[i].args);
	return r;
}

static int close_box(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);

	if (!ctx)
		return -ENOMEM;
	int r = add_rules(ctx);

	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r;
}

/* Errors have nowhere to go: the gate sees a worker that ends. */
static _Noreturn void worker_main(int fd)
{
	if (dup2(fd, WORKER_FD) < 0 || close_range(WORKER_FD + 1, ~0U, 0) < 0)
		_exit(1);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		_exit(1);
	if (set_limits() < 0 || close_box() < 0)
		_exit(1);
	_exit(parser_serve(WORKER_FD) < 0);
}

static void end_worker(pid_t *pid)
{
	if (*pid <= 0)
		return;
	/* Not reaped yet, so the number is still this child's. */
	(void)kill(*pid, SIGKILL);
	while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
		;
	*pid = 0;
}

static _Noreturn void zygote_main(int control)
{
	pid_t worker = 0;
	char order;

	for (;;) {
		int fd = -1;
		size_t n = 1;
		ssize_t len = fd_recv_msg(control, &order, 1, &fd, &n);

		if (len <= 0 || n != 1)
			break;
		end_worker(&worker);
		worker = fork();
		if (worker == 0)
			worker_main(fd);
		close(fd);
	}
	end_worker(&worker);
	_exit(0);
}

int parser_zygote_start(int *ret_fd)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	pid_t pid = fork();

	if (pid < 0) {
		int r = -errno;

		close(pair[0]);
		close(pair[1]);
		return r;
	}
	if (pid == 0) {
		/* Its own descriptor only: not the daemon's socket, nor the terminal. */
		if (dup2(pair[1], 0) < 0 || close_range(1, ~0U, 0) < 0)
			_exit(1);
		(void)prctl(PR_SET_DUMPABLE, 0);
		zygote_main(0);
	}
	close(pair[1]);
	*ret_fd = pair[0];
	return 0;
}
