/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of the server. Each must be the one that is due; it is checked and built anew for the
 * client, rows and COPY data in pieces as they come. What was never asked for, or does not parse,
 * closes both legs.
 */
#include <errno.h>
#include <string.h>

#include "gate/conn.h"

static void record_done(struct conn *c, const struct op *op, const char *error)
{
	struct record_statement rec = {
		.db = c->ep->config->name,
		.conn = c->id,
		.verdict = op->verdict,
		.rows = op->rows,
		.bytes = op->bytes,
		.us = (uv_hrtime() - op->started_ns) / 1000,
		.error = error,
	};

	if (!op->verdict)
		return;
	record_statement(&c->gate->recorder, &rec);
	if (c->seen == op->verdict)
		verdict_unref(TAKE_PTR(c->seen));
}

/* What the server was given to parse or bind, and did not execute, leaves a record of its own. */
static void record_seen(struct conn *c)
{
	struct record_statement rec = {
		.db = c->ep->config->name, .conn = c->id, .verdict = c->seen, .not_run = true};

	if (!c->seen)
		return;
	record_statement(&c->gate->recorder, &rec);
	verdict_unref(TAKE_PTR(c->seen));
}

static void note_seen(struct conn *c, struct verdict *v)
{
	if (!v || v == c->seen)
		return;
	record_seen(c);
	c->seen = verdict_ref(v);
}

void reply_unfinished(struct conn *c)
{
	for (size_t i = 0; i < c->ops.n; i++) {
		struct op *op = &c->ops.ring[(c->ops.head + i) % c->ops.size];

		if (op->type == OP_EXECUTE)
			record_done(c, op, "08006");
		else
			note_seen(c, op->verdict);
		verdict_unref(TAKE_PTR(op->verdict));
	}
	record_seen(c);
}

static int pop_and_run(struct conn *c)
{
	op_pop(c);
	return ops_run_local(c);
}

static int copy(struct conn *c, const struct pg_msg *m)
{
	return pg_put_msg(&c->client.out, m->type, m->body, m->len);
}

/* Tell the client, the batch is over. */
int reply_ready(struct conn *c, uint8_t status)
{
	bool failed = c->batch_failed;

	record_seen(c);
	int r = tx_settle(c, &status);

	if (r < 0)
		return r;
	if (failed) {
		names_settle(&c->statements);
		names_settle(&c->portals);
	}
	c->flush_asked = false;
	upstream_settled(c->up);
	conn_set_state(c, CONN_IDLE);
	return pg_put_ready(&c->client.out, status);
}

/* Known field codes only, in the server's order. */
static int put_notice(struct buf *out, const struct pg_msg *m)
{
	__cleanup_buf struct buf b = BUF_INIT(0);
	struct pg_text value;
	uint8_t code;
	size_t pos = 0;
	int r;

	while ((r = pg_notice_field(m, &pos, &code, &value)) == 1) {
		if (!strchr("SVCMDHPpqWstcdnFLR", code))
			continue;
		r = buf_put_u8(&b, code);
		if (r == 0)
			r = buf_put(&b, value.p, value.len + 1); /* with its NUL */
		if (r < 0)
			return r;
	}
	if (r == 0)
		r = buf_put_u8(&b, 0);
	return r == 0 ? pg_put_msg(out, m->type, buf_ptr(&b), buf_len(&b)) : r;
}

static bool is_fatal(const struct pg_msg *m)
{
	struct pg_text severity = pg_notice_find(m, 'V');

	if (severity.len == 0)
		severity = pg_notice_find(m, 'S');
	return !pg_text_is(severity, "ERROR");
}

static void record_error(struct conn *c, const struct pg_msg *m)
{
	char sqlstate[PG_STATE_SIZE] = "";

	(void)pg_notice_state(m, sqlstate); /* "" says that it failed, too */
	for (size_t i = 0; i < c->ops.n; i++) {
		struct op *op = &c->ops.ring[(c->ops.head + i) % c->ops.size];

		if (op->type == OP_SYNC)
			return;
		if (!op->verdict)
			continue;
		record_done(c, op, sqlstate);
		verdict_unref(TAKE_PTR(op->verdict));
		return;
	}
}

/* A setting of the start-up message. The client is not served yet, so it gets the gate's words. */
static int setup_refused(struct conn *c, const struct pg_msg *m)
{
	char sqlstate[PG_STATE_SIZE] = "08001";

	if (pg_check_notice(m) < 0)
		return -EPROTO;
	(void)pg_notice_state(m, sqlstate); /* else that one */
	login_log_error(c->up, m);
	conn_end(c, sqlstate, "pinfold: the server refused a setting of the start-up message");
	return -EPERM;
}

