/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What classifying a PostgreSQL statement costs, per text: precheck alone, outline alone, all of
 * it. Prints nanoseconds of processor time per call, the least of several rounds. Usage: sql_bench
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "sql/pg_lex.h"
#include "sql/sql.h"

#define ROUNDS 15
#define CALLS 4000

enum part { PRECHECK, OUTLINE, CLASSIFY };

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* 0, or -1 when the text was not taken. */
static int call(enum part part, const char *text, size_t len)
{
	struct pg_outline outline;
	struct sql_result r;
	size_t at;

	switch (part) {
	case PRECHECK:
		return sql_precheck(text, len, &r);
	case OUTLINE:
		return pg_outline(text, len, &outline, &at);
	case CLASSIFY:
		if (sql_classify(SQL_POSTGRES, text, len, &r) < 0)
			return -1;
		return r.verdict == SQL_ALLOW ? 0 : -1;
	}
	return -1;
}

static double measure(enum part part, const char *text)
{
	size_t len = strlen(text);
	double best = 0;

	for (int round = 0; round < ROUNDS; round++) {
		double start = now_ns(), each;

		for (int i = 0; i < CALLS; i++) {
			if (call(part, text, len) < 0) {
				fprintf(stderr, "sql_bench: refused: %s\n", text);
				exit(1);
			}
		}
		each = (now_ns() - start) / CALLS;
		if (round == 0 || each < best)
			best = each;
	}
	return best;
}

int main(void)
{
	static const char *const texts[] = {
		"SELECT 1",
		"SELECT abalance FROM pgbench_accounts WHERE aid = 17",
		"SELECT c.name, count(*) AS orders, sum(o.total) AS spent FROM app.customer c JOIN "
		"orders o ON o.customer_id = c.id LEFT JOIN region r ON r.id = c.region_id WHERE "
		"o.created >= now() - interval '30 days' AND o.state IN ('paid', 'sent', 'done') "
		"AND lower(c.mail) LIKE '%@example.org' GROUP BY c.name HAVING sum(o.total) > 100 "
		"ORDER BY spent DESC LIMIT 50",
	};

	printf("%8s %10s %10s %10s\n", "bytes", "precheck", "outline", "classify");
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		printf("%8zu %10.0f %10.0f %10.0f\n", strlen(texts[i]), measure(PRECHECK, texts[i]),
		       measure(OUTLINE, texts[i]), measure(CLASSIFY, texts[i]));
	return 0;
}
