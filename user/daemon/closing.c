/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Closing what came from somebody else. The last close of a socket with SO_LINGER waits for its
 * other end, and closing a file asks a server that may not answer: so each such batch has a thread
 * of its own, which does nothing else, and counts as a connection of the one it came from.
 */
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "daemon/daemon.h"

#define STACK_BYTES (64u * 1024u)

struct closing {
	struct list node; /* daemon.closings */
	uid_t uid;
	uv_thread_t thread;
	uv_async_t done; /* from the thread to the loop */
	size_t n;
	int fds[];
};

static void freed(uv_handle_t *h)
{
	free(h->data);
}

static void closed(uv_async_t *done)
{
	struct closing *c = done->data;

	(void)uv_thread_join(&c->thread); /* its last act was to tell */
	list_del(&c->node);
	uv_close((uv_handle_t *)done, freed);
}

static void close_all(void *arg)
{
	struct closing *c = arg;

	for (size_t i = 0; i < c->n; i++)
		close(c->fds[i]);
	(void)uv_async_send(&c->done); /* fails only on a handle that is closed */
}

/* NULL: they stay open, which is less than to wait for them. */
static struct closing *closing_new(struct daemon *d, uid_t uid, const int *fds, size_t n)
{
	struct closing *c = calloc(1, sizeof(*c) + n * sizeof(c->fds[0]));

	if (!c || uv_async_init(d->loop, &c->done, closed) < 0) {
		free(c);
		return NULL;
	}
	c->done.data = c;
	c->uid = uid;
	memcpy(c->fds, fds, n * sizeof(c->fds[0]));
	c->n = n;
	list_add_tail(&d->closings, &c->node);
	return c;
}

void close_aside(struct daemon *d, uid_t uid, int *fds, size_t n)
{
	const uv_thread_options_t options = {UV_THREAD_HAS_STACK_SIZE, STACK_BYTES};
	size_t open = 0;

	for (size_t i = 0; i < n; i++) /* those that were not handed on */
		if (fds[i] >= 0)
			fds[open++] = fds[i];
	struct closing *c = open > 0 ? closing_new(d, uid, fds, open) : NULL;

	/* Without its thread it stays in the list, and counts for as long as they are open. */
	if (open > 0 && (!c || uv_thread_create_ex(&c->thread, &options, close_all, c) < 0))
		log_err("%zu descriptors of uid %u stay open: no thread to close them", open,
			(unsigned)uid);
	for (size_t i = 0; i < n; i++)
		fds[i] = -1;
}

size_t closings_of(const struct daemon *d, uid_t uid)
{
	size_t n = 0;

	list_for_each (pos, &d->closings)
		n += list_entry(pos, struct closing, node)->uid == uid;
	return n;
}
