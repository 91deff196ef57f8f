/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The base library: buffers at their limits, descriptors in messages, files, text made printable.
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
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/text.h"

static void test_buf_limit(void **state)
{
	__cleanup_buf struct buf b = BUF_INIT(1000);
	char block[1001] = {0};

	(void)state;
	assert_int_equal(buf_put(&b, block, 1001), -EMSGSIZE);
	assert_int_equal(buf_len(&b), 0);
	assert_int_equal(buf_put(&b, block, 999), 0);
	assert_int_equal(buf_put(&b, block, 2), -EMSGSIZE);
	assert_int_equal(buf_put(&b, block, 1), 0);
	assert_int_equal(buf_put_u8(&b, 1), -EMSGSIZE);
	buf_consume(&b, 10);
	assert_int_equal(buf_put(&b, block, 10), 0);
	assert_int_equal(buf_put(&b, block, SIZE_MAX), -EMSGSIZE);
	assert_int_equal(buf_len(&b), 1000);
}

static void test_buf_front_and_back(void **state)
{
	__cleanup_buf struct buf b = BUF_INIT(0);
	unsigned char in = 0, out = 0;

	(void)state;
	for (int round = 0; round < 5000; round++) {
		for (int i = 0; i < 3; i++)
			assert_int_equal(buf_put_u8(&b, in++), 0);
		for (int i = 0; i < 2; i++) {
			assert_int_equal(*buf_ptr(&b), out++);
			buf_consume(&b, 1);
		}
	}
	assert_int_equal(buf_len(&b), 5000);
}

static void test_buf_numbers(void **state)
{
	__cleanup_buf struct buf b = BUF_INIT(0);

	(void)state;
	assert_int_equal(buf_put_be16(&b, 0x1234), 0);
	assert_int_equal(buf_put_be32(&b, 0xfedcba98), 0);
	assert_int_equal(buf_put_cstr(&b, "ab"), 0);
	assert_int_equal(buf_printf(&b, "%d", -5), 0);
	assert_int_equal(buf_len(&b), 11);
	assert_int_equal(get_be16(buf_ptr(&b)), 0x1234);
	assert_int_equal(get_be32(buf_ptr(&b) + 2), 0xfedcba98);
	assert_memory_equal(buf_ptr(&b) + 6, "ab\0-5", 5);
}

static int open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void test_messages(void **state)
{
	int pair[2], before = open_fds(), got[2];
	const int three[] = {0, 1, 2};
	char text[4];
	size_t n = 2;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(fd_send_msg(pair[0], "abcd", 4, three, 2), 0);
	assert_int_equal(fd_recv_msg(pair[1], text, sizeof(text), got, &n), 4);
	assert_int_equal(n, 2);
	assert_true(fcntl(got[0], F_GETFD) & FD_CLOEXEC);
	fd_close(&got[0]);
	fd_close(&got[1]);
	assert_int_equal(got[0], -1);
	/* one byte, or one descriptor, too many: nothing is kept */
	assert_int_equal(fd_send_msg(pair[0], "abcde", 5, three, 2), 0);
	n = 2;
	assert_int_equal(fd_recv_msg(pair[1], text, sizeof(text), got, &n), -EMSGSIZE);
	assert_int_equal(fd_send_msg(pair[0], "a", 1, three, 3), 0);
	n = 2;
	assert_int_equal(fd_recv_msg(pair[1], text, sizeof(text), got, &n), -EMSGSIZE);
	assert_int_equal(fd_send_msg(pair[0], "a", 1, three, 1), 0);
	assert_int_equal(fd_recv_msg(pair[1], text, sizeof(text), NULL, NULL), -EMSGSIZE);
	assert_int_equal(fd_send_msg(pair[0], "a", 1, three, FD_MSG_MAX + 1), -E2BIG);
	close(pair[0]);
	assert_int_equal(fd_recv_msg(pair[1], text, sizeof(text), NULL, NULL), 0);
	close(pair[1]);
	assert_int_equal(open_fds(), before);
}

