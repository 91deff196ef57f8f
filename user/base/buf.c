/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growable byte buffer with a hard limit.
 */
#include "base/buf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUF_FIRST 512

void buf_free(struct buf *b)
{
	free(b->data);
	*b = (struct buf){.limit = b->limit};
}

int buf_reserve(struct buf *b, size_t n)
{
	size_t len = buf_len(b);

	if (b->limit && n > b->limit - len)
		return -EMSGSIZE;
	if (n <= b->size - b->tail)
		return 0;
	if (b->head > 0) {
		memmove(b->data, b->data + b->head, len);
		b->head = 0;
		b->tail = len;
		if (n <= b->size - b->tail)
			return 0;
	}
	size_t size = b->size ? b->size : BUF_FIRST;

	while (size - len < n) {
		if (size > SIZE_MAX / 2)
			return -ENOMEM;
		size *= 2;
	}
	uint8_t *data = realloc(b->data, size);

	if (!data)
		return -ENOMEM;
	b->data = data;
	b->size = size;
	return 0;
}

void buf_commit(struct buf *b, size_t n)
{
	b->tail += n;
}

void buf_consume(struct buf *b, size_t n)
{
	b->head += n;
	if (b->head == b->tail)
		buf_clear(b);
}

void buf_clear(struct buf *b)
{
	b->head = 0;
	b->tail = 0;
}

int buf_put(struct buf *b, const void *p, size_t n)
{
	int r = buf_reserve(b, n);

	if (r < 0)
		return r;
	if (n > 0)
		memcpy(b->data + b->tail, p, n);
	b->tail += n;
	return 0;
}

int buf_put_u8(struct buf *b, uint8_t v)
{
	return buf_put(b, &v, 1);
}

int buf_put_be16(struct buf *b, uint16_t v)
{
	uint8_t p[2] = {(uint8_t)(v >> 8), (uint8_t)v};

	return buf_put(b, p, sizeof(p));
}

int buf_put_be32(struct buf *b, uint32_t v)
{
	uint8_t p[4];

	set_be32(p, v);
	return buf_put(b, p, sizeof(p));
}

int buf_put_cstr(struct buf *b, const char *s)
{
	return buf_put(b, s, strlen(s) + 1);
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	char *text = NULL;

	va_start(ap, fmt);
	int n = vasprintf(&text, fmt, ap);

	va_end(ap);
	if (n < 0)
		return -ENOMEM;
	int r = buf_put(b, text, (size_t)n);

	free(text);
	return r;
}
