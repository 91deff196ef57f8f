/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of endpoints: the synthetic ones that a session sees, and what may stand for a server.
 */
#ifndef DAEMON_HOSTS_H
#define DAEMON_HOSTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"

/* The address of the n-th endpoint (from 1) in its session, out of 198.18.0.0/15 (RFC 2544). */
#define HOSTS_SYNTHETIC "198.18.0.%u"

bool hosts_is_address(const char *text);
/* As the maps want it: IPv4-mapped, network byte order. -EINVAL: not an address. */
int hosts_parse(const char *text, uint8_t ret[16]) __must_check;

/*
 * Why a gate may not connect to what a name resolved to: loopback, link-local (cloud metadata is
 * there), unspecified, multicast, or an address of this machine. NULL: it may. A literal address
 * in a policy owned by root is not asked about.
 */
const char *hosts_objection(const uint8_t addr[16]);

#endif
