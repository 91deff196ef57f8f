/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit log across restarts, torn lines, rotation and a disk that is full.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "audit/audit.h"
#include "base/fd.h"

struct place {
	char dir[64]; /* the template below */
	char path[128];
	char rotated[128];
};

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	strcpy(p->dir, "/tmp/pf-audit-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	(void)snprintf(p->path, sizeof(p->path), "%s/audit.jsonl", p->dir);
	(void)snprintf(p->rotated, sizeof(p->rotated), "%s/audit.jsonl.1", p->dir);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;

	(void)unlink(p->path);
	(void)unlink(p->rotated);
	(void)rmdir(p->dir);
	free(p);
	return 0;
}

static void put(struct audit *a, const char *word)
{
	assert_int_equal(
		audit_write(a, json_pack("{s:s, s:s}", "type", "session", "word", word), NULL), 0);
}

static json_t *last(const struct place *p, size_t n)
{
	json_t *records = NULL;

	assert_int_equal(audit_tail(p->path, n, NULL, &records), 0);
	return records;
}

static json_int_t seq_of(json_t *records, size_t i)
{
	return json_integer_value(json_object_get(json_array_get(records, i), "seq"));
}

static const char *type_of(json_t *records, size_t i)
{
	return json_string_value(json_object_get(json_array_get(records, i), "type"));
}

