/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677) and of PostgreSQL's md5 method, as
 * computations on texts. No I/O. Every message of the server is untrusted.
 */
#ifndef GATE_SCRAM_H
#define GATE_SCRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

#define SCRAM_KEY 32
#define SCRAM_NONCE 24 /* base64 of 18 random bytes */
#define SCRAM_TEXT 1024

struct scram {
	char nonce[SCRAM_NONCE + 1];
	char client_first_bare[SCRAM_NONCE + 6]; /* "n=,r=" before it, a NUL behind */
	uint8_t server_signature[SCRAM_KEY];	 /* what the server must prove */
	bool signed_off;			 /* the client's proof is out: a signature is due */
};

/* client-first-message, no channel binding, into ret[SCRAM_TEXT]. -errno of the random source. */
int scram_first(struct scram *s, char *ret) __must_check;
/*
 * server-first-message in, client-final-message out into ret[SCRAM_TEXT]. -EPROTO for a message
 * that is malformed, a nonce that is not ours, or iterations outside
 * GATE_SCRAM_ITERATIONS_MIN.._MAX.
 */
int scram_final(struct scram *s, const char *password, const char *server_first, size_t len,
		char *ret) __must_check;
/* server-final-message: 0 when the server proved that it knows the password, else -EPROTO. */
int scram_verify(struct scram *s, const char *server_final, size_t len) __must_check;
void scram_wipe(struct scram *s);

/* "md5" and 32 hexadecimal digits into ret[36]. */
int md5_response(const char *user, const char *password, const uint8_t salt[4],
		 char *ret) __must_check;

#endif
