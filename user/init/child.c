/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command's process: forked from pid 1, stripped of everything, then exec'd by way of the
 * probe, which is where the kernel makes it an agent.
 */
#include "init/init.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/fd.h"

#define FILES_DEFAULT 4096
/* The kernel's own default: what pinfoldd needs for its maps is not for a session. */
#define MEMLOCK (8u << 20)

/* Descriptors of the probe besides 0-2; it closes them on exec. */
enum { PROBE_FD_REPORT = 3, PROBE_FD_SELF = 4, PROBE_FD_GO = 5 };

/* Longest report: one line per act of the probe, and room to spare. */
#define REPORT_MAX 4096

static int set_limits(const struct setup *s)
{
	rlim_t files = s->max_files ? s->max_files : FILES_DEFAULT;
	const struct rlimit nofile = {files, files}, memlock = {MEMLOCK, MEMLOCK};

	if (setrlimit(RLIMIT_NOFILE, &nofile) < 0 || setrlimit(RLIMIT_MEMLOCK, &memlock) < 0)
		return -errno;
	return 0;
}

/* 0-2 and those of the probe, by way of numbers above all that are in use. */
static int set_descriptors(const struct setup *s, const struct pty *pty, int report, int go)
{
	int fds[] = {INIT_FD_STDIO, INIT_FD_STDIO + 1, INIT_FD_STDIO + 2,
		     report,	    INIT_FD_PROBE,     go};

	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		if (i < 3 && s->tty[i])
			fds[i] = pty->slave;
		fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 64);
		if (fds[i] < 0)
			return -errno;
	}
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		if (dup2(fds[i], (int)i) < 0)
			return -errno;
	if (syscall(SYS_close_range, PROBE_FD_GO + 1, ~0U, 0) < 0)
		return -errno;
	return fd_set_cloexec(PROBE_FD_SELF, 1);
}

/* A process group of its own in pid 1's session, in the foreground of the terminal. */
static int set_group(const struct pty *pty)
{
	if (setpgid(0, 0) < 0)
		return -errno;
	return pty->slave >= 0 && tcsetpgrp(pty->slave, getpid()) < 0 ? -errno : 0;
}

