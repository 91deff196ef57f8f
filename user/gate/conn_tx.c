/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transactions belong to the gate. What a client runs is wrapped in BEGIN READ ONLY ... ROLLBACK,
 * per batch or from the client's BEGIN to its COMMIT; the client's own words are never sent.
 *
 * Why that holds: once a transaction has its first snapshot, PostgreSQL refuses to make it READ
 * WRITE again, also to functions. Parse and Bind of anything that can run code take the snapshot
 * before any of that code runs; in a client's transaction the gate fixes it by a query of its own
 * and reads back that the transaction is read-only. Ending with ROLLBACK undoes what read-only
 * transactions may do all the same (large objects, notifications, settings made by functions).
 * COMMIT is used only when an allowed SET is to last, and only on a transaction in which nothing
 * else ran: where it did, the settings are made again in a new one. SET and RESET take no snapshot
 * of their own, so the gate fixes it before them.
 */
#include "gate/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool tx_is_local(const struct verdict *v)
{
	switch ((enum sql_kind)v->result.kind) {
	case SQL_KIND_DEALLOCATE:
	case SQL_KIND_RESET_ALL:
	case SQL_KIND_DISCARD_ALL:
	case SQL_KIND_BEGIN:
	case SQL_KIND_COMMIT:
	case SQL_KIND_ROLLBACK:
	case SQL_KIND_SET_TRANSACTION:
	case SQL_KIND_SET_CHARACTERISTICS:
	case SQL_KIND_LOCK_NOOP:
		return true;
	default:
		return false;
	}
}

bool tx_is_forward(const struct verdict *v)
{
	switch ((enum sql_kind)v->result.kind) {
	case SQL_KIND_EMPTY:
	case SQL_KIND_SELECT:
	case SQL_KIND_EXPLAIN:
	case SQL_KIND_SHOW:
	case SQL_KIND_COPY_OUT:
	case SQL_KIND_DECLARE:
	case SQL_KIND_FETCH:
	case SQL_KIND_CLOSE:
	case SQL_KIND_PREPARE:
	case SQL_KIND_EXECUTE:
	case SQL_KIND_SET:
	case SQL_KIND_RESET:
	case SQL_KIND_SAVEPOINT:
	case SQL_KIND_RELEASE:
	case SQL_KIND_ROLLBACK_TO:
		return true;
	default:
		return false;
	}
}

static const char *savepoint_words(const struct verdict *v)
{
	switch ((enum sql_kind)v->result.kind) {
	case SQL_KIND_SAVEPOINT:
		return "SAVEPOINT";
	case SQL_KIND_RELEASE:
		return "RELEASE SAVEPOINT";
	case SQL_KIND_ROLLBACK_TO:
		return "ROLLBACK TO SAVEPOINT";
	default:
		return NULL;
	}
}

int tx_text(const struct verdict *v, struct buf *b, struct pg_text *ret)
{
	const char *words = savepoint_words(v);
	int r = 0;

	*ret = (struct pg_text){.p = v->text, .len = v->len};
	if (!words)
		return 0;
	r = buf_printf(b, "%s \"", words);
	for (const char *s = v->result.name; *s && r == 0; s++)
		r = *s == '"' ? buf_put(b, "\"\"", 2) : buf_put(b, s, 1);
	if (r == 0)
		r = buf_put(b, "\"", 1);
	*ret = (struct pg_text){.p = (char *)buf_ptr(b), .len = buf_len(b)};
	return r;
}

static bool is_setting(const struct verdict *v)
{
	switch ((enum sql_kind)v->result.kind) {
	case SQL_KIND_SET:
	case SQL_KIND_RESET:
	case SQL_KIND_RESET_ALL:
	case SQL_KIND_DISCARD_ALL:
		return true;
	default:
		return false;
	}
}

/* Parsing, planning or executing it may call functions that the database defines. */
static bool runs_code(const struct verdict *v)
{
	return !is_setting(v) && !savepoint_words(v) && v->result.kind != SQL_KIND_SHOW &&
	       v->result.kind != SQL_KIND_EMPTY;
}

