/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of kern share: the handle, the pins and error texts.
 */
#ifndef KERN_INTERNAL_H
#define KERN_INTERNAL_H

#include <bpf/bpf.h>
#include <errno.h>

#include "kern/kern.h"

enum kern_map {
	KERN_MAP_TASKS,
	KERN_MAP_SOCKS,
	KERN_MAP_CGROUPS,
	KERN_MAP_SESSIONS,
	KERN_MAP_STATS,
	KERN_MAP_POLICIES,
	KERN_MAP_MARKS,
	KERN_MAP_ENDPOINTS,
	KERN_MAP_UPSTREAMS,
	KERN_MAP_EVENTS,
	KERN_MAP_ERRORS,
	KERN_MAP_ADMIN,
	KERN_MAP_SOCKHASH,
	KERN_MAP_OWN,
	KERN_MAP_ADMINS,
	KERN_MAP_LEASE,
	KERN_MAPS,
};

/* "pf_tasks" and so on: the names of the maps, and of their pins. */
extern const char *const kern_map_names[KERN_MAPS];

/* own.c: tell the guard that an object is Pinfold's; fd stands for it, own for the map pf_own. */
int own_add(int own, enum pf_own_type type, int fd) __must_check;
/* The object, or the map with this id, is none of Pinfold's any more. */
void own_drop(int own, enum pf_own_type type, int fd);
void own_drop_map(int own, __u32 id);
/* Forget what is gone. */
void own_prune(int own);

/* -ENOSPC: the map is full. */
static inline int map_put(int map, const void *key, const void *value, __u64 flags)
{
	if (bpf_map_update_elem(map, key, value, flags) == 0)
		return 0;
	return errno == E2BIG ? -ENOSPC : -errno;
}

struct ring_buffer;

struct kern {
	int maps[KERN_MAPS];
	enum kern_road road;
	struct ring_buffer *ring; /* NULL until the first use */
	kern_event_fn *cb;	  /* of the drain under way */
	void *cb_arg;
	size_t seen, max;
};

/* Map the audit ring; k->maps is filled. */
int ring_open(struct kern *k) __must_check;

/* rules.c: a descriptor of the rules' map at this key of pf_policies, the caller's. */
int rules_open(struct kern *k, __u32 key) __must_check;
/*
 * Wait until no program is at work any more with what it found before: the kernel does, for an
 * update of a map of maps. fd is the map that stands at key.
 */
void rules_settle(struct kern *k, __u32 key, int fd);
/* FNV-1a 64 of what h (PF_FNV_OFFSET: nothing) is the hash of, and of len bytes at p. */
__u64 fnv(__u64 h, const void *p, size_t len);

/* Fill err (KERN_TEXT_MAX bytes, may be NULL) and return -error. */
int kern_fail(char *err, int error, const char *fmt, ...) __printf_like(3, 4);

/* Pins. dir is "maps", "progs" or "links"; name an entry of it. */
#define KERN_PATH_MAX 256
int pin_path(char path[KERN_PATH_MAX], const char *dir, const char *name) __must_check;
/* A descriptor of what is pinned there, or -errno. */
int pins_open(const char *dir, const char *name) __must_check;
int pins_make_dirs(char *err) __must_check;
/* Remove every entry of dir that keep() does not want; keep NULL: all of them. */
int pins_remove(const char *dir, bool (*keep)(void *arg, const char *name), void *arg) __must_check;
int pins_count(const char *dir);
int pins_remove_dirs(void) __must_check;

/*
 * Open the admin pin, which makes this task admin where the programs are attached. Returns a
 * descriptor, -ENOENT when nothing is pinned.
 */
int pins_enter(void) __must_check;
/* The only word of a pinned map with one entry; an admin's. */
int pins_read_word(const char *map, __u64 *ret) __must_check;

/*
 * Give a start the time that it may need, before anything in it is slow; for an admin. Only a lease
 * that is not over, and not given by a start before: one that fails again and again attends to
 * nobody. No lease there: nothing to do.
 */
int lease_begin(void) __must_check;

/* Try redirection and wake-ups over a throw-away sockhash; text says what is wrong otherwise. */
int sockmap_try(char text[KERN_TEXT_MAX]) __must_check;

/* Whether the kernel's BTF has a function of this name. 0, 1 or -errno. */
struct btf;
int btf_has_func(const struct btf *btf, const char *name);

#endif
