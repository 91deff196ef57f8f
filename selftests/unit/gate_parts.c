/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parts of the gate that need no loop: SipHash against published vectors, SCRAM's refusals, the
 * verdict cache's bounds, names, the start-up message, JSON text.
 */
#include <setjmp.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gate/config.h"
#include "gate/conn.h"
#include "gate/names.h"
#include "gate/record.h"
#include "gate/scram.h"
#include "gate/siphash.h"
#include "gate/verdict.h"

/* The authors' vectors: key 00..0f, input 00..(n-1). */
static void siphash_vectors(void **state)
{
	static const struct {
		size_t n;
		uint64_t a, b;
	} v[] = {
		{0, 0xe6a825ba047f81a3ULL, 0x930255c71472f66dULL},
		{1, 0x44af996bd8c187daULL, 0x45fc229b11597634ULL},
	};
	uint64_t key[2];
	uint8_t bytes[64];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	memcpy(key, bytes, sizeof(key));
	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		struct hash128 h = siphash128(key, bytes, v[i].n);

		assert_true(h.a == v[i].a && h.b == v[i].b);
	}
	/* Every bit of the input counts, also in the tail. */
	for (size_t n = 1; n < 24; n++) {
		struct hash128 h = siphash128(key, bytes, n);

		bytes[n - 1] ^= 0x80;
		struct hash128 other = siphash128(key, bytes, n);

		assert_true(h.a != other.a && h.b != other.b);
		bytes[n - 1] ^= 0x80;
	}
}

static void scram_refuses(void **state)
{
	struct scram s = {0};
	char out[SCRAM_TEXT], text[SCRAM_TEXT];
	static const char *const tails[] = {
		"x,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4095",
		"x,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=600001",
		"x,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=",
		"x,s=W22ZaJ0SNY7soEsUEjb6gQ==",
		"x,s=W22ZaJ0SNY7soEsUEjb6gQ=,i=4096",
		"x,s=,i=4096",
		",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
		"x,i=4096,s=W22ZaJ0SNY7soEsUEjb6gQ==",
		"x,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096000000",
	};

	(void)state;
	assert_int_equal(scram_first(&s, out), 0);
	for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
		snprintf(text, sizeof(text), "r=%s%s", s.nonce, tails[i]);
		assert_int_equal(scram_final(&s, "p", text, strlen(text), out), -EPROTO);
	}
	snprintf(text, sizeof(text), "r=%sx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", s.nonce);
	assert_int_equal(scram_final(&s, "p", text, strlen(text), out), 0);
	assert_int_equal(scram_verify(&s, "v=", 2), -EPROTO);
	assert_int_equal(scram_verify(&s, "e=other-error", 13), -EPROTO);
}

static void md5(void **state)
{
	static const uint8_t salt[4] = {1, 2, 3, 4};
	char out[36];

	(void)state;
	/* md5(md5("secret" "alice") "\1\2\3\4"), made with md5sum */
	assert_int_equal(md5_response("alice", "secret", salt, out), 0);
	assert_string_equal(out, "md598a0412b9c31436fc53776e863350083");
}

static struct verdict *verdict_of(const char *text)
{
	struct verdict *v = verdict_new(text, strlen(text));

	assert_non_null(v);
	v->decided = true;
	return v;
}

static void cache_exact(void **state)
{
	struct vcache *c = vcache_new(1 << 20);
	struct verdict *v = verdict_of("SELECT 1");

	(void)state;
	vcache_add(c, v);
	assert_ptr_equal(vcache_find(c, "SELECT 1", 8), v);
	assert_null(vcache_find(c, "SELECT 2", 8));
	assert_null(vcache_find(c, "SELECT 1 ", 9));
	assert_null(vcache_find(c, "SELECT ", 7));
	verdict_unref(v);
	v = verdict_of("undecided");
	v->decided = false;
	vcache_add(c, v);
	assert_null(vcache_find(c, "undecided", 9));
	verdict_unref(v);
	vcache_free(c);
}

static void cache_bounded(void **state)
{
	struct vcache *c = vcache_new(64 * 1024);
	struct verdict *used = verdict_of("used");
	char text[32];

	(void)state;
	vcache_add(c, used);
	for (int i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "unique %d", i);
		struct verdict *v = verdict_of(text);

		vcache_add(c, v);
		verdict_unref(v);
		assert_true(vcache_bytes(c) <= 64 * 1024);
		/* What is in use survives a flood of what is not. */
		assert_ptr_equal(vcache_find(c, "used", 4), used);
	}
	verdict_unref(used);
	vcache_free(c);
}

static void cache_text_limit(void **state)
{
	static char text[GATE_CACHE_TEXT_MAX + 1];
	struct vcache *c = vcache_new(1 << 20);

	(void)state;
	memset(text, 'x', sizeof(text));
	for (size_t len = GATE_CACHE_TEXT_MAX; len <= GATE_CACHE_TEXT_MAX + 1; len++) {
		struct verdict *v = verdict_new(text, len);

		v->decided = true;
		vcache_add(c, v);
		assert_int_equal(vcache_find(c, text, len) != NULL, len <= GATE_CACHE_TEXT_MAX);
		verdict_unref(v);
	}
	vcache_free(c);
}

