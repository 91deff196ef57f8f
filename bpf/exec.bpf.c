// SPDX-License-Identifier: GPL-2.0-only
/*
 * Running code from files: exec, and mappings that are executable or write through to a file.
 * Anonymous executable memory is allowed: interpreters compile into it.
 */
#include "lib/guard.bpf.h"
#include "lib/match.bpf.h"

static __always_inline int refuse_exec(const struct pf_label *me, enum pf_hook hook,
				       struct dentry *d, const struct pf_verdict *v, __u32 want)
{
	struct inode *inode = pf_inode(d);
	struct pf_denial den;

	pf_denial_init(&den, me, PF_CLASS_EXEC, hook);
	if (inode)
		den.ino = inode->i_ino;
	den.dev = d->d_sb->s_dev;
	den.name = pf_name_addr(d);
	den.rights = want;
	den.rule = v->rule;
	return pf_refuse(&den, v->reason, EACCES);
}

static __always_inline int decide_exec(const struct linux_binprm *bprm)
{
	struct dentry *d = bprm->file->f_path.dentry;
	struct pf_verdict v = {.reason = PF_REASON_FORBIDDEN};
	struct pf_label me;
	struct pf_law law;

	if (!pf_confined(&me))
		return 0;
	if (me.kind == PF_KIND_GATE)
		return refuse_exec(&me, PF_HOOK_BPRM_CHECK, d, &v, PF_R_EXEC);
	pf_law_now(&me, &law);
	pf_judge(&law, d, NULL, &v);
	if (v.rights & PF_R_EXEC)
		return 0;
	return refuse_exec(&me, PF_HOOK_BPRM_CHECK, d, &v, PF_R_EXEC);
}

SEC("lsm/bprm_check_security")
int BPF_PROG(pf_bprm_check, struct linux_binprm *bprm, int ret)
{
	return ret ? ret : decide_exec(bprm);
}

static __always_inline int decide_map(const struct pf_label *me, enum pf_hook hook,
				      struct dentry *d, __u32 want)
{
	struct pf_verdict v;
	struct pf_law law;

	pf_law_now(me, &law);
	pf_judge_object(me, &law, d, &v);
	if ((v.rights & want) == want)
		return 0;
	return refuse_exec(me, hook, d, &v, want);
}

/* Kernels that have it map an overlay's backing file; the rules speak of the union's. */
struct backing_file___pf {
	struct path user_path;
} __attribute__((preserve_access_index));

static __always_inline struct dentry *mapped_dentry(struct file *f)
{
	struct dentry *d = f->f_path.dentry;

	if (f->f_mode & FMODE_BACKING_BIT &&
	    bpf_core_field_exists(struct backing_file___pf, user_path))
		d = BPF_CORE_READ((struct backing_file___pf *)f, user_path.dentry);
	return pf_untrusted(d);
}

/* The rights for a mapping; shared is 0 or 1. Without branches: see wanted() in file.bpf.c. */
static __always_inline __u32 wanted(__u64 prot, __u64 shared)
{
	_Static_assert(PROT_EXEC_BIT == PF_R_EXEC && PROT_WRITE_BIT == PF_R_WRITE, "same bits");
	return prot & (PROT_EXEC_BIT | shared * PROT_WRITE_BIT);
}

static __always_inline int decide_mmap(struct file *f, __u64 prot, __u64 flags)
{
	__u32 want = wanted(prot, flags & MAP_SHARED_BIT);
	struct pf_label me;

	if (!want || !f || pf_null(f))
		return 0;
	if (!pf_agent(&me))
		return want & PF_R_WRITE ? pf_guard_mapping(f) : 0;
	if (pf_kernel_internal())
		return 0;
	return decide_map(&me, PF_HOOK_MMAP_FILE, mapped_dentry(f), want);
}

SEC("lsm/mmap_file")
int BPF_PROG(pf_mmap_file, struct file *file, unsigned long reqprot, unsigned long prot,
	     unsigned long flags, int ret)
{
	return ret ? ret : decide_mmap(file, prot, flags);
}

static __always_inline int decide_mprotect(struct vm_area_struct *vma, __u64 prot)
{
	struct file *f = vma->vm_file;
	__u32 want = wanted(prot, vma->vm_flags / VM_SHARED_BIT & 1);
	struct pf_label me;

	if (!want || !f || pf_null(f) || !pf_agent(&me))
		return 0;
	return decide_map(&me, PF_HOOK_FILE_MPROTECT, mapped_dentry(f), want);
}

SEC("lsm/file_mprotect")
int BPF_PROG(pf_file_mprotect, struct vm_area_struct *vma, unsigned long reqprot,
	     unsigned long prot, int ret)
{
	return ret ? ret : decide_mprotect(vma, prot);
}
