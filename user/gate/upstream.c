/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections to the real database: transport, pool, cancellation.
 */
#include "gate/upstream.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/log.h"
#include "gate/record.h"
#include "gate/tls.h"

static void upstream_event(struct stream *s);

static struct upstream *of_stream(struct stream *s)
{
	return (struct upstream *)((char *)s - offsetof(struct upstream, s));
}

int endpoint_open(struct endpoint *ep, uv_loop_t *loop, const struct endpoint_config *config,
		  struct recorder *recorder, const char **why)
{
	memset(ep, 0, sizeof(*ep));
	ep->config = config;
	ep->recorder = recorder;
	ep->loop = loop;
	list_init(&ep->idle);
	list_init(&ep->all);
	if (config->tls == TLS_OFF)
		return 0;
	return tls_client_make(config, &ep->tls, why);
}

void endpoint_retire(struct endpoint *ep)
{
	ep->closing = true;
	list_for_each_safe (pos, tmp, &ep->all) {
		struct upstream *up = list_entry(pos, struct upstream, all);

		if (up->state != UP_LINGER && !up->cancel)
			upstream_close(up);
	}
}

void endpoint_close(struct endpoint *ep)
{
	ep->closing = true;
	list_for_each_safe (pos, tmp, &ep->all)
		upstream_close(list_entry(pos, struct upstream, all));
	SSL_CTX_free(ep->tls);
	ep->tls = NULL;
}

/* Whoever waits for the end of this request to cancel can go on. */
static void cancel_gone(struct upstream *c)
{
	list_for_each (pos, &c->ep->all) {
		struct upstream *up = list_entry(pos, struct upstream, all);

		if (up->state != UP_READY || !up->user || up->pid != c->cancel_pid ||
		    up->key != c->cancel_key)
			continue;
		up->user->event(up->user);
		return;
	}
}

static void handle_gone(struct upstream *up)
{
	if (--up->handles > 0)
		return;
	if (up->cancel)
		cancel_gone(up);
	params_free(&up->params);
	params_free(&up->baseline);
	free(up);
}

static void stream_gone(struct stream *s)
{
	handle_gone(of_stream(s));
}

static void timer_gone(uv_handle_t *timer)
{
	handle_gone(timer->data);
}

void upstream_close(struct upstream *up)
{
	if (up->state == UP_DEAD)
		return;
	if (!list_empty(&up->link))
		up->ep->n_idle--;
	if (up->state == UP_LINGER)
		up->ep->n_lingering--;
	list_del(&up->link);
	list_del(&up->all);
	up->state = UP_DEAD;
	up->user = NULL;
	scram_wipe(&up->scram);
	up->handles = 2;
	uv_close((uv_handle_t *)&up->timer, timer_gone);
	stream_close(&up->s, stream_gone);
}

/* Close, and tell who waits. */
static void upstream_fail(struct upstream *up, const char *sqlstate, const char *why)
{
	struct upstream_user *user = up->user;
	struct record_conn rec = {.db = up->ep->config->name, .event = "upstream", .reason = why};

	if (!up->cancel) {
		log_warn("db=%s upstream: %s", up->ep->config->name, why);
		record_conn(up->ep->recorder, &rec);
	}
	upstream_close(up);
	if (user)
		user->failed(user, sqlstate, why);
}

static void deadline(uv_timer_t *timer)
{
	struct upstream *up = timer->data;

	if (up->state == UP_READY)
		upstream_close(up); /* idle for long enough */
	else
		upstream_fail(up, "08001", "the server does not answer");
}

static struct upstream *upstream_new(struct endpoint *ep)
{
	struct upstream *up = calloc(1, sizeof(*up));

	if (!up)
		return NULL;
	if (uv_timer_init(ep->loop, &up->timer) < 0) {
		free(up);
		return NULL;
	}
	up->timer.data = up;
	up->ep = ep;
	stream_init(&up->s, upstream_event);
	list_init(&up->link);
	list_add_tail(&ep->all, &up->all);
	(void)uv_timer_start(&up->timer, deadline, GATE_LOGIN_MS, 0);
	return up;
}

