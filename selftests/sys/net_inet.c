// SPDX-License-Identifier: Apache-2.0
/*
 * Rows N01-N11, N33-N36: TCP and UDP, to places that are not an endpoint of the session, and
 * listening for those who come in.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "net.h"

#define CONNECT_SECONDS 3
#define NOBODY_MS 200

struct address address_of(const char *ip, unsigned int port)
{
	struct address a = {.len = sizeof(struct sockaddr_in)};
	struct sockaddr_in *v4 = (struct sockaddr_in *)&a.ss;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&a.ss;

	if (inet_pton(AF_INET, ip, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
	} else {
		(void)inet_pton(AF_INET6, ip, &v6->sin6_addr); /* the plan's own texts */
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
		a.len = sizeof(*v6);
	}
	return a;
}

static unsigned int victim_port(void)
{
	const char *port = setting("port");

	return port ? (unsigned int)strtoul(port, NULL, 10) : 0;
}

static unsigned int port_of(const struct address *a)
{
	return ntohs(a->ss.ss_family == AF_INET ? ((const struct sockaddr_in *)&a->ss)->sin_port
						: ((const struct sockaddr_in6 *)&a->ss)->sin6_port);
}

static struct address loopback_peer(int family, int type)
{
	struct address a = address_of(family == AF_INET ? "127.0.0.1" : "::1", 0);
	int fd = socket(family, type | SOCK_CLOEXEC, 0);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&a.ss, a.len) == 0 && type == SOCK_STREAM)
		(void)listen(fd, 8); /* the connect that follows tells */
	(void)getsockname(fd, (struct sockaddr *)&a.ss, &a.len);
	return a;
}

struct address peer(struct ctx *c, int family, int type)
{
	if (c->twin)
		return loopback_peer(family, type);
	return address_of(setting(family == AF_INET ? "v4" : "v6"), victim_port());
}

struct address mapped_peer(struct ctx *c, int type)
{
	struct address a = peer(c, AF_INET, type);
	char text[64];

	(void)snprintf(text, sizeof(text), "::ffff:%s", c->twin ? "127.0.0.1" : setting("v4"));
	return address_of(text, port_of(&a));
}

