/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy texts: what is accepted, and each error at its line and column. A row of the table changes
 * one thing of a text that is valid as it stands, so the error is that change's.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "policy/policy.h"

static const char valid[] =
	"pinfold: 1\n"
	"name: analyst\n"
	"databases:\n"
	"  - name: [orders, db.internal, 10.0.0.5, 'fd00::5']\n"
	"    type: postgres\n"
	"    address: db.internal:5432\n"
	"    database: orders\n"
	"    user: readonly_user\n"
	"    password: { file: /etc/pinfold/orders.pw }\n"
	"    tls: verify-full\n"
	"files:\n"
	"  read:  [ / ]\n"
	"  write: [ /workspace ]\n"
	"  deny:  [ /workspace/.git/hooks ]\n"
	"exec:\n"
	"  allow: [ /usr, /bin ]\n"
	"network:\n"
	"  mode: none\n"
	"limits: { time: 1h, cpu: 0.5, memory: 2Gi, processes: 64, files: 99, disk: 7Mi }\n"
	"violations: { threshold: 20, action: kill }\n"
	"unattended: stop\n";

static int parse(const char *text, struct policy **p, struct policy_err *err)
{
	memset(err, 0, sizeof(*err));
	*p = NULL;
	return policy_parse(text, strlen(text), p, err);
}

/* valid with the first occurrence of from made to; owned by the caller. */
static char *changed(const char *from, const char *to)
{
	const char *at = strstr(valid, from);
	char *text = NULL;

	assert_non_null(at);
	assert_true(asprintf(&text, "%.*s%s%s", (int)(at - valid), valid, to, at + strlen(from)) >
		    0);
	return text;
}

static void test_valid(void **state)
{
	__cleanup_policy struct policy *p = NULL;
	struct policy_err err;

	(void)state;
	if (parse(valid, &p, &err) < 0)
		fail_msg("%u:%u: %s", err.line, err.column, err.text);
	assert_string_equal(p->name.text, "analyst");
	assert_int_equal(p->n_dbs, 1);
	assert_int_equal(p->dbs[0].names.n, 4);
	assert_string_equal(p->dbs[0].names.items[3].text, "fd00::5");
	assert_string_equal(p->dbs[0].host, "db.internal");
	assert_int_equal(p->dbs[0].port, 5432);
	assert_int_equal(p->dbs[0].password.from, POLICY_SECRET_FILE);
	assert_string_equal(p->dbs[0].password.value.text, "/etc/pinfold/orders.pw");
	assert_int_equal(p->dbs[0].tls, POLICY_TLS_VERIFY_FULL);
	assert_int_equal(p->dbs[0].address.mark.line, 6);
	assert_int_equal(p->dbs[0].address.mark.column, 14);
	assert_string_equal(p->write.items[0].text, "/workspace");
	assert_int_equal(p->write.items[0].mark.line, 13);
	assert_int_equal(p->write.items[0].mark.column, 12);
	assert_true(p->exec.given);
	assert_int_equal(p->network, POLICY_NET_NONE);
	assert_int_equal(p->limits.time_ms, 3600000);
	assert_int_equal(p->limits.cpu_milli, 500);
	assert_int_equal(p->limits.memory_bytes, 2ull << 30);
	assert_int_equal(p->limits.processes, 64);
	assert_int_equal(p->limits.files, 99);
	assert_int_equal(p->limits.disk_bytes, 7ull << 20);
	assert_int_equal(p->violations.threshold, 20);
	assert_int_equal(p->violations.action, POLICY_ACTION_KILL);
	assert_int_equal(p->unattended, POLICY_UNATTENDED_STOP);
}

static void test_defaults(void **state)
{
	__cleanup_policy struct policy *p = NULL;
	struct policy_err err;

	(void)state;
	assert_int_equal(parse("pinfold: 1\nname: x\n", &p, &err), 0);
	assert_int_equal(p->n_dbs, 0);
	assert_false(p->read.given);
	assert_false(p->exec.given);
	assert_int_equal(p->network, POLICY_NET_NONE);
	assert_int_equal(p->limits.time_ms, 0);
	assert_int_equal(p->limits.cpu_milli, 2000);
	assert_int_equal(p->limits.memory_bytes, 2ull << 30);
	assert_int_equal(p->limits.processes, 512);
	assert_int_equal(p->violations.threshold, 0);
	assert_int_equal(p->violations.action, POLICY_ACTION_RECORD);
	assert_int_equal(p->unattended, POLICY_UNATTENDED_NO_CONNECTIONS);
	assert_int_equal(policy_check_untrusted(p, &err), 0);
}

