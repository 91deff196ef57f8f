// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pinfold guards itself (I6): no bpf() from a session, and nobody but an admin removes what is
 * pinned. The only programs that refuse something to tasks outside.
 */
#include "lib/subject.bpf.h"

/* Directories between a pin and the root of its bpffs: pins lie one or two below PF_PIN_DIR. */
#define PIN_DEPTH 4

static __always_inline int decide_bpf(int cmd)
{
	struct pf_label me;

	if (!pf_who(&me) || me.kind == PF_KIND_ADMIN)
		return 0;
	return pf_refuse_plain(&me, PF_CLASS_GUARD, PF_HOOK_BPF, PF_REASON_FORBIDDEN, cmd);
}

/* Two programs: 6.15 added an argument. */
SEC("lsm/bpf")
int BPF_PROG(pf_bpf, int cmd, union bpf_attr *attr, unsigned int size, int ret)
{
	return ret ? ret : decide_bpf(cmd);
}

SEC("lsm/bpf")
int BPF_PROG(pf_bpf_kernel, int cmd, union bpf_attr *attr, unsigned int size, bool kernel, int ret)
{
	return ret ? ret : decide_bpf(cmd);
}

/* Is d the pin directory or something below it? */
static __always_inline bool is_pin(struct dentry *d)
{
	struct inode *inode;
	int i;

	if (d->d_sb->s_magic != BPF_FS_MAGIC || d->d_sb->s_dev != cfg_pin_dev)
		return false;
	for (i = 0; i < PIN_DEPTH; i++) {
		inode = pf_inode(d);
		if (inode && inode->i_ino == cfg_pin_ino)
			return true;
		d = d->d_parent;
	}
	return false;
}

static __always_inline int decide_pin(struct dentry *d)
{
	return is_pin(d) && !pf_is_admin() ? -EPERM : 0;
}

SEC("lsm/path_unlink")
int BPF_PROG(pf_guard_unlink, const struct path *dir, struct dentry *dentry, int ret)
{
	return ret ? ret : decide_pin(dentry);
}

SEC("lsm/path_rmdir")
int BPF_PROG(pf_guard_rmdir, const struct path *dir, struct dentry *dentry, int ret)
{
	return ret ? ret : decide_pin(dentry);
}

SEC("lsm/path_rename")
int BPF_PROG(pf_guard_rename, const struct path *old_dir, struct dentry *old_dentry,
	     const struct path *new_dir, struct dentry *new_dentry, unsigned int flags, int ret)
{
	int r;

	if (ret)
		return ret;
	r = decide_pin(old_dentry);
	return r ? r : decide_pin(new_dentry);
}

static __always_inline int decide_umount(struct vfsmount *mnt)
{
	struct pf_label me;

	if (pf_confined(&me))
		return pf_refuse_plain(&me, PF_CLASS_FILE, PF_HOOK_SB_UMOUNT, PF_REASON_FORBIDDEN,
				       0);
	return mnt->mnt_sb->s_dev == cfg_pin_dev && !pf_is_admin() ? -EPERM : 0;
}

SEC("lsm/sb_umount")
int BPF_PROG(pf_sb_umount, struct vfsmount *mnt, int flags, int ret)
{
	return ret ? ret : decide_umount(mnt);
}
