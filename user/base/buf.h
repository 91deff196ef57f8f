/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growable byte buffer with a hard limit, read from the front and written at the end.
 * Not thread-safe.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct buf {
	uint8_t *data; /* owned */
	size_t head;   /* first unread byte */
	size_t tail;   /* one past the last byte */
	size_t size;   /* bytes allocated */
	size_t limit;  /* unread bytes that may be held at most; 0 = no limit */
};

#define BUF_INIT(max) ((struct buf){.limit = (max)})

void buf_free(struct buf *b);
#define __cleanup_buf __cleanup(buf_free)

static inline size_t buf_len(const struct buf *b)
{
	return b->tail - b->head;
}

static inline uint8_t *buf_ptr(const struct buf *b)
{
	return b->data + b->head;
}

/*
 * Make room for n more bytes behind the tail: -ENOMEM, or -EMSGSIZE past the limit. The room starts
 * at b->data + b->tail; tell what was used of it with buf_commit().
 */
int buf_reserve(struct buf *b, size_t n) __must_check;
void buf_commit(struct buf *b, size_t n);
/* Drop n bytes from the front; n <= buf_len(b). */
void buf_consume(struct buf *b, size_t n);
void buf_clear(struct buf *b);

/* Append; on failure nothing was appended. */
int buf_put(struct buf *b, const void *p, size_t n) __must_check;
int buf_put_u8(struct buf *b, uint8_t v) __must_check;
int buf_put_be16(struct buf *b, uint16_t v) __must_check;
int buf_put_be32(struct buf *b, uint32_t v) __must_check;
/* Text with its NUL. */
int buf_put_cstr(struct buf *b, const char *s) __must_check;
/* Text without a NUL. */
int buf_printf(struct buf *b, const char *fmt, ...) __must_check __printf_like(2, 3);

static inline uint16_t get_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t get_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void set_be32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

#endif
