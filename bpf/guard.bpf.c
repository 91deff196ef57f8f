// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pinfold guards itself (I6): no bpf() from a session; nobody but an admin changes what is
 * Pinfold's with bpf(), mounts something over its pins or unmounts them. Looking at it stays free.
 * The pins as directory entries, and cgroups, are decided where file.bpf.c has their hooks.
 */
#include "lib/guard.bpf.h"

/* Directories that are looked at on the way from an entry to a guarded one: pins lie one or two
 * below PF_PIN_DIR, a session's cgroups two below the slice. */
#define ENTRY_DEPTH 8
/* The kernel's bound on the maps of one program. */
#define USED_MAPS 64
/* Mounts on one mount that a lazy umount is looked at for. */
#define CHILD_MOUNTS 64

/* Newer than the vmlinux.h of the build. */
#define PROG_ASSOC_STRUCT_OPS 38
#define TCX_INGRESS 46
#define TCX_EGRESS 47
#define NETKIT_PRIMARY 54
#define NETKIT_PEER 55

#define MNT_DETACH_BIT 2

/* Words of union bpf_attr at which commands have their descriptors, and how many are read. */
#define BATCH_MAP_FD (__builtin_offsetof(union bpf_attr, batch.map_fd) / 4)
#define PIN_FD (__builtin_offsetof(union bpf_attr, bpf_fd) / 4)
#define TRACEPOINT_PROG_FD (__builtin_offsetof(union bpf_attr, raw_tracepoint.prog_fd) / 4)
#define ATTACH_TYPE (__builtin_offsetof(union bpf_attr, link_create.attach_type) / 4)
#define WORDS (BATCH_MAP_FD + 1)
_Static_assert(ATTACH_TYPE == __builtin_offsetof(union bpf_attr, attach_type) / 4, "same place");

static __always_inline struct file *file_at(__u32 fd)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct fdtable *table = BPF_CORE_READ(t, files, fdt);
	struct file *f = NULL, **slots = BPF_CORE_READ(table, fd);

	if (fd >= BPF_CORE_READ(table, max_fds) || bpf_probe_read_kernel(&f, sizeof(f), slots + fd))
		return NULL;
	return f;
}

/* Is d the directory with the inode top, or below it? */
static __always_inline bool is_in(struct dentry *d, __u64 top)
{
	int i;

	for (i = 0; i < ENTRY_DEPTH; i++) {
		if (BPF_CORE_READ(d, d_inode, i_ino) == top)
			return true;
		d = BPF_CORE_READ(d, d_parent);
	}
	return false;
}

/* Is f a cgroup's directory, pinfold.slice or below it? */
static __always_inline bool is_cgroup(const struct file *f)
{
	return BPF_CORE_READ(f, f_inode, i_sb, s_magic) == CGROUP2_MAGIC &&
	       is_in(BPF_CORE_READ(f, f_path.dentry), cfg_slice_ino);
}

/*
 * Refuse a command of a task outside when this descriptor stands for something of Pinfold's. It is
 * resolved here and once more by the command itself: who exchanges it in between means harm, and
 * that is not what this is against.
 */
static __noinline int refuse_fd(__u32 fd, __u32 cmd)
{
	struct file *f = file_at(fd);
	struct pf_own object = {};
	__u64 name = 0;

	if (!f)
		return 0;
	if (pf_object_of(f, &object, &name)) {
		if (!bpf_map_lookup_elem(&pf_own, &object))
			return 0;
	} else if (is_cgroup(f)) {
		name = (__u64)BPF_CORE_READ(f, f_path.dentry, d_name.name);
	} else {
		return 0;
	}
	return pf_guard_admins_only(PF_HOOK_BPF, cmd, name);
}

static __always_inline int refuse_fds(__u32 a, __u32 b, __u32 cmd)
{
	int r = refuse_fd(a, cmd);

	return r ? r : refuse_fd(b, cmd);
}

/* What programs of these types are attached to is no descriptor. */
static __always_inline bool is_interface(__u32 attach_type)
{
	switch (attach_type) {
	case BPF_XDP:
	case TCX_INGRESS:
	case TCX_EGRESS:
	case NETKIT_PRIMARY:
	case NETKIT_PEER:
		return true;
	}
	return false;
}

/* An iterator's program may write to each value of the map that is named in the caller's memory. */
static __always_inline int refuse_iterator(const union bpf_attr *attr, __u32 cmd)
{
	void *info = (void *)BPF_CORE_READ(attr, link_create.iter_info);
	__u32 fd;

	if (bpf_probe_read_user(&fd, sizeof(fd), info))
		return 0;
	return refuse_fd(fd, cmd);
}

