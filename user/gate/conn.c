/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection's life and death, the queue of what the client is owed, and the pump that moves
 * bytes between its two streams.
 */
#include "gate/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "base/log.h"

/* What one message of a client adds to the queue at most (a simple query in a new transaction). */
#define OPS_MARGIN 16
/* Unread input that is thrown away before a close, so that the last words are not lost to a reset.
 */
#define DISCARD_BYTES (64 * 1024)

static struct conn *conn_of(struct stream *s)
{
	return (struct conn *)((char *)s - offsetof(struct conn, client));
}

static void tell(struct conn *c, const char *event, const char *rule, const char *reason)
{
	struct record_conn rec = {
		.db = c->ep->config->name,
		.conn = c->id,
		.event = event,
		.rule = rule,
		.reason = reason,
	};

	record_conn(&c->gate->recorder, &rec);
}

/* The queue. */

static void op_free(struct op *op)
{
	name_unref(op->name);
	verdict_unref(op->verdict);
	free(op->data);
}

static int ops_grow(struct ops *q)
{
	size_t size = q->size ? 2 * q->size : OPS_MARGIN;
	struct op *ring = calloc(size, sizeof(*ring));

	if (!ring)
		return -ENOMEM;
	for (size_t i = 0; i < q->n; i++)
		ring[i] = q->ring[(q->head + i) % q->size];
	free(q->ring);
	*q = (struct ops){.ring = ring, .n = q->n, .size = size};
	return 0;
}

int op_push(struct conn *c, struct op op)
{
	struct ops *q = &c->ops;

	if (q->n == q->size) {
		int r = q->n < GATE_OPS_MAX + OPS_MARGIN ? ops_grow(q) : -E2BIG;

		if (r < 0)
			return r;
	}
	if (op.name)
		name_ref(op.name);
	if (op.verdict) {
		verdict_ref(op.verdict);
		op.started_ns = uv_hrtime();
	}
	q->ring[(q->head + q->n++) % q->size] = op;
	return 0;
}

struct op *op_head(struct conn *c)
{
	return c->ops.n > 0 ? &c->ops.ring[c->ops.head] : NULL;
}

void op_pop(struct conn *c)
{
	struct ops *q = &c->ops;
	struct op *op = op_head(c);

	switch (op->effect) {
	case TX_BEGINS:
		c->tx.client_open = true;
		break;
	case TX_ENDS:
		c->tx.client_open = false;
		break;
	case TX_NO_EFFECT:
		break;
	}
	op_free(op);
	q->head = (q->head + 1) % q->size;
	q->n--;
}

void ops_clear(struct conn *c)
{
	while (c->ops.n > 0) {
		op_head(c)->effect = TX_NO_EFFECT;
		op_pop(c);
	}
}

int op_push_local(struct conn *c, struct buf *b, enum tx_effect effect)
{
	struct op op = {.type = OP_LOCAL, .effect = effect, .len = buf_len(b)};

	op.data = malloc(op.len);
	if (!op.data)
		return -ENOMEM;
	memcpy(op.data, buf_ptr(b), op.len);
	buf_clear(b);
	int r = op_push(c, op);

	if (r < 0)
		free(op.data);
	return r < 0 ? r : ops_run_local(c);
}

int ops_run_local(struct conn *c)
{
	int r = 0;

	for (struct op *op = op_head(c); op && r == 0; op = op_head(c)) {
		if (op->type == OP_LOCAL)
			r = buf_put(&c->client.out, op->data, op->len);
		else if (op->type != OP_READY)
			break;
		bool ready = op->type == OP_READY;

		op_pop(c);
		if (r == 0 && ready)
			r = reply_ready(c, 0);
	}
	return r;
}

/* Life and death. */

void conn_set_state(struct conn *c, enum conn_state state)
{
	c->state = state;
}

static void handle_gone(struct conn *c)
{
	if (--c->handles == 0)
		free(c);
}

static void client_gone(struct stream *s)
{
	handle_gone(conn_of(s));
}

static void timer_gone(uv_handle_t *timer)
{
	handle_gone(timer->data);
}

void conn_release(struct conn *c)
{
	struct upstream *up = c->up;
	bool quiet = c->state == CONN_IDLE && c->ops.n == 0 && c->row_left == 0;

	reply_unfinished(c);
	c->up = NULL;
	if (up)
		upstream_release(up, quiet);
	else if (c->state == CONN_LOGIN)
		upstream_forget(c->ep, &c->user);
}