static void test_untrusted_database(void **state)
{
	__cleanup_policy struct policy *p = NULL;
	struct policy_err err;

	(void)state;
	assert_int_equal(parse(valid, &p, &err), 0);
	assert_int_equal(policy_check_untrusted(p, &err), -EPERM);
	assert_int_equal(err.code, POLICY_E_UNTRUSTED);
	assert_int_equal(err.line, 6);
	assert_int_equal(err.column, 14);
	assert_non_null(strstr(err.text, "/etc/pinfold/policies.d"));
}

struct bad {
	const char *from, *to;
	unsigned line, column;
	int code;
	const char *says; /* part of the text */
};

static const struct bad bads[] = {
	/* keys */
	{"name: analyst", "nmae: analyst", 2, 1, POLICY_E_KEY, "allowed are pinfold, name"},
	{"    user:", "    usr:", 8, 5, POLICY_E_KEY, "allowed are name, type"},
	{"{ file: /", "{ fil: /", 9, 17, POLICY_E_KEY, "file, env, systemd"},
	{"  read:", "  raed:", 12, 3, POLICY_E_KEY, "read, write, deny"},
	{"  allow:", "  deny:", 16, 3, POLICY_E_KEY, "allowed are allow"},
	{"  mode:", "  mod:", 18, 3, POLICY_E_KEY, "allowed are mode"},
	{"cpu:", "cpus:", 19, 21, POLICY_E_KEY, "time, cpu, memory"},
	{"unattended:", "unatended:", 21, 1, POLICY_E_KEY, "violations, unattended"},
	{"action:", "actoin:", 20, 30, POLICY_E_KEY, "threshold, action"},
	{"name: analyst", "name: a\nname: b", 3, 1, POLICY_E_KEY, "first is on line 2"},
	{"    tls:", "    user: b\n    tls:", 10, 5, POLICY_E_KEY, "first is on line 8"},
	{"  deny:", "  read:", 14, 3, POLICY_E_KEY, "occurs twice"},
	{"cpu: 0.5", "time: 1h", 19, 21, POLICY_E_KEY, "occurs twice"},
	{"[ /usr, /bin ]", "[ { a: 1, a: 2 } ]", 16, 20, POLICY_E_KEY, "occurs twice"},
	{"name: analyst", "? [a]\n: b", 2, 3, POLICY_E_TYPE, "a key must be a word"},
	/* missing */
	{"pinfold: 1\n", "", 1, 1, POLICY_E_MISSING, "\"pinfold\""},
	{"name: analyst\n", "", 1, 1, POLICY_E_MISSING, "\"name\""},
	{"    address: db.internal:5432\n", "", 4, 5, POLICY_E_MISSING, "\"address\""},
	{"    user: readonly_user\n", "", 4, 5, POLICY_E_MISSING, "\"user\""},
	{"threshold: 20, ", "", 20, 13, POLICY_E_MISSING, "\"threshold\""},
	/* types */
	{"name: analyst", "name: [a]", 2, 7, POLICY_E_TYPE, "a single value, not a list"},
	{"[ /workspace ]", "/workspace", 13, 10, POLICY_E_TYPE, "list of paths"},
	{"[ /workspace ]", "[ [ /workspace ] ]", 13, 12, POLICY_E_TYPE, "a single value"},
	{"{ file: /etc/pinfold/orders.pw }", "hunter2", 9, 15, POLICY_E_TYPE, "file: PATH"},
	{"  mode: none", "  - none", 18, 3, POLICY_E_TYPE, "network must be a map"},
	{"tls: verify-full", "tls:", 10, 9, POLICY_E_VALUE, "has no value"},
	/* values */
	{"unattended: stop", "unattended: no", 21, 13, POLICY_E_VALUE, "no-connections"},
	{"pinfold: 1", "pinfold: 2", 1, 10, POLICY_E_VALUE, "only 1"},
	{"name: analyst", "name: An", 2, 7, POLICY_E_VALUE, "a-z 0-9"},
	{"name: analyst", "name: ../x", 2, 7, POLICY_E_VALUE, "a letter or digit first"},
	{"[orders,", "[10.0.0.9,", 4, 12, POLICY_E_VALUE, "host name"},
	{"10.0.0.5", "localhost", 4, 33, POLICY_E_VALUE, "loopback"},
	{"10.0.0.5", "127.1.2.3", 4, 33, POLICY_E_VALUE, "loopback"},
	{"10.0.0.5", "10.0.0", 4, 33, POLICY_E_VALUE, "host name"},
	{"10.0.0.5", "orders", 4, 33, POLICY_E_VALUE, "is taken: see line 4"},
	{"[orders, db.internal, 10.0.0.5, 'fd00::5']", "[]", 4, 11, POLICY_E_MISSING, "name"},
	{"internal:5432", "internal:0", 6, 14, POLICY_E_VALUE, "1 to 65535"},
	{"internal:5432", "internal:65536", 6, 14, POLICY_E_VALUE, "1 to 65535"},
	{"internal:5432", "internal:x", 6, 14, POLICY_E_VALUE, "HOST:PORT"},
	{"address: db.internal:5432", "address: fd00::1", 6, 14, POLICY_E_VALUE, "[IPV6]:PORT"},
	{"address: db.internal:5432", "address: '[fd00::1'", 6, 14, POLICY_E_VALUE, "[IPV6]"},
	{"address: db.internal:5432", "address: 169.254.169.254", 6, 14, POLICY_E_VALUE,
	 "link-local"},
	{"address: db.internal:5432", "address: '[::ffff:169.254.0.1]'", 6, 14, POLICY_E_VALUE,
	 "link-local"},
	{"address: db.internal:5432", "address: 0.0.0.0", 6, 14, POLICY_E_VALUE, "unspecified"},
	{"address: db.internal:5432", "address: DB.internal", 6, 14, POLICY_E_VALUE, "lower case"},
	{"address: db.internal:5432", "address: -a.b", 6, 14, POLICY_E_VALUE, "HOST"},
	{"type: postgres", "type: postgre", 5, 11, POLICY_E_VALUE, "postgres, mysql"},
	{"type: postgres", "type: mysql", 5, 11, POLICY_E_UNAVAILABLE, "only postgres"},
	{"{ file: /", "{ file: ", 9, 23, POLICY_E_VALUE, "begin with a slash"},
	{"{ file: /etc/pinfold/orders.pw }", "{ vault: x }", 9, 24, POLICY_E_UNAVAILABLE, "vault"},
	{"{ file: /etc/pinfold/orders.pw }", "{ env: A, file: /b }", 9, 25, POLICY_E_VALUE,
	 "exactly one"},
	{"{ file: /etc/pinfold/orders.pw }", "{}", 9, 15, POLICY_E_VALUE, "exactly one"},
	{"{ file: /etc/pinfold/orders.pw }", "{ systemd: a/b }", 9, 26, POLICY_E_VALUE, "a name"},
	{"tls: verify-full", "tls: verify", 10, 10, POLICY_E_VALUE, "verify-full, require, off"},
	{"tls: verify-full", "tls: off\n    ca: /ca", 11, 9, POLICY_E_VALUE, "ca has no meaning"},
	{"/workspace ]", "workspace ]", 13, 12, POLICY_E_VALUE, "begin with a slash"},
	{"/workspace ]", "/work/ ]", 13, 12, POLICY_E_VALUE, "end with a slash"},
	{"/workspace ]", "/a//b ]", 13, 12, POLICY_E_VALUE, "\"//\""},
	{"/workspace ]", "/a/../b ]", 13, 12, POLICY_E_VALUE, "\"..\""},
	{"/workspace ]", "/. ]", 13, 12, POLICY_E_VALUE, "\".\""},
	{"/workspace ]", "/ ]", 13, 12, POLICY_E_VALUE, "cannot be writable"},
	{"/workspace ]", "/proc/sys ]", 13, 12, POLICY_E_VALUE, "/proc"},
	{"/workspace ]", "/etc/pinfold/x ]", 13, 12, POLICY_E_VALUE, "never given"},
	{"[ / ]", "[ /etc/shadow ]", 12, 12, POLICY_E_VALUE, "never given"},
	{"/workspace/.git/hooks", "/", 14, 12, POLICY_E_VALUE, "leaves nothing"},
	{"mode: none", "mode: some", 18, 9, POLICY_E_VALUE, "none, host-only, limited, full"},
	{"mode: none", "mode: full", 18, 9, POLICY_E_UNAVAILABLE, "only none"},
	{"time: 1h", "time: 1", 19, 17, POLICY_E_VALUE, "ms, s, m, h, d"},
	{"time: 1h", "time: 1H", 19, 17, POLICY_E_VALUE, "as in 90m"},
	{"time: 1h", "time: -1h", 19, 17, POLICY_E_VALUE, "as in 90m"},
	{"time: 1h", "time: 999ms", 19, 17, POLICY_E_VALUE, "from 1s"},
	{"time: 1h", "time: 366d", 19, 17, POLICY_E_VALUE, "to 365d"},
	{"time: 1h", "time: 99999999999999999999h", 19, 17, POLICY_E_VALUE, "as in 90m"},
	{"cpu: 0.5", "cpu: .5", 19, 26, POLICY_E_VALUE, "three decimals"},
	{"cpu: 0.5", "cpu: 0.5000", 19, 26, POLICY_E_VALUE, "three decimals"},
	{"cpu: 0.5", "cpu: 0", 19, 26, POLICY_E_VALUE, "from 0.01"},
	{"cpu: 0.5", "cpu: 1024.001", 19, 26, POLICY_E_VALUE, "to 1024"},
	{"memory: 2Gi", "memory: 2GB", 19, 39, POLICY_E_VALUE, "Ki, Mi, Gi, Ti"},
	{"memory: 2Gi", "memory: 16383Ki", 19, 39, POLICY_E_VALUE, "from 16Mi"},
	{"memory: 2Gi", "memory: 65Ti", 19, 39, POLICY_E_VALUE, "to 64Ti"},
	{"memory: 2Gi", "memory: 2 Gi", 19, 39, POLICY_E_VALUE, "Ki, Mi, Gi, Ti"},
	{"processes: 64", "processes: 3", 19, 55, POLICY_E_VALUE, "from 4 to"},
	{"processes: 64", "processes: many", 19, 55, POLICY_E_VALUE, "from 4 to"},
	{"files: 99", "files: 1048577", 19, 66, POLICY_E_VALUE, "to 1048576"},
	{"disk: 7Mi", "disk: 1023Ki", 19, 76, POLICY_E_VALUE, "from 1Mi"},
	{"threshold: 20", "threshold: 0", 20, 26, POLICY_E_VALUE, "from 1"},
	{"action: kill", "action: stop", 20, 38, POLICY_E_VALUE, "record, freeze, kill"},
	/* YAML that a policy may not use */
	{"name: analyst", "name: &a analyst", 2, 7, POLICY_E_SYNTAX, "anchors"},
	{"[ /workspace ]", "&a [ /workspace ]", 13, 10, POLICY_E_SYNTAX, "anchors"},
	{"name: analyst", "name: *a", 2, 7, POLICY_E_SYNTAX, "aliases"},
	{"name: analyst", "name: !!str analyst", 2, 7, POLICY_E_SYNTAX, "tags"},
	{"name: analyst", "name: \"a\\tb\"", 2, 7, POLICY_E_SYNTAX, "control characters"},
	{"name: analyst", "name: \"a\\0b\"", 2, 7, POLICY_E_SYNTAX, "control characters"},
	{"name: analyst", "name: a\001", 2, 8, POLICY_E_SYNTAX, "U+0001"},
	{"name: analyst", "name: \xc3\xa4\xff", 2, 8, POLICY_E_SYNTAX, "0xff is not UTF-8"},
	{"name: analyst", "name: \xed\xa0\x80", 2, 7, POLICY_E_SYNTAX, "not UTF-8"},
	{"name: analyst", "name: \xe2\x80\xae", 2, 7, POLICY_E_SYNTAX, "U+202E"},
	{"name: analyst", "name: a\rb", 2, 8, POLICY_E_SYNTAX, "carriage return"},
	{"name: analyst", "name: [a", 3, 10, POLICY_E_SYNTAX, "not valid YAML"},
	{"name: analyst", "name: a\n---\npinfold: 1", 3, 1, POLICY_E_SYNTAX, "second document"},
	{"pinfold: 1", "%TAG ! x\n---\npinfold: 1", 1, 1, POLICY_E_SYNTAX, "%TAG"},
	{"[ / ]", "[[[[[[[[ / ]]]]]]]]", 12, 16, POLICY_E_LIMIT, "too deep"},
};

