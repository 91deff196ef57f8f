/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a session may do with a directory entry: rule, else the session's own filesystems, else
 * objects that have no place in any tree (pipes, memfds). Everything else: nothing.
 */
#ifndef PINFOLD_MATCH_BPF_H
#define PINFOLD_MATCH_BPF_H

#include "lib/subject.bpf.h"
#include "lib/walk.bpf.h"

#define PF_RIGHTS_MASK (PF_R_READ | PF_R_WRITE | PF_R_EXEC | PF_R_DEV)

/* Nonzero: nobody has renewed the lease in time. A global function: few callers come here, and the
 * verifier looks at it once. In session.bpf.c. */
int pf_lease_over(void);

/*
 * The session, if it is published, and attended where its policy stops it otherwise; else NULL and
 * the reason. Only such a policy has to look at the clock.
 */
static __always_inline struct pf_session *pf_live(const struct pf_label *me, enum pf_reason *why)
{
	__u64 id = me->session;
	struct pf_session *s = bpf_map_lookup_elem(&pf_sessions, &id);
	__u32 state;

	*why = PF_REASON_NO_SESSION;
	if (!s)
		return NULL;
	state = s->flags & (PF_SESSION_LIVE | PF_SESSION_UNATTENDED_STOP);
	if (state == PF_SESSION_LIVE)
		return s;
	if (!(state & PF_SESSION_LIVE))
		return NULL;
	*why = PF_REASON_UNATTENDED;
	return pf_lease_over() ? NULL : s;
}

/*
 * What one decision is made by: looked up once, so that a policy that is loaded meanwhile is in
 * force for all of the decision or for nothing of it.
 */
struct pf_law {
	const struct pf_session *s; /* NULL: none that may do anything, and why */
	void *policy;		    /* NULL: there is none */
	enum pf_reason why;
};

static __always_inline void pf_law_now(const struct pf_label *me, struct pf_law *law)
{
	struct pf_session *s = pf_live(me, &law->why);

	law->s = s;
	law->policy = s ? bpf_map_lookup_elem(&pf_policies, &s->policy) : NULL;
}

/* The kernel's own mount of tmpfs or hugetlbfs: memfds and System V segments, unlinked from birth.
 */
static __always_inline bool pf_is_memfd(struct dentry *d, struct super_block *sb)
{
	struct inode *inode = pf_inode(d);

	if (sb->s_magic != TMPFS_MAGIC && sb->s_magic != HUGETLBFS_MAGIC)
		return false;
	return inode && sb->s_flags & SB_KERNMOUNT_BIT && d->d_parent == d &&
	       (inode->i_mode & S_IFMT) == S_IFREG && inode->i_nlink == 0;
}

/* Message queues belong to an ipc namespace, which is the session's own. */
static __always_inline bool pf_is_own_mqueue(struct super_block *sb)
{
	struct task_struct *t = bpf_get_current_task_btf();

	return sb->s_magic == MQUEUE_MAGIC &&
	       BPF_CORE_READ(sb, s_fs_info) == BPF_CORE_READ(t, nsproxy, ipc_ns);
}

static __always_inline bool pf_is_placeless(struct dentry *d, struct super_block *sb)
{
	switch (sb->s_magic) {
	case PIPEFS_MAGIC:
	case SOCKFS_MAGIC:
	case ANON_INODE_MAGIC:
	case PIDFS_MAGIC:
	case SECRETMEM_MAGIC:
		return true;
	}
	return pf_is_memfd(d, sb) || pf_is_own_mqueue(sb);
}

static __always_inline __u32 pf_own_fs_rights(const struct pf_session *s, __u32 dev)
{
	int i;

	for (i = 0; i < PF_MAX_OWN_FS; i++) {
		if (s->own_fs[i].dev == dev && i < s->n_own_fs)
			return s->own_fs[i].rights;
	}
	return 0;
}

static __always_inline void pf_rights_by_fs(const struct pf_session *s, struct dentry *d,
					    struct pf_verdict *v)
{
	struct super_block *sb = d->d_sb;

	v->rights = pf_own_fs_rights(s, sb->s_dev);
	if (!v->rights && pf_is_placeless(d, sb))
		v->rights = PF_R_READ | PF_R_WRITE;
	v->reason = PF_REASON_NO_RULE;
}

/*
 * Rights at start. child is NULL to judge start itself, or an entry of it (which may not exist yet)
 * to judge that name in the directory start.
 */
static __always_inline void pf_judge(const struct pf_law *law, struct dentry *start,
				     struct dentry *child, struct pf_verdict *v)
{
	struct pf_rule *rule;
	bool deep = false;

	__builtin_memset(v, 0, sizeof(*v));
	v->reason = law->why;
	if (!law->s)
		return;
	v->reason = PF_REASON_NO_POLICY;
	if (!law->policy)
		return;
	rule = pf_walk(law->s, law->policy, start, &child, &deep);
	v->reason = PF_REASON_TOO_DEEP;
	if (deep)
		return;
	if (!rule) {
		pf_rights_by_fs(law->s, start, v);
		return;
	}
	if (rule->rights & PF_R_NAMES && child)
		rule = pf_name_rule(law->policy, child, rule);
	v->reason = PF_REASON_RULE;
	if (!rule)
		return;
	v->rights = rule->rights;
	v->rule = rule->id;
}

