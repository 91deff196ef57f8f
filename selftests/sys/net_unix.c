// SPDX-License-Identifier: Apache-2.0
/*
 * Rows N25-N32: AF_UNIX towards processes outside, and sockets that come from there.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net.h"

#define SECOND_FD 50

/* A name beginning with '@' is abstract. */
static struct address unix_address(const char *name)
{
	struct address a = {0};
	struct sockaddr_un *u = (struct sockaddr_un *)&a.ss;

	u->sun_family = AF_UNIX;
	(void)snprintf(u->sun_path, sizeof(u->sun_path), "%s", name);
	a.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(u->sun_path));
	if (u->sun_path[0] == '@')
		u->sun_path[0] = 0;
	else
		a.len++;
	return a;
}

/* A receiving socket of this row's own under this name; it stays open. */
static void serve_here(const char *name, int type)
{
	struct address a = unix_address(name);
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	if (name[0] != '@')
		(void)unlink(name);
	if (fd >= 0 && bind(fd, (struct sockaddr *)&a.ss, a.len) == 0 && type != SOCK_DGRAM)
		(void)listen(fd, 8); /* the connect that follows tells */
}

/* The server's name for this row: outside it is the plan's, for the twin one of our own. */
static const char *server(struct ctx *c, const char *key, int type)
{
	static char name[108];

	if (!c->twin)
		return setting(key);
	const char *outside = setting(key);
	if (outside && outside[0] == '@')
		(void)snprintf(name, sizeof(name), "@pf-own-%d-%d", getpid(), type);
	else
		(void)snprintf(name, sizeof(name), "/proc/self/fd/%d/u%d", c->own, type);
	serve_here(name, type);
	return name;
}

static long connect_unix(struct ctx *c, const char *name, int type)
{
	struct address a = unix_address(name ? name : "");
	const char *text = tag(c);
	int fd = (int)go_socket(c, AF_UNIX, type, 0);

	if (fd < 0)
		return fd;
	long r = go_connect(c, fd, &a.ss, a.len);
	if (r >= 0)
		r = rc_of(send(fd, text, strlen(text), MSG_NOSIGNAL));
	close(fd);
	return r;
}

static void n25_stream_path(struct ctx *c)
{
	char through_root[108];

	say(c, "pathname", connect_unix(c, server(c, "unix-stream", SOCK_STREAM), SOCK_STREAM));
	if (!c->twin) {
		(void)snprintf(through_root, sizeof(through_root), "/proc/self/root%s",
			       setting("unix-stream"));
		say(c, "proc-root", connect_unix(c, through_root, SOCK_STREAM));
	}
	say(c, "seqpacket",
	    connect_unix(c, server(c, "unix-seqpacket", SOCK_SEQPACKET), SOCK_SEQPACKET));
}

static void n26_stream_abstract(struct ctx *c)
{
	say(c, "abstract", connect_unix(c, server(c, "abstract-stream", SOCK_STREAM), SOCK_STREAM));
}

static void n27_dgram_send(struct ctx *c)
{
	struct address a = unix_address(server(c, "unix-dgram", SOCK_DGRAM));

	say(c, "pathname", send_to(c, (int)go_socket(c, AF_UNIX, SOCK_DGRAM, 0), &a, 0));
	a = unix_address(server(c, "abstract-dgram", SOCK_DGRAM));
	say(c, "abstract", send_to(c, (int)go_socket(c, AF_UNIX, SOCK_DGRAM, 0), &a, 0));
}

static void n28_dgram_connect(struct ctx *c)
{
	say(c, "pathname", connect_unix(c, server(c, "unix-dgram", SOCK_DGRAM), SOCK_DGRAM));
	say(c, "abstract", connect_unix(c, server(c, "abstract-dgram", SOCK_DGRAM), SOCK_DGRAM));
}

/* --- sockets handed over --- */

