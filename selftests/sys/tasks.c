// SPDX-License-Identifier: Apache-2.0
/*
 * Rows I01-I12, P21, B16: other processes. "holder" is a process outside of the same user, "init"
 * is pid 1 of the session, "daemon" pinfoldd; the twin is a child of the row's own. Every signal is
 * SIGCONT, every setting what it is already: a success harms nobody.
 */
#include <errno.h>
#include <linux/ioprio.h>
#include <linux/kcmp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attempt.h"

typedef void (*on_task)(struct ctx *c, const char *who, pid_t pid);

static void say_of(struct ctx *c, const char *who, const char *what, long r)
{
	char sub[64];

	(void)snprintf(sub, sizeof(sub), "%s-%s", who, what);
	say(c, sub, r);
}

static void each_task(struct ctx *c, on_task fn)
{
	const char *holder = setting("holder"), *daemon = setting("daemon");

	if (c->twin) {
		pid_t child = idle_child();
		fn(c, "holder", child);
		end_child(child);
		return;
	}
	fn(c, "holder", holder ? (pid_t)strtol(holder, NULL, 10) : -1);
	if (c->mode[0] == 's')
		fn(c, "init", 1);
	if (c->mode[0] == 'l' && daemon)
		fn(c, "daemon", (pid_t)strtol(daemon, NULL, 10));
}

static void signal_each_way(struct ctx *c, const char *who, pid_t pid)
{
	siginfo_t info = {.si_signo = SIGCONT, .si_code = SI_QUEUE};

	say_of(c, who, "kill", rc_of(syscall(SYS_kill, pid, SIGCONT)));
	say_of(c, who, "tkill", rc_of(syscall(SYS_tkill, pid, SIGCONT)));
	say_of(c, who, "tgkill", rc_of(syscall(SYS_tgkill, pid, pid, SIGCONT)));
	say_of(c, who, "sigqueue", rc_of(syscall(SYS_rt_sigqueueinfo, pid, SIGCONT, &info)));
	say_of(c, who, "tgsigqueue",
	       rc_of(syscall(SYS_rt_tgsigqueueinfo, pid, pid, SIGCONT, &info)));
}

static void i01_signals(struct ctx *c)
{
	each_task(c, signal_each_way);
}

static void look_for(struct ctx *c, const char *who, pid_t pid)
{
	say_of(c, who, "kill-0", rc_of(kill(pid, 0)));
}

static void i02_probing(struct ctx *c)
{
	each_task(c, look_for);
}

static void signal_by_descriptor(struct ctx *c, const char *who, pid_t pid)
{
	int fd = (int)rc_of(syscall(SYS_pidfd_open, pid, 0));

	say_of(c, who, "pidfd",
	       fd < 0 ? fd : rc_of(syscall(SYS_pidfd_send_signal, fd, SIGCONT, NULL, 0)));
	if (fd >= 0)
		close(fd);
}

static void i03_pidfd(struct ctx *c)
{
	each_task(c, signal_by_descriptor);
}

static void own_signals(struct ctx *c, const char *who, pid_t pid)
{
	int pair[2];

	if (!strcmp(who, "init") || pipe2(pair, O_CLOEXEC) < 0)
		return; /* the number exists; its signals are not delivered, see rows.tsv */
	say_of(c, who, "setown", rc_of(fcntl(pair[0], F_SETOWN, pid)));
	close(pair[0]);
	close(pair[1]);
}

static void i05_owners(struct ctx *c)
{
	each_task(c, own_signals);
}

static void trace(struct ctx *c, const char *who, pid_t pid)
{
	long r = rc_of(ptrace(PTRACE_SEIZE, pid, NULL, NULL));

	say_of(c, who, "seize", r);
	if (r >= 0) {
		(void)ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
		(void)waitpid(pid, NULL, __WALL);
		(void)ptrace(PTRACE_DETACH, pid, NULL, NULL);
	}
	r = rc_of(ptrace(PTRACE_ATTACH, pid, NULL, NULL));
	say_of(c, who, "attach", r);
	if (r >= 0) {
		(void)waitpid(pid, NULL, __WALL);
		(void)ptrace(PTRACE_DETACH, pid, NULL, NULL);
	}
}

static void i06_ptrace(struct ctx *c)
{
	each_task(c, trace);
}

/* An error that only a call that was let through can come to is a success. */
static long reached(long ret, int error)
{
	return ret < 0 && errno == error ? 0 : rc_of(ret);
}

/* An address that nobody has mapped. */
static void copy_memory(struct ctx *c, const char *who, pid_t pid)
{
	char byte = 0;
	struct iovec here = {&byte, 1}, there = {(void *)1, 1};

	say_of(c, who, "readv", reached(process_vm_readv(pid, &here, 1, &there, 1, 0), EFAULT));
	say_of(c, who, "writev", reached(process_vm_writev(pid, &here, 1, &there, 1, 0), EFAULT));
}

