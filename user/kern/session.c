/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Publishing sessions in the maps, and taking them out.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "kern/internal.h"

static int put(struct kern *k, enum kern_map map, const void *key, const void *value)
{
	return map_put(k->maps[map], key, value, BPF_ANY);
}

static void drop(struct kern *k, enum kern_map map, const void *key)
{
	(void)bpf_map_delete_elem(k->maps[map], key); /* not there: as wanted */
}

int kern_session_reserve(struct kern *k, __u64 id, __u64 agent_cgroup, __u64 gate_cgroup)
{
	const struct pf_label agent = {.session = id, .kind = PF_KIND_AGENT};
	const struct pf_label gate = {.session = id, .kind = PF_KIND_GATE};
	int r = put(k, KERN_MAP_CGROUPS, &agent_cgroup, &agent);

	return r < 0 ? r : put(k, KERN_MAP_CGROUPS, &gate_cgroup, &gate);
}

static struct pf_endpoint_key address_key(__u64 session, const struct kern_endpoint *e)
{
	struct pf_endpoint_key key = {
		.session = session, .port = htons(e->port), .proto = e->proto};

	memcpy(key.addr, e->addr, sizeof(key.addr));
	return key;
}

static int put_endpoints(struct kern *k, const struct kern_session *s)
{
	for (size_t i = 0; i < s->n_endpoints; i++) {
		const struct kern_endpoint *e = &s->endpoints[i];
		const struct pf_endpoint_key key = address_key(s->id, e);
		const struct pf_endpoint value = {.gate_port = htons(e->gate_port), .id = e->id};
		int r = put(k, KERN_MAP_ENDPOINTS, &key, &value);

		if (r < 0)
			return r;
	}
	return 0;
}