/* The server ignores everything up to Sync, so nothing before it is owed any more. */
static int on_error(struct conn *c, const struct pg_msg *m)
{
	if (c->state == CONN_SETUP)
		return setup_refused(c, m);
	int r = put_notice(&c->client.out, m);

	if (r < 0)
		return r;
	record_error(c, m);
	if (is_fatal(m)) {
		conn_end(c, NULL, NULL);
		return -EPERM;
	}
	struct op *op = op_head(c);

	if (!op)
		return -EPROTO;
	c->batch_failed = true;
	for (; op && op->type != OP_SYNC; op = op_head(c)) {
		op->effect = TX_NO_EFFECT;
		op_pop(c);
	}
	/* The gate's own clean-up failed: the state of the server is unknown. */
	if (op && op->hidden)
		return -EPROTO;
	if (c->state == CONN_BATCH)
		conn_set_state(c, CONN_SKIP);
	if (c->state == CONN_ASK)
		c->resume = CONN_SKIP;
	return 0;
}

static int on_notice(struct conn *c, const struct pg_msg *m)
{
	struct op *op = op_head(c);

	if (pg_check_notice(m) < 0)
		return -EPROTO;
	if (op && op->hidden && op->type != OP_PARSE && op->type != OP_BIND)
		return 0;
	return put_notice(&c->client.out, m);
}

static int on_param(struct conn *c, const struct pg_msg *m)
{
	struct pg_text name, value;

	if (pg_read_param(m, &name, &value) < 0)
		return -EPROTO;
	int r = upstream_param(c->up, name, value);

	if (r == -EPROTO)
		return conn_kill(c, pg_text_is(name, "client_encoding") ? "P20" : "P22",
				 "the server left UTF-8, standard strings or read-only");
	if (r < 0)
		return r;
	/* During login the client gets all of them at its end. */
	return c->state == CONN_SETUP ? 0 : copy(c, m);
}

/* The gate's own statement: 1, 2, its row, and the end of it. */
static int on_internal(struct conn *c, struct op *op, const struct pg_msg *m)
{
	struct pg_text value;

	/* What is due: ParseComplete once, BindComplete once, then the rest. */
	if (op->parsing) {
		op->parsing = false;
		return m->type == '1' && m->len == 0 ? 0 : -EPROTO;
	}
	if (!op->bound) {
		op->bound = true;
		return m->type == '2' && m->len == 0 ? 0 : -EPROTO;
	}
	switch (m->type) {
	case 'D':
		if (!op->snapshot)
			return 0;
		if (pg_read_single(m, &value) < 0)
			return -EPROTO;
		if (!pg_text_is(value, "on"))
			return conn_kill(c, "P32", "the server's transaction is not read-only");
		op->snapshot = false;
		return 0;
	case 'C':
		if (op->snapshot)
			return conn_kill(c, "P32", "the server did not say read-only");
		if (op->tag) {
			int r = pg_put_cstr_msg(&c->client.out, 'C', op->tag);

			if (r < 0)
				return r;
		}
		return pop_and_run(c);
	default:
		return -EPROTO;
	}
}

static int on_execute_reply(struct conn *c, struct op *op, const struct pg_msg *m)
{
	struct pg_text tag;
	int r;

	switch (m->type) {
	case 'H':
		if (pg_check_copy_out(m) < 0 || op->copying)
			return -EPROTO;
		op->copying = true;
		return copy(c, m);
	case 'c':
		if (m->len != 0 || !op->copying)
			return -EPROTO;
		op->copying = false;
		return copy(c, m);
	case 'C':
		if (pg_read_text(m, &tag) < 0 || op->copying)
			return -EPROTO;
		if (op->name && op->name->state == NAME_PENDING)
			op->name->state = NAME_LIVE;
		break;
	case 'I':
	case 's':
		if (m->len != 0 || op->copying)
			return -EPROTO;
		break;
	default: /* CopyInResponse and CopyBothResponse among them */
		return -EPROTO;
	}
	r = copy(c, m);
	record_done(c, op, NULL);
	return r == 0 ? pop_and_run(c) : r;
}

static int on_describe_reply(struct conn *c, struct op *op, const struct pg_msg *m)
{
	if (m->type == 't' && op->type == OP_DESCRIBE_STMT) {
		if (pg_check_param_description(m) < 0)
			return -EPROTO;
		op->type = OP_DESCRIBE;
		return copy(c, m);
	}
	if (op->type != OP_DESCRIBE)
		return -EPROTO;
	if (m->type == 'T' ? pg_check_row_description(m) < 0 : m->type != 'n' || m->len != 0)
		return -EPROTO;
	int r = m->type == 'n' && op->quiet ? 0 : copy(c, m);

	return r == 0 ? pop_and_run(c) : r;
}

