/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's way to the daemon, with words for each way that it is closed.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "ctl/message.h"

static void explain(int error, const char *path, struct ctl_err *err)
{
	switch (error) {
	case ENOENT:
	case ECONNREFUSED:
		(void)ctl_bad(err,
			      "pinfoldd does not run (%s): start it with \"systemctl start "
			      "pinfoldd\"",
			      path);
		return;
	case EACCES:
	case EPERM:
		(void)ctl_bad(err, "no permission for %s: be root or in the group \"%s\"", path,
			      CTL_GROUP);
		return;
	default:
		(void)ctl_bad(err, "cannot connect to %s: %s", path, strerrordesc_np(error));
	}
}

int ctl_connect(const char *path, struct ctl_err *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(addr.sun_path)) {
		explain(ENAMETOOLONG, path, err);
		return -ENAMETOOLONG;
	}
	memcpy(addr.sun_path, path, strlen(path) + 1);
	__cleanup_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return TAKE_FD(fd);
	int error = errno;

	explain(error, path, err);
	return -error;
}
