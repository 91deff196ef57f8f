/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first packets of a client: TLS or not, the start-up message and which of its parameters are
 * let through, cancel requests; then the login, which succeeds with any user name and password.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "gate/conn.h"

#define APPLICATION_NAME_MAX 63

/* Start-up parameters that become settings, with the characters that a value may have. */
static const struct {
	const char *name;
	const char *chars;
	size_t max;
} settings[] = {
	{"application_name", NULL, APPLICATION_NAME_MAX}, /* any printable ASCII */
	{"DateStyle", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ, ", 32},
	{"IntervalStyle", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", 32},
	{"TimeZone", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-/:,.<>", 64},
	{"extra_float_digits", "-0123456789", 3},
};

static bool value_ok(struct pg_text v, const char *chars, size_t max)
{
	if (v.len > max)
		return false;
	for (size_t i = 0; i < v.len; i++) {
		unsigned char c = (unsigned char)v.p[i];

		if (chars ? !strchr(chars, c) : !isprint(c))
			return false;
	}
	return true;
}

static bool text_any(struct pg_text t, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (t.len == strlen(words[i]) && strncasecmp(t.p, words[i], t.len) == 0)
			return true;
	return false;
}

static int deny(struct conn *c, const char *rule, struct pg_text name)
{
	char text[128];
	struct record_conn rec = {.db = c->ep->config->name,
				  .conn = c->id,
				  .event = "refused",
				  .rule = rule,
				  .reason = text};

	snprintf(text, sizeof(text), "start-up parameter %.*s",
		 (int)(name.len < 64 ? name.len : 64), name.p);
	record_conn(&c->gate->recorder, &rec);
	snprintf(text, sizeof(text), "pinfold: denied by rule %s: start-up parameter %.*s", rule,
		 (int)(name.len < 48 ? name.len : 48), name.p);
	conn_end(c, "42501", text);
	return -EPERM;
}

/* UTF-8 in any spelling. SQL_ASCII is what clients say that do not care: they get UTF-8. */
static int check_encoding(struct conn *c, struct pg_text name, struct pg_text value)
{
	static const char *const ok[] = {"UTF8",      "UTF-8",	 "UNICODE",
					 "SQL_ASCII", "'utf-8'", "'utf8'"};

	return text_any(value, ok, ARRAY_LEN(ok)) ? 0 : deny(c, "P20", name);
}

static int check_replication(struct conn *c, struct pg_text value)
{
	static const char *const no[] = {"false", "off", "no", "0"};

	if (text_any(value, no, ARRAY_LEN(no)))
		return 0;
	return conn_kill(c, "P4", "replication connection");
}

static int keep_setting(struct conn *c, const char *name, struct pg_text value)
{
	if (c->n_setup + 2 > ARRAY_LEN(c->setup))
		return -E2BIG;
	char *n = strdup(name), *v = strndup(value.p, value.len);

	if (!n || !v) {
		free(n);
		free(v);
		return -ENOMEM;
	}
	c->setup[c->n_setup++] = n;
	c->setup[c->n_setup++] = v;
	return 0;
}

static int take_option(struct conn *c, struct pg_text name)
{
	int r = buf_put(&c->negotiate, name.p, name.len + 1); /* with its NUL */

	c->n_negotiate++;
	return r;
}

static int take_param(struct conn *c, struct pg_text name, struct pg_text value)
{
	static const char *const ignored[] = {"user", "database", "options"};

	if (text_any(name, ignored, ARRAY_LEN(ignored)))
		return 0;
	if (name.len > 5 && strncmp(name.p, "_pq_.", 5) == 0)
		return take_option(c, name);
	if (pg_text_is(name, "replication"))
		return check_replication(c, value);
	if (text_any(name, (const char *const[]){"client_encoding"}, 1))
		return check_encoding(c, name, value);
	for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
		if (!text_any(name, &settings[i].name, 1))
			continue;
		if (!value_ok(value, settings[i].chars, settings[i].max))
			return deny(c, "P5", name);
		return keep_setting(c, settings[i].name, value);
	}
	return deny(c, "P6", name);
}

static int take_params(struct conn *c, const struct pg_msg *m)
{
	struct pg_text name, value;
	size_t pos = 4;
	int r;

	while ((r = pg_start_param(m, &pos, &name, &value)) == 1) {
		r = take_param(c, name, value);
		if (r < 0)
			return r;
	}
	return r < 0 ? conn_kill(c, "P10", "malformed start-up packet") : 0;
}

static int login(struct conn *c)
{
	int error;

	(void)uv_timer_stop(&c->timer);
	conn_set_state(c, CONN_LOGIN);
	struct upstream *up = upstream_get(c->ep, &c->user, &error);

	if (up) {
		c->up = up;
		return start_finish(c);
	}
	if (error < 0)
		conn_end(c, "08001", "pinfold: the database cannot be reached");
	return error < 0 ? -EPERM : 0;
}

static int startup(struct conn *c, const struct pg_msg *m)
{
	uint32_t code = pg_start_code(m);

	if (code >> 16 != PG_PROTO_3 >> 16) {
		conn_end(c, "0A000", "pinfold: unsupported protocol version");
		return -EPERM;
	}
	c->negotiate.limit = GATE_STARTUP_MAX;
	int r = take_params(c, m);

	if (r < 0)
		return r;
	c->minor_refused = code != PG_PROTO_3;
	return login(c);
}

/* Bytes that came before the answer to SSLRequest would be taken for part of the TLS stream. */
static bool input_waits(struct conn *c)
{
	char byte;

	return recv(c->client.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static int begin_tls(struct conn *c)
{
	int r = stream_tls(&c->client, c->gate->tls.ctx, true);

	conn_set_state(c, CONN_TLS);
	c->client.readable = true;
	return r;
}

static int ssl_request(struct conn *c)
{
	if (c->ssl_asked || c->client.ssl)
		return conn_kill(c, "P8", "second SSLRequest");
	c->ssl_asked = true;
	if (input_waits(c))
		return conn_kill(c, "P1", "bytes between SSLRequest and TLS");
	int r = buf_put_u8(&c->client.out, 'S');

	if (r == 0)
		r = stream_flush(&c->client);
	return r < 0 ? r : begin_tls(c);
}

static int gss_request(struct conn *c)
{
	if (c->gss_asked)
		return conn_kill(c, "P8", "second GSSENCRequest");
	c->gss_asked = true;
	return buf_put_u8(&c->client.out, 'N');
}

static int cancel_request(struct conn *c, const struct pg_msg *m)
{
	uint32_t pid, key;

	if (pg_read_cancel(m, &pid, &key) == 0)
		conn_cancel(c->gate, c->ep, pid, key);
	conn_abort(c, "cancel request");
	return 0;
}

static int first_packet(struct conn *c, const struct pg_msg *m)
{
	switch (pg_start_code(m)) {
	case PG_SSL:
		return m->len == 4 ? ssl_request(c) : conn_kill(c, "P10", "long SSLRequest");
	case PG_GSSENC:
		return m->len == 4 ? gss_request(c) : conn_kill(c, "P10", "long GSSENCRequest");
	case PG_CANCEL:
		return cancel_request(c, m);
	default:
		return startup(c, m);
	}
}

/* The very first byte: TLS without asking (ALPN decides later), or a length. */
static int look_for_tls(struct conn *c)
{
	uint8_t byte;
	ssize_t n = recv(c->client.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		c->client.readable = false;
		return 0;
	}
	if (n <= 0) {
		c->client.eof = true;
		return 0;
	}
	if (byte != PG_TLS_HELLO)
		return 1;
	c->direct_tls = true;
	int r = begin_tls(c);

	return r < 0 ? r : 1;
}

/*
 * Exactly one packet is read, so that what follows it stays in the socket for whoever owns the
 * stream next. 1 = progress, 0 = wait.
 */
int start_read(struct conn *c)
{
	struct buf *in = &c->client.in;
	struct pg_msg m;

	if (buf_len(in) == 0 && !c->client.ssl && !c->ssl_asked && !c->gss_asked) {
		int r = look_for_tls(c);

		if (r <= 0 || c->state == CONN_TLS)
			return r;
	}
	int r = pg_start_head(buf_ptr(in), buf_len(in), &m);

	if (r < 0)
		return conn_kill(c, "P10", "impossible start-up packet length");
	size_t need = r == 0 ? PG_START_HEAD : PG_START_HEAD + (size_t)m.len;

	if (buf_len(in) < need) {
		if (!c->client.readable)
			return 0;
		ssize_t n = stream_fill(&c->client, need - buf_len(in));

		return n < 0 ? -ECONNRESET : (int)n;
	}
	r = first_packet(c, &m);
	if (r < 0 || c->state == CONN_DEAD || c->state == CONN_CLOSING)
		return r;
	buf_consume(in, need);
	return 1;
}

int start_handshake(struct conn *c)
{
	int r = stream_handshake(&c->client);

	if (r < 0)
		return conn_kill(c, c->direct_tls ? "P3" : "P1", "TLS handshake failed");
	if (r == 0)
		return c->client.eof ? -ECONNRESET : 0;
	if (c->direct_tls && !tls_is_postgres(c->client.ssl))
		return conn_kill(c, "P3", "TLS without the protocol name postgresql");
	conn_set_state(c, CONN_START);
	c->client.readable = true;
	return 1;
}

/* AuthenticationOk to ReadyForQuery. */
static int welcome(struct conn *c)
{
	struct buf *out = &c->client.out;
	const struct params *p = &c->up->params;
	int r = 0;

	if (c->n_negotiate > 0 || c->minor_refused)
		r = pg_put_negotiate(out, c->n_negotiate, buf_ptr(&c->negotiate),
				     buf_len(&c->negotiate));
	if (r == 0)
		r = pg_put_auth(out, 0);
	for (size_t i = 0; i < p->n && r == 0; i++)
		r = pg_put_param(out, p->list[i].name, p->list[i].value);
	if (r == 0)
		r = pg_put_key(out, c->pid, c->key);
	if (r == 0)
		r = pg_put_ready(out, 'I');
	(void)uv_timer_stop(&c->timer);
	conn_set_state(c, CONN_IDLE);
	return r;
}

/* Values travel as parameters, never as SQL. */
static int put_setting(struct conn *c, const char *name, const char *value, bool first)
{
	__cleanup_buf struct buf rest = BUF_INIT(0);
	struct buf *out = &c->up->s.out;
	int r = buf_put_be16(&rest, 0);

	if (r == 0)
		r = buf_put_be16(&rest, 2);
	if (r == 0)
		r = buf_put_be32(&rest, (uint32_t)strlen(name));
	if (r == 0)
		r = buf_put(&rest, name, strlen(name));
	if (r == 0)
		r = buf_put_be32(&rest, (uint32_t)strlen(value));
	if (r == 0)
		r = buf_put(&rest, value, strlen(value));
	if (r == 0)
		r = buf_put_be16(&rest, 0);
	if (r == 0)
		r = pg_put_bind(out, "", "", buf_ptr(&rest), buf_len(&rest));
	if (r == 0)
		r = pg_put_execute(out, "", 0);
	return r == 0 ? op_push(c,
				(struct op){.type = OP_INTERNAL, .hidden = true, .parsing = first})
		      : r;
}

/*
 * The connection is ours: apply the client's settings first, if it has any. Called a second time
 * when they are in place.
 */
int start_finish(struct conn *c)
{
	static const struct pg_text text = {
		.p = "SELECT pg_catalog.set_config($1, $2, false)",
		.len = sizeof("SELECT pg_catalog.set_config($1, $2, false)") - 1,
	};
	struct buf *out = &c->up->s.out;

	if (c->state == CONN_SETUP || c->n_setup == 0)
		return welcome(c);
	conn_set_state(c, CONN_SETUP);
	conn_hurry(c);
	int r = pg_put_parse(out, "", text, 0, NULL);

	for (size_t i = 0; i + 1 < c->n_setup && r == 0; i += 2)
		r = put_setting(c, c->setup[i], c->setup[i + 1], i == 0);
	if (r == 0)
		r = pg_put_empty(out, 'S');
	return r == 0 ? op_push(c, (struct op){.type = OP_SYNC, .hidden = true}) : r;
}

static struct conn *conn_of(struct upstream_user *u)
{
	return (struct conn *)((char *)u - offsetof(struct conn, user));
}

static void user_ready(struct upstream_user *u, struct upstream *up)
{
	struct conn *c = conn_of(u);

	c->up = up;
	if (start_finish(c) < 0)
		conn_abort(c, "out of memory");
	else
		conn_pump(c);
}

static void user_failed(struct upstream_user *u, const char *sqlstate, const char *why)
{
	struct conn *c = conn_of(u);
	char text[SQL_REASON_SIZE + 64];

	c->up = NULL;
	snprintf(text, sizeof(text), "pinfold: no connection to database %s: %s",
		 c->ep->config->name, why);
	conn_set_state(c, CONN_START); /* nothing to forget upstream */
	conn_end(c, sqlstate, text);
	conn_pump(c);
}

static void user_event(struct upstream_user *u)
{
	conn_pump(conn_of(u));
}

void start_user_init(struct conn *c)
{
	c->user = (struct upstream_user){
		.ready = user_ready, .failed = user_failed, .event = user_event};
}
