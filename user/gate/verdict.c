/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verdicts on statement texts and a cache of them. Entries that were used since the hand last
 * passed get a second chance (CLOCK), so one flood of unique texts does not empty the cache of what
 * is in use.
 */
#include "gate/verdict.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/list.h"
#include "gate/limits.h"
#include "gate/siphash.h"

#define VCACHE_BUCKETS 16384 /* a power of two */

struct ventry {
	struct list bucket;
	struct list clock;
	struct hash128 hash;
	struct verdict *verdict; /* one reference */
	bool used;
};

struct vcache {
	uint64_t key[2];
	size_t bytes, limit;
	struct list clock; /* the hand stands at its front */
	struct list buckets[VCACHE_BUCKETS];
};

struct verdict *verdict_new(const char *text, size_t len)
{
	struct verdict *v = calloc(1, sizeof(*v) + len + 1);

	if (!v)
		return NULL;
	v->refs = 1;
	v->len = len;
	if (len > 0)
		memcpy(v->text, text, len);
	return v;
}

struct verdict *verdict_ref(struct verdict *v)
{
	v->refs++;
	return v;
}

void verdict_unref(struct verdict *v)
{
	if (v && --v->refs == 0)
		free(v);
}

void verdict_deny(struct sql_result *r, const char *rule, const char *sqlstate, const char *reason)
{
	memset(r, 0, sizeof(*r));
	snprintf(r->rule, sizeof(r->rule), "%s", rule);
	snprintf(r->sqlstate, sizeof(r->sqlstate), "%s", sqlstate);
	snprintf(r->reason, sizeof(r->reason), "%s", reason);
}

static size_t entry_bytes(const struct verdict *v)
{
	return sizeof(struct ventry) + sizeof(*v) + v->len + 1;
}

struct vcache *vcache_new(size_t bytes)
{
	struct vcache *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	if (getrandom(c->key, sizeof(c->key), 0) != sizeof(c->key)) {
		free(c);
		return NULL;
	}
	c->limit = bytes;
	list_init(&c->clock);
	for (size_t i = 0; i < VCACHE_BUCKETS; i++)
		list_init(&c->buckets[i]);
	return c;
}

static void entry_drop(struct vcache *c, struct ventry *e)
{
	c->bytes -= entry_bytes(e->verdict);
	list_del(&e->bucket);
	list_del(&e->clock);
	verdict_unref(e->verdict);
	free(e);
}

void vcache_free(struct vcache *c)
{
	if (!c)
		return;
	list_for_each_safe (pos, tmp, &c->clock)
		entry_drop(c, list_entry(pos, struct ventry, clock));
	free(c);
}

static struct ventry *entry_find(struct vcache *c, struct hash128 h, const char *text, size_t len)
{
	struct list *bucket = &c->buckets[h.a & (VCACHE_BUCKETS - 1)];

	list_for_each (pos, bucket) {
		struct ventry *e = list_entry(pos, struct ventry, bucket);

		if (e->hash.a == h.a && e->hash.b == h.b && e->verdict->len == len &&
		    memcmp(e->verdict->text, text, len) == 0)
			return e;
	}
	return NULL;
}

struct verdict *vcache_find(struct vcache *c, const char *text, size_t len)
{
	if (len > GATE_CACHE_TEXT_MAX)
		return NULL;
	struct ventry *e = entry_find(c, siphash128(c->key, text, len), text, len);

	if (!e)
		return NULL;
	e->used = true;
	return e->verdict;
}

static void make_room(struct vcache *c, size_t bytes)
{
	while (!list_empty(&c->clock) && c->bytes + bytes > c->limit) {
		struct ventry *e = list_entry(c->clock.next, struct ventry, clock);

		if (!e->used) {
			entry_drop(c, e);
			continue;
		}
		e->used = false;
		list_del(&e->clock);
		list_add_tail(&c->clock, &e->clock);
	}
}

void vcache_add(struct vcache *c, struct verdict *v)
{
	size_t bytes = entry_bytes(v);

	if (!v->decided || v->len > GATE_CACHE_TEXT_MAX || bytes > c->limit)
		return;
	struct hash128 h = siphash128(c->key, v->text, v->len);

	if (entry_find(c, h, v->text, v->len))
		return;
	struct ventry *e = calloc(1, sizeof(*e));

	/* Without memory the cache stays as it is: the parser answers again next time. */
	if (!e)
		return;
	make_room(c, bytes);
	e->hash = h;
	e->verdict = verdict_ref(v);
	c->bytes += bytes;
	list_add_tail(&c->buckets[h.a & (VCACHE_BUCKETS - 1)], &e->bucket);
	list_add_tail(&c->clock, &e->clock);
}

size_t vcache_bytes(const struct vcache *c)
{
	return c->bytes;
}