static void test_errors(void **state)
{
	size_t wrong = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bads); i++) {
		const struct bad *b = &bads[i];
		__cleanup_free char *text = changed(b->from, b->to);
		struct policy *p;
		struct policy_err err;

		if (parse(text, &p, &err) == -EINVAL && !p && err.line == b->line &&
		    err.column == b->column && err.code == b->code && strstr(err.text, b->says))
			continue;
		print_error("\"%s\" -> \"%s\": %u:%u: [%d] %s\n", b->from, b->to, err.line,
			    err.column, err.code, err.text);
		policy_free(p);
		wrong++;
	}
	assert_int_equal(wrong, 0);
}

static void expect_error(const char *text, unsigned line, unsigned column, int code)
{
	struct policy *p;
	struct policy_err err;

	assert_int_equal(parse(text, &p, &err), -EINVAL);
	if (err.line != line || err.column != column || err.code != code)
		fail_msg("%.60s: %u:%u: [%d] %s", text, err.line, err.column, err.code, err.text);
}

static void test_no_policy_at_all(void **state)
{
	(void)state;
	expect_error("", 1, 1, POLICY_E_MISSING);
	expect_error("# nothing\n", 1, 1, POLICY_E_MISSING);
	expect_error("---\n", 2, 1, POLICY_E_TYPE);
	expect_error("[]\n", 1, 1, POLICY_E_TYPE);
	expect_error("pinfold\n", 1, 1, POLICY_E_TYPE);
}