static bool failed(const struct conn *c)
{
	return c->tx.client && c->tx.up_open && c->up->status == 'E';
}

const struct pg_error *tx_refuses(const struct conn *c, const struct verdict *v)
{
	static const struct pg_error outside = {
		.severity = "ERROR",
		.sqlstate = "25P01",
		.message = "savepoints and cursors can only be used in transaction blocks",
	};
	static const struct pg_error aborted = {
		.severity = "ERROR",
		.sqlstate = "25P02",
		.message = "current transaction is aborted, commands ignored until end of "
			   "transaction block",
	};

	static const struct pg_error full = {
		.severity = "ERROR",
		.sqlstate = "53400",
		.message = "pinfold: too many settings and savepoints in one transaction",
	};

	if (!c->tx.client && (savepoint_words(v) || v->result.kind == SQL_KIND_DECLARE))
		return &outside;
	if (c->kept.n >= GATE_KEPT_MAX && (is_setting(v) || v->result.kind == SQL_KIND_SAVEPOINT))
		return &full;
	if (failed(c) && tx_is_local(v) && v->result.kind != SQL_KIND_COMMIT &&
	    v->result.kind != SQL_KIND_ROLLBACK)
		return &aborted;
	return NULL;
}

/* The server's unnamed statement or portal is about to be another. */
static void forget_unnamed(struct names *names)
{
	static const struct pg_text unnamed = {.p = ""};
	struct name *e = names_find(names, unnamed);

	if (e && !tx_is_local(e->verdict))
		names_remove(e);
}

/* One of the gate's own statements; its reply is swallowed, or answered as op.tag says. */
static int put_internal(struct conn *c, enum up_statement which, struct op op)
{
	struct buf *out = &c->up->s.out;
	int r = pg_put_bind_plain(out, "", up_statement_name(which));

	if (r == 0)
		r = pg_put_execute(out, "", 0);
	op.type = OP_INTERNAL;
	op.snapshot = which == UP_SNAPSHOT;
	c->batch_up = true;
	forget_unnamed(&c->portals);
	return r == 0 ? op_push(c, op) : r;
}

/* Likewise for a text, by way of the unnamed statement. */
static int put_text(struct conn *c, struct pg_text text, struct op op)
{
	struct buf *out = &c->up->s.out;
	int r = pg_put_parse(out, "", text, 0, NULL);

	if (r == 0)
		r = pg_put_bind_plain(out, "", "");
	if (r == 0)
		r = pg_put_execute(out, "", 0);
	op.type = OP_INTERNAL;
	op.parsing = true;
	c->batch_up = true;
	forget_unnamed(&c->portals);
	forget_unnamed(&c->statements);
	return r == 0 ? op_push(c, op) : r;
}

/* What is to outlive the transaction. */

static void kept_trim(struct kept *k, size_t n)
{
	while (k->n > n)
		verdict_unref(k->list[--k->n]);
}

void tx_forget(struct conn *c)
{
	kept_trim(&c->kept, 0);
	c->kept.settled = 0;
}

/* Behind the last savepoint of v's name. One set before the first setting is not in the list. */
static size_t kept_savepoint(const struct kept *k, const struct verdict *v)
{
	size_t i = k->n;

	for (; i > 0; i--)
		if (!is_setting(k->list[i - 1]) &&
		    strcmp(k->list[i - 1]->result.name, v->result.name) == 0)
			break;
	return i;
}

/* That savepoint is gone, and those after it; the settings stay. */
static void kept_release(struct kept *k, const struct verdict *v)
{
	size_t from = kept_savepoint(k, v), to = from > 0 ? from - 1 : 0;

	for (size_t i = to; i < k->n; i++) {
		if (is_setting(k->list[i]))
			k->list[to++] = k->list[i];
		else
			verdict_unref(k->list[i]);
	}
	k->n = to;
}

