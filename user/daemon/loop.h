/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches and alarms on the event loop, as plain pointers: freeing one is allowed at any time, also
 * from its own callback, and the memory goes when the loop is through with it.
 */
#ifndef DAEMON_LOOP_H
#define DAEMON_LOOP_H

#include <stdint.h>
#include <uv.h>

#include "base/cleanup.h"

enum { WATCH_READ = UV_READABLE, WATCH_WRITE = UV_WRITABLE, WATCH_URGENT = UV_PRIORITIZED };

typedef void loop_fn(void *arg);

struct watch;
/* Call fn whenever one of events is due on fd, which stays the caller's. NULL: no memory, or fd
 * cannot be watched. */
struct watch *watch_new(uv_loop_t *loop, int fd, int events, loop_fn *fn, void *arg);
/* Watch for other events. */
void watch_set(struct watch *w, int events);
/* Before fd is closed. Sets *w to NULL. */
void watch_free(struct watch **w);

struct alarm;
/* Call fn after first_ms, then every repeat_ms (0: once). NULL: no memory. */
struct alarm *alarm_new(uv_loop_t *loop, uint64_t first_ms, uint64_t repeat_ms, loop_fn *fn,
			void *arg);
void alarm_free(struct alarm **a);

#endif
