/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinfold-classify: statements from standard input, the gate's verdict on each to standard output.
 * `pinfold classify` executes it, with the type of database and "text" or "jsonl" as arguments. It
 * holds no secret and asks nobody but the boxed parser, which is the gate's own: the same child,
 * the same limits, and so the same verdicts.
 *
 * Statements go to the parser in batches. While it works nothing here waits for anything else, so
 * that its time limit measures the parser; and a batch ends where the input would have to be waited
 * for, so that who writes a line and reads its verdict gets it.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "classify/input.h"
#include "classify/statement.h"
#include "gate/parser.h"
#include "gate/record.h"

/* Statements in one batch: some windows of the parser's. */
#define BATCH (4 * GATE_PARSE_WINDOW)

#define EXIT_FAILURE_TOLD 1
#define EXIT_USAGE 2

struct item {
	struct ask ask;
	struct verdict *verdict; /* one reference */
	uint64_t line;
	size_t *waiting; /* of the run that it belongs to */
};

struct run {
	const struct statement_type *type;
	bool json;
	struct input in;
	uv_loop_t loop;
	struct parser parser;
	struct item items[BATCH];
	size_t n;
	size_t waiting; /* of them, for the parser */
	struct buf out;
	uint64_t unread;       /* lines in which there was no statement */
	uint64_t first_unread; /* number of the first, or 0 */
};

static void answered(struct ask *a)
{
	struct item *i = (struct item *)((char *)a - offsetof(struct item, ask));

	--*i->waiting;
}

/* A line into the batch. */
static int add_line(struct run *c, const struct input_line *line)
{
	struct item *i = &c->items[c->n];

	*i = (struct item){.line = line->number, .waiting = &c->waiting};
	int r = statement_read(c->type, c->json, line, &i->verdict);

	if (r == -EINVAL) {
		c->unread++;
		if (!c->first_unread)
			c->first_unread = line->number;
	} else if (r < 0) {
		return r;
	}
	c->n++;
	if (i->verdict->decided)
		return 0;
	i->ask = (struct ask){
		.verdict = i->verdict,
		.dialect = c->type->dialect,
		.answered = answered,
	};
	c->waiting++;
	parser_ask(&c->parser, &i->ask);
	return 0;
}

static int put_text(struct buf *b, const char *name, const char *text)
{
	int r = buf_printf(b, "\"%s\":\"", name);

	if (r == 0)
		r = json_put_text(b, text, strlen(text), SIZE_MAX);
	return r == 0 ? buf_put(b, "\",", 2) : r;
}

static int put_item(struct buf *b, const struct item *i)
{
	const struct sql_result *q = &i->verdict->result;
	int r = buf_put(b, "{", 1);

	if (r == 0)
		r = put_text(b, "verdict", sql_verdict_name(q->verdict));
	if (r == 0)
		r = put_text(b, "rule", q->rule);
	if (r == 0)
		r = put_text(b, "reason", q->reason);
	if (r == 0)
		r = put_text(b, "hint", q->hint);
	if (r == 0)
		r = put_text(b, "kind", sql_kind_name(q->kind));
	if (r == 0)
		r = buf_printf(b, "\"fingerprint\":\"%016" PRIx64 "\",\"line\":%" PRIu64 "}\n",
			       q->fingerprint, i->line);
	return r;
}

static int write_out(struct buf *b)
{
	while (buf_len(b) > 0) {
		ssize_t n = write(STDOUT_FILENO, buf_ptr(b), buf_len(b));
		struct pollfd wait = {.fd = STDOUT_FILENO, .events = POLLOUT};

		if (n >= 0)
			buf_consume(b, (size_t)n);
		else if (errno == EAGAIN && poll(&wait, 1, -1) < 0 && errno != EINTR)
			return -errno;
		else if (errno != EAGAIN && errno != EINTR)
			return -errno;
	}
	return 0;
}