static int open_socket(struct upstream *up, const struct address *a)
{
	__cleanup_fd int fd =
		socket(a->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	int on = 1;

	if (fd < 0)
		return -errno;
	/* Both only help; a socket without them works. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	if (connect(fd, (const struct sockaddr *)&a->sa, a->len) < 0 && errno != EINPROGRESS)
		return -errno;
	up->s.connecting = true;
	up->state = UP_CONNECTING;
	return stream_open(&up->s, up->ep->loop, TAKE_FD(fd));
}

/* Try addresses from up->address on. -errno of the last one when none is left. */
static int connect_next(struct upstream *up)
{
	int r = -EADDRNOTAVAIL;

	while (up->address < up->ep->config->n_addresses) {
		r = open_socket(up, &up->ep->config->addresses[up->address]);
		if (r == 0) {
			stream_arm(&up->s);
			return 0;
		}
		up->address++;
	}
	return r;
}

/* The socket of an address that did not answer is closed: on to the next. */
static void address_failed(struct stream *s)
{
	struct upstream *up = of_stream(s);

	up->address++;
	stream_init(s, upstream_event);
	if (up->cancel || connect_next(up) < 0)
		upstream_fail(up, "08001", "the server cannot be reached");
}

static int transport_ready(struct upstream *up)
{
	if (!up->cancel)
		return login_start(up);
	up->state = UP_CANCEL;
	return pg_put_cancel(&up->s.out, up->cancel_pid, up->cancel_key);
}

static int ask_tls(struct upstream *up)
{
	uint8_t packet[8];

	set_be32(packet, sizeof(packet));
	set_be32(packet + 4, PG_SSL);
	up->state = UP_TLS_ASKED;
	return buf_put(&up->s.out, packet, sizeof(packet));
}

static int connected(struct upstream *up)
{
	int error = 0;
	socklen_t len = sizeof(error);

	up->s.connecting = false;
	up->s.want_read = true;
	if (getsockopt(up->s.fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error != 0) {
		stream_close(&up->s, address_failed);
		return -EINPROGRESS;
	}
	return up->ep->tls ? ask_tls(up) : transport_ready(up);
}

/* Exactly one byte is read, so nothing sent in clear can be taken for TLS (P1). */
static int tls_answered(struct upstream *up, const char **why)
{
	ssize_t n = stream_fill(&up->s, 1);

	if (n < 0)
		return (int)n;
	if (n == 0)
		return up->s.eof ? -EPIPE : -EAGAIN;
	uint8_t answer = *buf_ptr(&up->s.in);

	buf_consume(&up->s.in, 1);
	up->s.readable = true;
	*why = "the server does not offer TLS, and the policy demands it";
	if (answer != 'S')
		return -EPROTO;
	int r = stream_tls(&up->s, up->ep->tls, false);

	if (r == 0)
		r = tls_client_expect(up->s.ssl, up->ep->config);
	up->state = UP_TLS;
	return r;
}

static int handshake(struct upstream *up, const char **why)
{
	int r = stream_handshake(&up->s);

	if (r < 0)
		*why = tls_failure(up->s.ssl);
	if (r == 0)
		return -EAGAIN;
	return r < 0 ? r : transport_ready(up);
}

/* Read and handle whole messages until there is nothing more: -EAGAIN, or the state changed to
 * UP_READY: 0. */
static int login_read(struct upstream *up, const char **sqlstate, const char **why)
{
	for (;;) {
		struct pg_msg m;
		int r = pg_head(buf_ptr(&up->s.in), buf_len(&up->s.in), &m);

		if (r < 0 || (r == 1 && m.len > GATE_SERVER_MSG_MAX))
			return -EPROTO;
		if (r == 1 && buf_len(&up->s.in) >= PG_HEAD + (size_t)m.len) {
			r = login_message(up, &m, sqlstate, why);
			buf_consume(&up->s.in, PG_HEAD + (size_t)m.len);
			if (r < 0 || up->state == UP_READY)
				return r;
			continue;
		}
		ssize_t n = stream_fill(&up->s, GATE_READ_SIZE);

		if (n < 0)
			return (int)n;
		if (n == 0)
			return up->s.eof ? -EPIPE : -EAGAIN;
	}
}

static int cancel_read(struct upstream *up)
{
	ssize_t n = stream_fill(&up->s, 1);

	return n == 0 && !up->s.eof ? -EAGAIN : -EPIPE;
}

/* One step towards UP_READY: 0 = go on, -EAGAIN = wait. */
static int step(struct upstream *up, const char **sqlstate, const char **why)
{
	switch (up->state) {
	case UP_CONNECTING:
		return connected(up);
	case UP_TLS_ASKED:
		return tls_answered(up, why);
	case UP_TLS:
		return handshake(up, why);
	case UP_LOGIN:
	case UP_SETTLE:
	case UP_ARMING:
		return login_read(up, sqlstate, why);
	case UP_CANCEL:
		return cancel_read(up);
	case UP_READY:
	case UP_LINGER:
	case UP_DEAD:
		break;
	}
	return -EAGAIN;
}

static void make_idle(struct upstream *up)
{
	struct endpoint *ep = up->ep;

	if (ep->n_idle >= GATE_POOL_IDLE_MAX || ep->closing || buf_len(&up->s.in) > 0) {
		upstream_close(up);
		return;
	}
	ep->n_idle++;
	list_add_tail(&ep->idle, &up->link);
	(void)uv_timer_start(&up->timer, deadline, GATE_POOL_IDLE_MS, 0);
	stream_arm(&up->s);
}

static void became_ready(struct upstream *up)
{
	struct upstream_user *user = up->user;

	(void)uv_timer_stop(&up->timer);
	if (user)
		user->ready(user, up);
	else
		make_idle(up);
}

static void advance(struct upstream *up)
{
	const char *sqlstate = "08001", *why = "the server hung up";
	int r;

	do {
		r = step(up, &sqlstate, &why);
		if (r == 0 || r == -EAGAIN) {
			int flushed = stream_flush(&up->s);

			if (flushed < 0)
				r = flushed;
		}
	} while (r == 0 && up->state != UP_READY);
	if (r == -EINPROGRESS) /* the next address, from the loop */
		return;
	if (r == 0) {
		became_ready(up);
		return;
	}
	if (r != -EAGAIN) {
		upstream_fail(up, sqlstate, why);
		return;
	}
	stream_arm(&up->s);
}

/* What a connection that lingers still says is thrown away; what counts is that it ends. */
static void linger_event(struct upstream *up)
{
	ssize_t n = stream_fill(&up->s, GATE_READ_SIZE);

	buf_clear(&up->s.in);
	if (n > 0)
		up->lingered += (size_t)n;
	/* A server that writes this much finds out by itself that nobody reads. */
	if (n < 0 || up->s.eof || up->lingered > GATE_LINGER_BYTES)
		upstream_close(up);
}

static void upstream_event(struct stream *s)
{
	struct upstream *up = of_stream(s);

	if (up->state == UP_LINGER)
		linger_event(up);
	else if (up->state != UP_READY)
		advance(up);
	else if (up->user)
		up->user->event(up->user);
	else /* idle: its end, or words that nobody asked for. It is not worth keeping. */
		upstream_close(up);
}

static int upstream_start(struct endpoint *ep, struct upstream_user *u)
{
	struct upstream *up = upstream_new(ep);

	if (!up)
		return -ENOMEM;
	int r = connect_next(up);

	if (r < 0) {
		upstream_close(up);
		return r;
	}
	up->user = u;
	return 0;
}

void endpoint_warm(struct endpoint *ep)
{
	int r = upstream_start(ep, NULL);

	if (r < 0)
		log_warn("db=%s upstream: %s", ep->config->name, strerror(-r));
}

struct upstream *upstream_get(struct endpoint *ep, struct upstream_user *u, int *ret_error)
{
	*ret_error = 0;
	if (list_empty(&ep->idle)) {
		*ret_error = upstream_start(ep, u);
		return NULL;
	}
	struct upstream *up = list_entry(ep->idle.prev, struct upstream, link);

	list_del(&up->link);
	ep->n_idle--;
	(void)uv_timer_stop(&up->timer);
	up->user = u;
	return up;
}

void upstream_forget(struct endpoint *ep, struct upstream_user *u)
{
	struct upstream *theirs = NULL;
	size_t spare = 0;

	list_for_each (pos, &ep->all) {
		struct upstream *up = list_entry(pos, struct upstream, all);

		if (up->user == u)
			theirs = up;
		else if (!up->user && !up->cancel && up->state != UP_LINGER)
			spare++;
	}
	if (!theirs)
		return;
	/* Its login goes on: the next client will be glad of it. But not of any number. */
	theirs->user = NULL;
	if (spare >= GATE_POOL_IDLE_MAX)
		upstream_close(theirs);
}

/*
 * Nobody wants the answer any more, but the server may be at it for hours, and a request to cancel
 * that comes while it is between two messages has no effect. So the connection stays until the
 * server has hung up, which it does at its next read.
 */
static void linger(struct upstream *up)
{
	if (up->s.eof || up->ep->closing) {
		upstream_close(up);
		return;
	}
	up->state = UP_LINGER;
	up->ep->n_lingering++;
	stream_mute(&up->s);
	up->s.want_read = true;
	stream_arm(&up->s);
	upstream_cancel(up);
}

void upstream_release(struct upstream *up, bool quiet)
{
	upstream_settled(up);
	up->user = NULL;
	if (!quiet) {
		linger(up);
		return;
	}
	/* A cancel request under way could hit the next user. */
	if (up->cancelled || up->s.eof || up->ep->closing || login_reset(up) < 0) {
		upstream_close(up);
		return;
	}
	up->s.want_read = true;
	(void)uv_timer_start(&up->timer, deadline, GATE_LOGIN_MS, 0);
	advance(up);
}

/* Cancellation. */

bool upstream_cancelling(const struct upstream *up)
{
	list_for_each (pos, &up->ep->all) {
		const struct upstream *c = list_entry(pos, struct upstream, all);

		if (c->cancel && c->cancel_pid == up->pid && c->cancel_key == up->key)
			return true;
	}
	return false;
}

/* One request, unless there is one under way. */
static void cancel_once(struct upstream *up)
{
	struct upstream *c = upstream_cancelling(up) ? NULL : upstream_new(up->ep);

	if (!c)
		return;
	c->cancel = true;
	c->address = up->address;
	c->cancel_pid = up->pid;
	c->cancel_key = up->key;
	int r = open_socket(c, &up->ep->config->addresses[up->address]);

	if (r < 0)
		upstream_close(c);
	else
		stream_arm(&c->s);
}

static void cancel_again(uv_timer_t *timer)
{
	struct upstream *up = timer->data;

	if (up->cancel_pause_ms >= GATE_CANCEL_PAUSE_MAX_MS) {
		if (up->state == UP_LINGER)
			upstream_close(up);
		return;
	}
	cancel_once(up);
	up->cancel_pause_ms *= 2;
	(void)uv_timer_start(&up->timer, cancel_again, up->cancel_pause_ms, 0);
}

void upstream_cancel(struct upstream *up)
{
	up->cancelled = true;
	cancel_once(up);
	/* A connection that serves, or lingers, has no other use for its timer. */
	if (uv_is_active((uv_handle_t *)&up->timer))
		return;
	up->cancel_pause_ms = GATE_CANCEL_PAUSE_MS;
	(void)uv_timer_start(&up->timer, cancel_again, up->cancel_pause_ms, 0);
}

void upstream_settled(struct upstream *up)
{
	(void)uv_timer_stop(&up->timer);
}
