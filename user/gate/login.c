/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logging in to PostgreSQL, and making a connection fit for its next user. What the server says is
 * untrusted: an authentication method that gives more away than the endpoint allows is refused, and
 * replies have to come in the order in which they are due.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "gate/record.h"
#include "gate/upstream.h"

enum auth_step {
	AUTH_START,
	AUTH_SENT,     /* a password or its md5 is out */
	AUTH_FIRST,    /* SCRAM: client-first is out */
	AUTH_FINAL,    /* SCRAM: client-final is out */
	AUTH_VERIFIED, /* SCRAM: the server has proved itself */
};

#define AUTH_OK 0
#define AUTH_CLEARTEXT 3
#define AUTH_MD5 5
#define AUTH_SASL 10
#define AUTH_SASL_CONTINUE 11
#define AUTH_SASL_FINAL 12
/* Bytes of a server's words that are worth a line of the log. */
#define SERVER_TEXT_MAX 256
#define SCRAM_NAME "SCRAM-SHA-256"

static const struct {
	const char *name, *text;
} statements[UP_STATEMENTS] = {
	[UP_BEGIN] = {UP_NAME_PREFIX "b0", "BEGIN READ ONLY"},
	[UP_BEGIN + 1] = {UP_NAME_PREFIX "b1", "BEGIN ISOLATION LEVEL READ UNCOMMITTED READ ONLY"},
	[UP_BEGIN + 2] = {UP_NAME_PREFIX "b2", "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY"},
	[UP_BEGIN + 3] = {UP_NAME_PREFIX "b3", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"},
	[UP_BEGIN + 4] = {UP_NAME_PREFIX "b4", "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY"},
	[UP_BEGIN_DEFERRABLE] = {UP_NAME_PREFIX "b5",
				 "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE"},
	[UP_ROLLBACK] = {UP_NAME_PREFIX "r", "ROLLBACK"},
	[UP_COMMIT] = {UP_NAME_PREFIX "c", "COMMIT"},
	[UP_SNAPSHOT] = {UP_NAME_PREFIX "s",
			 "SELECT pg_catalog.current_setting('transaction_read_only')"},
};
#define ARM_REPLIES "111111111Z"
_Static_assert(sizeof(ARM_REPLIES) == UP_STATEMENTS + 2, "one ParseComplete per statement");

const char *up_statement_name(enum up_statement which)
{
	return statements[which].name;
}

/* Settings that hold from the first byte on; as start-up values RESET falls back to them. */
int login_start(struct upstream *up)
{
	const struct endpoint_config *c = up->ep->config;
	const char *const params[] = {
		"user",
		c->user,
		"database",
		c->database,
		"client_encoding",
		"UTF8",
		"default_transaction_read_only",
		"on",
		"standard_conforming_strings",
		"on",
		"application_name",
		"pinfold",
		NULL,
	};

	up->state = UP_LOGIN;
	up->auth = AUTH_START;
	up->method = "none";
	return pg_put_startup(&up->s.out, params);
}

void params_free(struct params *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->list[i].name);
		free(p->list[i].value);
	}
	p->n = 0;
}

static struct param *param_find(struct params *p, const char *name, size_t len)
{
	for (size_t i = 0; i < p->n; i++)
		if (strlen(p->list[i].name) == len && memcmp(p->list[i].name, name, len) == 0)
			return &p->list[i];
	return NULL;
}

/* What must never differ from what the gate asked for. */
static bool param_pinned_ok(struct pg_text name, struct pg_text value)
{
	if (pg_text_is(name, "client_encoding"))
		return pg_text_is(value, "UTF8");
	if (pg_text_is(name, "standard_conforming_strings") ||
	    pg_text_is(name, "default_transaction_read_only"))
		return pg_text_is(value, "on");
	return true;
}

int upstream_param(struct upstream *up, struct pg_text name, struct pg_text value)
{
	struct params *p = &up->params;

	if (!param_pinned_ok(name, value))
		return -EPROTO;
	if (name.len >= GATE_SERVER_PARAM_SIZE || value.len >= GATE_SERVER_PARAM_SIZE)
		return -E2BIG;
	__cleanup_free char *copy = strndup(value.p, value.len);

	if (!copy)
		return -ENOMEM;
	struct param *known = param_find(p, name.p, name.len);

	if (known) {
		free(known->value);
		known->value = TAKE_PTR(copy);
		return 0;
	}
	if (p->n == GATE_SERVER_PARAMS_MAX)
		return -E2BIG;
	char *name_copy = strndup(name.p, name.len);

	if (!name_copy)
		return -ENOMEM;
	p->list[p->n++] = (struct param){.name = name_copy, .value = TAKE_PTR(copy)};
	return 0;
}

