/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other end of "pinfold run" for tests of the relay alone: answers the control socket and the
 * run channel as pinfoldd and pinfold-init do, but runs the command without any confinement. What
 * it takes and sends is real (terminals, pipes, signals); what a session is, the system tests show.
 *
 * usage: relay_peer SOCKET DENIED   (serves until it is killed; DENIED goes into each summary)
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "ctl/ctl.h"

static int say(int channel, json_t *body, const int *fd)
{
	__cleanup_free char *text = json_dumps(body, JSON_COMPACT);

	json_decref(body);
	return fd_send_msg(channel, text, strlen(text), fd, fd ? 1 : 0);
}

static char **strings(const json_t *list)
{
	char **v = calloc(json_array_size(list) + 1, sizeof(*v));

	for (size_t i = 0; v && i < json_array_size(list); i++)
		v[i] = strdup(json_string_value(json_array_get(list, i)));
	return v;
}

/* In the child: its own terminal where the caller had one, then the command. */
static void run_command(const struct ctl_run *run, const int *fds, int slave)
{
	const bool tty[3] = {run->tty.in, run->tty.out, run->tty.err};
	sigset_t none;

	setpgid(0, 0);
	if (slave >= 0)
		tcsetpgrp(slave, getpid());
	signal(SIGTTOU, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int i = 0; i < 3; i++)
		dup2(run->has_tty && tty[i] ? slave : fds[i], i);
	char **argv = strings(run->argv), **env = strings(run->env);

	close_range(3, ~0u, 0);
	if (chdir(run->cwd) == 0)
		execvpe(argv[0], argv, env);
	_exit(errno == ENOENT ? 127 : 126);
}

static int open_terminal(const struct ctl_run *run, int channel, int *ret_slave)
{
	struct winsize size = {.ws_row = (unsigned short)run->tty.rows,
			       .ws_col = (unsigned short)run->tty.cols};
	int master;

	if (!run->has_tty)
		return 0;
	if (openpty(&master, ret_slave, NULL, NULL, &size) < 0)
		return -errno;
	int r = say(channel, json_pack("{s:b}", "pty", 1), &master);

	close(master);
	return r;
}

static void to_foreground(int slave, pid_t child, int sig)
{
	pid_t group = slave >= 0 ? tcgetpgrp(slave) : -1;

	kill(group > 0 ? -group : -child, sig);
}

/* One message of the caller; false: it went away. */
static bool take_message(int channel, int slave, pid_t child)
{
	char text[512];
	ssize_t n = fd_recv_msg(channel, text, sizeof(text), NULL, NULL);

	if (n <= 0) {
		kill(-child, SIGHUP);
		return false;
	}
	json_t *m = json_loadb(text, (size_t)n, 0, NULL);
	int sig = (int)json_integer_value(json_object_get(m, "signal"));

	if (sig > 0)
		to_foreground(slave, child, sig);
	if (json_object_get(m, "cont"))
		kill(-child, SIGCONT);
	json_decref(m);
	return true;
}

/* What became of the child; true: it ended. */
static bool reap(int channel, pid_t child)
{
	int status;
	bool ended = false;

	while (waitpid(child, &status, WUNTRACED | WNOHANG) > 0) {
		json_t *m;

		if (WIFSTOPPED(status))
			m = json_pack("{s:i}", "stopped", WSTOPSIG(status));
		else if (WIFSIGNALED(status))
			m = json_pack("{s:i}", "signaled", WTERMSIG(status));
		else
			m = json_pack("{s:i}", "exited", WEXITSTATUS(status));
		ended = !WIFSTOPPED(status);
		if (say(channel, m, NULL) < 0)
			return true;
	}
	return ended;
}

static void supervise(int channel, int slave, pid_t child)
{
	struct signalfd_siginfo info;
	sigset_t chld;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	__cleanup_fd int sfd = signalfd(-1, &chld, SFD_CLOEXEC);

	for (bool open = true;;) {
		struct pollfd p[] = {{.fd = open ? channel : -1, .events = POLLIN},
				     {.fd = sfd, .events = POLLIN}};

		if (poll(p, 2, -1) < 0)
			return;
		if (p[0].revents)
			open = take_message(channel, slave, child);
		if (p[1].revents && read(sfd, &info, sizeof(info)) > 0 && reap(channel, child))
			return;
	}
}

/* In a process per session, as init is one. */
static int serve_session(int sock, struct ctl_request *req)
{
	struct ctl_run run;
	struct ctl_err err;
	int channel = req->fds[CTL_RUN_CHANNEL];
	__cleanup_fd int slave = -1;

	if (ctl_run_decode(req, &run, &err) < 0) {
		fprintf(stderr, "relay_peer: %s\n", err.text);
		return 1;
	}
	if (open_terminal(&run, channel, &slave) < 0)
		return 1;
	/*
	 * As a shell: leader of the session, the command in a group of its own. A group whose
	 * parent is of another session is orphaned, and the kernel drops its ^Z.
	 */
	setsid();
	signal(SIGTTOU, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	if (slave >= 0)
		ioctl(slave, TIOCSCTTY, 0);
	if (say(channel, json_pack("{s:{}}", "started"), NULL) < 0)
		return 1;
	pid_t child = fork();

	if (child == 0)
		run_command(&run, req->fds, slave);
	if (child > 0)
		setpgid(child, child);
	for (int i = 0; i < 3; i++)
		fd_close(&req->fds[i]);
	json_t *reply = json_pack("{s:s}", "session", "abcd2345");

	if (child < 0 || ctl_reply_send(sock, reply, false) < 0)
		return 1;
	json_decref(reply);
	supervise(channel, slave, child);
	return 0;
}

static int serve(int sock, int denied)
{
	__cleanup_ctl_request struct ctl_request req = CTL_REQUEST_INIT;
	struct ctl_err err;

	if (ctl_request_recv(sock, &req, &err) <= 0)
		return 1;
	if (req.cmd == CTL_RUN)
		return serve_session(sock, &req);
	json_t *reply = json_pack("{s:i, s:{s:i, s:i}, s:s}", "denied", denied, "statements",
				  "allow", 3, "deny", denied ? 1 : 0, "reason", "exited");
	int r = ctl_reply_send(sock, reply, false);

	json_decref(reply);
	return r < 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	sigset_t chld;

	if (argc != 3 || strlen(argv[1]) + 1 >= sizeof(addr.sun_path))
		return 2;
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s~", argv[1]);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	__cleanup_fd int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	/* who sees the name can connect */
	if (bind(listener, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(listener, 8) < 0 ||
	    rename(addr.sun_path, argv[1]) < 0)
		return 1;
	for (;;) {
		__cleanup_fd int sock = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (sock < 0)
			return 1;
		if (fork() == 0) {
			close(listener);
			_exit(serve(sock, atoi(argv[2])));
		}
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
}
