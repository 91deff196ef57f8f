/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON messages on the event loop.
 */
#include "daemon/channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"

/* Messages read before others get their turn. */
#define MESSAGES_PER_TURN 64

struct channel {
	struct watch *watch;
	const struct channel_ops *ops;
	void *arg;
	int sock;
	bool busy; /* in a callback: channel_free() only marks it */
	bool dead;
	char *buf; /* CHANNEL_MSG_MAX bytes, owned */
};

static void release(struct channel *c)
{
	watch_free(&c->watch);
	fd_close(&c->sock);
	free(c->buf);
	free(c);
}

static void deliver(struct channel *c, const char *text, size_t len, int *fds, size_t nfds)
{
	while (len > 0 && !c->dead) {
		json_error_t error;
		json_t *msg = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK,
					 &error);

		if (!json_is_object(msg)) {
			json_decref(msg);
			c->ops->end(c->arg, -EBADMSG);
			return;
		}
		text += error.position;
		len -= (size_t)error.position;
		while (len > 0 && (*text == '\n' || *text == ' ')) {
			text++;
			len--;
		}
		c->ops->message(c->arg, msg, fds, nfds);
		json_decref(msg);
	}
}

/* False when there is nothing more to read for now. */
static bool read_one(struct channel *c)
{
	int fds[CHANNEL_FDS_MAX];
	size_t nfds = CHANNEL_FDS_MAX;
	ssize_t n = fd_recv_msg(c->sock, c->buf, CHANNEL_MSG_MAX, fds, &nfds);

	if (n == -EAGAIN)
		return false;
	if (n <= 0) {
		c->ops->end(c->arg, n == 0 ? -EPIPE : (int)n);
		return false;
	}
	deliver(c, c->buf, (size_t)n, fds, nfds);
	for (size_t i = 0; i < nfds; i++)
		fd_cleanup(&fds[i]);
	return true;
}

static void readable(void *arg)
{
	struct channel *c = arg;

	c->busy = true;
	for (int i = 0; i < MESSAGES_PER_TURN && !c->dead; i++)
		if (!read_one(c))
			break;
	c->busy = false;
	if (c->dead)
		release(c);
}

struct channel *channel_new(uv_loop_t *loop, int sock, const struct channel_ops *ops, void *arg)
{
	struct channel *c = calloc(1, sizeof(*c));

	if (!c) {
		fd_cleanup(&sock);
		return NULL;
	}
	c->sock = sock;
	c->ops = ops;
	c->arg = arg;
	c->buf = malloc(CHANNEL_MSG_MAX);
	if (c->buf)
		c->watch = watch_new(loop, sock, WATCH_READ, readable, c);
	if (!c->watch) {
		release(c);
		return NULL;
	}
	return c;
}

void channel_free(struct channel **pc)
{
	struct channel *c = *pc;

	*pc = NULL;
	if (!c)
		return;
	c->dead = true;
	if (!c->busy)
		release(c);
}

int channel_send(struct channel *c, json_t *msg, const int *fds, size_t nfds)
{
	if (!msg)
		return -ENOMEM;
	char *text = json_dumps(msg, JSON_COMPACT);

	json_decref(msg);
	if (!text)
		return -ENOMEM;
	size_t len = strlen(text);
	int r = c ? fd_send_msg(c->sock, text, len, fds, nfds) : -EPIPE;

	explicit_bzero(text, len); /* may hold a password on its way to the gate */
	free(text);
	return r;
}

void channel_drain(struct channel *c)
{
	if (c && !c->busy)
		readable(c);
}

int channel_pair(int ret[2])
{
	const int room = CHANNEL_MSG_MAX * 2;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	int r = fd_set_nonblock(pair[0]);

	if (r == 0 && (setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) < 0 ||
		       setsockopt(pair[1], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) < 0))
		r = -errno;
	if (r < 0) {
		close(pair[0]);
		close(pair[1]);
		return r;
	}
	ret[0] = pair[0];
	ret[1] = pair[1];
	return 0;
}
