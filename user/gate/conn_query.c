/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of the client once it is logged in. Each is decoded, judged, and rebuilt for the server;
 * nothing is passed on as it came. The verdict belongs to a statement's text: at Query and at
 * Parse. What is executed later is looked up by name among what was allowed.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gate/conn.h"

static void note_denied(struct conn *c, const struct verdict *v)
{
	struct record_statement rec = {.db = c->ep->config->name, .conn = c->id, .verdict = v};

	record_statement(&c->gate->recorder, &rec);
}

static int push_error(struct conn *c, const struct pg_error *e)
{
	__cleanup_buf struct buf b = BUF_INIT(0);
	int r = pg_put_error(&b, 'E', e);

	return r == 0 ? op_push_local(c, &b, TX_NO_EFFECT) : r;
}

int query_refuse(struct conn *c, const struct sql_result *res)
{
	char text[SQL_REASON_SIZE + SQL_RULE_SIZE + 64];
	const struct pg_error e = {
		.severity = "ERROR",
		.sqlstate = res->sqlstate,
		.message = text,
		.hint = res->hint,
		.position = res->position,
	};

	snprintf(text, sizeof(text), "pinfold: denied by rule %s: %s", res->rule, res->reason);
	return push_error(c, &e);
}

int query_error(struct conn *c, const char *sqlstate, const char *message)
{
	const struct pg_error e = {.severity = "ERROR", .sqlstate = sqlstate, .message = message};

	return push_error(c, &e);
}

/* An error in an extended batch: nothing counts until Sync. */
static int skip(struct conn *c, int r)
{
	conn_set_state(c, CONN_SKIP);
	return r;
}

/* Deny something that is not a statement text; recorded with that word as its text. */
static int deny_word(struct conn *c, const char *word, const char *rule, const char *sqlstate,
		     const char *reason)
{
	struct verdict *v = verdict_new(word, strlen(word));

	if (!v)
		return -ENOMEM;
	verdict_deny(&v->result, rule, sqlstate, reason);
	note_denied(c, v);
	int r = query_refuse(c, &v->result);

	verdict_unref(v);
	return r;
}

void query_answered(struct ask *a)
{
	struct conn *c = (struct conn *)((char *)a - offsetof(struct conn, ask));
	struct verdict *v = TAKE_PTR(a->verdict);

	vcache_add(c->gate->cache, v);
	conn_set_state(c, c->resume);
	/* An error of the server came meanwhile: the message is not looked at any more. */
	if (c->state == CONN_SKIP)
		verdict_unref(v);
	else
		c->verdict = v;
	conn_pump(c);
}

/* Ask the boxed parser: -EAGAIN, or 0 when it answered at once. */
static int ask(struct conn *c, struct pg_text text, struct verdict **ret)
{
	c->ask.dialect = SQL_POSTGRES;
	c->ask.verdict = verdict_new(text.p, text.len);
	if (!c->ask.verdict)
		return -ENOMEM;
	c->resume = c->state;
	conn_set_state(c, CONN_ASK);
	parser_ask(&c->gate->parser, &c->ask);
	if (!c->verdict)
		return -EAGAIN;
	*ret = TAKE_PTR(c->verdict);
	return 0;
}

/* The verdict on text, one reference: 0, -EAGAIN when it has to be waited for. */
static int judge(struct conn *c, struct pg_text text, struct verdict **ret)
{
	struct sql_result refused;

	if (c->verdict) {
		*ret = TAKE_PTR(c->verdict);
		return 0;
	}
	if (sql_precheck(text.p, text.len, &refused) < 0) {
		*ret = verdict_new(text.p, text.len);
		if (!*ret)
			return -ENOMEM;
		(*ret)->result = refused;
		return 0;
	}
	struct verdict *known = vcache_find(c->gate->cache, text.p, text.len);

	if (!known)
		return ask(c, text, ret);
	*ret = verdict_ref(known);
	return 0;
}

/* 1 = allowed; 0 = refused and said so; -errno. */
static int verdict_gate(struct conn *c, const struct verdict *v)
{
	switch ((enum sql_verdict)v->result.verdict) {
	case SQL_ALLOW:
		if (tx_is_local(v) || tx_is_forward(v))
			return 1;
		return deny_word(c, v->text, "P24", "0A000", "this kind of statement");
	case SQL_KILL:
		note_denied(c, v);
		return conn_kill(c, v->result.rule, v->result.reason);
	case SQL_DENY:
		break;
	}
	note_denied(c, v);
	return query_refuse(c, &v->result);
}

