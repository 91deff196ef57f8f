/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The word that says until when sessions count as attended (include/pinfold/session.h).
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <time.h>

#include "kern/internal.h"

/* The verifier may take minutes where it is emulated, or has little of a processor. */
#define START_NS (300 * 1000000000ull)

/* What bpf_ktime_get_ns() says. */
static __u64 now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts); /* fails for unknown clocks only */
	return (__u64)ts.tv_sec * 1000000000u + (__u64)ts.tv_nsec;
}

static int lease_read(int fd, struct pf_lease *ret)
{
	const __u32 zero = 0;

	return bpf_map_lookup_elem(fd, &zero, ret) < 0 ? -errno : 0;
}

static int lease_write(int fd, const struct pf_lease *lease)
{
	const __u32 zero = 0;

	return bpf_map_update_elem(fd, &zero, lease, BPF_ANY) < 0 ? -errno : 0;
}

int lease_begin(void)
{
	struct pf_lease lease = {0};
	__cleanup_fd int fd = pins_open("maps", kern_map_names[KERN_MAP_LEASE]);
	int r = fd < 0 ? fd : lease_read(fd, &lease);
	const __u64 now = now_ns();

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (lease.starting || lease.until_ns <= now)
		return 0;
	lease.starting = 1;
	if (lease.until_ns < now + START_NS)
		lease.until_ns = now + START_NS;
	return lease_write(fd, &lease);
}

int kern_lease_renew(struct kern *k, __u64 ns, __u64 *ret_over_ns)
{
	struct pf_lease old = {0};
	int r = lease_read(k->maps[KERN_MAP_LEASE], &old);
	const __u64 now = now_ns();

	if (r == 0)
		r = lease_write(k->maps[KERN_MAP_LEASE], &(struct pf_lease){.until_ns = now + ns});
	if (r < 0)
		return r;
	*ret_over_ns = old.until_ns && old.until_ns < now ? now - old.until_ns : 0;
	return 0;
}
