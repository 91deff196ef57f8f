/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One JSON object per SOCK_SEQPACKET message, to a child of the daemon (pinfold-init, pinfold-gate,
 * the resolver). Several objects in one message are separated by newlines.
 */
#ifndef DAEMON_CHANNEL_H
#define DAEMON_CHANNEL_H

#include <jansson.h>
#include <stdbool.h>

#include "daemon/loop.h"

#define CHANNEL_MSG_MAX (512u * 1024u)
#define CHANNEL_FDS_MAX 64u

struct channel;

struct channel_ops {
	/* One object. fds came with the message (of the first object); taken ones are set to -1. */
	void (*message)(void *arg, json_t *msg, int *fds, size_t nfds);
	/* The other end is gone, or said what is not JSON. The channel may be freed here. */
	void (*end)(void *arg, int error);
};

/* Takes over sock, on failure too. */
struct channel *channel_new(uv_loop_t *loop, int sock, const struct channel_ops *ops, void *arg);
/* Sets *c to NULL; nothing is called any more, also from within ops->message. */
void channel_free(struct channel **c);
/* Takes over msg (NULL: -ENOMEM). The descriptors stay the caller's. */
int channel_send(struct channel *c, json_t *msg, const int *fds, size_t nfds) __must_check;
/* Take in what waits already, without going back to the loop. c may be gone after. */
void channel_drain(struct channel *c);
/* The two ends of a new channel, close-on-exec, the first not blocking. */
int channel_pair(int ret[2]) __must_check;

#endif