static int kept_add(struct kept *k, struct verdict *v)
{
	if (k->n == k->size) {
		size_t size = k->size ? 2 * k->size : 8;
		struct verdict **list = realloc(k->list, size * sizeof(struct verdict *));

		if (!list)
			return -ENOMEM;
		k->list = list;
		k->size = size;
	}
	k->list[k->n++] = verdict_ref(v);
	return 0;
}

int tx_note(struct conn *c, struct verdict *v)
{
	struct kept *k = &c->kept;

	switch ((enum sql_kind)v->result.kind) {
	case SQL_KIND_ROLLBACK_TO:
		kept_trim(k, kept_savepoint(k, v));
		return 0;
	case SQL_KIND_RELEASE:
		kept_release(k, v);
		return 0;
	case SQL_KIND_SAVEPOINT:
		return k->n > 0 ? kept_add(k, v) : 0;
	default:
		break;
	}
	if (!is_setting(v) || v->result.local)
		return 0;
	c->tx.keep = true;
	return kept_add(k, v);
}

static const struct pg_text reset_all_text = {.p = "RESET ALL", .len = sizeof("RESET ALL") - 1};

/*
 * End the upstream transaction. What ran in it is never committed: its settings are made again in
 * one of their own.
 */
static int end_upstream(struct conn *c, bool commit, struct op op)
{
	struct tx *t = &c->tx;
	bool keep = commit && t->keep;
	int r = 0;

	if (keep && t->used) {
		r = put_internal(c, UP_ROLLBACK, (struct op){.hidden = true});
		if (r == 0)
			r = put_internal(c, UP_BEGIN, (struct op){.hidden = true});
	}
	for (size_t i = 0; keep && t->used && i < c->kept.n && r == 0; i++) {
		struct verdict *v = c->kept.list[i];
		struct pg_text text = {.p = v->text, .len = v->len};

		if (v->result.kind == SQL_KIND_RESET_ALL || v->result.kind == SQL_KIND_DISCARD_ALL)
			text = reset_all_text;
		if (is_setting(v))
			r = put_text(c, text, (struct op){.hidden = true});
	}
	t->up_open = false;
	tx_forget(c);
	return r == 0 ? put_internal(c, keep ? UP_COMMIT : UP_ROLLBACK, op) : r;
}

static enum up_statement begin_of(const struct tx *t)
{
	uint8_t isolation = t->client ? t->isolation : t->default_isolation;

	if (t->client && t->deferrable && isolation == SQL_SERIALIZABLE)
		return UP_BEGIN_DEFERRABLE;
	return UP_BEGIN + isolation;
}
_Static_assert(SQL_ISOLATION_COUNT == UP_BEGIN_DEFERRABLE - UP_BEGIN, "one BEGIN per isolation");

int tx_ensure(struct conn *c, const struct verdict *v)
{
	struct tx *t = &c->tx;
	int r = 0;

	if (!t->up_open) {
		r = put_internal(c, begin_of(t), (struct op){.hidden = true});
		t->up_open = true;
		t->snapshot = false;
		t->keep = false;
		t->used = false;
		tx_forget(c);
	}
	if (r == 0 && (t->client || is_setting(v)) && !t->snapshot) {
		r = put_internal(c, UP_SNAPSHOT, (struct op){.hidden = true});
		t->snapshot = true;
	}
	t->used |= runs_code(v);
	return r;
}

static int notice(struct buf *b, const char *sqlstate, const char *message)
{
	const struct pg_error e = {.severity = "WARNING", .sqlstate = sqlstate, .message = message};

	return pg_put_error(b, 'N', &e);
}

/* CommandComplete of the gate's own, behind what b holds already. */
static int complete(struct conn *c, struct buf *b, const char *tag, enum tx_effect effect)
{
	int r = pg_put_cstr_msg(b, 'C', tag);

	return r == 0 ? op_push_local(c, b, effect) : r;
}