/* A policy whose one list has n items of text; owned by the caller. */
static char *with_items(const char *before, const char *item, size_t n, const char *after)
{
	size_t room = strlen(before) + n * (strlen(item) + 1) + strlen(after) + 1;
	char *text = malloc(room), *at = text;

	assert_non_null(text);
	at += sprintf(at, "%s", before);
	for (size_t i = 0; i < n; i++)
		at += sprintf(at, "%s%s", i ? "," : "", item);
	(void)sprintf(at, "%s", after);
	return text;
}

static int code_of(const char *text)
{
	__cleanup_policy struct policy *p = NULL;
	struct policy_err err;

	return parse(text, &p, &err) == 0 ? 0 : err.code;
}

static void check_limit(const char *before, const char *item, size_t limit, const char *after)
{
	__cleanup_free char *at = with_items(before, item, limit, after);
	__cleanup_free char *over = with_items(before, item, limit + 1, after);

	assert_int_equal(code_of(at), 0);
	assert_int_equal(code_of(over), POLICY_E_LIMIT);
}

#define HEAD "pinfold: 1\nname: x\n"

static void test_limits_of_lists(void **state)
{
	static const char db[] = "{name: NAME, type: postgres, address: h, database: d, user: u}";
	char text[32768] = HEAD "databases: [", *at = text + strlen(text);

	(void)state;
	check_limit(HEAD "files: {write: [", "/a", POLICY_LIST_MAX, "]}");
	check_limit(HEAD "exec: {allow: [", "/a", POLICY_LIST_MAX, "]}");
	for (unsigned i = 0; i <= POLICY_DATABASES_MAX; i++) {
		at += sprintf(at, "{name: d%u%s,", i, strchr(db, ','));
		strcpy(at, "]");
		assert_int_equal(code_of(text), i < POLICY_DATABASES_MAX ? 0 : POLICY_E_LIMIT);
	}
}

