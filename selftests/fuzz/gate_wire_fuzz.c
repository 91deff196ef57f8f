/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decoders of the wire codec on any bytes, framed as the stream frames them and cut at awkward
 * places. What decodes must encode to the same bytes: nothing that the gate rebuilds may differ
 * from what it judged.
 */
#include <stdlib.h>
#include <string.h>

#include "gate/limits.h"
#include "gate/pgwire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

/* A NUL-ended copy, as the names that the encoders take. */
static char *copy(struct pg_text t)
{
	char *s = strndup(t.p, t.len);

	must(s != NULL && strlen(s) == t.len);
	return s;
}

static void parse(const struct pg_msg *m)
{
	__cleanup_buf struct buf b = BUF_INIT(0);
	struct pg_parse p;

	if (pg_read_parse(m, &p) < 0)
		return;
	__cleanup_free char *name = copy(p.name);

	must(pg_put_parse(&b, name, p.query, p.n_types, p.types) == 0);
	must(buf_len(&b) == PG_HEAD + m->len);
	must(memcmp(buf_ptr(&b) + PG_HEAD, m->body, m->len) == 0);
}

static void bind(const struct pg_msg *m)
{
	__cleanup_buf struct buf b = BUF_INIT(0);
	struct pg_bind p;

	if (pg_read_bind(m, &p) < 0)
		return;
	__cleanup_free char *portal = copy(p.portal);
	__cleanup_free char *statement = copy(p.statement);

	must(pg_put_bind(&b, portal, statement, p.rest, p.rest_len) == 0);
	must(buf_len(&b) == PG_HEAD + m->len);
	must(memcmp(buf_ptr(&b) + PG_HEAD, m->body, m->len) == 0);
}

static void small(const struct pg_msg *m)
{
	struct pg_text a, b;
	uint32_t x, y;
	uint8_t c;

	(void)!pg_read_text(m, &a);
	(void)!pg_read_target(m, &c, &a);
	(void)!pg_read_execute(m, &a, &x);
	(void)!pg_check_notice(m);
	(void)pg_notice_find(m, 'C');
	(void)!pg_read_param(m, &a, &b);
	(void)!pg_read_key(m, &x, &y);
	(void)!pg_read_ready(m, &c);
	(void)!pg_check_row_description(m);
	(void)!pg_check_param_description(m);
	(void)!pg_check_copy_out(m);
	(void)!pg_read_single(m, &a);
}

static void start(const uint8_t *data, size_t size)
{
	struct pg_text name, value;
	struct pg_msg m;
	uint32_t pid, key;
	size_t pos = 4;

	if (pg_start_head(data, size, &m) != 1 || PG_START_HEAD + (size_t)m.len > size)
		return;
	(void)pg_start_code(&m);
	(void)!pg_read_cancel(&m, &pid, &key);
	while (pg_start_param(&m, &pos, &name, &value) == 1)
		must(pos <= m.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Its own allocation, so that a read past the end is seen. */
	__cleanup_free uint8_t *p = malloc(size ? size : 1);
	struct pg_msg m;

	if (!p)
		return 0;
	memcpy(p, data, size);
	start(p, size);
	for (size_t at = 0; pg_head(p + at, size - at, &m) == 1;) {
		if (m.len > size - at - PG_HEAD)
			m.len = (uint32_t)(size - at - PG_HEAD);
		__cleanup_free uint8_t *body = malloc(m.len ? m.len : 1);

		if (!body)
			return 0;
		memcpy(body, m.body, m.len);
		m.body = body;
		parse(&m);
		bind(&m);
		small(&m);
		at += PG_HEAD + m.len;
	}
	return 0;
}
