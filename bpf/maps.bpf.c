// SPDX-License-Identifier: GPL-2.0-only
/*
 * The definitions of all shared maps and settings. Linked first: libbpf resolves the extern
 * declarations of the other objects only against a definition that it has already seen.
 */
#include "lib/common.bpf.h"
#include "lib/maps.bpf.h"

const volatile __u32 cfg_session_level = 3;
const volatile __u32 cfg_pin_dev = 0;
const volatile __u64 cfg_pin_ino = 0;
const volatile __u64 cfg_slice_ino = 0;
const volatile __u32 cfg_mnt_ns = 0;

struct pf_tasks_map pf_tasks SEC(".maps");
struct pf_socks_map pf_socks SEC(".maps");
struct pf_cgroups_map pf_cgroups SEC(".maps");
struct pf_sessions_map pf_sessions SEC(".maps");
struct pf_stats_map pf_stats SEC(".maps");
struct pf_policies_map pf_policies SEC(".maps");
struct pf_marks_map pf_marks SEC(".maps");
struct pf_endpoints_map pf_endpoints SEC(".maps");
struct pf_upstreams_map pf_upstreams SEC(".maps");
struct pf_events_map pf_events SEC(".maps");
struct pf_errors_map pf_errors SEC(".maps");
struct pf_admin_map pf_admin SEC(".maps");
struct pf_lease_map pf_lease SEC(".maps");
struct pf_admins_map pf_admins SEC(".maps");
struct pf_own_map pf_own SEC(".maps");
struct pf_sockhash_map pf_sockhash SEC(".maps");
struct pf_links_map pf_links SEC(".maps");