static int do_begin(struct conn *c, const struct verdict *v, struct buf *b)
{
	struct tx *t = &c->tx;

	if (t->client) {
		int r = notice(b, "25001", "there is already a transaction in progress");

		return r == 0 ? complete(c, b, "BEGIN", TX_NO_EFFECT) : r;
	}
	t->client = true;
	t->isolation = v->result.tx.isolation ? v->result.tx.isolation : t->default_isolation;
	t->deferrable = v->result.tx.deferrable;
	return complete(c, b, "BEGIN", TX_BEGINS);
}

static int do_end(struct conn *c, const struct verdict *v, struct buf *b)
{
	struct tx *t = &c->tx;
	bool commit = v->result.kind == SQL_KIND_COMMIT && !failed(c);
	const char *tag = commit ? "COMMIT" : "ROLLBACK";
	enum tx_effect effect = v->result.tx.chain ? TX_NO_EFFECT : TX_ENDS;

	if (!t->client) {
		int r = notice(b, "25P01", "there is no transaction in progress");

		return r == 0 ? complete(c, b, tag, TX_NO_EFFECT) : r;
	}
	t->client = v->result.tx.chain;
	if (!t->up_open)
		return complete(c, b, tag, effect);
	return end_upstream(c, commit, (struct op){.tag = tag, .effect = effect});
}

static int do_set_transaction(struct conn *c, const struct verdict *v, struct buf *b)
{
	struct tx *t = &c->tx;
	uint8_t isolation = v->result.tx.isolation;
	int r = 0;

	if (!t->client)
		r = notice(b, "25P01", "SET TRANSACTION can only be used in transaction blocks");
	else if (t->up_open && isolation && isolation != t->isolation)
		return query_error(
			c, "25001",
			"SET TRANSACTION ISOLATION LEVEL must be called before any query");
	else if (isolation)
		t->isolation = isolation;
	if (t->client && v->result.tx.deferrable)
		t->deferrable = true;
	return r == 0 ? complete(c, b, "SET", TX_NO_EFFECT) : r;
}

static int do_set_characteristics(struct conn *c, const struct verdict *v, struct buf *b)
{
	if (v->result.tx.isolation)
		c->tx.default_isolation = v->result.tx.isolation;
	return complete(c, b, "SET", TX_NO_EFFECT);
}

static int close_upstream(struct conn *c, struct name *e)
{
	int r = pg_put_target(&c->up->s.out, 'C', 'S', e->upstream);

	c->batch_up = true;
	names_remove(e);
	return r;
}

static int close_all(struct conn *c)
{
	uint32_t n = 0;
	int r = 0;

	for (size_t i = 0; i < NAMES_BUCKETS && r == 0; i++)
		list_for_each_safe (pos, tmp, &c->statements.buckets[i]) {
			struct name *e = list_entry(pos, struct name, link);

			if (tx_is_local(e->verdict)) {
				names_remove(e);
				continue;
			}
			r = close_upstream(c, e);
			n++;
			if (r < 0)
				break;
		}
	if (r == 0 && n > 0)
		r = op_push(c, (struct op){.type = OP_CLOSE, .hidden = true, .repeat = n - 1});
	return r;
}

static int do_deallocate(struct conn *c, const struct verdict *v, struct buf *b)
{
	struct pg_text name = {.p = v->result.name, .len = strlen(v->result.name)};
	int r;

	if (name.len == 0) {
		r = close_all(c);
		return r == 0 ? complete(c, b, "DEALLOCATE ALL", TX_NO_EFFECT) : r;
	}
	struct name *e = names_find(&c->statements, name);

	if (!e)
		return query_error(c, "26000", "prepared statement does not exist");
	if (tx_is_local(e->verdict)) {
		names_remove(e);
		return complete(c, b, "DEALLOCATE", TX_NO_EFFECT);
	}
	r = close_upstream(c, e);
	if (r == 0)
		r = op_push(c, (struct op){.type = OP_CLOSE, .hidden = true});
	return r == 0 ? complete(c, b, "DEALLOCATE", TX_NO_EFFECT) : r;
}

/*
 * The gate's own settings came with the StartupMessage, so they are what RESET ALL falls back to;
 * the server reports it if not, and that closes the connection.
 */
