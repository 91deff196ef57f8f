/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS of both legs: the per-session CA with its one leaf for the session's side, and verified
 * client contexts towards the databases.
 */
#ifndef GATE_TLS_H
#define GATE_TLS_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "gate/config.h"

struct tls_server {
	SSL_CTX *ctx;
	char *ca_pem; /* the CA's certificate; its key was dropped after signing the leaf */
};

/*
 * Make a CA and a leaf that carries every endpoint's name, host and addresses, and localhost.
 * EC P-256, valid for GATE_CERT_DAYS. -ENOMEM, -EIO.
 */
int tls_server_make(struct tls_server *t, const struct gate_config *c) __must_check;
void tls_server_free(struct tls_server *t);

/* The protocol name that both sides agreed on by ALPN is PostgreSQL's. */
bool tls_is_postgres(const SSL *ssl);

/*
 * A context for connections to e: the CA it names or the system's, TLS 1.2 at least. *why names
 * the reason of -EINVAL (static text).
 */
int tls_client_make(const struct endpoint_config *e, SSL_CTX **ret, const char **why) __must_check;
/* Ask for e's host name (verify-full) on a new connection. */
int tls_client_expect(SSL *ssl, const struct endpoint_config *e) __must_check;
/* Why a handshake failed, for people: static text. */
const char *tls_failure(const SSL *ssl);

#endif