/* Allowed, and still not sent: recorded as that, with the error that the client is told. */
static int refuse_here(struct conn *c, struct verdict *v, const struct pg_error *e)
{
	struct record_statement rec = {.db = c->ep->config->name,
				       .conn = c->id,
				       .verdict = v,
				       .not_run = true,
				       .error = e->sqlstate};

	record_statement(&c->gate->recorder, &rec);
	return push_error(c, e);
}

static int name_error(struct conn *c, struct verdict *v, const char *sqlstate, const char *message)
{
	const struct pg_error e = {.severity = "ERROR", .sqlstate = sqlstate, .message = message};

	return refuse_here(c, v, &e);
}

/* SQL PREPARE and EXECUTE share the client's names with the protocol. 1 = go on, 0 = refused. */
static int sql_name(struct conn *c, struct verdict *v, struct name **ret)
{
	struct pg_text name = {.p = v->result.name, .len = strlen(v->result.name)};
	struct name *known = names_find(&c->statements, name);

	if (v->result.kind == SQL_KIND_EXECUTE) {
		if (known && known->sql)
			return 1;
		return name_error(c, v, "26000", "prepared statement does not exist");
	}
	if (v->result.kind != SQL_KIND_PREPARE)
		return 1;
	if (known)
		return name_error(c, v, "42P05", "prepared statement already exists");
	if (strncmp(name.p, UP_NAME_PREFIX, strlen(UP_NAME_PREFIX)) == 0)
		return name_error(c, v, "42602", "pinfold: this name is reserved");
	int r = names_add(&c->statements, name, v, v->result.name, ret);

	if (r == -E2BIG)
		return name_error(c, v, "53400", "pinfold: too many prepared statements");
	if (r < 0)
		return r;
	(*ret)->sql = true;
	return 1;
}

/* Parse, Bind, Describe and Execute of one text: what a simple query becomes upstream. */
static int put_simple(struct conn *c, struct verdict *v, struct name *prepared)
{
	__cleanup_buf struct buf b = BUF_INIT(0);
	struct buf *out = &c->up->s.out;
	struct pg_text text;
	int r = tx_text(v, &b, &text);

	if (r == 0)
		r = pg_put_parse(out, "", text, 0, NULL);
	if (r == 0)
		r = op_push(c, (struct op){.type = OP_PARSE, .hidden = true});
	if (r == 0)
		r = pg_put_bind_plain(out, "", "");
	if (r == 0)
		r = op_push(c, (struct op){.type = OP_BIND, .hidden = true});
	if (r == 0)
		r = pg_put_target(out, 'D', 'P', "");
	if (r == 0)
		r = op_push(c, (struct op){.type = OP_DESCRIBE, .quiet = true});
	if (r == 0)
		r = pg_put_execute(out, "", 0);
	if (r == 0)
		r = op_push(c, (struct op){.type = OP_EXECUTE, .verdict = v, .name = prepared});
	c->batch_up = true;
	return r;
}

static int forward_simple(struct conn *c, struct verdict *v)
{
	static const struct pg_text unnamed = {.p = ""};
	struct name *prepared = NULL;
	int r = sql_name(c, v, &prepared);

	if (r <= 0)
		return r;
	struct name *old = names_find(&c->statements, unnamed);

	if (old)
		names_remove(old);
	old = names_find(&c->portals, unnamed);
	if (old)
		names_remove(old);
	r = tx_ensure(c, v);
	if (r == 0)
		r = tx_note(c, v);
	return r == 0 ? put_simple(c, v, prepared) : r;
}

static int run_simple(struct conn *c, struct verdict *v)
{
	int r = verdict_gate(c, v);

	if (r <= 0)
		return r;
	const struct pg_error *e = tx_refuses(c, v);

	if (e)
		return refuse_here(c, v, e);
	if (!tx_is_local(v))
		return forward_simple(c, v);
	struct record_statement rec = {.db = c->ep->config->name, .conn = c->id, .verdict = v};

	record_statement(&c->gate->recorder, &rec);
	return tx_local(c, v);
}

static int on_query(struct conn *c, const struct pg_msg *m)
{
	struct pg_text text;
	struct verdict *v;

	if (pg_read_text(m, &text) < 0)
		return conn_kill(c, "P11", "a NUL inside a query");
	int r = judge(c, text, &v);

	if (r < 0)
		return r;
	r = run_simple(c, v);
	verdict_unref(v);
	return r < 0 ? r : tx_sync(c);
}

static int local_reply(struct conn *c, uint8_t type)
{
	__cleanup_buf struct buf b = BUF_INIT(0);
	int r = pg_put_empty(&b, type);

	return r == 0 ? op_push_local(c, &b, TX_NO_EFFECT) : r;
}

static int add_failed(struct conn *c, int r, const char *state, const char *what)
{
	if (r == -EEXIST)
		return skip(c, query_error(c, state, what));
	if (r == -E2BIG)
		return skip(c, query_error(c, "53400", "pinfold: too many statements or portals"));
	return r;
}

