/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of the network rows: the victim servers outside, or for the twin a listener of the
 * row's own on loopback.
 */
#ifndef SELFTESTS_SYS_NET_H
#define SELFTESTS_SYS_NET_H

#include "attempt.h"

struct address {
	struct sockaddr_storage ss;
	socklen_t len;
};

/* ip in text form ("10.99.0.1", "fd99::1", "::ffff:10.99.0.1") and port. */
struct address address_of(const char *ip, unsigned int port);

/*
 * Where this row's call goes: outside the victim's address of this family, for the twin a new
 * socket of this type bound (and listening) on loopback, which stays open.
 */
struct address peer(struct ctx *c, int family, int type);
/* The same peer as a v4-mapped address. */
struct address mapped_peer(struct ctx *c, int type);

/* Connect a new socket, send the tag when it worked, close: 0 or -errno. */
long dial(struct ctx *c, int protocol, const struct address *to);
/* Send the tag to that address from an unconnected socket by sendmsg(2). */
long send_to(struct ctx *c, int fd, const struct address *to, int flags);

#endif