/* A program that replaces a function of another one. */
static __always_inline int refuse_extension(const union bpf_attr *attr, __u32 cmd)
{
	if (BPF_CORE_READ(attr, prog_type) != BPF_PROG_TYPE_EXT)
		return 0;
	return refuse_fd(BPF_CORE_READ(attr, attach_prog_fd), cmd);
}

static __always_inline int decide_outside(__u32 cmd, const union bpf_attr *attr)
{
	__u32 w[WORDS];
	int r;

	if (bpf_probe_read_kernel(w, sizeof(w), attr))
		return 0;
	switch (cmd) {
	case BPF_MAP_UPDATE_ELEM:
	case BPF_MAP_DELETE_ELEM:
	case BPF_MAP_LOOKUP_AND_DELETE_ELEM:
	case BPF_MAP_FREEZE:
	case BPF_PROG_TEST_RUN:
	case BPF_LINK_DETACH:
		return refuse_fd(w[0], cmd);
	case BPF_MAP_LOOKUP_AND_DELETE_BATCH:
	case BPF_MAP_UPDATE_BATCH:
	case BPF_MAP_DELETE_BATCH:
		return refuse_fd(w[BATCH_MAP_FD], cmd);
	case BPF_OBJ_PIN:
		return refuse_fd(w[PIN_FD], cmd);
	case BPF_RAW_TRACEPOINT_OPEN:
		return refuse_fd(w[TRACEPOINT_PROG_FD], cmd);
	case BPF_PROG_ATTACH:
	case BPF_PROG_DETACH: /* what to attach to, what to attach */
		r = refuse_fd(w[1], cmd);
		return r || is_interface(w[ATTACH_TYPE]) ? r : refuse_fd(w[0], cmd);
	case BPF_LINK_CREATE: /* the other way round */
		if (w[ATTACH_TYPE] == BPF_TRACE_ITER)
			return refuse_iterator(attr, cmd);
		r = refuse_fd(w[0], cmd);
		return r || is_interface(w[ATTACH_TYPE]) ? r : refuse_fd(w[1], cmd);
	case BPF_LINK_UPDATE:
	case BPF_PROG_BIND_MAP:
	case PROG_ASSOC_STRUCT_OPS:
		return refuse_fds(w[0], w[1], cmd);
	case BPF_PROG_LOAD:
		return refuse_extension(attr, cmd);
	}
	return 0;
}

static __always_inline int decide_bpf(int cmd, const union bpf_attr *attr)
{
	struct pf_label me;

	if (!pf_who(&me))
		return decide_outside(cmd, attr);
	if (me.kind == PF_KIND_ADMIN)
		return 0;
	return pf_refuse_plain(&me, PF_CLASS_GUARD, PF_HOOK_BPF, PF_REASON_FORBIDDEN, cmd);
}

/* Two programs: 6.15 added an argument. */
SEC("lsm/bpf")
int BPF_PROG(pf_bpf, int cmd, union bpf_attr *attr, unsigned int size, int ret)
{
	return ret ? ret : decide_bpf(cmd, attr);
}

SEC("lsm/bpf")
int BPF_PROG(pf_bpf_kernel, int cmd, union bpf_attr *attr, unsigned int size, bool kernel, int ret)
{
	return ret ? ret : decide_bpf(cmd, attr);
}

/*
 * A program writes to the maps that it was loaded with, whoever attaches it. Its first descriptor
 * is made when it is loaded and nobody else can have it: later ones are for looking at it.
 */
static __always_inline int decide_prog(struct bpf_prog *prog)
{
	struct bpf_prog_aux *aux = BPF_CORE_READ(prog, aux);
	struct bpf_map **maps = BPF_CORE_READ(aux, used_maps), *map;
	struct pf_own object = {.type = PF_OWN_MAP};
	__u32 i, n = BPF_CORE_READ(aux, used_map_cnt);

	if (BPF_CORE_READ(aux, refcnt.counter) != 1)
		return 0;
	for (i = 0; i < USED_MAPS && i < n; i++) {
		if (bpf_probe_read_kernel(&map, sizeof(map), maps + i))
			return 0;
		object.id = BPF_CORE_READ(map, id);
		if (bpf_map_lookup_elem(&pf_own, &object))
			return pf_guard_admins_only(PF_HOOK_BPF, BPF_PROG_LOAD, pf_map_name(map));
	}
	return 0;
}

