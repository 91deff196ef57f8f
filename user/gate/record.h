/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the gate tells pinfoldd: one JSON object per verdict and per connection, several in one
 * message. While nobody listens they are held up to a bound, then counted as lost; the count is
 * sent as a record of its own. One thread.
 */
#ifndef GATE_RECORD_H
#define GATE_RECORD_H

#include <stdbool.h>
#include <uv.h>

#include "base/buf.h"
#include "gate/verdict.h"

struct recorder {
	uv_loop_t *loop; /* borrowed */
	int fd;		 /* to pinfoldd, owned; -1 = nobody listens */
	uv_poll_t *poll;
	uv_timer_t timer;    /* delayed flush, or the next attempt to reconnect */
	struct buf held;     /* objects, each ended by a newline */
	struct buf object;   /* the one being written; kept, so that it is not allocated anew */
	uint64_t number;     /* of the last object held; each carries its own, from 1 */
	uint64_t sent;	     /* of the last object sent */
	uint64_t lost;	     /* since the last record that told of it */
	uint64_t told;	     /* lost, as records told */
	const char *session; /* borrowed, lives as long as the recorder */
};

struct record_statement {
	const char *db;
	uint64_t conn;
	const struct verdict *verdict;
	uint64_t rows, bytes, us;
	bool not_run; /* the server has parsed or planned it, and was not asked to execute it yet */
	/* SQLSTATE of an error that the server answered, or NULL. */
	const char *error;
};

struct record_conn {
	const char *db;
	uint64_t conn;
	const char *event; /* open, close, refused, kill, upstream, login */
	const char *rule;  /* of a kill or a refusal, or NULL */
	const char *reason;
	/* Of a login upstream: how the server was proved to be the one meant, or NULL. */
	const char *tls, *auth;
};

/* Take the socket to pinfoldd. */
int recorder_open(struct recorder *r, uv_loop_t *loop, int fd, const char *session) __must_check;
void recorder_close(struct recorder *r);

/*
 * None of these fails: what cannot be held is counted. Of a longer statement the first
 * GATE_AUDIT_TEXT_MAX bytes are told, and "truncated":{"text":70000} says how many it had.
 */
void record_statement(struct recorder *r, const struct record_statement *s);
void record_conn(struct recorder *r, const struct record_conn *c);
/* One message of its own, sent at once if it can be (start-up answers). */
int record_send(struct recorder *r, const char *json) __must_check;

/*
 * Append text[len] as the inside of a JSON string: control characters, quotes and what is not UTF-8
 * escaped; at most max bytes of text are looked at, never half a character.
 */
int json_put_text(struct buf *b, const char *text, size_t len, size_t max) __must_check;

#endif