static void test_limit_of_names(void **state)
{
	char text[2048] =
		HEAD "databases: [{type: postgres, address: h, database: d, user: u, name: [a";
	char *at = text + strlen(text);

	(void)state;
	for (unsigned i = 2; i <= POLICY_DB_NAMES_MAX + 1; i++) {
		at += sprintf(at, ",n%u", i);
		strcpy(at, "]}]");
		assert_int_equal(code_of(text), i <= POLICY_DB_NAMES_MAX ? 0 : POLICY_E_LIMIT);
	}
}

static void test_limits_of_lengths(void **state)
{
	static const char ident[] =
		HEAD "databases: [{name: n, type: postgres, address: h, user: u, "
		     "database: \"";

	(void)state;
	/* a path of 16 x 255 bytes and the rest; each component at its own limit */
	__cleanup_free char *component = with_items("", "a", 128, ""); /* a,a,...: 255 bytes */

	assert_int_equal(strlen(component), 255);
	for (size_t extra = 14; extra <= 15; extra++) {
		__cleanup_free char *text = NULL, *path = with_items("", "", 0, "");

		for (int i = 0; i < 15; i++) {
			char *longer = NULL;

			assert_true(asprintf(&longer, "%s/%s", path, component) > 0);
			free(path);
			path = longer;
		}
		assert_true(asprintf(&text, HEAD "files: {read: [\"%s/%.*s\"]}", path,
				     (int)(240 + extra), component) > 0);
		/* 15 * 256 + 1 + 254 = 4095 */
		assert_int_equal(code_of(text), extra == 14 ? 0 : POLICY_E_LIMIT);
	}
	/* "a,a,...": two bytes an item but the last */
	__cleanup_free char *at = with_items(ident, "a", (POLICY_IDENT_MAX + 1) / 2, "\"}]");
	__cleanup_free char *over = with_items(ident, "a", (POLICY_IDENT_MAX + 1) / 2, "b\"}]");

	assert_int_equal(code_of(at), 0);
	assert_int_equal(code_of(over), POLICY_E_LIMIT);
	assert_int_equal(code_of("pinfold: 1\nname: a234567890123456789012345678901\n"), 0);
	assert_int_equal(code_of("pinfold: 1\nname: a2345678901234567890123456789012\n"),
			 POLICY_E_VALUE);
}

