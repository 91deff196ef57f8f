/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pid 1 while the command runs: reaps, passes signals from the CLI on, tells it of stops and of the
 * end. It needs neither the daemon nor, once the grace is over, the CLI.
 */
#include "init/init.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"

/* What processes have left to end in, after the terminal or the CLI has gone. */
#define HANGUP_GRACE_MS 5000

struct server {
	const struct pty *pty;
	pid_t pid;	     /* the command; also its process group */
	int64_t deadline_ms; /* CLOCK_MONOTONIC; 0 = none */
	struct held held[HOLD_SLOTS];
	bool cli_gone;
	bool ended;
	int status; /* of waitpid, once ended */
};

static int64_t now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* The CLI may be gone: nothing here depends on it. */
static void tell_cli(struct server *sv, json_t *obj)
{
	if (sv->cli_gone) {
		json_decref(obj);
		return;
	}
	msg_tell(INIT_FD_RUN, obj);
}

static void reap(struct server *sv)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
		if (pid != sv->pid)
			continue;
		if (WIFSTOPPED(status)) {
			tell_cli(sv, json_pack("{s:i}", "stopped", WSTOPSIG(status)));
			continue;
		}
		sv->ended = true;
		sv->status = status;
	}
}

static pid_t foreground(const struct server *sv)
{
	pid_t group = sv->pty->slave >= 0 ? tcgetpgrp(sv->pty->slave) : -1;

	return group > 1 ? group : sv->pid;
}

static void send_signal(struct server *sv, int sig)
{
	if (sig > 0 && sig < NSIG)
		(void)kill(-foreground(sv), sig); /* gone already: the end is being reaped */
}

static void cli_lost(struct server *sv)
{
	sv->cli_gone = true;
	sv->deadline_ms = now_ms() + HANGUP_GRACE_MS;
	send_signal(sv, SIGHUP);
	send_signal(sv, SIGCONT);
}

static void hear_cli(struct server *sv)
{
	json_t *msg = NULL;
	int r = msg_recv(INIT_FD_RUN, RUN_MSG_MAX, &msg);

	if (r == -EBADMSG || r == -EMSGSIZE || r == -ENOMEM)
		return; /* not understood: not acted upon */
	if (r < 0) {
		cli_lost(sv);
		return;
	}
	if (json_is_true(json_object_get(msg, "cont")))
		(void)kill(-sv->pid, SIGCONT);
	else
		send_signal(sv, (int)json_integer_value(json_object_get(msg, "signal")));
	json_decref(msg);
}

static void tell_end(struct server *sv)
{
	bool signaled = WIFSIGNALED(sv->status);
	int value = signaled ? WTERMSIG(sv->status) : WEXITSTATUS(sv->status);

	(void)dprintf(INIT_FD_END, "%s %d\n", signaled ? "signal" : "exited", value);
	tell_cli(sv, json_pack("{s:i}", signaled ? "signaled" : "exited", value));
}

static int wait_ms(const struct server *sv)
{
	if (sv->deadline_ms == 0)
		return -1;
	int64_t left = sv->deadline_ms - now_ms();

	return left > 0 ? (int)left : 0;
}

void serve(const struct setup *s, const struct pty *pty, pid_t pid)
{
	struct server sv = {.pty = pty, .pid = pid};
	sigset_t chld;

	(void)s;
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	__cleanup_fd int sfd = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
	struct pollfd fds[] = {{.fd = sfd, .events = POLLIN},
			       {.fd = INIT_FD_RUN, .events = POLLIN},
			       {.fd = HOLD_FD_OUT, .events = POLLIN}};

	/* The command may have ended before the signalfd was there. */
	for (reap(&sv); !sv.ended; reap(&sv)) {
		struct signalfd_siginfo si;

		if (sv.deadline_ms && wait_ms(&sv) == 0) {
			(void)dprintf(INIT_FD_END, "hangup\n");
			return;
		}
		fds[1].fd = sv.cli_gone ? -1 : INIT_FD_RUN;
		if (poll(fds, ARRAY_LEN(fds), wait_ms(&sv)) < 0)
			continue;
		if (fds[0].revents && read(sfd, &si, sizeof(si)) < 0)
			continue;
		if (fds[1].revents)
			hear_cli(&sv);
		if (fds[2].revents && hold_recv(sv.held) < 0) {
			(void)dprintf(INIT_FD_END, "rules\n");
			return;
		}
	}
	tell_end(&sv);
}