static int parse_allowed(struct conn *c, const struct pg_parse *p, struct verdict *v)
{
	__cleanup_buf struct buf b = BUF_INIT(0);
	struct name *e;
	struct pg_text text;

	if (v->result.kind == SQL_KIND_PREPARE || v->result.kind == SQL_KIND_EXECUTE)
		return skip(c, deny_word(c, v->text, "P16", "0A000",
					 "PREPARE and EXECUTE inside the extended protocol"));
	int r = names_add(&c->statements, p->name, v, NULL, &e);

	if (r < 0)
		return add_failed(c, r, "42P05", "prepared statement already exists");
	if (tx_is_local(v)) {
		e->state = NAME_LIVE;
		return local_reply(c, '1');
	}
	r = tx_text(v, &b, &text);
	if (r == 0)
		r = tx_ensure(c, v);
	if (r == 0)
		r = pg_put_parse(&c->up->s.out, e->upstream, text, p->n_types, p->types);
	c->batch_up = true;
	return r == 0 ? op_push(c, (struct op){.type = OP_PARSE, .name = e, .verdict = v}) : r;
}

static int on_parse(struct conn *c, const struct pg_msg *m)
{
	struct pg_parse p;
	struct verdict *v;

	if (pg_read_parse(m, &p) < 0)
		return conn_kill(c, "P11", "malformed Parse");
	int r = judge(c, p.query, &v);

	if (r < 0)
		return r;
	r = verdict_gate(c, v);
	if (r > 0)
		r = parse_allowed(c, &p, v);
	else if (r == 0)
		skip(c, 0);
	verdict_unref(v);
	return r;
}

static int on_bind(struct conn *c, const struct pg_msg *m)
{
	struct pg_bind b;
	struct name *portal;

	if (pg_read_bind(m, &b) < 0)
		return conn_kill(c, "P10", "malformed Bind");
	struct name *statement = names_find(&c->statements, b.statement);

	if (!statement)
		return skip(c, query_error(c, "26000", "prepared statement does not exist"));
	/* First: what it sends takes the place of the unnamed portal. */
	int r = tx_is_local(statement->verdict) ? 0 : tx_ensure(c, statement->verdict);

	if (r < 0)
		return r;
	/* Whatever the statement is, the input functions of its parameters' types are code. */
	c->tx.used |= b.n_values > 0;
	r = names_add(&c->portals, b.portal, statement->verdict, NULL, &portal);
	if (r < 0)
		return add_failed(c, r, "42P03", "cursor already exists");
	if (tx_is_local(statement->verdict)) {
		portal->state = NAME_LIVE;
		return local_reply(c, '2');
	}
	if (r == 0)
		r = pg_put_bind(&c->up->s.out, portal->upstream, statement->upstream, b.rest,
				b.rest_len);
	c->batch_up = true;
	return r == 0 ? op_push(c, (struct op){.type = OP_BIND,
					       .name = portal,
					       .verdict = portal->verdict})
		      : r;
}

/* Neither parameters nor rows: what the gate's own answers to a statement consist of. */
static int describe_local(struct conn *c, bool statement)
{
	static const uint8_t no_parameters[2];
	__cleanup_buf struct buf b = BUF_INIT(0);
	int r = statement ? pg_put_msg(&b, 't', no_parameters, sizeof(no_parameters)) : 0;

	if (r == 0)
		r = pg_put_empty(&b, 'n');
	return r == 0 ? op_push_local(c, &b, TX_NO_EFFECT) : r;
}

static int on_describe(struct conn *c, const struct pg_msg *m)
{
	struct pg_text name;
	uint8_t what;

	if (pg_read_target(m, &what, &name) < 0)
		return conn_kill(c, "P10", "malformed Describe");
	bool statement = what == 'S';
	struct name *e = names_find(statement ? &c->statements : &c->portals, name);

	if (!e && statement)
		return skip(c, query_error(c, "26000", "prepared statement does not exist"));
	if (!e)
		return skip(c, query_error(c, "34000", "portal does not exist"));
	if (tx_is_local(e->verdict))
		return describe_local(c, statement);
	int r = tx_ensure(c, e->verdict);

	/* What that sent may have taken the place of the unnamed portal. */
	e = names_find(statement ? &c->statements : &c->portals, name);
	if (r == 0 && !e)
		return skip(c, query_error(c, "34000", "portal does not exist"));
	if (r == 0)
		r = pg_put_target(&c->up->s.out, 'D', what, e->upstream);
	c->batch_up = true;
	return r == 0 ? op_push(c, (struct op){.type = statement ? OP_DESCRIBE_STMT : OP_DESCRIBE})
		      : r;
}