static void test_limit_of_text(void **state)
{
	__cleanup_free char *text = malloc(POLICY_TEXT_MAX + 1);
	__cleanup_policy struct policy *p = NULL;
	struct policy_err err;
	size_t n = strlen(HEAD);

	(void)state;
	assert_non_null(text);
	memcpy(text, HEAD, n);
	memset(text + n, '\n', POLICY_TEXT_MAX + 1 - n);
	assert_int_equal(policy_parse(text, POLICY_TEXT_MAX, &p, &err), 0);
	struct policy *q = NULL;

	assert_int_equal(policy_parse(text, POLICY_TEXT_MAX + 1, &q, &err), -EINVAL);
	assert_int_equal(err.code, POLICY_E_LIMIT);
}

/* Cut off anywhere a policy is in error, or says less; never more than the whole. */
static void test_every_truncation(void **state)
{
	(void)state;
	for (size_t len = 0; len < strlen(valid); len++) {
		__cleanup_free char *exact = malloc(len ? len : 1);
		__cleanup_policy struct policy *p = NULL;
		struct policy_err err = {0};

		assert_non_null(exact);
		memcpy(exact, valid, len);
		int r = policy_parse(exact, len, &p, &err);

		if (r == 0)
			assert_true(p->n_dbs <= 1 && p->write.n <= 1);
		else
			assert_true(err.code != 0 && err.text[0]);
	}
}

/* Each byte made another: the parser ends and says something. */
static void test_every_byte_changed(void **state)
{
	static const char others[] = "\0\n\t :-[]{},&*!|>'\"%@`#?\x80\xff";
	char text[sizeof(valid)];

	(void)state;
	for (size_t i = 0; i < strlen(valid); i++)
		for (size_t j = 0; j < sizeof(others); j++) {
			__cleanup_policy struct policy *p = NULL;
			struct policy_err err = {0};

			memcpy(text, valid, sizeof(valid));
			text[i] = others[j];
			if (policy_parse(text, strlen(valid), &p, &err) < 0)
				assert_true(err.code != 0 && err.text[0]);
		}
}

static void test_error_texts_are_printable(void **state)
{
	struct policy *p;
	struct policy_err err;

	(void)state;
	assert_int_equal(parse(HEAD "\"k\xc3\xa9y with a very long name that goes on and on, past "
				    "what an error repeats of it\": 1\n",
			       &p, &err),
			 -EINVAL);
	assert_non_null(strstr(err.text, "k\xc3\xa9y"));
	assert_non_null(strstr(err.text, "...\""));
}

