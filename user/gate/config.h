/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The start-up message of pinfoldd as a struct: endpoints with their listeners, addresses and
 * credentials. The one copy of each password in this process lives here.
 */
#ifndef GATE_CONFIG_H
#define GATE_CONFIG_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "gate/limits.h"

enum tls_mode { TLS_VERIFY_FULL, TLS_REQUIRE, TLS_OFF };
/* Its word in a policy. */
const char *tls_mode_name(enum tls_mode mode);

struct address {
	struct sockaddr_storage sa;
	socklen_t len;
};

struct endpoint_config {
	char *name; /* what the session calls it: letters, digits, '.', '-', '_' */
	uint32_t id;
	size_t listener; /* index into the descriptors of the message */
	struct address addresses[GATE_ADDRESSES_MAX];
	size_t n_addresses;
	char *host; /* the name that the server's certificate must carry */
	char *database, *user;
	char *password; /* wiped by config_free(); "" = none */
	enum tls_mode tls;
	char *ca_pem; /* NULL = the system's bundle */
};

struct gate_config {
	char *session;
	struct endpoint_config *endpoints;
	size_t n_endpoints;
	size_t clients_max; /* at most GATE_CLIENTS_MAX */
};

/*
 * Read text[len]; n_fds descriptors came with it. -EINVAL with *why (static text) for anything
 * that is missing, unknown in its place, or out of range; -ENOMEM.
 */
int config_parse(const char *text, size_t len, size_t n_fds, struct gate_config *ret,
		 const char **why) __must_check;
void config_free(struct gate_config *c);

#endif
