/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labels of tasks, and the identities that pid 1 of a session left by opening files.
 */
#include "kern/internal.h"

#include <bpf/bpf.h>
#include <errno.h>

int kern_label_task(struct kern *k, int pidfd, __u64 session, enum pf_kind kind)
{
	struct pf_label label = {.session = session, .kind = kind};

	if (kind != PF_KIND_BOOT && kind != PF_KIND_GATE_BOOT)
		return -EINVAL;
	if (bpf_map_update_elem(k->maps[KERN_MAP_TASKS], &pidfd, &label, BPF_ANY) < 0)
		return -errno;
	return 0;
}

int kern_task_label(struct kern *k, int pidfd, struct pf_label *ret)
{
	struct pf_label label;

	if (bpf_map_lookup_elem(k->maps[KERN_MAP_TASKS], &pidfd, &label) < 0)
		return -errno;
	*ret = label;
	return 0;
}

int kern_marks_take(struct kern *k, __u64 session, size_t n, struct pf_mark *out)
{
	struct pf_mark_key key = {.session = session};
	struct pf_mark mark;

	for (;; key.index++) {
		if (bpf_map_lookup_elem(k->maps[KERN_MAP_MARKS], &key, &mark) < 0)
			return errno == ENOENT ? (int)key.index : -errno;
		if (key.index < n)
			out[key.index] = mark;
		if (bpf_map_delete_elem(k->maps[KERN_MAP_MARKS], &key) < 0)
			return -errno;
	}
}