static void conn_free_parts(struct conn *c)
{
	names_clear(&c->statements);
	names_clear(&c->portals);
	ops_clear(c);
	free(c->ops.ring);
	c->ops = (struct ops){0};
	tx_forget(c);
	free(c->kept.list);
	c->kept = (struct kept){0};
	verdict_unref(c->verdict);
	c->verdict = NULL;
	for (size_t i = 0; i < c->n_setup; i++)
		free(c->setup[i]);
	c->n_setup = 0;
	buf_free(&c->negotiate);
}

void conn_abort(struct conn *c, const char *reason)
{
	if (c->state == CONN_DEAD)
		return;
	conn_release(c);
	conn_set_state(c, CONN_DEAD);
	tell(c, "close", NULL, reason);
	parser_forget(&c->gate->parser, &c->ask);
	verdict_unref(c->ask.verdict);
	c->ask.verdict = NULL;
	conn_free_parts(c);
	list_del(&c->link);
	c->gate->n_conns--;
	c->handles = 2;
	uv_close((uv_handle_t *)&c->timer, timer_gone);
	stream_close(&c->client, client_gone);
}

static void deadline(uv_timer_t *timer)
{
	conn_abort(timer->data, "too slow");
}

void conn_hurry(struct conn *c)
{
	(void)uv_timer_start(&c->timer, deadline, GATE_LOGIN_MS, 0);
}

static void last_words_said(struct conn *c)
{
	char sink[4096];

	if (!c->client.ssl)
		(void)shutdown(c->client.fd, SHUT_WR);
	for (size_t n = 0; n < DISCARD_BYTES; n += sizeof(sink))
		if (recv(c->client.fd, sink, sizeof(sink), MSG_DONTWAIT) <= 0)
			break;
	conn_abort(c, NULL);
}

void conn_end(struct conn *c, const char *sqlstate, const char *message)
{
	const struct pg_error e = {.severity = "FATAL", .sqlstate = sqlstate, .message = message};

	if (c->state == CONN_CLOSING || c->state == CONN_DEAD)
		return;
	conn_release(c);
	parser_forget(&c->gate->parser, &c->ask);
	/* In the middle of a row an error cannot be said. */
	bool can_talk = c->row_left == 0 && c->state != CONN_TLS;

	conn_set_state(c, CONN_CLOSING);
	if (message && can_talk && pg_put_error(&c->client.out, 'E', &e) < 0)
		log_debug("conn=%lu no memory for last words", (unsigned long)c->id);
	buf_clear(&c->client.in);
	conn_hurry(c);
}

int conn_kill(struct conn *c, const char *rule, const char *reason)
{
	char text[SQL_REASON_SIZE + 64];

	tell(c, "kill", rule, reason);
	snprintf(text, sizeof(text), "pinfold: connection closed by rule %s: %s", rule, reason);
	conn_end(c, "08P01", c->state == CONN_START ? NULL : text);
	return -EPERM;
}

/* The pump. */

static bool reads_messages(const struct conn *c)
{
	return c->state == CONN_IDLE || c->state == CONN_BATCH || c->state == CONN_SKIP;
}

/*
 * The last batch is not quite over: its failed transaction is being ended, or a request to cancel
 * it is still on its way, which must not hit the next one.
 */
static bool unsettled(const struct conn *c)
{
	return c->state == CONN_IDLE && (c->ops.n > 0 || tx_cancelling(c));
}

/* The server is slower than the client, or owes it too much already; or the client does not read.
 */
static bool congested(const struct conn *c)
{
	return c->ops.n >= GATE_OPS_MAX || buf_len(&c->client.out) >= GATE_OUT_HIGH ||
	       (c->up && buf_len(&c->up->s.out) >= GATE_OUT_HIGH);
}

static bool client_wanted(const struct conn *c)
{
	switch (c->state) {
	case CONN_START:
	case CONN_TLS:
		return true;
	case CONN_IDLE:
		return !congested(c) && (!unsettled(c) || buf_len(&c->client.in) < GATE_READ_SIZE);
	case CONN_BATCH:
	case CONN_SKIP:
		return !congested(c);
	case CONN_LOGIN:
	case CONN_SETUP:
	case CONN_ASK:
	case CONN_DRAIN:
		/* Only to see its end; a little of the next batch may come with it. */
		return buf_len(&c->client.in) < GATE_READ_SIZE;
	case CONN_CLOSING:
	case CONN_DEAD:
		break;
	}
	return false;
}

