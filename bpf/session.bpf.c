// SPDX-License-Identifier: GPL-2.0-only
/*
 * Labels: how a task gets one, keeps it and changes it (I5); and the record of a denial (I7).
 */
#include "lib/match.bpf.h"

#define TOKEN_NS (1000000000ull / PF_EVENT_PER_SEC)

/* One token of the session's bucket. Racing refills may lose or gain a few tokens: it is a brake.
 */
static __always_inline bool take_token(struct pf_stats *st, __u64 now)
{
	__u64 last = st->refill_ns, add = (now - last) / TOKEN_NS;

	if (add && now > last && __sync_val_compare_and_swap(&st->refill_ns, last, now) == last) {
		if (st->tokens + add > PF_EVENT_BURST)
			st->tokens = PF_EVENT_BURST;
		else
			__sync_fetch_and_add(&st->tokens, add);
	}
	if ((__s64)__sync_fetch_and_add(&st->tokens, -1) > 0)
		return true;
	__sync_fetch_and_add(&st->tokens, 1);
	return false;
}

static __always_inline void fill_who(struct pf_event *ev)
{
	struct task_struct *t = bpf_get_current_task_btf();

	ev->pid = t->tgid;
	ev->tid = t->pid;
	ev->uid = BPF_CORE_READ(t, cred, uid.val);
	if (bpf_probe_read_kernel(ev->comm, sizeof(ev->comm), t->comm))
		ev->comm[0] = 0;
}

static __always_inline void fill_what(struct pf_event *ev, const struct pf_denial *d)
{
	long n = 0;

	ev->session = d->session;
	ev->ino = d->ino;
	ev->dev = d->dev;
	ev->hook = d->hook;
	ev->reason = d->reason;
	ev->rule = d->rule;
	ev->rights = d->rights;
	ev->flags = d->flags;
	ev->error = d->error;
	__builtin_memcpy(ev->addr, d->addr, sizeof(ev->addr));
	ev->port = d->port;
	ev->family = d->family;
	ev->klass = d->klass;
	ev->kind = d->kind;
	ev->name[0] = 0;
	if (d->name)
		n = bpf_probe_read_kernel_str(ev->name, sizeof(ev->name), (void *)d->name);
	if (n < 0)
		ev->name[0] = 0;
	else if (n == sizeof(ev->name))
		ev->flags |= PF_EV_NAME_CUT;
}

__noinline int pf_emit(struct pf_denial *d)
{
	struct pf_event *ev;
	struct pf_stats *st;
	__u64 now, seq, id;

	if (!d)
		return 0;
	id = d->session; /* 6.1 takes no key from memory that a caller handed in */
	st = bpf_map_lookup_elem(&pf_stats, &id);
	if (!st) {
		pf_count_error(PF_SITE_NO_STATS);
		return 0;
	}
	now = bpf_ktime_get_boot_ns();
	seq = __sync_fetch_and_add(&st->seq, 1) + 1;
	if (d->klass < PF_CLASS_MAX)
		__sync_fetch_and_add(&st->denied[d->klass], 1);
	if (d->reason == PF_REASON_UNATTENDED)
		__sync_fetch_and_add(&st->unattended, 1);
	if (!take_token(st, now)) {
		__sync_fetch_and_add(&st->merged, 1);
		return 0;
	}
	ev = bpf_ringbuf_reserve(&pf_events, sizeof(*ev), 0);
	if (!ev) {
		pf_count_error(PF_SITE_EVENT);
		__sync_fetch_and_add(&st->lost, 1);
		return 0;
	}
	__builtin_memset(ev, 0, sizeof(*ev));
	ev->seq = seq;
	ev->time_ns = now;
	fill_who(ev);
	fill_what(ev, d);
	bpf_ringbuf_submit(ev, 0);
	return 0;
}

__noinline int pf_lease_over(void)
{
	const __u32 zero = 0;
	struct pf_lease *lease = bpf_map_lookup_elem(&pf_lease, &zero);

	return !lease || bpf_ktime_get_ns() >= lease->until_ns;
}

extern void *bpf_rdonly_cast(const void *obj, __u32 btf_id) __ksym __weak;

/* Hidden: a static function to the verifier. Defined once because libbpf 1.1 cannot link two
 * objects that declare the same function of the kernel. */
__hidden __noinline struct dentry *pf_untrusted(struct dentry *d)
{
	return bpf_rdonly_cast ? bpf_rdonly_cast(d, bpf_core_type_id_kernel(struct dentry)) : d;
}

