/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control protocol against hostile and broken messages, over real sockets where one is needed.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fd.h"
#include "ctl/ctl.h"

static int decode(const char *text, size_t len)
{
	__cleanup_ctl_request struct ctl_request req = CTL_REQUEST_INIT;
	struct ctl_err err = {""};
	int r = ctl_request_decode(text, len, &req, &err);

	if (r < 0)
		assert_true(err.text[0]);
	else
		assert_true(json_is_object(req.args));
	return r;
}

static void test_requests(void **state)
{
	static const char *const good[] = {
		"{\"v\":1,\"cmd\":\"ps\"}",
		"{\"v\":1,\"cmd\":\"ps\",\"args\":{}}",
		"{\"args\":{\"x\":[[1]]},\"cmd\":\"audit-tail\",\"v\":1}",
	};
	static const char *const bad[] = {
		"",
		"{",
		"nul\0l",
		"[]",
		"1",
		"\"ps\"",
		"{}",
		"{\"v\":1}",
		"{\"cmd\":\"ps\"}",
		"{\"v\":2,\"cmd\":\"ps\"}",
		"{\"v\":\"1\",\"cmd\":\"ps\"}",
		"{\"v\":1.0,\"cmd\":\"ps\"}",
		"{\"v\":1,\"cmd\":\"PS\"}",
		"{\"v\":1,\"cmd\":\"p\"}",
		"{\"v\":1,\"cmd\":\"ps\\u0000\"}",
		"{\"v\":1,\"cmd\":\"no-such\"}",
		"{\"v\":1,\"cmd\":[\"ps\"]}",
		"{\"v\":1,\"cmd\":\"ps\",\"args\":[]}",
		"{\"v\":1,\"cmd\":\"ps\",\"args\":null}",
		"{\"v\":1,\"cmd\":\"ps\",\"more\":1}",
		"{\"v\":1,\"cmd\":\"ps\",\"cmd\":\"kill\"}",
		"{\"v\":1,\"cmd\":\"ps\",\"args\":{\"a\":1,\"a\":2}}",
		"{\"v\":1,\"cmd\":\"ps\"} x",
		"{\"v\":1,\"cmd\":\"\xff\"}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_int_equal(decode(good[i], strlen(good[i])), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (decode(bad[i], strlen(bad[i])) != -EBADMSG)
			fail_msg("accepted: %s", bad[i]);
	assert_int_equal(decode("{\"v\":1,\"cmd\":\"ps\"}\0", 20), -EBADMSG);
}

/* args nested so that the deepest list is the depth-th around it. */
static int decode_depth(unsigned depth)
{
	char text[256] = "{\"v\":1,\"cmd\":\"ps\",\"args\":{\"a\":";
	size_t at = strlen(text);

	for (unsigned i = 2; i < depth; i++)
		text[at++] = '[';
	for (unsigned i = 2; i < depth; i++)
		text[at++] = ']';
	text[at++] = '}';
	text[at++] = '}';
	return decode(text, at);
}

static void test_limit_of_depth(void **state)
{
	static char brackets[CTL_MSG_MAX];

	(void)state;
	assert_int_equal(decode_depth(CTL_DEPTH_MAX), 0);
	assert_int_equal(decode_depth(CTL_DEPTH_MAX + 1), -EBADMSG);
	memset(brackets, '[', sizeof(brackets));
	assert_int_equal(decode(brackets, sizeof(brackets)), -EBADMSG);
	/* brackets inside a string are no depth */
	assert_int_equal(
		decode("{\"v\":1,\"cmd\":\"ps\",\"args\":{\"a\":\"\\\"[[[[[[[[[[[[[[[[[[\"}}", 54),
		0);
}

static void test_limit_of_size(void **state)
{
	static const char head[] = "{\"v\":1,\"cmd\":\"ps\"";
	static char text[CTL_MSG_MAX + 1];

	(void)state;
	memset(text, ' ', sizeof(text));
	memcpy(text, head, strlen(head));
	text[CTL_MSG_MAX - 1] = '}';
	assert_int_equal(decode(text, CTL_MSG_MAX), 0);
	text[CTL_MSG_MAX - 1] = ' ';
	text[CTL_MSG_MAX] = '}';
	assert_int_equal(decode(text, CTL_MSG_MAX + 1), -EMSGSIZE);
}

static void test_every_truncation(void **state)
{
	static const char text[] = "{\"v\":1,\"cmd\":\"run\",\"args\":{\"argv\":[\"a\\u00e4\"]}}";

	(void)state;
	for (size_t len = 0; len < strlen(text); len++) {
		__cleanup_free char *exact = malloc(len ? len : 1);

		memcpy(exact, text, len);
		assert_int_equal(decode(exact, len), -EBADMSG);
	}
}

static int open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void test_descriptors(void **state)
{
	int pair[2], before = open_fds();
	const int fds[6] = {0, 0, 0, 0, 0, 0};

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	for (size_t n = 0; n <= 6; n++) {
		__cleanup_ctl_request struct ctl_request req = CTL_REQUEST_INIT;
		struct ctl_err err;

		assert_int_equal(ctl_request_send(pair[0], CTL_RUN, NULL, fds, n), 0);
		int r = ctl_request_recv(pair[1], &req, &err);

		assert_int_equal(r, n == 4 || n == 5 ? 1 : n > CTL_FDS_MAX ? -EMSGSIZE : -EBADMSG);
		assert_int_equal(req.nfds, n); /* for who received them to close */
	}
	close(pair[0]);
	__cleanup_ctl_request struct ctl_request req = CTL_REQUEST_INIT;
	struct ctl_err err;

	assert_int_equal(ctl_request_recv(pair[1], &req, &err), 0);
	close(pair[1]);
	assert_int_equal(open_fds(), before);
}

#define RUN_OK "\"policy\":\"p\",\"argv\":[\"true\"],\"env\":[\"A=b\"],\"cwd\":\"/\",\"umask\":18"

static int decode_with(const char *cmd,
		       int (*fn)(const struct ctl_request *req, struct ctl_run *ret,
				 struct ctl_err *err),
		       const char *args, size_t nfds)
{
	__cleanup_ctl_request struct ctl_request req = CTL_REQUEST_INIT;
	__cleanup_free char *text = NULL;
	struct ctl_err err = {""};
	struct ctl_run run;

	assert_true(asprintf(&text, "{\"v\":1,\"cmd\":\"%s\",\"args\":{%s}}", cmd, args) > 0);
	int r = ctl_request_decode(text, strlen(text), &req, &err);

	req.nfds = nfds;
	for (size_t i = 0; i < nfds; i++)
		req.fds[i] = -1;
	if (r == 0)
		r = fn(&req, &run, &err);

	if (r < 0)
		assert_true(err.text[0]);
	return r;
}

static int decode_run(const char *args, size_t nfds)
{
	return decode_with("run", ctl_run_decode, args, nfds);
}

static void test_load_arguments(void **state)
{
	static const struct {
		const char *args;
		size_t nfds;
		int result;
	} cases[] = {
		{"\"session\":\"s\",\"policy\":\"p\"", 0, 0},
		{"\"session\":\"s\",\"policy_file\":\"/p\"", 1, 0},
		{"\"session\":\"s\",\"policy\":\"p\"", 1, -EBADMSG},
		{"\"session\":\"s\",\"policy_file\":\"/p\"", 0, -EBADMSG},
		{"\"session\":\"s\",\"policy_file\":\"/p\",\"policy\":\"p\"", 1, -EBADMSG},
		{"\"session\":\"s\"", 0, -EBADMSG},
		{"\"session\":\"s\",\"policy\":\"../p\"", 0, -EBADMSG},
		{"\"session\":\"s\",\"policy\":7", 0, -EBADMSG},
		{"\"session\":\"s\",\"policy\":\"p\",\"user\":\"root\"", 0, -EBADMSG},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(
			decode_with("policy-load", ctl_load_decode, cases[i].args, cases[i].nfds),
			cases[i].result);
}

static void test_run_arguments(void **state)
{
	static const char *const bad[] = {
		"",
		"\"policy\":\"p\"",
		RUN_OK ",\"x\":1",
		RUN_OK ",\"policy_file\":\"/p\"",
		RUN_OK ",\"name\":\"A\"",
		RUN_OK ",\"name\":\"\"",
		RUN_OK ",\"name\":\"../x\"",
		RUN_OK ",\"name\":7",
		RUN_OK ",\"name\":\"a2345678901234567890123456789012\"",
		RUN_OK ",\"user\":\"\"",
		RUN_OK ",\"tty\":true",
		RUN_OK ",\"tty\":{\"stdin\":true,\"stdout\":true,\"stderr\":true,\"rows\":1}",
		RUN_OK ",\"tty\":{\"stdin\":true,\"stdout\":true,\"stderr\":true,\"rows\":1,"
		       "\"cols\":4097}",
		RUN_OK ",\"tty\":{\"stdin\":true,\"stdout\":true,\"stderr\":true,\"rows\":-1,"
		       "\"cols\":1}",
		"\"policy\":\"../p\",\"argv\":[\"true\"],\"env\":[],\"cwd\":\"/\",\"umask\":0",
		"\"policy\":\"p\",\"argv\":[],\"env\":[],\"cwd\":\"/\",\"umask\":0",
		"\"policy\":\"p\",\"argv\":[\"\"],\"env\":[],\"cwd\":\"/\",\"umask\":0",
		"\"policy\":\"p\",\"argv\":[1],\"env\":[],\"cwd\":\"/\",\"umask\":0",
		"\"policy\":\"p\",\"argv\":\"true\",\"env\":[],\"cwd\":\"/\",\"umask\":0",
		"\"policy\":\"p\",\"argv\":[\"a\\u0000b\"],\"env\":[],\"cwd\":\"/\",\"umask\":0",
		"\"policy\":\"p\",\"argv\":[\"a\"],\"env\":[\"A\"],\"cwd\":\"/\",\"umask\":0",
		"\"policy\":\"p\",\"argv\":[\"a\"],\"env\":[\"=b\"],\"cwd\":\"/\",\"umask\":0",
		"\"policy\":\"p\",\"argv\":[\"a\"],\"env\":[],\"cwd\":\"x\",\"umask\":0",
		"\"policy\":\"p\",\"argv\":[\"a\"],\"env\":[],\"cwd\":\"/\",\"umask\":512",
		"\"policy\":\"p\",\"argv\":[\"a\"],\"env\":[],\"cwd\":\"/\"",
	};

	(void)state;
	assert_int_equal(decode_run(RUN_OK, 4), 0);
	assert_int_equal(decode_run(RUN_OK ",\"name\":\"a234567890123456789012345678901\"", 4), 0);
	assert_int_equal(decode_run(RUN_OK, 5), -EBADMSG);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (decode_run(bad[i], 4) != -EBADMSG)
			fail_msg("accepted: %s", bad[i]);
}

static int decode_argv(size_t n)
{
	__cleanup_ctl_request struct ctl_request req = CTL_REQUEST_INIT;
	json_t *argv = json_array();
	struct ctl_run in = {.policy = "p", .cwd = "/", .argv = argv, .env = json_array()}, out;
	struct ctl_err err;

	for (size_t i = 0; i < n; i++)
		assert_int_equal(json_array_append_new(argv, json_string("a")), 0);
	req.args = ctl_run_encode(&in);
	assert_non_null(req.args);
	req.nfds = 4;
	int r = ctl_run_decode(&req, &out, &err);

	json_decref(argv);
	json_decref((json_t *)in.env);
	return r;
}

static void test_limit_of_arguments(void **state)
{
	(void)state;
	assert_int_equal(decode_argv(CTL_ARGV_MAX), 0);
	assert_int_equal(decode_argv(CTL_ARGV_MAX + 1), -EBADMSG);
}

static void test_run_there_and_back(void **state)
{
	__cleanup_ctl_request struct ctl_request req = CTL_REQUEST_INIT;
	json_t *argv = json_pack("[s, s]", "echo", "\"quoted\" \xc3\xa4"),
	       *env = json_pack("[s]", "A=b=c");
	const struct ctl_run in = {
		.policy_file = "/x/p.yaml",
		.name = "n",
		.cwd = "/w",
		.argv = argv,
		.env = env,
		.umask = 027,
		.has_tty = true,
		.tty = {.in = true, .err = true, .rows = 50, .cols = 132},
	};
	struct ctl_run out;
	struct ctl_err err;

	(void)state;
	req.args = ctl_run_encode(&in);
	req.nfds = 5;
	assert_int_equal(ctl_run_decode(&req, &out, &err), 0);
	assert_null(out.policy);
	assert_null(out.user);
	assert_string_equal(out.policy_file, "/x/p.yaml");
	assert_string_equal(out.name, "n");
	assert_true(json_equal(out.argv, argv) && json_equal(out.env, env));
	assert_int_equal(out.umask, 027);
	assert_true(out.has_tty && out.tty.in && !out.tty.out && out.tty.err);
	assert_int_equal(out.tty.rows, 50);
	assert_int_equal(out.tty.cols, 132);
	json_decref(argv);
	json_decref(env);
}

static void test_replies(void **state)
{
	int pair[2];
	json_t *body = json_pack("{s:i}", "x", 1), *reply = NULL;
	const struct ctl_error_reply e = {EPERM, "no, because", "/p.yaml", 3, 7};
	struct ctl_reply_error got;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(ctl_reply_send(pair[0], body, true), 0);
	assert_int_equal(ctl_reply_recv(pair[1], &reply), 1);
	assert_true(ctl_reply_more(reply));
	assert_false(ctl_reply_error(reply, &got));
	assert_int_equal(json_integer_value(json_object_get(reply, "x")), 1);
	json_decref(reply);
	json_decref(body);
	assert_int_equal(ctl_error_send(pair[0], &e), 0);
	assert_int_equal(ctl_reply_recv(pair[1], &reply), 1);
	assert_true(ctl_reply_error(reply, &got));
	assert_string_equal(got.code, "EPERM");
	assert_string_equal(got.message, "no, because");
	assert_string_equal(got.file, "/p.yaml");
	assert_int_equal(got.line, 3);
	assert_int_equal(got.column, 7);
	json_decref(reply);
	assert_int_equal(fd_send_msg(pair[0], "{\"okay\":1}", 10, NULL, 0), 0);
	assert_int_equal(ctl_reply_recv(pair[1], &reply), -EBADMSG);
	close(pair[0]);
	assert_int_equal(ctl_reply_recv(pair[1], &reply), 0);
	close(pair[1]);
}

static void test_table(void **state)
{
	(void)state;
	for (int i = 0; i < CTL_CMD_MAX; i++) {
		assert_non_null(ctl_commands[i].name);
		assert_non_null(ctl_commands[i].help);
		assert_true(ctl_commands[i].max_fds <= CTL_FDS_MAX);
		assert_int_equal(ctl_command_find(ctl_commands[i].name), i);
	}
	assert_int_equal(ctl_command_find(""), -ENOENT);
}

static void test_connect_errors(void **state)
{
	struct ctl_err err;
	char path[200];

	(void)state;
	assert_int_equal(ctl_connect("/nonexistent/ctl.sock", &err), -ENOENT);
	assert_non_null(strstr(err.text, "does not run"));
	memset(path, 'a', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(ctl_connect(path, &err), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_limit_of_depth),
		cmocka_unit_test(test_limit_of_size),
		cmocka_unit_test(test_every_truncation),
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_run_arguments),
		cmocka_unit_test(test_load_arguments),
		cmocka_unit_test(test_limit_of_arguments),
		cmocka_unit_test(test_run_there_and_back),
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_connect_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