/* The server sends nothing before it sees a Flush or Sync: without one, a long batch would stand.
 */
static int unblock(struct conn *c)
{
	if (c->ops.n < GATE_OPS_MAX || c->flush_asked)
		return 0;
	c->flush_asked = true;
	return pg_put_empty(&c->up->s.out, 'H');
}

/* The next message: 1 handled, 0 not all there, -errno. */
static int next_message(struct conn *c)
{
	struct buf *in = &c->client.in;
	struct pg_msg m;
	int r = pg_head(buf_ptr(in), buf_len(in), &m);

	if (r < 0)
		return conn_kill(c, "P10", "impossible message length");
	if (r == 0)
		return 0;
	size_t limit = pg_client_limit(m.type);

	if (limit == 0)
		return m.type == 0 ? conn_kill(c, "P8", "start-up packet out of place")
				   : conn_kill(c, "P12", "unknown message type");
	if (m.len > limit)
		return conn_kill(c, "P10", "message too long");
	if (buf_len(in) < PG_HEAD + (size_t)m.len)
		return 0;
	r = query_message(c, &m);
	if (r == 0 && c->state != CONN_CLOSING && c->state != CONN_DEAD)
		buf_consume(in, PG_HEAD + (size_t)m.len);
	return r < 0 ? r : 1;
}

static int client_messages(struct conn *c)
{
	while (reads_messages(c)) {
		int r = tx_recover(c);

		if (r < 0 || unsettled(c))
			return r;
		if (congested(c))
			return unblock(c);
		c->flush_asked = false;
		r = next_message(c);

		if (r == -EAGAIN)
			return 0;
		if (r <= 0)
			return r;
	}
	return 0;
}

/* Read from s if it may have something: bytes, or -errno. */
static ssize_t pull(struct stream *s, bool wanted)
{
	if (!wanted || !s->readable || s->eof)
		return 0;
	return stream_fill(s, GATE_READ_SIZE);
}

static ssize_t pump_server(struct conn *c)
{
	if (!c->up)
		return 0;
	int r = reply_process(c);

	if (r < 0 || !c->up)
		return r;
	ssize_t n = pull(&c->up->s, buf_len(&c->client.out) < GATE_OUT_HIGH);

	if (n < 0)
		return -EPIPE;
	if (n > 0)
		r = reply_process(c);
	/* All that could be handled was; what is left of a message will never be whole. */
	if (n == 0 && c->up && c->up->s.eof && buf_len(&c->client.out) < GATE_OUT_HIGH)
		return -EPIPE;
	return r < 0 ? r : n;
}

static ssize_t pump_client(struct conn *c)
{
	int r;

	switch (c->state) {
	case CONN_START:
		return start_read(c);
	case CONN_TLS:
		return start_handshake(c);
	default:
		break;
	}
	r = client_messages(c);
	if (r < 0 || c->state == CONN_DEAD)
		return r;
	ssize_t n = pull(&c->client, client_wanted(c));

	if (n < 0)
		return -ECONNRESET;
	if (n > 0)
		r = client_messages(c);
	return r < 0 ? r : n;
}

static int flush_both(struct conn *c)
{
	int r = c->up ? stream_flush(&c->up->s) : 0;

	if (r < 0)
		return -EPIPE;
	return stream_flush(&c->client) < 0 ? -ECONNRESET : 0;
}

/* Something that was read already waits for room on the other side. */
static bool blocked(const struct conn *c)
{
	return buf_len(&c->client.out) >= GATE_OUT_HIGH || congested(c);
}

/* One round: bytes or steps done, 0 when all waits, -errno when the connection is to end. */
static ssize_t pump_once(struct conn *c)
{
	ssize_t server = pump_server(c);

	if (server < 0 || c->state == CONN_DEAD)
		return server;
	ssize_t client = c->state == CONN_CLOSING ? 0 : pump_client(c);

	if (client < 0 || c->state == CONN_DEAD)
		return client;
	bool held = blocked(c);
	int r = flush_both(c);

	if (r < 0)
		return r;
	/* What was held back lies in a buffer, where the loop cannot see it. */
	return server + client + (held && !blocked(c));
}

