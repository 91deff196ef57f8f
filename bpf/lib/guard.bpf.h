/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the guard (I6) asks in more than one object: is this Pinfold's, and is the caller an admin?
 * Nothing here is about sessions: it is for tasks outside.
 */
#ifndef PINFOLD_GUARD_BPF_H
#define PINFOLD_GUARD_BPF_H

#include "lib/subject.bpf.h"
#include "lib/walk.bpf.h"

/*
 * Has the process of the current task entered by pf_admin? For a caller that is about to be
 * refused: where a look-up in storage says nothing (before 6.2, see subject.bpf.h) the process is
 * asked for, too. A child of it, which is another process, may then have to try again.
 */
static __always_inline bool pf_guard_admin(void)
{
	struct pf_admin_key key;

	if (pf_is_admin())
		return true;
	key = pf_this_process();
	return bpf_map_lookup_elem(&pf_admins, &key);
}

/*
 * 0 for an admin; who else it is is refused, with a record that names no session. name is the
 * kernel address of a text, or 0.
 */
static __always_inline int pf_guard_admins_only(enum pf_hook hook, __u32 what, __u64 name)
{
	struct pf_label nobody = {};
	struct pf_denial d;

	if (pf_guard_admin())
		return 0;
	pf_denial_init(&d, &nobody, PF_CLASS_GUARD, hook);
	d.rights = what;
	d.name = name;
	return pf_refuse(&d, PF_REASON_GUARDED, EPERM);
}

static __always_inline __u64 pf_map_name(const struct bpf_map *map)
{
	return (__u64)map + bpf_core_field_offset(struct bpf_map, name);
}

/*
 * Which map, program or link an open file stands for, and where its name is; false: none. Their
 * files have no inode of their own but a name: "bpf-map", "bpf-prog", "bpf-link" or "bpf_link".
 */
static __always_inline bool pf_object_of(const struct file *f, struct pf_own *ret, __u64 *name)
{
	void *object = BPF_CORE_READ(f, private_data);
	char kind[5] = {};

	if (BPF_CORE_READ(f, f_inode, i_sb, s_magic) != ANON_INODE_MAGIC ||
	    bpf_probe_read_kernel(kind, sizeof(kind), BPF_CORE_READ(f, f_path.dentry, d_name.name)))
		return false;
	if (kind[0] != 'b' || kind[1] != 'p' || kind[2] != 'f')
		return false;
	if (kind[4] == 'm') {
		ret->type = PF_OWN_MAP;
		ret->id = BPF_CORE_READ((struct bpf_map *)object, id);
		*name = pf_map_name(object);
		return true;
	}
	if (kind[4] == 'l') {
		ret->type = PF_OWN_LINK;
		ret->id = BPF_CORE_READ((struct bpf_link *)object, id);
		object = BPF_CORE_READ((struct bpf_link *)object, prog);
	} else if (kind[4] == 'p') {
		ret->type = PF_OWN_PROG;
		ret->id = BPF_CORE_READ((struct bpf_prog *)object, aux, id);
	} else {
		return false;
	}
	*name = (__u64)BPF_CORE_READ((struct bpf_prog *)object, aux) +
		bpf_core_field_offset(struct bpf_prog_aux, name);
	return true;
}

/*
 * Nonzero: refused, a change of an entry that is, or lies below, the directory with the inode top;
 * ino is the entry's own inode, parent and name are kernel addresses. In guard.bpf.c, like the
 * next. The verifier wants to see the hook's own value, so callers turn the answer into it.
 */
int pf_guard_entry(__u32 hook, __u64 parent, __u64 ino, __u64 name, __u64 top);

static __always_inline int pf_guard_below(enum pf_hook hook, struct dentry *d, __u64 top)
{
	struct inode *inode = pf_inode(d);

	return pf_guard_entry(hook, (__u64)BPF_CORE_READ(d, d_parent), inode ? inode->i_ino : 0,
			      pf_name_addr(d), top)
		       ? -EPERM
		       : 0;
}

/* For a task outside that makes, removes, moves or changes the entry d. */
static __always_inline int pf_guard_pin(enum pf_hook hook, struct dentry *d)
{
	if (d->d_sb->s_dev == cfg_pin_dev)
		return pf_guard_below(hook, d, cfg_pin_ino);
	return 0;
}

static __always_inline int pf_guard_pins(enum pf_hook hook, struct dentry *from, struct dentry *to)
{
	int r = pf_guard_pin(hook, from);

	return r ? r : pf_guard_pin(hook, to);
}

/* For a task outside that removes a directory: the programs on a cgroup go with it. */
static __always_inline int pf_guard_rmdir(enum pf_hook hook, struct dentry *d)
{
	if (d->d_sb->s_magic == CGROUP2_MAGIC)
		return pf_guard_below(hook, d, cfg_slice_ino);
	return pf_guard_pin(hook, d);
}

/* The same for who changes this mount, or with dir mounts something on that directory of it or
 * moves it. Kernel addresses. */
int pf_guard_mount(__u32 hook, __u64 mnt, __u64 dir);
/* The same for who moves the bpffs onto this mount. */
int pf_guard_move(__u32 hook, __u64 mnt);

/* A writable, shared mapping: of the audit ring it would take records away. */
static __always_inline int pf_guard_mapping(const struct file *f)
{
	struct bpf_map *ring = (struct bpf_map *)&pf_events;
	struct pf_own object = {};
	__u64 name = 0;

	if (!pf_object_of(f, &object, &name) || object.type != PF_OWN_MAP || object.id != ring->id)
		return 0;
	return pf_guard_admins_only(PF_HOOK_MMAP_FILE, 0, name);
}

#endif