static void names_settled(void **state)
{
	struct pg_text a = {.p = "a", .len = 1};
	struct verdict *v = verdict_of("SELECT 1");
	struct names n;
	struct name *first, *second;

	(void)state;
	names_init(&n, 2, 's');
	assert_int_equal(names_add(&n, a, v, NULL, &first), 0);
	assert_string_equal(first->upstream, "pf:s1");
	assert_int_equal(names_add(&n, a, v, NULL, &second), -EEXIST);
	first->state = NAME_CLOSING;
	assert_null(names_find(&n, a));
	assert_int_equal(names_add(&n, a, v, NULL, &second), 0);
	assert_string_equal(second->upstream, "pf:s2");
	/* The batch failed: the old one is back. */
	names_settle(&n);
	assert_ptr_equal(names_find(&n, a), first);
	assert_int_equal(n.n, 1);
	assert_int_equal(first->state, NAME_LIVE);
	names_clear(&n);
	assert_int_equal(n.n, 0);
	verdict_unref(v);
}

static void json_text(void **state)
{
	static const struct {
		const char *in;
		size_t len, max;
		const char *out;
	} cases[] = {
		{"plain", 5, 256, "plain"},
		{"a\"b\\c", 5, 256, "a\\\"b\\\\c"},
		{"\n\t\x7f\x01", 4, 256, "\\u000a\\u0009\\u007f\\u0001"},
		{"\0x", 2, 256, "\\u0000x"},
		{"\xc3\xa9", 2, 256, "\xc3\xa9"},
		{"\xc3\xa9", 2, 1, ""},
		{"\xc2\x9b"
		 "1m\xe2\x80\xae\xef\xbb\xbf",
		 10, 256, "\\u009b1m\\u202e\\ufeff"},
		{"\xff\xfe", 2, 256, "\\\\xff\\\\xfe"},
		{"\xed\xa0\x80", 3, 256, "\\\\xed\\\\xa0\\\\x80"},
		{"\xc0\xaf", 2, 256, "\\\\xc0\\\\xaf"},
		{"\xf4\x90\x80\x80", 4, 256, "\\\\xf4\\\\x90\\\\x80\\\\x80"},
		{"abcdef", 6, 3, "abc"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		__cleanup_buf struct buf b = BUF_INIT(0);

		assert_int_equal(json_put_text(&b, cases[i].in, cases[i].len, cases[i].max), 0);
		assert_int_equal(buf_put_u8(&b, 0), 0);
		assert_string_equal((char *)buf_ptr(&b), cases[i].out);
	}
}

#define GOOD_ENDPOINT                                                                              \
	"\"name\":\"orders\",\"id\":0,\"type\":\"postgres\",\"listener\":0,"                       \
	"\"addresses\":[{\"ip\":\"10.0.0.5\",\"port\":5432},{\"ip\":\"fd00::1\",\"port\":1}],"     \
	"\"host\":\"db\",\"database\":\"d\",\"user\":\"u\",\"password\":\"p\","                    \
	"\"tls\":\"verify-full\",\"ca_pem\":null"

static void config_good(void **state)
{
	static const char text[] = "{\"session\":\"abcd2345\",\"limits\":{\"clients\":7},"
				   "\"endpoints\":[{" GOOD_ENDPOINT "}]}";
	struct gate_config c;
	const char *why;

	(void)state;
	assert_int_equal(config_parse(text, strlen(text), 1, &c, &why), 0);
	assert_int_equal(c.n_endpoints, 1);
	assert_int_equal(c.clients_max, 7);
	assert_int_equal(c.endpoints[0].n_addresses, 2);
	assert_int_equal(c.endpoints[0].tls, TLS_VERIFY_FULL);
	assert_string_equal(c.endpoints[0].password, "p");
	config_free(&c);
}

static void config_bad(void **state)
{
	static const char *const texts[] = {
		"",
		"[]",
		"{}",
		"{\"session\":\"a b\",\"endpoints\":[]}",
		"{\"session\":\"a\",\"session\":\"b\",\"endpoints\":[]}",
		"{\"session\":\"a\",\"endpoints\":{}}",
		"{\"session\":\"a\",\"limits\":{\"clients\":0},\"endpoints\":[]}",
		"{\"session\":\"a\",\"limits\":{\"clients\":1025},\"endpoints\":[]}",
		"{\"session\":\"a\",\"endpoints\":[{}]}",
		"{\"session\":\"a\",\"endpoints\":[{\"name\":\"x\",\"type\":\"mysql\"}]}",
	};
	struct gate_config c;
	const char *why;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assert_int_equal(config_parse(texts[i], strlen(texts[i]), 1, &c, &why), -EINVAL);
	/* A listener that was not sent. */
	static const char text[] = "{\"session\":\"a\",\"endpoints\":[{" GOOD_ENDPOINT "}]}";

	assert_int_equal(config_parse(text, strlen(text), 0, &c, &why), -EINVAL);
}

/*
 * What the classifier allows is either carried out by the gate or sent on: no kind is refused
 * behind the classifier's back, so its verdict is the gate's.
 */
static void kinds_have_a_road(void **state)
{
	struct verdict *v = verdict_of("");

	(void)state;
	assert_false(tx_is_local(v) || tx_is_forward(v));
	for (unsigned int kind = SQL_KIND_NONE + 1; kind < SQL_KIND_COUNT; kind++) {
		v->result.kind = (uint8_t)kind;
		assert_int_equal(tx_is_local(v) + tx_is_forward(v), 1);
	}
	verdict_unref(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(siphash_vectors),
		cmocka_unit_test(scram_refuses),
		cmocka_unit_test(md5),
		cmocka_unit_test(cache_exact),
		cmocka_unit_test(cache_bounded),
		cmocka_unit_test(cache_text_limit),
		cmocka_unit_test(names_settled),
		cmocka_unit_test(json_text),
		cmocka_unit_test(config_good),
		cmocka_unit_test(config_bad),
		cmocka_unit_test(kinds_have_a_road),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
