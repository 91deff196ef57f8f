/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encoding of the PostgreSQL protocol. A message is sized first and then written in one piece, so a
 * failure leaves the buffer as it was.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gate/pgwire.h"

/* Room for a message with a body of len bytes, its header written: where the body goes, or NULL. */
static int msg_room(struct buf *b, uint8_t type, size_t len, uint8_t **ret)
{
	if (len > INT32_MAX - 4)
		return -EMSGSIZE;
	int r = buf_reserve(b, PG_HEAD + len);

	if (r < 0)
		return r;
	uint8_t *p = b->data + b->tail;

	p[0] = type;
	set_be32(p + 1, (uint32_t)len + 4);
	*ret = p + PG_HEAD;
	buf_commit(b, PG_HEAD + len);
	return 0;
}

static uint8_t *put_bytes(uint8_t *p, const void *src, size_t len)
{
	if (len > 0)
		memcpy(p, src, len);
	return p + len;
}

static uint8_t *put_be16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
	return p + 2;
}

int pg_put_msg(struct buf *b, uint8_t type, const void *body, size_t len)
{
	uint8_t *p;
	int r = msg_room(b, type, len, &p);

	if (r == 0)
		put_bytes(p, body, len);
	return r;
}

int pg_put_empty(struct buf *b, uint8_t type)
{
	return pg_put_msg(b, type, NULL, 0);
}

int pg_put_cstr_msg(struct buf *b, uint8_t type, const char *text)
{
	return pg_put_msg(b, type, text, strlen(text) + 1);
}

int pg_put_head(struct buf *b, uint8_t type, uint32_t body_len)
{
	uint8_t head[PG_HEAD] = {type};

	set_be32(head + 1, body_len + 4);
	return buf_put(b, head, sizeof(head));
}

int pg_put_parse(struct buf *b, const char *name, struct pg_text query, uint16_t n_types,
		 const uint8_t *types)
{
	size_t name_len = strlen(name) + 1;
	uint8_t *p;
	int r = msg_room(b, 'P', name_len + query.len + 1 + 2 + 4 * (size_t)n_types, &p);

	if (r < 0)
		return r;
	p = put_bytes(p, name, name_len);
	p = put_bytes(p, query.p, query.len);
	*p++ = 0;
	p = put_be16(p, n_types);
	put_bytes(p, types, 4 * (size_t)n_types);
	return 0;
}

int pg_put_bind(struct buf *b, const char *portal, const char *statement, const uint8_t *rest,
		size_t rest_len)
{
	size_t portal_len = strlen(portal) + 1, statement_len = strlen(statement) + 1;
	uint8_t *p;
	int r = msg_room(b, 'B', portal_len + statement_len + rest_len, &p);

	if (r < 0)
		return r;
	p = put_bytes(p, portal, portal_len);
	p = put_bytes(p, statement, statement_len);
	put_bytes(p, rest, rest_len);
	return 0;
}

int pg_put_bind_plain(struct buf *b, const char *portal, const char *statement)
{
	/* no parameter formats, no parameters, no result formats: all text */
	static const uint8_t none[6];

	return pg_put_bind(b, portal, statement, none, sizeof(none));
}

int pg_put_target(struct buf *b, uint8_t type, uint8_t what, const char *name)
{
	size_t len = strlen(name) + 1;
	uint8_t *p;
	int r = msg_room(b, type, 1 + len, &p);

	if (r < 0)
		return r;
	*p++ = what;
	put_bytes(p, name, len);
	return 0;
}

int pg_put_execute(struct buf *b, const char *portal, uint32_t rows)
{
	size_t len = strlen(portal) + 1;
	uint8_t *p;
	int r = msg_room(b, 'E', len + 4, &p);

	if (r < 0)
		return r;
	p = put_bytes(p, portal, len);
	set_be32(p, rows);
	return 0;
}

int pg_put_param(struct buf *b, const char *name, const char *value)
{
	size_t name_len = strlen(name) + 1, value_len = strlen(value) + 1;
	uint8_t *p;
	int r = msg_room(b, 'S', name_len + value_len, &p);

	if (r < 0)
		return r;
	p = put_bytes(p, name, name_len);
	put_bytes(p, value, value_len);
	return 0;
}

int pg_put_key(struct buf *b, uint32_t pid, uint32_t key)
{
	uint8_t body[8];

	set_be32(body, pid);
	set_be32(body + 4, key);
	return pg_put_msg(b, 'K', body, sizeof(body));
}

int pg_put_ready(struct buf *b, uint8_t status)
{
	return pg_put_msg(b, 'Z', &status, 1);
}

int pg_put_auth(struct buf *b, uint32_t code)
{
	uint8_t body[4];

	set_be32(body, code);
	return pg_put_msg(b, 'R', body, sizeof(body));
}

int pg_put_cancel(struct buf *b, uint32_t pid, uint32_t key)
{
	uint8_t packet[16];

	set_be32(packet, sizeof(packet));
	set_be32(packet + 4, PG_CANCEL);
	set_be32(packet + 8, pid);
	set_be32(packet + 12, key);
	return buf_put(b, packet, sizeof(packet));
}

static uint8_t *put_field(uint8_t *p, char code, const char *value)
{
	*p++ = (uint8_t)code;
	return put_bytes(p, value, strlen(value) + 1);
}

static size_t field_len(const char *value)
{
	return 1 + strlen(value) + 1;
}

int pg_put_error(struct buf *b, uint8_t type, const struct pg_error *e)
{
	char position[12] = ""; /* ten digits of a uint32_t */
	size_t len =
		2 * field_len(e->severity) + field_len(e->sqlstate) + field_len(e->message) + 1;
	uint8_t *p;

	if (e->position > 0)
		snprintf(position, sizeof(position), "%u", e->position);
	if (e->hint && e->hint[0])
		len += field_len(e->hint);
	if (position[0])
		len += field_len(position);
	int r = msg_room(b, type, len, &p);

	if (r < 0)
		return r;
	p = put_field(p, 'S', e->severity);
	p = put_field(p, 'V', e->severity);
	p = put_field(p, 'C', e->sqlstate);
	p = put_field(p, 'M', e->message);
	if (e->hint && e->hint[0])
		p = put_field(p, 'H', e->hint);
	if (position[0])
		p = put_field(p, 'P', position);
	*p = 0;
	return 0;
}

int pg_put_negotiate(struct buf *b, uint32_t n, const void *names, size_t len)
{
	uint8_t *p;
	int r = msg_room(b, 'v', 8 + len, &p);

	if (r < 0)
		return r;
	set_be32(p, 0); /* newest minor version of 3 that is spoken here */
	set_be32(p + 4, n);
	put_bytes(p + 8, names, len);
	return 0;
}

int pg_put_startup(struct buf *b, const char *const *params)
{
	size_t len = 4 + 4 + 1;

	for (const char *const *s = params; *s; s++)
		len += strlen(*s) + 1;
	int r = buf_reserve(b, len);

	if (r < 0)
		return r;
	uint8_t *p = b->data + b->tail;

	set_be32(p, (uint32_t)len);
	set_be32(p + 4, PG_PROTO_3);
	p += 8;
	for (const char *const *s = params; *s; s++)
		p = put_bytes(p, *s, strlen(*s) + 1);
	*p = 0;
	buf_commit(b, len);
	return 0;
}
