/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Denials: counted, and reported over the ring. The verdict is made before and never depends on
 * what happens here.
 */
#ifndef PINFOLD_EVENT_BPF_H
#define PINFOLD_EVENT_BPF_H

#include "lib/common.bpf.h"
#include "lib/maps.bpf.h"

/* What a hook knows about a denial; pf_emit() adds who and when. */
struct pf_denial {
	__u64 session;
	__u64 ino;
	__u64 name; /* kernel address of a NUL-terminated text, 0 = none */
	__u32 dev;
	__u32 kind;
	__u32 hook;
	__u32 reason;
	__u32 rule;
	__u32 rights;
	__u32 error; /* positive */
	__u32 klass;
	__u8 addr[16];
	__u16 port; /* host byte order */
	__u16 family;
	__u32 flags;
};

/*
 * Count the denial and, within the session's token bucket, write its record. A global function: the
 * verifier looks at it once, not once per path of every hook. In session.bpf.c.
 */
int pf_emit(struct pf_denial *d);

static __always_inline void pf_count_error(enum pf_site site)
{
	__u32 key = site;
	__u64 *n = bpf_map_lookup_elem(&pf_errors, &key);

	if (n)
		__sync_fetch_and_add(n, 1);
}

static __always_inline void pf_denial_init(struct pf_denial *d, const struct pf_label *me,
					   enum pf_class klass, enum pf_hook hook)
{
	__builtin_memset(d, 0, sizeof(*d));
	d->session = me->session;
	d->kind = me->kind;
	d->klass = klass;
	d->hook = hook;
}

/* Report and refuse: the value for the hook to return. */
static __always_inline int pf_refuse(struct pf_denial *d, enum pf_reason reason, int error)
{
	d->reason = reason;
	d->error = error;
	pf_emit(d);
	return -error;
}

/* The same for operations that need no detail. */
static __always_inline int pf_refuse_plain(const struct pf_label *me, enum pf_class klass,
					   enum pf_hook hook, enum pf_reason reason, __u32 what)
{
	struct pf_denial d;

	pf_denial_init(&d, me, klass, hook);
	d.rights = what;
	return pf_refuse(&d, reason, EPERM);
}

#endif
