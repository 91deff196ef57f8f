/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches and alarms on libuv's handles.
 */
#include "daemon/loop.h"

struct watch {
	uv_poll_t poll; /* first: what libuv hands back */
	loop_fn *fn;
	void *arg;
};

struct alarm {
	uv_timer_t timer; /* first */
	loop_fn *fn;
	void *arg;
};

static void closed(uv_handle_t *h)
{
	free(h); /* the handle is the first member of what was allocated */
}

/* An error is shown to fn as well: its next read finds out. */
static void polled(uv_poll_t *p, int status, int events)
{
	struct watch *w = (struct watch *)p;

	(void)status;
	(void)events;
	w->fn(w->arg);
}

struct watch *watch_new(uv_loop_t *loop, int fd, int events, loop_fn *fn, void *arg)
{
	struct watch *w = calloc(1, sizeof(*w));

	if (!w || uv_poll_init(loop, &w->poll, fd) < 0) {
		free(w);
		return NULL;
	}
	w->fn = fn;
	w->arg = arg;
	if (uv_poll_start(&w->poll, events, polled) < 0) {
		watch_free(&w);
		return NULL;
	}
	return w;
}

void watch_set(struct watch *w, int events)
{
	if (w)
		(void)uv_poll_start(&w->poll, events, polled);
}

void watch_free(struct watch **w)
{
	if (*w)
		uv_close((uv_handle_t *)&(*w)->poll, closed);
	*w = NULL;
}

static void rang(uv_timer_t *t)
{
	struct alarm *a = (struct alarm *)t;

	a->fn(a->arg);
}

struct alarm *alarm_new(uv_loop_t *loop, uint64_t first_ms, uint64_t repeat_ms, loop_fn *fn,
			void *arg)
{
	struct alarm *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	(void)uv_timer_init(loop, &a->timer); /* cannot fail */
	a->fn = fn;
	a->arg = arg;
	(void)uv_timer_start(&a->timer, rang, first_ms, repeat_ms);
	return a;
}

void alarm_free(struct alarm **a)
{
	if (*a)
		uv_close((uv_handle_t *)&(*a)->timer, closed);
	*a = NULL;
}
