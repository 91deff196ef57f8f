/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's side of SCRAM-SHA-256 and md5.
 */
#include "gate/scram.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "gate/limits.h"

#define SALT_MAX 256

/* The value of attribute c at *p, which is advanced behind its comma: a borrowed text. */
static int attribute(const char **p, const char *end, char c, const char **ret, size_t *ret_len)
{
	if (end - *p < 2 || (*p)[0] != c || (*p)[1] != '=')
		return -EPROTO;
	const char *value = *p + 2;
	const char *comma = memchr(value, ',', (size_t)(end - value));
	const char *stop = comma ? comma : end;

	*ret = value;
	*ret_len = (size_t)(stop - value);
	*p = comma ? comma + 1 : end;
	return 0;
}

/* Strict base64 into out[max]: the length, or -EPROTO. */
static int base64_decode(const char *text, size_t len, uint8_t *out, size_t max)
{
	uint8_t wide[SALT_MAX + 4];

	if (len == 0 || len % 4 != 0 || len / 4 * 3 > sizeof(wide))
		return -EPROTO;
	int n = EVP_DecodeBlock(wide, (const uint8_t *)text, (int)len);

	if (n < 0)
		return -EPROTO;
	n -= (text[len - 1] == '=') + (text[len - 2] == '=');
	if ((size_t)n > max)
		return -EPROTO;
	memcpy(out, wide, (size_t)n);
	return n;
}

static int hmac(const uint8_t key[SCRAM_KEY], const void *data, size_t len, uint8_t out[SCRAM_KEY])
{
	unsigned int n = SCRAM_KEY;

	return HMAC(EVP_sha256(), key, SCRAM_KEY, data, len, out, &n) ? 0 : -ENOMEM;
}

int scram_first(struct scram *s, char *ret)
{
	uint8_t random[SCRAM_NONCE / 4 * 3];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	EVP_EncodeBlock((uint8_t *)s->nonce, random, sizeof(random));
	/* The user name is that of the StartupMessage; the server ignores this one. */
	snprintf(s->client_first_bare, sizeof(s->client_first_bare), "n=,r=%s", s->nonce);
	snprintf(ret, SCRAM_TEXT, "n,,%s", s->client_first_bare);
	s->signed_off = false;
	return 0;
}

struct challenge {
	const char *nonce;
	size_t nonce_len;
	uint8_t salt[SALT_MAX];
	int salt_len;
	int iterations;
};

static int read_iterations(const char *p, size_t len)
{
	int n = 0;

	if (len == 0 || len > 7)
		return -EPROTO;
	for (size_t i = 0; i < len; i++) {
		if (p[i] < '0' || p[i] > '9')
			return -EPROTO;
		n = n * 10 + (p[i] - '0');
	}
	if (n < GATE_SCRAM_ITERATIONS_MIN || n > GATE_SCRAM_ITERATIONS_MAX)
		return -EPROTO;
	return n;
}

static int read_challenge(const struct scram *s, const char *text, size_t len, struct challenge *c)
{
	const char *p = text, *end = text + len, *salt, *count;
	size_t salt_len, count_len;

	if (attribute(&p, end, 'r', &c->nonce, &c->nonce_len) < 0 ||
	    attribute(&p, end, 's', &salt, &salt_len) < 0 ||
	    attribute(&p, end, 'i', &count, &count_len) < 0)
		return -EPROTO;
	/* Ours, and something of the server's behind it. */
	if (c->nonce_len <= SCRAM_NONCE || memcmp(c->nonce, s->nonce, SCRAM_NONCE) != 0)
		return -EPROTO;
	c->salt_len = base64_decode(salt, salt_len, c->salt, sizeof(c->salt));
	c->iterations = read_iterations(count, count_len);
	return c->salt_len < 0 || c->iterations < 0 ? -EPROTO : 0;
}

