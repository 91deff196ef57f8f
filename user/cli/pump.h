/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One direction of bytes between two descriptors, driven by poll(2). Descriptors that are shared
 * with others (the caller's) stay in the mode they are in; a pump writes only what fits.
 */
#ifndef CLI_PUMP_H
#define CLI_PUMP_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* No more than a pipe takes at once when poll(2) says that it is writable (PIPE_BUF). */
#define PUMP_SIZE 4096

struct pump {
	int from, to;  /* -1: this pump is not used, or at its end */
	bool own_from; /* close from at the end */
	bool own_to;   /* close to at the end: the reader there sees it */
	bool lines;    /* end of input is a character (the terminal's VEOF), not a close */
	bool input;    /* towards the session: abandoned when the session ends */
	bool deaf;     /* to takes no more: what comes is dropped */
	size_t head, tail;
	uint8_t data[PUMP_SIZE];
};
#define PUMP_INIT ((struct pump){.from = -1, .to = -1})

/* What to poll for: *fd, events; false: nothing. */
bool pump_wants(const struct pump *p, struct pollfd *ret);
/* Go on after poll(2) reported something. True when bytes moved. */
bool pump_step(struct pump *p);
bool pump_done(const struct pump *p);
void pump_close(struct pump *p);

#endif