static void i07_memory(struct ctx *c)
{
	each_task(c, copy_memory);
}

static long read_of(pid_t pid, const char *name)
{
	char path[64], bytes[256];

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	long r = strcmp(name, "mem") != 0 ? rc_of(read(fd, bytes, sizeof(bytes))) : 0;
	close(fd);
	return r;
}

static long follow(pid_t pid, const char *name)
{
	char path[64], to[PATH_MAX];

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return rc_of(readlink(path, to, sizeof(to)));
}

static void look_into_proc(struct ctx *c, const char *who, pid_t pid)
{
	static const char *const files[] = {"mem",  "environ", "maps",	 "smaps",
					    "auxv", "io",      "syscall"};
	static const char *const links[] = {"fd/0", "root", "cwd", "exe", "ns/net"};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		say_of(c, who, files[i], read_of(pid, files[i]));
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		say_of(c, who, links[i], follow(pid, links[i]));
}

static void i08_proc(struct ctx *c)
{
	each_task(c, look_into_proc);
}

static void meddle(struct ctx *c, const char *who, pid_t pid)
{
	unsigned long nodes = 1;

	say_of(c, who, "kcmp", rc_of(syscall(SYS_kcmp, getpid(), pid, KCMP_FILES, 0, 0)));
	say_of(c, who, "migrate",
	       rc_of(syscall(SYS_migrate_pages, pid, 8 * sizeof(nodes), &nodes, &nodes)));
	say_of(c, who, "move", rc_of(syscall(SYS_move_pages, pid, 0UL, NULL, NULL, NULL, 0UL)));
}

static void i11_meddling(struct ctx *c)
{
	each_task(c, meddle);
}

static void advise(struct ctx *c, const char *who, pid_t pid)
{
	int fd = (int)rc_of(syscall(SYS_pidfd_open, pid, 0));
	struct iovec range = {(void *)4096, 4096}; /* nothing is mapped there */
	const unsigned long cold = 20;		   /* MADV_COLD */

	say_of(c, who, "madvise",
	       fd < 0 ? fd
		      : reached(syscall(SYS_process_madvise, fd, &range, 1UL, cold, 0UL), ENOMEM));
	if (fd >= 0)
		close(fd);
}

static void i11m_advice(struct ctx *c)
{
	each_task(c, advise);
}

static void reschedule(struct ctx *c, const char *who, pid_t pid)
{
	struct sched_param p = {0};
	cpu_set_t all;
	int best_effort = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 4);

	memset(&all, 0xff, sizeof(all));
	say_of(c, who, "affinity", rc_of(sched_setaffinity(pid, sizeof(all), &all)));
	say_of(c, who, "scheduler", rc_of(sched_setscheduler(pid, SCHED_OTHER, &p)));
	say_of(c, who, "param", rc_of(sched_setparam(pid, &p)));
	say_of(c, who, "priority", rc_of(setpriority(PRIO_PROCESS, (id_t)pid, 0)));
	say_of(c, who, "ioprio", rc_of(syscall(SYS_ioprio_set, 1, pid, best_effort)));
}

static void i12_scheduling(struct ctx *c)
{
	each_task(c, reschedule);
}

static void limit(struct ctx *c, const char *who, pid_t pid)
{
	struct rlimit now, wanted = {RLIM_INFINITY, RLIM_INFINITY};

	/* What it has: those who may not even ask fail by the second call. */
	if (prlimit(pid, RLIMIT_CPU, NULL, &now) == 0)
		wanted = now;
	say_of(c, who, "prlimit", rc_of(prlimit(pid, RLIMIT_CPU, &wanted, NULL)));
}

static void p21_limits(struct ctx *c)
{
	each_task(c, limit);
}

static void make_killable(struct ctx *c, const char *who, pid_t pid)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
	if (c->twin)
		say_of(c, who, "oom", write_path("/proc/self/comm", 0));
	else
		say_of(c, who, "oom", rc_of(open(path, O_WRONLY | O_CLOEXEC)));
	say_of(c, who, "kill", rc_of(kill(pid, SIGCONT)));
}

static void b16_daemon(struct ctx *c)
{
	each_task(c, make_killable);
}

const struct row task_rows[] = {{"I01", i01_signals},
				{"I02", i02_probing},
				{"I03", i03_pidfd},
				{"I05", i05_owners},
				{"I06", i06_ptrace},
				{"I07", i07_memory},
				{"I08", i08_proc},
				{"I11", i11_meddling},
				{"I11m", i11m_advice},
				{"I12", i12_scheduling},
				{"P21", p21_limits},
				{"B16", b16_daemon},
				{0}};
