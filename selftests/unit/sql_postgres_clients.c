/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that usual PostgreSQL clients send by themselves is allowed: psql's backslash commands
 * and completion, pg_dump, pgbench -S, JDBC, psycopg2 (data/sql_postgres_clients.txt).
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/fd.h"
#include "sql/sql.h"

#define CORPUS "selftests/unit/data/sql_postgres_clients.txt"
#define CORPUS_MAX (4 * 1024 * 1024)
#define MARK "\n#### "

/* The statements behind one client's marks; in a copy of the file that the test owns. */
static void check_client(void **state)
{
	const char *client = *state;
	__cleanup_free char *file = NULL;
	size_t n = 0, seen = 0;

	assert_int_equal(file_read(AT_FDCWD, CORPUS, CORPUS_MAX, &file, &n), 0);
	for (char *at = strstr(file, MARK), *next; at; at = next) {
		char *name = at + strlen(MARK), *text = strchr(name, '\n');
		struct sql_result r;
		size_t len;

		assert_non_null(text);
		*text++ = '\0';
		next = strstr(text, MARK);
		len = next ? (size_t)(next - text) : strlen(text);
		if (strcmp(name, client) != 0)
			continue;
		seen++;
		assert_int_equal(sql_classify(SQL_POSTGRES, text, len, &r), 0);
		if (r.verdict != SQL_ALLOW)
			fail_msg("%.*s: refused by %s: %s", (int)len, text, r.rule, r.reason);
	}
	assert_true(seen > 0);
}

int main(void)
{
	static const char *const clients[] = {"psql_d",	      "psql_complete",	 "pg_dump_table",
					      "pg_dump_full", "pg_dump_inserts", "pgbench_S",
					      "jdbc",	      "psycopg2"};
	struct CMUnitTest tests[ARRAY_LEN(clients)];

	for (size_t i = 0; i < ARRAY_LEN(clients); i++)
		tests[i] = (struct CMUnitTest){.name = clients[i],
					       .test_func = check_client,
					       .initial_state = (void *)(uintptr_t)clients[i]};
	return cmocka_run_group_tests_name("clients", tests, NULL, NULL);
}