/* Called whenever a descriptor for a program is made. */
SEC("lsm/bpf_prog")
int BPF_PROG(pf_bpf_prog, struct bpf_prog *prog, int ret)
{
	return ret ? ret : decide_prog(prog);
}

/* The kernel refuses those itself, after its hooks: not for the log, which they could fill. */
static __always_inline bool is_powerless(void)
{
	struct task_struct *t = bpf_get_current_task_btf();
	__u64 caps = 0;

	if (BPF_CORE_READ(t, cred, fsuid.val) == 0)
		return false;
	if (BPF_CORE_READ(t, cred, user_ns, level) != 0)
		return true;
	return !bpf_probe_read_kernel(&caps, sizeof(caps), &t->cred->cap_effective) && !caps;
}

__noinline int pf_guard_entry(__u32 hook, __u64 parent, __u64 ino, __u64 name, __u64 top)
{
	if (ino != top && !is_in((struct dentry *)parent, top))
		return 0;
	return is_powerless() ? -EPERM : pf_guard_admins_only(hook, 0, name);
}

static __always_inline struct mount *mount_of(const struct vfsmount *mnt)
{
	return (void *)mnt - bpf_core_field_offset(struct mount, mnt);
}

/*
 * Does a change of this mount, or of what is mounted on it, reach the mount namespace that
 * Pinfold's pins are in? It lies there, or is shared and follows no other: a copy that a namespace
 * of its own shares with that one. What others do with theirs is theirs to do.
 */
static __always_inline bool reaches_us(struct mount *m)
{
	if (BPF_CORE_READ(m, mnt_ns, ns.inum) == cfg_mnt_ns)
		return true;
	return BPF_CORE_READ(m, mnt_group_id) && !BPF_CORE_READ(m, mnt_master);
}

static __always_inline bool has_pins(struct mount *m)
{
	return BPF_CORE_READ(m, mnt.mnt_sb, s_dev) == cfg_pin_dev;
}

/* What has the pins, among the mounts on this one; NULL: none. A lazy umount takes them along. */
static __always_inline struct mount *pins_on(struct mount *m)
{
	struct list_head *head = (void *)m + bpf_core_field_offset(struct mount, mnt_mounts);
	struct list_head *pos = BPF_CORE_READ(head, next);
	struct mount *child;
	int i;

	for (i = 0; i < CHILD_MOUNTS && pos && pos != head; i++) {
		child = (void *)pos - bpf_core_field_offset(struct mount, mnt_child);
		if (has_pins(child))
			return child;
		pos = BPF_CORE_READ(pos, next);
	}
	return NULL;
}

/* Is this directory of the mount on the way to the pins? */
static __always_inline bool leads_to_pins(struct mount *m, __u64 dir)
{
	struct mount *pins = pins_on(m);
	struct dentry *d;
	int i;

	if (!pins)
		return false;
	d = BPF_CORE_READ(pins, mnt_mountpoint);
	for (i = 0; i < ENTRY_DEPTH; i++) {
		if ((__u64)d == dir)
			return true;
		d = BPF_CORE_READ(d, d_parent);
	}
	return false;
}

static __always_inline int decide_umount(struct vfsmount *mnt, int flags)
{
	struct mount *m = mount_of(mnt);
	struct pf_label me;

	if (pf_confined(&me))
		return pf_refuse_plain(&me, PF_CLASS_FILE, PF_HOOK_SB_UMOUNT, PF_REASON_FORBIDDEN,
				       0);
	if (!has_pins(m) && !(flags & MNT_DETACH_BIT && pins_on(m)))
		return 0;
	if (!reaches_us(m) && !reaches_us(BPF_CORE_READ(m, mnt_parent)))
		return 0;
	return pf_guard_admins_only(PF_HOOK_SB_UMOUNT, flags, 0);
}

SEC("lsm/sb_umount")
int BPF_PROG(pf_sb_umount, struct vfsmount *mnt, int flags, int ret)
{
	return ret ? ret : decide_umount(mnt, flags);
}

/* Mounting over the pins or the way there, or moving them, hides them from the next pinfoldd. */
__noinline int pf_guard_mount(__u32 hook, __u64 mnt, __u64 dir)
{
	struct mount *m = mount_of((void *)mnt);

	if (!has_pins(m) && !(dir && leads_to_pins(m, dir)))
		return 0;
	return reaches_us(m) ? pf_guard_admins_only(hook, 0, 0) : 0;
}

__noinline int pf_guard_move(__u32 hook, __u64 mnt)
{
	return reaches_us(mount_of((void *)mnt)) ? pf_guard_admins_only(hook, 0, 0) : 0;
}
