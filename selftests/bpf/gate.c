// SPDX-License-Identifier: Apache-2.0
/*
 * The gate of the test: echoes what arrives on its two ports.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "slice.h"

#define CONNS 64

static int listener(int type, int port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_port = htons((unsigned short)port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, type, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return -errno;
	return type == SOCK_STREAM && listen(fd, CONNS) < 0 ? -errno : fd;
}

int gate_listen(int *tcp, int *udp)
{
	*tcp = listener(SOCK_STREAM, GATE_TCP_PORT);
	*udp = listener(SOCK_DGRAM, GATE_UDP_PORT);
	return *tcp < 0 ? *tcp : *udp < 0 ? *udp : 0;
}

static void echo_datagram(int fd)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	char buf[256];
	ssize_t n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len);

	if (n > 0)
		(void)!sendto(fd, buf, (size_t)n, 0, (struct sockaddr *)&from, len);
}

/* Returns false at the end of the stream. */
static bool echo_stream(int fd)
{
	char buf[4096];
	ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return true;
	return n > 0 && send(fd, buf, (size_t)n, MSG_NOSIGNAL) == n;
}

int gate_serve(int tcp, int udp)
{
	struct pollfd p[CONNS] = {{.fd = tcp, .events = POLLIN}, {.fd = udp, .events = POLLIN}};
	nfds_t n = 2;

	while (poll(p, n, -1) > 0) {
		if (p[0].revents && n < CONNS) {
			p[n++] = (struct pollfd){.fd = accept(tcp, NULL, NULL), .events = POLLIN};
			p[n - 1].revents = 0;
		}
		if (p[1].revents)
			echo_datagram(udp);
		for (nfds_t i = 2; i < n; i++) {
			if (!p[i].revents || echo_stream(p[i].fd))
				continue;
			close(p[i].fd);
			p[i--] = p[--n];
		}
	}
	return -errno;
}