/* Each thing that a live session keeps, and where the error points; and what may change. */
static void test_change(void **state)
{
	static const struct {
		const char *from, *to, *word;
		unsigned line;
	} fixed[] = {
		{"10.0.0.5", "10.0.0.6", "name", 4},
		{"db.internal:5432", "db2.internal:5432", "address", 4},
		{"db.internal:5432", "db.internal:5433", "address", 4},
		{"database: orders", "database: other", "database", 4},
		{"readonly_user", "other_user", "user", 4},
		{"orders.pw", "other.pw", "password", 4},
		{"{ file: /etc/pinfold/orders.pw }", "{ env: ORDERS }", "password", 4},
		{"verify-full", "require", "tls", 4},
		{"verify-full", "verify-full\n    ca: /etc/ca.pem", "ca", 4},
		{"time: 1h", "time: 2h", "time", 19},
		{"cpu: 0.5", "cpu: 1", "cpu", 19},
		{"memory: 2Gi", "memory: 3Gi", "memory", 19},
		{"processes: 64", "processes: 65", "processes", 19},
		{"files: 99", "files: 98", "files", 19},
		{"disk: 7Mi", "disk: 8Mi", "disk", 19},
	};
	static const char *const free_to_change[][2] = {
		{"name: analyst", "name: other"},   {"[ / ]", "[ /usr ]"},
		{"[ /workspace ]", "[ ]"},	    {"/workspace/.git/hooks", "/etc"},
		{"[ /usr, /bin ]", "[ /usr ]"},	    {"threshold: 20", "threshold: 1"},
		{"action: kill", "action: freeze"}, {"unattended: stop", "unattended: allow"},
	};
	__cleanup_policy struct policy *old = NULL;
	struct policy_err err;

	(void)state;
	assert_int_equal(parse(valid, &old, &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
		__cleanup_free char *text = changed(fixed[i].from, fixed[i].to);
		__cleanup_policy struct policy *new = NULL;

		assert_int_equal(parse(text, &new, &err), 0);
		assert_int_equal(policy_check_change(old, new, &err), -EINVAL);
		assert_non_null(strstr(err.text, fixed[i].word));
		assert_non_null(strstr(err.text, "start a new session"));
		assert_int_equal(err.code, POLICY_E_CHANGE);
		assert_int_equal(err.line, fixed[i].line);
		assert_int_equal(policy_check_change(new, old, &err), -EINVAL);
	}
	for (size_t i = 0; i < ARRAY_LEN(free_to_change); i++) {
		__cleanup_free char *text = changed(free_to_change[i][0], free_to_change[i][1]);
		__cleanup_policy struct policy *new = NULL;

		assert_int_equal(parse(text, &new, &err), 0);
		assert_int_equal(policy_check_change(old, new, &err), 0);
	}
}

static void test_change_of_number(void **state)
{
	__cleanup_policy struct policy *with = NULL, *without = NULL;
	struct policy_err err;

	(void)state;
	assert_int_equal(
		parse("pinfold: 1\nname: a\ndatabases:\n  - { name: orders, type: postgres, "
		      "address: h, database: d, user: u }\n",
		      &with, &err),
		0);
	assert_int_equal(parse("pinfold: 1\nname: a\n", &without, &err), 0);
	assert_int_equal(policy_check_change(without, with, &err), -EINVAL);
	assert_non_null(strstr(err.text, "orders is new"));
	assert_int_equal(err.line, 4);
	assert_int_equal(policy_check_change(with, without, &err), -EINVAL);
	assert_non_null(strstr(err.text, "orders is missing"));
	assert_int_equal(err.line, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_valid),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_untrusted_database),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_no_policy_at_all),
		cmocka_unit_test(test_limits_of_lists),
		cmocka_unit_test(test_limit_of_names),
		cmocka_unit_test(test_limits_of_lengths),
		cmocka_unit_test(test_limit_of_text),
		cmocka_unit_test(test_every_truncation),
		cmocka_unit_test(test_every_byte_changed),
		cmocka_unit_test(test_error_texts_are_printable),
		cmocka_unit_test(test_change),
		cmocka_unit_test(test_change_of_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
