/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request at a time through io_uring, by raw system calls: enough to try every opcode.
 */
#ifndef SELFTESTS_SYS_URING_H
#define SELFTESTS_SYS_URING_H

#include <linux/io_uring.h>

struct uring {
	int fd;
	unsigned int *sq_tail, *sq_mask, *sq_array, *cq_head, *cq_tail, *cq_mask, *sq_flags;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
};

/* Opcodes that are newer than the headers of the build host. */
#define OP_FTRUNCATE 55
#define OP_BIND 56
#define OP_LISTEN 57

/* 0 or -errno; flags: IORING_SETUP_*. The ring lives until the process ends. */
int uring_open(struct uring *u, unsigned int flags);
/* Map an existing ring's descriptor (an inherited one). */
int uring_map(struct uring *u, int fd, const struct io_uring_params *p);
/* Submit this one request and wait for its result. */
long uring_run(struct uring *u, const struct io_uring_sqe *sqe);
/* The same through a ring that is made at the first call. */
long uring_once(const struct io_uring_sqe *sqe);

#endif
