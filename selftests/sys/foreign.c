// SPDX-License-Identifier: Apache-2.0
/*
 * Descriptors that a process did not open itself: inherited over exec, or received over a unix
 * socket from a process outside.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "attempt.h"

#define ANSWER_MS 10000

int receive_fd(int sock)
{
	char byte;
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {&byte, 1};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control.room,
			   .msg_controllen = sizeof(control.room)};
	struct pollfd p = {sock, POLLIN, 0};

	if (poll(&p, 1, ANSWER_MS) != 1)
		return -ETIMEDOUT;
	if (recvmsg(sock, &m, MSG_CMSG_CLOEXEC) < 0)
		return -errno;
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	if (!h || h->cmsg_type != SCM_RIGHTS || h->cmsg_len != CMSG_LEN(sizeof(int)))
		return -ECONNABORTED;
	int fd;
	memcpy(&fd, CMSG_DATA(h), sizeof(fd));
	return fd;
}

int unix_listener(struct ctx *c)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int n = snprintf(a.sun_path, sizeof(a.sun_path), "%s/s", c->own_path);

	if (n < 0 || (size_t)n >= sizeof(a.sun_path))
		return -ENAMETOOLONG;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	(void)unlink(a.sun_path); /* from the other run of the row, if there was one */
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 4) < 0) {
		int r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

int from_outside(struct ctx *c, const char *what)
{
	char answer[64];
	int lfd = unix_listener(c);

	if (lfd < 0)
		return lfd;
	int r = ask_outside(answer, sizeof(answer), "give %s/s %s", c->own_path, what);
	if (!r && strcmp(answer, "ok") != 0)
		r = -ECONNABORTED; /* the process outside could not even connect or send */
	int sock = r ? r : (int)rc_of(accept(lfd, NULL, NULL));
	close(lfd);
	if (sock < 0)
		return sock;
	int fd = receive_fd(sock);
	close(sock);
	return fd;
}

/* Hand a descriptor to ourselves: what a session may do with its own. */
static int through_pair(int fd)
{
	int pair[2];

	if (fd < 0)
		return fd;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	int r = send_fd(pair[0], fd);
	int got = r < 0 ? r : receive_fd(pair[1]);
	close(pair[0]);
	close(pair[1]);
	close(fd);
	return got;
}

int foreign_file(struct ctx *c, int flags)
{
	char what[PATH_MAX + 16];

	if (c->twin) {
		int fd = (int)rc_of(open("file", flags | O_CLOEXEC));
		return c->way == WAY_SCM ? through_pair(fd) : fd;
	}
	if (c->way == WAY_INHERIT)
		return inherited_fd(c->row);
	if (c->way == WAY_SCM) {
		(void)snprintf(what, sizeof(what), "file %s/file", c->target_path);
		return from_outside(c, what);
	}
	return (int)rc_of(open("file", flags | O_CLOEXEC));
}
