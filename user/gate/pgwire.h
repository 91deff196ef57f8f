/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PostgreSQL frontend/backend protocol 3.0 as bytes: framing, decoding into structs that
 * borrow from the input, encoding from structs. Pure: no sockets, no state, no policy. Decoders
 * return -EBADMSG for what the protocol does not allow and read nothing outside their input.
 *
 * Source: PostgreSQL documentation, "Frontend/Backend Protocol", "Message Formats".
 */
#ifndef GATE_PGWIRE_H
#define GATE_PGWIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define PG_PROTO_3 0x00030000u
#define PG_CANCEL 80877102u
#define PG_SSL 80877103u
#define PG_GSSENC 80877104u
/* The first byte of a TLS handshake record. */
#define PG_TLS_HELLO 0x16

/* Bytes before the body: type and length, or length alone in the first packets. */
#define PG_HEAD 5
#define PG_START_HEAD 4

struct pg_msg {
	uint8_t type;
	uint32_t len;	     /* of body */
	const uint8_t *body; /* borrowed from the input */
};

/* Text inside a message; not ended by a NUL of its own, though one follows it. */
struct pg_text {
	const char *p;
	size_t len;
};

/*
 * The header at p[n]: 1 and *ret's type and len; 0 when n is too short to tell; -EBADMSG for a
 * length that cannot be. The body need not be there: ret->body is set all the same.
 */
int pg_head(const uint8_t *p, size_t n, struct pg_msg *ret) __must_check;
/* The same for a first packet, which has no type: 1, 0 or -EBADMSG. */
int pg_start_head(const uint8_t *p, size_t n, struct pg_msg *ret) __must_check;

/* Longest body that a client may send with this type; 0 = no such type (P10, P12). */
size_t pg_client_limit(uint8_t type);

/* The code of a first packet; len >= 4. */
uint32_t pg_start_code(const struct pg_msg *m);
/* Next parameter of a StartupMessage behind *pos (from 4): 1, 0 at the end, -EBADMSG. */
int pg_start_param(const struct pg_msg *m, size_t *pos, struct pg_text *name,
		   struct pg_text *value) __must_check;
/* CancelRequest. */
int pg_read_cancel(const struct pg_msg *m, uint32_t *pid, uint32_t *key) __must_check;

/* Query, and any message that is one text and nothing behind it (P11). */
int pg_read_text(const struct pg_msg *m, struct pg_text *ret) __must_check;

struct pg_parse {
	struct pg_text name, query;
	uint16_t n_types;
	const uint8_t *types; /* n_types * 4 bytes */
};
int pg_read_parse(const struct pg_msg *m, struct pg_parse *ret) __must_check;

struct pg_bind {
	struct pg_text portal, statement;
	const uint8_t *rest; /* formats, values and result formats: checked, as they came */
	size_t rest_len;
	uint16_t n_values;
};
int pg_read_bind(const struct pg_msg *m, struct pg_bind *ret) __must_check;

/* Describe and Close: what ('S' or 'P') and its name. */
int pg_read_target(const struct pg_msg *m, uint8_t *what, struct pg_text *name) __must_check;
int pg_read_execute(const struct pg_msg *m, struct pg_text *portal, uint32_t *rows) __must_check;

/* Fields of ErrorResponse and NoticeResponse behind *pos (from 0): 1, 0 at the end, -EBADMSG. */
int pg_notice_field(const struct pg_msg *m, size_t *pos, uint8_t *code,
		    struct pg_text *value) __must_check;
/* The field with this code, or "". */
struct pg_text pg_notice_find(const struct pg_msg *m, uint8_t code);
/* Its SQLSTATE: five of [0-9A-Z] and a NUL, or false and *ret as it was. */
#define PG_STATE_SIZE 6
bool pg_notice_state(const struct pg_msg *m, char ret[PG_STATE_SIZE]);
/* Check all of an ErrorResponse or NoticeResponse. */
int pg_check_notice(const struct pg_msg *m) __must_check;

int pg_read_param(const struct pg_msg *m, struct pg_text *name, struct pg_text *value) __must_check;
int pg_read_key(const struct pg_msg *m, uint32_t *pid, uint32_t *key) __must_check;
/* ReadyForQuery: 'I', 'T' or 'E'. */
int pg_read_ready(const struct pg_msg *m, uint8_t *status) __must_check;
int pg_check_row_description(const struct pg_msg *m) __must_check;
int pg_check_param_description(const struct pg_msg *m) __must_check;
/* CopyOutResponse. */
int pg_check_copy_out(const struct pg_msg *m) __must_check;
/* The only column of a DataRow. */
int pg_read_single(const struct pg_msg *m, struct pg_text *value) __must_check;

/*
 * Encoders append one whole message, or nothing and fail with -ENOMEM or -EMSGSIZE. Texts must not
 * hold a NUL.
 */
int pg_put_msg(struct buf *b, uint8_t type, const void *body, size_t len) __must_check;
int pg_put_empty(struct buf *b, uint8_t type) __must_check;
int pg_put_cstr_msg(struct buf *b, uint8_t type, const char *text) __must_check;
int pg_put_head(struct buf *b, uint8_t type, uint32_t body_len) __must_check;
int pg_put_parse(struct buf *b, const char *name, struct pg_text query, uint16_t n_types,
		 const uint8_t *types) __must_check;
int pg_put_bind(struct buf *b, const char *portal, const char *statement, const uint8_t *rest,
		size_t rest_len) __must_check;
/* Bind without parameters, results as text. */
int pg_put_bind_plain(struct buf *b, const char *portal, const char *statement) __must_check;
int pg_put_target(struct buf *b, uint8_t type, uint8_t what, const char *name) __must_check;
int pg_put_execute(struct buf *b, const char *portal, uint32_t rows) __must_check;
int pg_put_param(struct buf *b, const char *name, const char *value) __must_check;
int pg_put_key(struct buf *b, uint32_t pid, uint32_t key) __must_check;
int pg_put_ready(struct buf *b, uint8_t status) __must_check;
int pg_put_auth(struct buf *b, uint32_t code) __must_check;
int pg_put_cancel(struct buf *b, uint32_t pid, uint32_t key) __must_check;

/* ErrorResponse or NoticeResponse; hint and position may be NULL and 0. */
struct pg_error {
	const char *severity, *sqlstate, *message, *hint;
	uint32_t position;
};
int pg_put_error(struct buf *b, uint8_t type, const struct pg_error *e) __must_check;
/* NegotiateProtocolVersion: 3.0 and the refused names, n of them one behind the other with NULs. */
int pg_put_negotiate(struct buf *b, uint32_t n, const void *names, size_t len) __must_check;

/* StartupMessage from names and values in turn, ended by NULL. */
int pg_put_startup(struct buf *b, const char *const *params) __must_check;

static inline bool pg_text_is(struct pg_text t, const char *s)
{
	size_t n = __builtin_strlen(s);

	return t.len == n && __builtin_memcmp(t.p, s, n) == 0;
}

#endif
