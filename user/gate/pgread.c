/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoding of the PostgreSQL protocol. Each decoder consumes its message to the last byte: bytes
 * left over are as wrong as bytes missing.
 */
#include <errno.h>
#include <string.h>

#include "gate/limits.h"
#include "gate/pgwire.h"

/* A cursor over one body. bad stays set once something was missing. */
struct rd {
	const uint8_t *p, *end;
	bool bad;
};

static struct rd rd_of(const struct pg_msg *m)
{
	return (struct rd){.p = m->body, .end = m->body + m->len};
}

static size_t rd_left(const struct rd *r)
{
	return (size_t)(r->end - r->p);
}

static const uint8_t *rd_bytes(struct rd *r, size_t n)
{
	const uint8_t *p = r->p;

	if (r->bad || n > rd_left(r)) {
		r->bad = true;
		return NULL;
	}
	r->p += n;
	return p;
}

static uint8_t rd_u8(struct rd *r)
{
	const uint8_t *p = rd_bytes(r, 1);

	return p ? *p : 0;
}

static uint16_t rd_be16(struct rd *r)
{
	const uint8_t *p = rd_bytes(r, 2);

	return p ? get_be16(p) : 0;
}

static uint32_t rd_be32(struct rd *r)
{
	const uint8_t *p = rd_bytes(r, 4);

	return p ? get_be32(p) : 0;
}

static struct pg_text rd_text(struct rd *r)
{
	const uint8_t *nul = r->bad ? NULL : memchr(r->p, 0, rd_left(r));
	struct pg_text t = {.p = ""};

	if (!nul) {
		r->bad = true;
		return t;
	}
	t.p = (const char *)r->p;
	t.len = (size_t)(nul - r->p);
	r->p = nul + 1;
	return t;
}

static int rd_done(const struct rd *r)
{
	return !r->bad && r->p == r->end ? 0 : -EBADMSG;
}

int pg_head(const uint8_t *p, size_t n, struct pg_msg *ret)
{
	if (n < PG_HEAD)
		return 0;
	uint32_t len = get_be32(p + 1);

	/* The length counts itself; the top bit would make it negative for the server. */
	if (len < 4 || len > INT32_MAX)
		return -EBADMSG;
	*ret = (struct pg_msg){.type = p[0], .len = len - 4, .body = p + PG_HEAD};
	return 1;
}

int pg_start_head(const uint8_t *p, size_t n, struct pg_msg *ret)
{
	if (n < PG_START_HEAD)
		return 0;
	uint32_t len = get_be32(p);

	if (len < 8 || len > GATE_STARTUP_MAX)
		return -EBADMSG;
	*ret = (struct pg_msg){.type = 0, .len = len - 4, .body = p + PG_START_HEAD};
	return 1;
}

size_t pg_client_limit(uint8_t type)
{
	switch (type) {
	case 'Q':
	case 'P':
		return GATE_QUERY_MAX;
	case 'B':
	case 'F':
	case 'd':
		return GATE_BIND_MAX;
	case 'C':
	case 'D':
	case 'E':
	case 'H':
	case 'S':
	case 'X':
	case 'c':
	case 'f':
		return GATE_SMALL_MAX;
	default:
		return 0;
	}
}

uint32_t pg_start_code(const struct pg_msg *m)
{
	return get_be32(m->body);
}

int pg_start_param(const struct pg_msg *m, size_t *pos, struct pg_text *name, struct pg_text *value)
{
	struct rd r = {.p = m->body + *pos, .end = m->body + m->len};

	*name = rd_text(&r);
	if (!r.bad && name->len == 0)
		return rd_done(&r);
	*value = rd_text(&r);
	if (r.bad)
		return -EBADMSG;
	*pos = (size_t)(r.p - m->body);
	return 1;
}

int pg_read_cancel(const struct pg_msg *m, uint32_t *pid, uint32_t *key)
{
	struct rd r = rd_of(m);

	(void)rd_be32(&r); /* the code, known already */
	*pid = rd_be32(&r);
	*key = rd_be32(&r);
	return rd_done(&r);
}

int pg_read_text(const struct pg_msg *m, struct pg_text *ret)
{
	struct rd r = rd_of(m);

	*ret = rd_text(&r);
	return rd_done(&r);
}

int pg_read_parse(const struct pg_msg *m, struct pg_parse *ret)
{
	struct rd r = rd_of(m);

	ret->name = rd_text(&r);
	ret->query = rd_text(&r);
	ret->n_types = rd_be16(&r);
	ret->types = rd_bytes(&r, (size_t)ret->n_types * 4);
	if (ret->name.len > GATE_NAME_MAX)
		return -EBADMSG;
	return rd_done(&r);
}

/* A list of format codes: 0 text, 1 binary. The number of them. */
static uint16_t rd_formats(struct rd *r)
{
	uint16_t n = rd_be16(r);

	for (uint16_t i = 0; i < n && !r->bad; i++)
		if (rd_be16(r) > 1)
			r->bad = true;
	return n;
}