static int put_upstreams(struct kern *k, const struct kern_session *s)
{
	for (size_t i = 0; i < s->n_upstreams; i++) {
		const struct pf_endpoint_key key = address_key(s->id, &s->upstreams[i]);
		int r = put(k, KERN_MAP_UPSTREAMS, &key, &s->upstreams[i].id);

		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * Deleting while iterating would restart the walk at the front, so the next key is fetched first.
 */
static void drop_addresses(struct kern *k, enum kern_map map, __u64 id)
{
	struct pf_endpoint_key key, next;
	int more = bpf_map_get_next_key(k->maps[map], NULL, &key) == 0;

	while (more) {
		more = bpf_map_get_next_key(k->maps[map], &key, &next) == 0;
		if (key.session == id)
			drop(k, map, &key);
		key = next;
	}
}

static __u64 boot_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (__u64)ts.tv_sec * 1000000000u + (__u64)ts.tv_nsec;
}

static void note_place(struct pf_session *v, __u64 ino)
{
	__u64 hash = PF_PLACE_HASH(ino);

	v->places[PF_PLACE_WORD(hash)] |= PF_PLACE_BIT(hash);
}

static void set_rules(struct pf_session *v, __u32 policy, const struct kern_rule *rules, size_t n)
{
	v->policy = policy;
	memset(v->places, 0, sizeof(v->places));
	for (size_t i = 0; i < n; i++)
		note_place(v, rules[i].key.ino);
}

static void set_unattended(struct pf_session *v, __u32 unattended)
{
	v->flags = (v->flags & ~PF_SESSION_UNATTENDED) | (unattended & PF_SESSION_UNATTENDED);
}

static struct pf_session session_value(const struct kern *k, const struct kern_session *s,
				       __u32 policy)
{
	struct pf_session v = {
		.started_ns = boot_ns(),
		.flags = k->road == KERN_ROAD_FAST ? PF_SESSION_FASTROAD : 0,
		.uid = s->uid,
		.n_own_fs = (__u32)s->n_own_fs,
	};

	if (s->n_own_fs > 0)
		memcpy(v.own_fs, s->own_fs, s->n_own_fs * sizeof(v.own_fs[0]));
	memcpy(v.name, s->name, sizeof(v.name));
	set_unattended(&v, s->unattended);
	set_rules(&v, policy, s->rules, s->n_rules);
	return v;
}

/* Everything but LIVE, then LIVE in one update. */
static int publish(struct kern *k, const struct kern_session *s, __u32 policy)
{
	const struct pf_stats stats = {.tokens = PF_EVENT_BURST, .refill_ns = boot_ns()};
	struct pf_session v = session_value(k, s, policy);
	int r = put(k, KERN_MAP_SESSIONS, &s->id, &v);

	if (r == 0)
		r = map_put(k->maps[KERN_MAP_STATS], &s->id, &stats, BPF_NOEXIST);
	if (r == -EEXIST)
		r = 0; /* denials before this moment have been counted already: kept */
	if (r == 0)
		r = kern_session_reserve(k, s->id, s->agent_cgroup, s->gate_cgroup);
	if (r == 0)
		r = put_endpoints(k, s);
	if (r == 0)
		r = put_upstreams(k, s);
	if (r < 0)
		return r;
	v.flags |= PF_SESSION_LIVE;
	return put(k, KERN_MAP_SESSIONS, &s->id, &v);
}

int kern_session_publish(struct kern *k, const struct kern_session *s)
{
	struct pf_session old;
	__u32 policy;

	if (s->n_own_fs > PF_MAX_OWN_FS)
		return -E2BIG;
	if (kern_session_get(k, s->id, &old) == 0)
		return -EEXIST;
	int r = kern_rules_make(k, s->rules, s->n_rules, &policy);

	if (r < 0)
		return r;
	r = publish(k, s, policy);
	if (r < 0) {
		kern_session_drop(k, s->id);
		kern_rules_drop(k, policy);
	}
	return r;
}

/* Another value of a live session, with the rules of v->policy. */
static int replace(struct kern *k, __u64 id, const struct pf_session *v)
{
	__cleanup_fd int fd = rules_open(k, v->policy);

	if (fd < 0)
		return fd;
	if (!(v->flags & PF_SESSION_LIVE))
		return -ECANCELED;
	if (bpf_map_update_elem(k->maps[KERN_MAP_SESSIONS], &id, v, BPF_EXIST) < 0)
		return -errno;
	/* The memory of the old value may become that of another session's at the next update. */
	rules_settle(k, v->policy, fd);
	return 0;
}

int kern_session_set_rules(struct kern *k, __u64 id, __u32 key, const struct kern_rule *rules,
			   size_t n, __u32 unattended)
{
	struct pf_session v;
	int r = kern_session_get(k, id, &v);

	if (r < 0)
		return r;
	__u32 old = v.policy;

	set_rules(&v, key, rules, n);
	set_unattended(&v, unattended);
	r = replace(k, id, &v);
	if (r == 0 && old != key)
		kern_rules_drop(k, old);
	return r;
}

int kern_session_set_unattended(struct kern *k, __u64 id, __u32 unattended)
{
	struct pf_session v;
	int r = kern_session_get(k, id, &v);

	if (r < 0 || (v.flags & PF_SESSION_UNATTENDED) == unattended)
		return r;
	set_unattended(&v, unattended);
	return replace(k, id, &v);
}

/* Labels of the session's cgroups. */
static void drop_cgroups(struct kern *k, __u64 id)
{
	struct pf_label label;
	__u64 key, next;
	int more = bpf_map_get_next_key(k->maps[KERN_MAP_CGROUPS], NULL, &key) == 0;

	while (more) {
		more = bpf_map_get_next_key(k->maps[KERN_MAP_CGROUPS], &key, &next) == 0;
		if (bpf_map_lookup_elem(k->maps[KERN_MAP_CGROUPS], &key, &label) == 0 &&
		    label.session == id)
			drop(k, KERN_MAP_CGROUPS, &key);
		key = next;
	}
}

int kern_session_drop(struct kern *k, __u64 id)
{
	struct pf_session s;
	int r = kern_session_get(k, id, &s);

	drop(k, KERN_MAP_SESSIONS, &id);
	drop_addresses(k, KERN_MAP_ENDPOINTS, id);
	drop_addresses(k, KERN_MAP_UPSTREAMS, id);
	drop_cgroups(k, id);
	drop(k, KERN_MAP_STATS, &id);
	if (r == 0)
		kern_rules_drop(k, s.policy);
	return r;
}

int kern_sessions(struct kern *k, __u64 *ids, size_t n)
{
	__u64 id, *prev = NULL;
	size_t count = 0;

	while (bpf_map_get_next_key(k->maps[KERN_MAP_SESSIONS], prev, &id) == 0) {
		prev = &id;
		if (count < n)
			ids[count] = id;
		count++;
	}
	return (int)count;
}

int kern_session_get(struct kern *k, __u64 id, struct pf_session *ret)
{
	struct pf_session s;

	if (bpf_map_lookup_elem(k->maps[KERN_MAP_SESSIONS], &id, &s) < 0)
		return -errno;
	*ret = s;
	return 0;
}
