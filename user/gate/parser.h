/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The boxed parser. parser_zygote_start() forks a process before the gate holds any secret; that
 * process forks workers on demand, and a worker classifies texts with no descriptor but its socket,
 * under seccomp and rlimits. The gate's side asks without blocking. A worker that crashes or stays
 * silent costs the text it was working on a denial, is killed and replaced.
 */
#ifndef GATE_PARSER_H
#define GATE_PARSER_H

#include <uv.h>

#include "base/buf.h"
#include "base/list.h"
#include "gate/limits.h"
#include "gate/verdict.h"

/*
 * Fork the zygote and return the socket to it. Call before any secret is read, from a process with
 * one thread. -errno.
 */
int parser_zygote_start(int *ret_fd) __must_check;

/* A question. Embedded in who asks; must stay in place until answered or taken back. */
struct ask {
	struct list link;
	enum sql_dialect dialect;
	struct verdict *verdict; /* the asker's reference; result is filled in: without an answer by
				  * the rule BOX, and decided stays false */
	void (*answered)(struct ask *a);
	bool waiting;
};

struct parser {
	uv_loop_t *loop;  /* borrowed */
	int zygote;	  /* owned; -1 = gone, and with it all parsing */
	int fd;		  /* to the worker, owned; -1 = none */
	uv_poll_t *poll;  /* of fd; a handle outlives its worker by a turn of the loop */
	bool writing;	  /* the loop waits for room to write as well */
	uv_timer_t timer; /* runs while a question is out */
	struct buf in, out;
	struct list queue;		     /* not yet sent */
	struct ask *sent[GATE_PARSE_WINDOW]; /* oldest first; NULL = taken back meanwhile */
	unsigned int n_sent;
	unsigned int texts;    /* answered by this worker */
	uint64_t busy_ms;      /* that this worker spent on them */
	uint64_t oldest_since; /* when sent[0] became the oldest; loop time */
	unsigned int restarts;
};

/* Take the zygote's socket and start the first worker. */
int parser_open(struct parser *p, uv_loop_t *loop, int zygote) __must_check;
/* Ask for a->verdict. a->answered is called once, at the latest after GATE_PARSE_MS of work on it,
 * and perhaps before this returns. */
void parser_ask(struct parser *p, struct ask *a);
/* Take a question back: answered will not be called. */
void parser_forget(struct parser *p, struct ask *a);
void parser_close(struct parser *p);

/* For the worker; here so that a test can run it on a socket without the box. */
int parser_serve(int fd) __must_check;

/* Header of a question on the socket; struct sql_result is the answer. Same program, same layout.
 */
struct parser_question {
	uint32_t len;
	uint32_t dialect;
};

#endif
