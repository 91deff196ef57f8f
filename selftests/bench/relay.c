/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The peer that a gateway is measured against: moves bytes between a client and a server and looks
 * at none. One thread, epoll, level-triggered. usage: relay LISTEN_PORT SERVER_PORT (both on
 * 127.0.0.1)
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/fd.h"

#define CHUNK 65536
#define EVENTS 64

/* One end of a pair: what it has sent us and the other end has not taken yet. */
struct end {
	int fd;
	struct end *other;
	struct buf pending;
};

static int ep;

static int watch(struct end *e, uint32_t events, int op)
{
	struct epoll_event ev = {.events = events, .data.ptr = e};

	return epoll_ctl(ep, op, e->fd, &ev);
}

static struct sockaddr_in local(const char *port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_port = htons((uint16_t)atoi(port)),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static struct end *end_make(int fd)
{
	const int on = 1;
	struct end *e = calloc(1, sizeof(*e));

	if (!e || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
	    fd_set_nonblock(fd) < 0)
		return NULL;
	e->fd = fd;
	return e;
}

static int pair_make(int client, const char *server_port)
{
	struct sockaddr_in sin = local(server_port);
	int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (server < 0 || connect(server, (struct sockaddr *)&sin, sizeof(sin)) < 0)
		return -errno;
	struct end *a = end_make(client), *b = end_make(server);

	if (!a || !b)
		return -ENOMEM;
	a->other = b;
	b->other = a;
	return watch(a, EPOLLIN, EPOLL_CTL_ADD) < 0 || watch(b, EPOLLIN, EPOLL_CTL_ADD) < 0 ? -errno
											    : 0;
}

static void pair_free(struct end *e)
{
	struct end *ends[] = {e, e->other};

	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		close(ends[i]->fd);
		buf_free(&ends[i]->pending);
		ends[i]->fd = -1;
	}
}

/* Send what e has pending to its other end; read on when all is gone, else wait for room. */
static int push(struct end *e)
{
	while (buf_len(&e->pending) > 0) {
		ssize_t n = send(e->other->fd, buf_ptr(&e->pending), buf_len(&e->pending),
				 MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			return watch(e, 0, EPOLL_CTL_MOD) < 0 || watch(e->other, EPOLLIN | EPOLLOUT,
								       EPOLL_CTL_MOD) < 0
				       ? -errno
				       : 1;
		if (n < 0)
			return -errno;
		buf_consume(&e->pending, (size_t)n);
	}
	return 0;
}

static int pull(struct end *e)
{
	if (buf_reserve(&e->pending, CHUNK) < 0)
		return -ENOMEM;
	ssize_t n = recv(e->fd, e->pending.data + e->pending.tail, CHUNK, 0);

	if (n <= 0)
		return n < 0 && errno == EAGAIN ? 0 : -EPIPE;
	buf_commit(&e->pending, (size_t)n);
	return push(e);
}

static int on_event(struct end *e, uint32_t events)
{
	int r = 0;

	if (events & EPOLLOUT) {
		r = push(e->other);
		if (r == 0 && (watch(e, EPOLLIN, EPOLL_CTL_MOD) < 0 ||
			       watch(e->other, EPOLLIN, EPOLL_CTL_MOD) < 0))
			r = -errno;
	}
	if (r >= 0 && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		r = pull(e);
	return r;
}

static int listener_make(const char *port)
{
	const int on = 1;
	struct sockaddr_in sin = local(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, (struct sockaddr *)&sin, sizeof(sin)) < 0 || listen(fd, 1024) < 0)
		return -errno;
	return fd;
}

int main(int argc, char **argv)
{
	struct epoll_event evs[EVENTS];
	struct end listener = {.fd = argc == 3 ? listener_make(argv[1]) : -1};

	ep = epoll_create1(EPOLL_CLOEXEC);
	if (listener.fd < 0 || ep < 0 || watch(&listener, EPOLLIN, EPOLL_CTL_ADD) < 0) {
		fputs("usage: relay LISTEN_PORT SERVER_PORT\n", stderr);
		return 2;
	}
	for (;;) {
		int n = epoll_wait(ep, evs, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			struct end *e = evs[i].data.ptr;

			if (e == &listener)
				(void)pair_make(accept4(listener.fd, NULL, NULL, SOCK_CLOEXEC),
						argv[2]);
			else if (e->fd >= 0 && on_event(e, evs[i].events) < 0)
				pair_free(e);
		}
	}
}