#define NAME_PIECE 64
#define NAME_MAX 255

__noinline __u64 pf_hash_name(__u64 addr, __u32 len)
{
	__u64 h = PF_FNV_OFFSET;
	__u8 piece[NAME_PIECE];
	__u32 i;

	for (i = 0; i < NAME_MAX && i < len; i++) {
		if (i % NAME_PIECE == 0 &&
		    bpf_probe_read_kernel(piece, sizeof(piece), (void *)(addr + i))) {
			pf_count_error(PF_SITE_READ);
			return 0;
		}
		h = (h ^ piece[i % NAME_PIECE]) * PF_FNV_PRIME;
	}
	return h ? h : 1;
}

/* Copy the parent's label: threads, processes and io_uring workers alike. */
static __always_inline int inherit(struct task_struct *task)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct pf_label *l = bpf_task_storage_get(&pf_tasks, t, 0, 0);
	struct pf_label me = {};

	if (l)
		me = *l;
	else if (!pf_who(&me))
		return 0;
	if (bpf_task_storage_get(&pf_tasks, task, &me, BPF_LOCAL_STORAGE_GET_F_CREATE))
		return 0;
	pf_count_error(PF_SITE_TASK_STORAGE);
	if (me.kind != PF_KIND_ADMIN)
		pf_refuse_plain(&me, PF_CLASS_EXEC, PF_HOOK_TASK_ALLOC, PF_REASON_STORAGE, 0);
	return -EAGAIN;
}

SEC("lsm/task_alloc")
int BPF_PROG(pf_task_alloc, struct task_struct *task, unsigned long clone_flags, int ret)
{
	return ret ? ret : inherit(task);
}

/* The kind that an exec makes of a task; 0: it stays what it is. */
static __always_inline __u32 kind_after_exec(__u32 kind)
{
	switch (kind) {
	case PF_KIND_BOOT:
		return PF_KIND_INIT;
	case PF_KIND_INIT:
		return PF_KIND_AGENT;
	case PF_KIND_GATE_BOOT:
		return PF_KIND_GATE;
	}
	return 0;
}

/*
 * Past the point of no return, before the new program's first instruction. A look-up that fails
 * here (before 6.2, see subject.bpf.h) leaves an INIT label on the probe, which then sees that it
 * is not denied and ends the session.
 */
SEC("lsm/bprm_committed_creds")
void BPF_PROG(pf_bprm_committed_creds, struct linux_binprm *bprm)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct pf_label *l;
	__u32 kind;

	if (!(t->atomic_flags & PFA_NO_NEW_PRIVS_BIT))
		return;
	l = bpf_task_storage_get(&pf_tasks, t, 0, 0);
	kind = l ? kind_after_exec(l->kind) : 0;
	if (l && kind)
		l->kind = kind;
}

/* May the current task become admin: root of the initial user namespace, in no session? */
static __always_inline bool may_become_admin(void)
{
	struct task_struct *t = bpf_get_current_task_btf();
	__u64 caps = 0;

	if (BPF_CORE_READ(t, cred, user_ns, level) != 0)
		return false;
	if (bpf_probe_read_kernel(&caps, sizeof(caps), &t->cred->cap_effective))
		return false;
	return caps & CAP_SYS_ADMIN_BIT;
}

/* Opened for writing only: who looks at all maps is not to become admin by it. */
static __always_inline int enter_by(struct bpf_map *map, fmode_t mode)
{
	struct bpf_map *door = (struct bpf_map *)&pf_admin;
	struct pf_label admin = {.kind = PF_KIND_ADMIN}, me;
	struct task_struct *t = bpf_get_current_task_btf();
	struct pf_admin_key process;
	const __u32 one = 1;

	if (map->id != door->id || mode & FMODE_READ_BIT || pf_who(&me) || !may_become_admin())
		return 0;
	process = pf_this_process();
	if (bpf_map_update_elem(&pf_admins, &process, &one, BPF_ANY) ||
	    !bpf_task_storage_get(&pf_tasks, t, &admin, BPF_LOCAL_STORAGE_GET_F_CREATE)) {
		pf_count_error(PF_SITE_TASK_STORAGE);
		return -EAGAIN;
	}
	return 0;
}

/* Called whenever a descriptor for a map is made. */
SEC("lsm/bpf_map")
int BPF_PROG(pf_bpf_map, struct bpf_map *map, fmode_t fmode, int ret)
{
	return ret ? ret : enter_by(map, fmode);
}
