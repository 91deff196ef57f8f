/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client's prepared statements, or its portals.
 */
#include "gate/names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gate/upstream.h"

void names_init(struct names *n, size_t max, char letter)
{
	*n = (struct names){.max = max, .letter = letter};
	for (size_t i = 0; i < NAMES_BUCKETS; i++)
		list_init(&n->buckets[i]);
}

struct name *name_ref(struct name *e)
{
	e->refs++;
	return e;
}

void name_unref(struct name *e)
{
	if (!e || --e->refs > 0)
		return;
	verdict_unref(e->verdict);
	free(e->upstream);
	free(e);
}

void names_remove(struct name *e)
{
	if (e->state == NAME_GONE)
		return;
	e->state = NAME_GONE;
	list_del(&e->link);
	e->in->n--;
	name_unref(e);
}

void names_clear(struct names *n)
{
	for (size_t i = 0; i < NAMES_BUCKETS && n->n > 0; i++)
		list_for_each_safe (pos, tmp, &n->buckets[i])
			names_remove(list_entry(pos, struct name, link));
}

/* Spread evenly enough: at most max entries, so nothing is won by colliding. */
static struct list *bucket_of(struct names *n, struct pg_text name)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < name.len; i++)
		h = (h ^ (uint8_t)name.p[i]) * 16777619u;
	return &n->buckets[h % NAMES_BUCKETS];
}

struct name *names_find(struct names *n, struct pg_text name)
{
	struct list *bucket = bucket_of(n, name);

	list_for_each (pos, bucket) {
		struct name *e = list_entry(pos, struct name, link);

		if (e->state != NAME_CLOSING && e->len == name.len &&
		    memcmp(e->text, name.p, name.len) == 0)
			return e;
	}
	return NULL;
}

/* On the server names are numbers of ours: no two clients' or generations' ever meet. */
static char *upstream_name(struct names *n, struct pg_text name)
{
	char *s = NULL;

	if (name.len == 0)
		return strdup("");
	if (asprintf(&s, UP_NAME_PREFIX "%c%u", n->letter, ++n->number) < 0)
		return NULL;
	return s;
}

int names_add(struct names *n, struct pg_text name, struct verdict *verdict, const char *upstream,
	      struct name **ret)
{
	struct name *old = names_find(n, name);

	if (old && name.len > 0)
		return -EEXIST;
	if (old)
		names_remove(old);
	if (n->n >= n->max)
		return -E2BIG;
	struct name *e = calloc(1, sizeof(*e) + name.len + 1);

	if (!e)
		return -ENOMEM;
	e->refs = 1;
	e->in = n;
	e->upstream = upstream ? strdup(upstream) : upstream_name(n, name);
	if (!e->upstream) {
		free(e);
		return -ENOMEM;
	}
	e->state = NAME_PENDING;
	e->verdict = verdict_ref(verdict);
	e->len = name.len;
	memcpy(e->text, name.p, name.len);
	list_add_tail(bucket_of(n, name), &e->link);
	n->n++;
	*ret = e;
	return 0;
}

static void settle_one(struct names *n, struct name *e)
{
	struct pg_text name = {.p = e->text, .len = e->len};

	if (e->state == NAME_PENDING)
		names_remove(e);
	else if (e->state == NAME_CLOSING && !names_find(n, name))
		e->state = NAME_LIVE;
}

void names_settle(struct names *n)
{
	/* First those that never came to be, so that they do not hide the ones still there. */
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < NAMES_BUCKETS && n->n > 0; i++)
			list_for_each_safe (pos, tmp, &n->buckets[i]) {
				struct name *e = list_entry(pos, struct name, link);

				if (pass == 1 || e->state == NAME_PENDING)
					settle_one(n, e);
			}
}
