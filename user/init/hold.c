/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors of rules that were loaded after the start: sent by the process that opened them, held
 * by pid 1 (base/hold.h).
 */
#include "init/init.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"

int hold_open(void)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return -errno;
	return pair[0] == HOLD_FD_IN && pair[1] == HOLD_FD_OUT ? 0 : -EMFILE;
}

int hold_send(int sock, unsigned slot, const int *fds, size_t n)
{
	const struct hold_msg msg = {.what = HOLD_KEEP, .slot = (unsigned char)slot};

	for (size_t i = 0; i < n; i += FD_MSG_MAX) {
		size_t part = n - i < FD_MSG_MAX ? n - i : FD_MSG_MAX;
		int r = fd_send_msg(sock, &msg, sizeof(msg), fds + i, part);

		if (r < 0)
			return r;
	}
	return 0;
}

static int keep(struct held *h, const int *fds, size_t n)
{
	int *v = realloc(h->v, (h->n + n) * sizeof(*v));

	if (!v)
		return -ENOMEM;
	memcpy(v + h->n, fds, n * sizeof(*v));
	h->v = v;
	h->n += n;
	return 0;
}

static void drop(struct held *h)
{
	while (h->n > 0)
		close(h->v[--h->n]);
}

int hold_recv(struct held slots[HOLD_SLOTS])
{
	int fds[FD_MSG_MAX];
	size_t n = FD_MSG_MAX;
	struct hold_msg msg;
	ssize_t len = fd_recv_msg(HOLD_FD_OUT, &msg, sizeof(msg), fds, &n);

	if (len == -EAGAIN)
		return 0;
	if (len != sizeof(msg) || msg.slot >= HOLD_SLOTS)
		return len < 0 ? (int)len : -EBADMSG;
	if (msg.what == HOLD_DROP)
		drop(&slots[msg.slot]);
	return n > 0 ? keep(&slots[msg.slot], fds, n) : 0;
}