/* The proof, and the signature that the server has to show, from the salted password. */
static int prove(struct scram *s, const uint8_t salted[SCRAM_KEY], const char *auth, size_t len,
		 uint8_t proof[SCRAM_KEY])
{
	uint8_t client_key[SCRAM_KEY], stored_key[SCRAM_KEY], server_key[SCRAM_KEY];
	uint8_t signature[SCRAM_KEY];
	int r = hmac(salted, "Client Key", 10, client_key);

	SHA256(client_key, SCRAM_KEY, stored_key);
	if (r == 0)
		r = hmac(stored_key, auth, len, signature);
	if (r == 0)
		r = hmac(salted, "Server Key", 10, server_key);
	if (r == 0)
		r = hmac(server_key, auth, len, s->server_signature);
	for (size_t i = 0; i < SCRAM_KEY && r == 0; i++)
		proof[i] = client_key[i] ^ signature[i];
	explicit_bzero(client_key, sizeof(client_key));
	explicit_bzero(server_key, sizeof(server_key));
	return r;
}

int scram_final(struct scram *s, const char *password, const char *server_first, size_t len,
		char *ret)
{
	struct challenge c;
	uint8_t salted[SCRAM_KEY], proof[SCRAM_KEY];
	char proof64[SCRAM_KEY / 3 * 4 + 8];
	char without_proof[SCRAM_TEXT];
	char auth[3 * SCRAM_TEXT];

	if (len >= SCRAM_TEXT || read_challenge(s, server_first, len, &c) < 0)
		return -EPROTO;
	/* biws is base64 of the "n,,": no channel binding. */
	int n = snprintf(without_proof, sizeof(without_proof), "c=biws,r=%.*s", (int)c.nonce_len,
			 c.nonce);

	if (n < 0 || (size_t)n >= sizeof(without_proof) - sizeof(proof64) - 4)
		return -EPROTO;
	n = snprintf(auth, sizeof(auth), "%s,%.*s,%s", s->client_first_bare, (int)len, server_first,
		     without_proof);
	if (n < 0 || (size_t)n >= sizeof(auth))
		return -EPROTO;
	if (!PKCS5_PBKDF2_HMAC(password, (int)strlen(password), c.salt, c.salt_len, c.iterations,
			       EVP_sha256(), SCRAM_KEY, salted))
		return -ENOMEM;
	int r = prove(s, salted, auth, (size_t)n, proof);

	explicit_bzero(salted, sizeof(salted));
	if (r < 0)
		return r;
	EVP_EncodeBlock((uint8_t *)proof64, proof, SCRAM_KEY);
	n = snprintf(ret, SCRAM_TEXT, "%s,p=%s", without_proof, proof64);
	s->signed_off = true;
	return n > 0 && n < SCRAM_TEXT ? 0 : -EPROTO;
}

int scram_verify(struct scram *s, const char *server_final, size_t len)
{
	const char *p = server_final, *value;
	uint8_t signature[SCRAM_KEY];
	size_t value_len;

	if (!s->signed_off || attribute(&p, server_final + len, 'v', &value, &value_len) < 0)
		return -EPROTO;
	if (base64_decode(value, value_len, signature, sizeof(signature)) != SCRAM_KEY)
		return -EPROTO;
	if (CRYPTO_memcmp(signature, s->server_signature, SCRAM_KEY) != 0)
		return -EPROTO;
	return 0;
}

void scram_wipe(struct scram *s)
{
	explicit_bzero(s, sizeof(*s));
}

/* Hexadecimal md5 of two pieces into hex[33]. */
static int md5_hex(const void *a, size_t a_len, const void *b, size_t b_len, char *hex)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned int n = 0;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_md5(), NULL) &&
		  EVP_DigestUpdate(ctx, a, a_len) && EVP_DigestUpdate(ctx, b, b_len) &&
		  EVP_DigestFinal_ex(ctx, digest, &n);

	EVP_MD_CTX_free(ctx);
	if (!ok)
		return -ENOTSUP;
	for (unsigned int i = 0; i < 16; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	return 0;
}

int md5_response(const char *user, const char *password, const uint8_t salt[4], char *ret)
{
	char inner[33];
	int r = md5_hex(password, strlen(password), user, strlen(user), inner);

	memcpy(ret, "md5", 3);
	if (r == 0)
		r = md5_hex(inner, 32, salt, 4, ret + 3);
	explicit_bzero(inner, sizeof(inner));
	return r;
}
