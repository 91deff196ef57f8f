/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who is asking. The order is no_new_privs, task storage, cgroup: before 6.2 a look-up in storage
 * that preempted another one on the same CPU says NULL although the label is there, so NULL is not
 * "outside".
 */
#ifndef PINFOLD_SUBJECT_BPF_H
#define PINFOLD_SUBJECT_BPF_H

#include "lib/common.bpf.h"
#include "lib/maps.bpf.h"
#include "lib/event.bpf.h"

static __always_inline bool pf_who_by_cgroup(struct pf_label *me)
{
	__u64 id = bpf_get_current_ancestor_cgroup_id(cfg_session_level);
	struct pf_label *l = bpf_map_lookup_elem(&pf_cgroups, &id);

	if (!l)
		return false;
	*me = *l;
	pf_count_error(PF_SITE_TASK_LOOKUP);
	return true;
}

/* The current task's label; false: outside every session. */
static __always_inline bool pf_who(struct pf_label *me)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct pf_label *l;

	if (!(t->atomic_flags & PFA_NO_NEW_PRIVS_BIT))
		return false;
	l = bpf_task_storage_get(&pf_tasks, t, 0, 0);
	if (!l)
		return pf_who_by_cgroup(me);
	*me = *l;
	return true;
}

/* Our own code, before the agent's first instruction, and pinfoldd. */
static __always_inline bool pf_trusted(const struct pf_label *me)
{
	switch (me->kind) {
	case PF_KIND_INIT:
	case PF_KIND_ADMIN:
	case PF_KIND_BOOT:
	case PF_KIND_GATE_BOOT:
		return true;
	}
	return false;
}

/* Label of a task that is confined: an agent or a gate (or a kind unknown to us). */
static __always_inline bool pf_confined(struct pf_label *me)
{
	return pf_who(me) && !pf_trusted(me);
}

static __always_inline bool pf_agent(struct pf_label *me)
{
	return pf_confined(me) && me->kind != PF_KIND_GATE;
}

/* Has the current task, which may well be outside, entered by pf_admin? */
static __always_inline bool pf_is_admin(void)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct pf_label *l = bpf_task_storage_get(&pf_tasks, t, 0, 0);

	return l && l->kind == PF_KIND_ADMIN;
}

/* The current process as a key of pf_admins. */
static __always_inline struct pf_admin_key pf_this_process(void)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct pf_admin_key key = {.pid = t->tgid};

	key.born = BPF_CORE_READ(t, group_leader, start_boottime);
	return key;
}

/*
 * Is another task one of the same kind in the same session? When storage says nothing, its cgroup
 * answers, and then pid 1 of a pid namespace counts as foreign: it shares the agent's cgroup.
 */
static __always_inline bool pf_same(const struct pf_label *me, struct task_struct *p)
{
	struct pf_label *l = bpf_task_storage_get(&pf_tasks, p, 0, 0);
	__u64 id;

	if (!l) {
		if (BPF_CORE_READ(p, signal, flags) & SIGNAL_UNKILLABLE_BIT)
			return false;
		id = BPF_CORE_READ(p, cgroups, dfl_cgrp, kn, id);
		l = bpf_map_lookup_elem(&pf_cgroups, &id);
	}
	return l && l->session == me->session && l->kind == me->kind;
}

#endif
