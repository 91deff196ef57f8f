/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors: whole reads and writes, small files, and messages with descriptors attached.
 */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

void fd_close(int *fd)
{
	fd_cleanup(fd);
	*fd = -1;
}

int fd_write_all(int fd, const void *buf, size_t len)
{
	const char *p = buf;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

ssize_t fd_read_full(int fd, void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = read(fd, (char *)buf + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int fd_read_file(int fd, size_t max, char **ret_buf, size_t *ret_len)
{
	size_t size = 4096, len = 0;
	__cleanup_free char *buf = malloc(size);

	if (!buf)
		return -ENOMEM;
	for (;;) {
		ssize_t n = fd_read_full(fd, buf + len, size - len - 1);

		if (n < 0)
			return (int)n;
		len += (size_t)n;
		if (len > max)
			return -EFBIG;
		if (len < size - 1)
			break;
		char *bigger = realloc(buf, size * 2);

		if (!bigger)
			return -ENOMEM;
		buf = bigger;
		size *= 2;
	}
	buf[len] = '\0';
	if (ret_len)
		*ret_len = len;
	*ret_buf = TAKE_PTR(buf);
	return 0;
}

int file_read(int dirfd, const char *path, size_t max, char **ret_buf, size_t *ret_len)
{
	__cleanup_fd int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return fd_read_file(fd, max, ret_buf, ret_len);
}

int file_write(int dirfd, const char *path, const char *text)
{
	__cleanup_fd int fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC);
	size_t len = strlen(text);

	if (fd < 0)
		return -errno;
	ssize_t n = write(fd, text, len);

	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

static int write_and_sync(int fd, const void *buf, size_t len)
{
	int r = fd_write_all(fd, buf, len);

	if (r < 0)
		return r;
	return fsync(fd) < 0 ? -errno : 0;
}

int file_replace(int dirfd, const char *path, mode_t mode, const void *buf, size_t len)
{
	__cleanup_free char *tmp = NULL;

	if (asprintf(&tmp, "%s.new", path) < 0)
		return -ENOMEM;
	__cleanup_fd int fd =
		openat(dirfd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode);

	if (fd < 0)
		return -errno;
	int r = write_and_sync(fd, buf, len);

	if (r == 0 && renameat(dirfd, tmp, dirfd, path) < 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(dirfd, tmp, 0); /* the error to tell is the first one */
	return r;
}

int fd_set_nonblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

int fd_set_cloexec(int fd, int on)
{
	return fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0) < 0 ? -errno : 0;
}

union fd_control {
	struct cmsghdr hdr;
	char room[CMSG_SPACE(sizeof(int) * FD_MSG_MAX)];
};

int fd_send_msg(int sock, const void *buf, size_t len, const int *fds, size_t nfds)
{
	union fd_control control = {0};
	struct iovec iov = {.iov_base = (void *)buf, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (nfds > FD_MSG_MAX)
		return -E2BIG;
	if (nfds > 0) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
	}
	for (;;) {
		ssize_t n = sendmsg(sock, &msg, MSG_NOSIGNAL);

		if (n >= 0)
			return (size_t)n == len ? 0 : -EIO;
		if (errno != EINTR)
			return -errno;
	}
}

/* Add the descriptors of one control message to fds. */
static void take_fds(const struct cmsghdr *c, int fds[FD_MSG_MAX], size_t *count)
{
	size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

	memcpy(fds + *count, CMSG_DATA(c), n * sizeof(int));
	*count += n;
}

ssize_t fd_recv_all(int sock, void *buf, size_t size, int fds[FD_MSG_MAX], size_t *ret_nfds)
{
	union fd_control control;
	struct iovec iov = {.iov_base = buf, .iov_len = size};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n;

	*ret_nfds = 0;
	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			take_fds(c, fds, ret_nfds);
	return msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ? -EMSGSIZE : n;
}

ssize_t fd_recv_msg(int sock, void *buf, size_t size, int *fds, size_t *nfds)
{
	int all[FD_MSG_MAX];
	size_t room = nfds ? *nfds : 0, count;
	ssize_t n = fd_recv_all(sock, buf, size, all, &count);

	if (n >= 0 && count > room)
		n = -EMSGSIZE;
	if (n < 0) {
		while (count > 0)
			close(all[--count]);
		return n;
	}
	for (size_t i = 0; i < count; i++)
		fds[i] = all[i];
	if (nfds)
		*nfds = count;
	return n;
}