const char *upstream_get_param(const struct upstream *up, const char *name)
{
	struct param *p = param_find((struct params *)&up->params, name, strlen(name));

	return p ? p->value : NULL;
}

static int answer_md5(struct upstream *up, const struct pg_msg *m)
{
	char answer[36];

	if (m->len != 8 || up->auth != AUTH_START)
		return -EPROTO;
	int r = md5_response(up->ep->config->user, up->ep->config->password, m->body + 4, answer);

	if (r == 0)
		r = pg_put_cstr_msg(&up->s.out, 'p', answer);
	up->auth = AUTH_SENT;
	up->method = "md5";
	return r;
}

static bool offers_scram(const struct pg_msg *m)
{
	const char *p = (const char *)m->body + 4, *end = (const char *)m->body + m->len;

	while (p < end) {
		const char *nul = memchr(p, 0, (size_t)(end - p));

		if (!nul)
			return false;
		if (strcmp(p, SCRAM_NAME) == 0)
			return true;
		p = nul + 1;
	}
	return false;
}

static int answer_sasl(struct upstream *up, const struct pg_msg *m)
{
	char first[SCRAM_TEXT];
	uint8_t body[sizeof(SCRAM_NAME) + 4 + SCRAM_TEXT];

	if (up->auth != AUTH_START || !offers_scram(m))
		return -EPROTO;
	int r = scram_first(&up->scram, first);

	if (r < 0)
		return r;
	size_t len = strlen(first);

	memcpy(body, SCRAM_NAME, sizeof(SCRAM_NAME));
	set_be32(body + sizeof(SCRAM_NAME), (uint32_t)len);
	memcpy(body + sizeof(SCRAM_NAME) + 4, first, len);
	up->auth = AUTH_FIRST;
	return pg_put_msg(&up->s.out, 'p', body, sizeof(SCRAM_NAME) + 4 + len);
}

static int answer_scram(struct upstream *up, const struct pg_msg *m)
{
	char final[SCRAM_TEXT];

	if (up->auth != AUTH_FIRST)
		return -EPROTO;
	int r = scram_final(&up->scram, up->ep->config->password, (const char *)m->body + 4,
			    m->len - 4, final);

	if (r < 0)
		return r;
	up->auth = AUTH_FINAL;
	return pg_put_msg(&up->s.out, 'p', final, strlen(final));
}

static int check_scram(struct upstream *up, const struct pg_msg *m)
{
	if (up->auth != AUTH_FINAL)
		return -EPROTO;
	int r = scram_verify(&up->scram, (const char *)m->body + 4, m->len - 4);

	scram_wipe(&up->scram);
	up->auth = AUTH_VERIFIED;
	up->method = SCRAM_NAME;
	return r;
}

static int auth_ok(struct upstream *up)
{
	/* In the middle of SCRAM the server has proved nothing yet. */
	if (up->auth == AUTH_FIRST || up->auth == AUTH_FINAL)
		return -EPROTO;
	up->state = UP_SETTLE;
	return 0;
}

static int authentication(struct upstream *up, const struct pg_msg *m, const char **why)
{
	const struct endpoint_config *c = up->ep->config;
	uint32_t code = m->len >= 4 ? get_be32(m->body) : UINT32_MAX;

	*why = "the server broke the authentication protocol";
	if (code != AUTH_OK && !c->password) {
		*why = "the server wants a password and the policy has none";
		return -EACCES;
	}
	switch (code) {
	case AUTH_OK:
		return auth_ok(up);
	case AUTH_CLEARTEXT:
		*why = "the server wants the password in clear on a connection that is not "
		       "verified";
		if (c->tls != TLS_VERIFY_FULL || up->auth != AUTH_START)
			return -EACCES;
		up->auth = AUTH_SENT;
		up->method = "password";
		return pg_put_cstr_msg(&up->s.out, 'p', c->password);
	case AUTH_MD5:
		return answer_md5(up, m);
	case AUTH_SASL:
		return answer_sasl(up, m);
	case AUTH_SASL_CONTINUE:
		return answer_scram(up, m);
	case AUTH_SASL_FINAL:
		*why = "the server does not know the password that it checks (SCRAM signature)";
		return check_scram(up, m);
	default:
		*why = "the server wants an authentication method that is not supported";
		return -EACCES;
	}
}

static int put_statements(struct upstream *up)
{
	int r = 0;

	for (size_t i = 0; i < UP_STATEMENTS && r == 0; i++) {
		struct pg_text text = {.p = statements[i].text, .len = strlen(statements[i].text)};

		r = pg_put_parse(&up->s.out, statements[i].name, text, 0, NULL);
	}
	return r == 0 ? pg_put_empty(&up->s.out, 'S') : r;
}