static int with_timeout(int fd)
{
	const struct timeval t = {.tv_sec = CONNECT_SECONDS};

	if (fd >= 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
	return fd;
}

static long connect_and_tell(struct ctx *c, int fd, const struct address *to)
{
	long r = go_connect(c, fd, &to->ss, to->len);

	if (r >= 0) {
		const char *text = tag(c);
		r = rc_of(send(fd, text, strlen(text), MSG_NOSIGNAL));
	}
	return r;
}

long dial(struct ctx *c, int protocol, const struct address *to)
{
	int fd = with_timeout((int)go_socket(c, to->ss.ss_family, SOCK_STREAM, protocol));

	if (fd < 0)
		return fd;
	long r = connect_and_tell(c, fd, to);
	close(fd);
	return r;
}

long send_to(struct ctx *c, int fd, const struct address *to, int flags)
{
	struct sockaddr_storage ss = to->ss;
	const char *text = tag(c);
	struct iovec iov = {(void *)text, strlen(text)};
	struct msghdr m = {
		.msg_name = &ss, .msg_namelen = to->len, .msg_iov = &iov, .msg_iovlen = 1};

	long r = go_sendmsg(c, fd, &m, flags | MSG_NOSIGNAL);
	/* io_uring does not wait for the connection that is to carry the data. */
	if (r == -EINPROGRESS && flags & MSG_FASTOPEN)
		r = rc_of(send(fd, text, strlen(text), MSG_NOSIGNAL));
	return r;
}

static int udp(struct ctx *c, int family)
{
	return (int)go_socket(c, family, SOCK_DGRAM, 0);
}

static void n01_tcp4(struct ctx *c)
{
	struct address to = peer(c, AF_INET, SOCK_STREAM);

	say(c, "connect", dial(c, 0, &to));
}

static void n02_tcp6(struct ctx *c)
{
	struct address to = peer(c, AF_INET6, SOCK_STREAM);

	say(c, "connect", dial(c, 0, &to));
}

static void n03_mapped(struct ctx *c)
{
	struct address to = mapped_peer(c, SOCK_STREAM);

	say(c, "connect", dial(c, 0, &to));
}

/* The endpoint's address as the session knows it; outside there is a stand-in. */
static int endpoint(struct ctx *c, struct address *ret_to)
{
	struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;

	if (c->mode[0] != 's') {
		*ret_to = address_of(setting("v4"), 5432);
		return 0;
	}
	if (getaddrinfo(setting("endpoint"), "5432", &hints, &found) != 0)
		return -ENOENT;
	ret_to->len = found->ai_addrlen;
	memcpy(&ret_to->ss, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	return 0;
}

static void n04_near_misses(struct ctx *c)
{
	struct address to;
	struct address other = address_of(setting("v4"), 5432);

	if (endpoint(c, &to) < 0) {
		say_word(c, "other-port", "no-endpoint");
		return;
	}
	if (c->twin) {
		if (c->mode[0] == 'l') /* the gate is in another network namespace */
			return;
		say(c, "other-port", dial(c, 0, &to));
		say(c, "other-host", dial(c, 0, &to));
		return;
	}
	((struct sockaddr_in *)&to.ss)->sin_port = htons(5433);
	say(c, "other-port", dial(c, 0, &to));
	say(c, "other-host", dial(c, 0, &other));
}

static void n05_udp_connect(struct ctx *c)
{
	struct address to = peer(c, AF_INET, SOCK_DGRAM);
	struct address to6 = peer(c, AF_INET6, SOCK_DGRAM);

	say(c, "v4", connect_and_tell(c, udp(c, AF_INET), &to));
	say(c, "v6", connect_and_tell(c, udp(c, AF_INET6), &to6));
}

static long by_sendmmsg(struct ctx *c, int fd, struct address *to)
{
	const char *text = tag(c);
	struct iovec iov = {(void *)text, strlen(text)};
	struct mmsghdr m[2] = {{.msg_hdr = {.msg_name = &to->ss,
					    .msg_namelen = to->len,
					    .msg_iov = &iov,
					    .msg_iovlen = 1}}};

	m[1] = m[0];
	return rc_of(sendmmsg(fd, m, 2, 0));
}

static void n06_udp_unconnected(struct ctx *c)
{
	struct address to = peer(c, AF_INET, SOCK_DGRAM);
	struct address to6 = peer(c, AF_INET6, SOCK_DGRAM);
	const char *text = tag(c);
	int fd = udp(c, AF_INET);

	say(c, "sendmsg", send_to(c, fd, &to, 0));
	say(c, "sendmsg6", send_to(c, udp(c, AF_INET6), &to6, 0));
	if (c->way == WAY_URING)
		return;
	say(c, "sendto",
	    rc_of(sendto(fd, text, strlen(text), 0, (struct sockaddr *)&to.ss, to.len)));
	say(c, "sendmmsg", by_sendmmsg(c, fd, &to));
	say(c, "empty", rc_of(sendto(fd, text, 0, 0, (struct sockaddr *)&to.ss, to.len)));
}

static void n07_udp6_to_v4(struct ctx *c)
{
	struct address mapped = mapped_peer(c, SOCK_DGRAM);
	struct address plain = peer(c, AF_INET, SOCK_DGRAM);
	int fd = udp(c, AF_INET6);

	say(c, "mapped", send_to(c, fd, &mapped, 0));
	say(c, "sockaddr-in", send_to(c, fd, &plain, 0));
	say(c, "mapped-connect", connect_and_tell(c, udp(c, AF_INET6), &mapped));
}

static void n08_udp_unspec(struct ctx *c)
{
	struct address to = peer(c, AF_INET, SOCK_DGRAM);

	if (!c->twin)
		to.ss.ss_family = AF_UNSPEC;
	say(c, "sendmsg", send_to(c, udp(c, AF_INET), &to, 0));
}

static void n09_dissolve(struct ctx *c)
{
	const struct sockaddr none = {.sa_family = AF_UNSPEC};
	struct address home = loopback_peer(AF_INET, SOCK_STREAM);
	struct address home_udp = loopback_peer(AF_INET, SOCK_DGRAM);
	struct address to = peer(c, AF_INET, SOCK_STREAM);
	struct address to_udp = peer(c, AF_INET, SOCK_DGRAM);

	int fd = with_timeout((int)go_socket(c, AF_INET, SOCK_STREAM, 0));
	long r = go_connect(c, fd, &home.ss, home.len);
	if (r >= 0)
		r = rc_of(connect(fd, &none, sizeof(none)));
	if (r < 0) {
		say_word(c, "tcp", "no-first-connection");
		return;
	}
	say(c, "tcp", connect_and_tell(c, fd, &to));
	fd = udp(c, AF_INET);
	(void)go_connect(c, fd, &home_udp.ss, home_udp.len);
	(void)connect(fd, &none, sizeof(none));
	say(c, "udp-connect", connect_and_tell(c, fd, &to_udp));
	(void)connect(fd, &none, sizeof(none));
	say(c, "udp-send", send_to(c, fd, &to_udp, 0));
}

static void n10_fastopen(struct ctx *c)
{
	struct address to = peer(c, AF_INET, SOCK_STREAM);
	struct address to6 = peer(c, AF_INET6, SOCK_STREAM);
	struct address mapped = mapped_peer(c, SOCK_STREAM);
	const char *text = tag(c);

	if (c->twin) {
		say(c, "sendmsg", dial(c, 0, &to));
		say(c, "sendmsg6", dial(c, 0, &to6));
		say(c, "mapped", dial(c, 0, &mapped));
		return;
	}
	int fd = with_timeout((int)go_socket(c, AF_INET, SOCK_STREAM, 0));
	say(c, "sendmsg", send_to(c, fd, &to, MSG_FASTOPEN));
	fd = with_timeout((int)go_socket(c, AF_INET6, SOCK_STREAM, 0));
	say(c, "sendmsg6", send_to(c, fd, &to6, MSG_FASTOPEN));
	fd = with_timeout((int)go_socket(c, AF_INET6, SOCK_STREAM, 0));
	say(c, "mapped", send_to(c, fd, &mapped, MSG_FASTOPEN));
	if (c->way == WAY_URING)
		return;
	fd = with_timeout((int)go_socket(c, AF_INET, SOCK_STREAM, 0));
	say(c, "sendto",
	    rc_of(sendto(fd, text, strlen(text), MSG_FASTOPEN | MSG_NOSIGNAL,
			 (struct sockaddr *)&to.ss, to.len)));
}

static void n11_fastopen_connect(struct ctx *c)
{
	struct address to = peer(c, AF_INET, SOCK_STREAM);
	int one = 1;
	int fd = with_timeout((int)go_socket(c, AF_INET, SOCK_STREAM, 0));

	(void)setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof(one));
	say(c, "connect", connect_and_tell(c, fd, &to));
}

/* --- coming in --- */

/* Somebody outside dials this port; says what we saw of it. */
static void await_visitor(struct ctx *c, int lfd, unsigned int port)
{
	struct pollfd p = {lfd, POLLIN, 0};
	char answer[64];

	if (c->twin) {
		struct address home = address_of("127.0.0.1", port);
		say(c, "accept", dial(c, 0, &home));
		return;
	}
	if (ask_outside(answer, sizeof(answer), "dial %u", port) < 0) {
		say_word(c, "accept", "no-driver");
		return;
	}
	/* The dialler's verdict is in: a connection would be in the queue by now. */
	int n = poll(&p, 1, NOBODY_MS);
	say(c, "accept", n == 1 ? rc_of(accept(lfd, NULL, NULL)) : -ECONNREFUSED);
}

static void n33_accept(struct ctx *c)
{
	struct address here = loopback_peer(AF_INET, SOCK_STREAM);
	int lfd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unsigned int port = port_of(&here) + 1;

	here = address_of("127.0.0.1", port);
	if (bind(lfd, (struct sockaddr *)&here.ss, here.len) < 0 || listen(lfd, 4) < 0)
		say_word(c, "accept", "no-listener");
	else
		await_visitor(c, lfd, port);
}

static void n34_wildcard(struct ctx *c)
{
	struct address any = address_of(c->twin ? "127.0.0.1" : "0.0.0.0", 0);
	struct address any6 = address_of(c->twin ? "::1" : "::", 0);
	struct address host = address_of(c->twin ? "127.0.0.1" : setting("v4"), 0);

	int fd = (int)go_socket(c, AF_INET, SOCK_STREAM, 0);
	long r = go_bind(c, fd, &any.ss, any.len);
	say(c, "any", r >= 0 ? go_listen(c, fd) : r);
	fd = (int)go_socket(c, AF_INET6, SOCK_STREAM, 0);
	r = go_bind(c, fd, &any6.ss, any6.len);
	say(c, "any6", r >= 0 ? go_listen(c, fd) : r);
	fd = (int)go_socket(c, AF_INET, SOCK_DGRAM, 0);
	say(c, "udp", go_bind(c, fd, &any.ss, any.len));
	fd = (int)go_socket(c, AF_INET, SOCK_STREAM, 0);
	say(c, "host", go_bind(c, fd, &host.ss, host.len));
	fd = (int)go_socket(c, AF_INET, SOCK_STREAM, 0);
	if (c->twin)
		(void)go_bind(c, fd, &host.ss, host.len);
	say(c, "autobind", go_listen(c, fd));
}

/* Loopback inside is the session's own: the servers on the host's must not be behind it. */
static void n35_host_loopback(struct ctx *c)
{
	static const char *const names[] = {"127.0.0.1", "0.0.0.0", "127.0.0.2", "::1", "::"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct address to = address_of(names[i], victim_port());
		if (c->twin)
			to = peer(c, to.ss.ss_family, SOCK_STREAM);
		say(c, names[i], dial(c, 0, &to));
	}
}

static void n36_metadata(struct ctx *c)
{
	struct address to = address_of("169.254.169.254", 80);
	struct address to6 = address_of("fd00:ec2::254", 80);

	if (c->twin) {
		to = peer(c, AF_INET, SOCK_STREAM);
		to6 = peer(c, AF_INET6, SOCK_STREAM);
	}
	say(c, "v4", dial(c, 0, &to));
	say(c, "v6", dial(c, 0, &to6));
}

const struct row net_inet_rows[] = {{"N01", n01_tcp4},
				    {"N02", n02_tcp6},
				    {"N03", n03_mapped},
				    {"N04", n04_near_misses},
				    {"N05", n05_udp_connect},
				    {"N06", n06_udp_unconnected},
				    {"N07", n07_udp6_to_v4},
				    {"N08", n08_udp_unspec},
				    {"N09", n09_dissolve},
				    {"N10", n10_fastopen},
				    {"N11", n11_fastopen_connect},
				    {"N33", n33_accept},
				    {"N34", n34_wildcard},
				    {"N35", n35_host_loopback},
				    {"N36", n36_metadata},
				    {0}};
