/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening sockets below /run/pinfold.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/daemon.h"

#define BACKLOG 128

/* It is bound without any right, so that nobody connects before owner and mode are what they must
 * be. */
int server_socket(const char *path, mode_t mode, gid_t gid)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	__cleanup_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (strlen(path) >= sizeof(at.sun_path))
		return -ENAMETOOLONG;
	memcpy(at.sun_path, path, strlen(path) + 1);
	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	mode_t before = umask(0777);
	int r = bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ? -errno : 0;

	(void)umask(before);
	if (r < 0)
		return r;
	if (chown(path, 0, gid) < 0 || chmod(path, mode) < 0 || listen(fd, BACKLOG) < 0)
		return -errno;
	return TAKE_FD(fd);
}
