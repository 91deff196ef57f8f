/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS of both legs.
 */
#include "gate/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/buf.h"

#define GATE_CERT_DAYS 365
/* Clocks of containers drift; nothing is lost by a certificate that is valid since yesterday. */
#define GATE_CERT_BACKDATE_SEC (24L * 60 * 60)
#define ALPN_NAME "postgresql"

static int set_serial(X509 *cert)
{
	uint8_t bytes[16];

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return -EIO;
	bytes[0] &= 0x7f; /* a serial number is positive */
	bytes[0] |= 0x40;
	BIGNUM *n = BN_bin2bn(bytes, sizeof(bytes), NULL);
	bool ok = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert));

	BN_free(n);
	return ok ? 0 : -ENOMEM;
}

static int set_name(X509_NAME *name, const char *text)
{
	return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const uint8_t *)text, -1, -1,
					  0)
		       ? 0
		       : -ENOMEM;
}

static int add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	bool ok = e && X509_add_ext(cert, e, -1);

	X509_EXTENSION_free(e);
	return ok ? 0 : -ENOMEM;
}

/* A certificate of version 3 with subject, key and dates; not signed. NULL on failure. */
static X509 *certificate(const char *subject, EVP_PKEY *key)
{
	X509 *cert = X509_new();

	if (!cert)
		return NULL;
	if (!X509_set_version(cert, 2) || set_serial(cert) < 0 ||
	    !X509_gmtime_adj(X509_getm_notBefore(cert), -GATE_CERT_BACKDATE_SEC) ||
	    !X509_gmtime_adj(X509_getm_notAfter(cert), GATE_CERT_DAYS * 24L * 60 * 60) ||
	    set_name(X509_get_subject_name(cert), subject) < 0 || !X509_set_pubkey(cert, key)) {
		X509_free(cert);
		return NULL;
	}
	return cert;
}

static int put_address(struct buf *b, const struct address *a)
{
	char text[INET6_ADDRSTRLEN];
	const void *p = a->sa.ss_family == AF_INET
				? (const void *)&((const struct sockaddr_in *)&a->sa)->sin_addr
				: (const void *)&((const struct sockaddr_in6 *)&a->sa)->sin6_addr;

	if (!inet_ntop(a->sa.ss_family, p, text, sizeof(text)))
		return -errno;
	return buf_printf(b, ",IP:%s", text);
}

/* A host is a name or a literal address; anything else would be read as more than one entry. */
static int put_host(struct buf *b, const char *host)
{
	struct in6_addr addr;

	if (inet_pton(AF_INET, host, &addr) == 1 || inet_pton(AF_INET6, host, &addr) == 1)
		return buf_printf(b, ",IP:%s", host);
	if (strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") !=
	    strlen(host))
		return 0;
	return *host ? buf_printf(b, ",DNS:%s", host) : 0;
}

static int names_of(const struct gate_config *c, struct buf *b)
{
	int r = buf_printf(b, "DNS:localhost,IP:127.0.0.1,IP:::1");

	for (size_t i = 0; i < c->n_endpoints && r == 0; i++) {
		const struct endpoint_config *e = &c->endpoints[i];

		r = buf_printf(b, ",DNS:%s", e->name);
		if (r == 0)
			r = put_host(b, e->host);
		for (size_t j = 0; j < e->n_addresses && r == 0; j++)
			r = put_address(b, &e->addresses[j]);
	}
	return r == 0 ? buf_put_u8(b, 0) : r;
}

static int make_ca(EVP_PKEY *key, X509 **ret)
{
	X509 *ca = certificate("Pinfold session CA", key);

	if (!ca)
		return -ENOMEM;
	if (set_name(X509_get_issuer_name(ca), "Pinfold session CA") < 0 ||
	    add_extension(ca, ca, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") < 0 ||
	    add_extension(ca, ca, NID_key_usage, "critical,keyCertSign") < 0 ||
	    add_extension(ca, ca, NID_subject_key_identifier, "hash") < 0 ||
	    !X509_sign(ca, key, EVP_sha256())) {
		X509_free(ca);
		return -ENOMEM;
	}
	*ret = ca;
	return 0;
}

static int make_leaf(const struct gate_config *c, X509 *ca, EVP_PKEY *ca_key, EVP_PKEY *key,
		     X509 **ret)
{
	__cleanup_buf struct buf names = BUF_INIT(0);
	int r = names_of(c, &names);

	if (r < 0)
		return r;
	X509 *leaf = certificate("pinfold-gate", key);

	if (!leaf)
		return -ENOMEM;
	if (!X509_set_issuer_name(leaf, X509_get_subject_name(ca)) ||
	    add_extension(leaf, ca, NID_basic_constraints, "critical,CA:FALSE") < 0 ||
	    add_extension(leaf, ca, NID_ext_key_usage, "serverAuth") < 0 ||
	    add_extension(leaf, ca, NID_subject_alt_name, (char *)buf_ptr(&names)) < 0 ||
	    !X509_sign(leaf, ca_key, EVP_sha256())) {
		X509_free(leaf);
		return -ENOMEM;
	}
	*ret = leaf;
	return 0;
}

static int pem_of(X509 *cert, char **ret)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *p = NULL;
	int r = -ENOMEM;

	if (bio && PEM_write_bio_X509(bio, cert)) {
		long len = BIO_get_mem_data(bio, &p);

		*ret = len > 0 ? strndup(p, (size_t)len) : NULL;
		r = *ret ? 0 : -ENOMEM;
	}
	BIO_free(bio);
	return r;
}