static void reset_signals(void)
{
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		(void)signal(sig, SIG_DFL); /* those that cannot be set need not be */
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* With no environment: the command's travels among the arguments. */
static int exec_probe(char *const argv[])
{
	char *const env[] = {NULL};

	(void)syscall(SYS_execveat, PROBE_FD_SELF, "", argv, env, AT_EMPTY_PATH);
	return -errno;
}

static size_t count(char *const *list)
{
	size_t n = 0;

	while (list[n])
		n++;
	return n;
}

/* "pinfold-probe command N ARG.. ENV..", see probe.c. */
static int exec_probe_for(const struct setup *s)
{
	size_t n_args = count(s->argv), n_env = count(s->env);
	char number[24]; /* a size_t */
	__cleanup_free char **argv = calloc(3 + n_args + n_env + 1, sizeof(*argv));

	if (!argv)
		return -ENOMEM;
	(void)snprintf(number, sizeof(number), "%zu", n_args);
	argv[0] = (char *)"pinfold-probe";
	argv[1] = (char *)"command";
	argv[2] = number;
	memcpy(argv + 3, s->argv, n_args * sizeof(*argv));
	memcpy(argv + 3 + n_args, s->env, n_env * sizeof(*argv));
	return exec_probe(argv);
}

/* One of the two runs of the probe; in its process. Returns only when it cannot. */
struct stage {
	const struct setup *s;
	const struct pty *pty;
	const struct filter *flt; /* NULL: the kernel's acts */
};

/* What the kernel side alone must refuse: root's rights, no filter. */
static int run_kernel_acts(int report, int go)
{
	char *argv[] = {"pinfold-probe", "kernel", NULL};
	static const struct setup nothing;
	static const struct pty no_pty = {-1, -1};
	int r = set_descriptors(&nothing, &no_pty, report, go);

	return r < 0 ? r : exec_probe(argv);
}

static int enter_cwd(const struct setup *s)
{
	if (chdir(s->cwd) == 0)
		return 0;
	int r = -errno;

	(void)dprintf(PROBE_FD_REPORT, "cwd %d\n", -r);
	return r;
}

static int run_command(const struct stage *st, int report, int go)
{
	int r = set_group(st->pty);

	if (r == 0)
		r = set_descriptors(st->s, st->pty, report, go);
	if (r == 0) /* now: on the way descriptors had higher numbers than a policy may allow */
		r = set_limits(st->s);
	if (r == 0)
		r = priv_become(st->s);
	if (r == 0)
		r = enter_cwd(st->s);
	if (r < 0)
		return r;
	(void)umask(st->s->umask);
	reset_signals();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	r = filter_load(st->flt);
	return r < 0 ? r : exec_probe_for(st->s);
}

__attribute__((noreturn)) static void run_stage(const struct stage *st, int report, int go)
{
	int r = st->flt ? run_command(st, report, go) : run_kernel_acts(report, go);

	/* Where the report is by now depends on how far it got. */
	if (dprintf(report, "start %d\n", -r) < 0)
		(void)dprintf(PROBE_FD_REPORT, "start %d\n", -r);
	_exit(RUN_EXIT_PINFOLD);
}

static int fork_stage(const struct stage *st, struct child *ret)
{
	int report[2], go[2];

	if (pipe2(report, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(go, O_CLOEXEC) < 0) {
		int r = -errno;

		close(report[0]);
		close(report[1]);
		return r;
	}
	pid_t pid = fork();

	if (pid == 0) {
		close(go[1]); /* or it would not see pid 1 give up */
		run_stage(st, report[1], go[0]);
	}
	int r = pid < 0 ? -errno : 0;

	close(report[1]);
	close(go[0]);
	*ret = (struct child){.pid = pid, .report = report[0], .go = go[1]};
	return r;
}

/* "ok", or all that there is to say instead. */
static int read_report(struct child *c, char report[REPORT_MAX + 1])
{
	static const char ok[] = "ok\n";
	ssize_t n = fd_read_full(c->report, report, sizeof(ok) - 1);

	if (n < 0)
		return (int)n;
	report[n] = '\0';
	if (strcmp(report, ok) == 0)
		return 0;
	ssize_t more = fd_read_full(c->report, report + n, REPORT_MAX - (size_t)n);

	if (more < 0)
		return (int)more;
	report[n + more] = '\0';
	return 0;
}

/* One line that the probe, or what was to become it, left instead of "ok". */
static int judge(const struct setup *s, const char *report, struct failure *f)
{
	int err = 0;

	if (strcmp(report, "ok\n") == 0)
		return 0;
	if (sscanf(report, "cwd %d", &err) == 1)
		return fail(f, err,
			    "cannot enter %s inside the session: %s. /tmp, /var/tmp and /run are "
			    "the session's own: name the directory in files.read or files.write",
			    s->cwd, strerror(err));
	if (sscanf(report, "start %d", &err) == 1)
		return fail(f, err, "cannot start the command's process: %s", strerror(err));
	return fail(f, EPERM, "the session does not hold, so nothing was started in it: %s",
		    *report ? report : "the probe ended without a report");
}

static int run_probe(const struct stage *st, struct child *ret, struct failure *f)
{
	char report[REPORT_MAX + 1];
	int r = fork_stage(st, ret);

	if (r == 0)
		r = read_report(ret, report);
	if (r < 0)
		return fail(f, -r, "cannot start the probe: %s", strerror(-r));
	return judge(st->s, report, f);
}

static void child_close(struct child *c)
{
	fd_close(&c->report);
	fd_close(&c->go);
}

static int try_kernel(const struct setup *s, const struct pty *pty, struct failure *f)
{
	const struct stage st = {.s = s, .pty = pty};
	struct child c = CHILD_INIT;
	int r = run_probe(&st, &c, f);

	child_close(&c);
	while (c.pid > 0 && waitpid(c.pid, NULL, 0) < 0 && errno == EINTR)
		;
	return r;
}

int child_probe(const struct setup *s, const struct pty *pty, struct child *ret, struct failure *f)
{
	struct stage st = {.s = s, .pty = pty};
	struct filter *flt = NULL;
	int r = try_kernel(s, pty, f);

	if (r < 0)
		return r;
	r = filter_make(&flt);
	if (r < 0)
		return fail(f, -r, "cannot make the system call filter: %s", strerror(-r));
	st.flt = flt;
	r = run_probe(&st, ret, f);
	filter_free(flt);
	return r;
}

/* The end of the report without a word means that the exec succeeded. */
int child_exec(const struct setup *s, struct child *c, struct failure *f)
{
	char report[REPORT_MAX + 1];
	int err = 0, r = fd_write_all(c->go, "g", 1);
	ssize_t n = r < 0 ? r : fd_read_full(c->report, report, REPORT_MAX);

	child_close(c);
	if (n < 0)
		return fail(f, (int)-n, "the command's process is gone: %s", strerror((int)-n));
	report[n] = '\0';
	if (n == 0)
		return 0;
	if (sscanf(report, "exec %d", &err) != 1)
		return fail(f, EPROTO, "the command's process said what was not expected");
	f->code = err == ENOENT ? RUN_EXIT_NOTFOUND : RUN_EXIT_NOEXEC;
	return fail(f, err, "%s: %s", s->argv[0],
		    err == ENOENT ? "command not found" : strerror(err));
}