static int execute_local(struct conn *c, struct verdict *v)
{
	struct record_statement rec = {.db = c->ep->config->name, .conn = c->id, .verdict = v};

	record_statement(&c->gate->recorder, &rec);
	/* The portal goes away with the transaction that this may end. */
	verdict_ref(v);
	int r = tx_local(c, v);

	verdict_unref(v);
	return r;
}

static int on_execute(struct conn *c, const struct pg_msg *m)
{
	struct pg_text name;
	uint32_t rows;

	if (pg_read_execute(m, &name, &rows) < 0)
		return conn_kill(c, "P10", "malformed Execute");
	struct name *portal = names_find(&c->portals, name);

	if (!portal)
		return skip(c, query_error(c, "34000", "portal does not exist"));
	const struct pg_error *e = tx_refuses(c, portal->verdict);

	if (e)
		return skip(c, push_error(c, e));
	if (tx_is_local(portal->verdict))
		return execute_local(c, portal->verdict);
	int r = tx_ensure(c, portal->verdict);

	/* As in on_describe(). */
	portal = names_find(&c->portals, name);
	if (r == 0 && !portal)
		return skip(c, query_error(c, "34000", "portal does not exist"));
	if (r == 0)
		r = tx_note(c, portal->verdict);
	if (r == 0)
		r = pg_put_execute(&c->up->s.out, portal->upstream, rows);
	c->batch_up = true;
	return r == 0 ? op_push(c, (struct op){.type = OP_EXECUTE, .verdict = portal->verdict}) : r;
}

static int on_close(struct conn *c, const struct pg_msg *m)
{
	struct pg_text name;
	uint8_t what;

	if (pg_read_target(m, &what, &name) < 0)
		return conn_kill(c, "P10", "malformed Close");
	struct names *names = what == 'S' ? &c->statements : &c->portals;
	struct name *e = names_find(names, name);

	/* Closing what does not exist is no error. */
	if (!e)
		return local_reply(c, '3');
	if (tx_is_local(e->verdict)) {
		names_remove(e);
		return local_reply(c, '3');
	}
	e->state = NAME_CLOSING;
	c->batch_up = true;
	int r = pg_put_target(&c->up->s.out, 'C', what, e->upstream);

	return r == 0 ? op_push(c, (struct op){.type = OP_CLOSE, .name = e}) : r;
}

static int on_flush(struct conn *c, const struct pg_msg *m)
{
	if (m->len != 0)
		return conn_kill(c, "P10", "malformed Flush");
	return c->batch_up ? pg_put_empty(&c->up->s.out, 'H') : 0;
}

static int on_sync(struct conn *c, const struct pg_msg *m)
{
	if (m->len != 0)
		return conn_kill(c, "P10", "malformed Sync");
	return tx_sync(c);
}

/* Runs any function by number, with no text to judge (P13). */
static int on_function_call(struct conn *c)
{
	int r = deny_word(c, "FunctionCall", "P13", "0A000",
			  "the FunctionCall message runs functions without SQL");

	if (r < 0)
		return r;
	return c->state == CONN_BATCH ? skip(c, 0) : tx_sync(c);
}

static int on_stray_copy(struct conn *c)
{
	if (++c->stray_copy > GATE_STRAY_COPY_MAX)
		return conn_kill(c, "P18", "COPY data outside of COPY");
	return 0;
}

/* While skipping, only the end of the batch, and of the connection, has a meaning (P15). */
static bool skipped(const struct conn *c, uint8_t type)
{
	return c->state == CONN_SKIP && type != 'S' && type != 'X' && type != 'd' && type != 'c' &&
	       type != 'f';
}

int query_message(struct conn *c, const struct pg_msg *m)
{
	if (skipped(c, m->type)) {
		/* Its verdict may have come before the error did: the next message is another. */
		verdict_unref(TAKE_PTR(c->verdict));
		return 0;
	}
	switch (m->type) {
	case 'Q':
		return on_query(c, m);
	case 'X':
		conn_abort(c, NULL);
		return 0;
	case 'S':
		return on_sync(c, m);
	case 'F':
		return on_function_call(c);
	case 'd':
	case 'c':
	case 'f':
		return on_stray_copy(c);
	default:
		break;
	}
	if (c->state == CONN_IDLE)
		conn_set_state(c, CONN_BATCH);
	switch (m->type) {
	case 'P':
		return on_parse(c, m);
	case 'B':
		return on_bind(c, m);
	case 'D':
		return on_describe(c, m);
	case 'E':
		return on_execute(c, m);
	case 'C':
		return on_close(c, m);
	case 'H':
		return on_flush(c, m);
	default:
		return conn_kill(c, "P12", "unknown message type");
	}
}
