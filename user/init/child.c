/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command's process: forked from pid 1, stripped of everything, then exec'd by way of the
 * probe, which is where the kernel makes it an agent.
 */
#include "init/init.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
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

/* Descriptors of the probe besides 0-2; it closes the report on exec. */
enum { PROBE_FD_REPORT = 3, PROBE_FD_SELF = 4 };

/* Longest report: one line per act of the probe, and room to spare. */
#define REPORT_MAX 4096

static int set_limits(const struct setup *s)
{
	rlim_t files = s->max_files ? s->max_files : FILES_DEFAULT;
	const struct rlimit core = {0, 0}, nofile = {files, files};

	if (setrlimit(RLIMIT_CORE, &core) < 0 || setrlimit(RLIMIT_NOFILE, &nofile) < 0)
		return -errno;
	return 0;
}

/* Descriptors: 0-2, the report and the probe. The numbers of the sources are all above these. */
static int set_descriptors(const struct setup *s, const struct pty *pty, int report)
{
	int fds[] = {INIT_FD_STDIO, INIT_FD_STDIO + 1, INIT_FD_STDIO + 2, report, INIT_FD_PROBE};

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
	if (syscall(SYS_close_range, PROBE_FD_SELF + 1, ~0U, 0) < 0)
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

static int exec_probe(char *const argv[], char *const env[])
{
	(void)syscall(SYS_execveat, PROBE_FD_SELF, "", argv, env, AT_EMPTY_PATH);
	return -errno;
}

/* What the kernel side alone must refuse: root's rights, no filter. Never returns on success. */
static int run_kernel_acts(int report)
{
	char *argv[] = {"pinfold-probe", "kernel", NULL}, *env[] = {NULL};
	static const struct setup nothing;
	static const struct pty no_pty = {-1, -1};
	int r = set_descriptors(&nothing, &no_pty, report);

	return r < 0 ? r : exec_probe(argv, env);
}

static int run_command(const struct setup *s, const struct pty *pty, const struct filter *flt,
		       int report)
{
	int r = set_group(pty);

	if (r == 0)
		r = set_limits(s);
	if (r == 0)
		r = set_descriptors(s, pty, report);
	if (r == 0)
		r = priv_become(s);
	if (r < 0)
		return r;
	if (chdir(s->cwd) < 0) {
		r = -errno;
		(void)dprintf(PROBE_FD_REPORT, "cwd %d\n", -r);
		return r;
	}
	(void)umask(s->umask);
	reset_signals();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	r = filter_load(flt);
	return r < 0 ? r : exec_probe(s->argv, s->env);
}

/*
 * Fork one of the two above and read what it reports. "ok" and then the end means that all was
 * refused and, for the command, that its exec succeeded.
 */
struct stage {
	const struct setup *s;
	const struct pty *pty;
	const struct filter *flt; /* NULL: the kernel's acts */
};

static int fork_stage(const struct stage *st, pid_t *ret_pid, char report[REPORT_MAX + 1])
{
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	pid_t pid = fork();

	if (pid == 0) {
		int r = st->flt ? run_command(st->s, st->pty, st->flt, p[1])
				: run_kernel_acts(p[1]);

		(void)dprintf(p[1], "start %d\n", -r);
		_exit(RUN_EXIT_PINFOLD);
	}
	close(p[1]);
	ssize_t n = pid < 0 ? -errno : fd_read_full(p[0], report, REPORT_MAX);

	close(p[0]);
	if (n < 0)
		return (int)n;
	report[n] = '\0';
	*ret_pid = pid;
	return 0;
}

/* One line that the probe or run_command() left instead of, or after, "ok". */
static int judge(const struct setup *s, const char *report, struct failure *f)
{
	int err = 0;
	const char *rest = strncmp(report, "ok\n", 3) == 0 ? report + 3 : report;

	if (rest != report && *rest == '\0')
		return 0;
	if (sscanf(rest, "exec %d", &err) == 1) {
		f->code = err == ENOENT ? RUN_EXIT_NOTFOUND : RUN_EXIT_NOEXEC;
		return fail(f, err, "%s: %s", s->argv[0],
			    err == ENOENT ? "command not found" : strerror(err));
	}
	if (sscanf(rest, "cwd %d", &err) == 1)
		return fail(f, err,
			    "cannot enter %s inside the session: %s. /tmp, /var/tmp and /run are "
			    "the session's own: name the directory in files.read or files.write",
			    s->cwd, strerror(err));
	if (sscanf(rest, "start %d", &err) == 1)
		return fail(f, err, "cannot start the command's process: %s", strerror(err));
	return fail(f, EPERM, "the session does not hold, so nothing was started in it: %s",
		    *rest ? rest : "the probe ended without a report");
}

static int try_kernel(const struct setup *s, const struct pty *pty, struct failure *f)
{
	const struct stage st = {.s = s, .pty = pty};
	char report[REPORT_MAX + 1];
	pid_t pid;
	int status, r = fork_stage(&st, &pid, report);

	if (r < 0)
		return fail(f, -r, "cannot start the probe: %s", strerror(-r));
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return judge(s, report, f);
}

int child_start(const struct setup *s, struct pty *pty, pid_t *ret_pid, struct failure *f)
{
	struct stage st = {.s = s, .pty = pty};
	struct filter *flt = NULL;
	char report[REPORT_MAX + 1];
	int r = try_kernel(s, pty, f);

	if (r < 0)
		return r;
	r = filter_make(&flt);
	if (r < 0)
		return fail(f, -r, "cannot make the system call filter: %s", strerror(-r));
	st.flt = flt;
	r = fork_stage(&st, ret_pid, report);
	filter_free(flt);
	if (r < 0)
		return fail(f, -r, "cannot start the command's process: %s", strerror(-r));
	return judge(s, report, f);
}