/* ParseComplete, BindComplete, CloseComplete. */
static int on_complete(struct conn *c, struct op *op, const struct pg_msg *m, uint8_t due)
{
	if (m->type != due || m->len != 0)
		return -EPROTO;
	if (op->type == OP_CLOSE && op->name)
		names_remove(op->name);
	else if (op->name && op->name->state == NAME_PENDING)
		op->name->state = NAME_LIVE;
	note_seen(c, op->verdict);
	int r = op->hidden ? 0 : copy(c, m);

	if (r < 0)
		return r;
	if (op->repeat > 0) {
		op->repeat--;
		return 0;
	}
	return pop_and_run(c);
}

static int on_ready(struct conn *c, struct op *op, const struct pg_msg *m)
{
	bool hidden = op->hidden;
	uint8_t status;

	if (pg_read_ready(m, &status) < 0)
		return -EPROTO;
	op_pop(c);
	if (!hidden) {
		int r = reply_ready(c, status);

		return r == 0 ? ops_run_local(c) : r;
	}
	/* The gate's own business ends outside of any transaction. */
	if (status != 'I')
		return -EPROTO;
	c->up->status = status;
	return c->state == CONN_SETUP ? start_finish(c) : ops_run_local(c);
}

static int on_due(struct conn *c, struct op *op, const struct pg_msg *m)
{
	switch (op->type) {
	case OP_INTERNAL:
		return on_internal(c, op, m);
	case OP_PARSE:
		return on_complete(c, op, m, '1');
	case OP_BIND:
		return on_complete(c, op, m, '2');
	case OP_CLOSE:
		return on_complete(c, op, m, '3');
	case OP_DESCRIBE:
	case OP_DESCRIBE_STMT:
		return on_describe_reply(c, op, m);
	case OP_EXECUTE:
		return on_execute_reply(c, op, m);
	case OP_SYNC:
		return m->type == 'Z' ? on_ready(c, op, m) : -EPROTO;
	case OP_LOCAL:
	case OP_READY:
		break;
	}
	return -EPROTO;
}

static int dispatch(struct conn *c, const struct pg_msg *m)
{
	struct op *op = op_head(c);

	switch (m->type) {
	case 'E':
		return on_error(c, m);
	case 'N':
		return on_notice(c, m);
	case 'S':
		return on_param(c, m);
	case 'A':
		/* LISTEN is denied; what a function listened to is nobody's business. */
		return 0;
	default:
		return op ? on_due(c, op, m) : -EPROTO;
	}
}

/* A row or COPY data of the statement that is executing: only its head is awaited. */
static bool is_stream(struct conn *c, const struct pg_msg *m)
{
	struct op *op = op_head(c);

	return op && op->type == OP_EXECUTE && m->type == (op->copying ? 'd' : 'D');
}

static int begin_row(struct conn *c, const struct pg_msg *m)
{
	struct op *op = op_head(c);

	if (m->len > GATE_SERVER_ROW_MAX)
		return -EPROTO;
	op->rows++;
	op->bytes += m->len;
	c->row_left = m->len;
	buf_consume(&c->up->s.in, PG_HEAD);
	return pg_put_head(&c->client.out, m->type, m->len);
}

static int move_row(struct conn *c)
{
	struct buf *in = &c->up->s.in;
	size_t n = buf_len(in) < c->row_left ? buf_len(in) : c->row_left;
	int r = buf_put(&c->client.out, buf_ptr(in), n);

	if (r < 0)
		return r;
	buf_consume(in, n);
	c->row_left -= (uint32_t)n;
	return 0;
}

/* One whole message, or a piece of a row: 1 = went on, 0 = more input needed. */
static int reply_step(struct conn *c)
{
	struct buf *in = &c->up->s.in;
	struct pg_msg m;

	if (c->row_left > 0)
		return buf_len(in) == 0 ? 0 : move_row(c) < 0 ? -ENOMEM : 1;
	int r = pg_head(buf_ptr(in), buf_len(in), &m);

	if (r <= 0)
		return r < 0 ? -EPROTO : 0;
	if (is_stream(c, &m)) {
		r = begin_row(c, &m);
		return r < 0 ? r : 1;
	}
	if (m.len > GATE_SERVER_MSG_MAX)
		return -EPROTO;
	if (buf_len(in) < PG_HEAD + (size_t)m.len)
		return 0;
	r = dispatch(c, &m);
	/* The connection may have been given away, and its buffer with it. */
	if (r == 0 && c->up)
		buf_consume(in, PG_HEAD + (size_t)m.len);
	return r < 0 ? r : 1;
}

int reply_process(struct conn *c)
{
	int r = 1;

	while (r > 0 && c->up && buf_len(&c->client.out) < GATE_OUT_HIGH)
		r = reply_step(c);
	return r < 0 ? r : 0;
}