static void pump_failed(struct conn *c, ssize_t error)
{
	switch (error) {
	case -EPERM: /* said already */
		break;
	case -EPIPE:
		conn_end(c, "08006", "pinfold: the database closed the connection");
		break;
	case -EPROTO:
	case -EBADMSG:
		tell(c, "kill", "server", "the database broke the protocol");
		conn_end(c, "08P01", "pinfold: the database broke the protocol");
		break;
	case -ENOMEM:
	case -EMSGSIZE:
	case -E2BIG:
		conn_end(c, "53200", "pinfold: out of memory for this connection");
		break;
	default:
		conn_abort(c, "the client is gone");
		return;
	}
	if (c->state != CONN_DEAD && stream_flush(&c->client) < 0)
		conn_abort(c, "the client is gone");
}

static void after_pump(struct conn *c)
{
	if (c->state == CONN_CLOSING && buf_len(&c->client.out) == 0) {
		last_words_said(c);
		return;
	}
	if ((c->client.eof || c->client.gone) && c->state != CONN_CLOSING && !c->again) {
		conn_abort(c, NULL);
		return;
	}
	c->client.want_read = client_wanted(c);
	c->client.want_end = c->state != CONN_CLOSING;
	stream_arm(&c->client);
	if (!c->up)
		return;
	c->up->s.want_read = buf_len(&c->client.out) < GATE_OUT_HIGH;
	stream_arm(&c->up->s);
}

void conn_pump(struct conn *c)
{
	size_t moved = 0;
	ssize_t n = 0;

	if (c->pumping || c->state == CONN_DEAD)
		return;
	c->pumping = true;
	c->again = false;
	while (moved < GATE_TURN_BYTES && c->state != CONN_DEAD) {
		n = pump_once(c);
		if (n <= 0)
			break;
		moved += (size_t)n;
	}
	if (n < 0 && c->state != CONN_DEAD)
		pump_failed(c, n);
	c->pumping = false;
	if (c->state == CONN_DEAD)
		return;
	if (n > 0) {
		c->again = true;
		gate_again(c->gate);
	}
	after_pump(c);
}

static void client_event(struct stream *s)
{
	conn_pump(conn_of(s));
}

/* What conn_cancel() compares: unguessable, and not the same for two connections. */
static int mint_key(struct conn *c)
{
	if (getrandom(&c->key, sizeof(c->key), 0) != sizeof(c->key))
		return -EIO;
	c->pid = (uint32_t)(c->gate->pid_salt + c->id) & 0x7fffffff;
	return 0;
}

static struct conn *conn_new(struct gate *g, struct endpoint *ep)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->gate = g;
	c->ep = ep;
	c->id = ++g->last_conn;
	c->ask.answered = query_answered;
	names_init(&c->statements, GATE_STATEMENTS_MAX, 's');
	names_init(&c->portals, GATE_PORTALS_MAX, 'q');
	stream_init(&c->client, client_event);
	start_user_init(c);
	if (mint_key(c) < 0 || uv_timer_init(&g->loop, &c->timer) < 0) {
		free(c);
		return NULL;
	}
	c->timer.data = c;
	return c;
}

void conn_open(struct gate *g, struct endpoint *ep, int fd)
{
	struct conn *c = conn_new(g, ep);
	int on = 1;

	if (!c) {
		close(fd);
		return;
	}
	/* Only helps; a socket without it works. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	list_add_tail(&g->conns, &c->link);
	g->n_conns++;
	if (stream_open(&c->client, &g->loop, fd) < 0) {
		conn_abort(c, "no descriptor");
		return;
	}
	tell(c, "open", NULL, NULL);
	conn_hurry(c);
	c->client.readable = true;
	conn_pump(c);
}

bool conn_turn(struct gate *g)
{
	bool more = false;

	list_for_each_safe (pos, tmp, &g->conns) {
		struct conn *c = list_entry(pos, struct conn, link);

		if (c->again)
			conn_pump(c);
	}
	list_for_each (pos, &g->conns) {
		more |= list_entry(pos, struct conn, link)->again;
	}
	return more;
}

void conn_cancel(struct gate *g, struct endpoint *ep, uint32_t pid, uint32_t key)
{
	list_for_each (pos, &g->conns) {
		struct conn *c = list_entry(pos, struct conn, link);

		if (c->ep != ep || c->pid != pid || c->key != key)
			continue;
		/* Only what it is doing now: an idle one has nothing to cancel. */
		if (c->up && c->ops.n > 0 && c->state != CONN_IDLE)
			upstream_cancel(c->up);
		return;
	}
}

void conn_close_all(struct gate *g)
{
	list_for_each_safe (pos, tmp, &g->conns)
		conn_abort(list_entry(pos, struct conn, link), "the gate ends");
}
