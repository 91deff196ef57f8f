/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client's prepared statements, or its portals, by the name that it gave them, with the name that
 * the gate gave them upstream. Entries are counted: a reply under way may outlive the name. One
 * thread.
 */
#ifndef GATE_NAMES_H
#define GATE_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "gate/pgwire.h"
#include "gate/verdict.h"

enum name_state {
	NAME_PENDING, /* asked for; the server has not said yes */
	NAME_LIVE,
	NAME_CLOSING, /* its Close is under way */
	NAME_GONE,    /* no longer in the map */
};

struct names;

struct name {
	struct list link; /* in its bucket */
	struct names *in;
	unsigned int refs;
	enum name_state state;
	bool sql;		 /* made by PREPARE */
	struct verdict *verdict; /* of its text, one reference */
	char *upstream;		 /* name on the server */
	size_t len;
	char text[]; /* the client's name, and a NUL */
};

#define NAMES_BUCKETS 32

struct names {
	struct list buckets[NAMES_BUCKETS];
	size_t n, max;
	char letter;	 /* between UP_NAME_PREFIX and the number of an upstream name */
	uint32_t number; /* of the last name given */
};

void names_init(struct names *n, size_t max, char letter);
/* Forget all. */
void names_clear(struct names *n);

/* The entry that a client means by this name, borrowed; NULL = none. Closing ones are not meant. */
struct name *names_find(struct names *n, struct pg_text name);
/*
 * A new pending entry, borrowed. An unnamed one replaces the one before. -EEXIST, -E2BIG (n->max
 * named ones are there), -ENOMEM. upstream NULL: the gate makes one up ("" for the unnamed).
 */
int names_add(struct names *n, struct pg_text name, struct verdict *verdict, const char *upstream,
	      struct name **ret) __must_check;
void names_remove(struct name *e);
/* After a failed batch: what was pending never came to be, what was closing is still there. */
void names_settle(struct names *n);

struct name *name_ref(struct name *e);
void name_unref(struct name *e);

#endif