/* A client that offers protocols must offer ours. */
static int choose_protocol(SSL *ssl, const uint8_t **out, uint8_t *out_len, const uint8_t *in,
			   unsigned int in_len, void *arg)
{
	static const uint8_t ours[] = "\x0a" ALPN_NAME;

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto((uint8_t **)out, out_len, ours, sizeof(ours) - 1, in, in_len) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *context(const SSL_METHOD *method)
{
	SSL_CTX *ctx = SSL_CTX_new(method);

	if (!ctx)
		return NULL;
	/* Output lies in a buffer that moves and is written as far as it goes. */
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_options(ctx,
			    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	if (!SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION)) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

static int server_context(X509 *leaf, EVP_PKEY *key, SSL_CTX **ret)
{
	SSL_CTX *ctx = context(TLS_server_method());

	if (!ctx)
		return -ENOMEM;
	SSL_CTX_set_num_tickets(ctx, 0);
	SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
	if (SSL_CTX_use_certificate(ctx, leaf) != 1 || SSL_CTX_use_PrivateKey(ctx, key) != 1) {
		SSL_CTX_free(ctx);
		return -EIO;
	}
	*ret = ctx;
	return 0;
}

int tls_server_make(struct tls_server *t, const struct gate_config *c)
{
	EVP_PKEY *ca_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
	X509 *ca = NULL, *leaf = NULL;
	int r = ca_key && key ? make_ca(ca_key, &ca) : -ENOMEM;

	memset(t, 0, sizeof(*t));
	if (r == 0)
		r = make_leaf(c, ca, ca_key, key, &leaf);
	if (r == 0)
		r = pem_of(ca, &t->ca_pem);
	if (r == 0)
		r = server_context(leaf, key, &t->ctx);
	if (r < 0)
		tls_server_free(t);
	X509_free(ca);
	X509_free(leaf);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(key);
	return r;
}

void tls_server_free(struct tls_server *t)
{
	SSL_CTX_free(t->ctx);
	free(t->ca_pem);
	memset(t, 0, sizeof(*t));
}

bool tls_is_postgres(const SSL *ssl)
{
	const uint8_t *name = NULL;
	unsigned int len = 0;

	SSL_get0_alpn_selected(ssl, &name, &len);
	return len == strlen(ALPN_NAME) && memcmp(name, ALPN_NAME, len) == 0;
}

/* Every certificate in pem becomes a trust anchor: the number of them. */
static int trust(SSL_CTX *ctx, const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *cert;
	int n = 0;

	while (bio && (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		n += X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), cert);
		X509_free(cert);
	}
	BIO_free(bio);
	ERR_clear_error(); /* the end of the text is an error for PEM_read */
	return n;
}

int tls_client_make(const struct endpoint_config *e, SSL_CTX **ret, const char **why)
{
	SSL_CTX *ctx = context(TLS_client_method());

	if (!ctx)
		return -ENOMEM;
	*why = "no certificate in ca_pem";
	bool ok =
		e->ca_pem ? trust(ctx, e->ca_pem) > 0 : SSL_CTX_set_default_verify_paths(ctx) == 1;

	if (!ok && e->tls == TLS_VERIFY_FULL) {
		SSL_CTX_free(ctx);
		return -EINVAL;
	}
	SSL_CTX_set_verify(ctx, e->tls == TLS_VERIFY_FULL ? SSL_VERIFY_PEER : SSL_VERIFY_NONE,
			   NULL);
	*ret = ctx;
	return 0;
}

int tls_client_expect(SSL *ssl, const struct endpoint_config *e)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	struct in6_addr addr;

	if (inet_pton(AF_INET, e->host, &addr) == 1 || inet_pton(AF_INET6, e->host, &addr) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(param, e->host) ? 0 : -ENOMEM;
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (!X509_VERIFY_PARAM_set1_host(param, e->host, 0) ||
	    !SSL_set_tlsext_host_name(ssl, e->host))
		return -ENOMEM;
	return 0;
}

const char *tls_failure(const SSL *ssl)
{
	long result = SSL_get_verify_result(ssl);

	return result == X509_V_OK ? "TLS handshake failed" : X509_verify_cert_error_string(result);
}
