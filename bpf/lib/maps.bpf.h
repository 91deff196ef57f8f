/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every shared map: its type here, its definition in maps.bpf.c, which is linked first. Values and
 * keys are explained in include/pinfold.
 */
#ifndef PINFOLD_MAPS_BPF_H
#define PINFOLD_MAPS_BPF_H

#include "lib/common.bpf.h"

/* Key of pf_links: a file to which a session gave a second name, and by which rules. */
struct pf_link_key {
	__u64 session;
	__u64 ino;
	__u32 dev;
	__u32 self; /* as in pf_rule_key */
	__u32 policy;
	__u32 pad;
};

/* Key of pf_sockhash: a connection between an agent and its gate, and which end of it. */
struct pf_pair {
	__u64 netns;	  /* cookie */
	__u32 agent_ip;	  /* network byte order; the gate's is always 127.0.0.1 */
	__u32 agent_port; /* host byte order */
	__u32 gate_port;
	__u32 side; /* 0: the agent's end, 1: the gate's */
};

struct pf_tasks_map {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct pf_label);
};
extern struct pf_tasks_map pf_tasks SEC(".maps");

struct pf_socks_map {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct pf_sock);
};
extern struct pf_socks_map pf_socks SEC(".maps");

struct pf_cgroups_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PF_MAX_SESSIONS * 2);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct pf_label);
};
extern struct pf_cgroups_map pf_cgroups SEC(".maps");

struct pf_sessions_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PF_MAX_SESSIONS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct pf_session);
};
extern struct pf_sessions_map pf_sessions SEC(".maps");

struct pf_stats_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PF_MAX_SESSIONS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct pf_stats);
};
extern struct pf_stats_map pf_stats SEC(".maps");

/*
 * By size, not by type: an object that only declares the outer map has no more than a forward
 * declaration of the inner types, and the linker then refuses.
 */
struct pf_rules_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PF_MAX_RULES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(key_size, sizeof(struct pf_rule_key));
	__uint(value_size, sizeof(struct pf_rule));
};

struct pf_policies_map {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, PF_MAX_POLICIES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__array(values, struct pf_rules_map);
};
extern struct pf_policies_map pf_policies SEC(".maps");

struct pf_marks_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct pf_mark_key);
	__type(value, struct pf_mark);
};
extern struct pf_marks_map pf_marks SEC(".maps");

struct pf_endpoints_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PF_MAX_ENDPOINTS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct pf_endpoint_key);
	__type(value, struct pf_endpoint);
};
extern struct pf_endpoints_map pf_endpoints SEC(".maps");

struct pf_upstreams_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PF_MAX_ENDPOINTS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct pf_endpoint_key);
	__type(value, __u32);
};
extern struct pf_upstreams_map pf_upstreams SEC(".maps");

struct pf_events_map {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, PF_RING_BYTES);
};
extern struct pf_events_map pf_events SEC(".maps");

struct pf_errors_map {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PF_SITE_MAX);
	__type(key, __u32);
	__type(value, __u64);
};
extern struct pf_errors_map pf_errors SEC(".maps");

/* Opening it for writing only, which nobody does who wants to look, makes a root task admin. [0] is
 * the ABI version that is pinned. */
struct pf_admin_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
};
extern struct pf_admin_map pf_admin SEC(".maps");

struct pf_lease_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pf_lease);
};
extern struct pf_lease_map pf_lease SEC(".maps");

/* Forgetting an entry costs a look-up's second chance (lib/guard.bpf.h). */
struct pf_admins_map {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct pf_admin_key);
	__type(value, __u32);
};
extern struct pf_admins_map pf_admins SEC(".maps");

struct pf_own_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PF_MAX_OWN);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct pf_own);
	__type(value, __u32);
};
extern struct pf_own_map pf_own SEC(".maps");

struct pf_sockhash_map {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 65536);
	__type(key, struct pf_pair);
	__type(value, __u64);
};
extern struct pf_sockhash_map pf_sockhash SEC(".maps");

/* Forgetting an entry makes a file read-only for the session, no more: so one session cannot push
 * out another's and gain from it. */
struct pf_links_map {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct pf_link_key);
	__type(value, __u32);
};
extern struct pf_links_map pf_links SEC(".maps");

#endif
