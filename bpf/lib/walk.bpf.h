/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which rule stands nearest above a directory entry. Files are known by identity: the walk goes
 * from the entry to the root of its filesystem and looks every (device, inode) up, so that no
 * symlink, rename or mount changes the answer. It never leaves the filesystem.
 */
#ifndef PINFOLD_WALK_BPF_H
#define PINFOLD_WALK_BPF_H

#include "lib/common.bpf.h"
#include "lib/maps.bpf.h"

/*
 * (dev, ino) is not unique: an overlay without xino gives its files the numbers that they have in
 * their layers. The address of the inode is, while somebody holds it, and pid 1 of the session
 * holds every inode that has a rule. The verifier turns a pointer into a number only by subtracting
 * another; a map's address stays the same as long as the rules do.
 */
static __always_inline __u32 pf_self(const struct inode *inode)
{
	__u64 n = (__u64)inode;

	asm volatile("%0 -= %1" : "+r"(n) : "r"(&pf_admin));
	return n >> 3;
}

/*
 * The entry at d as a pointer that the verifier does not trust; d may be an address where the
 * kernel has such pointers (not 6.1). For each load through a trusted one 6.12 searches the
 * kernel's types by name, one after the other: most of the time of loading went there. In
 * session.bpf.c.
 */
struct dentry *pf_untrusted(struct dentry *d);

struct pf_verdict {
	__u32 rights;
	__u32 rule;
	__u32 reason; /* what a refusal for a missing right is to say */
};

/* May the inode of this number have a rule? (session.h, pf_session.places) */
static __always_inline bool pf_may_have_rule(const struct pf_session *s, __u64 ino)
{
	__u64 hash = PF_PLACE_HASH(ino);

	return s->places[PF_PLACE_WORD(hash)] & PF_PLACE_BIT(hash);
}

/*
 * Rule found by the walk; NULL with *deep set when the bound was reached. *child is the entry below
 * the directory that has the rule, or 0 when the rule stands on the object itself; its initial
 * value is the entry that start is the parent of, or NULL. Entries are locked or held by the caller
 * of the hook; a parent that changes meanwhile was moved by somebody who may write both trees.
 */
static __always_inline struct pf_rule *pf_walk(const struct pf_session *s, void *policy,
					       struct dentry *d, struct dentry **child, bool *deep)
{
	struct pf_rule_key key = {};
	struct dentry *parent;
	struct pf_rule *rule;
	struct inode *inode;
	int i;

	key.dev = d->d_sb->s_dev;
	for (i = 0; i < PF_MAX_DEPTH; i++) {
		inode = pf_inode(d);
		if (inode && pf_may_have_rule(s, inode->i_ino)) {
			key.ino = inode->i_ino;
			key.self = pf_self(inode);
			rule = bpf_map_lookup_elem(policy, &key);
			if (rule)
				return rule;
		}
		parent = d->d_parent;
		if (parent == d)
			return NULL;
		*child = d;
		d = parent;
	}
	*deep = true;
	return NULL;
}

/*
 * FNV-1a 64 over a name of len bytes at a kernel address; 0: it could not be read. A global
 * function: verified once. In session.bpf.c.
 */
__u64 pf_hash_name(__u64 addr, __u32 len);

/* The address of an entry's name as a number, which newer verifiers do not make of a load. */
static __always_inline __u64 pf_name_addr(struct dentry *d)
{
	return (__u64)BPF_CORE_READ(d, d_name.name);
}

/*
 * The rule on (directory, name of child), which wins over rule, the directory's own. NULL when the
 * name cannot be read.
 */
static __always_inline struct pf_rule *pf_name_rule(void *policy, struct dentry *child,
						    struct pf_rule *rule)
{
	struct pf_rule_key key = {};
	struct dentry *dir = child->d_parent;
	struct inode *inode = pf_inode(dir);
	struct pf_rule *named;

	if (!inode)
		return NULL;
	key.ino = inode->i_ino;
	key.self = pf_self(inode);
	key.dev = dir->d_sb->s_dev;
	key.name = pf_hash_name(pf_name_addr(child), child->d_name.len);
	if (!key.name)
		return NULL;
	named = bpf_map_lookup_elem(policy, &key);
	return named ? named : rule;
}

/* A rule on the object itself. */
static __always_inline struct pf_rule *pf_own_rule(void *policy, struct dentry *d)
{
	struct pf_rule_key key = {};
	struct inode *inode = pf_inode(d);

	if (!inode)
		return NULL;
	key.ino = inode->i_ino;
	key.self = pf_self(inode);
	key.dev = d->d_sb->s_dev;
	return bpf_map_lookup_elem(policy, &key);
}

#endif
