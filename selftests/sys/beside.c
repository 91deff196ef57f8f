// SPDX-License-Identifier: Apache-2.0
/*
 * The sending side alone: who receives has conditions of its own. Part of two programs.
 */
#include "beside.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

int send_beside(int sock, int type, const void *data, size_t len)
{
	union {
		char room[CMSG_SPACE(sizeof(struct ucred))]; /* the longer of the two */
		struct cmsghdr align;
	} control = {0};
	char byte = 0;
	struct iovec iov = {&byte, 1};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control.room,
			   .msg_controllen = CMSG_SPACE(len)};
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);

	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = type;
	h->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(h), data, len);
	return sendmsg(sock, &m, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

int send_fd(int sock, int fd)
{
	return send_beside(sock, SCM_RIGHTS, &fd, sizeof(fd));
}
