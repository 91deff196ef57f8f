/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit ring and the counters beside it.
 */
#include "kern/internal.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* libbpf hands over pointers into the shared pages: copied first, as a program may be writing. */
static int on_record(void *arg, void *data, size_t size)
{
	struct kern *k = arg;
	struct pf_event ev;

	if (size != sizeof(ev))
		return -EBADMSG;
	memcpy(&ev, data, sizeof(ev));
	int r = k->cb(k->cb_arg, &ev);

	if (r < 0)
		return r;
	return ++k->seen < k->max ? 0 : -ECANCELED; /* this one is taken all the same */
}

int ring_open(struct kern *k)
{
	k->ring = ring_buffer__new(k->maps[KERN_MAP_EVENTS], on_record, k, NULL);
	return k->ring ? 0 : -errno;
}

int kern_ring_fd(const struct kern *k)
{
	return ring_buffer__epoll_fd(k->ring);
}

int kern_ring_drain(struct kern *k, size_t max, kern_event_fn *cb, void *arg)
{
	k->cb = cb;
	k->cb_arg = arg;
	k->seen = 0;
	k->max = max;
	int r = ring_buffer__consume(k->ring);

	return r < 0 && r != -ECANCELED ? r : (int)k->seen;
}

int kern_stats(struct kern *k, __u64 id, struct pf_stats *ret)
{
	struct pf_stats st;

	if (bpf_map_lookup_elem(k->maps[KERN_MAP_STATS], &id, &st) < 0)
		return -errno;
	*ret = st;
	return 0;
}

int kern_errors(struct kern *k, __u64 counts[PF_SITE_MAX])
{
	int cpus = libbpf_num_possible_cpus();

	if (cpus < 0)
		return cpus;
	__cleanup_free __u64 *per_cpu = calloc((size_t)cpus, sizeof(*per_cpu));

	if (!per_cpu)
		return -ENOMEM;
	for (__u32 site = 0; site < PF_SITE_MAX; site++) {
		if (bpf_map_lookup_elem(k->maps[KERN_MAP_ERRORS], &site, per_cpu) < 0)
			return -errno;
		counts[site] = 0;
		for (int i = 0; i < cpus; i++)
			counts[site] += per_cpu[i];
	}
	return 0;
}