/*
 * A certificate or SCRAM proves the server. With neither, whoever is on the way can be it: that is
 * the policy's choice, and it shows.
 */
static void tell_login(struct upstream *up)
{
	struct endpoint *ep = up->ep;
	const struct record_conn rec = {
		.db = ep->config->name,
		.event = "login",
		.tls = tls_mode_name(ep->config->tls),
		.auth = up->method,
	};

	record_conn(ep->recorder, &rec);
	if (ep->config->tls == TLS_VERIFY_FULL || up->auth == AUTH_VERIFIED || ep->warned)
		return;
	ep->warned = true;
	log_warn("db=%s upstream: the server has not proved which one it is (tls: %s, "
		 "authentication %s): use tls: verify-full, or SCRAM",
		 rec.db, rec.tls, rec.auth);
}

static int settle(struct upstream *up, const struct pg_msg *m)
{
	uint8_t status;

	if (m->type == 'K')
		return pg_read_key(m, &up->pid, &up->key);
	if (m->type != 'Z' || pg_read_ready(m, &status) < 0 || status != 'I')
		return -EPROTO;
	tell_login(up);
	up->state = UP_ARMING;
	up->expect = ARM_REPLIES;
	return put_statements(up);
}

/* Pinned settings were reported, and a reset brought back everything as it was after login. */
static int check_params(struct upstream *up)
{
	if (!upstream_get_param(up, "client_encoding") ||
	    !upstream_get_param(up, "standard_conforming_strings"))
		return -EPROTO;
	if (up->baseline.n == 0) {
		for (size_t i = 0; i < up->params.n; i++) {
			struct param *to = &up->baseline.list[up->baseline.n];

			to->name = strdup(up->params.list[i].name);
			to->value = strdup(up->params.list[i].value);
			up->baseline.n++;
			if (!to->name || !to->value)
				return -ENOMEM;
		}
		return 0;
	}
	if (up->baseline.n != up->params.n)
		return -EPROTO;
	for (size_t i = 0; i < up->params.n; i++)
		if (strcmp(up->baseline.list[i].value, up->params.list[i].value) != 0)
			return -EPROTO;
	return 0;
}

static int arming(struct upstream *up, const struct pg_msg *m)
{
	if (m->type != (uint8_t)*up->expect)
		return -EPROTO;
	up->expect++;
	if (m->type == 'Z' && (pg_read_ready(m, &up->status) < 0 || up->status != 'I'))
		return -EPROTO;
	if (*up->expect != '\0')
		return 0;
	int r = check_params(up);

	if (r == 0)
		up->state = UP_READY;
	return r;
}

int login_reset(struct upstream *up)
{
	bool open = up->status != 'I';
	int r = open ? pg_put_cstr_msg(&up->s.out, 'Q', "ROLLBACK") : 0;

	up->state = UP_ARMING;
	up->expect = open ? "CZCZ" ARM_REPLIES : "CZ" ARM_REPLIES;
	if (r == 0)
		r = pg_put_cstr_msg(&up->s.out, 'Q', "DISCARD ALL");
	return r == 0 ? put_statements(up) : r;
}

static int take_param(struct upstream *up, const struct pg_msg *m, const char **why)
{
	struct pg_text name, value;

	*why = "the server does not keep UTF-8, standard strings and read-only transactions";
	if (pg_read_param(m, &name, &value) < 0)
		return -EPROTO;
	return upstream_param(up, name, value);
}

void login_log_error(const struct upstream *up, const struct pg_msg *m)
{
	struct pg_text said = pg_notice_find(m, 'M');
	char text[4 * SERVER_TEXT_MAX + sizeof("...")];

	log_warn("db=%s upstream: the server says: %s", up->ep->config->name,
		 text_escape(text, sizeof(text), said.p, said.len, SERVER_TEXT_MAX));
}

int login_message(struct upstream *up, const struct pg_msg *m, const char **sqlstate,
		  const char **why)
{
	*sqlstate = "08001";
	*why = "the server broke the protocol";
	switch (m->type) {
	case 'N':
		return pg_check_notice(m);
	case 'E':
		*why = "the server refused the gate's login";
		if (pg_notice_state(m, up->refused))
			*sqlstate = up->refused;
		login_log_error(up, m);
		return -EACCES;
	case 'S':
		if (up->state == UP_LOGIN)
			return -EPROTO;
		return take_param(up, m, why);
	case 'R':
		if (up->state != UP_LOGIN)
			return -EPROTO;
		*sqlstate = "28000";
		return authentication(up, m, why);
	default:
		break;
	}
	if (up->state == UP_SETTLE)
		return settle(up, m);
	if (up->state == UP_ARMING)
		return arming(up, m);
	return -EPROTO;
}
