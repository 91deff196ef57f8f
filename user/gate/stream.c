/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A non-blocking socket with optional TLS and a buffer in each direction.
 */
#include "gate/stream.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"

/* Buffers that grew past this for one large message are given back once they are empty. */
#define STREAM_KEEP (64 * 1024)

void stream_init(struct stream *s, void (*ready)(struct stream *s))
{
	memset(s, 0, sizeof(*s));
	s->fd = -1;
	s->ready = ready;
}

static void stream_event(uv_poll_t *poll, int status, int events)
{
	struct stream *s = poll->data;

	/* A failed poll, which the loop has stopped, shows as an error of the next read. */
	if (status < 0 || events & UV_READABLE)
		s->readable = true;
	if (status < 0)
		s->armed = 0;
	if (status < 0 || events & UV_DISCONNECT)
		s->gone = true;
	s->tls_write = false;
	s->ready(s);
}

int stream_open(struct stream *s, uv_loop_t *loop, int fd)
{
	s->fd = fd;
	int r = uv_poll_init(loop, &s->poll, fd);

	if (r < 0) {
		fd_close(&s->fd);
		return r;
	}
	s->handle = true;
	s->poll.data = s;
	return 0;
}

int stream_tls(struct stream *s, SSL_CTX *ctx, bool server)
{
	s->ssl = SSL_new(ctx);
	if (!s->ssl || !SSL_set_fd(s->ssl, s->fd))
		return -ENOMEM;
	if (server)
		SSL_set_accept_state(s->ssl);
	else
		SSL_set_connect_state(s->ssl);
	return 0;
}

/* What an SSL call that did not succeed means: 0 = wait, else -errno. */
static int tls_result(struct stream *s, int ret)
{
	switch (SSL_get_error(s->ssl, ret)) {
	case SSL_ERROR_WANT_READ:
		s->readable = false;
		return 0;
	case SSL_ERROR_WANT_WRITE:
		s->tls_write = true;
		return 0;
	case SSL_ERROR_ZERO_RETURN:
		s->eof = true;
		return 0;
	default:
		return -EPROTO;
	}
}

int stream_handshake(struct stream *s)
{
	ERR_clear_error();
	int ret = SSL_do_handshake(s->ssl);

	if (ret == 1)
		return 1;
	int r = tls_result(s, ret);

	return s->eof ? -EPROTO : r;
}

static ssize_t fill_tls(struct stream *s, size_t room)
{
	ERR_clear_error();
	int n = SSL_read(s->ssl, s->in.data + s->in.tail, (int)room);

	if (n > 0)
		return n;
	return tls_result(s, n);
}

static ssize_t fill_plain(struct stream *s, size_t room)
{
	ssize_t n = recv(s->fd, s->in.data + s->in.tail, room, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		s->readable = false;
		return 0;
	}
	if (n < 0)
		return -errno;
	if (n == 0)
		s->eof = true;
	/* A short read emptied the socket: the loop tells of more. */
	if ((size_t)n < room)
		s->readable = false;
	return n;
}

ssize_t stream_fill(struct stream *s, size_t max)
{
	if (s->fd < 0)
		return -EBADF;
	int r = buf_reserve(&s->in, max);

	if (r < 0)
		return r;
	ssize_t n = s->ssl ? fill_tls(s, max) : fill_plain(s, max);

	if (n > 0)
		buf_commit(&s->in, (size_t)n);
	return n;
}

/* One write: the number of bytes, 0 = not now. */
static ssize_t write_some(struct stream *s)
{
	size_t len = buf_len(&s->out);

	if (s->ssl) {
		ERR_clear_error();
		int n = SSL_write(s->ssl, buf_ptr(&s->out), len > INT32_MAX ? INT32_MAX : (int)len);

		return n > 0 ? n : tls_result(s, n);
	}
	ssize_t n = send(s->fd, buf_ptr(&s->out), len, MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	return n;
}

int stream_flush(struct stream *s)
{
	while (s->fd >= 0 && !s->connecting && buf_len(&s->out) > 0) {
		ssize_t n = write_some(s);

		if (n < 0)
			return (int)n;
		if (n == 0)
			return 0;
		buf_consume(&s->out, (size_t)n);
	}
	if (s->out.size > STREAM_KEEP && buf_len(&s->out) == 0)
		buf_free(&s->out);
	return 0;
}

void stream_arm(struct stream *s)
{
	int events = 0;

	if (!s->handle)
		return;
	if (s->want_read && !s->eof)
		events |= UV_READABLE;
	else if (s->want_end && !s->gone)
		events |= UV_DISCONNECT;
	if (buf_len(&s->out) > 0 || s->tls_write || s->connecting)
		events |= UV_WRITABLE;
	if (s->in.size > STREAM_KEEP && buf_len(&s->in) == 0)
		buf_free(&s->in);
	if (events == s->armed)
		return;
	s->armed = events;
	/* Neither can fail on a handle of the loop's own descriptor table. */
	if (events)
		(void)uv_poll_start(&s->poll, events, stream_event);
	else
		(void)uv_poll_stop(&s->poll);
}

void stream_mute(struct stream *s)
{
	SSL_free(s->ssl);
	s->ssl = NULL;
	s->tls_write = false;
	buf_free(&s->in);
	buf_free(&s->out);
	/* Fails when the peer has gone, which the next read shows. */
	(void)shutdown(s->fd, SHUT_WR);
}

bool stream_pending(const struct stream *s)
{
	return s->ssl && SSL_has_pending(s->ssl);
}

static void handle_closed(uv_handle_t *handle)
{
	struct stream *s = handle->data;

	s->closing = false;
	s->closed(s);
}

void stream_close(struct stream *s, void (*closed)(struct stream *s))
{
	SSL_free(s->ssl);
	s->ssl = NULL;
	buf_free(&s->in);
	buf_free(&s->out);
	s->closed = closed;
	if (s->closing)
		return;
	if (!s->handle) {
		fd_close(&s->fd);
		closed(s);
		return;
	}
	s->handle = false;
	s->closing = true;
	uv_close((uv_handle_t *)&s->poll, handle_closed);
	fd_close(&s->fd);
}
