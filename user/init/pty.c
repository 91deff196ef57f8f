/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The session's terminal: a pair of its own devpts. Pid 1 leads the terminal's session and the
 * command is a process group in it: were the command the leader, its group would be orphaned and
 * the kernel would not let ^Z stop it.
 */
#include "init/init.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Devices of terminals belong to this group by convention (Debian: tty). */
#define TTY_GID 5

static int open_pair(const struct setup *s, int master, int *ret_slave)
{
	struct winsize size = {.ws_row = s->rows, .ws_col = s->cols};
	int unlock = 0;

	if (ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return -errno;
	__cleanup_fd int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (slave < 0 || fchown(slave, s->uid, TTY_GID) < 0)
		return -errno;
	if (s->rows > 0 && ioctl(master, TIOCSWINSZ, &size) < 0)
		return -errno;
	if (ioctl(slave, TIOCSCTTY, 0) < 0)
		return -errno;
	*ret_slave = TAKE_FD(slave);
	return 0;
}

int pty_open(const struct setup *s, struct pty *ret)
{
	if (!s->tty[0] && !s->tty[1] && !s->tty[2])
		return 0;
	__cleanup_fd int master = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (master < 0)
		return -errno;
	int r = open_pair(s, master, &ret->slave);

	if (r == 0)
		ret->master = TAKE_FD(master);
	return r;
}
