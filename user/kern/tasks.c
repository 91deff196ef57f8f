/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labels of tasks, and the identities that pid 1 of a session left by opening files.
 */
#include "kern/internal.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

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

static struct pf_mark_key mark_key(__u64 session, size_t number)
{
	struct pf_mark_key key = {.session = session};
	char text[16]; /* "%07u" of an unsigned int */

	(void)snprintf(text, sizeof(text), PF_MARK_NUMBER, (unsigned)number);
	memcpy(key.number, text, sizeof(key.number));
	return key;
}

int kern_mark_get(struct kern *k, __u64 session, size_t number, struct pf_mark *ret)
{
	const struct pf_mark_key key = mark_key(session, number);
	struct pf_mark mark;

	if (bpf_map_lookup_elem(k->maps[KERN_MAP_MARKS], &key, &mark) < 0)
		return -errno;
	*ret = mark;
	return 0;
}

/* Deleting while iterating would restart the walk at the front. */
static void drop_all(struct kern *k, __u64 session)
{
	struct pf_mark_key key, next;
	int more = bpf_map_get_next_key(k->maps[KERN_MAP_MARKS], NULL, &key) == 0;

	while (more) {
		more = bpf_map_get_next_key(k->maps[KERN_MAP_MARKS], &key, &next) == 0;
		if (key.session == session)
			(void)bpf_map_delete_elem(k->maps[KERN_MAP_MARKS], &key);
		key = next;
	}
}

void kern_marks_drop(struct kern *k, __u64 session, size_t n)
{
	if (n == KERN_MARKS_ALL) {
		drop_all(k, session);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		const struct pf_mark_key key = mark_key(session, i);

		(void)bpf_map_delete_elem(k->maps[KERN_MAP_MARKS], &key); /* none: as wanted */
	}
}
