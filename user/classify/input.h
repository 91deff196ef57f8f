/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of a stream without end, in bounded memory. One thread.
 */
#ifndef CLASSIFY_INPUT_H
#define CLASSIFY_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct input {
	int fd;		/* borrowed */
	size_t max;	/* bytes of a line, without its end; of a longer one nothing is kept */
	struct buf buf; /* read, and not taken yet */
	size_t seen;	/* bytes at the front of buf in which no line ends */
	bool skipping;	/* the line in progress is too long */
	bool ended;
	uint64_t lines; /* taken */
};

struct input_line {
	const char *text; /* any bytes but a newline; borrowed until the next input_fill() */
	size_t len;
	uint64_t number; /* from 1 */
	bool too_long;	 /* and then there is no text */
};

/* The next line of what has been read. What stands behind the last newline is a line at the end of
 * the stream only. */
bool input_next(struct input *in, struct input_line *ret);
/* Read once, waiting for bytes: 0, or -errno. The end sets in->ended. */
int input_fill(struct input *in) __must_check;
void input_free(struct input *in);

#endif