int pg_read_bind(const struct pg_msg *m, struct pg_bind *ret)
{
	struct rd r = rd_of(m);

	ret->portal = rd_text(&r);
	ret->statement = rd_text(&r);
	ret->rest = r.p;
	ret->rest_len = rd_left(&r);
	uint16_t formats = rd_formats(&r);
	uint16_t values = rd_be16(&r);

	ret->n_values = values;
	if (formats > 1 && formats != values)
		return -EBADMSG;
	for (uint16_t i = 0; i < values && !r.bad; i++) {
		uint32_t len = rd_be32(&r);

		if (len != UINT32_MAX) /* NULL */
			(void)rd_bytes(&r, len);
	}
	(void)rd_formats(&r);
	if (ret->portal.len > GATE_NAME_MAX || ret->statement.len > GATE_NAME_MAX)
		return -EBADMSG;
	return rd_done(&r);
}

int pg_read_target(const struct pg_msg *m, uint8_t *what, struct pg_text *name)
{
	struct rd r = rd_of(m);

	*what = rd_u8(&r);
	*name = rd_text(&r);
	if ((*what != 'S' && *what != 'P') || name->len > GATE_NAME_MAX)
		return -EBADMSG;
	return rd_done(&r);
}

int pg_read_execute(const struct pg_msg *m, struct pg_text *portal, uint32_t *rows)
{
	struct rd r = rd_of(m);

	*portal = rd_text(&r);
	*rows = rd_be32(&r);
	if (portal->len > GATE_NAME_MAX)
		return -EBADMSG;
	return rd_done(&r);
}

int pg_notice_field(const struct pg_msg *m, size_t *pos, uint8_t *code, struct pg_text *value)
{
	struct rd r = {.p = m->body + *pos, .end = m->body + m->len};

	*code = rd_u8(&r);
	if (!r.bad && *code == 0)
		return rd_done(&r);
	*value = rd_text(&r);
	if (r.bad)
		return -EBADMSG;
	*pos = (size_t)(r.p - m->body);
	return 1;
}

struct pg_text pg_notice_find(const struct pg_msg *m, uint8_t code)
{
	struct pg_text value;
	uint8_t c;
	size_t pos = 0;

	while (pg_notice_field(m, &pos, &c, &value) == 1)
		if (c == code)
			return value;
	return (struct pg_text){.p = ""};
}

bool pg_notice_state(const struct pg_msg *m, char ret[PG_STATE_SIZE])
{
	struct pg_text code = pg_notice_find(m, 'C');

	if (code.len != PG_STATE_SIZE - 1 ||
	    strspn(code.p, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") != code.len)
		return false;
	memcpy(ret, code.p, PG_STATE_SIZE);
	return true;
}

int pg_check_notice(const struct pg_msg *m)
{
	struct pg_text value;
	uint8_t code;
	size_t pos = 0;
	int r;

	do
		r = pg_notice_field(m, &pos, &code, &value);
	while (r == 1);
	return r;
}

int pg_read_param(const struct pg_msg *m, struct pg_text *name, struct pg_text *value)
{
	struct rd r = rd_of(m);

	*name = rd_text(&r);
	*value = rd_text(&r);
	return rd_done(&r);
}

int pg_read_key(const struct pg_msg *m, uint32_t *pid, uint32_t *key)
{
	struct rd r = rd_of(m);

	*pid = rd_be32(&r);
	*key = rd_be32(&r);
	return rd_done(&r);
}

int pg_read_ready(const struct pg_msg *m, uint8_t *status)
{
	struct rd r = rd_of(m);

	*status = rd_u8(&r);
	if (*status != 'I' && *status != 'T' && *status != 'E')
		return -EBADMSG;
	return rd_done(&r);
}

int pg_check_row_description(const struct pg_msg *m)
{
	struct rd r = rd_of(m);
	uint16_t n = rd_be16(&r);

	for (uint16_t i = 0; i < n && !r.bad; i++) {
		(void)rd_text(&r);
		/* table, column, type, size, modifier, format */
		(void)rd_bytes(&r, 4 + 2 + 4 + 2 + 4 + 2);
	}
	return rd_done(&r);
}

int pg_check_param_description(const struct pg_msg *m)
{
	struct rd r = rd_of(m);
	uint16_t n = rd_be16(&r);

	(void)rd_bytes(&r, (size_t)n * 4);
	return rd_done(&r);
}

int pg_check_copy_out(const struct pg_msg *m)
{
	struct rd r = rd_of(m);

	if (rd_u8(&r) > 1)
		return -EBADMSG;
	(void)rd_formats(&r);
	return rd_done(&r);
}

int pg_read_single(const struct pg_msg *m, struct pg_text *value)
{
	struct rd r = rd_of(m);

	if (rd_be16(&r) != 1)
		return -EBADMSG;
	uint32_t len = rd_be32(&r);
	const uint8_t *p = rd_bytes(&r, len);

	*value = (struct pg_text){.p = (const char *)p, .len = len};
	return rd_done(&r);
}