static long hand_out(struct ctx *c, int fd)
{
	char answer[64];
	int lfd = unix_listener(c);

	if (lfd < 0)
		return lfd;
	if (ask_outside(answer, sizeof(answer), "take %s/s", c->own_path) < 0)
		return -EPIPE;
	if (strcmp(answer, "ok") != 0)
		return -ECONNREFUSED; /* nobody outside could connect to us */
	int sock = (int)rc_of(accept(lfd, NULL, NULL));
	if (sock < 0)
		return sock;
	int r = send_fd(sock, fd);
	close(sock);
	if (ask_outside(answer, sizeof(answer), "taken") < 0)
		return -EPIPE;
	return !strcmp(answer, "got") ? 0 : r < 0 ? r : -EACCES;
}

static void n29_pair_out(struct ctx *c)
{
	int pair[2], own[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, own) < 0) {
		say_word(c, "socketpair", "no-pair");
		return;
	}
	if (!c->twin) {
		say(c, "socketpair", hand_out(c, pair[0]));
		return;
	}
	long r = send_fd(own[0], pair[0]);
	say(c, "socketpair", r < 0 ? r : receive_fd(own[1]));
}

static int connected_to(struct ctx *c, const struct address *to)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)c;
	return connect(fd, (const struct sockaddr *)&to->ss, to->len) < 0 ? -errno : fd;
}

static void say_send(struct ctx *c, const char *sub, int fd)
{
	const char *text = tag(c);

	say(c, sub, rc_of(send(fd, text, strlen(text), MSG_NOSIGNAL)));
}

static void n30_received_socket(struct ctx *c)
{
	int pair[2];
	int fd;

	if (c->twin) {
		struct address to = peer(c, AF_INET, SOCK_STREAM);
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
			return;
		int own = connected_to(c, &to);
		fd = own < 0 ? own : send_fd(pair[0], own);
		if (fd >= 0)
			fd = receive_fd(pair[1]);
	} else {
		fd = from_outside(c, "tcp");
	}
	if (fd < 0)
		say_word(c, "send", fd == -ECONNABORTED ? "nofd" : strerrorname_np(-fd));
	else
		say_send(c, "send", fd);
}

static long steal(struct ctx *c, pid_t pid, int number)
{
	const char *text = tag(c);
	int pidfd = (int)rc_of(syscall(SYS_pidfd_open, pid, 0));

	if (pidfd < 0)
		return pidfd;
	int fd = (int)rc_of(syscall(SYS_pidfd_getfd, pidfd, number, 0));
	close(pidfd);
	if (fd < 0)
		return fd;
	return c->twin ? fd : rc_of(send(fd, text, strlen(text), MSG_NOSIGNAL));
}

static void n31_pidfd_getfd(struct ctx *c)
{
	const char *holder = setting("holder");

	if (!c->twin) {
		pid_t pid = holder ? (pid_t)strtol(holder, NULL, 10) : 0;
		say(c, "holder", steal(c, pid, inherited_fd("N31")));
		if (c->mode[0] == 's')
			say(c, "init", steal(c, 1, 3));
		return;
	}
	pid_t child = fork_again();
	if (child == 0) {
		(void)pause();
		_exit(0);
	}
	say(c, "holder", steal(c, child, STDOUT_FILENO));
	(void)kill(child, SIGKILL);
	(void)waitpid(child, NULL, 0);
}

static void n32_inherited(struct ctx *c)
{
	int fd = inherited_fd("N32");
	int lfd = fd + SECOND_FD;

	if (c->twin) {
		struct address to = peer(c, AF_INET, SOCK_STREAM);
		fd = connected_to(c, &to);
		lfd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		to = address_of("127.0.0.1", 0);
		(void)bind(lfd, (struct sockaddr *)&to.ss, to.len);
	}
	say_send(c, "send", fd);
	say(c, "write", rc_of(write(fd, tag(c), strlen(tag(c)))));
	say(c, "listen", go_listen(c, lfd));
}

const struct row net_unix_rows[] = {
	{"N25", n25_stream_path},   {"N26", n26_stream_abstract}, {"N27", n27_dgram_send},
	{"N28", n28_dgram_connect}, {"N29", n29_pair_out},	  {"N30", n30_received_socket},
	{"N31", n31_pidfd_getfd},   {"N32", n32_inherited},	  {0}};
