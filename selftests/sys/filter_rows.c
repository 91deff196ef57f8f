// SPDX-License-Identifier: Apache-2.0
/*
 * Rows P07, P08, P22-P24: getting past the session's system call filter, by filters and tracers of
 * one's own, by foreign numbers, or by too many filters. What is tried behind them is
 * unshare(CLONE_NEWNS), which the filter refuses.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attempt.h"

#define X32_BIT 0x40000000
#define LONG_FILTER 4000
#define FILTERS_MAX 64

static long forbidden(struct ctx *c)
{
	return c->twin ? rc_of(syscall(SYS_getpid)) : rc_of(syscall(SYS_unshare, CLONE_NEWNS));
}

/* The number of the call that forbidden() makes. */
static long forbidden_number(struct ctx *c)
{
	return c->twin ? SYS_getpid : SYS_unshare;
}

static long install(const struct sock_filter *code, size_t len, unsigned int flags)
{
	struct sock_fprog prog = {(unsigned short)len, (struct sock_filter *)code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return rc_of(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog));
}

static long behind_allow(struct ctx *c)
{
	static const struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	long r = install(&allow, 1, 0);

	return r < 0 ? r : forbidden(c);
}

/* The supervisor: lets every call go on. */
static void *let_through(void *arg)
{
	int fd = *(int *)arg;
	struct seccomp_notif req;
	struct seccomp_notif_resp resp;

	for (;;) {
		memset(&req, 0, sizeof(req));
		if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &req) < 0)
			return NULL;
		resp = (struct seccomp_notif_resp){.id = req.id,
						   .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
		(void)ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &resp); /* it may have died */
	}
}

static long behind_supervisor(struct ctx *c)
{
	const struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)forbidden_number(c), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
	pthread_t thread;
	int fd = (int)install(code, sizeof(code) / sizeof(code[0]),
			      SECCOMP_FILTER_FLAG_NEW_LISTENER);

	if (fd < 0)
		return fd;
	if (thread_again(&thread, let_through, &fd) != 0)
		return -EAGAIN;
	return forbidden(c);
}

static void p07_own_filters(struct ctx *c)
{
	say(c, "allow-all", in_child(c, behind_allow));
	say(c, "supervisor", in_child(c, behind_supervisor));
}

/* A child that stops, then makes a harmless call, and ends with its result. */
static pid_t traced_child(struct ctx *c)
{
	pid_t pid = fork_again();

	if (pid != 0)
		return pid;
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 || raise(SIGSTOP) != 0)
		_exit(EIO);
	long r = c->twin ? rc_of(syscall(SYS_getpid))
			 : rc_of(syscall(SYS_getppid, CLONE_NEWNS, 0, 0));
	/* a process id or 0 means that it was, at least, no refusal */
	_exit(r < 0 ? (int)-r : 0);
}

/* The child's next getppid() becomes unshare() when it enters the kernel. */
static long exchange_call(struct ctx *c, pid_t pid)
{
	struct user_regs_struct regs;
	int status;

	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		return -EIO;
	(void)ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
	for (;;) {
		if (ptrace(PTRACE_SYSCALL, pid, NULL, NULL) < 0)
			return -errno;
		if (waitpid(pid, &status, 0) != pid)
			return -EIO;
		if (WIFEXITED(status))
			return -WEXITSTATUS(status);
		if (!WIFSTOPPED(status) || ptrace(PTRACE_GETREGS, pid, NULL, &regs) < 0)
			return -EIO;
		if (c->twin || regs.orig_rax != SYS_getppid || regs.rax != (unsigned long)-ENOSYS)
			continue;
		regs.orig_rax = SYS_unshare;
		if (ptrace(PTRACE_SETREGS, pid, NULL, &regs) < 0)
			return -errno;
	}
}

static long suspend_filter(struct ctx *c, pid_t pid)
{
	int status;
	long options = c->twin ? PTRACE_O_EXITKILL : PTRACE_O_SUSPEND_SECCOMP;

	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		return -EIO;
	return rc_of(ptrace(PTRACE_SETOPTIONS, pid, NULL, options));
}

static void p08_tracer(struct ctx *c)
{
	pid_t pid = traced_child(c);

	say(c, "exchanged-call", exchange_call(c, pid));
	pid = traced_child(c);
	say(c, "suspended-filter", suspend_filter(c, pid));
	end_child(pid);
}

static long foreign_entry(long nr)
{
	long r;

	__asm__ volatile("int $0x80" : "=a"(r) : "a"(nr) : "memory", "r8", "r9", "r10", "r11");
	return (int32_t)r;
}

static void p22_foreign_numbers(struct ctx *c)
{
	if (c->twin) {
		say(c, "int80", rc_of(syscall(SYS_getpid)));
		return;
	}
	say(c, "int80", foreign_entry(20 /* getpid */));
	say(c, "x32", rc_of(syscall(X32_BIT | SYS_getpid)));
}

/* System calls of kernels after 6.1, with arguments that nothing comes of. */
static void p23_new_numbers(struct ctx *c)
{
	static const struct {
		const char *sub;
		long nr;
	} calls[] = {{"map-shadow-stack", 453}, {"statmount", 457},	 {"listmount", 458},
		     {"lsm-set-self", 460},	{"open-tree-attr", 467}, {"file-setattr", 469}};

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		long nr = c->twin ? SYS_getpid : calls[i].nr;
		say(c, calls[i].sub, past(rc_of(syscall(nr, 0, 0, 0, 0, 0, 0))));
	}
}

static long pile_up_filters(struct ctx *c)
{
	struct sock_filter *code = calloc(LONG_FILTER, sizeof(*code));
	long r = 0;

	for (int i = 0; code && i < LONG_FILTER; i++)
		code[i] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	for (int i = 0; code && r >= 0 && i < FILTERS_MAX; i++)
		r = install(code, LONG_FILTER, 0);
	free(code);
	(void)c;
	return r == -ENOMEM ? write_file() : -EIO; /* ENOMEM: no more fit */
}

static long pile_up_rules(struct ctx *c)
{
	struct landlock_ruleset_attr attr = {.handled_access_fs = LANDLOCK_ACCESS_FS_MAKE_BLOCK};
	int fd = (int)rc_of(syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0));
	long r = fd;

	if (fd < 0)
		return fd == -EOPNOTSUPP ? write_file() : fd;
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	for (int i = 0; r >= 0 && i < FILTERS_MAX; i++)
		r = rc_of(syscall(SYS_landlock_restrict_self, fd, 0));
	(void)c;
	return r == -E2BIG ? write_file() : -EIO;
}

static void p24_too_many(struct ctx *c)
{
	say(c, "filters", in_child(c, pile_up_filters));
	say(c, "landlock", in_child(c, pile_up_rules));
}

const struct row filter_rows[] = {{"P07", p07_own_filters},	{"P08", p08_tracer},
				  {"P22", p22_foreign_numbers}, {"P23", p23_new_numbers},
				  {"P24", p24_too_many},	{0}};
