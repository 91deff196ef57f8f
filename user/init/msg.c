/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON messages of pinfold-init, one object per SOCK_SEQPACKET message.
 */
#include "init/init.h"

#include <errno.h>
#include <string.h>

#include "base/fd.h"

int msg_recv(int sock, size_t max, json_t **ret)
{
	__cleanup_free char *buf = malloc(max);

	if (!buf)
		return -ENOMEM;
	ssize_t n = fd_recv_msg(sock, buf, max, NULL, NULL);

	if (n < 0)
		return (int)n;
	if (n == 0)
		return -EPIPE;
	json_t *obj = json_loadb(buf, (size_t)n, JSON_REJECT_DUPLICATES, NULL);

	if (!obj)
		return -EBADMSG;
	*ret = obj;
	return 0;
}

int msg_send_fd(int sock, json_t *obj, int fd)
{
	if (!obj)
		return -ENOMEM;
	__cleanup_free char *text = json_dumps(obj, JSON_COMPACT);

	json_decref(obj);
	if (!text)
		return -ENOMEM;
	return fd_send_msg(sock, text, strlen(text), &fd, fd >= 0 ? 1 : 0);
}

int msg_send(int sock, json_t *obj)
{
	return msg_send_fd(sock, obj, -1);
}

void msg_tell(int sock, json_t *obj)
{
	if (msg_send(sock, obj) < 0)
		return; /* the other end has gone, and with it the need */
}
