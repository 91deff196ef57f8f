/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of a stream without end, in bounded memory.
 */
#include "classify/input.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#define READ_SIZE (64 * 1024)

/* The line that ends n bytes into the buffer, at a newline or at the end of the stream. */
static void take(struct input *in, size_t n, bool newline, struct input_line *ret)
{
	*ret = (struct input_line){
		.text = (const char *)buf_ptr(&in->buf),
		.len = n,
		.number = ++in->lines,
		.too_long = in->skipping || n > in->max,
	};
	buf_consume(&in->buf, n + newline);
	in->seen = 0;
	in->skipping = false;
}

bool input_next(struct input *in, struct input_line *ret)
{
	size_t len = buf_len(&in->buf);
	const uint8_t *p = len > 0 ? buf_ptr(&in->buf) : NULL;
	const uint8_t *end = p ? memchr(p + in->seen, '\n', len - in->seen) : NULL;

	if (end) {
		take(in, (size_t)(end - p), true, ret);
		return true;
	}
	if (in->ended && (len > 0 || in->skipping)) {
		take(in, len, false, ret);
		return true;
	}
	in->seen = len;
	if (len > in->max) {
		in->skipping = true;
		in->seen = 0;
		buf_clear(&in->buf);
	}
	return false;
}

int input_fill(struct input *in)
{
	int r = buf_reserve(&in->buf, READ_SIZE);

	if (r < 0)
		return r;
	for (;;) {
		ssize_t n = read(in->fd, in->buf.data + in->buf.tail, READ_SIZE);
		struct pollfd wait = {.fd = in->fd, .events = POLLIN};

		if (n >= 0) {
			buf_commit(&in->buf, (size_t)n);
			in->ended = n == 0;
			return 0;
		}
		/* Whoever shares the descriptor may have made it non-blocking. */
		if (errno == EAGAIN && poll(&wait, 1, -1) >= 0)
			continue;
		if (errno != EINTR)
			return -errno;
	}
}

void input_free(struct input *in)
{
	buf_free(&in->buf);
}
