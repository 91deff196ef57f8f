/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that the daemon puts into a running session: into its /run/pinfold, which the kernel lets
 * nobody in the session write to. They hold nothing about any other session.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "daemon/session.h"

/* A flood of denials costs one file in this time. */
#define WHY_EVERY_MS 100

int inside_replace(const struct session *s, const char *name, const char *text)
{
	char dir[64]; /* "/proc/", an int, "/root/run/pinfold" */

	(void)snprintf(dir, sizeof(dir), "/proc/%d/root/run/pinfold", (int)s->init_pid);
	__cleanup_fd int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	/* Only now is it certain that the number was still that of the session's pid 1. */
	if (syscall(SYS_pidfd_send_signal, s->init_pidfd, 0, NULL, 0) < 0)
		return -errno;
	return file_replace(fd, name, 0644, text, strlen(text));
}

int why_write(struct session *s)
{
	static const char *const name = &CTL_WHY_FILE[sizeof(RUN_DIR)];
	json_t *body = denials_body(s);
	__cleanup_free char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;

	json_decref(body);
	s->why_written_ms = uv_now(s->d->loop);
	return text ? inside_replace(s, name, text) : -ENOMEM;
}

static void why_due(void *arg)
{
	struct session *s = arg;
	int r;

	alarm_free(&s->why_again);
	r = why_write(s);
	if (r < 0 && r != -ESRCH && r != -ENOENT) /* it may just be ending */
		log_warn("session=%s its why.json is not up to date: %s", s->id, strerror(-r));
}

void why_changed(struct session *s)
{
	uint64_t since = uv_now(s->d->loop) - s->why_written_ms;

	if (s->state < SESSION_EXEC || !session_live(s) || s->why_again)
		return;
	s->why_again = alarm_new(s->d->loop, since < WHY_EVERY_MS ? WHY_EVERY_MS - since : 0, 0,
				 why_due, s);
}