/* Wait for the verdicts on the batch, and write them. */
static int end_batch(struct run *c)
{
	int r = 0;

	while (c->waiting > 0)
		(void)uv_run(&c->loop, UV_RUN_ONCE); /* whether there is more: waiting says it */
	for (size_t i = 0; i < c->n; i++) {
		if (r == 0)
			r = put_item(&c->out, &c->items[i]);
		verdict_unref(c->items[i].verdict);
	}
	c->n = 0;
	if (r < 0) {
		log_err("%s", strerror(-r));
		return r;
	}
	r = write_out(&c->out);
	if (r < 0 && r != -EPIPE)
		log_err("cannot write the output: %s", strerror(-r));
	return r;
}

/* A batch of the lines that have been read: its size, or -errno after telling. */
static int batch(struct run *c)
{
	struct input_line line;
	int r = 0;

	/* While the input was waited for the clock stood still, and a worker may have ended. */
	(void)uv_run(&c->loop, UV_RUN_NOWAIT);
	while (r == 0 && c->n < BATCH && input_next(&c->in, &line))
		r = add_line(c, &line);
	if (r < 0)
		log_err("line %" PRIu64 ": %s", line.number, strerror(-r));
	int n = (int)c->n;
	int out = end_batch(c);

	return r < 0 ? r : out < 0 ? out : n;
}

static int classify_all(struct run *c)
{
	for (;;) {
		int r = batch(c);

		if (r < 0)
			return r;
		if (r > 0)
			continue;
		if (c->in.ended)
			return 0;
		r = input_fill(&c->in);
		if (r < 0) {
			log_err("cannot read the input: %s", strerror(-r));
			return r;
		}
	}
}

/* What was written holds; but is it all that was meant? */
static int judge_run(const struct run *c)
{
	if (c->parser.zygote < 0) {
		log_err("the parser has ended: what it had not answered was denied by rule BOX");
		return -EPIPE;
	}
	if (c->unread > 0) {
		log_err("no statement in %" PRIu64 " of %" PRIu64
			" lines, the first is line %" PRIu64,
			c->unread, c->in.lines, c->first_unread);
		return -EINVAL;
	}
	return 0;
}

static int classify(const struct statement_type *type, bool json)
{
	int zygote = -1;
	struct run c = {
		.type = type,
		.json = json,
		.in = {.fd = STDIN_FILENO, .max = json ? STATEMENT_JSON_MAX : type->max},
	};
	int r = parser_zygote_start(&zygote);

	if (r == 0)
		r = uv_loop_init(&c.loop);
	if (r == 0)
		r = parser_open(&c.parser, &c.loop, zygote);
	if (r < 0) {
		log_err("cannot start the parser: %s", strerror(-r));
		return r;
	}
	r = classify_all(&c);
	if (r == 0)
		r = judge_run(&c);
	parser_close(&c.parser);
	(void)uv_run(&c.loop, UV_RUN_DEFAULT); /* only handles that close */
	(void)uv_loop_close(&c.loop);
	input_free(&c.in);
	buf_free(&c.out);
	return r;
}

static int unknown_type(const char *name)
{
	fprintf(stderr, "pinfold classify: no classifier for type \"%s\"; there is:", name);
	for (const struct statement_type *t = statement_types; t->name; t++)
		fprintf(stderr, " %s", t->name);
	fprintf(stderr, "\n");
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	log_setup("pinfold classify", LOG_LEVEL_ERR);
	if (argc != 3 || (strcmp(argv[2], "text") != 0 && strcmp(argv[2], "jsonl") != 0)) {
		fprintf(stderr, "pinfold-classify: see \"pinfold classify --help\"\n");
		return EXIT_USAGE;
	}
	const struct statement_type *type = statement_type(argv[1]);

	if (!type)
		return unknown_type(argv[1]);
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return EXIT_FAILURE_TOLD;
	return classify(type, !strcmp(argv[2], "jsonl")) < 0 ? EXIT_FAILURE_TOLD : 0;
}