static int reset_all(struct conn *c, struct verdict *v, const char *tag)
{
	int r = tx_ensure(c, v);

	if (r == 0)
		r = tx_note(c, v);
	return r == 0 ? put_text(c, reset_all_text, (struct op){.tag = tag}) : r;
}

static int do_discard(struct conn *c, struct verdict *v)
{
	if (c->tx.client)
		return query_error(c, "25001", "DISCARD ALL cannot run inside a transaction block");
	int r = close_all(c);

	names_clear(&c->portals);
	c->tx.default_isolation = SQL_ISOLATION_UNSET;
	return r == 0 ? reset_all(c, v, "DISCARD ALL") : r;
}

int tx_local(struct conn *c, struct verdict *v)
{
	__cleanup_buf struct buf b = BUF_INIT(0);

	switch ((enum sql_kind)v->result.kind) {
	case SQL_KIND_DEALLOCATE:
		return do_deallocate(c, v, &b);
	case SQL_KIND_RESET_ALL:
		return reset_all(c, v, "RESET");
	case SQL_KIND_DISCARD_ALL:
		return do_discard(c, v);
	case SQL_KIND_BEGIN:
		return do_begin(c, v, &b);
	case SQL_KIND_COMMIT:
	case SQL_KIND_ROLLBACK:
		return do_end(c, v, &b);
	case SQL_KIND_SET_TRANSACTION:
		return do_set_transaction(c, v, &b);
	case SQL_KIND_SET_CHARACTERISTICS:
		return do_set_characteristics(c, v, &b);
	case SQL_KIND_LOCK_NOOP:
		return complete(c, &b, "LOCK TABLE", TX_NO_EFFECT);
	default:
		return query_error(c, "0A000", "pinfold: not supported");
	}
}

int tx_sync(struct conn *c)
{
	struct tx *t = &c->tx;
	int r = 0;

	conn_set_state(c, CONN_DRAIN);
	/* After an error the server ignores all up to Sync; tx_settle() cleans up. */
	if (t->up_open && !t->client && !c->batch_failed)
		r = end_upstream(c, true, (struct op){.hidden = true});
	if (r == 0 && c->batch_up)
		r = pg_put_empty(&c->up->s.out, 'S');
	if (r == 0)
		r = op_push(c, (struct op){.type = c->batch_up ? OP_SYNC : OP_READY});
	return r == 0 ? ops_run_local(c) : r;
}

bool tx_cancelling(const struct conn *c)
{
	return c->up && c->up->cancelled && upstream_cancelling(c->up);
}

/* Behind the client's back; a cancel request that hits it would leave the server where it is. */
int tx_recover(struct conn *c)
{
	if (!c->tx.failed || tx_cancelling(c))
		return 0;
	c->tx.failed = false;
	int r = put_internal(c, UP_ROLLBACK, (struct op){.hidden = true});

	if (r == 0)
		r = pg_put_empty(&c->up->s.out, 'S');
	if (r == 0)
		r = op_push(c, (struct op){.type = OP_SYNC, .hidden = true});
	c->batch_up = false;
	return r;
}

int tx_settle(struct conn *c, uint8_t *status)
{
	struct tx *t = &c->tx;
	bool expected = t->up_open;
	bool error = c->batch_failed;

	t->client = t->client_open;
	if (*status) {
		c->up->status = *status;
		t->up_open = *status != 'I';
	}
	c->batch_up = false;
	c->batch_failed = false;
	/* Without an error the server's transaction is exactly where it was led. */
	if (*status && !error && t->up_open != expected)
		return -EPROTO;
	if (error) {
		/* Some of the batch was done and some was not: nothing of it may be committed. */
		t->used = true;
		if (c->kept.n > c->kept.settled)
			kept_trim(&c->kept, c->kept.settled);
	}
	c->kept.settled = c->kept.n;
	if (t->up_open && !t->client) {
		t->failed = true;
		t->up_open = false;
	}
	if (!t->client)
		names_clear(&c->portals);
	*status = t->client ? (t->up_open ? c->up->status : 'T') : 'I';
	return 0;
}
