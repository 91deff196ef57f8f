// SPDX-License-Identifier: Apache-2.0
/*
 * io_uring without a library. The ring is created inside the process that uses it, except where a
 * row is about an inherited one.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attempt.h"
#include "uring.h"

int uring_map(struct uring *u, int fd, const struct io_uring_params *p)
{
	size_t sq_size = p->sq_off.array + p->sq_entries * sizeof(unsigned int);
	size_t cq_size = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);
	size_t sqe_size = p->sq_entries * sizeof(struct io_uring_sqe);
	int prot = PROT_READ | PROT_WRITE;

	char *sq = mmap(NULL, sq_size, prot, MAP_SHARED, fd, IORING_OFF_SQ_RING);
	char *cq = mmap(NULL, cq_size, prot, MAP_SHARED, fd, IORING_OFF_CQ_RING);
	void *sqes = mmap(NULL, sqe_size, prot, MAP_SHARED, fd, IORING_OFF_SQES);
	if (sq == MAP_FAILED || cq == MAP_FAILED || sqes == MAP_FAILED)
		return -errno;

	u->fd = fd;
	u->sq_tail = (unsigned int *)(sq + p->sq_off.tail);
	u->sq_mask = (unsigned int *)(sq + p->sq_off.ring_mask);
	u->sq_flags = (unsigned int *)(sq + p->sq_off.flags);
	u->sq_array = (unsigned int *)(sq + p->sq_off.array);
	u->cq_head = (unsigned int *)(cq + p->cq_off.head);
	u->cq_tail = (unsigned int *)(cq + p->cq_off.tail);
	u->cq_mask = (unsigned int *)(cq + p->cq_off.ring_mask);
	u->cqes = (struct io_uring_cqe *)(cq + p->cq_off.cqes);
	u->sqes = sqes;
	return 0;
}

int uring_open(struct uring *u, unsigned int flags)
{
	struct io_uring_params p = {.flags = flags, .sq_thread_idle = 20000};

	long fd = syscall(SYS_io_uring_setup, 4, &p);
	if (fd < 0)
		return -errno;
	return uring_map(u, (int)fd, &p);
}

long uring_run(struct uring *u, const struct io_uring_sqe *sqe)
{
	unsigned int tail = *u->sq_tail;
	unsigned int slot = tail & *u->sq_mask;
	unsigned int flags = IORING_ENTER_GETEVENTS;

	u->sqes[slot] = *sqe;
	u->sq_array[slot] = slot;
	__atomic_store_n(u->sq_tail, tail + 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(u->sq_flags, __ATOMIC_SEQ_CST) & IORING_SQ_NEED_WAKEUP)
		flags |= IORING_ENTER_SQ_WAKEUP;

	long n;
	do
		n = syscall(SYS_io_uring_enter, u->fd, 1, 1, flags, NULL, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;

	unsigned int head = *u->cq_head;
	if (head == __atomic_load_n(u->cq_tail, __ATOMIC_ACQUIRE))
		return -ENODATA;
	long res = u->cqes[head & *u->cq_mask].res;
	__atomic_store_n(u->cq_head, head + 1, __ATOMIC_RELEASE);
	return res;
}

long uring_once(const struct io_uring_sqe *sqe)
{
	static struct uring u = {.fd = -1};

	if (u.fd < 0) {
		int r = uring_open(&u, 0);
		if (r < 0)
			return r;
	}
	return uring_run(&u, sqe);
}
