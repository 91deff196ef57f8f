/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit log: one JSON object a line, appended, numbered without a gap unless something was
 * lost. What a record means is for its writer; number, time, repair and loss are decided here.
 * Chaining, signing and queries will be behind this same interface. One thread per struct audit.
 *
 *   {"seq":n,"time":"2026-01-01T00:00:00.000000000Z","type":"denial|statement|session|daemon|loss",
 *    ...}
 *
 * A record that could not be written keeps its number, so that the gap shows, and is counted in the
 * next "loss" record: {"type":"loss","count":n,"error":"ENOSPC"}.
 */
#ifndef AUDIT_AUDIT_H
#define AUDIT_AUDIT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

#define AUDIT_FILE "/var/log/pinfold/audit.jsonl"

/*
 * Bytes of one line, newline included. Of a longer record the long texts and lists are cut, and
 * "truncated":{"command":70000} says how many bytes of JSON each had.
 */
#define AUDIT_LINE_MAX 32768

struct audit;

/*
 * Open (make, 0600) the log at path and go on after its last record, or after that of path.1 when
 * it is empty or missing (just rotated). A torn last line, left by a crash or a full disk, is ended
 * and recorded as a loss. -EINVAL: the last lines are not ours.
 */
int audit_open(struct audit **ret, const char *path) __must_check;
void audit_close(struct audit *a);
static inline void audit_cleanup(struct audit **a)
{
	audit_close(*a);
}
#define __cleanup_audit __cleanup(audit_cleanup)

/*
 * Append record, an object without "seq" and "time" (they are put in front); takes it over, NULL
 * included (-ENOMEM). On failure the log is in error until a write works again; the record is lost
 * and counted. ret_line may be NULL; else it gets the line without its newline, owned by the
 * caller.
 */
int audit_write(struct audit *a, json_t *record, char **ret_line) __must_check;

/* Count n records as lost that never got here (the ring was full, a buffer had overflown). */
int audit_lost(struct audit *a, json_t *about, uint64_t n) __must_check;

/* 0, or the -errno that keeps the log from being written. */
int audit_error(const struct audit *a);
/* Try to write what is due when the log is in error: 0 when it works again. */
int audit_retry(struct audit *a) __must_check;

/* Open the file anew (it was rotated). On failure the old one goes on. */
int audit_reopen(struct audit *a) __must_check;

/* Number of the last record. */
uint64_t audit_seq(const struct audit *a);

/* Which records are wanted. */
struct audit_filter {
	/*
	 * Those of this session; asked before the line is parsed. NULL: of any, and of none.
	 */
	bool (*session)(void *arg, const char *id);
	bool (*record)(void *arg, const json_t *record); /* NULL: all */
	void *arg;
};

/*
 * The last n records of the file at path that the filter lets through (NULL: all), oldest first, as
 * a new array that the caller owns; where it has fewer, path.1 has those before (just rotated).
 * Looks at the last AUDIT_TAIL_BYTES of each only; lines that do not parse are left out.
 */
#define AUDIT_TAIL_BYTES (8u * 1024u * 1024u)
int audit_tail(const char *path, size_t n, const struct audit_filter *filter,
	       json_t **ret) __must_check;

#endif