static void test_numbers_go_on_after_restart(void **state)
{
	struct place *p = *state;
	struct audit *a;

	for (int i = 0; i < 3; i++) {
		assert_int_equal(audit_open(&a, p->path), 0);
		put(a, "x");
		audit_close(a);
	}
	json_t *records = last(p, 10);

	assert_int_equal(json_array_size(records), 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(seq_of(records, (size_t)i), i + 1);
	json_decref(records);
}

static void test_torn_line_is_ended_and_recorded(void **state)
{
	struct place *p = *state;
	struct audit *a;

	assert_int_equal(audit_open(&a, p->path), 0);
	put(a, "whole");
	audit_close(a);
	int fd = open(p->path, O_WRONLY | O_APPEND | O_CLOEXEC);

	assert_int_equal(fd_write_all(fd, "{\"seq\":2,\"ti", 12), 0);
	close(fd);
	assert_int_equal(audit_open(&a, p->path), 0);
	put(a, "after");
	audit_close(a);
	json_t *records = last(p, 10);

	assert_int_equal(json_array_size(records), 3);
	assert_string_equal(type_of(records, 1), "loss");
	assert_int_equal(seq_of(records, 1), 3);
	assert_int_equal(seq_of(records, 2), 4);
	json_decref(records);
}

static void test_rotation_keeps_the_number(void **state)
{
	struct place *p = *state;
	struct audit *a;

	assert_int_equal(audit_open(&a, p->path), 0);
	put(a, "one");
	assert_int_equal(rename(p->path, p->rotated), 0);
	assert_int_equal(audit_reopen(a), 0);
	audit_close(a); /* a restart right after the rotation, before anything was written */
	assert_int_equal(audit_open(&a, p->path), 0);
	put(a, "two");
	audit_close(a);
	json_t *records = last(p, 10);

	assert_int_equal(json_array_size(records), 2);
	assert_int_equal(seq_of(records, 0), 1); /* from the rotated file */
	assert_int_equal(seq_of(records, 1), 2);
	json_decref(records);
	records = last(p, 1);
	assert_int_equal(json_array_size(records), 1);
	assert_int_equal(seq_of(records, 0), 2);
	json_decref(records);
	assert_int_equal(unlink(p->path), 0); /* renamed, and the daemon not told yet */
	records = last(p, 10);
	assert_int_equal(json_array_size(records), 1);
	assert_int_equal(seq_of(records, 0), 1);
	json_decref(records);
}

static void test_full_disk_is_an_error_until_it_works_again(void **state)
{
	struct place *p = *state;
	struct rlimit before, small = {.rlim_cur = 200};
	struct audit *a;

	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small.rlim_max = before.rlim_max;
	assert_int_equal(audit_open(&a, p->path), 0);
	put(a, "fits");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (int i = 0; i < 5; i++) {
		json_t *record = json_pack("{s:s, s:s}", "type", "session", "word", "does not fit");
		int r = audit_write(a, record, NULL);

		assert_true(i == 0 || r < 0);
	}
	assert_true(audit_error(a) < 0);
	assert_true(audit_retry(a) < 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(audit_retry(a), 0);
	assert_int_equal(audit_error(a), 0);
	put(a, "again");
	audit_close(a);
	json_t *records = last(p, 2);

	assert_string_equal(type_of(records, 0), "loss");
	assert_true(json_integer_value(json_object_get(json_array_get(records, 0), "count")) >= 4);
	assert_int_equal(seq_of(records, 0), 7);
	assert_int_equal(seq_of(records, 1), 8);
	json_decref(records);
}

static void test_foreign_file_is_refused(void **state)
{
	struct place *p = *state;
	struct audit *a = NULL;

	assert_int_equal(file_replace(AT_FDCWD, p->path, 0600, "hello\n", 6), 0);
	assert_int_equal(audit_open(&a, p->path), -EINVAL);
	assert_null(a);
}

/* Bytes of its long texts; each takes six in JSON. */
#define LONG 9000

static json_t *long_record(void)
{
	json_t *argv = json_array();
	char text[LONG + 1];

	memset(text, '\1', LONG);
	text[LONG] = '\0';
	assert_int_equal(json_array_append_new(argv, json_string("sh")), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(json_array_append_new(argv, json_string(text)), 0);
	json_t *record =
		json_pack("{s:s, s:s, s:i, s:b, s:o, s:s}", "type", "session", "session",
			  "abcdefgh", "uid", 1000, "trusted", 0, "command", argv, "text", text);

	assert_non_null(record);
	return record;
}

/* A line takes so much: numbers and short texts stay, long ones are cut and their size is told. */
static void test_long_members_are_cut(void **state)
{
	struct place *p = *state;
	struct audit *a;

	assert_int_equal(audit_open(&a, p->path), 0);
	assert_int_equal(audit_write(a, long_record(), NULL), 0);
	audit_close(a);
	json_t *records = last(p, 10), *r = json_array_get(records, 0);
	json_t *sizes = json_object_get(r, "truncated");
	json_t *command = json_object_get(r, "command");
	const char *cut = json_string_value(json_object_get(r, "text"));
	size_t len = strlen(cut);

	assert_int_equal(json_array_size(records), 1);
	assert_string_equal(type_of(records, 0), "session");
	assert_string_equal(json_string_value(json_object_get(r, "session")), "abcdefgh");
	assert_int_equal(json_integer_value(json_object_get(r, "uid")), 1000);
	assert_true(json_is_false(json_object_get(r, "trusted")));
	assert_string_equal(json_string_value(json_array_get(command, 0)), "sh");
	assert_true(len > 0 && len < LONG && strspn(cut, "\1") == len);
	assert_int_equal(json_integer_value(json_object_get(sizes, "text")), LONG * 6 + 2);
	assert_int_equal(json_integer_value(json_object_get(sizes, "command")),
			 5 * (LONG * 6 + 2) + 5 + 4 + 2);
	assert_int_equal(json_object_size(sizes), 2);
	json_decref(records);
}

/* Allocations of jansson until one that fails. */
static size_t until_failure = SIZE_MAX;

static void *failing_malloc(size_t size)
{
	return until_failure-- == 0 ? NULL : malloc(size);
}

/* Whatever memory is missing: the record as it should be, or an error and no record. */
static void test_no_memory_leaves_nothing_out(void **state)
{
	struct place *p = *state;
	struct audit *a;
	char *whole = NULL;
	bool failed = true;

	assert_int_equal(audit_open(&a, p->path), 0);
	assert_int_equal(audit_write(a, long_record(), &whole), 0);
	json_set_alloc_funcs(failing_malloc, free);
	for (size_t n = 0; failed; n++) {
		__cleanup_free char *line = NULL;
		json_t *record = long_record();

		until_failure = n;
		int r = audit_write(a, record, &line);

		failed = until_failure > n; /* it went below 0 */
		until_failure = SIZE_MAX;
		assert_true(r == 0 || (failed && r == -ENOMEM));
		assert_int_equal(r == 0, line != NULL);
		assert_int_equal(audit_retry(a), 0);
		if (r == 0) /* but for its number and time */
			assert_string_equal(strstr(line, "\"type\""), strstr(whole, "\"type\""));
	}
	json_set_alloc_funcs(malloc, free);
	audit_close(a);
	free(whole);
}

/* Many members that are long, or one that is no text. */
static void test_what_cannot_be_cut_says_so(void **state)
{
	struct place *p = *state;
	struct audit *a;
	json_t *record = json_pack("{s:s, s:s}", "type", "session", "session", "abcdefgh");
	char text[4001], key[8];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (int i = 0; i < 20; i++) {
		(void)snprintf(key, sizeof(key), "k%d", i);
		assert_int_equal(json_object_set_new(record, key, json_string(text)), 0);
	}
	assert_int_equal(audit_open(&a, p->path), 0);
	assert_int_equal(audit_write(a, record, NULL), 0);
	audit_close(a);
	json_t *records = last(p, 10), *r = json_array_get(records, 0);

	assert_int_equal(json_array_size(records), 1);
	assert_string_equal(json_string_value(json_object_get(r, "session")), "abcdefgh");
	assert_true(json_integer_value(json_object_get(r, "too_long")) > 20 * 4000);
	json_decref(records);
}

static bool is_id(void *arg, const char *id)
{
	return strcmp(id, arg) == 0;
}

static bool has_word(void *arg, const json_t *record)
{
	(void)arg;
	return json_object_get(record, "word") != NULL;
}

/* Of a session: what another one says of itself in a text, and a line cut off in its name, are not.
 */
static void test_filter(void **state)
{
	struct place *p = *state;
	const struct audit_filter of = {.session = is_id, .arg = (char[]){"abcdefgh"}},
				  words = {.session = is_id, .record = has_word, .arg = of.arg};
	static const char *const sessions[][2] = {{"abcdefgh", NULL},
						  {"hgfedcba", "\"session\":\"abcdefgh\""},
						  {NULL, "abcdefgh"},
						  {"abcdefgh", "\"session\":\"hgfedcba\""}};
	struct audit *a;
	json_t *records = NULL;

	assert_int_equal(audit_open(&a, p->path), 0);
	for (size_t i = 0; i < ARRAY_LEN(sessions); i++)
		assert_int_equal(audit_write(a,
					     json_pack("{s:s, s:s*, s:s*}", "type", "x", "word",
						       sessions[i][1], "session", sessions[i][0]),
					     NULL),
				 0);
	audit_close(a);
	int fd = open(p->path, O_WRONLY | O_APPEND | O_CLOEXEC);

	assert_int_equal(fd_write_all(fd, "{\"session\":\"abcdefgh\n", 22), 0);
	close(fd);
	assert_int_equal(audit_tail(p->path, 10, &of, &records), 0);
	assert_int_equal(json_array_size(records), 2);
	assert_int_equal(seq_of(records, 0), 1);
	assert_int_equal(seq_of(records, 1), 4);
	json_decref(records);
	assert_int_equal(audit_tail(p->path, 10, &words, &records), 0);
	assert_int_equal(json_array_size(records), 1);
	assert_int_equal(seq_of(records, 0), 4);
	json_decref(records);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_numbers_go_on_after_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_torn_line_is_ended_and_recorded, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_rotation_keeps_the_number, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_members_are_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_memory_leaves_nothing_out, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_cannot_be_cut_says_so, setup, teardown),
		cmocka_unit_test_setup_teardown(test_filter, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_disk_is_an_error_until_it_works_again,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_foreign_file_is_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
