/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors: whole reads and writes, small files, and messages with descriptors attached.
 * All functions return 0 (or a count) on success and -errno on failure; all are thread-safe.
 */
#ifndef BASE_FD_H
#define BASE_FD_H

#include <stddef.h>
#include <sys/types.h>

#include "base/cleanup.h"

/* Descriptors that one message may carry: as many as the kernel lets through (SCM_MAX_FD). */
#define FD_MSG_MAX 253

/* Close *fd if it is open and set it to -1. */
void fd_close(int *fd);

/* Write all of buf, waiting for nothing but the descriptor itself; EINTR is retried. */
int fd_write_all(int fd, const void *buf, size_t len) __must_check;

/* Read until len bytes are there or the end: the number of bytes read. */
ssize_t fd_read_full(int fd, void *buf, size_t len) __must_check;

/*
 * Read a whole file of at most max bytes into a new, NUL-terminated buffer that the caller frees.
 * -EFBIG when it is longer. ret_len may be NULL.
 */
int fd_read_file(int fd, size_t max, char **ret_buf, size_t *ret_len) __must_check;
int file_read(int dirfd, const char *path, size_t max, char **ret_buf,
	      size_t *ret_len) __must_check;

/* Write text to an existing file in one write(2) (procfs, cgroupfs). */
int file_write(int dirfd, const char *path, const char *text) __must_check;

/* Replace dirfd/path by a file of this content and mode: temporary file, fsync, rename. */
int file_replace(int dirfd, const char *path, mode_t mode, const void *buf,
		 size_t len) __must_check;

int fd_set_nonblock(int fd) __must_check;
int fd_set_cloexec(int fd, int on) __must_check;

/*
 * Send one message (SOCK_SEQPACKET) with nfds descriptors, at most FD_MSG_MAX; they stay the
 * caller's.
 */
int fd_send_msg(int sock, const void *buf, size_t len, const int *fds, size_t nfds) __must_check;

/*
 * Receive one message. Returns its length, 0 at the end of the stream. Received descriptors are
 * close-on-exec and the caller's; *nfds is the room in fds and becomes the number received. A
 * message or descriptors beyond the room: -EMSGSIZE, nothing is kept.
 */
ssize_t fd_recv_msg(int sock, void *buf, size_t size, int *fds, size_t *nfds) __must_check;

/*
 * The same without closing anything, for descriptors from those who are not trusted: close(2) may
 * wait for them. There is room in fds for all that can come, and what came is the caller's, after
 * -EMSGSIZE too: a message that is longer than size.
 */
ssize_t fd_recv_all(int sock, void *buf, size_t size, int fds[FD_MSG_MAX],
		    size_t *ret_nfds) __must_check;

#endif