static __always_inline bool pf_link_key(struct pf_link_key *key, const struct pf_label *me,
					const struct pf_law *law, struct dentry *d)
{
	struct inode *inode = pf_inode(d);

	__builtin_memset(key, 0, sizeof(*key));
	if (!inode || !law->s)
		return false;
	key->session = me->session;
	key->ino = inode->i_ino;
	key->dev = d->d_sb->s_dev;
	key->self = pf_self(inode);
	key->policy = law->s->policy;
	return true;
}

/* The session gives d a second name: it may go on writing to it for as long as this is the law. */
static __always_inline void pf_note_link(const struct pf_label *me, const struct pf_law *law,
					 struct dentry *d)
{
	struct pf_link_key key;
	__u32 one = 1;

	if (pf_link_key(&key, me, law, d) && bpf_map_update_elem(&pf_links, &key, &one, BPF_ANY))
		pf_count_error(PF_SITE_MARK);
}

/*
 * A file with several names lies in several trees, of which we see one. It is not written to,
 * unless the session itself gave it the others (F37), by the law in force: where they lie, another
 * one may have given it rights that this one does not.
 */
static __always_inline void pf_judge_names(const struct pf_label *me, const struct pf_law *law,
					   struct dentry *d, struct pf_verdict *v)
{
	struct inode *inode = pf_inode(d);
	struct pf_link_key key;

	if (!(v->rights & PF_R_WRITE) || v->reason != PF_REASON_RULE || !inode)
		return;
	if ((inode->i_mode & S_IFMT) != S_IFREG || inode->i_nlink < 2)
		return;
	if (pf_link_key(&key, me, law, d) && bpf_map_lookup_elem(&pf_links, &key))
		return;
	v->rights &= ~PF_R_WRITE;
	v->reason = PF_REASON_HARD_LINK;
}

/* Judge the object d itself. */
static __always_inline void pf_judge_object(const struct pf_label *me, const struct pf_law *law,
					    struct dentry *d, struct pf_verdict *v)
{
	pf_judge(law, d, NULL, v);
	pf_judge_names(me, law, d, v);
}

/*
 * Judge the entry d of its directory for being made, removed or replaced: the directory's rights,
 * less the right to write when the object has a rule of its own that is sealed or withholds it.
 */
static __always_inline void pf_judge_entry(const struct pf_law *law, struct dentry *d,
					   struct pf_verdict *v)
{
	struct pf_rule *own;

	pf_judge(law, d->d_parent, d, v);
	own = law->policy ? pf_own_rule(law->policy, d) : NULL;
	if (!own || (own->rights & (PF_R_SEALED | PF_R_WRITE)) == PF_R_WRITE)
		return;
	v->rights &= ~PF_R_WRITE;
	v->rule = own->id;
	v->reason = own->rights & PF_R_SEALED ? PF_REASON_SEALED : PF_REASON_RULE;
}

/* Refuse an operation on d for the verdict's reason. error is positive. */
static __always_inline int pf_refuse_entry(const struct pf_label *me, enum pf_hook hook,
					   struct dentry *d, const struct pf_verdict *v, __u32 want)
{
	struct inode *inode = pf_inode(d);
	struct pf_denial den;

	pf_denial_init(&den, me, PF_CLASS_FILE, hook);
	if (!inode)
		inode = pf_inode(d->d_parent);
	if (inode)
		den.ino = inode->i_ino;
	den.dev = d->d_sb->s_dev;
	den.name = pf_name_addr(d);
	den.rights = want;
	den.rule = v->rule;
	return pf_refuse(&den, v->reason, EACCES);
}

/* The whole of a check of the object d itself. */
static __always_inline int pf_check(const struct pf_label *me, enum pf_hook hook, struct dentry *d,
				    __u32 want)
{
	struct pf_verdict v;
	struct pf_law law;

	pf_law_now(me, &law);
	pf_judge_object(me, &law, d, &v);
	if ((v.rights & want) == want)
		return 0;
	return pf_refuse_entry(me, hook, d, &v, want);
}

/* The same for making, removing or replacing the entry d. */
static __always_inline int pf_check_entry(const struct pf_label *me, enum pf_hook hook,
					  struct dentry *d)
{
	struct pf_verdict v;
	struct pf_law law;

	pf_law_now(me, &law);
	pf_judge_entry(&law, d, &v);
	if (v.rights & PF_R_WRITE)
		return 0;
	return pf_refuse_entry(me, hook, d, &v, PF_R_WRITE);
}

/* Refuse an operation on d whatever the rules say. */
static __always_inline int pf_never(const struct pf_label *me, enum pf_hook hook, struct dentry *d,
				    enum pf_reason reason, __u32 what)
{
	struct pf_verdict v = {.reason = reason};

	return pf_refuse_entry(me, hook, d, &v, what);
}

/*
 * Is the kernel doing this on its own account, as overlayfs does on the backing objects after the
 * same operation on the union object was judged? It then runs with the mounter's credentials, and a
 * confined task has CAP_SYS_ADMIN in none that it could install itself.
 */
static __always_inline bool pf_kernel_internal(void)
{
	struct task_struct *t = bpf_get_current_task_btf();
	__u64 caps = 0;

	if (t->cred == t->real_cred)
		return false;
	if (bpf_probe_read_kernel(&caps, sizeof(caps), &t->cred->cap_effective))
		return false;
	return caps & CAP_SYS_ADMIN_BIT;
}

/* The subject of a file operation; false: nothing to decide. */
static __always_inline bool pf_file_subject(struct pf_label *me)
{
	return pf_confined(me) && !pf_kernel_internal();
}

#endif