static void test_files(void **state)
{
	char dir[] = "/tmp/pf-base-XXXXXX";
	__cleanup_free char *text = NULL;
	char *none = NULL;
	size_t len;
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(dir));
	__cleanup_fd int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(file_replace(fd, "f", 0600, "0123456789", 10), 0);
	assert_int_equal(file_read(fd, "f", 10, &text, &len), 0);
	assert_int_equal(len, 10);
	assert_string_equal(text, "0123456789");
	assert_int_equal(file_read(fd, "f", 9, &none, NULL), -EFBIG);
	assert_null(none);
	assert_int_equal(file_write(fd, "f", "ab"), 0);
	assert_int_equal(file_write(fd, "missing", "ab"), -ENOENT);
	/* the temporary name of a replacement is not followed when it is a link */
	assert_int_equal(symlinkat("/etc/passwd", fd, "g.new"), 0);
	assert_int_equal(file_replace(fd, "g", 0600, "x", 1), -ELOOP);
	assert_int_equal(fstatat(fd, "f", &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	unlinkat(fd, "f", 0);
	unlinkat(fd, "g.new", 0);
	rmdir(dir);
}

static void test_utf8(void **state)
{
	static const struct {
		const char *bytes;
		size_t len, result;
		uint32_t c;
	} rows[] = {
		{"a", 1, 1, 'a'},
		{"\0", 1, 1, 0},
		{"\xc3\xa4", 2, 2, 0xe4},
		{"\xe2\x82\xac", 3, 3, 0x20ac},
		{"\xf4\x8f\xbf\xbf", 4, 4, 0x10ffff},
		{"\xf4\x90\x80\x80", 4, 0, 0},
		{"\xc3", 1, 0, 0},
		{"\xc3\x28", 2, 0, 0},
		{"\xc0\x80", 2, 0, 0},
		{"\xe0\x80\x80", 3, 0, 0},
		{"\xf0\x80\x80\x80", 4, 0, 0},
		{"\xed\xa0\x80", 3, 0, 0},
		{"\x80", 1, 0, 0},
		{"\xff", 1, 0, 0},
		{"\xf8\x88\x80\x80\x80", 5, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint32_t c = 0;

		assert_int_equal(utf8_char((const uint8_t *)rows[i].bytes, rows[i].len, &c),
				 rows[i].result);
		assert_int_equal(c, rows[i].c);
	}
}

static void test_escape(void **state)
{
	char out[64];

	(void)state;
	assert_string_equal(text_escape(out, sizeof(out), "a\x1b[31m\n", 7, 99), "a\\x1b[31m\\x0a");
	assert_string_equal(text_escape(out, sizeof(out), "\xc3\xa4\xff", 3, 99), "\xc3\xa4\\xff");
	assert_string_equal(text_escape(out, sizeof(out), "\xc2\x9b", 2, 99), "\\xc2\\x9b");
	assert_string_equal(text_escape(out, sizeof(out), "\xe2\x80\xae", 3, 99),
			    "\\xe2\\x80\\xae");
	assert_string_equal(text_escape(out, sizeof(out), "abcdef", 6, 6), "abcdef");
	assert_string_equal(text_escape(out, sizeof(out), "abcdef", 6, 5), "abcde...");
	assert_string_equal(text_escape(out, 8, "abcdef", 6, 99), "abcd...");
	assert_string_equal(text_escape(out, 4, "abcdef", 6, 99), "...");
	assert_string_equal(text_escape(out, 4, "", 0, 99), "");
}

static void test_names(void **state)
{
	static const char *const bad[] = {"",	".", "..",  ".a",  "-a",
					  "_a", "A", "a b", "a/b", "a\n"};

	(void)state;
	assert_true(text_name_ok("a", 1));
	assert_false(text_name_ok("ab", 1));
	assert_true(text_name_ok("0a.b_c-d", 31));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(text_name_ok(bad[i], 31));
}

static void test_paths(void **state)
{
	(void)state;
	assert_true(path_below("/a/b", "/a"));
	assert_true(path_below("/a/b/c", "/a"));
	assert_true(path_below("/a", "/"));
	assert_true(path_in("/a/b", "/a"));
	assert_true(path_in("/a", "/a"));
	assert_false(path_below("/a", "/a"));
	assert_true(path_in("/", "/"));
	assert_false(path_below("/", "/"));
	assert_false(path_in("/ab", "/a"));
	assert_false(path_below("/ab", "/a"));
	assert_false(path_in("/a", "/a/b"));
	assert_false(path_in("/", "/a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buf_limit),   cmocka_unit_test(test_buf_front_and_back),
		cmocka_unit_test(test_buf_numbers), cmocka_unit_test(test_messages),
		cmocka_unit_test(test_files),	    cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_escape),	    cmocka_unit_test(test_names),
		cmocka_unit_test(test_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
