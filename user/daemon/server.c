/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening sockets below /run/pinfold. While there is no descriptor for another connection the
 * sockets are not looked at: who connects waits.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "daemon/daemon.h"

#define BACKLOG 128
#define PAUSE_MS 100

struct listener {
	struct daemon *d;
	int fd;
	accept_fn *fn;
	struct watch *watch;
	struct alarm *pause;
	bool told; /* of being short, since the last connection */
};

/* It is bound without any right, so that nobody connects before owner and mode are what they must
 * be. */
static int make_socket(const char *path, mode_t mode, gid_t gid)
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

static void go_on(void *arg)
{
	struct listener *l = arg;

	alarm_free(&l->pause);
	watch_set(l->watch, WATCH_READ);
}

/* Without a pause the loop would do nothing but fail. */
static void pause_for(struct listener *l, int error)
{
	if (!l->told)
		log_err("no connection can be accepted: %s; they wait", strerror(error));
	l->told = true;
	l->pause = alarm_new(l->d->loop, PAUSE_MS, 0, go_on, l);
	if (l->pause)
		watch_set(l->watch, 0);
}

static void accept_one(void *arg)
{
	struct listener *l = arg;
	int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0) {
		l->told = false;
		l->fn(l->d, fd);
	} else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
		pause_for(l, errno);
	}
}

int listener_start(struct daemon *d, const char *path, mode_t mode, gid_t gid, accept_fn *fn)
{
	struct listener *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->d = d;
	l->fn = fn;
	l->fd = make_socket(path, mode, gid);
	if (l->fd >= 0)
		l->watch = watch_new(d->loop, l->fd, WATCH_READ, accept_one, l);
	if (l->watch)
		return 0;
	int r = l->fd < 0 ? l->fd : -ENOMEM;

	fd_cleanup(&l->fd);
	free(l);
	return r;
}
