// SPDX-License-Identifier: Apache-2.0
/*
 * Maps of rules when something fails half-way: over maps of this test's own, which are small enough
 * to be full.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "base/fd.h"
#include "kern/internal.h"
#include "slice.h"

#define POLICIES 2
#define OWN 4

/* To make it so that it cannot be read by descriptor. */
#define UNREADABLE BPF_F_WRONLY

static int make_map(enum bpf_map_type type, __u32 key, __u32 value, __u32 entries, __u32 flags,
		    int inner)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = flags,
		    .inner_map_fd = (__u32)(inner < 0 ? 0 : inner));
	int fd = bpf_map_create(type, "pf_test", key, value, entries, &opts);

	must(fd, "map");
	return fd;
}

static void open_maps(struct kern *k)
{
	__cleanup_fd int inner =
		make_map(BPF_MAP_TYPE_HASH, sizeof(struct pf_rule_key), sizeof(struct pf_rule),
			 PF_MAX_RULES, BPF_F_NO_PREALLOC, -1);

	k->maps[KERN_MAP_POLICIES] = make_map(BPF_MAP_TYPE_HASH_OF_MAPS, sizeof(__u32),
					      sizeof(__u32), POLICIES, BPF_F_NO_PREALLOC, inner);
	k->maps[KERN_MAP_OWN] = make_map(BPF_MAP_TYPE_HASH, sizeof(struct pf_own), sizeof(__u32),
					 OWN, BPF_F_NO_PREALLOC, -1);
	k->maps[KERN_MAP_SESSIONS] = make_map(BPF_MAP_TYPE_HASH, sizeof(__u64),
					      sizeof(struct pf_session), 4, BPF_F_NO_PREALLOC, -1);
}

static void close_maps(struct kern *k)
{
	fd_close(&k->maps[KERN_MAP_POLICIES]);
	fd_close(&k->maps[KERN_MAP_OWN]);
	fd_close(&k->maps[KERN_MAP_SESSIONS]);
}

static int entries(const struct kern *k, enum kern_map map)
{
	__u64 key, *prev = NULL; /* wider than any key of these */
	int n = 0;

	for (; bpf_map_get_next_key(k->maps[map], prev, &key) == 0; prev = &key)
		n++;
	return n;
}

/* Rules that differ by number. */
static int make(struct kern *k, __u64 number, __u32 *ret_key)
{
	const struct kern_rule rule = {.key = {.ino = number}, .rule = {.rights = PF_R_READ}};

	return kern_rules_make(k, &rule, 1, ret_key);
}

static void check_count(const struct kern *k, int want, const char *when)
{
	check(entries(k, KERN_MAP_POLICIES) == want && entries(k, KERN_MAP_OWN) == want, "rules",
	      when, 0);
}

/* The guard is told of a map before the map is of use, and must not keep one that never was. */
static void check_full(struct kern *k)
{
	__u32 keys[POLICIES], other;
	int r = 0;

	for (__u64 i = 0; i < POLICIES && r == 0; i++)
		r = make(k, i, &keys[i]);
	check(r == 0, "rules", "as many policies as there is room for", r);
	for (int i = 0; i < OWN && (i == 0 || r == -ENOSPC); i++)
		r = make(k, POLICIES, &other);
	check(r == -ENOSPC, "rules", "one more", r);
	check_count(k, POLICIES, "of those that failed nothing stays");
	for (int i = 0; i < POLICIES; i++)
		kern_rules_drop(k, keys[i]);
	check_count(k, 0, "nor of those that were dropped");
	r = make(k, POLICIES, &other);
	check(r == 0, "rules", "one more when there is room again", r);
	kern_rules_drop(k, other);
}

static void check_unguarded(struct kern *k)
{
	const __u32 one = 1;
	__u32 key;

	for (__u32 i = 0; i < OWN; i++) {
		const struct pf_own other = {.type = PF_OWN_PROG, .id = i};

		must(bpf_map_update_elem(k->maps[KERN_MAP_OWN], &other, &one, BPF_ANY), "own");
	}
	int r = make(k, 0, &key);

	check(r == -ENOSPC && entries(k, KERN_MAP_POLICIES) == 0, "rules",
	      "none that the guard does not know", r);
}

/* Rules that a session has are kept, and so are all when nobody can tell who has which. */
static void check_used(struct kern *k)
{
	const int sessions = k->maps[KERN_MAP_SESSIONS];
	const __u64 id = 1;
	struct pf_session s = {.flags = PF_SESSION_LIVE};
	__u32 used, unused;

	must(make(k, 0, &used), "rules");
	must(make(k, 1, &unused), "rules");
	s.policy = used;
	must(bpf_map_update_elem(sessions, &id, &s, BPF_ANY), "session");
	k->maps[KERN_MAP_SESSIONS] = make_map(BPF_MAP_TYPE_HASH, sizeof(id), sizeof(s), 4,
					      BPF_F_NO_PREALLOC | UNREADABLE, -1);
	kern_rules_drop(k, used);
	check_count(k, 2, "kept when the sessions cannot be read");
	kern_rules_sweep(k);
	check_count(k, 2, "not swept then, either");
	close(k->maps[KERN_MAP_SESSIONS]);
	k->maps[KERN_MAP_SESSIONS] = sessions;
	kern_rules_drop(k, used);
	check_count(k, 2, "kept for a session that has them");
	kern_rules_sweep(k);
	check_count(k, 1, "swept where no session has them");
	must(bpf_map_delete_elem(sessions, &id), "session");
	kern_rules_drop(k, used);
	check_count(k, 0, "dropped when the session is gone");
}

static void check_pruned(struct kern *k)
{
	const int own = k->maps[KERN_MAP_OWN];
	const __u32 one = 1;

	for (__u32 type = PF_OWN_MAP; type <= PF_OWN_LINK; type++) {
		const struct pf_own nothing = {.type = type, .id = INT32_MAX};

		must(bpf_map_update_elem(own, &nothing, &one, BPF_ANY), "own");
	}
	must(own_add(own, PF_OWN_MAP, own), "own");
	check(entries(k, KERN_MAP_OWN) == 4, "guard", "knows what is gone", 0);
	own_prune(own);
	check(entries(k, KERN_MAP_OWN) == 1, "guard", "forgets it, and nothing else", 0);
	own_drop(own, PF_OWN_MAP, own);
}

void rules_check(void)
{
	struct kern k;

	open_maps(&k);
	check_full(&k);
	check_used(&k);
	check_pruned(&k);
	check_unguarded(&k);
	close_maps(&k);
}
