/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rule maps, shared by sessions with the same rules. A policy's key is a hash of its rules, and the
 * map that holds them is the only record of it: a restarted daemon finds the same keys.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kern/internal.h"

/* Keys tried when hashes of different rules collide. */
#define KEY_TRIES 16

__u64 fnv(__u64 h, const void *p, size_t len)
{
	const unsigned char *c = p;

	for (size_t i = 0; i < len; i++)
		h = (h ^ c[i]) * PF_FNV_PRIME;
	return h;
}

__u64 kern_name_hash(const char *name, size_t len)
{
	__u64 h = fnv(PF_FNV_OFFSET, name, len);

	return h ? h : 1;
}

/* The sum makes it independent of the order of the rules. */
static __u32 rules_hash(const struct kern_rule *rules, size_t n)
{
	__u64 sum = n;

	for (size_t i = 0; i < n; i++)
		sum += fnv(PF_FNV_OFFSET, &rules[i], sizeof(rules[i]));
	return (__u32)(sum ^ sum >> 32);
}

int rules_open(struct kern *k, __u32 key)
{
	__u32 id;

	if (bpf_map_lookup_elem(k->maps[KERN_MAP_POLICIES], &key, &id) < 0)
		return -errno;
	int fd = bpf_map_get_fd_by_id(id);

	return fd < 0 ? -errno : fd;
}

static size_t inner_count(int fd)
{
	struct pf_rule_key key, *prev = NULL;
	size_t n = 0;

	while (bpf_map_get_next_key(fd, prev, &key) == 0) {
		prev = &key;
		n++;
	}
	return n;
}

static bool inner_equals(int fd, const struct kern_rule *rules, size_t n)
{
	struct pf_rule rule;

	for (size_t i = 0; i < n; i++)
		if (bpf_map_lookup_elem(fd, &rules[i].key, &rule) < 0 ||
		    memcmp(&rule, &rules[i].rule, sizeof(rule)) != 0)
			return false;
	return inner_count(fd) == n;
}

static int inner_make(const struct kern_rule *rules, size_t n)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);
	__cleanup_fd int fd =
		bpf_map_create(BPF_MAP_TYPE_HASH, "pf_rules", sizeof(struct pf_rule_key),
			       sizeof(struct pf_rule), PF_MAX_RULES, &opts);

	if (fd < 0)
		return -errno;
	for (size_t i = 0; i < n; i++)
		if (bpf_map_update_elem(fd, &rules[i].key, &rules[i].rule, BPF_NOEXIST) < 0)
			return -errno;
	return TAKE_FD(fd);
}

/* The guard knows of the map before it is of use to a program, and does not when it never is. */
static int outer_add(struct kern *k, __u32 key, const struct kern_rule *rules, size_t n)
{
	__cleanup_fd int fd = inner_make(rules, n);
	int r = fd < 0 ? fd : own_add(k->maps[KERN_MAP_OWN], PF_OWN_MAP, fd);

	if (r < 0)
		return r;
	r = map_put(k->maps[KERN_MAP_POLICIES], &key, &fd, BPF_NOEXIST);
	if (r < 0)
		own_drop(k->maps[KERN_MAP_OWN], PF_OWN_MAP, fd);
	return r;
}

int kern_rules_make(struct kern *k, const struct kern_rule *rules, size_t n, __u32 *ret_key)
{
	__u32 key = rules_hash(rules, n);

	if (n > PF_MAX_RULES)
		return -E2BIG;
	for (int i = 0; i < KEY_TRIES; i++, key++) {
		__cleanup_fd int fd = rules_open(k, key);
		int r = 0;

		if (fd == -ENOENT)
			r = outer_add(k, key, rules, n);
		else if (fd < 0)
			r = fd;
		else if (!inner_equals(fd, rules, n))
			continue;
		if (r < 0)
			return r;
		*ret_key = key;
		return 0;
	}
	return -EEXIST;
}

static void drop_key(struct kern *k, __u32 key)
{
	__u32 inner;

	if (bpf_map_lookup_elem(k->maps[KERN_MAP_POLICIES], &key, &inner) < 0)
		return; /* gone already: as wanted */
	if (bpf_map_delete_elem(k->maps[KERN_MAP_POLICIES], &key) == 0)
		own_drop_map(k->maps[KERN_MAP_OWN], inner);
}

void rules_settle(struct kern *k, __u32 key, int fd)
{
	/* What is there once more. When there is no memory for it, the other call needs none; but
	 * it may not do on a host with processors that run without a tick. */
	if (bpf_map_update_elem(k->maps[KERN_MAP_POLICIES], &key, &fd, BPF_EXIST) < 0)
		(void)syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
}

/* The maps that sessions use: *ret_n of them, the caller's. NULL: that cannot be found out. */
static __u32 *keys_in_use(struct kern *k, size_t *ret_n)
{
	__cleanup_free __u32 *keys = calloc(PF_MAX_SESSIONS, sizeof(*keys));
	const int sessions = k->maps[KERN_MAP_SESSIONS];
	__u64 id, *prev = NULL;
	struct pf_session s;
	size_t n = 0;

	if (!keys)
		return NULL;
	while (n < PF_MAX_SESSIONS && bpf_map_get_next_key(sessions, prev, &id) == 0) {
		prev = &id;
		if (bpf_map_lookup_elem(sessions, &id, &s) == 0)
			keys[n++] = s.policy;
		else if (errno != ENOENT)
			return NULL;
	}
	if (n < PF_MAX_SESSIONS && errno != ENOENT)
		return NULL;
	*ret_n = n;
	return TAKE_PTR(keys);
}

static bool is_used(__u32 key, const __u32 *used, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (used[i] == key)
			return true;
	return false;
}

void kern_rules_drop(struct kern *k, __u32 key)
{
	size_t n;
	__cleanup_free __u32 *used = keys_in_use(k, &n);

	if (used && !is_used(key, used, n))
		drop_key(k, key);
}

void kern_rules_sweep(struct kern *k)
{
	size_t n;
	__cleanup_free __u32 *used = keys_in_use(k, &n);
	__u32 key, next;
	int more = used && bpf_map_get_next_key(k->maps[KERN_MAP_POLICIES], NULL, &key) == 0;

	while (more) {
		more = bpf_map_get_next_key(k->maps[KERN_MAP_POLICIES], &key, &next) == 0;
		if (!is_used(key, used, n))
			drop_key(k, key);
		key = next;
	}
}
